"""Rows that are not held whole: read column by column, as they arrive.

A row is nothing but its columns behind each other, so it can be taken from the line in pieces of
any size. One of 16 MiB or more is continued in further packets, which ``Framing.piece`` joins.

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/result-set-packets
"""

from __future__ import annotations

from typing import Any

from pymy.protocol.binaryrows import BinaryRowDecoder
from pymy.protocol.layouts import Form, Layout
from pymy.protocol.needs import READ, Conversation
from pymy.protocol.result import Head
from pymy.protocol.rows import Row, unconverted
from pymy.protocol.session import Session
from pymy.protocol.wire import Reader, malformed

# What is dropped at once.
PIECE = 1 << 18
STRING = Layout(Form.STRING)


class LargeRow:
    """A row on its way, in text or in binary; its columns are asked for in order."""

    def __init__(self, session: Session, head: Head) -> None:
        self.session = session
        self.head = head
        self.nulls: bytes | None = None  # of a binary row

    def begin(self) -> Conversation[None]:
        if isinstance(self.head.decoder, BinaryRowDecoder):
            if (yield from take(self.session, 1)) != b"\0":
                raise malformed("a binary row that does not start as one")
            self.nulls = yield from take(self.session, (len(self.head.columns) + 9) // 8)

    def size(self, number: int) -> Conversation[tuple[int | None, bytes]]:
        """Read a column's length, None for NULL; what is no string in binary comes whole."""
        layout = STRING
        if self.nulls is not None:
            assert isinstance(self.head.decoder, BinaryRowDecoder)
            if self.nulls[(number + 2) >> 3] & 1 << ((number + 2) & 7):
                return None, b""
            layout = self.head.decoder.binary_kinds[number].layout
        if layout.form is Form.STRING:
            return (yield from _length(self.session)), b""
        text = yield from _fixed(self.session, layout)
        return len(text), text

    def value(self, number: int) -> Conversation[Any]:
        """Read a column's value; one that is too long is dropped as it comes."""
        column, kind = self.head.columns[number], self.head.decoder.kinds[number]
        size, text = yield from self.size(number)
        if size is None:
            return None
        if kind.limit is not None and size > kind.limit.size:
            kind.limit.refuse(column, size)
            while size:
                size -= len((yield from some(self.session, min(size, PIECE))))
            return None
        text = text or (yield from take(self.session, size))
        try:
            return kind.convert(text)
        except Exception as exc:
            raise unconverted(column, text, exc) from exc


def read_row(session: Session, head: Head) -> Conversation[Row]:
    """Read one row; DataError leaves the line in the middle of it."""
    row = LargeRow(session, head)
    yield from row.begin()
    values = []
    for number in range(len(head.columns)):
        values.append((yield from row.value(number)))
    yield from end_row(session)
    return tuple(values)


def end_row(session: Session) -> Conversation[None]:
    while (rest := session.piece(1)) is None:
        yield READ
    if rest:
        raise malformed("a row with more columns than it announced")


def some(session: Session, most: int) -> Conversation[bytes]:
    """Read what has arrived of a row, at least one byte."""
    while (piece := session.piece(most)) is None:
        yield READ
    if not piece:
        raise malformed("a row shorter than its own lengths say")
    return piece


def take(session: Session, count: int) -> Conversation[bytes]:
    """Read exactly so many bytes of a row."""
    pieces = []
    while count:
        piece = yield from some(session, count)
        count -= len(piece)
        pieces.append(piece)
    return b"".join(pieces)


def _length(session: Session) -> Conversation[int | None]:
    """Read the length in front of a lenenc string; None is NULL, in text rows."""
    first = yield from take(session, 1)
    if first == b"\xfb":
        return None
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first[0], 0)
    rest = yield from take(session, width)
    return Reader(first + rest).lenenc()


def _fixed(session: Session, layout: Layout) -> Conversation[bytes]:
    """Read what is no string in a binary row, as a text row would have it."""
    if layout.code:
        piece = yield from take(session, layout.size)
    else:
        size = yield from take(session, 1)
        piece = size + (yield from take(session, size[0]))
    return layout.text(Reader(piece))
