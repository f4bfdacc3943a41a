"""What the connections that pools lend share: they end with their lease, and live on as heirs."""

from __future__ import annotations

import weakref
from typing import Any

from . import err
from .constants import CR
from .nonblocking import uncover
from .poolstate import Slot
from .protocol.session import Session
from .protocol.state import CLOSED

_RETIRED = Session()
_RETIRED.move(CLOSED)
# What a user still has of a connection that went back.
_REMAINS = {
    "_pool": None,
    "_slot": None,
    "_transport": None,
    "_session": _RETIRED,
    "_retired": True,
}


class Leased:
    """A connection that belongs to a pool; mixed into both kinds of connection.

    A user has it until its release. Then everything in it moves to an heir for the next user, and
    what the first one still holds, cursors included, can do nothing any more.
    """

    _pool: Any = None
    _slot: Slot | None = None
    _retired = False
    _cursorclass: type
    _pending: Any = None
    #: True while ``pymy.nonblocking`` calls a method to start it.
    _starting = False

    def _unusable(self) -> err.Error:
        if self._retired:
            return err.InterfaceError(
                CR.CR_CONNECTION_CLOSED,
                "This connection went back to its pool: acquire another one",
                sent=False,
            )
        unusable: err.Error = super()._unusable()  # type: ignore[misc]
        return unusable

    def __del__(self) -> None:
        if self._retired:
            return
        pool, slot = self._pool, self._slot
        if pool is not None and slot is not None:
            pool._lose(slot)
        super().__del__()  # type: ignore[misc]


def pass_on(conn: Any) -> Any:
    """Move all of a connection into an heir, and retire what its user holds."""
    heir = object.__new__(type(conn))
    heir.__dict__ = conn.__dict__
    conn.__dict__ = conn.__dict__ | _REMAINS
    heir._pool = heir._slot = None
    uncover(heir)
    if heir._transport is not None:
        me: Any = weakref.ref(heir)
        heir._transport._credentials = lambda: me()._credentials()
    return heir


def freshen(conn: Any) -> None:
    """Undo what the last user changed in the connection object itself."""
    conn.query_attributes = {}
    conn._result = None
    conn.cursorclass = conn._options.cursorclass or conn._cursorclass
    conn._forget_transaction()
    conn._renew_converters()
