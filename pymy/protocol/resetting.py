"""COM_RESET_CONNECTION and what must follow it, one command after the other or all in one write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pymy import err
from pymy.constants import CLIENT, COMMAND, ER, SERVER_STATUS
from pymy.options import Options
from pymy.protocol.attributes import attribute_block
from pymy.protocol.commands import option, read_ok, read_option
from pymy.protocol.handshake import (
    Credentials,
    change_user,
    forget,
    is_expired,
    multi_statements,
    setup,
)
from pymy.protocol.needs import Conversation
from pymy.protocol.packets import parse_ok
from pymy.protocol.pipelining import Command, run_together
from pymy.protocol.query import LARGE_STATEMENT, begin, discard, read_result
from pymy.protocol.roles import learn, question
from pymy.protocol.session import Session
from pymy.protocol.setup import charset_named, setup_statement
from pymy.protocol.wire import malformed

ROLLBACK = b"ROLLBACK"


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

    COM_RESET_CONNECTION loses the charset (P111) and keeps the schema, the roles and what
    COM_SET_OPTION set: all are set anew. Where it is unknown, and where a schema is to be left for
    none, the login is repeated.
    """
    ways = ways or ResetWays()
    schema = schema_bytes(options)
    if not (ways.known and has_reset(session)) or (schema is None and session.schema is not None):
        yield from change_user(session, options, credentials())
        return
    yield from begin(session)
    session.indivisible = True
    names = setup_statement(session, options).encode("utf-8")
    together = ways.together and fits_together(session, options, names)
    try:
        if together:
            yield from reset_together(session, options, names, schema, ways)
        else:
            session.command(COMMAND.COM_RESET_CONNECTION)
            yield from read_reset(session, options)
    except err.Error as exc:
        if exc.errno != ER.UNKNOWN_COM_ERROR or exc.fatal:
            raise
        ways.known = False
        yield from change_user(session, options, credentials())
    else:
        if not together:
            yield from setup(session, options, schema, roles=True)


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


def fits_together(session: Session, options: Options, names: bytes) -> bool:
    first = (options.init_command or "").encode("utf-8")
    return (
        session.compression is None
        and not session.files_allowed
        and b"\\" not in names  # what it means depends on the sql_mode that the reset brings
        and max(len(names), len(first)) <= LARGE_STATEMENT
    )


def reset_together(
    session: Session, options: Options, names: bytes, schema: bytes | None, ways: ResetWays
) -> Conversation[None]:
    """Send all of a reset in one write; in two when the roles are not known, the first time."""
    commands = reset_commands(session, options, names)
    if asked := question(session):
        answer = partial(learn, session, partial(read_result, session, False))
        commands.append(statement(session, asked, answer))
        yield from send_together(session, options, commands, ways)
        commands = []
    commands += login_commands(session, options, schema)
    if commands:
        yield from send_together(session, options, commands, ways)
    session.autocommit_known = options.autocommit is not None


def statement(
    session: Session, sql: bytes, answer: Callable[[], Conversation[Any]] | None = None
) -> Command:
    block = attribute_block(None) if session.capabilities & CLIENT.QUERY_ATTRIBUTES else b""
    return Command(COMMAND.COM_QUERY, block + sql, answer or partial(read_ok, session))


def reset_commands(session: Session, options: Options, names: bytes) -> list[Command]:
    """List what depends on nothing but the options."""
    commands = []
    if session.status & SERVER_STATUS.SERVER_STATUS_IN_TRANS:
        # should the reset be refused, the autocommit=1 behind it would commit
        undo = statement(session, ROLLBACK)
        undo.text = ROLLBACK
        commands.append(undo)
    reset = partial(read_reset, session, options)
    commands.append(Command(COMMAND.COM_RESET_CONNECTION, b"", reset))
    wanted = multi_statements(session)
    if session.multi_statements != wanted:
        answer = partial(read_option, session, wanted)
        commands.append(Command(COMMAND.COM_SET_OPTION, option(wanted), answer))
    return [*commands, statement(session, names)]


def login_commands(session: Session, options: Options, schema: bytes | None) -> list[Command]:
    """List what needs the rights of the login's roles."""
    commands = []
    if session.set_role:
        commands.append(statement(session, session.set_role))
    if schema is not None:
        commands.append(Command(COMMAND.COM_INIT_DB, schema, partial(read_ok, session)))
    if options.init_command:
        first = options.init_command.encode("utf-8")
        commands.append(statement(session, first, partial(read_all, session)))
    return commands


def send_together(
    session: Session, options: Options, commands: list[Command], ways: ResetWays
) -> Conversation[None]:
    """Send commands in one write, then read the answers; the first refusal is raised."""
    yield from run_together(session, commands, ways)
    for command in commands:
        failure = command.error
        if command.text == ROLLBACK:  # refused within XA, which the reset ends all the same
            continue
        if failure is not None and not is_expired(failure, options):
            failure.fatal = failure.errno != ER.UNKNOWN_COM_ERROR  # half set up
            raise failure


def read_all(session: Session) -> Conversation[None]:
    yield from read_result(session, True)
    yield from discard(session)


def read_reset(session: Session, options: Options) -> Conversation[None]:
    packet = yield from session.read()
    if packet[0] == 0xFF:
        raise session.error(packet)
    if packet[0] != 0x00:
        raise malformed("neither OK nor an error", packet)
    ok = parse_ok(packet, session.capabilities)
    forget(session, options)
    session.rest(ok)
