"""One value of any size: the last column of the only row, read in pieces as they arrive.

The other columns are read first, and the last one's length tells how much follows. Between two
pieces the session rests in STREAMING, inside a packet: ``discard_rows`` drops the rest of that.

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/packet_resultset_row
"""

from __future__ import annotations

from typing import Any

from pymy import err
from pymy.constants import CR
from pymy.protocol.framing import MAX_PACKET
from pymy.protocol.largerows import LargeRow, end_row, some
from pymy.protocol.needs import READ, Conversation
from pymy.protocol.query import discard, end_stream, is_row, next_result
from pymy.protocol.result import Result
from pymy.protocol.rows import Row
from pymy.protocol.session import Session
from pymy.protocol.state import BUSY, RESULTS, STREAMING
from pymy.protocol.wire import malformed


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
    piece = yield from some(session, min(most, value.left))
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


def _read_head(session: Session, result: Result) -> Conversation[Value]:
    assert result.head is not None
    row = LargeRow(session, result.head)
    yield from row.begin()
    last = len(result.columns) - 1
    values: list[Any] = []
    for number in range(last):
        values.append((yield from row.value(number)))
    size, text = yield from row.size(last)
    return Value(result, tuple(values), size, text)


def _end(session: Session, value: Value) -> Conversation[None]:
    """Read what follows the value; another row is an error, for whoever reads on."""
    yield from end_row(session)
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
