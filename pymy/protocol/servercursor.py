"""Server-side cursors: the rows wait at the server, and other statements may run between them.

::

    COM_STMT_EXECUTE id, CURSOR_TYPE_READ_ONLY -> column count, columns, EOF|OK with CURSOR_EXISTS
                                                | any other answer: there is no cursor
    COM_STMT_FETCH id, count -> rows, EOF|OK, with LAST_ROW_SENT when the cursor is closed | ERR

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_fetch.html
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from pymy import err
from pymy.constants import COMMAND, CR, SERVER_STATUS
from pymy.protocol.attributes import Attributes
from pymy.protocol.needs import Conversation
from pymy.protocol.params import LongData, Parameter
from pymy.protocol.query import CURSOR_EXISTS, begin, read_rows
from pymy.protocol.result import Result
from pymy.protocol.rows import Row
from pymy.protocol.session import Session
from pymy.protocol.statements import Prepared, execute
from pymy.protocol.wire import malformed

COM_STMT_FETCH = int(COMMAND.COM_STMT_FETCH)
LAST_ROW_SENT = int(SERVER_STATUS.SERVER_STATUS_LAST_ROW_SENT)
MOST_ROWS = 0xFFFFFFFF
# MySQL 9.7 gives what cannot have a cursor the flag of one (EXPLAIN, SHOW PROCESSLIST), and a FETCH
# after that takes the server down: only what surely can is asked for.
_SELECT = re.compile(
    rb"(?>\s|/\*(?!M?!).*?\*/|--[^\n]*\n|#[^\n]*\n|\()*+(?:SELECT|WITH|TABLE|VALUES)\b",
    re.IGNORECASE | re.DOTALL,
)
# The answers to WITH ... DELETE and to SELECT ... INTO, of which nothing has run.
_BAD_CURSOR_QUERY, _BAD_CURSOR_SELECT = 1322, 1323


def open_cursor(
    session: Session,
    prepared: Prepared,
    parameters: Sequence[Parameter],
    *,
    attributes: Attributes | None = None,
) -> Conversation[Result]:
    """Execute a statement with a cursor; what the server opens none for brings all its rows.

    ``unread`` of the result says which. A statement is to be executed in this way only: MySQL 9.7
    sends no rows to an EXECUTE without a cursor behind one with it.
    """
    asked = _SELECT.match(prepared.text) is not None
    try:
        result = yield from execute(
            session, prepared, parameters, cursor=asked, attributes=attributes
        )
    except err.Error as exc:
        whole = not any(isinstance(piece, LongData) for _, piece in parameters)
        again = asked and whole and session.usable() and not session.abandoned
        if not (again and exc.errno in (_BAD_CURSOR_QUERY, _BAD_CURSOR_SELECT)):
            raise
        prepared.close()
        return (yield from execute(session, prepared, parameters, attributes=attributes))
    result.unread = bool(
        asked and result.head is not None and not result.rows and result.ok.status & CURSOR_EXISTS
    )
    result.streamed = result.unread
    return result


def fetch(
    session: Session, prepared: Prepared, result: Result, count: int
) -> Conversation[list[Row]]:
    """Read the next ``count`` rows of a cursor: 4 statement id, 4 count. The last ones end it."""
    if not prepared.lives(session):
        result.unread = False
        raise err.InterfaceError(
            CR.CR_FETCH_CANCELED,
            "The server's cursor is gone: the session was reset, or the connection opened anew. "
            "Execute the statement again",
            sent=False,
        )
    yield from begin(session)
    session.binary = True
    session.keep_statement(prepared.text)
    session.command(COM_STMT_FETCH, struct.pack("<II", prepared.number, count))
    batch = Result(result.head)
    batch.head_ended = True  # no columns come, so an EOF is the end
    try:
        yield from read_rows(session, batch)
    except err.Error as exc:
        result.unread = False
        if not batch.rows or not session.usable():
            raise
        result.failure = exc  # the rows before it first
        return batch.rows
    if len(batch.rows) > count:
        raise malformed(f"{len(batch.rows)} rows, of which {count} were asked for", b"")
    result.ok = batch.ok
    result.unread = bool(batch.rows) and not batch.ok.status & LAST_ROW_SENT
    if session.abandoned:
        result.unread = False
        result.failure = session.canceled()  # its rows are lost
    return batch.rows
