"""COM_RESET_CONNECTION and what must follow it, one command after the other or all in one write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pymy import err
from pymy.constants import CLIENT, COMMAND, ER, SERVER_STATUS
from pymy.options import Options
from pymy.protocol.attributes import attribute_block
from pymy.protocol.handshake import Credentials, change_user, forget, is_expired, setup
from pymy.protocol.needs import Conversation, Need
from pymy.protocol.packets import parse_ok
from pymy.protocol.query import LARGE_STATEMENT, begin, discard, read_result
from pymy.protocol.session import Session
from pymy.protocol.setup import charset_named, setup_statement
from pymy.protocol.state import State
from pymy.protocol.wire import malformed


@dataclass
class ResetWays:
    """How a server takes a reset, as far as it is known; connections to it may share this."""

    together: bool = False
    """True: all commands in one write. Some proxies lose those behind the first."""
    known: bool = True
    """False: it answered COM_RESET_CONNECTION with "unknown command" (P112)."""


def reset(
    session: Session,
    options: Options,
    credentials: Callable[[], Credentials],
    ways: ResetWays | None = None,
) -> Conversation[None]:
    """Give the session its first state back.

    COM_RESET_CONNECTION loses the charset (P111) and keeps the schema: both are set anew. Where it
    is unknown, and where a schema is to be left for none, the login is repeated.
    """
    ways = ways or ResetWays()
    schema = schema_bytes(options)
    if not (ways.known and has_reset(session)) or (schema is None and session.schema is not None):
        yield from change_user(session, options, credentials())
        return
    yield from begin(session)
    session.indivisible = True
    commands = reset_commands(session, options, schema) if ways.together else []
    try:
        if commands:
            yield from reset_together(session, options, commands, ways)
        else:
            session.command(COMMAND.COM_RESET_CONNECTION)
            yield from read_reset(session, options)
    except err.Error as exc:
        if exc.errno != ER.UNKNOWN_COM_ERROR or exc.fatal:
            raise
        ways.known = False
        yield from change_user(session, options, credentials())
    else:
        if not commands:
            yield from setup(session, options, schema)


def has_reset(session: Session) -> bool:
    """Tell by its version whether the server knows COM_RESET_CONNECTION."""
    assert session.greeting is not None
    return session.greeting.version >= ((10, 2, 4) if session.mariadb else (5, 7, 3))


def schema_bytes(options: Options) -> bytes | None:
    """Encode the schema for COM_INIT_DB, None where only a login can name it."""
    try:
        return (options.database or "").encode(charset_named(options.charset).encoding) or None
    except UnicodeEncodeError:
        return None


def reset_commands(
    session: Session, options: Options, schema: bytes | None
) -> list[tuple[int, bytes]]:
    """List the commands of a reset; none when they cannot go out together."""
    names = setup_statement(session, options).encode("utf-8")
    first = (options.init_command or "").encode("utf-8")
    if (
        session.compression is not None
        or session.files_allowed
        or b"\\" in names  # what it means depends on the sql_mode that the reset brings
        or max(len(names), len(first)) > LARGE_STATEMENT
    ):
        return []
    block = attribute_block(None) if session.capabilities & CLIENT.QUERY_ATTRIBUTES else b""
    commands: list[tuple[int, bytes]] = []
    if session.status & SERVER_STATUS.SERVER_STATUS_IN_TRANS:
        # should the reset be refused, the autocommit=1 behind it would commit
        commands.append((COMMAND.COM_QUERY, block + b"ROLLBACK"))
    commands.append((COMMAND.COM_RESET_CONNECTION, b""))
    commands.append((COMMAND.COM_QUERY, block + names))
    if schema is not None:
        commands.append((COMMAND.COM_INIT_DB, schema))
    if first:
        commands.append((COMMAND.COM_QUERY, block + first))
    return commands


def reset_together(
    session: Session, options: Options, commands: list[tuple[int, bytes]], ways: ResetWays
) -> Conversation[None]:
    """Send all of a reset in one write, then read the answers; a refusal is raised as it is."""
    for command in commands:
        session.command(*command)
    session.sequence = 1
    session.statement = b""
    answers: list[tuple[int, err.Error | None]] = []
    try:
        for code, _ in commands:
            if answers:
                yield from next_answer(session)
            answers.append((code, (yield from reset_answer(session, options, code))))
    except BaseException:
        if answers and not session.usable():
            ways.together = False
        raise
    if answers[0][0] != COMMAND.COM_RESET_CONNECTION:
        del answers[0]  # that of a rollback
    for _, failure in answers:
        if failure is not None and not is_expired(failure, options):
            failure.fatal = failure.errno != ER.UNKNOWN_COM_ERROR  # half set up
            raise failure
    session.autocommit_known = options.autocommit is not None


def reset_answer(session: Session, options: Options, code: int) -> Conversation[err.Error | None]:
    """Read the answer of one command; an error that leaves the line at rest is returned."""
    try:
        if code == COMMAND.COM_RESET_CONNECTION:
            yield from read_reset(session, options)
        else:
            yield from read_result(session, True)
            yield from discard(session)
    except err.Error as exc:
        if exc.fatal or not session.usable():
            raise
        return exc
    return None


def next_answer(session: Session) -> Conversation[None]:
    """Turn to the answer of the next of several commands that went out together."""
    session.move(State.BUSY)
    while session.held < 4:
        yield Need.READ
    session.trust_next()  # MySQL Router counts on from the answer before


def read_reset(session: Session, options: Options) -> Conversation[None]:
    packet = yield from session.read()
    if packet[0] == 0xFF:
        raise session.error(packet)
    if packet[0] != 0x00:
        raise malformed("neither OK nor an error", packet)
    ok = parse_ok(packet, session.capabilities)
    forget(session, options)
    session.rest(ok)
