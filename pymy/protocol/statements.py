"""Prepared statements: the conversations of COM_STMT_....

::

    COM_STMT_PREPARE text      -> statement id, counts, parameters, [EOF], columns, [EOF] | ERR
    COM_STMT_EXECUTE id        -> as COM_QUERY, rows in the binary protocol
    COM_STMT_SEND_LONG_DATA    no answer: what is wrong is said to the EXECUTE (P84)
    COM_STMT_FETCH id          see ``servercursor.py``
    COM_STMT_RESET id          -> OK | ERR
    COM_STMT_CLOSE id          no answer: it goes in front of the next command (P82)

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase_ps.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/3-binary-protocol-prepared-statements
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

from pymy import err
from pymy.constants import CLIENT, COMMAND, CR, ER
from pymy.protocol.attributes import Attributes
from pymy.protocol.columns import Column
from pymy.protocol.commands import simple
from pymy.protocol.heads import parse_columns
from pymy.protocol.needs import READ, WRITE, Conversation
from pymy.protocol.packets import Ok, is_terminator, parse_eof
from pymy.protocol.params import NULL, LongData, Parameter, parameter_block
from pymy.protocol.query import (
    LARGE_STATEMENT,
    begin,
    check_size,
    discard,
    read_result,
)
from pymy.protocol.result import Head, Result
from pymy.protocol.session import Session
from pymy.protocol.state import BUSY, READY
from pymy.protocol.wire import malformed

COM_STMT_PREPARE = int(COMMAND.COM_STMT_PREPARE)
COM_STMT_EXECUTE = int(COMMAND.COM_STMT_EXECUTE)
QUERY_ATTRIBUTES = int(CLIENT.QUERY_ATTRIBUTES)
CURSOR_TYPE_READ_ONLY, PARAMETER_COUNT_AVAILABLE = 0x01, 0x08
# What both servers number parameters with (P76).
MOST_PARAMETERS = 65535
# MariaDB: the statement prepared last.
LAST = 0xFFFFFFFF
_HEAD = struct.Struct("<IBI")
_CALLS = re.compile(rb"\s*CALL\b", re.IGNORECASE)
_PLAIN = re.compile(
    rb"\s*SELECT\b(?!.*(?:[(@]|\b(?:FOR|INTO|LOCK|NEXTVAL)\b))", re.IGNORECASE | re.DOTALL
)


class Prepared:
    """A statement that one session has prepared."""

    __slots__ = (
        "age", "codes", "columns", "definitions", "describe", "head", "number", "param_count",
        "session", "text",
    )  # fmt: skip

    def __init__(self, text: bytes, *, describe: bool = True) -> None:
        self.text = text
        self.describe = describe
        self.number = 0
        self.param_count = 0
        self.columns: tuple[Column, ...] = ()
        self.definitions: list[bytes] = []
        self.head: Head | None = None
        self.session: Session | None = None
        self.age = 0
        self.codes: dict[int, int] = {}

    def lives(self, session: Session) -> bool:
        """Tell whether the server still knows it: a reset forgets all, and counts anew."""
        return self.session is session and self.age == session.statement_age

    def takes(self, parameters: Sequence[Parameter]) -> bool:
        """Tell whether the values have the types of those before; note them.

        MySQL settles a statement's types by the first values: what was compared as a number is so
        for ever, and finds '05' by '5'.
        """
        codes = self.codes
        for number, (code, _) in enumerate(parameters):
            if code != NULL and codes.setdefault(number, code) != code:
                return False
        return True

    def close(self) -> None:
        """Have it closed in front of the session's next command; harmless when it is gone."""
        session, self.session = self.session, None
        if session is not None and self.age == session.statement_age:
            session.doomed.append(self.number)


def prepare(session: Session, prepared: Prepared) -> Conversation[Prepared]:
    """Prepare a statement, or do it again."""
    size = len(prepared.text)
    if size > LARGE_STATEMENT or size >= session.largest_command:
        yield from check_size(session, size)
    yield from begin(session)
    session.command(COM_STMT_PREPARE, prepared.text)
    return (yield from read_prepared(session, prepared))


def read_prepared(session: Session, prepared: Prepared) -> Conversation[Prepared]:
    """Read the answer of COM_STMT_PREPARE.

    0x00, 4 statement id, 2 columns, 2 parameters, 1 filler, 2 warnings; then the definitions of the
    parameters, which say nothing, and of the columns.
    """
    packet = yield from session.read()
    if packet[0] == 0xFF:
        raise session.error(packet)
    if packet[0] != 0x00 or len(packet) < 9:
        raise malformed("no answer to COM_STMT_PREPARE", packet)
    number, columns, parameters = struct.unpack_from("<IHH", packet, 1)
    yield from _definitions(session, parameters)
    prepared.definitions = yield from _definitions(session, columns)
    prepared.head = None
    if prepared.describe:
        prepared.columns = parse_columns(session, prepared.definitions)
    prepared.param_count = parameters
    prepared.number = number
    prepared.codes.clear()
    session.last_prepared = prepared
    prepared.session = session
    prepared.age = session.statement_age
    session.move(READY)
    session.bytes_sent = 0  # nothing has run
    return prepared


def _definitions(session: Session, count: int) -> Conversation[list[bytes]]:
    found: list[bytes] = []
    if not count:
        return found
    while len(found) < count:
        packet = yield from session.read()
        if packet[0] == 0xFF:
            raise session.error(packet)
        if is_terminator(packet, deprecate_eof=False):
            session.accept(parse_eof(packet))  # fewer than announced (P77)
            return found
        found.append(packet)
    if not session.deprecate_eof:
        end = yield from session.read()
        if not is_terminator(end, deprecate_eof=False):
            raise malformed("no end behind the definitions of a statement", end)
        session.accept(parse_eof(end))
    return found


def execute(
    session: Session,
    prepared: Prepared,
    parameters: Sequence[Parameter],
    *,
    stream: bool = False,
    cursor: bool = False,
    attributes: Attributes | None = None,
) -> Conversation[Result]:
    """Execute a statement and read its first result.

    ``stream`` leaves the rows on the line, ``cursor`` asks the server to keep them.

    A statement that the server does not know (any more) is prepared again, once, as nothing has
    run then (P79).
    """
    if not session.mariadb and not prepared.takes(parameters):
        prepared.close()
    renewed = not prepared.lives(session)
    if renewed:
        yield from _renew(session, prepared, parameters)
        prepared.takes(parameters)
    try:
        return (yield from _execute(session, prepared, parameters, stream, attributes, cursor))
    except err.Error as exc:
        again = not renewed and session.usable() and not session.abandoned
        if not (again and _ran_nothing(exc, prepared) and _is_whole(parameters)):
            raise
    prepared.close()
    yield from _renew(session, prepared, parameters)
    return (yield from _execute(session, prepared, parameters, stream, attributes, cursor))


def _ran_nothing(exc: err.Error, prepared: Prepared) -> bool:
    # a procedure may have run half, and then met the same error inside
    return exc.errno in (ER.NEED_REPREPARE, ER.UNKNOWN_STMT_HANDLER) and not _CALLS.match(
        prepared.text
    )


def _is_whole(parameters: Sequence[Parameter]) -> bool:
    return not any(isinstance(piece, LongData) for _, piece in parameters)


def _renew(
    session: Session, prepared: Prepared, parameters: Sequence[Parameter]
) -> Conversation[None]:
    yield from prepare(session, prepared)
    check_count(prepared, len(parameters))


def check_count(prepared: Prepared, given: int) -> None:
    """Refuse values that are too few or too many, before they are sent."""
    if given != prepared.param_count:
        raise err.ProgrammingError(
            CR.CR_BAD_PARAMETER,
            f"the statement has {prepared.param_count} parameters, the call gives {given}",
            sent=False,
        )


def execute_payload(
    session: Session,
    number: int,
    parameters: Sequence[Parameter],
    attributes: Attributes | None,
    cursor: bool = False,
) -> bytes:
    """Build COM_STMT_EXECUTE: 4 statement id, 1 flags, 4 iterations (1), parameters."""
    counted = bool(session.capabilities & QUERY_ATTRIBUTES)
    flags = PARAMETER_COUNT_AVAILABLE if counted else 0
    if cursor:
        flags |= CURSOR_TYPE_READ_ONLY
    return _HEAD.pack(number, flags, 1) + parameter_block(parameters, attributes, counted=counted)


def _execute(
    session: Session,
    prepared: Prepared,
    parameters: Sequence[Parameter],
    stream: bool,
    attributes: Attributes | None,
    cursor: bool = False,
) -> Conversation[Result]:
    payload = execute_payload(session, prepared.number, parameters, attributes, cursor)
    if len(payload) > LARGE_STATEMENT or len(payload) >= session.largest_command:
        yield from check_size(session, len(payload))
    yield from begin(session)
    session.binary = True
    session.executed = prepared
    session.keep_statement(prepared.text)
    for number, (_, piece) in enumerate(parameters):
        if isinstance(piece, LongData):
            yield from _send_long_data(session, prepared, number, piece)
    session.command(COM_STMT_EXECUTE, payload)
    return (yield from read_result(session, stream, cursor=cursor))


def _send_long_data(
    session: Session, prepared: Prepared, number: int, data: LongData
) -> Conversation[None]:
    """Send a parameter in pieces: 4 statement id, 2 its number, bytes; a command each.

    What the source raises comes out with the line at rest: the server forgets the pieces with the
    statement.
    """
    head = struct.pack("<IH", prepared.number, number)
    sent = False
    pieces = data.pieces()
    try:
        while True:
            piece = next(pieces, None)
            if piece is None and sent:
                return
            # an empty value is a piece too, else it would be missing (P84)
            session.command(COMMAND.COM_STMT_SEND_LONG_DATA, head + (piece or b""))
            yield WRITE
            sent = True
            if session.abandoned:
                raise session.canceled()
    except Exception as exc:
        if session.state is BUSY:  # else the link went
            session.move(READY)
            prepared.close()
            session.not_ours = exc
        raise


def prepare_and_execute(
    session: Session,
    prepared: Prepared,
    parameters: Sequence[Parameter],
    *,
    stream: bool = False,
    attributes: Attributes | None = None,
) -> Conversation[Result]:
    """Prepare a statement and execute it, on MariaDB in one write.

    Only for a text whose number of parameters is certain: with another one the server would take
    the bytes for other values than they are. And only when the one before it may as well run:
    MariaDB takes that one, should max_prepared_stmt_count refuse this one.
    """
    last: Prepared | None = session.last_prepared
    if last is not None and not last.lives(session):
        last = None
    payload = execute_payload(session, LAST, parameters, attributes)
    size = len(prepared.text) + len(payload)
    together = session.mariadb and session.compression is None and size < LARGE_STATEMENT
    together = together and (last is None or _PLAIN.match(last.text) is not None)
    if not (together and _is_whole(parameters)):
        yield from _renew(session, prepared, parameters)
        return (yield from _execute(session, prepared, parameters, stream, attributes))
    yield from begin(session)
    session.keep_statement(prepared.text)
    session.command(COM_STMT_PREPARE, prepared.text)
    session.command(COM_STMT_EXECUTE, payload)
    session.sequence = 1
    failure = None
    try:
        yield from read_prepared(session, prepared)
    except err.Error as exc:
        if not session.usable():
            raise
        failure = exc  # the answer to the EXECUTE still comes: an error too
    session.move(BUSY)
    while session.held < 4:
        yield READ
    session.trust_next()
    session.binary = True
    session.executed = prepared if failure is None else last
    try:
        result = yield from read_result(session, stream)
    except err.Error as exc:
        if failure is None or not session.usable():
            raise
        raise failure from exc
    if failure is not None:
        yield from discard(session)
        raise failure
    return result


def reset(session: Session, prepared: Prepared) -> Conversation[Ok]:
    """Drop what was sent for a statement's parameters, and its cursor (COM_STMT_RESET)."""
    number = prepared.number.to_bytes(4, "little")
    return (yield from simple(session, COMMAND.COM_STMT_RESET, number))
