"""Server-side cursors: ``stream(fetch_size=...)``."""

from __future__ import annotations

import os

import pytest

import pymy
from pymy import rows
from pymy.cursors import FetchCursor

ALL = [(number, f"row {number}") for number in range(1, 11)]
READ = "select id, name from t where id > ? order by id"


@pytest.fixture
def conn(connect):
    conn = connect(autocommit=True)
    conn.query("create table t (id int primary key, name varchar(20))")
    conn.cursor().executemany("insert into t values (%s, %s)", ALL)
    return conn


@pytest.fixture
def counts(connect):
    """How often the server did what with prepared statements, and how many it holds."""
    if os.environ.get("PYMY_TEST_DSN"):
        pytest.skip("counts the statements of the whole server")
    watch = connect(prepare="never")
    return lambda name: int(watch.execute(f"show global status like '{name}'").fetchone()[1])


@pytest.mark.parametrize("deprecate_eof", [True, False])
@pytest.mark.parametrize("size", [1, 3, 5, 10, 11, 1000])
def test_all_rows_come(conn, connect, size, deprecate_eof):
    other = connect(deprecate_eof=deprecate_eof)
    with other.prepare(READ) as statement:
        for _ in range(2):
            assert list(statement.stream((0,), fetch_size=size)) == ALL
            assert list(statement.stream((8,), fetch_size=size)) == ALL[8:]
            assert list(statement.stream((10,), fetch_size=size)) == []
        assert statement.execute((8,)).fetchall() == tuple(ALL[8:])
    assert other.execute("select 1").fetchone() == (1,)


def test_other_statements_run_between_the_rows(conn):
    with conn.prepare(READ) as statement, conn.prepare("select 7") as seven:
        seen = []
        for id, name in statement.stream((0,), fetch_size=2):
            seen.append((id, name))
            conn.execute("update t set name = 'changed' where id >= %s", (id,))
            assert seven.execute().fetchone() == (7,)
            assert statement.execute((9,)).fetchone() == (10, "changed")
            assert list(statement.stream((9,), fetch_size=1)) == [(10, "changed")]
    assert seen == ALL


def test_round_trips(conn, counts):
    before = counts("Com_stmt_fetch")
    with conn.prepare(READ) as statement:
        reading = statement.stream((0,), fetch_size=4)
        for _ in range(4):
            next(reading)
        assert counts("Com_stmt_fetch") - before == 1
        assert len(list(reading)) == 6
        assert counts("Com_stmt_fetch") - before == 3


def test_a_cursor_left_early_is_freed(conn, counts):
    before, fetched = counts("Prepared_stmt_count"), counts("Com_stmt_fetch")
    with conn.prepare(READ) as statement:
        for number in range(20):
            reading = statement.stream((0,), fetch_size=1)
            assert next(reading) == ALL[0]
            if number % 2:
                reading.close()
            else:
                del reading
        conn.ping()
        assert counts("Prepared_stmt_count") - before <= 2
        assert counts("Com_stmt_fetch") - fetched == 20
        assert list(statement.stream((9,), fetch_size=1)) == ALL[9:]
    reading = conn.stream("select id from t", fetch_size=1)
    assert next(reading)
    reading.close()
    conn.ping()
    assert counts("Prepared_stmt_count") == before


def test_the_statement_is_prepared_once_for_all_its_cursors(conn, counts):
    with conn.prepare(READ) as statement:
        list(statement.stream((0,), fetch_size=5))
        before = counts("Com_stmt_prepare")
        for _ in range(3):
            list(statement.stream((0,), fetch_size=5))
        assert counts("Com_stmt_prepare") == before


def test_a_connection_streams_texts(conn, connect):
    read = "select id, name from t where name like 'row%%' and id > %s order by id"
    assert list(conn.stream(read, (5,), fetch_size=2)) == ALL[5:]
    assert list(conn.stream("select '100%s' a", fetch_size=2)) == [("100%s",)]
    assert list(conn.stream("select id from t where id = %(a)s", {"a": 3}, fetch_size=1)) == [(3,)]
    named = conn.stream(read, (9,), fetch_size=2, row_factory=rows.namedtuple_row)
    assert [row.name for row in named] == ["row 10"]
    other = connect(cursorclass=pymy.cursors.DictCursor)
    assert list(other.stream(read, (9,), fetch_size=2)) == [{"id": 10, "name": "row 10"}]


@pytest.mark.parametrize(
    ("sql", "args", "expected"),
    [
        ("show tables like 't'", (), [("t",)]),
        ("insert into t values (%s, 'new')", (77,), []),
        ("do 1", (), []),
        ("select id from t where id = 3 into @fetched", (), []),
        ("/* a */ (select id from t where id = %s)", (3,), [(3,)]),
        ("with w as (select id from t where id = %s) select * from w", (3,), [(3,)]),
        ("select id from t where id = %s for update", (3,), [(3,)]),
        ("call p(%s)", (3,), [(3,)]),
    ],
)
def test_what_has_no_cursor_brings_all_rows(conn, sql, args, expected):
    conn.query("create procedure p(in a int) begin select a; select 2; end")
    for _ in range(2):
        reading = conn.stream(sql, args, fetch_size=1)
        assert list(reading) == expected
        assert conn.execute("select 1").fetchone() == (1,)
        conn.query("delete from t where id = 77")


def test_what_mysql_flags_by_mistake(conn):
    """A FETCH behind EXPLAIN or SHOW PROCESSLIST takes MySQL 9.7 down."""
    for sql in ("explain select 1", "show processlist", "show status like 'nothing at all'"):
        assert len(list(conn.stream(sql, fetch_size=1))) == len(conn.execute(sql).fetchall())
    assert list(conn.stream("select 1", fetch_size=1)) == [(1,)]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_the_end_of_a_transaction_leaves_it_open(conn, end):
    conn.autocommit(False)
    reading = conn.stream("select id, name from t order by id", fetch_size=3)
    assert next(reading) == ALL[0]
    conn.query("delete from t where id = 5")
    conn.query(end)
    conn.begin()
    assert list(reading) == ALL[1:]
    conn.rollback()


def test_tables_that_go_leave_it_open(conn):
    reading = conn.stream("select id, name from t order by id", fetch_size=3)
    assert next(reading) == ALL[0]
    conn.query("alter table t add extra int")
    conn.query("drop table t")
    assert list(reading) == ALL[1:]


@pytest.mark.parametrize("how", ["reset", "change_user"])
def test_a_reset_takes_it_away(conn, how):
    with conn.prepare(READ) as statement:
        reading = statement.stream((0,), fetch_size=2)
        assert next(reading) == ALL[0]
        getattr(conn, how)()
        assert next(reading) == ALL[1]  # it was here
        with pytest.raises(pymy.InterfaceError, match="Execute the statement again") as caught:
            next(reading)
        assert (caught.value.sent, caught.value.fatal) == (False, False)
        assert list(statement.stream((0,), fetch_size=2)) == ALL


def test_a_closed_connection(conn):
    reading = conn.stream("select id from t", fetch_size=1)
    next(reading)
    conn.close()
    with pytest.raises(pymy.InterfaceError, match="closed"):
        next(reading)


def test_errors_leave_the_connection_usable(conn):
    bad = "select id, (select b.id from t b where b.id in (a.id, 9)) from t a order by id"
    for _ in range(2):
        with pytest.raises(pymy.Error) as caught:
            list(conn.stream(bad, fetch_size=1))
        assert caught.value.errno == 1242
        assert conn.execute("select 1").fetchone() == (1,)
    with conn.prepare(READ) as statement:
        with pytest.raises(pymy.ProgrammingError, match="1 parameter,"):
            list(statement.stream((1, 2), fetch_size=1))
        assert list(statement.stream((9,), fetch_size=1)) == ALL[9:]
    with pytest.raises(pymy.ProgrammingError):
        list(conn.stream("select * from nowhere", fetch_size=1))
    with pytest.raises(TypeError, match="list"):
        list(conn.stream("select id from t where id in (%s)", ([1, 2],), fetch_size=1))


def test_a_value_that_will_not_convert(connect, conn):
    def convert(text):
        if text == "row 4":
            raise ValueError("four")
        return text

    other = connect(conv={**pymy.converters.conversions, pymy.FIELD_TYPE.VAR_STRING: convert})
    reading = other.stream("select name from t order by id", fetch_size=5)
    assert [next(reading)[0] for _ in range(3)] == ["row 1", "row 2", "row 3"]
    with pytest.raises(pymy.DataError, match="four"):
        next(reading)
    assert other.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("size", [0, -1, 1 << 32])
def test_sizes_that_are_none(conn, size):
    with pytest.raises(pymy.ProgrammingError, match="fetch_size"):
        list(conn.stream("select 1", fetch_size=size))
    with pytest.raises(TypeError, match="fetch_size"):
        list(conn.stream("select 1", fetch_size=str(size)))


def test_beside_an_unbuffered_result(conn):
    fetched = conn.stream("select id, name from t order by id", fetch_size=2)
    assert next(fetched) == ALL[0]
    unbuffered = conn.cursor(pymy.cursors.SSCursor)
    unbuffered.execute("select repeat('x', 1000) from t a, t b, t c, t d")
    unbuffered.fetchone()
    assert next(fetched) == ALL[1]
    with pytest.warns(pymy.Warning, match="not read to its end"):
        assert next(fetched) == ALL[2]
    with pytest.raises(pymy.InterfaceError, match="later command"):
        unbuffered.fetchall()
    assert list(fetched) == ALL[3:]


def test_values_are_those_of_text(conn):
    sql = "select id, name, id / 3, null, now() > '2020-01-01', cast(id as char), 1e5 from t"
    expected = conn.execute(sql).fetchall()
    assert tuple(conn.stream(sql, fetch_size=4)) == expected


def test_a_large_one(conn):
    sql = "select a.id, repeat('x', 2000) from t a, t b, t c, t d order by 1"
    count = 0
    for number, (id, text) in enumerate(conn.stream(sql, fetch_size=700)):
        assert (id, len(text)) == (number // 1000 + 1, 2000)
        count += 1
    assert count == 10_000


def test_a_time_out_of_the_first_answer(conn):
    sql = "select sleep(30) from t"
    with pytest.raises(pymy.OperationalError) as caught:
        list(conn.stream(sql, fetch_size=1, timeout=0.3))
    assert not caught.value.fatal
    assert conn.execute("select 1").fetchone() == (1,)


def test_a_cursor_by_itself(conn):
    with conn.cursor(FetchCursor) as cursor:
        for call in (
            lambda: cursor.execute("select 1"),
            lambda: cursor.executemany("insert into t values (%s, %s)", [(99, "x")]),
            lambda: cursor.callproc("p", (1,)),
        ):
            with pytest.raises(pymy.NotSupportedError, match="stream"):
                call()
    assert conn.execute("select count(*) from t").fetchone() == (10,)
