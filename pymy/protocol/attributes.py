"""Query attributes: named values beside a statement (MySQL 8.0.23 and later).

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from pymy.constants import FIELD_TYPE
from pymy.protocol.wire import lenenc, lenenc_bytes

Attributes = Mapping[str, str | bytes | int | float | None]

NO_ATTRIBUTES = b"\x00\x01"  # no parameters, in one set


def attribute_block(attributes: Attributes | None) -> bytes:
    """Build what stands between COM_QUERY and its text once QUERY_ATTRIBUTES was agreed.

    lenenc count, lenenc 1 (sets); if any: NULL bitmap, 1 new-types flag, for each 2 type and lenenc
    name, then the values as in the binary protocol.
    """
    if not attributes:
        return NO_ATTRIBUTES
    nulls = bytearray((len(attributes) + 7) // 8)
    types = []
    values = []
    for number, (name, value) in enumerate(attributes.items()):
        if value is None:
            nulls[number // 8] |= 1 << number % 8
        code, piece = typed(name, value)
        types.append(struct.pack("<H", code) + lenenc_bytes(name.encode()))
        values.append(piece)
    return b"".join((lenenc(len(attributes)), b"\x01", bytes(nulls), b"\x01", *types, *values))


def typed(name: str, value: object) -> tuple[int, bytes]:
    if value is None:
        return FIELD_TYPE.NULL, b""
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return FIELD_TYPE.LONGLONG, struct.pack("<q", value)
    if isinstance(value, float):
        return FIELD_TYPE.DOUBLE, struct.pack("<d", value)
    if isinstance(value, str):
        return FIELD_TYPE.VAR_STRING, lenenc_bytes(value.encode())
    if isinstance(value, bytes):
        return FIELD_TYPE.VAR_STRING, lenenc_bytes(value)
    raise TypeError(
        f"query attribute {name!r} is {type(value).__name__}: "
        "use str, bytes, a 64-bit int, float or None"
    )
