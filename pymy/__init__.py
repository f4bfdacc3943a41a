"""pymy: the MySQL and MariaDB driver for Python.

::

    import pymy

    with pymy.connect("mysql://app:secret@db.example/shop") as conn:
        for id, name in conn.execute("select id, name from item where price < %s", (10,)):
            print(id, name)

PEP 249: https://peps.python.org/pep-0249/
"""

from __future__ import annotations

from . import err
from .connections import Connection
from .constants import FIELD_TYPE
from .converters import escape, escape_dict, escape_sequence, escape_string, string_literal
from .err import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    MySQLError,
    NotSupportedError,
    OperationalError,
    PoolClosed,
    PoolQueueFull,
    PoolTimeout,
    ProgrammingError,
    ProtocolError,
    Retry,
    Warning,
)
from .options import Options, SSLMode
from .pipelines import Pipeline, PipelineResult
from .pool import Pool, PoolStats
from .protocol.bulk import RowResult
from .sql import Raw, escape_id, format
from .standins import install_as_aiomysql, install_as_MySQLdb, install_as_pymysql
from .statements import Statement
from .times import (
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
)
from .typesets import BINARY, DATE, DATETIME, NUMBER, ROWID, STRING, TIME, TIMESTAMP, DBAPISet
from .values import ValueStream
from .version import __version__, version_info

apilevel = "2.0"
threadsafety = 1
paramstyle = "pyformat"

NULL = "NULL"
Binary = bytes

VERSION_STRING = __version__
VERSION = (0, 1, 0, "final", 0)

connect = Connection
Connect = Connection


def get_client_info() -> str:
    """Return pymy's version."""
    return __version__


def thread_safe() -> bool:
    """Tell that threads may share the module (MySQLdb's name for it)."""
    return True


__all__ = [
    "BINARY",
    "DATE",
    "DATETIME",
    "FIELD_TYPE",
    "NULL",
    "NUMBER",
    "ROWID",
    "STRING",
    "TIME",
    "TIMESTAMP",
    "VERSION",
    "VERSION_STRING",
    "Binary",
    "Connect",
    "Connection",
    "DBAPISet",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "MySQLError",
    "NotSupportedError",
    "OperationalError",
    "Options",
    "Pipeline",
    "PipelineResult",
    "Pool",
    "PoolClosed",
    "PoolQueueFull",
    "PoolStats",
    "PoolTimeout",
    "ProgrammingError",
    "ProtocolError",
    "Raw",
    "Retry",
    "RowResult",
    "SSLMode",
    "Statement",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "ValueStream",
    "Warning",
    "__version__",
    "apilevel",
    "connect",
    "err",
    "escape",
    "escape_dict",
    "escape_id",
    "escape_sequence",
    "escape_string",
    "format",
    "get_client_info",
    "install_as_MySQLdb",
    "install_as_aiomysql",
    "install_as_pymysql",
    "paramstyle",
    "string_literal",
    "thread_safe",
    "threadsafety",
    "version_info",
]  # fmt: skip
