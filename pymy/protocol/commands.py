"""The short commands: one packet out, one answer back.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html
"""

from __future__ import annotations

from pymy.constants import COMMAND
from pymy.protocol.needs import Conversation, Need
from pymy.protocol.packets import Ok, is_terminator, parse_ok, parse_terminator
from pymy.protocol.query import begin
from pymy.protocol.session import Session
from pymy.protocol.state import State
from pymy.protocol.wire import malformed, readable


def simple(session: Session, code: int, payload: bytes = b"") -> Conversation[Ok]:
    """Send a command that is answered by OK, EOF or ERR."""
    yield from begin(session)
    session.command(code, payload)
    return (yield from read_ok(session))


def read_ok(session: Session) -> Conversation[Ok]:
    packet = yield from session.read()
    if packet[0] == 0xFF:
        raise session.error(packet)
    if packet[0] == 0x00:
        return session.rest(parse_ok(packet, session.capabilities))
    if is_terminator(packet, session.deprecate_eof):
        return session.rest(parse_terminator(packet, session.capabilities))
    raise malformed("neither OK nor an error", packet)


def ping(session: Session) -> Conversation[Ok]:
    return (yield from simple(session, COMMAND.COM_PING))


def init_db(session: Session, name: bytes) -> Conversation[Ok]:
    ok = yield from simple(session, COMMAND.COM_INIT_DB, name)
    session.schema = readable(name, session.decoding.encoding)
    return ok


def set_option(session: Session, multi_statements: bool) -> Conversation[Ok]:
    """Switch multi statements; answered by EOF or OK."""
    yield from begin(session)
    session.command(COMMAND.COM_SET_OPTION, option(multi_statements))
    return (yield from read_option(session, multi_statements))


def option(multi_statements: bool) -> bytes:
    """Build the payload of COM_SET_OPTION: 0 = on, 1 = off."""
    return b"\0\0" if multi_statements else b"\1\0"


def read_option(session: Session, multi_statements: bool) -> Conversation[Ok]:
    ok = yield from read_ok(session)
    session.multi_statements = multi_statements
    return ok


def statistics(session: Session) -> Conversation[str]:
    """Read the server's line of counters, the one answer that is bare text."""
    yield from begin(session)
    session.command(COMMAND.COM_STATISTICS)
    packet = yield from session.read()
    if packet[0] == 0xFF:
        raise session.error(packet)
    session.move(State.READY)
    return packet.decode("utf-8", "replace")


def quit_(session: Session) -> Conversation[None]:
    """Say goodbye, which has no answer; unread results are left where they are."""
    if session.usable():
        session.move(State.CLOSED)
        session.command(COMMAND.COM_QUIT)
        yield Need.WRITE
    else:
        session.move(State.CLOSED)
