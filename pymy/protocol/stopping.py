"""Ending a statement that nobody wants to read to its end."""

from __future__ import annotations

from contextlib import suppress

from pymy import err
from pymy.constants import ER
from pymy.options import Options
from pymy.protocol import handshake
from pymy.protocol.commands import quit_
from pymy.protocol.handshake import Credentials
from pymy.protocol.needs import Conversation, Need
from pymy.protocol.query import discard, discard_rows, query
from pymy.protocol.session import Session
from pymy.protocol.state import State

# An unbuffered result closed early is read to its end when that takes no more bytes than this;
# otherwise the statement is killed, which costs a second connection.
DRAIN_BYTES = 1 << 20


def close_stream(session: Session) -> Conversation[None]:
    """Bring an unbuffered result and what follows it to the end: drain little, kill much."""
    if session.state is State.STREAMING and not (yield from discard_rows(session, DRAIN_BYTES)):
        killed: bool = yield Need.KILL
        if killed:
            yield from _read_killed(session)
    yield from discard(session)


def settle(session: Session, killed: bool) -> Conversation[None]:
    """Bring the line to rest behind an abandoned call; ``killed`` when a KILL QUERY is about.

    A kill that came too late for its statement must hit this one, not the program's next (P98).
    """
    yield from discard(session)
    if killed:
        with suppress(err.OperationalError):
            yield from query(session, b"DO SLEEP(0)")


def was_killed(error: BaseException | None) -> bool:
    """Tell whether the server stopped the statement, so that no kill is on its way any more."""
    return isinstance(error, err.Error) and error.errno == ER.QUERY_INTERRUPTED


def _read_killed(session: Session) -> Conversation[None]:
    try:
        yield from discard_rows(session)
    except err.Error as exc:
        if not was_killed(exc):
            raise
    else:
        yield from settle(session, killed=True)


def side_options(options: Options) -> Options:
    """Return what a second connection needs: the same address and login, and nothing else (P99)."""
    return options.replace(
        init_command=None,
        session_variables={},
        sql_mode=None,
        autocommit=None,
        compress=None,
        on_cancel="close",
    )


def kill(
    session: Session, options: Options, credentials: Credentials, thread_id: int
) -> Conversation[None]:
    """Log in on a second session, kill the statement of ``thread_id``, and leave."""
    yield from handshake.connect(session, options, credentials)
    yield from query(session, b"KILL QUERY %d" % thread_id)
    yield from quit_(session)
