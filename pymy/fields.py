"""The text of a file for LOAD DATA: fields between tabs, rows between line feeds.

``\\N`` is NULL, a backslash takes the meaning from tabs, line feeds, NULs and itself. What text in
UTF-8 cannot be, the bytes of binary columns, goes in hexadecimal and is turned back by the server.

Source: https://dev.mysql.com/doc/refman/8.4/en/load-data.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from . import converters
from .constants import CR, FIELD_TYPE
from .err import DataError
from .protocol.columns import Column
from .sql import LiteralContext, escape_id

NULL = "\\N"
# Hexadecimal, which no SQL mode reads in another way.
FORMAT = (
    "CHARACTER SET utf8mb4 FIELDS TERMINATED BY X'09' ESCAPED BY X'5C' LINES TERMINATED BY X'0A'"
)
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\0": "\\0"})
_BYTES = frozenset(
    {
        FIELD_TYPE.STRING,
        FIELD_TYPE.VAR_STRING,
        FIELD_TYPE.VARCHAR,
        FIELD_TYPE.TINY_BLOB,
        FIELD_TYPE.BLOB,
        FIELD_TYPE.MEDIUM_BLOB,
        FIELD_TYPE.LONG_BLOB,
        FIELD_TYPE.GEOMETRY,
        FIELD_TYPE.VECTOR,
    }
)
_TEXTS = frozenset({"uuid", "inet4", "inet6"})  # MariaDB's types that look like bytes
_NUMBERS = (
    converters.escape_int,
    converters.escape_bool,
    converters.escape_float,
    converters.Decimal2Literal,
)
_QUOTED = (
    converters.escape_date,
    converters.escape_datetime,
    converters.escape_time,
    converters.escape_timedelta,
    converters.escape_struct_time,
    converters.escape_uuid,
)

Plain = str | bytes | None


class Plainer(dict[type, Callable[[Any], Plain]]):
    """Type to what makes its values text or bytes, filled as types are met."""

    def __init__(self, context: LiteralContext) -> None:
        self.context = context

    def __missing__(self, cls: type) -> Callable[[Any], Plain]:
        made = self[cls] = self._find(cls)
        return made

    def check(self, value: Any) -> None:
        """Refuse what is no value, where it could go as SQL."""
        if self[type(value)] is _refuse:
            _refuse(value)

    def _find(self, cls: type) -> Callable[[Any], Plain]:
        if hasattr(cls, "__mysql_literal__"):
            return _refuse
        write = self.context.writers[cls]
        encoder = next(filter(None, map(self.context.encoder, cls.__mro__)), None)
        if encoder is converters.escape_None:
            return lambda value: None
        if encoder is converters.escape_str:
            return converters.plain_text
        if encoder in (converters.escape_bytes, converters.escape_buffer):
            return lambda value: memoryview(value).tobytes()
        if encoder is converters.escape_enum:
            return lambda value: self[type(value.value)](value.value)
        if encoder in _QUOTED:
            return lambda value: write(value)[1:-1]
        if encoder in _NUMBERS:
            return write
        if encoder is None or encoder is converters.escape_not_supported:
            return lambda value: _number(write(value), value)
        return _refuse


def _refuse(value: Any) -> Plain:
    raise TypeError(
        f"{type(value).__name__} is SQL as a parameter, and load_rows() writes values: pass what "
        "it stands for, or use executemany()"
    )


def _number(text: str, value: Any) -> str:
    """Take the literal of another library's number."""
    try:
        float(text)
    except ValueError:
        _refuse(value)
    return text


class Field(dict[type, Callable[[Any], str]]):
    """One column: what writes its values, by type, and what the server is to make of them."""

    def __init__(self, column: Column, number: int, plain: Plainer) -> None:
        context = plain.context
        self.plain = plain
        self.column = column.name
        self.name = escape_id(column.name, qualified=False, context=context)
        self.encoding = context.encoding
        self.variable = f"@_pymy_{number}"
        self.finish = self._text
        self.setting = ""
        if column.type_code == FIELD_TYPE.BIT:
            self.finish = self._bits
            self.setting = f"{self.name}=CAST(CONV({self.variable},16,10) AS UNSIGNED)"
        elif column.is_binary and column.type_code in _BYTES and column.extended_type not in _TEXTS:
            self.finish = self._hex
            self.setting = f"{self.name}=UNHEX({self.variable})"

    @property
    def target(self) -> str:
        return self.variable if self.setting else self.name

    def __missing__(self, cls: type) -> Callable[[Any], str]:
        made = self[cls] = self._find(cls)
        return made

    def _find(self, cls: type) -> Callable[[Any], str]:
        plain, finish = self.plain[cls], self.finish
        if finish == self._text:  # the usual ones in one call, they are made for every value
            if plain is converters.plain_text:
                return _escaped
            if cls in (int, float, Decimal):
                return plain  # type: ignore[return-value]
        return lambda value: finish(plain(value))

    def _text(self, value: Plain) -> str:
        if value is None:
            return NULL
        if isinstance(value, bytes):
            try:
                value = value.decode("utf-8")
            except UnicodeDecodeError:
                raise DataError(
                    CR.CR_BAD_PARAMETER,
                    f"bytes for the column {self.name}, which holds text, are not UTF-8: pass str",
                    sent=False,
                ) from None
        return _escaped(value)

    def _hex(self, value: Plain) -> str:
        if value is None:
            return NULL
        return (encoded(value, self.encoding) if isinstance(value, str) else value).hex()

    def _bits(self, value: Plain) -> str:
        if isinstance(value, str) and value.lstrip("-").isdigit():
            return f"{int(value):x}"
        return self._hex(value)


def _escaped(text: str) -> str:
    # looking costs less than translating, and most texts have nothing to escape
    if "\\" in text or "\t" in text or "\n" in text or "\0" in text:
        return text.translate(_ESCAPES)
    return text


def encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as exc:
        raise DataError(
            CR.CR_BAD_PARAMETER,
            f"a value holds {text[exc.start]!a}, which {encoding} lacks: replace it",
            sent=False,
        ) from None


def line_writer(fields: Sequence[Field]) -> Callable[[Sequence[Any]], bytes]:
    """Return a function that writes one row, which has as many values."""

    def write(row: Sequence[Any]) -> bytes:
        texts = [field[type(value)](value) for field, value in zip(fields, row, strict=True)]
        return encoded("\t".join(texts) + "\n", "utf-8")

    return write
