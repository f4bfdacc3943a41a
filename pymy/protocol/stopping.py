"""Killing a statement from a second connection."""

from __future__ import annotations

from pymy.options import Options
from pymy.protocol import handshake
from pymy.protocol.commands import quit_
from pymy.protocol.handshake import Credentials
from pymy.protocol.needs import Conversation
from pymy.protocol.query import query
from pymy.protocol.session import Session


def side_options(options: Options) -> Options:
    """Return what a second connection needs: the same address and login, and nothing else (P99)."""
    return options.replace(
        init_command=None, session_variables={}, sql_mode=None, autocommit=None, compress=None
    )


def kill(
    session: Session, options: Options, credentials: Credentials, thread_id: int
) -> Conversation[None]:
    """Log in on a second session, kill the statement of ``thread_id``, and leave."""
    yield from handshake.connect(session, options, credentials)
    yield from query(session, b"KILL QUERY %d" % thread_id)
    yield from quit_(session)
