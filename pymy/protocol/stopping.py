"""Killing a statement from a second connection."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from pymy import err
from pymy.constants import ER
from pymy.options import Options
from pymy.protocol import handshake
from pymy.protocol.commands import quit_
from pymy.protocol.handshake import Credentials
from pymy.protocol.kinds import Decoding
from pymy.protocol.needs import Conversation
from pymy.protocol.query import absorb_kill, discard, query
from pymy.protocol.session import Session

# Of a statement in the list of processes; so many characters that are the same tell it from others.
CHARACTERS_COMPARED = 1000


class Target(NamedTuple):
    """A statement to kill: where it runs, and how its server must know it."""

    family: int
    address: Any
    """None for a socket that was handed in: nobody knows where it leads to."""
    thread_id: int
    end: str
    """What its client's address ends with in the list of processes; nothing when unknown."""
    text: str


def settle(session: Session, killed: bool | None) -> Conversation[None]:
    """Bring the line to rest behind an abandoned call; ``killed`` when a KILL QUERY is about.

    None: it went out and was not answered. It may arrive at any time, so the line cannot be used.

    Nobody is left to hear what the rest of its results says.
    """
    try:
        yield from discard(session)
    except err.Error:
        if not session.usable():
            raise
    if killed is None:
        session.break_off(session.canceled())
    elif killed:
        yield from absorb_kill(session)


def outcome(side: Session) -> bool | None:
    """Tell what is known of a kill that failed: it did not go out, or (None) nobody knows."""
    return None if side.in_doubt else False


def was_killed(error: BaseException | None) -> bool:
    """Tell whether the server stopped the statement, so that no kill is on its way any more."""
    return isinstance(error, err.Error) and error.errno == ER.QUERY_INTERRUPTED


def side_options(options: Options) -> Options:
    """Return what a second connection needs: the same address and login, and nothing else (P99)."""
    return options.replace(
        charset="utf8mb4",
        collation=None,
        init_command=None,
        session_variables={},
        sql_mode=None,
        autocommit=None,
        compress=None,
        on_cancel="close",
    )


def kill(
    session: Session, options: Options, credentials: Credentials, target: Target
) -> Conversation[bool]:
    """Log in on a second session, kill the target, and leave; False when it is not there."""
    session.is_side = True
    session.decoding = Decoding(use_unicode=False)  # programs may send any bytes
    yield from handshake.connect(session, options, credentials)
    found = yield from runs_here(session, target)
    if found:
        session.in_doubt = True
        try:
            yield from query(session, b"KILL QUERY %d" % target.thread_id)
        finally:
            session.in_doubt = not session.usable()
    yield from quit_(session)
    return found


def runs_here(session: Session, target: Target) -> Conversation[bool]:
    """Tell whether this server is the target's: a balancer may have led here (P99).

    The number alone proves nothing, each server counts for itself. The client's port does; where a
    proxy hides it, user and text have to be the same. SHOW, because MySQL's
    information_schema.processlist fails while anybody's statement holds an emoji (3854).
    """
    assert session.greeting is not None
    for full in (b"", b"FULL "):
        result = yield from query(session, b"SHOW %bPROCESSLIST" % full)
        clients = {row[0]: row for row in result.rows}
        ours, theirs = clients.get(session.greeting.thread_id), clients.get(target.thread_id)
        # our own number is missing behind proxies that count for themselves
        if ours is None or theirs is None:
            return False
        if target.end and _read(theirs[2]).endswith(target.end):
            return True
        same = bool(theirs[1] == ours[1]) and is_part(_read(theirs[7]), target.text)
    return same


def _read(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def is_part(running: str, text: str) -> bool:
    """Tell whether what runs is a text, or one statement of it.

    What is not ASCII is left out: servers replace it where it does not fit.
    """
    words = _words(running[:CHARACTERS_COMPARED])
    if not words:
        return False
    end = " ; " if len(running) < CHARACTERS_COMPARED else ""
    return f" ; {words}{end}" in f" ; {_words(text)} ; "


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+|;", text, re.ASCII)).strip("; ")
