"""The types that ``cursor.setinputsizes()`` asks for: parameters as others than their own."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pymy import typesets
from pymy.constants import FIELD_TYPE
from pymy.constants.FIELD_TYPE import FieldType
from pymy.protocol.layouts import DATE, FINE_MOMENT, FINE_SPAN, MOMENT, SPAN
from pymy.protocol.params import (
    LONG_BLOB,
    NEWDECIMAL,
    NULL,
    VAR_STRING,
    LongData,
    Parameter,
    bind,
)
from pymy.protocol.wire import lenenc_bytes
from pymy.sql import LiteralContext

_DAY = r"(\d{1,4})-(\d\d?)-(\d\d?)"
_CLOCK = r"(\d\d?):(\d\d):(\d\d)(?:\.(\d{1,6}))?"
_MOMENT = re.compile(rf"{_DAY}(?:[ T]{_CLOCK})?")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,4})?")
_SPAN = re.compile(r"(-?)(\d{1,3}):(\d\d):(\d\d)(?:\.(\d{1,6}))?")

# What stands for a group of types; JSON, BIT and the like have no layout of their own.
_GROUPS: dict[frozenset[int], int] = {
    typesets.STRING | {FIELD_TYPE.VARCHAR, FIELD_TYPE.SET, FIELD_TYPE.JSON}: VAR_STRING,
    typesets.BINARY | {FIELD_TYPE.BIT, FIELD_TYPE.GEOMETRY}: LONG_BLOB,
    frozenset({FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG,
               FIELD_TYPE.LONGLONG, FIELD_TYPE.YEAR}): int(FIELD_TYPE.LONGLONG),
    frozenset({FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE}): int(FIELD_TYPE.DOUBLE),
    frozenset({FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL}): NEWDECIMAL,
    typesets.DATE | frozenset(): int(FIELD_TYPE.DATE),
    typesets.TIME | frozenset(): int(FIELD_TYPE.TIME),
    typesets.TIMESTAMP | frozenset(): int(FIELD_TYPE.DATETIME),
}  # fmt: skip


def wanted(size: object) -> int | None:
    """Return the type an entry asks for, None for none: an int is a length, by PEP 249."""
    if isinstance(size, FieldType):
        return next((code for group, code in _GROUPS.items() if int(size) in group), None)
    if size is typesets.NUMBER:
        return NEWDECIMAL
    if isinstance(size, typesets.DBAPISet) and size:
        return next((code for group, code in _GROUPS.items() if frozenset(size) <= group), None)
    return None


def force(
    values: Sequence[Any],
    parameters: Sequence[Parameter],
    types: Sequence[int | None],
    context: LiteralContext,
) -> list[Parameter]:
    """Give parameters other types; ValueError for a value that has no such form."""
    found = list(parameters)
    for number, (code, value) in enumerate(zip(types, values, strict=False)):
        own, piece = found[number]
        if code is not None and own not in (NULL, code) and not isinstance(piece, LongData):
            found[number] = _forced(code, value, found[number], context)
    return found


def _forced(code: int, value: Any, own: Parameter, context: LiteralContext) -> Parameter:
    own_code, piece = own
    if own_code in (VAR_STRING, LONG_BLOB, NEWDECIMAL):
        assert isinstance(piece, bytes)
        text = _unframed(piece)
    else:
        text = context.write(value).encode("ascii")
    if code in (VAR_STRING, LONG_BLOB):
        return code, lenenc_bytes(text)
    word = text.decode("ascii").strip()  # UnicodeDecodeError is a ValueError
    if code == FIELD_TYPE.DATE or code == FIELD_TYPE.DATETIME:
        return code, _moment(word, dated=code == FIELD_TYPE.DATE)
    if code == FIELD_TYPE.TIME:
        return code, _span(word)
    if _NUMBER.fullmatch(word) is None:
        raise ValueError(f"{word[:40]!r} is no number")
    number = Decimal(word)
    if code == FIELD_TYPE.LONGLONG and (number.adjusted() > 19 or number != int(number)):
        raise ValueError(f"{word[:40]!r} is no integer")
    make = {FIELD_TYPE.LONGLONG: int, FIELD_TYPE.DOUBLE: float}.get(code, Decimal)
    return bind((make(number),), context)[0]


def _unframed(piece: bytes) -> bytes:
    """Take the length off a lenenc string."""
    head = {0xFC: 3, 0xFD: 4, 0xFE: 9}.get(piece[0], 1) if piece else 0
    return piece[head:]


def _micros(digits: str | None) -> int:
    return int((digits or "").ljust(6, "0"))


def _moment(text: str, *, dated: bool) -> bytes:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no date")
    *parts, fraction = match.groups()
    numbers = [int(part or 0) for part in parts]
    if any(number > most for number, most in zip(numbers[1:], (12, 31, 23, 59, 59), strict=True)):
        raise ValueError(f"{text[:40]!r} is no date")
    micros = _micros(fraction)
    if dated and not any(numbers[3:]) and not micros:
        return _sized(DATE, *numbers[:3])
    if dated:
        raise ValueError(f"{text[:40]!r} has a time of day")
    return _sized(FINE_MOMENT, *numbers, micros) if micros else _sized(MOMENT, *numbers)


def _span(text: str) -> bytes:
    match = _SPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no time")
    sign, hours, minutes, seconds, fraction = match.groups()
    if int(hours) > 838 or int(minutes) > 59 or int(seconds) > 59:
        raise ValueError(f"{text[:40]!r} is no time")
    days, hour = divmod(int(hours), 24)
    parts = (int(bool(sign)), days, hour, int(minutes), int(seconds))
    micros = _micros(fraction)
    return _sized(FINE_SPAN, *parts, micros) if micros else _sized(SPAN, *parts)


def _sized(layout: struct.Struct, *parts: int) -> bytes:
    return bytes([layout.size]) + layout.pack(*parts)
