"""Which Python value a column's text becomes: type first, charset only for strings (P43)."""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache, partial
from typing import Any

from pymy import err, texts
from pymy.constants import CR, FIELD_TYPE
from pymy.protocol.columns import Column

_INTEGERS = {
    FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG,
    FIELD_TYPE.YEAR,
}  # fmt: skip
_FLOATS = {FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE}
_DECIMALS = {FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL}
_DATETIMES = {FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP}
_DATES = {FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE}
_SHORT = _INTEGERS | _FLOATS | _DECIMALS | _DATETIMES | _DATES | {FIELD_TYPE.TIME}
_ALWAYS_BYTES = {FIELD_TYPE.BIT, FIELD_TYPE.GEOMETRY}
_STRINGS = {
    FIELD_TYPE.VARCHAR, FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING, FIELD_TYPE.ENUM, FIELD_TYPE.SET,
    FIELD_TYPE.TINY_BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB, FIELD_TYPE.BLOB,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limit:
    """The longest value of a column in bytes; a longer one is NULL or an error."""

    size: int
    null: bool = False

    def refuse(self, column: Column, size: int) -> None:
        """Raise DataError for a value that is too long, unless it is NULL."""
        if not self.null:
            raise err.DataError(
                CR.CR_DATA_TRUNCATED,
                f"Column {column.name!r} holds {size} bytes, more than max_column_length="
                f"{self.size}: raise it, select less, or read the value with stream_value()",
            )


@dataclass(frozen=True, slots=True)
class Kind:
    """How the bytes of one column become a value.

    ``template`` is a Python expression over the bytes, with ``{piece}`` for them and ``{call}`` for
    ``function``; ``convert`` gives the same value, or the value by policy where the expression
    fails (a zero date). ``limit``: how long it may be.
    """

    template: str
    function: Callable[[Any], Any] | None
    convert: Callable[[bytes], Any]
    limit: Limit | None = None

    def expression(self, number: int) -> tuple[str, dict[str, Any]]:
        name = f"f{number}"
        text = self.template.format(piece="d[s:q]", call=name)
        return text, {} if self.function is None else {name: self.function}


def _decoded(convert: Callable[[str], Any], piece: bytes) -> Any:
    return convert(piece.decode())


def _text(codec: str, piece: bytes) -> str:
    return piece.decode(codec)


def vector(piece: bytes) -> array[float]:
    values = array("f")
    values.frombytes(piece)
    if sys.byteorder == "big":  # the wire is little-endian on every machine
        values.byteswap()
    return values


INTEGER = Kind("int({piece})", None, int)
FLOAT = Kind("float({piece})", None, float)
BYTES = Kind("{piece}", None, bytes)
DECIMAL = Kind("{call}({piece}.decode())", Decimal, partial(_decoded, Decimal))
TIME = Kind("{call}({piece}.decode())", texts.parse_time, partial(_decoded, texts.parse_time))
VECTOR = Kind("{call}({piece})", vector, vector)


class Decoding:
    """A connection's choices for values that come out.

    encoding: Python codec of character_set_results, or None for bytes everywhere (use_unicode off).
    overrides: converters by FIELD_TYPE (they get str, or bytes for binary columns) or by MariaDB's
        extended type name ("uuid", "inet6", "json"); or pairs of a FLAG mask and a converter.
    missing: FIELD_TYPE numbers whose converter was taken away: their text is left as it came.
    limit: of the values that are strings, in text and in binary rows.
    """

    def __init__(
        self,
        *,
        encoding: str = "utf-8",
        use_unicode: bool = True,
        zero_dates: str = "str",
        json_objects: bool = False,
        overrides: Mapping[Any, Callable[[Any], Any]] | None = None,
        missing: frozenset[int] = frozenset(),
        limit: Limit | None = None,
    ) -> None:
        self.limit = limit
        self.use_unicode = use_unicode
        self.json_objects = json_objects
        self.overrides = overrides or {}
        self.missing = missing
        self.encoding = encoding
        self.string = text_kind(encoding) if use_unicode else BYTES
        self.datetime = _dated(datetime.fromisoformat, texts.parse_datetime, zero_dates)
        self.date = _dated(date.fromisoformat, texts.parse_date, zero_dates)

    def kind(self, column: Column) -> Kind:
        """Choose the kind of one column."""
        kind = self._unlimited(column)
        if self.limit is None or column.type_code in _SHORT:
            return kind
        return replace(kind, limit=self.limit)

    def _unlimited(self, column: Column) -> Kind:
        code = column.type_code
        override = self.overrides.get(column.extended_type or column.extended_format)
        if override is None:
            override = self.overrides.get(code)
        if isinstance(override, Sequence):
            override = _by_flags(override, column.flags)
            if override is None:
                return self._default(column)
        if override is not None or code in self.missing:
            return self._custom(column, override)
        return self._default(column)

    def _default(self, column: Column) -> Kind:
        code = column.type_code
        if code in _INTEGERS:
            return INTEGER
        if code in _STRINGS:
            return self._string(column)
        if code in _FLOATS:
            return FLOAT
        if code in _DECIMALS:
            return DECIMAL
        if code in _DATETIMES:
            return self.datetime
        if code in _DATES:
            return self.date
        if code == FIELD_TYPE.TIME:
            return TIME
        if code == FIELD_TYPE.JSON:
            return self._json()
        if code == FIELD_TYPE.VECTOR:
            return VECTOR
        return BYTES if code in _ALWAYS_BYTES or column.is_binary else self.string

    def _string(self, column: Column) -> Kind:
        if column.extended_format == "json":
            return self._json()
        if column.is_binary and not column.extended_type:
            return BYTES
        return self.string

    def _json(self) -> Kind:
        # JSON reports charset binary but is sent in the connection's (P44)
        return _custom(json.loads, self.encoding) if self.json_objects else self.string

    def _codec(self, column: Column) -> str | None:
        """Return the codec of what a user's converter gets; None leaves it the bytes."""
        if not self.use_unicode or column.type_code in _ALWAYS_BYTES | {FIELD_TYPE.VECTOR}:
            return None
        if column.type_code in _STRINGS and column.is_binary and not column.extended_type:
            return None
        return self.encoding if column.type_code in _STRINGS else "utf-8"

    def _custom(self, column: Column, convert: Callable[[Any], Any] | None) -> Kind:
        codec = None if convert is bytes else self._codec(column)
        if convert is None:
            return BYTES if codec is None else text_kind(codec)
        return _custom(convert, codec)


def _by_flags(
    choices: Sequence[tuple[int | None, Callable[[Any], Any]]], flags: int
) -> Callable[[Any], Any] | None:
    """Choose as mysqlclient does: the first whose FLAG mask meets the column's; None meets all."""
    return next((convert for mask, convert in choices if mask is None or mask & flags), None)


@dataclass(frozen=True)
class _Custom:
    """A user's converter over a codec; equal by content, so that signatures are shared."""

    convert: Callable[[Any], Any]
    codec: str | None

    def __call__(self, piece: bytes) -> Any:
        return self.convert(piece if self.codec is None else piece.decode(self.codec))


def _custom(convert: Callable[[Any], Any], codec: str | None) -> Kind:
    piece = "{piece}" if codec is None else f"{{piece}}.decode({codec!r})"
    return Kind(f"{{call}}({piece})", convert, _Custom(convert, codec))


@cache
def text_kind(codec: str) -> Kind:
    template = "{piece}.decode()" if codec == "utf-8" else f"{{piece}}.decode({codec!r})"
    return Kind(template, None, partial(_text, codec))


@cache
def _dated(fast: Callable[[str], Any], parse: Callable[[str, Any], Any], zero_dates: str) -> Kind:
    def convert(piece: bytes) -> Any:
        text = piece.decode()
        try:
            return fast(text)
        except ValueError:
            return parse(text, zero_dates)

    return Kind("{call}({piece}.decode())", fast, convert)
