"""The text of a file for LOAD DATA: fields between tabs, rows between line feeds.

``\\N`` is NULL, a backslash takes the meaning from tabs, line feeds, NULs and itself. What text in
UTF-8 cannot be, the bytes of binary columns, goes in hexadecimal and is turned back by the server.

A field is text to the server, where an INSERT has numbers too. A number that a column would read
otherwise as text is written as what it becomes there, or refused: no column holds another value
than after an INSERT. Bytes for texts alone are UTF-8, whatever the column's character set.

Source: https://dev.mysql.com/doc/refman/8.4/en/load-data.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from math import isinf
from typing import Any

from . import converters
from .constants import CR, FIELD_TYPE, FLAG
from .err import DataError
from .protocol.columns import Column
from .sql import LiteralContext, escape_id

NULL = "\\N"
# Hexadecimal, which no SQL mode reads in another way.
FORMAT = (
    "CHARACTER SET utf8mb4 FIELDS TERMINATED BY X'09' ESCAPED BY X'5C' LINES TERMINATED BY X'0A'"
)
# Of a DECIMAL; a literal of more is another number to the server.
DIGITS = 65
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
_INTEGERS = frozenset(
    {
        FIELD_TYPE.TINY,
        FIELD_TYPE.SHORT,
        FIELD_TYPE.INT24,
        FIELD_TYPE.LONG,
        FIELD_TYPE.LONGLONG,
    }
)
_DECIMALS = frozenset({FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL})
_REALS = frozenset({FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE})
_CHARACTERS = _BYTES - {FIELD_TYPE.GEOMETRY, FIELD_TYPE.VECTOR}
_DATES = frozenset({FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP})
_SPACES = r"(?:\s|\\[tn])*"  # as they are escaped
_DECIMAL = re.compile(rf"{_SPACES}[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?{_SPACES}", re.ASCII | re.I)
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
        self.numbers: set[type] = set()
        self.enums: set[type] = set()

    def __missing__(self, cls: type) -> Callable[[Any], Plain]:
        made = self[cls] = self._find(cls)
        return made

    def check(self, value: Any) -> None:
        """Refuse what is no value, where it could go as SQL."""
        if self[type(value)] is _refuse:
            _refuse(value)
        if type(value) in self.enums:
            self.check(value.value)

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
            self.enums.add(cls)
            return lambda value: self[type(value.value)](value.value)
        if encoder in _QUOTED:
            return lambda value: write(value)[1:-1]
        if encoder in _NUMBERS:
            self.numbers.add(cls)
            return write
        if encoder is None or encoder is converters.escape_not_supported:
            self.numbers.add(cls)
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
        self.type_code = column.type_code
        self.number = self._number_writer(column)
        self.setting = ""
        if column.type_code == FIELD_TYPE.BIT or (
            column.is_binary and column.type_code in _BYTES and column.extended_type not in _TEXTS
        ):
            self.finish = self._hex
            self.setting = f"{self.name}=UNHEX({self.variable})"
        elif column.type_code in _DECIMALS:
            self.finish = self._decimal

    @property
    def target(self) -> str:
        return self.variable if self.setting else self.name

    def __missing__(self, cls: type) -> Callable[[Any], str]:
        made = self[cls] = self._find(cls)
        return made

    def _find(self, cls: type) -> Callable[[Any], str]:
        plain, finish, number = self.plain[cls], self.finish, self.number
        if cls in self.plain.enums:
            return lambda value: self[type(value.value)](value.value)
        if cls in self.plain.numbers:
            # the usual ones in one call, they are made for every value
            if (
                number is None
                or (number is _real and cls in (int, float))
                or (number == self._integer and cls in (int, Decimal))
            ):
                return plain  # type: ignore[return-value]
            return lambda value: number(plain(value))  # type: ignore[arg-type]
        if finish == self._text and plain is converters.plain_text:
            return _escaped
        return lambda value: finish(plain(value))

    def _number_writer(self, column: Column) -> Callable[[str], str] | None:
        """Return what writes a number, of its literal; None when the column reads that alike."""
        kind = column.type_code
        if kind in _DECIMALS:
            return None
        if kind in _REALS:
            return _real
        if kind in _INTEGERS:
            return self._integer
        if kind in _CHARACTERS and not column.flags & (FLAG.ENUM | FLAG.SET):
            return self._printed
        if kind == FIELD_TYPE.BIT:
            return self._bits
        if kind in _DATES or kind in (FIELD_TYPE.YEAR, FIELD_TYPE.TIME):
            return self._time
        return self._refuse

    def _wrong(self, what: str) -> DataError:
        return DataError(CR.CR_BAD_PARAMETER, what, sent=False)

    def _refuse(self, literal: str) -> str:
        raise self._wrong(
            f"the number {literal[:80]} for the column {self.name} would be read otherwise from a "
            "file than from an INSERT: pass the text it stands for, or use executemany()"
        )

    def _integer(self, literal: str) -> str:
        # of a half a DOUBLE becomes the even neighbour, a text the greater
        return str(round(float(literal))) if "e" in literal else literal

    def _whole(self, literal: str) -> int:
        number: Any = float(literal) if "e" in literal.lower() else Decimal(literal)
        # some columns round, some cut off
        if abs(number) > 2**64 or int(number) != number:
            self._refuse(literal)
        return int(number)

    def _printed(self, literal: str) -> str:
        double = "e" in literal.lower()
        if double and isinf(float(literal)):
            self._refuse(literal)
        text = _double(literal) if double else _real(literal)
        if text == "-0":  # MySQL has it, MariaDB has 0
            self._refuse(literal)
        if len(text) > DIGITS:
            self._refuse(literal)
        return self.finish(text)

    def _bits(self, literal: str) -> str:
        whole = self._whole(literal)
        if whole < -(2**63) or ("e" in literal and whole >= 2**63):
            self._refuse(literal)
        return f"{whole if whole >= 0 else whole + 2**64:x}"

    def _time(self, literal: str) -> str:
        whole, kind = self._whole(literal), self.type_code
        if kind == FIELD_TYPE.YEAR:
            return str(whole) if whole else "0000"  # "0" is 2000
        if kind == FIELD_TYPE.TIME:
            return str(whole) if abs(whole) < 10_000_000 else self._refuse(literal)
        if not whole:
            return "0000-00-00"
        text = str(whole)
        # two-digit years, and zeros that are not there, are guessed in two ways
        return text if len(text) in (8, 14) and whole > 0 else self._refuse(literal)

    def _text(self, value: Plain) -> str:
        if value is None:
            return NULL
        if isinstance(value, bytes):
            if self.type_code == FIELD_TYPE.JSON:
                raise self._wrong(f"bytes for the column {self.name}, which holds JSON: pass str")
            try:
                value = value.decode("utf-8")
            except UnicodeDecodeError:
                raise self._wrong(
                    f"bytes for the column {self.name}, which holds text, are not UTF-8: pass str"
                ) from None
        return _escaped(value)

    def _hex(self, value: Plain) -> str:
        if value is None:
            return NULL
        if isinstance(value, str) and self.type_code == FIELD_TYPE.VECTOR:
            raise self._wrong(f"text for the column {self.name}, which holds vectors: pass bytes")
        return (encoded(value, self.encoding) if isinstance(value, str) else value).hex()

    def _decimal(self, value: Plain) -> str:
        text = self._text(value)
        # MySQL would take the digits in front, with a note
        if value is not None and not _DECIMAL.fullmatch(text):
            raise self._wrong(f"{text[:80]!r} for the column {self.name} is no number")
        return text


def _real(literal: str) -> str:
    """Take the sign from a DECIMAL that is zero; a DOUBLE keeps it."""
    negative = literal.startswith("-") and not literal.strip("-0.")
    return literal[1:] if negative else literal


def _double(literal: str) -> str:
    """Return the text a server makes of a DOUBLE."""
    shortest = Decimal(repr(float(literal))).normalize()
    point = shortest.adjusted() + 1
    # with a fraction behind 16 digits as well
    if -14 <= point <= 15 or (point == 16 and shortest % 1):
        return f"{shortest:f}"
    mantissa = shortest.scaleb(1 - point)
    return f"{mantissa:f}e{point - 1}"


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
