"""URLs of SQLAlchemy, and what the dialects make of pymy's errors. No server."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import pymy
from pymy.options import Options, SSLMode
from pymy.sqlalchemy import (
    AsyncMariaDBDialect,
    AsyncMySQLDialect,
    BlockingMariaDBDialect,
    BlockingMySQLDialect,
)


def options(url: str) -> Options:
    """The options of the connections that an engine of this URL makes."""
    parsed = sa.make_url(url)
    args, keywords = parsed.get_dialect()().create_connect_args(parsed)
    assert not args
    return Options.from_keywords(**keywords)


@pytest.mark.parametrize(
    ("scheme", "dialect"),
    [
        ("mysql+pymy", BlockingMySQLDialect),
        ("mariadb+pymy", BlockingMariaDBDialect),
        ("mysql+pymy_async", AsyncMySQLDialect),
        ("mariadb+pymy_async", AsyncMariaDBDialect),
    ],
)
def test_entry_points(scheme: str, dialect: type) -> None:
    assert sa.make_url(f"{scheme}://db.example/shop").get_dialect() is dialect


@pytest.mark.parametrize(
    ("scheme", "dialect"), [("mysql", AsyncMySQLDialect), ("mariadb", AsyncMariaDBDialect)]
)
@pytest.mark.parametrize("driver", ["pymy", "pymy_async"])
def test_async_engine_takes_both_names(scheme: str, driver: str, dialect: type) -> None:
    engine = create_async_engine(f"{scheme}+{driver}://db.example/shop")
    assert type(engine.dialect) is dialect


def test_parameters_are_pymys_options() -> None:
    found = options(
        "mysql+pymy://app:s%40cret@db.example:3307/shop"
        "?connect_timeout=2.5&compress=zstd&read-timeout=none&ssl_mode=required"
    )
    assert (found.user, found.password, found.host) == ("app", "s@cret", "db.example")
    assert (found.port, found.database) == (3307, "shop")
    assert (found.connect_timeout, found.read_timeout) == (2.5, None)
    assert (found.compress, found.ssl_mode) == ("zstd", SSLMode.REQUIRED)
    assert found.client_found_rows


def test_parameters_of_other_drivers() -> None:
    found = options(
        "mysql+pymy://app@db.example/shop?charset=utf8mb4&use_unicode=1&ssl_ca=ca.pem"
        "&ssl_check_hostname=false&local_infile=0"
    )
    assert (found.charset, found.use_unicode, found.local_infile) == ("utf8mb4", True, False)
    assert (found.ssl_ca, found.ssl_mode) == ("ca.pem", SSLMode.VERIFY_CA)


@pytest.mark.parametrize(
    ("query", "mode"),
    [
        ("ssl=verify_identity&ssl_check_hostname=false", SSLMode.VERIFY_CA),
        ("ssl_mode=verify-identity&ssl_check_hostname=false", SSLMode.VERIFY_CA),
        ("ssl=verify_ca&ssl_check_hostname=false", SSLMode.VERIFY_CA),
        ("ssl_verify_cert=true&ssl_check_hostname=false", SSLMode.VERIFY_CA),
        ("ssl_ca=ca.pem&ssl_check_hostname=false", SSLMode.VERIFY_CA),
        ("ssl_capath=/certs&ssl_check_hostname=false", SSLMode.VERIFY_CA),
        ('ssl={"ca":"ca.pem"}&ssl_check_hostname=false', SSLMode.VERIFY_CA),
        ('ssl={"verify_mode":true}&ssl_check_hostname=true', SSLMode.VERIFY_IDENTITY),
        ("ssl_cert=a.pem&ssl_check_hostname=false", SSLMode.REQUIRED),
        ("ssl=true&ssl_check_hostname=false", SSLMode.REQUIRED),
        ("ssl=required&ssl_check_hostname=false", SSLMode.REQUIRED),
        ("ssl_check_hostname=false", SSLMode.REQUIRED),
        ("ssl=false&ssl_check_hostname=false", SSLMode.DISABLED),
        ("ssl_check_hostname=true", SSLMode.VERIFY_IDENTITY),
        ("ssl=true&ssl_check_hostname=true", SSLMode.VERIFY_IDENTITY),
        ("ssl_ca=ca.pem&ssl_check_hostname=true", SSLMode.VERIFY_IDENTITY),
        ("ssl_mode=verify_identity&ssl_ca=ca.pem&ssl_check_hostname=true", SSLMode.VERIFY_IDENTITY),
        ("ssl_verify_identity=true&ssl_check_hostname=true", SSLMode.VERIFY_IDENTITY),
    ],
)
def test_check_hostname_takes_no_other_check_away(query: str, mode: SSLMode) -> None:
    assert options(f"mysql+pymy://app@db.example/shop?{query}").ssl_mode is mode


def test_unix_socket() -> None:
    found = options("mysql+pymy://app@/shop?unix_socket=/run/mysqld.sock")
    assert (found.unix_socket, found.database) == ("/run/mysqld.sock", "shop")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("conect_timeout=5", "Did you mean connect_timeout"),
        ("connect_timeout=soon", "connect_timeout must be seconds"),
        ("charset=utf8mb4&charset=latin1", "charset is given twice"),
        ("db=other", "database is given twice"),
        ("ssl=verify_ca&ssl_check_hostname=true", "checks less than another ssl option"),
        ("ssl=false&ssl_check_hostname=true", "checks less than another ssl option"),
        ("ssl_verify_identity=true&ssl_check_hostname=false", "contradicts ssl_verify_identity"),
        ("ssl_verify_identity=false&ssl_check_hostname=true", "contradicts ssl_verify_identity"),
        ('ssl={"ca":"a","check_hostname":true}&ssl_check_hostname=false', "contradicts ssl;"),
        ("ssl=verify_ca&ssl_mode=verify_identity&ssl_check_hostname=false", "different modes"),
        ("ssl=verify-all&ssl_check_hostname=false", "ssl_mode is one of"),
    ],
)
def test_wrong_parameters(query: str, message: str) -> None:
    with pytest.raises(pymy.ProgrammingError, match=message):
        options(f"mysql+pymy://app@db.example/shop?{query}")


@pytest.mark.parametrize(
    "given", [{"json": True}, {"cursorclass": pymy.cursors.DictCursor}, {"paramstyle": "qmark"}]
)
def test_options_that_sqlalchemy_does_itself(given: dict[str, Any]) -> None:
    engine = sa.create_engine("mysql+pymy://app@db.example/shop", connect_args=given)
    with pytest.raises(sa.exc.ProgrammingError, match="is not for SQLAlchemy"):
        engine.connect()


def test_password_is_not_shown() -> None:
    engine = sa.create_engine("mysql+pymy://app:secret@db.example/shop")
    assert "secret" not in repr(engine)


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (pymy.OperationalError(2006, "gone"), True),
        (pymy.OperationalError(2013, "lost"), True),
        (pymy.InterfaceError(2901, "closed"), True),
        (pymy.OperationalError(4031, "wait_timeout"), True),
        (pymy.OperationalError(1927, "killed", mariadb=True), True),
        (pymy.OperationalError(1290, "running with the --read-only option"), True),
        (pymy.OperationalError(1290, "running with the --skip-grant-tables option"), False),
        (pymy.OperationalError(1213, "deadlock"), False),
        (pymy.OperationalError(1205, "lock wait timeout"), False),
        (pymy.ProgrammingError(1064, "syntax"), False),
        (pymy.InterfaceError(0, ""), False),
        (ValueError("not a database's"), False),
    ],
)
def test_disconnects(error: Exception, lost: bool) -> None:
    dialect = BlockingMySQLDialect(dbapi=BlockingMySQLDialect.import_dbapi())
    assert dialect.is_disconnect(error, None, None) is lost


def test_errors_of_sqlalchemy_pickle() -> None:
    error = sa.exc.DBAPIError.instance(
        "select 1", {}, pymy.OperationalError(1213, "deadlock"), pymy.Error
    )
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, sa.exc.OperationalError)
    assert again.orig.retry is pymy.Retry.TRANSACTION
