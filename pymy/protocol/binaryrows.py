"""Rows of the binary protocol, decoded by the batch.

A row packet is 0x00, a bitmap of NULLs that begins at its third bit (P56), and the values that are
not NULL, laid out as ``layouts.py`` says. As with text rows the source of a decoder is generated
for each signature of columns; neighbours of fixed size are unpacked by one call where a row has no
NULL. ``decode_row`` goes by way of the text, and so gives what a text row gives.

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/packet_resultset_row
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from pymy.protocol import kinds
from pymy.protocol.columns import Column
from pymy.protocol.kinds import Decoding, Kind
from pymy.protocol.layouts import (
    DATE,
    FINE_MOMENT,
    FINE_SPAN,
    MOMENT,
    NOT_FIXED,
    SPAN,
    Form,
    Layout,
    layout_of,
)
from pymy.protocol.rows import (
    COLUMNS_BETWEEN_CUTS,
    Batch,
    Row,
    RowDecoder,
    Shared,
    compile_loop,
    sized,
    unconverted,
)
from pymy.protocol.wire import Reader, malformed


@dataclass(frozen=True, slots=True)
class BinaryKind:
    """What one column becomes: its layout, and the kind that its text has.

    ``native``: the layout's own value is the very one the text would give.
    """

    layout: Layout
    kind: Kind
    native: bool

    @property
    def fixed(self) -> bool:
        return self.native and bool(self.layout.code)


def binary_kind(column: Column, decoding: Decoding) -> BinaryKind:
    layout = layout_of(column)
    kind = decoding.kind(column)
    if layout.form is Form.MOMENT:
        native = kind is (decoding.date if layout.dated else decoding.datetime)
    else:
        native = kind is _NATIVE.get(layout.form)
    return BinaryKind(layout, kind, native)


_NATIVE = {Form.INTEGER: kinds.INTEGER, Form.FLOAT: kinds.FLOAT, Form.SPAN: kinds.TIME}


class BinaryRowDecoder(RowDecoder):
    """Decodes binary row packets of one signature."""

    def __init__(self, kinds: tuple[BinaryKind, ...], check_sequence: bool) -> None:
        super().__init__(tuple(kind.kind for kind in kinds), check_sequence)
        self.binary_kinds = kinds

    def _compiled(self) -> Batch:
        return compile_binary_batch(self.binary_kinds, self.check_sequence)

    def decode_row(self, payload: bytes, columns: Sequence[Column]) -> Row:
        """Decode one row, however large."""
        if payload[0]:
            raise malformed("a binary row that does not start as one", payload)
        reader = Reader(payload, 1)
        nulls = reader.take((len(self.binary_kinds) + 9) // 8)
        values: list[Any] = []
        for number, (kind, column) in enumerate(zip(self.binary_kinds, columns, strict=True), 2):
            if nulls[number >> 3] & 1 << (number & 7):
                values.append(None)
                continue
            text = kind.layout.text(reader)
            limit = kind.kind.limit
            if limit is not None and len(text) > limit.size:
                limit.refuse(column, len(text))
                values.append(None)
                continue
            try:
                values.append(kind.kind.convert(text))
            except Exception as exc:
                raise unconverted(column, text, exc) from exc
        if reader.left():
            raise malformed("a row with more columns than it announced", payload)
        return tuple(values)


def _span(negative: int, days: int, hour: int, minute: int, second: int, micros: int) -> timedelta:
    if days > 40 or hour > 23 or minute > 59 or second > 59 or micros > 999_999:
        raise ValueError("no time")  # the text's policy decides
    size = timedelta(days, hour * 3600 + minute * 60 + second, micros)
    return -size if negative else size


class _Writer:
    """Writes the code that takes the columns of a row ``d`` from offset ``q`` on."""

    def __init__(self, columns: Sequence[BinaryKind], scope: dict[str, Any]) -> None:
        self.columns = columns
        self.scope = scope
        self.first = 1 + (len(columns) + 9) // 8

    def name(self, value: Any) -> str:
        name = f"f{len(self.scope)}"
        self.scope[name] = value
        return name

    def full(self) -> list[str]:
        """All columns of a row without NULL: fixed ones that stand together in one step."""
        lines = [f"q = {self.first}"]
        number = 0
        while number < len(self.columns):
            run = number
            while run < len(self.columns) and self.columns[run].fixed:
                run += 1
            if run > number + 1:
                codes = "".join(each.layout.code for each in self.columns[number:run])
                unpack = struct.Struct("<" + codes)
                names = ", ".join(f"v{each}" for each in range(number, run))
                lines.append(f"{names} = {self.name(unpack.unpack_from)}(d, q); q += {unpack.size}")
                for each in range(number, run):
                    lines += self.rounded(each)
                number = run
            else:
                lines += self.column(number)
                number += 1
            if number % COLUMNS_BETWEEN_CUTS == 0:
                lines.append("d = d[q:]; q = 0")  # small offsets are integers that CPython keeps
        return lines

    def sparse(self) -> list[str]:
        """All columns of a row, each looked up among the NULLs."""
        lines = [f"q = {self.first}"]
        for number in range(len(self.columns)):
            at = number + 2
            lines.append(f"if m[{at >> 3}] & {1 << (at & 7)}: v{number} = None")
            lines += ["else:", *("  " + line for line in self.column(number))]
            if number % COLUMNS_BETWEEN_CUTS == COLUMNS_BETWEEN_CUTS - 1:
                lines.append("d = d[q:]; q = 0")
        return lines

    def column(self, number: int) -> list[str]:
        column = self.columns[number]
        layout, value = column.layout, f"v{number}"
        if layout.form is Form.STRING:
            return self.string(number)
        if not column.native:
            convert = column.kind.convert
            return [
                f"r = {self.name(Reader)}(d, q)",
                f"{value} = {self.name(convert)}({self.name(layout)}.text(r)); q = r.pos",
            ]
        if layout.form is Form.MOMENT:
            sizes = (DATE,) if layout.dated else (MOMENT, FINE_MOMENT, DATE)
            make = self.name(date if layout.dated else datetime)
            lines = ["n = d[q]"]
            for at, size in enumerate(sizes):
                word = "elif" if at else "if"
                unpack = self.name(size.unpack_from)
                lines.append(
                    f"{word} n == {size.size}: "
                    f"{value} = {make}(*{unpack}(d, q + 1)); q += {size.size + 1}"
                )
            return [*lines, "else: return p, sequence, True"]
        if layout.form is Form.SPAN:
            make = self.name(_span)
            return [
                "n = d[q]",
                f"if n == 8: {value} = {make}(*{self.name(SPAN.unpack_from)}(d, q + 1), 0); q += 9",
                f"elif n == 12: "
                f"{value} = {make}(*{self.name(FINE_SPAN.unpack_from)}(d, q + 1)); q += 13",
                f"elif not n: {value} = {self.name(timedelta(0))}; q += 1",
                "else: return p, sequence, True",
            ]
        if layout.size == 1 and layout.code == "B":
            return [f"{value} = d[q]; q += 1"]
        unpack = self.name(_unpack(layout.code))
        lines = [f"{value}, = {unpack}(d, q); q += {layout.size}"]
        return lines + self.rounded(number)

    def rounded(self, number: int) -> list[str]:
        """Give a number the digits that its text has."""
        layout, value = self.columns[number].layout, f"v{number}"
        if layout.form is Form.FLOAT and layout.decimals < NOT_FIXED:
            return [f"{value} = round({value}, {layout.decimals})"]
        if layout.code == "f":
            return [f"{value} = float('%.6g' % {value})"]
        return []

    def string(self, number: int) -> list[str]:
        kind, value = self.columns[number].kind, f"v{number}"
        call = "" if kind.function is None else self.name(kind.function)
        expression = kind.template.format(piece="d[s:q]", call=call)
        return [
            "n = d[q]; s = q + 1",
            *sized(kind, f"q = s + n; {value} = {expression}", None),
        ]


@lru_cache(maxsize=16)
def _unpack(code: str) -> Callable[..., tuple[Any, ...]]:
    return struct.Struct("<" + code).unpack_from


def compile_binary_batch(columns: Sequence[BinaryKind], check_sequence: bool) -> Batch:
    """Generate and compile the loop over all row packets of a buffer for one signature."""
    scope: dict[str, Any] = {}
    writer = _Writer(columns, scope)
    full, sparse = writer.full(), writer.sparse()
    body = [
        "if d[0]: return p, sequence, True",
        f"m = d[1:{writer.first}]",
        f"if m == {bytes(writer.first - 1)!r}:",
        *("  " + line for line in full),
        "else:",
        *("  " + line for line in sparse),
    ]
    return compile_loop(body, len(columns), check_sequence, scope)


_decoders = Shared(BinaryRowDecoder)


def binary_decoder_for(
    columns: Sequence[Column], decoding: Decoding, check_sequence: bool
) -> BinaryRowDecoder:
    """Return the decoder of the columns' signature; it is shared by all connections."""
    return _decoders(tuple(binary_kind(column, decoding) for column in columns), check_sequence)
