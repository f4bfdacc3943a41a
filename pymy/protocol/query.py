"""COM_QUERY and every shape of its answer.

::

    COM_QUERY -> OK                                              no rows
               | ERR
               | 0xFB file name -> file content -> OK | ERR      LOAD DATA LOCAL INFILE
               | column count, columns, [EOF], rows, EOF|OK|ERR  rows
    and again from the top while the status says SERVER_MORE_RESULTS_EXISTS

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/2-text-protocol/com_query
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy

from pymy import err
from pymy.constants import CLIENT, COMMAND, CR, ER, SERVER_STATUS
from pymy.protocol.attributes import Attributes, attribute_block
from pymy.protocol.framing import MAX_PACKET
from pymy.protocol.heads import kept_head, known_head, read_head
from pymy.protocol.hints import add_hint
from pymy.protocol.infile import send_file
from pymy.protocol.kinds import Decoding
from pymy.protocol.largerows import read_row
from pymy.protocol.needs import KILL, READ, Conversation
from pymy.protocol.packets import (
    MORE_RESULTS,
    OUT_PARAMS,
    is_terminator,
    parse_ok,
    parse_terminator,
)
from pymy.protocol.result import Result
from pymy.protocol.rows import Row
from pymy.protocol.session import COMMAND_NUMBERS, IN_TRANSACTION, Session
from pymy.protocol.state import BUSY, READY, RESULTS, STREAMING

COM_QUERY = int(COMMAND.COM_QUERY)
QUERY_ATTRIBUTES = int(CLIENT.QUERY_ATTRIBUTES)
CACHE_METADATA = int(CLIENT.CACHE_METADATA)
CURSOR_EXISTS = int(SERVER_STATUS.SERVER_STATUS_CURSOR_EXISTS)
# An unbuffered result left early is read to its end within these; otherwise the statement is
# killed, which costs a second connection.
DRAIN_BYTES = 1 << 20
DRAIN_SECONDS = 0.1
# A row above this is dropped as it comes, without being held.
LARGE_ROW = 64 * 1024
# Statements above this are checked against the server's own limit before they go out (P19): it
# would read them, answer 1153 and hang up.
LARGE_STATEMENT = 1 << 20
# What a prepared statement keeps as it was when it was prepared: SQL mode, charset, schema.
SETTING = re.compile(
    rb"(?:^|;)(?>\s|/\*M?!\d*|/\*.*?\*/|--[^\n]*\n|#[^\n]*\n)*+(?:SET|USE)\b",
    re.IGNORECASE | re.DOTALL,
)


def begin(session: Session) -> Conversation[None]:
    """Bring the line to rest: what earlier results left unread is read and dropped."""
    if session.state in (STREAMING, RESULTS):
        yield from discard(session)
        session.bytes_sent = 0
    if session.autocommit_due and session.state is READY and not session.status_guessed:
        yield from _autocommit_again(session)
    if session.abandoned:
        raise session.canceled()
    if session.state is not READY:
        raise session.unusable()
    if session.held:
        raise session.unasked()
    session.inbox.shrink()
    session.command_number = next(COMMAND_NUMBERS)
    session.binary = False
    session.executed = None
    session.statement = b""
    session.move(BUSY)
    if session.doomed:
        session.close_statements()


def _autocommit_again(session: Session) -> Conversation[None]:
    """Switch autocommit on again, once the transaction is over for which it was switched off."""
    if session.status & IN_TRANSACTION:
        return
    session.autocommit_due = False
    before = session.bytes_sent
    try:
        yield from query(session, b"SET autocommit=1")
    except BaseException as exc:
        session.autocommit_due = True
        in_xa = isinstance(exc, err.Error) and exc.errno == ER.XAER_RMFAIL
        if not (in_xa and session.usable()):
            raise
    session.bytes_sent = before


def query(
    session: Session, sql: bytes, *, stream: bool = False, attributes: Attributes | None = None
) -> Conversation[Result]:
    """Run one text and read its first result; ``stream`` leaves the rows on the line."""
    if session.statements is not None and SETTING.search(sql):
        session.statements.clear()
    block = attribute_block(attributes) if session.capabilities & QUERY_ATTRIBUTES else b""
    if len(sql) > LARGE_STATEMENT or len(sql) >= session.largest_command:
        yield from check_size(session, len(sql))
    yield from begin(session)
    # whole only to check which file a server may ask for, by the mode it was written in
    session.keep_statement(sql)
    session.command(COM_QUERY, block + sql)
    try:
        return (yield from read_result(session, stream))
    except err.DatabaseError as error:
        add_hint(session, error, sql)
        raise


def read_all_results(session: Session, first: Conversation[Result]) -> Conversation[list[Result]]:
    """Read the results of a text to their end."""
    results = [(yield from first)]
    while (result := (yield from next_result(session))) is not None:
        results.append(result)
    return results


@contextmanager
def servers_values(session: Session) -> Iterator[None]:
    """Read rows for pymy itself: without the user's converters."""
    decoding, heads, binary = session.decoding, session.heads, session.binary_heads
    session.decoding = Decoding(encoding=decoding.encoding)
    session.heads, session.binary_heads = {}, {}
    try:
        yield
    finally:
        session.decoding, session.heads, session.binary_heads = decoding, heads, binary


@contextmanager
def values_of_any_length(session: Session) -> Iterator[None]:
    """Read rows that the program did not select: as ever, but without ``max_column_length``."""
    decoding, heads, binary = session.decoding, session.heads, session.binary_heads
    if decoding.limit is None:
        yield
        return
    session.decoding = copy(decoding)
    session.decoding.limit = None
    session.heads, session.binary_heads = {}, {}
    try:
        yield
    finally:
        session.decoding, session.heads, session.binary_heads = decoding, heads, binary


def check_size(session: Session, size: int) -> Conversation[None]:
    """Refuse a statement that this side or the server would not take; nothing is lost by it."""
    if session.server_limit is None and size < session.largest_command:
        yield from ask_limit(session)
    limit = min(session.largest_command, session.server_limit or session.largest_command)
    if size >= limit:
        raise err.OperationalError(
            CR.CR_NET_PACKET_TOO_LARGE,
            f"The statement has {size} bytes and max_allowed_packet is {limit}: raise it, "
            "here and at the server, or send less at a time",
        )


def ask_limit(session: Session) -> Conversation[None]:
    """Ask the server for its max_allowed_packet, which holds for the whole connection."""
    session.server_limit = 1 << 30  # also when the answer makes no sense
    before = session.bytes_sent  # of earlier statements of the same call
    with servers_values(session):
        result = yield from query(session, b"SELECT @@max_allowed_packet")
    limit = result.rows[0][0] if result.rows else None
    if isinstance(limit, int) and limit > 0:
        session.server_limit = limit
    session.bytes_sent = before


def next_result(session: Session, *, stream: bool = False) -> Conversation[Result | None]:
    """Read the next result of the last text, None when there is none."""
    if session.state is STREAMING:
        yield from end_stream(session)
    if session.state is READY:
        return None
    if session.state is not RESULTS:
        raise session.unusable()
    session.move(BUSY)
    return (yield from read_result(session, stream))


def read_result(session: Session, stream: bool, *, cursor: bool = False) -> Conversation[Result]:
    """Read one answer; ``cursor`` tells that the server was asked to keep the rows."""
    if session.inbox.start == session.inbox.end and session.compression is None:
        yield READ  # the usual case, without asking for what cannot be there yet
    packet = session.take()
    if packet is None or (packet[0] == 0xFF and session.took_progress(packet)):
        packet = yield from session.read()
    first = packet[0]
    if first == 0x00:
        return Result(ok=session.rest(parse_ok(packet, session.capabilities)))
    if first == 0xFF:
        raise session.error(packet)
    if first == 0xFB:
        ok = yield from send_file(session, packet[1:])
        return Result(ok=session.rest(ok))
    if packet[-1] == 0 and len(packet) > 1 and session.capabilities & CACHE_METADATA:
        head = yield from kept_head(session, packet)
    else:
        known = known_head(session, packet)
        head = (yield from read_head(session, packet)) if known is None else known
        if session.executed is not None:
            session.executed.head = head
    result = Result(head)
    if cursor and not session.deprecate_eof and session.status & CURSOR_EXISTS:
        # the EOF behind the columns was the end; an OK there is read as that of no rows
        result.ok, result.unread = session.rest(session.last_ok), False
    elif stream:
        result.streamed = True
        session.streaming = result
        session.move(STREAMING)
    else:
        yield from read_rows(session, result)
    return result


def read_rows(session: Session, result: Result) -> Conversation[None]:
    """Read all rows; a value that will not convert is raised once the rest has been dropped."""
    try:
        while result.unread:
            if session.abandoned:
                result.rows.clear()
                yield from _drop_rest(session, result)
            elif not read_batch(session, result, result.rows):
                yield from more_of(session, result, result.rows)
    except err.DataError as exc:
        if result.unread:  # else it is the server's own error, which ended the set
            yield from _drop_rest(session, result)
        raise exc from exc.__cause__


def fetch_batch(session: Session) -> Conversation[list[Row]]:
    """Read the rows that have arrived, at least one; an empty list is the end of the set."""
    if session.state is not STREAMING:
        raise session.unusable()
    result: Result = session.streaming
    session.move(BUSY)
    rows: list[Row] = []
    try:
        while not rows and result.unread:
            if not read_batch(session, result, rows):
                yield from more_of(session, result, rows)
    except err.Error as exc:
        if isinstance(exc, err.DataError) and result.unread:
            yield from _drop_rest(session, result)
        if not rows or not session.usable():
            raise
        # the rows that came before it first; how they were cut into packets must not matter
        result.failure = exc
    if result.unread:
        session.move(STREAMING)
    return rows


def more_of(session: Session, result: Result, rows: list[Row]) -> Conversation[None]:
    """Receive more of a result; a row with values that may be too long is not held on the way."""
    limit = session.decoding.limit
    if limit is None or not _is_large_row(session, limit.size):
        yield READ
        return
    assert result.head is not None
    result.head_ended = True
    rows.append((yield from read_row(session, result.head)))


def read_batch(session: Session, result: Result, rows: list[Row]) -> bool:
    """Decode the complete rows in the inbox; False when nothing could be taken from it.

    Ends the result at its terminator. A DataError leaves the inbox behind the row that raised it.
    """
    assert result.head is not None
    head = result.head
    inbox = session.inbox
    start = inbox.start
    if inbox.end - start >= 4:
        data = inbox.data
        size = data[start] | data[start + 1] << 8 | data[start + 2] << 16
        whole = inbox.end - start >= 4 + size and size and not session.joining
        # what does not start like a row is taken by itself below, before all of the inbox is copied
        if whole and data[start + 4] < 0xFE:
            held = bytes(inbox.view[start : inbox.end])
            try:
                stop, session.sequence = head.decoder.decode(
                    held, 0, session.sequence, head.columns, rows
                )
            except err.DataError as exc:
                stop, session.sequence = exc.position  # type: ignore[attr-defined]
                inbox.start = start + stop
                result.head_ended = True
                raise
            inbox.start = start + stop
            result.head_ended = result.head_ended or stop > 0
    packet = session.take()
    if packet is None:
        return inbox.start != start
    if is_row(session, result, packet):
        rows.append(head.decoder.decode_row(packet, head.columns))
    return True


def is_row(session: Session, result: Result, packet: bytes) -> bool:
    """Tell a row from what stands among rows or ends them; an ERR is raised."""
    if packet[0] == 0xFF:
        if session.took_progress(packet):
            return False
        result.unread = False
        session.streaming = None
        raise session.error(packet)
    first, result.head_ended = not result.head_ended, True
    if packet[0] != 0xFE or not is_terminator(packet, session.deprecate_eof):
        return True
    # A proxy that agreed to DEPRECATE_EOF may send the EOF behind the columns anyway (P9).
    if not (first and session.deprecate_eof and len(packet) == 5):
        ok = parse_terminator(packet, session.capabilities)
        if session.status & OUT_PARAMS and not session.deprecate_eof:
            # MySQL has both flags in the first EOF only
            ok = ok._replace(status=ok.status | session.status & (OUT_PARAMS | MORE_RESULTS))
        result.ok = session.rest(ok)
        result.unread = False
        session.streaming = None
    return False


def _drop_rest(session: Session, result: Result) -> Conversation[None]:
    """Skip what is left of a result whose rows cannot be delivered."""
    session.streaming = result
    session.move(STREAMING)
    yield from discard_rows(session)


def discard_rows(session: Session, limit: int | None = None) -> Conversation[bool]:
    """Drop the unread rows of the current set.

    False when neither ``limit`` bytes nor DRAIN_SECONDS of waiting brought its end.
    """
    result: Result = session.streaming
    session.move(BUSY)
    dropped = 0
    while True:
        packet = None if session.in_pieces else session.take()
        if packet is not None:
            dropped += len(packet) + 4
            is_row(session, result, packet)
            if not result.unread:
                return True
            continue
        if session.in_pieces or _is_large_row(session):
            dropped += session.skip()
            if not session.in_pieces:
                continue
        session.patience = None if limit is None else DRAIN_SECONDS
        late = yield READ
        session.patience = None
        if limit is not None and (late or dropped > limit):
            session.move(STREAMING)
            return False


def _is_large_row(session: Session, least: int = 0) -> bool:
    """Tell whether what comes is a row that is not worth holding, only to be dropped."""
    coming = None if session.joining else session.coming()
    if coming is None:
        return False
    size, first = coming
    return size == MAX_PACKET or (size > max(least, LARGE_ROW) and first < 0xFE)


def discard(session: Session) -> Conversation[None]:
    """Drop the rows that are left of the last text's results, but no error among them.

    An ERR ends all results (P10, P11) and is raised at the packet boundary behind it: a program
    that never asked for the second result of a CALL must still hear that it failed.
    """
    failure: err.Error | None = None
    while session.state in (STREAMING, RESULTS):
        try:
            if session.state is STREAMING:
                yield from end_stream(session)
            else:
                yield from next_result(session, stream=True)
        except err.Error as exc:
            if not session.usable():
                raise
            failure = failure or exc
    if failure is not None:
        raise failure


def end_stream(session: Session) -> Conversation[None]:
    """Bring the current set of rows to its end: drain little, kill much.

    Much is more than DRAIN_BYTES, or rows that the server takes its time for. Where no second
    connection can be had to kill it, this one is closed.
    """
    if (yield from discard_rows(session, DRAIN_BYTES)):
        return
    killed: bool | None = False if session.is_side else (yield KILL)
    if not killed:
        error = err.OperationalError(
            CR.CR_SERVER_LOST,
            "An unread result could not be stopped: no second connection led to its server. "
            "The connection is closed; read results to their end, or raise max_connections",
            fatal=True,
        )
        session.break_off(error)
        raise error
    try:
        yield from discard_rows(session)
    except err.Error as exc:
        if exc.errno != ER.QUERY_INTERRUPTED:
            raise
    else:
        yield from absorb_kill(session)


def absorb_kill(session: Session) -> Conversation[None]:
    """Give a kill that came too late for its statement something to hit (P98)."""
    yield from discard(session)
    with suppress(err.OperationalError):
        yield from query(session, b"DO SLEEP(0)")
