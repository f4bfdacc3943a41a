"""Which statements of ``executemany`` may go out in one text."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from .converters import default_encoders
from .protocol.pipelining import takes_several
from .sql import has_several

if TYPE_CHECKING:
    from .base import BaseConnection

# Their literals are whole in every SQL mode.
_PLAIN = frozenset(
    {
        type(None), bool, int, float, str, bytes, bytearray, Decimal, UUID,
        datetime.date, datetime.datetime, datetime.time, datetime.timedelta,
    }
)  # fmt: skip
_GIVES_NO_ROWS = re.compile(r"\s*(?:UPDATE|DELETE|INSERT|REPLACE|CALL|DO)\b", re.IGNORECASE)
# What another statement cannot stand behind, what gives rows, and what would end elsewhere in the
# other SQL mode, should the server lie about it.
_NOT_JOINED = re.compile(r";|--|#|/\*|\\|\bRETURNING\b", re.IGNORECASE)


def joining(connection: BaseConnection, sql: str) -> Callable[[Any], bool] | None:
    """Return what tells of a row whether its statement may stand beside others.

    None where none may: only text of pymy's own making goes out while the server takes several
    statements in one.
    """
    session, context = connection._session, connection._context
    if (
        _GIVES_NO_ROWS.match(sql) is None
        or _NOT_JOINED.search(sql) is not None
        or not takes_several(session)
        or context.guarded
        or connection.query_attributes
        or connection._encoders != default_encoders
        # a quote that is left open would take the statements behind it in
        or not has_several(f"{sql};x", no_backslash_escapes=context.no_backslash_escapes)
    ):
        return None
    return _is_plain


def _is_plain(row: Any) -> bool:
    values = row.values() if isinstance(row, Mapping) else row
    if not isinstance(row, (Mapping, tuple, list)):
        values = (row,)
    return all(type(value) in _PLAIN for value in values)
