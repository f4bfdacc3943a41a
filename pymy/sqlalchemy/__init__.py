"""SQLAlchemy dialects: ``mysql+pymy``, ``mariadb+pymy``, and with ``_async`` behind for asyncio.

::

    from sqlalchemy import create_engine

    engine = create_engine("mysql+pymy://app:secret@db.example/shop")

What the server is comes from SQLAlchemy's MySQL dialect, what the driver is from pymy's public
names. SQLAlchemy finds the dialects by the entry points of setup.cfg.

Source: https://docs.sqlalchemy.org/en/latest/dialects/mysql.html
"""

from __future__ import annotations

from .aio import AsyncMariaDBDialect, AsyncMySQLDialect
from .blocking import BlockingMariaDBDialect, BlockingMySQLDialect
from .types import VECTOR

__all__ = [
    "VECTOR",
    "AsyncMariaDBDialect",
    "AsyncMySQLDialect",
    "BlockingMariaDBDialect",
    "BlockingMySQLDialect",
]
