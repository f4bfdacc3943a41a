"""``mysql+pymy_async`` and ``mariadb+pymy_async``: ``pymy.aio`` behind SQLAlchemy's adapters.

SQLAlchemy's core is blocking code in a greenlet; the adapters make each of its calls an ``await``
in the task around it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.connectors.asyncio import (
    AsyncAdapt_dbapi_connection,
    AsyncAdapt_dbapi_cursor,
    AsyncAdapt_dbapi_module,
    AsyncAdapt_dbapi_ss_cursor,
    AsyncAdapt_terminate,
)
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util.concurrency import await_only

import pymy.aio

from .base import PymyDialect


class AdaptedCursor(AsyncAdapt_dbapi_cursor):
    """A cursor that has read its whole result when ``execute`` returns."""

    __slots__ = ()

    def _make_new_cursor(self, connection: Any) -> Any:
        return connection.cursor(pymy.aio.Cursor)

    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor  # entering pymy's does nothing, so it need not be awaited


class AdaptedSSCursor(AsyncAdapt_dbapi_ss_cursor, AdaptedCursor):
    """A cursor that reads rows as they are fetched, for ``stream_results``."""

    __slots__ = ()

    def _make_new_cursor(self, connection: Any) -> Any:
        return connection.cursor(pymy.aio.SSCursor)


class AdaptedConnection(AsyncAdapt_terminate, AsyncAdapt_dbapi_connection):
    """The connection SQLAlchemy's core sees; ``driver_connection`` is pymy's own."""

    __slots__ = ()

    _cursor_cls = AdaptedCursor
    _ss_cursor_cls = AdaptedSSCursor

    def ping(self) -> None:
        await_only(self._connection.ping())

    def autocommit(self, value: bool) -> None:
        await_only(self._connection.autocommit(value))

    def get_autocommit(self) -> bool:
        return bool(self._connection.get_autocommit())

    def xid(self, *parts: Any) -> Any:
        return self._connection.xid(*parts)

    def tpc_recover(self) -> Any:
        return await_only(self._connection.tpc_recover())

    def tpc_commit(self, xid: Any) -> None:
        await_only(self._connection.tpc_commit(xid))

    def tpc_rollback(self, xid: Any) -> None:
        await_only(self._connection.tpc_rollback(xid))

    def character_set_name(self) -> str:
        return str(self._connection.character_set_name())

    def close(self) -> None:
        await_only(self._connection.ensure_closed())

    async def _terminate_graceful_close(self) -> None:
        # not close(): a statement whose task was cancelled is being killed, which takes a moment
        await self._connection.ensure_closed()

    def _terminate_force_close(self) -> None:
        self._connection.close()


class AdaptedModule(AsyncAdapt_dbapi_module):
    """PEP 249's names as SQLAlchemy's core wants to see them."""

    def __init__(self) -> None:
        # SQLAlchemy 2.0's base class has no constructor, 2.1's sets these two
        self.driver = pymy.aio
        self.dbapi_module = pymy

    paramstyle = "format"

    def __getattr__(self, name: str) -> Any:
        return getattr(pymy, name)

    def connect(self, *args: Any, **options: Any) -> AdaptedConnection:
        connect = options.pop("async_creator_fn", pymy.aio.connect)
        return AdaptedConnection(self, await_only(connect(*args, **options)))


class AsyncMySQLDialect(PymyDialect):
    """pymy's asyncio connections, for ``create_async_engine``."""

    supports_statement_cache = True
    driver = "pymy_async"
    is_async = True
    poolclass = AsyncAdaptedQueuePool

    unbuffered_cursor = AdaptedSSCursor

    @classmethod
    def import_dbapi(cls) -> Any:
        return AdaptedModule()

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.terminate()

    def get_driver_connection(self, connection: Any) -> Any:
        return connection.driver_connection


class AsyncMariaDBDialect(MariaDBDialect, AsyncMySQLDialect):
    """The same, which insists on MariaDB."""

    supports_statement_cache = True
