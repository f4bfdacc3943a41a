"""Connections that a pool lends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic

from . import err
from .baselease import Leased
from .connections import Connection
from .constants import CR
from .cursors import Cursor
from .options import Options
from .rows import Row
from .waiting import Steps, Waiting

if TYPE_CHECKING:
    from .pool import Pool


class PooledConnection(Leased, Connection[Row]):
    """A connection of a pool: ``close()`` and the end of ``with`` give it back."""

    _pool: Pool[Any] | None = None
    _cursorclass = Cursor

    def __init__(self, options: Options) -> None:
        self._transport = None
        super(Connection, self).__init__(options)
        self.cursorclass: type[Cursor[Any]] = options.cursorclass or Cursor

    def _connecting(self, how: Waiting, options: Options, sock: Any = None) -> Steps[None]:
        if self._retired:
            raise self._unusable()
        yield from super()._connecting(how, options, sock)

    def release(self) -> None:
        """Give the connection back to its pool; see ``Pool.release``."""
        if self._pool is None:
            raise err.InterfaceError(CR.CR_BAD_PARAMETER, "The connection was released already")
        self._pool.release(self)

    def close(self) -> None:
        """Give the connection back to its pool."""
        if self._pool is None:
            super().close()
        else:
            self._pool.release(self)

    def __exit__(self, *exc_info: object) -> None:
        if self._pool is not None:
            self._pool.release(self)


class Checkout(Generic[Row]):
    """A connection for the length of a ``with`` block."""

    __slots__ = ("_acquire", "_conn")

    def __init__(self, acquire: Callable[[], PooledConnection[Row]]) -> None:
        self._acquire = acquire
        self._conn: PooledConnection[Row] | None = None

    def __enter__(self) -> PooledConnection[Row]:
        self._conn = self._acquire()
        return self._conn

    def __exit__(self, *exc_info: object) -> None:
        conn, self._conn = self._conn, None
        if conn is not None and conn._pool is not None:
            conn._pool.release(conn)
