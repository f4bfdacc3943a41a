"""Connections that a pool lends. What their methods do is told in ``pymy.lease``."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Generic

from .. import err
from ..baselease import Leased
from ..constants import CR
from ..options import Options
from ..rows import Row
from .connections import Connection
from .cursors import Cursor
from .turns import Turns

if TYPE_CHECKING:
    from .pool import Pool


class PooledConnection(Leased, Connection[Row]):
    """A connection of a pool: ``close()`` and the end of ``async with`` give it back."""

    _pool: Pool[Any] | None = None
    _cursorclass = Cursor

    def __init__(self, options: Options) -> None:
        self._transport = None
        super(Connection, self).__init__(options)
        self.cursorclass: type[Cursor[Any]] = options.cursorclass or Cursor
        self._turns = Turns()

    async def _connect(self, options: Options, sock: Any = None) -> None:
        if self._retired:
            raise self._unusable()
        await super()._connect(options, sock)

    def release(self) -> asyncio.Future[None]:
        """Give the connection back to its pool; see ``Pool.release``."""
        if self._pool is None:
            raise err.InterfaceError(CR.CR_BAD_PARAMETER, "The connection was released already")
        return self._pool.release(self)

    def close(self) -> None:
        """Give the connection back to its pool."""
        if self._pool is None:
            super().close()
        else:
            self._pool._bring_back(self)

    async def ensure_closed(self) -> None:
        """Give the connection back to its pool, and wait until it is ready for its next user."""
        if self._pool is None:
            await super().ensure_closed()
        else:
            await self._pool.release(self)

    async def __aexit__(self, *exc_info: object) -> None:
        if self._pool is not None:
            self._pool._bring_back(self)


class Checkout(AbstractAsyncContextManager["PooledConnection[Row]"], Generic[Row]):
    """A connection to ``await``, or for the length of an ``async with`` block."""

    __slots__ = ("_conn", "_how", "_pool")

    def __init__(self, pool: Pool[Row], dsn: str | None, timeout: float | None, wait: bool) -> None:
        self._pool = pool
        self._how = (dsn, timeout, wait)
        self._conn: PooledConnection[Row] | None = None

    def __await__(self) -> Generator[Any, Any, PooledConnection[Row]]:
        return self._pool._acquire(*self._how).__await__()

    async def __aenter__(self) -> PooledConnection[Row]:
        pool, (dsn, timeout, wait) = self._pool, self._how
        conn = pool._borrow(dsn, timeout) or await pool._acquire(dsn, timeout, wait)
        self._conn = conn
        return conn

    async def __aexit__(self, *exc_info: object) -> None:
        conn, self._conn = self._conn, None
        if conn is not None and conn._pool is not None:
            conn._pool._bring_back(conn)
