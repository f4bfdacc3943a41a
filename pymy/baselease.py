"""What the connections that pools lend share: they end with their lease, and live on as heirs."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from . import err
from .constants import CR
from .poolstate import Slot
from .protocol.session import Session
from .protocol.state import CLOSED

if TYPE_CHECKING:
    from .basepool import BasePool, Bucket

_RETIRED = Session()
_RETIRED.move(CLOSED)


class Leased:
    """A connection that belongs to a pool; mixed into both kinds of connection.

    A user has it until its release. Then everything in it moves to an heir for the next user, and
    what the first one still holds, cursors included, can do nothing any more.
    """

    _pool: BasePool | None = None
    _core: Bucket | None = None
    _slot: Slot | None = None
    _retired = False
    _cursorclass: type

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
        pool, slot = self._pool, self._slot
        if pool is not None and slot is not None:
            pool._lose(self._core, slot)
        super().__del__()  # type: ignore[misc]


def pass_on(conn: Any) -> Any:
    """Move all of a connection into an heir, and retire what its user holds."""
    heir = object.__new__(type(conn))
    heir.__dict__.update(conn.__dict__)
    heir._pool = heir._core = heir._slot = None
    transport, conn._transport = conn._transport, None
    conn._session = _RETIRED
    conn._pool = conn._core = conn._slot = None
    conn._retired = True
    if transport is not None:
        me = weakref.proxy(heir)
        transport._credentials = lambda: me._credentials()
    return heir


def freshen(conn: Any) -> None:
    """Undo what the last user changed in the connection object itself."""
    conn.query_attributes = {}
    conn._result = None
    conn.cursorclass = conn._options.cursorclass or conn._cursorclass
    lent = conn._decoders_lent
    conn._take_converters(conn._options.conv)
    if lent:
        conn._refresh_decoding()
