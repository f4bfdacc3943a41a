"""Rows of the text protocol, decoded by the batch.

A row packet is a sequence of columns, each 0xFB for NULL or a lenenc string. One decoder serves
every result with the same signature (kinds of columns): it walks all complete row packets in a
buffer and touches each value once. Its source is generated and compiled when the signature has
shown to be worth it; before that, and for a row the generated code gives up on, ``decode_row`` does
the same by a loop and names the column in the error.

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/result-set-packets
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pymy import err
from pymy.constants import CR
from pymy.protocol.columns import Column
from pymy.protocol.kinds import Decoding, Kind
from pymy.protocol.wire import Reader, malformed

Row = tuple[Any, ...]
Batch = Callable[[bytes, int, int, int, list[Row]], tuple[int, int, bool]]

# A signature is compiled (about 0.06 ms a column) after so many rows, and if it is not this wide:
# compile time and the size of the code grow with the columns.
ROWS_BEFORE_COMPILING = 40
WIDEST_COMPILED = 400
COLUMNS_BETWEEN_CUTS = 12
# A buffer that can hold a packet of 16 MiB - 1, which another one continues, is left to the loop.
HUGE = 0xFFFFFF + 4


class RowDecoder:
    """Decodes row packets of one signature."""

    def __init__(self, kinds: tuple[Kind, ...], check_sequence: bool) -> None:
        self.kinds = kinds
        self.check_sequence = check_sequence
        self.seen = 0
        self._batch: Batch | None = None

    def batch(self) -> Batch | None:
        if self._batch is None and self.seen >= ROWS_BEFORE_COMPILING:
            if len(self.kinds) > WIDEST_COMPILED:
                return None
            self._batch = self._compiled()
        return self._batch

    def _compiled(self) -> Batch:
        return compile_batch(self.kinds, self.check_sequence)

    def decode(
        self, data: bytes, start: int, sequence: int, columns: Sequence[Column], rows: list[Row]
    ) -> tuple[int, int]:
        """Append every complete row packet of ``data[start:]`` to ``rows``.

        Returns where it stopped and the next sequence id: before an incomplete packet, one that is
        not a row, one of 16 MiB (a part of a longer row), or one with a wrong sequence id.

        Raises DataError for a value that will not convert, with ``rows`` and the position of the
        row in ``position``.
        """
        end = len(data)
        known = len(rows)
        try:
            while True:
                batch = self.batch() if end - start < HUGE else None
                failed = True
                if batch is not None:
                    start, sequence, failed = batch(data, start, end, sequence, rows)
                if not failed:
                    return start, sequence
                stop = row_end(data, start, end, sequence if self.check_sequence else None)
                if not stop:
                    return start, sequence
                try:
                    rows.append(self.decode_row(data[start + 4 : stop], columns))
                finally:
                    start = stop
                    sequence = (sequence + 1) & 0xFF
                if batch is None:
                    self.seen += 1
        except err.DataError as exc:
            exc.position = (start, sequence)  # type: ignore[attr-defined]
            raise
        finally:
            if self._batch is not None:
                self.seen += len(rows) - known

    def decode_row(self, payload: bytes, columns: Sequence[Column]) -> Row:
        """Decode one row, however large."""
        reader = Reader(payload)
        values: list[Any] = []
        for kind, column in zip(self.kinds, columns, strict=True):
            if reader.pos < len(payload) and payload[reader.pos] == 0xFB:
                reader.pos += 1
                values.append(None)
                continue
            value = reader.lenenc_bytes()
            if kind.limit is not None and len(value) > kind.limit.size:
                kind.limit.refuse(column, len(value))
                values.append(None)
                continue
            try:
                values.append(kind.convert(value))
            except Exception as exc:
                raise unconverted(column, value, exc) from exc
        if reader.left():
            raise malformed("a row with more columns than it announced", payload)
        return tuple(values)


def unconverted(column: Column, value: bytes, exc: Exception) -> err.DataError:
    """Make the error of a value that its converter would not take."""
    shown = repr(value[:64]) + (f"... ({len(value)} bytes)" if value[64:] else "")
    return err.DataError(
        CR.CR_CONVERSION_ERROR,
        f"Column {column.name!r} holds {shown}, which does not convert: {str(exc)[:200]}. "
        "Change the column's converter with conv=, or its charset, or zero_dates=",
    )


def row_end(data: bytes, start: int, end: int, sequence: int | None) -> int:
    """Return the end of the row packet at ``start``, 0 when there is no complete row packet."""
    if end - start < 5:
        return 0
    size = data[start] | data[start + 1] << 8 | data[start + 2] << 16
    stop = start + 4 + size
    if stop > end or size == 0xFFFFFF or not size or data[start + 4] >= 0xFE:
        return 0
    if sequence is not None and data[start + 3] != sequence:
        return 0
    return stop


def compile_batch(kinds: tuple[Kind, ...], check_sequence: bool) -> Batch:
    """Generate and compile the loop over all row packets of a buffer for one signature.

    The row is cut out of the buffer first, and again after every few columns: offsets below 257 are
    integers that CPython keeps, larger ones would be made and freed twice a column.
    """
    scope: dict[str, Any] = {}
    body = []
    for number, kind in enumerate(kinds):
        value = f"v{number}"
        expression, names = kind.expression(number)
        scope.update(names)
        if number % COLUMNS_BETWEEN_CUTS:
            body.append("n = d[q]; s = q + 1")
        else:
            body += ["d = d[q:]"] if number else []
            body.append("n = d[0]; s = 1")
        body += sized(kind, f"q = s + n; {value} = {expression}", f"{value} = None; q = s")
    return compile_loop(body, len(kinds), check_sequence, scope)


def sized(kind: Kind, take: str, null: str | None) -> list[str]:
    """Write the code that reads the length of a lenenc string and takes it.

    One that is too long or beyond 16 MiB is left to ``decode_row``.
    """
    longest = kind.limit.size if kind.limit is not None else 0xFFFFFF
    check = [f"  if n > {longest}: return p, sequence, True"] if longest < 0xFFFFFF else []
    return [
        f"if n < {min(251, longest + 1)}: {take}",
        *([f"elif n == 251: {null}"] if null is not None else []),
        "elif n == 252:",
        "  n = d[s] | d[s + 1] << 8; s += 2",
        *check,
        f"  {take}",
        "elif n == 253:",
        "  n = d[s] | d[s + 1] << 8 | d[s + 2] << 16; s += 3",
        *check,
        f"  {take}",
        "else: return p, sequence, True",
    ]


def compile_loop(
    body: Sequence[str], columns: int, check_sequence: bool, scope: dict[str, Any]
) -> Batch:
    """Compile the loop over row packets; ``body`` takes a row's values v0, v1 ... from ``d``."""
    row = "".join(f"v{number}, " for number in range(columns))
    wrong_number = " or data[p + 3] != sequence" if check_sequence else ""
    source = [
        "def batch(data, p, end, sequence, rows):",
        "  last = end - 5",
        "  try:",
        "    while True:",
        "      for sequence in range(sequence, 256):",
        "        if p > last: return p, sequence, False",
        "        stop = p + 4 + (data[p] | data[p + 1] << 8 | data[p + 2] << 16)",
        # what ends rows starts with 0xFE or 0xFF, no first column does: left to the caller
        f"        if stop > end{wrong_number}: return p, sequence, False",
        "        d = data[p + 4:stop]",
        *("        " + line for line in body),
        # a length that lies ends elsewhere than its packet
        "        if q != len(d): return p, sequence, True",
        f"        rows.append(({row}))",
        "        p = stop",
        "      sequence = 0",
        "  except Exception:",
        "    return p, sequence, True",
    ]
    exec("\n".join(source), scope)
    batch: Batch = scope["batch"]
    return batch


# Compiled code takes about 1 KiB a column for as long as its decoder is kept, and the server says
# how many columns there are: few wide ones are kept, and none that is never compiled.
NARROW = 40
K = TypeVar("K")
D = TypeVar("D", bound=RowDecoder)


class Shared(Generic[K, D]):
    """Makes decoders by their signature, and gives the same one for the same signature."""

    def __init__(self, make: Callable[[tuple[K, ...], bool], D]) -> None:
        self._make = make
        self._narrow = lru_cache(maxsize=256)(make)
        self._wide = lru_cache(maxsize=16)(make)

    def __call__(self, kinds: tuple[K, ...], check_sequence: bool) -> D:
        if len(kinds) > WIDEST_COMPILED:
            return self._make(kinds, check_sequence)
        shared = self._narrow if len(kinds) <= NARROW else self._wide
        try:
            return shared(kinds, check_sequence)
        except TypeError:  # a user's converter that cannot be hashed
            return self._make(kinds, check_sequence)


_decoders = Shared(RowDecoder)


def decoder_for(columns: Sequence[Column], decoding: Decoding, check_sequence: bool) -> RowDecoder:
    """Return the decoder of the columns' signature; it is shared by all connections."""
    return _decoders(tuple(decoding.kind(column) for column in columns), check_sequence)
