"""One value of any size: the last column of the only row, read in pieces as they arrive.

A row is nothing but its columns behind each other, so the others are read as in any row, and the
last one's length tells how much follows. A row of 16 MiB or more is continued in further packets,
which ``Framing.piece`` joins. Between two pieces the session rests in STREAMING, inside a packet:
``discard_rows`` drops the rest of that first.

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/packet_resultset_row
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import repeat
from typing import Any

from pymy import err
from pymy.constants import CR
from pymy.protocol.binaryrows import BinaryRowDecoder
from pymy.protocol.framing import MAX_PACKET
from pymy.protocol.layouts import Form, Layout
from pymy.protocol.needs import READ, Conversation
from pymy.protocol.query import discard, end_stream, is_row, next_result
from pymy.protocol.result import Result
from pymy.protocol.rows import Row, unconverted
from pymy.protocol.session import Session
from pymy.protocol.state import BUSY, RESULTS, STREAMING
from pymy.protocol.wire import Reader, malformed


class Value:
    """A value on its way.

    ``size`` is in bytes, None for NULL; ``left`` of them are unread. ``held`` has what was read
    already, of a number in a binary row.
    """

    __slots__ = ("failure", "held", "left", "result", "row", "size", "torn")

    def __init__(self, result: Result, row: Row, size: int | None, held: bytes = b"") -> None:
        self.result = result
        self.row = row
        self.size = size
        self.held = held
        self.left = (size or 0) - len(held)
        self.failure: err.Error | None = None
        self.torn = False  # bytes were lost on the way to whoever reads


def open_value(session: Session, result: Result) -> Conversation[Value]:
    """Read the only row of an unbuffered result up to where its last column begins."""
    if result.head is None:
        yield from discard(session)
        raise err.ProgrammingError(
            CR.CR_NO_RESULT_SET,
            "The statement has run and gives no rows, so there is no value to stream: "
            "use execute() for it",
        )
    session.move(BUSY)
    if not (yield from _row_comes(session, result)):
        yield from discard(session)
        raise err.DataError(CR.CR_NO_DATA, "The statement gave no row, so there is no value")
    try:
        value = yield from _read_head(session, result)
    except err.DataError:
        session.move(STREAMING)
        yield from discard(session)
        raise
    if value.left:
        session.move(STREAMING)
    else:
        yield from _end(session, value)
    return value


def fetch_value(session: Session, value: Value, most: int) -> Conversation[bytes]:
    """Read what has arrived of a value, 1 to ``most`` bytes; b"" is its end."""
    if value.held:
        piece, value.held = value.held[:most], value.held[most:]
        return piece
    if not value.left:
        if value.failure is not None:
            raise value.failure
        return b""
    if session.state is not STREAMING:
        raise session.unusable()
    value.torn = True  # until the piece is handed over
    session.move(BUSY)
    piece = yield from _some(session, min(most, value.left))
    value.left -= len(piece)
    if value.left:
        session.move(STREAMING)
    else:
        yield from _end(session, value)
    value.torn = session.abandoned
    return piece


def _row_comes(session: Session, result: Result) -> Conversation[bool]:
    """Tell whether a row follows; else its terminator was read, or the ERR is raised."""
    while True:
        coming = session.coming()
        if coming is None:
            yield READ
            continue
        size, first = coming
        if first < 0xFE or size == MAX_PACKET:
            result.head_ended = True
            return True
        packet = yield from session.read()
        if is_row(session, result, packet):
            raise malformed("a row that does not start as one", packet)
        if not result.unread:
            return False


def _some(session: Session, most: int) -> Conversation[bytes]:
    while (piece := session.piece(most)) is None:
        yield READ
    if not piece:
        raise malformed("a row shorter than its own lengths say")
    return piece


def _take(session: Session, count: int) -> Conversation[bytes]:
    """Read exactly so many bytes of the row."""
    pieces = []
    while count:
        piece = yield from _some(session, count)
        count -= len(piece)
        pieces.append(piece)
    return b"".join(pieces)


def _size(session: Session) -> Conversation[int | None]:
    """Read the length in front of a lenenc string; None is NULL, in text rows."""
    first = yield from _take(session, 1)
    if first == b"\xfb":
        return None
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first[0], 0)
    rest = yield from _take(session, width)
    return Reader(first + rest).lenenc()


def _read_head(session: Session, result: Result) -> Conversation[Value]:
    assert result.head is not None
    decoder, columns = result.head.decoder, result.head.columns
    layouts, nulls = TEXT, b""
    if isinstance(decoder, BinaryRowDecoder):
        if (yield from _take(session, 1)) != b"\0":
            raise malformed("a binary row that does not start as one")
        nulls = yield from _take(session, (len(columns) + 9) // 8)
        layouts = [kind.layout for kind in decoder.binary_kinds]
    row: list[Any] = []
    last = len(columns) - 1
    for number, (layout, column) in enumerate(zip(layouts, columns)):  # noqa: B905 - TEXT is endless
        at = number + 2
        size: int | None = None
        held = b""
        if not nulls or not nulls[at >> 3] & 1 << (at & 7):
            if layout.form is Form.STRING:
                size = yield from _size(session)
            else:
                held = yield from _fixed(session, layout)
                size = len(held)
        if number == last:
            return Value(result, tuple(row), size, held)
        if size is None:
            row.append(None)
            continue
        text = held or (yield from _take(session, size))
        kind = decoder.kinds[number]
        try:
            row.append(kind.convert(text))
        except Exception as exc:
            raise unconverted(column, text, exc) from exc
    raise AssertionError("a result has columns")


TEXT: Iterable[Layout] = repeat(Layout(Form.STRING))


def _fixed(session: Session, layout: Layout) -> Conversation[bytes]:
    """Read what is no string in a binary row, as a text row would have it."""
    if layout.code:
        piece = yield from _take(session, layout.size)
    else:
        size = yield from _take(session, 1)
        piece = size + (yield from _take(session, size[0]))
    return layout.text(Reader(piece))


def _end(session: Session, value: Value) -> Conversation[None]:
    """Read what follows the value; another row is an error, for whoever reads on."""
    while (rest := session.piece(1)) is None:
        yield READ
    if rest:
        raise malformed("a row with more columns than it announced")
    result = value.result
    try:
        more = yield from _row_comes(session, result)
        if more:
            session.move(STREAMING)
            yield from end_stream(session)
        while session.state is RESULTS:
            following = yield from next_result(session, stream=True)
            more = more or (following is not None and following.head is not None)
            if session.state is STREAMING:
                yield from end_stream(session)
        if more:
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                "The statement gave more than the one row whose value was streamed; the rest was "
                "dropped. Add LIMIT 1, or read it with stream()",
            )
    except err.Error as exc:
        if not session.usable():
            raise
        value.failure = exc
