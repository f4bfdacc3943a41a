"""Exceptions of PEP 249, and what an error number says about the connection and about trying again.

Every error pymy raises has `args == (errno, message)`. `errno` is the server's number, or a client
number of `pymy.constants.CR`, or 0.

Source: https://peps.python.org/pep-0249/#exceptions
https://dev.mysql.com/doc/mysql-errors/en/ https://mariadb.com/kb/en/mariadb-error-code-reference/
"""

from __future__ import annotations

import builtins
from enum import Enum
from typing import Any, NoReturn


class Retry(Enum):
    """How much must be run again for a failed command to have a chance."""

    NONE = "none"
    """Running it again changes nothing, or nobody can tell."""
    QUERY = "query"
    """The statement alone: the server undid it, the transaction is still open."""
    TRANSACTION = "transaction"
    """The whole transaction: the server rolled it back."""
    CONNECTION = "connection"
    """Everything, on a new connection, perhaps to another server. Look at `Error.sent` first:
    True means that the statement may have been executed."""


class MySQLError(Exception):
    """Base of `Error` and `Warning`, as in PyMySQL."""


class Warning(builtins.Warning, MySQLError):
    """Something the server or the driver finds odd, without a failure."""


class Error(MySQLError):
    """Base of all failures.

    errno: number of the server or of `pymy.constants.CR`; default 0, "none".
    message: text of the server, or the driver's text, which says what to do next.
    sqlstate: the five characters of the SQLSTATE, None when the server gave none.
    fatal: True when the connection cannot be used any more; None derives it from the number.
    sent: False when nothing of the command reached the server, so that running it again is safe.
    mariadb: True when MariaDB sent it: the two servers use the same numbers for different things.
    """

    sqlstate: str | None = None
    """Five characters, e.g. "23000"; None when unknown."""
    fatal: bool = False
    """True: the connection is broken or closed; connect again."""
    sent: bool = True
    """False: nothing of the command reached the server."""
    mariadb: bool = False
    """True: the number is to be read as MariaDB's."""
    line: int | None = None
    """Of a script: number of the line where what failed begins."""
    statement: str | None = None
    """Of a script: the statement that failed, shortened."""
    row_index: int | None = None
    """Of many rows: the index of the one that failed, from 0; None when that is not known."""
    row_range: range | None = None
    """Of many rows: the indexes of those sent together, one of which failed."""

    command_index: int | None = None
    """Of a pipeline: number of the command that failed, from 0."""

    def __init__(
        self,
        *args: Any,
        sqlstate: str | None = None,
        fatal: bool | None = None,
        sent: bool | None = None,
        mariadb: bool = False,
    ) -> None:
        super().__init__(*args)
        self.sqlstate = sqlstate
        # pymy's own numbers are of errors it found before anything went out
        self.sent = not 2900 <= self.errno <= 2999 if sent is None else sent
        self.mariadb = mariadb
        self.fatal = _is_fatal(self.errno, mariadb) if fatal is None else fatal

    @property
    def errno(self) -> int:
        """Number of the error, 0 when it has none."""
        first = self.args[0] if self.args else 0
        return first if isinstance(first, int) else 0

    @property
    def message(self) -> str:
        """Text of the error without its number."""
        return str(self.args[-1]) if self.args else ""

    @property
    def code(self) -> str:
        """Symbol of the number, e.g. "ER_DUP_ENTRY" or "CR_SERVER_LOST"; "" when it has none."""
        errno = self.errno
        if errno == 0:
            return ""
        if 2000 <= errno <= 2999:  # no server has numbers here
            from .constants import CR

            return CR.symbol(errno)
        # The table is large and most programs never ask.
        from .constants import ER

        return ER.symbol(errno, mariadb=self.mariadb)

    @property
    def retry(self) -> Retry:
        """What must be run again for the command to have a chance."""
        return _retry(self.errno, self.message, self.mariadb)

    def __reduce__(self) -> tuple[Any, ...]:
        # BaseException keeps only args for the constructor; the rest travels as state.
        return type(self), self.args, self.__dict__


class InterfaceError(Error):
    """The driver was used in a way it cannot follow, e.g. on a closed cursor."""


class DatabaseError(Error):
    """Base of what the server reports."""


class DataError(DatabaseError):
    """A value does not fit: too long, out of range, not a date, not convertible."""


class OperationalError(DatabaseError):
    """Outside the program's control: lost connection, denied access, deadlock, full disk.
    Also every server error that nothing else claims."""


class IntegrityError(DatabaseError):
    """A key or a NOT NULL was violated."""


class InternalError(DatabaseError):
    """The server reports a fault of its own, or one with a number below 1000."""


class ProgrammingError(DatabaseError):
    """The statement or the call is wrong: syntax, no such table, wrong number of parameters."""


class NotSupportedError(DatabaseError):
    """The server or pymy cannot do what was asked."""


class Classes:
    """PEP 249's exceptions as attributes, which connections and cursors have too."""

    Warning = Warning
    Error = Error
    InterfaceError = InterfaceError
    DatabaseError = DatabaseError
    DataError = DataError
    OperationalError = OperationalError
    IntegrityError = IntegrityError
    InternalError = InternalError
    ProgrammingError = ProgrammingError
    NotSupportedError = NotSupportedError


class ProtocolError(OperationalError):
    """The peer broke the protocol. The connection is closed: what follows cannot be trusted."""

    def __init__(self, *args: Any, fatal: bool | None = True, **extras: Any) -> None:
        super().__init__(*args, fatal=fatal, **extras)


class PoolTimeout(OperationalError):
    """No connection of the pool became free in time."""


class PoolQueueFull(OperationalError):
    """More requests than `max_waiting` wait for a connection of the pool."""


class PoolClosed(InterfaceError):
    """The pool is closed, or was closed while the request waited."""


# Class by number, for numbers that mean the same on both servers. The choices are those of PyMySQL
# and mysqlclient, which programs rely on in their except clauses.
error_map: dict[int, type[Error]] = {
    1007: ProgrammingError,  # DB_CREATE_EXISTS
    1064: ProgrammingError,  # PARSE_ERROR
    1102: ProgrammingError,  # WRONG_DB_NAME
    1103: ProgrammingError,  # WRONG_TABLE_NAME
    1110: ProgrammingError,  # FIELD_SPECIFIED_TWICE
    1111: ProgrammingError,  # INVALID_GROUP_FUNC_USE
    1112: ProgrammingError,  # UNSUPPORTED_EXTENSION
    1113: ProgrammingError,  # TABLE_MUST_HAVE_COLUMNS
    1146: ProgrammingError,  # NO_SUCH_TABLE
    1149: ProgrammingError,  # SYNTAX_ERROR
    1166: ProgrammingError,  # WRONG_COLUMN_NAME
    1179: ProgrammingError,  # CANT_DO_THIS_DURING_AN_TRANSACTION
    1171: DataError,  # PRIMARY_CANT_HAVE_NULL
    1230: DataError,  # NO_DEFAULT
    1263: DataError,  # WARN_NULL_TO_NOTNULL
    1264: DataError,  # WARN_DATA_OUT_OF_RANGE
    1265: DataError,  # WARN_DATA_TRUNCATED
    1366: DataError,  # TRUNCATED_WRONG_VALUE_FOR_FIELD
    1367: DataError,  # ILLEGAL_VALUE_FOR_TYPE
    1406: DataError,  # DATA_TOO_LONG
    1441: DataError,  # DATETIME_FUNCTION_OVERFLOW
    1048: IntegrityError,  # BAD_NULL_ERROR
    1062: IntegrityError,  # DUP_ENTRY
    1215: IntegrityError,  # CANNOT_ADD_FOREIGN
    1216: IntegrityError,  # NO_REFERENCED_ROW
    1217: IntegrityError,  # ROW_IS_REFERENCED
    1451: IntegrityError,  # ROW_IS_REFERENCED_2
    1452: IntegrityError,  # NO_REFERENCED_ROW_2
    1196: NotSupportedError,  # WARNING_NOT_COMPLETE_ROLLBACK
    1235: NotSupportedError,  # NOT_SUPPORTED_YET
    1286: NotSupportedError,  # UNKNOWN_STORAGE_ENGINE
    1289: NotSupportedError,  # FEATURE_DISABLED
    1040: OperationalError,  # CON_COUNT_ERROR
    1044: OperationalError,  # DBACCESS_DENIED_ERROR
    1045: OperationalError,  # ACCESS_DENIED_ERROR
    1142: OperationalError,  # TABLEACCESS_DENIED_ERROR
    1143: OperationalError,  # COLUMNACCESS_DENIED_ERROR
    1213: OperationalError,  # LOCK_DEADLOCK
    # A failed CHECK and a number out of range: Django turns exactly these from OperationalError
    # into IntegrityError, so SQLSTATE 22 and 23 must not claim them first.
    1690: OperationalError,  # DATA_OUT_OF_RANGE
    3819: OperationalError,  # MySQL CHECK_CONSTRAINT_VIOLATED
    4025: OperationalError,  # MariaDB CONSTRAINT_FAILED
}

# For numbers without an entry. Class 42 stays OperationalError: it holds 1049 (unknown database),
# 1050 (table exists) and 1054 (unknown column), which programs written for PyMySQL or mysqlclient
# catch as OperationalError.
_SQLSTATE_CLASSES: dict[str, type[Error]] = {
    "0A": NotSupportedError,
    "22": DataError,
    "23": IntegrityError,
}

# The server closes the connection with, or right after, these.
_FATAL_SERVER = frozenset(
    {
        1040,  # too many connections
        1041,  # out of resources
        1042,  # cannot get the host name
        1043,  # bad handshake
        1053,  # shutdown in progress
        1080,  # forced close
        1129,  # host is blocked
        1130,  # host is not allowed
        1135,  # cannot create a thread
        1152,  # aborted connection
        1153,  # packet bigger than max_allowed_packet: the rest of it is still on its way
        *range(1155, 1162),  # packets out of order, uncompress, read and write errors
        1184,  # aborted new connection
        1203,  # more than max_user_connections
        1251,  # authentication protocol too old
    }
)
_FATAL_MYSQL = frozenset({3032, 3169, 4031})  # offline mode, session killed, wait_timeout
_FATAL_MARIADB = frozenset({1927})  # connection killed

# Errors that end a connection from the client's side: cannot connect, gone, lost, TLS, malformed.
_FATAL_CLIENT = frozenset(
    {2001, 2002, 2003, 2004, 2005, 2006, 2007, 2012, 2013, 2026, 2027, 2055}
    | {2901, 2903}  # closed, forked
)

_RETRY_QUERY = frozenset({1205, 1615})  # lock wait timeout, statement needs to be prepared again
_RETRY_TRANSACTION = frozenset(
    {
        1213,  # deadlock
        1402,  # XA_RBROLLBACK
        1412,  # a table changed since the transaction's snapshot
        1613,  # XA_RBTIMEOUT
        1614,  # XA_RBDEADLOCK
    }
)
_RETRY_CONNECTION = frozenset(
    {1040, 1042, 1053, 1080, 1135, 1152, *range(1155, 1162), 1184, 1203, 1226}
    | {2001, 2002, 2003, 2004, 2005, 2006, 2012, 2013, 2055, 2901, 2903}
)
_READ_ONLY = frozenset({1290, 1836})
_RETRY_MYSQL = {
    3032: Retry.CONNECTION,  # offline mode
    3101: Retry.TRANSACTION,  # group replication found a conflict at commit
    3169: Retry.CONNECTION,  # session was killed
    3572: Retry.QUERY,  # NOWAIT and the lock was taken
    4031: Retry.CONNECTION,  # wait_timeout
}
_RETRY_MARIADB = {
    1020: Retry.TRANSACTION,  # innodb_snapshot_isolation: the record changed since it was read
    1927: Retry.CONNECTION,  # connection was killed
}


def _is_fatal(errno: int, mariadb: bool) -> bool:
    if errno in _FATAL_SERVER or errno in _FATAL_CLIENT:
        return True
    return errno in (_FATAL_MARIADB if mariadb else _FATAL_MYSQL | _FATAL_MARIADB)


def _retry(errno: int, message: str, mariadb: bool) -> Retry:
    if errno in _RETRY_QUERY:
        return Retry.QUERY
    if errno in _RETRY_TRANSACTION:
        return Retry.TRANSACTION
    if errno in _RETRY_CONNECTION:
        return Retry.CONNECTION
    if errno == 1047 and "WSREP" in message:
        return Retry.CONNECTION  # a Galera node outside the primary component refuses every command
    if errno in _READ_ONLY and "read-only" in message:
        return Retry.CONNECTION  # the address now leads to a replica
    if mariadb:
        return _RETRY_MARIADB.get(errno, Retry.NONE)
    # 1927 is free in MySQL's table, and callers that do not know the server get it right too.
    return _RETRY_MYSQL.get(errno, Retry.CONNECTION if errno == 1927 else Retry.NONE)


def error_class(errno: int, sqlstate: str | None = None) -> type[Error]:
    """Return the exception class of a server error: by number, then SQLSTATE class, then range."""
    found = error_map.get(errno)
    if found is None and sqlstate is not None:
        found = _SQLSTATE_CLASSES.get(sqlstate[:2])
    if found is None:
        found = InternalError if errno < 1000 else OperationalError
    return found


def from_server(
    errno: int,
    sqlstate: str | None,
    message: str,
    *,
    mariadb: bool = False,
    fatal: bool | None = None,
) -> Error:
    """Build the exception of an ERR packet.

    errno: 0-65535. sqlstate: five characters, None before protocol 4.1. message: decoded text.
    mariadb: the packet came from MariaDB. fatal: None derives it from the number; a handshake,
    where every ERR ends the connection, gives True.
    """
    return error_class(errno, sqlstate)(
        errno, message, sqlstate=sqlstate, fatal=fatal, mariadb=mariadb
    )


def raise_mysql_exception(data: bytes) -> NoReturn:
    """Raise the exception of a whole ERR packet, as PyMySQL's function of this name does."""
    from .protocol.packets import parse_err  # which imports this module

    if data[:1] != b"\xff":
        raise ProtocolError(2027, "An error packet was expected, something else arrived.")
    raise parse_err(data)
