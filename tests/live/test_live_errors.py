"""Errors of real servers: classes, numbers, and what becomes of the connection."""

from __future__ import annotations

import pickle
import threading

import pytest

import pymy
from pymy import Retry
from pymy.constants import CR, ER


@pytest.fixture
def table(conn):
    conn.query("create table parent (id int primary key) engine=innodb")
    conn.query(
        "create table t (id int primary key, name varchar(3) not null, parent int, small tinyint, "
        "d date, foreign key (parent) references parent (id)) engine=innodb"
    )
    conn.query("insert into t (id, name) values (1, 'a')")
    return conn


CASES = [
    ("select * fro t", pymy.ProgrammingError, ER.PARSE_ERROR, "42000"),
    ("select * from no_such_table", pymy.ProgrammingError, ER.NO_SUCH_TABLE, "42S02"),
    ("select no_such_column from t", pymy.OperationalError, ER.BAD_FIELD_ERROR, "42S22"),
    ("insert into t (id, name) values (1, 'b')", pymy.IntegrityError, ER.DUP_ENTRY, "23000"),
    ("insert into t (id, name) values (2, null)", pymy.IntegrityError, ER.BAD_NULL_ERROR, "23000"),
    (
        "insert into t values (2, 'b', 99, 1, null)",
        pymy.IntegrityError,
        ER.NO_REFERENCED_ROW_2,
        "23000",
    ),
    ("insert into t (id, name) values (2, 'long')", pymy.DataError, ER.DATA_TOO_LONG, "22001"),
    (
        "insert into t (id, name, small) values (2, 'b', 999)",
        pymy.DataError,
        ER.WARN_DATA_OUT_OF_RANGE,
        "22003",
    ),
    ("insert into t (id, name) values (1)", None, ER.WRONG_VALUE_COUNT_ON_ROW, "21S01"),
    ("insert into t (id, name, d) values (2, 'b', 'soon')", None, None, "22007"),
    ("create table t (id int)", pymy.OperationalError, ER.TABLE_EXISTS_ERROR, "42S01"),
    ("use no_such_schema", pymy.Error, ER.BAD_DB_ERROR, "42000"),
    ("select no_such_function()", pymy.Error, ER.SP_DOES_NOT_EXIST, "42000"),
    ("call no_such_procedure()", pymy.Error, ER.SP_DOES_NOT_EXIST, "42000"),
    ("set @@no_such_variable = 1", pymy.OperationalError, ER.UNKNOWN_SYSTEM_VARIABLE, "HY000"),
]


@pytest.mark.parametrize(("sql", "cls", "errno", "sqlstate"), CASES, ids=[c[0] for c in CASES])
def test_error(table, kind, sql, cls, errno, sqlstate):
    if kind == "mysql56":
        table.query("set sql_mode = 'STRICT_ALL_TABLES'")
    with pytest.raises(pymy.DatabaseError) as caught:
        table.query(sql)
    error = caught.value
    assert cls is None or type(error) is cls or cls is pymy.Error
    assert error.errno == error.args[0]
    assert errno is None or error.errno == errno
    assert error.message == error.args[1]
    assert error.sqlstate == sqlstate
    assert error.code.startswith("ER_")
    assert not error.fatal
    assert error.sent
    assert error.retry is Retry.NONE
    assert table.execute("select 1").fetchone() == (1,)
    again = pickle.loads(pickle.dumps(error))
    assert (again.args, again.sqlstate, again.code) == (error.args, error.sqlstate, error.code)


def test_check_constraint(conn, needs):
    needs("check")
    conn.query("create table t (a int check (a > 0))")
    with pytest.raises(pymy.DatabaseError) as caught:
        conn.query("insert into t values (-1)")
    assert caught.value.errno in (3819, 4025)


def test_signal(conn):
    conn.query(
        "create procedure p() signal sqlstate '45000' "
        "set message_text = 'no more tea', mysql_errno = 31001"
    )
    with pytest.raises(pymy.OperationalError, match="no more tea") as caught:
        conn.cursor().callproc("p")
    assert (caught.value.errno, caught.value.sqlstate) == (31001, "45000")


def test_access_denied_to_a_table(connect, account):
    conn = connect(user=account("BY 'x'"), password="x")
    with pytest.raises(pymy.DatabaseError) as caught:
        conn.query("select * from mysql.user")
    assert caught.value.errno in (ER.TABLEACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR)
    assert not caught.value.fatal


def test_too_many_connections(extra_server, connect):
    other = extra_server("--max-connections=1")
    with pytest.raises(pymy.OperationalError) as caught:
        for _ in range(12):  # the server sets one or two aside for root
            connect(other.dsn)
    error = caught.value
    assert (error.errno, error.code) == (ER.CON_COUNT_ERROR, "ER_CON_COUNT_ERROR")
    assert error.fatal
    assert error.sent is False
    assert error.retry is Retry.CONNECTION


def test_killed_while_idle(conn, connect, eventually, statement_of):
    connect().kill(conn.thread_id())
    eventually(lambda: statement_of(conn) is None)
    with pytest.raises(pymy.Error) as caught:
        conn.execute("select 1")
    error = caught.value
    assert error.errno in (
        ER.CONNECTION_KILLED,
        CR.CR_SERVER_GONE_ERROR,
        CR.CR_SERVER_LOST,
        ER.CLIENT_INTERACTION_TIMEOUT,
        1053,
    )
    assert error.fatal
    assert not conn.open
    with pytest.raises(pymy.InterfaceError, match=r"lost earlier.*pymy\.connect") as caught:
        conn.execute("select 1")
    assert caught.value.sent is False
    conn.connect()
    assert conn.execute("select 1").fetchone() == (1,)


@pytest.fixture
def stop_when_sleeping(connect, until_sleeping):
    """From a thread: wait until the connection runs its statement, then stop it."""
    threads = []

    def start(conn, statement):
        def work():
            until_sleeping(conn)
            other.query(f"{statement} {conn.thread_id()}")

        other = connect()
        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def test_killed_while_running(conn, stop_when_sleeping):
    stop_when_sleeping(conn, "kill")
    with pytest.raises(pymy.OperationalError) as caught:
        conn.execute("select sleep(60)")
    assert caught.value.fatal
    assert not conn.open


def test_query_killed_while_running(conn, stop_when_sleeping):
    stop_when_sleeping(conn, "kill query")
    try:
        # MySQL's sleep() swallows it and returns 1
        assert conn.execute("select sleep(60) from dual").fetchone() == (1,)
    except pymy.OperationalError as error:
        assert error.errno == ER.QUERY_INTERRUPTED
        assert not error.fatal
    assert conn.execute("select 1").fetchone() == (1,)


def test_wait_timeout(connect, eventually, statement_of):
    conn = connect(session_variables={"wait_timeout": 1})
    eventually(lambda: statement_of(conn) is None)
    with pytest.raises(pymy.Error) as caught:
        conn.ping()
    assert caught.value.fatal
    assert not conn.open


def test_statement_timeout(conn, needs):
    needs("statement timeout")
    conn.query(
        "set session max_statement_time = 0.1"
        if conn.is_mariadb
        else "set session max_execution_time = 100"
    )
    tables = ", ".join(f"information_schema.columns c{n}" for n in range(4))
    with pytest.raises(pymy.OperationalError) as caught:
        conn.query(f"select count(*) from {tables}")
    assert caught.value.errno in (ER.STATEMENT_TIMEOUT, 3024)
    assert not caught.value.fatal
    assert conn.execute("select 1").fetchone() == (1,)


def test_exceptions_on_the_connection(conn):
    for name in (
        "Warning",
        "Error",
        "InterfaceError",
        "DatabaseError",
        "DataError",
        "OperationalError",
        "IntegrityError",
        "InternalError",
        "ProgrammingError",
        "NotSupportedError",
    ):
        assert getattr(conn, name) is getattr(pymy, name)
        assert getattr(conn.cursor(), name) is getattr(pymy, name)


def test_multi_statements_are_off(conn):
    with pytest.raises(pymy.ProgrammingError) as caught:
        conn.query("select 1; select 2")
    assert caught.value.errno == ER.PARSE_ERROR
