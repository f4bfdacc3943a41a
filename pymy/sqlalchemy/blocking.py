"""``mysql+pymy`` and ``mariadb+pymy``."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect
from sqlalchemy.engine import URL

import pymy
from pymy.cursors import SSCursor

from .base import PymyDialect


class BlockingMySQLDialect(PymyDialect):
    """pymy's blocking connections. ``create_async_engine`` takes the asyncio dialect instead."""

    supports_statement_cache = True
    driver = "pymy"

    unbuffered_cursor = SSCursor

    @classmethod
    def import_dbapi(cls) -> Any:
        return pymy

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> type[PymyDialect]:
        from .aio import AsyncMySQLDialect

        return AsyncMySQLDialect

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.abort()

    def do_close(self, dbapi_connection: Any) -> None:
        if dbapi_connection.open:
            dbapi_connection.close()
        else:
            dbapi_connection.abort()  # lost: nobody to say goodbye to


class BlockingMariaDBDialect(MariaDBDialect, BlockingMySQLDialect):
    """The same, which insists on MariaDB."""

    supports_statement_cache = True

    @classmethod
    def get_async_dialect_cls(cls, url: URL) -> type[PymyDialect]:
        from .aio import AsyncMariaDBDialect

        return AsyncMariaDBDialect
