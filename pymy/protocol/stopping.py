"""Killing a statement from a second connection."""

from __future__ import annotations

from pymy import err
from pymy.constants import ER
from pymy.options import Options
from pymy.protocol import handshake
from pymy.protocol.commands import quit_
from pymy.protocol.handshake import Credentials
from pymy.protocol.needs import Conversation
from pymy.protocol.query import absorb_kill, discard, query
from pymy.protocol.session import Session


def settle(session: Session, killed: bool) -> Conversation[None]:
    """Bring the line to rest behind an abandoned call; ``killed`` when a KILL QUERY is about.

    Nobody is left to hear what the rest of its results says.
    """
    try:
        yield from discard(session)
    except err.Error:
        if not session.usable():
            raise
    if killed:
        yield from absorb_kill(session)


def was_killed(error: BaseException | None) -> bool:
    """Tell whether the server stopped the statement, so that no kill is on its way any more."""
    return isinstance(error, err.Error) and error.errno == ER.QUERY_INTERRUPTED


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
