"""pymy over asyncio: the same conversations as the blocking driver's, awaited.

::

    import pymy.aio

    async with pymy.aio.connect("mysql://app:secret@db.example/shop") as conn:
        cur = await conn.execute("select id, name from item where price < %s", (10,))
        async for id, name in cur:
            print(id, name)
"""

from __future__ import annotations

from .connections import Connection
from .cursors import Cursor, DictCursor, SSCursor, SSDictCursor
from .pool import Pool, PoolStats, create_pool
from .statements import Statement

connect = Connection

__all__ = [
    "Connection",
    "Cursor",
    "DictCursor",
    "Pool",
    "PoolStats",
    "SSCursor",
    "SSDictCursor",
    "Statement",
    "connect",
    "create_pool",
]
