"""Each public method that may wait has a start_ of its own, and it does the same."""

from __future__ import annotations

from inspect import iscoroutinefunction

import pytest
from driving import drive

import pymy
import pymy.aio
from pymy import nonblocking
from pymy.constants import CR
from pymy.cursors import Cursor, SSCursor

# Methods of a connection and of a cursor that send nothing, or are no calls.
SILENT = {
    "affected_rows", "character_set_name", "cursor", "escape", "escape_id", "escape_string",
    "fileno", "get_autocommit", "get_host_info", "get_proto_info", "get_server_info", "insert_id",
    "is_alive", "literal", "mogrify", "setinputsizes", "setoutputsize", "setoutputsizes",
    "thread_id", "xid",
}  # fmt: skip
# They end without waiting; or they wait at several places of the caller's.
NOT_STARTED = {"abort", "pipeline", "stream", "transaction", "fetchall_unbuffered"}


def methods(cls):
    return {
        name
        for name in dir(cls)
        if not name.startswith("_")
        and callable(getattr(cls, name))
        and not isinstance(getattr(cls, name), type)
    }


@pytest.mark.parametrize("cls", [pymy.Connection, Cursor, SSCursor])
def test_what_waits_can_be_started(cls):
    names = {name for name in methods(cls) if not name.startswith("start_")}
    started = {name.removeprefix("start_") for name in vars_of(cls) if name.startswith("start_")}
    assert names - started == names & (SILENT | NOT_STARTED)
    assert started <= names


@pytest.mark.parametrize("name", ["Connection", "Cursor", "SSCursor"])
def test_what_is_awaited_can_be_started(name):
    """By no list of names: what asyncio awaits is what waits."""
    awaiting = getattr(pymy.aio, name)
    awaited = {each for each in methods(awaiting) if iscoroutinefunction(getattr(awaiting, each))}
    blocking = vars_of({"Connection": pymy.Connection}.get(name) or getattr(pymy.cursors, name))
    assert len(awaited) > 5
    assert {each for each in awaited & blocking if f"start_{each}" not in blocking} == set()


def vars_of(cls):
    return {name for base in cls.__mro__ for name in vars(base)}


@pytest.fixture
def other(connect):
    return connect()


def xid(conn):
    return conn.xid(1, f"t{conn.thread_id()}", "b")


def rows(conn, sql="select a from t order by a"):
    return [row[0] for row in conn.execute(sql).fetchall()]


def refused(conn, sql):
    with pytest.raises(pymy.ProgrammingError):
        conn.query(sql)
    return True


# name: (what comes before, the arguments, what the result must be, what must be true afterwards)
CONNECTION = {
    "autocommit": (None, [True], None, lambda conn: conn.get_autocommit()),
    "begin": (None, [], None, lambda conn: conn.in_transaction),
    "change_user": (
        None,
        [None, None, "information_schema"],
        None,
        lambda conn: conn.options.database == conn.db == "information_schema",
    ),
    "close": (None, [], None, lambda conn: not conn.open),
    "commit": (
        lambda conn: conn.query("insert into t values (3)"),
        [],
        None,
        lambda conn: not conn.in_transaction and rows(conn) == [1, 2, 3],
    ),
    "connect": (lambda conn: conn.close(), [], None, lambda conn: rows(conn) == [1, 2]),
    "execute": (
        None,
        ["select %s", (5,)],
        lambda cursor: cursor.fetchone() == (5,),
        lambda conn: rows(conn) == [1, 2],
    ),
    "load_rows": (None, ["t", [(3,), (4,)]], 2, lambda conn: rows(conn) == [1, 2, 3, 4]),
    "next_result": (
        lambda conn: conn.query("insert into t values (3); insert into t values (4), (5)"),
        [],
        2,
        lambda conn: rows(conn) == [1, 2, 3, 4, 5],
    ),
    "ping": (None, [], None, lambda conn: conn.open),
    "prepare": (
        None,
        ["select a from t where a > ?"],
        lambda statement: statement.param_count == 1,
        lambda conn: rows(conn) == [1, 2],
    ),
    "query": (None, ["insert into t values (3)"], 1, lambda conn: rows(conn) == [1, 2, 3]),
    "reset": (
        lambda conn: conn.query("set @a = 1"),
        [],
        None,
        lambda conn: rows(conn, "select @a") == [None],
    ),
    "rollback": (
        lambda conn: conn.query("insert into t values (3)"),
        [],
        None,
        lambda conn: not conn.in_transaction and rows(conn) == [1, 2],
    ),
    "run_script": (
        None,
        [["insert into t values (3);", "insert into t values (4), (5)"]],
        lambda done: done[:3] == (2, 3, 0),
        lambda conn: rows(conn) == [1, 2, 3, 4, 5],
    ),
    "select_db": (None, ["information_schema"], None, lambda conn: conn.db == "information_schema"),
    "set_character_set": (
        None,
        ["latin1", "latin1_bin"],
        None,
        lambda conn: conn.encoding == "cp1252" and rows(conn, "select 'é'") == ["é"],
    ),
    "set_charset": (None, ["latin1"], None, lambda conn: conn.charset == "latin1"),
    "set_multi_statements": (
        None,
        [False],
        None,
        lambda conn: refused(conn, "select 1; select 2"),
    ),
    "show_warnings": (
        lambda conn: conn.query("select cast('x' as signed)"),
        [],
        lambda found: len(found) == 1 and found[0][1] == 1292,
        lambda conn: conn.open,
    ),
    "stream_value": (
        None,
        ["select a, 'xyz' from t where a = %s", (2,)],
        lambda value: (value.row, value.size) == ((2,), 3) and value.close() is None,
        lambda conn: rows(conn) == [1, 2],
    ),
    "statistics": (None, [], lambda line: "Uptime" in line, lambda conn: conn.open),
    "tpc_begin": (None, xid, None, lambda conn: conn.tpc_rollback() is None),
    "tpc_commit": (
        lambda conn: conn.tpc_begin(xid(conn)) or conn.query("insert into t values (3)"),
        [],
        None,
        lambda conn: rows(conn) == [1, 2, 3],
    ),
    "tpc_prepare": (
        lambda conn: conn.tpc_begin(xid(conn)),
        [],
        None,
        lambda conn: conn.tpc_rollback() is None,
    ),
    "tpc_recover": (None, [], lambda found: isinstance(found, list), lambda conn: conn.open),
    "tpc_rollback": (
        lambda conn: conn.tpc_begin(xid(conn)) or conn.query("insert into t values (3)"),
        [],
        None,
        lambda conn: rows(conn) == [1, 2],
    ),
}


def agrees(value, wanted):
    return wanted(value) if callable(wanted) else value == wanted


@pytest.fixture
def table(conn):
    conn.query("create table t (a int primary key)")
    conn.query("insert into t values (1), (2)")
    conn.commit()


def test_the_table_is_whole():
    names = {name for name in vars_of(pymy.Connection) if name.startswith("start_")}
    assert names == {f"start_{name}" for name in [*CONNECTION, "kill"]}


@pytest.mark.parametrize("name", CONNECTION)
def test_of_a_connection(connect, url, table, name):
    before, args, result, afterwards = CONNECTION[name]
    conn = connect(url, multi_statements=True)
    if before is not None:
        before(conn)
    operation = getattr(conn, f"start_{name}")(*(args if isinstance(args, list) else [args(conn)]))
    assert operation.name == f"start_{name}"
    assert agrees(drive(operation), result)
    assert afterwards(conn)


def test_kill(conn, other):
    drive(conn.start_kill(other.thread_id()))
    with pytest.raises(pymy.OperationalError):
        other.ping()


def test_ping_reconnects(conn, other):
    before = conn.thread_id()
    other.kill(before)
    drive(conn.start_ping(True))
    assert conn.thread_id() != before
    assert rows(conn, "select 1") == [1]


def test_ping_without_reconnecting(conn, other):
    other.kill(conn.thread_id())
    with pytest.raises(pymy.OperationalError) as caught:
        drive(conn.start_ping())
    assert caught.value.fatal
    assert not conn.open


def test_a_failed_change_of_user(conn):
    previous = conn.options
    with pytest.raises(pymy.OperationalError, match="Access denied"):
        drive(conn.start_change_user("nobody-there", "wrong"))
    assert conn.options is previous
    assert not conn.open


def test_a_statement(conn, table):
    with drive(conn.start_prepare("select a from t where a > %s")) as statement:
        names = {name for name in vars_of(pymy.Statement) if name.startswith("start_")}
        assert names == {"start_execute", "start_executemany"}
        assert list(drive(statement.start_execute((1,))).fetchall()) == [(2,)]
    with drive(conn.start_prepare("insert into t values (?)")) as statement:
        assert drive(statement.start_executemany([(3,), (4,)])) == 2
    assert rows(conn) == [1, 2, 3, 4]


def test_a_pipeline(conn, table):
    with conn.pipeline() as p:
        names = {name for name in vars_of(pymy.Pipeline) if name.startswith("start_")}
        assert names == {"start_flush"}
        p.execute("insert into t values (3)")
        found = p.execute(ROWS)
        assert drive(p.start_flush()) is None
        assert found.rows == ((1,), (2,), (3,))
        assert drive(p.start_flush()) is None


def test_a_stream_of_a_value(conn):
    names = {name for name in vars_of(pymy.ValueStream) if name.startswith("start_")}
    assert names == {"start_close", "start_read", "start_readall", "start_readinto"}
    value = drive(conn.start_stream_value("select repeat('x', 100000)"))
    assert drive(value.start_read(10)) == b"x" * 10
    buffer = bytearray(5)
    assert drive(value.start_readinto(buffer)) == 5
    assert drive(value.start_readall()) == b"x" * 99_985
    assert drive(value.start_read(10)) == b""
    assert drive(value.start_close()) is None
    value = drive(conn.start_stream_value("select repeat('x', 100000)"))
    assert drive(value.start_close()) is None
    assert value.closed
    assert rows(conn, "select 'alive'") == ["alive"]


ROWS = "select a from t order by a"
CURSOR = {
    "callproc": (None, ["p", (7,)], (7,), lambda cursor: list(cursor.fetchall()) == [(7,)]),
    "close": ("select 1", [], None, lambda cursor: cursor.connection is None),
    "execute": (None, [ROWS], 2, lambda cursor: list(cursor.fetchall()) == [(1,), (2,)]),
    "executemany": (
        None,
        ["insert into t values (%s)", [(3,), (4,)]],
        2,
        lambda cursor: cursor.rowcount == 2,
    ),
    "fetchall": (ROWS, [], lambda got: list(got) == [(1,), (2,)], None),
    "fetchmany": (ROWS, [1], lambda got: list(got) == [(1,)], None),
    "fetchone": (ROWS, [], (1,), None),
    "nextset": (
        "select 1; select 2",
        [],
        True,
        lambda cursor: list(cursor.fetchall()) == [(2,)],
    ),
    "read_next": (ROWS, [], (1,), None),
    "scroll": (ROWS, [1], None, lambda cursor: cursor.fetchone() == (2,)),
}


def test_the_cursors_table_is_whole():
    for cls in (Cursor, SSCursor):
        names = {name for name in vars_of(cls) if name.startswith("start_")}
        assert names == {f"start_{name}" for name in CURSOR if hasattr(cls, name)}
        assert len(names) >= len(CURSOR) - 1


@pytest.mark.parametrize(
    ("cls", "name"),
    [(cls, name) for cls in (Cursor, SSCursor) for name in CURSOR if hasattr(cls, name)],
)
def test_of_a_cursor(connect, url, table, name, cls):
    before, args, result, afterwards = CURSOR[name]
    conn = connect(url, multi_statements=True)
    conn.query("create procedure p(in a int) select a")
    cursor = conn.cursor(cls)
    if before is not None:
        cursor.execute(before)
    got = drive(getattr(cursor, f"start_{name}")(*args))
    if not (name == "execute" and cls is SSCursor):  # it knows no row count yet
        assert agrees(got, result)
    if afterwards is not None:
        assert afterwards(cursor)
    while cursor.connection is not None and cursor.nextset():
        pass
    assert rows(conn, "select 'alive'") == ["alive"]


def test_by_name(conn):
    assert drive(nonblocking.start(conn.query, "select 1")) == 1
    cursor = conn.cursor()
    assert drive(nonblocking.start(cursor.execute, "select %s", args=(5,))) == 1
    assert cursor.fetchone() == (5,)


def test_errors_come_with_the_result(conn):
    for start, kind in [
        (lambda: conn.start_query("select"), pymy.ProgrammingError),
        (lambda: conn.start_execute("select %s", object()), TypeError),
        (lambda: conn.start_execute("select %s, %s", (1,)), pymy.ProgrammingError),
        (lambda: conn.start_kill("x"), ValueError),
    ]:
        operation = start()
        for _ in range(2):
            with pytest.raises(kind):
                drive(operation)
    assert rows(conn, "select 'alive'") == ["alive"]


def test_what_cannot_be_started(conn):
    for method in (print, conn.transaction().__enter__, conn.options.replace):
        with pytest.raises(TypeError, match="no method of"):
            nonblocking.start(method)
    cursor = conn.cursor()
    cursor.close()
    with pytest.raises(pymy.ProgrammingError, match="closed"):
        drive(cursor.start_execute("select 1"))


class Careful(pymy.Connection):
    def commit(self):
        return super().commit()

    def twice(self):
        self.ping()
        self.ping()


def test_methods_of_a_subclass(dsn):
    with Careful(dsn) as conn:
        conn.query("select 1")
        drive(conn.start_commit())
        with pytest.raises(pymy.InterfaceError, match="more than once") as caught:
            drive(nonblocking.start(conn.twice))
        assert caught.value.errno == CR.CR_BAD_PARAMETER
        assert rows(conn, "select 'alive'") == ["alive"]
