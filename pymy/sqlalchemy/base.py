"""What the blocking and the asyncio dialects share."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from sqlalchemy import util
from sqlalchemy.dialects.mysql import INET4, INET6
from sqlalchemy.dialects.mysql.base import MySQLDialect, MySQLExecutionContext
from sqlalchemy.engine import URL

import pymy
from pymy.converters import conversions, encoders
from pymy.options import SSLMode
from pymy.options.dsn import bad_option, take_parameter
from pymy.options.keywords import parse_ssl_mode, resolve_tls

from .types import VECTOR

# SQLAlchemy does these itself; with pymy doing them too, it would not understand what it gets.
_NOT_HERE = {
    "cursorclass": "rows are tuples here",
    "defer_connect": "the engine's pool decides when to connect",
    "json": "the JSON type decodes; create_engine() takes json_deserializer",
    "paramstyle": "it is an argument of create_engine()",
    "row_factory": "rows are tuples here; Row has names and mappings()",
}


def _typed(keyword: str, cls: type) -> Callable[[Any, Any], str]:
    return lambda value, mapping: f"{keyword} {encoders[cls](value, mapping)}"


# With its type in front of it, a bound date in the list of a SELECT comes back as a date, not text.
_CONVERSIONS: Mapping[Any, Any] = conversions | {
    datetime.date: _typed("DATE", datetime.date),
    datetime.datetime: _typed("TIMESTAMP", datetime.datetime),
    datetime.time: _typed("TIME", datetime.time),
    datetime.timedelta: _typed("TIME", datetime.timedelta),
}


def _check_hostname(found: dict[str, Any], checked: bool) -> None:
    """Apply ``ssl_check_hostname`` to the options; False takes the name's check away, no other."""
    if isinstance(given := found.get("ssl"), Mapping):
        if given.get("check_hostname", checked) != checked:
            raise bad_option("URL: ssl_check_hostname contradicts ssl; leave one of them out.")
        found["ssl"] = {**given, "check_hostname": checked}
    elif found.setdefault("ssl_verify_identity", checked) != checked:
        raise bad_option(
            "URL: ssl_check_hostname contradicts ssl_verify_identity; leave one of them out."
        )
    resolve_tls(dict(found))  # raises when the others contradict each other
    if checked:
        return
    for name in {"ssl", "ssl_mode"} & found.keys():
        if not isinstance(found[name], bool | Mapping):
            mode = parse_ssl_mode(found[name])
            found[name] = SSLMode.VERIFY_CA if mode is SSLMode.VERIFY_IDENTITY else mode
    if not {"ssl", "ssl_mode"} & found.keys():
        found["ssl"] = True  # other drivers take it for a wish for TLS


class ExecutionContext(MySQLExecutionContext):
    """One statement on its way; ``stream_results`` asks it for the unbuffered cursor."""

    def create_server_side_cursor(self) -> Any:
        dialect: Any = self.dialect
        return self._dbapi_connection.cursor(dialect.unbuffered_cursor)


class PymyDialect(MySQLDialect):
    """pymy under SQLAlchemy's MySQL dialect."""

    supports_statement_cache = True
    supports_native_decimal = True
    supports_sane_rowcount = True
    supports_sane_multi_rowcount = True
    supports_server_side_cursors = True
    default_paramstyle = "format"
    execution_ctx_cls = ExecutionContext
    # a connection that is given up needs no goodbye, and may have no running loop
    has_terminate = True

    #: What the connection's ``cursor()`` takes for a cursor that reads rows as they are fetched.
    unbuffered_cursor: ClassVar[Any]

    # what SHOW CREATE TABLE may name beyond what SQLAlchemy looks for
    ischema_names: dict[str, Any] = {
        **MySQLDialect.ischema_names,
        "inet4": INET4,
        "inet6": INET6,
        "vector": VECTOR,
    }

    def retrieve_dbapi_version(self, dbapi: Any) -> Any:
        return util.parse_version_string(pymy.__version__)

    # -- connecting

    def create_connect_args(self, url: URL) -> tuple[list[Any], dict[str, Any]]:
        """Return what ``connect()`` takes: the URL's parameters are pymy's options, as in its own.

        ``ssl_check_hostname``, which SQLAlchemy's other MySQL drivers have, works too: true is
        ``ssl_verify_identity``, false turns ``verify_identity`` into ``verify_ca``, no less.
        Raises ProgrammingError for an unknown parameter, with the nearest known ones, and for TLS
        options that contradict each other.
        """
        found: dict[str, Any] = url.translate_connect_args(username="user")
        query = dict(url.query)
        check_hostname = query.pop("ssl_check_hostname", None)
        for key, text in query.items():
            if not isinstance(text, str):
                raise bad_option(f"URL: {key} is given twice.")
            take_parameter(found, key, text)
        if check_hostname is not None:
            _check_hostname(found, util.asbool(check_hostname))
        found["conv"] = _CONVERSIONS
        # what UPDATE matched, not what it changed: SQLAlchemy counts on it
        found["client_found_rows"] = True
        return [], found

    def connect(self, *args: Any, **options: Any) -> Any:
        for name in _NOT_HERE.keys() & options.keys():
            raise bad_option(f"{name} is not for SQLAlchemy: {_NOT_HERE[name]}.")
        return super().connect(*args, **options)

    def _detect_charset(self, connection: Any) -> str:
        # asked for by the base dialect; the login has set it, so nothing is sent
        return str(connection.connection.character_set_name())

    # -- errors

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Tell whether the pool must connect anew: the link is lost, or leads to a server that has
        become read-only or left its cluster."""
        return isinstance(e, pymy.Error) and (e.fatal or e.retry is pymy.Retry.CONNECTION)

    def _extract_error_code(self, exception: Any) -> int:
        return int(exception.errno)

    # -- transactions

    def get_isolation_level_values(self, dbapi_conn: Any) -> Any:
        return (*super().get_isolation_level_values(dbapi_conn), "AUTOCOMMIT")

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        dbapi_connection.autocommit(level == "AUTOCOMMIT")
        if level != "AUTOCOMMIT":
            super().set_isolation_level(dbapi_connection, level)

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        return bool(dbapi_conn.get_autocommit())

    def do_commit_twophase(
        self, connection: Any, xid: Any, is_prepared: bool = True, recover: bool = False
    ) -> None:
        if not recover:
            return super().do_commit_twophase(connection, xid, is_prepared)
        driver = connection.connection
        driver.rollback()  # what has happened here since may not be open then
        driver.tpc_commit(driver.xid(1, xid, ""))

    def do_rollback_twophase(
        self, connection: Any, xid: Any, is_prepared: bool = True, recover: bool = False
    ) -> None:
        if not recover:
            return super().do_rollback_twophase(connection, xid, is_prepared)
        driver = connection.connection
        driver.rollback()
        driver.tpc_rollback(driver.xid(1, xid, ""))

    def do_recover_twophase(self, connection: Any) -> list[str]:
        """List the prepared transactions that SQLAlchemy can name: format 1, without a branch."""
        return [
            xid.global_transaction_id
            for xid in connection.connection.tpc_recover()
            if xid.format_id == 1 and not xid.branch_qualifier
        ]

    def do_ping(self, dbapi_connection: Any) -> bool:
        dbapi_connection.ping()
        return True
