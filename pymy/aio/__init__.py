"""pymy over asyncio: the same conversations as the blocking driver's, awaited.

::

    import pymy.aio

    async with pymy.aio.connect("mysql://app:secret@db.example/shop") as conn:
        cur = await conn.execute("select id, name from item where price < %s", (10,))
        async for id, name in cur:
            print(id, name)
"""

from __future__ import annotations

from ..converters import escape_dict, escape_sequence, escape_string
from ..err import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    MySQLError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
)
from ..protocol.bulk import RowResult
from ..version import __version__
from .connections import Connection
from .cursors import Cursor, DictCursor, FetchCursor, SSCursor, SSDictCursor
from .pipelines import Pipeline, PipelineResult
from .pool import Pool, PoolStats, create_pool
from .statements import Statement
from .values import ValueStream

connect = Connection

__all__ = [
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "DictCursor",
    "Error",
    "FetchCursor",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "MySQLError",
    "NotSupportedError",
    "OperationalError",
    "Pipeline",
    "PipelineResult",
    "Pool",
    "PoolStats",
    "ProgrammingError",
    "RowResult",
    "SSCursor",
    "SSDictCursor",
    "Statement",
    "ValueStream",
    "Warning",
    "__version__",
    "connect",
    "create_pool",
    "escape_dict",
    "escape_sequence",
    "escape_string",
]
