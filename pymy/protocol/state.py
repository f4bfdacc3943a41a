"""The states of a connection and the moves between them.

Everything that changes a connection's state is in this file and in ``Session.move``.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a connection stands with its server."""

    CONNECTING = "the handshake has not ended"
    READY = "at a packet boundary, nothing pending: any command may go out"
    BUSY = "a command is out and its answer is not read to a resting point"
    STREAMING = "more rows of the current result set, or the rest of one value, wait to be read"
    RESULTS = "at a packet boundary, more result sets of the last command wait to be read"
    BROKEN = "out of step or cut off: only closing is left"
    CLOSED = "closed by this side"

    # Enum's own hashes the name, in Python, twice a command.
    __hash__ = object.__hash__


# CPython 3.11 takes 55 ns to find a member through its class, a dozen times a command.
CONNECTING, READY, BUSY, STREAMING, RESULTS, BROKEN, CLOSED = State

USABLE = frozenset({READY, STREAMING, RESULTS})

MOVES: dict[State, frozenset[State]] = {
    State.CONNECTING: frozenset({State.READY, State.BROKEN, State.CLOSED}),
    State.READY: frozenset({State.BUSY, State.BROKEN, State.CLOSED}),
    State.BUSY: frozenset(
        {State.READY, State.STREAMING, State.RESULTS, State.BROKEN, State.CLOSED}
    ),
    State.STREAMING: frozenset({State.BUSY, State.BROKEN, State.CLOSED}),
    State.RESULTS: frozenset({State.BUSY, State.BROKEN, State.CLOSED}),
    State.BROKEN: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}
