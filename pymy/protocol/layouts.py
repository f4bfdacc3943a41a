"""How values look in binary rows, and the text that the same values have in text rows.

================  ==========================================================================
column            bytes
================  ==========================================================================
TINY ... LONGLONG 1, 2, 4 (also INT24, P52), 8, signed or not by the column's flag; YEAR: 2
FLOAT, DOUBLE     4, 8, IEEE 754
DATE, DATETIME    1 size: 0, 4, 7, 11, then 2 year, 1 month, 1 day, 1 hour, 1 minute, 1 second,
                  4 microseconds, as far as the size goes (P48)
TIME              1 size: 0, 8, 12, then 1 negative, 4 days, 1 hour, 1 minute, 1 second,
                  4 microseconds (P49)
everything else   lenenc string, the same bytes as in text
================  ==========================================================================

The text is what makes both protocols equal: policies and converters get it, whichever came.

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/packet_resultset_row
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from pymy.constants import FIELD_TYPE, FLAG
from pymy.protocol.columns import Column
from pymy.protocol.wire import Reader, malformed

_INTEGERS = {
    FIELD_TYPE.TINY: "b", FIELD_TYPE.SHORT: "h", FIELD_TYPE.YEAR: "h", FIELD_TYPE.INT24: "i",
    FIELD_TYPE.LONG: "i", FIELD_TYPE.LONGLONG: "q",
}  # fmt: skip
_DATETIMES = {FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP}
_DATES = {FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE}
# From here on a column's ``decimals`` says that their number is not fixed.
NOT_FIXED = 31

DATE = struct.Struct("<HBB")
MOMENT = struct.Struct("<HBBBBB")
FINE_MOMENT = struct.Struct("<HBBBBBI")
SPAN = struct.Struct("<BIBBB")
FINE_SPAN = struct.Struct("<BIBBBI")


class Form(Enum):
    """The five ways a value is laid out."""

    INTEGER = "integer"
    FLOAT = "float"
    MOMENT = "date and time, or date"
    SPAN = "time"
    STRING = "lenenc string"

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of one column.

    code: struct's letter of a fixed one. width: zeros are put in front up to it. decimals: digits
        behind the point, of seconds too; NOT_FIXED or more: as many as there are. dated: of a DATE.
    """

    form: Form
    code: str = ""
    width: int = 0
    decimals: int = NOT_FIXED
    dated: bool = False

    @property
    def size(self) -> int:
        """Bytes of a value that always has as many."""
        return struct.calcsize("<" + self.code)

    def text(self, reader: Reader) -> bytes:
        """Take one value, as a text row would have it."""
        if self.form is Form.STRING:
            return reader.lenenc_bytes()
        if self.form is Form.MOMENT:
            return _moment(reader.take(reader.integer(1)), self).encode()
        if self.form is Form.SPAN:
            return _span(reader.take(reader.integer(1)), self).encode()
        (number,) = struct.unpack("<" + self.code, reader.take(self.size))
        if self.form is Form.INTEGER:
            return b"%0*d" % (self.width, number)
        return float_text(number, self).zfill(self.width).encode()


def layout_of(column: Column) -> Layout:
    """Choose the layout by the type and the UNSIGNED flag, whatever the value becomes later."""
    code = column.type_code
    width = column.length if column.flags & FLAG.ZEROFILL else 0
    width = min(width, 255)  # what a display width can be
    if code in _INTEGERS:
        letter = _INTEGERS[code]
        unsigned = column.flags & FLAG.UNSIGNED or code == FIELD_TYPE.YEAR
        if code == FIELD_TYPE.YEAR:
            width = 4
        return Layout(Form.INTEGER, letter.upper() if unsigned else letter, width)
    decimals = min(column.decimals, NOT_FIXED)
    if code == FIELD_TYPE.FLOAT:
        return Layout(Form.FLOAT, "f", width, decimals)
    if code == FIELD_TYPE.DOUBLE:
        return Layout(Form.FLOAT, "d", width, decimals)
    if code in _DATETIMES:
        return Layout(Form.MOMENT, decimals=decimals)
    if code in _DATES:
        return Layout(Form.MOMENT, dated=True)
    if code == FIELD_TYPE.TIME:
        return Layout(Form.SPAN, decimals=decimals)
    return Layout(Form.STRING)


def _moment(piece: bytes, layout: Layout) -> str:
    micros = hour = minute = second = year = month = day = 0
    if len(piece) == 4:
        year, month, day = DATE.unpack(piece)
    elif len(piece) == 7:
        year, month, day, hour, minute, second = MOMENT.unpack(piece)
    elif len(piece) == 11:
        year, month, day, hour, minute, second, micros = FINE_MOMENT.unpack(piece)
    elif piece:
        raise malformed(f"a date of {len(piece)} bytes", piece)
    date = f"{year:04}-{month:02}-{day:02}"
    if layout.dated:
        return date
    return f"{date} {hour:02}:{minute:02}:{second:02}{_fraction(micros, layout.decimals)}"


def _span(piece: bytes, layout: Layout) -> str:
    micros = negative = days = hour = minute = second = 0
    if len(piece) == 8:
        negative, days, hour, minute, second = SPAN.unpack(piece)
    elif len(piece) == 12:
        negative, days, hour, minute, second, micros = FINE_SPAN.unpack(piece)
    elif piece:
        raise malformed(f"a time of {len(piece)} bytes", piece)
    sign = "-" if negative else ""
    hours = f"{days * 24 + hour:02}"
    return f"{sign}{hours}:{minute:02}:{second:02}{_fraction(micros, layout.decimals)}"


def _fraction(micros: int, decimals: int) -> str:
    digits = f"{micros:06}"
    kept = min(decimals, 6) if decimals < NOT_FIXED else 0
    # never less than there is: what a value is must not hang on how it is written
    kept = max(kept, len(digits.rstrip("0")))
    return f".{digits[:kept]}" if kept else ""


def float_text(value: float, layout: Layout) -> str:
    """Write a number as both servers do: a FLOAT with six digits, a DOUBLE with all it needs.

    Powers of ten from 1e15 up and below 1e-15 have an exponent, without "+" and zeros.
    """
    if layout.decimals < NOT_FIXED:
        return f"{value:.{layout.decimals}f}"
    shortest = f"{value:.6g}" if layout.code == "f" else repr(value)
    sign, digits, exponent = Decimal(shortest).normalize().as_tuple()
    if not isinstance(exponent, int):  # a NaN, which no server sends
        return shortest
    text = "".join(map(str, digits))
    point = len(text) + exponent
    if text == "0":
        point = 1
    if not -15 < point <= 15:
        rest = f".{text[1:]}" if text[1:] else ""
        text = f"{text[0]}{rest}e{point - 1}"
    elif point <= 0:
        text = f"0.{'0' * -point}{text}"
    elif point >= len(text):
        text += "0" * (point - len(text))
    else:
        text = f"{text[:point]}.{text[point:]}"
    return ("-" if sign else "") + text
