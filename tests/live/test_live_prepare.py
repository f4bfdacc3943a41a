"""Statements that cursors prepare by themselves: the option ``prepare``."""

from __future__ import annotations

import datetime
import os
from decimal import Decimal

import pytest

import pymy
from pymy.constants import ER

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("PYMY_TEST_DSN")), reason="counts the statements of the whole server"
)


@pytest.fixture
def statements(connect):
    """How many prepared statements the server holds, and how often it did what with them."""
    watch = connect(prepare="never")

    def count(name="Prepared_stmt_count"):
        return int(watch.execute(f"show global status like '{name}'").fetchone()[1])

    return count


@pytest.fixture
def item(connect):
    conn = connect(prepare="never", autocommit=True)
    conn.query("create table item (id int primary key, name varchar(20), price decimal(9,2))")
    conn.query("insert into item values (1, 'pen', 1.5), (2, 'ink', 2.5), (3, '3', 0)")
    return conn


FIND = "select name from item where id = %s"


def test_auto_prepares_what_is_executed_often(connect, item, kind, statements):
    conn = connect(prepare="auto", prepare_threshold=3, autocommit=True)
    plain = "select name from item where id = 2"
    before = statements("Com_stmt_execute")
    for number in range(5):
        assert conn.execute(plain).fetchall() == (("ink",),)
        assert statements("Com_stmt_execute") - before == max(0, number - 1)
    before = statements("Com_stmt_execute")
    for _ in range(5):
        assert conn.execute(FIND, (2,)).fetchall() == (("ink",),)
    # MySQL gives a parameter the type its place suggests, and so may find something else
    assert statements("Com_stmt_execute") - before == (3 if kind.startswith("maria") else 0)


def test_auto_prepares_what_gives_much(connect, item, statements):
    conn = connect(prepare="auto", autocommit=True)
    before = statements("Com_stmt_execute")
    much = "select repeat('x', 1000), a.id from item a, item b, item c, item d"
    expected = conn.execute(much).fetchall()
    assert statements("Com_stmt_execute") == before
    assert conn.execute(much).fetchall() == expected
    assert statements("Com_stmt_execute") == before + 1


def test_never_is_the_default(connect, item, statements):
    conn = connect(prepare="never", autocommit=True)
    assert pymy.Options().prepare == "never"
    before = statements("Com_stmt_prepare")
    for _ in range(20):
        conn.execute(FIND, (1,))
    assert statements("Com_stmt_prepare") == before


def test_there_are_never_more_than_the_cache_holds(connect, item, statements):
    conn = connect(prepare="always", statement_cache_size=7, autocommit=True)
    before = statements()
    for number in range(300):
        conn.execute(f"select name from item where id = %s and {number} = {number}", (1,))
        if number % 20 == 0:
            assert statements() - before <= 8
    assert 0 < statements() - before <= 8
    conn.reset()
    assert statements() == before
    conn.execute(FIND, (1,))
    conn.change_user()
    assert statements() == before
    assert conn.execute(FIND, (1,)).fetchone() == ("pen",)


def test_a_server_that_takes_no_more(connect, item, set_global, statements):
    conn = connect(prepare="always", autocommit=True)
    assert conn.execute(FIND, (1,)).fetchone() == ("pen",)
    set_global("max_prepared_stmt_count", statements())
    for number in range(3):
        assert conn.execute(f"select {number} from item where id = %s", (1,)).fetchone() == (
            number,
        )
    assert conn.execute(FIND, (2,)).fetchone() == ("ink",)
    with pytest.raises(pymy.Error) as caught:
        conn.prepare("select 17")
    assert caught.value.errno in (ER.MAX_PREPARED_STMT_COUNT_REACHED,)
    assert conn.execute(FIND, (2,)).fetchone() == ("ink",)


def test_a_server_that_takes_no_more_runs_nothing_else(connect, item, set_global, statements):
    """MariaDB would run the statement prepared last in place of one that it did not take."""
    conn = connect(prepare="always", autocommit=True)
    insert = conn.prepare("insert into item (id) values (?)")
    set_global("max_prepared_stmt_count", statements())
    assert conn.execute("select name from item where id = %s", (17,)).fetchall() == ()
    assert item.execute("select count(*) from item").fetchone() == (3,)
    insert.close()


def test_a_cursor_looks_as_ever(connect, item):
    for mode in ("always", "never"):
        conn = connect(prepare=mode, autocommit=True)
        cur = conn.cursor()
        values = [4, "it's \\ %"]
        assert cur.execute("insert into item (id, name) values (%s, %s)", values) == 1
        values.clear()
        assert cur.statement == cur._executed
        assert cur.statement == conn.cursor().mogrify(
            "insert into item (id, name) values (%s, %s)", (4, "it's \\ %")
        )
        cur.execute("select * from item where id = %(id)s", {"id": 4})
        assert cur.statement == "select * from item where id = 4"
        assert [each[0] for each in cur.description] == ["id", "name", "price"]
        assert (cur.rowcount, cur.fetchall()) == (1, ((4, "it's \\ %", None),))
        cur.execute("update item set price = %s where name like 'it%%'", (Decimal("9.99"),))
        assert (cur.rowcount, cur.description) == (1, None)
        assert cur.execute("delete from item where id = %s", (4,)) == 1
        cur.execute("create table if not exists seq (id int auto_increment primary key, a int)")
        for _ in range(2):
            cur.execute("insert into seq (a) values (%s)", (5,))
        assert cur.lastrowid in (2, 4)


@pytest.mark.parametrize(
    ("sql", "args"),
    [
        ("select name from item where id in %s order by id", ([1, 2],)),
        ("select name from item order by %s", (1,)),
        ("select name from item order by id limit %s", (2,)),
        ("select name from item where '?' <> %s order by id", ("x",)),
        ("select name from item where '%s' <> '' order by id", (5,)),
        ("insert into item (id, name) values %s", ([(5, "a"), (6, "b")],)),
        ("select id from item where name = %s -- ?", ("pen",)),
        ("select %s", (pymy.Raw("1 + 1"),)),
        ("select name from item /* ? %s */ where id = 1", (5,)),
        ("show tables like %s", ("item",)),
        ("select * from item where name = %s and price = %s", ("pen", None)),
    ],
)
def test_what_only_text_can_say(connect, item, sql, args):
    conn, text = connect(prepare="always"), connect(prepare="never")
    for _ in range(3):
        expected = text.execute(sql, args).fetchall()
        text.rollback()
        assert conn.execute(sql, args).fetchall() == expected
        conn.rollback()


@pytest.mark.parametrize("sql", ["selec %s", "select * from nothing_there where a = %s", "%s"])
def test_errors_are_those_of_text(connect, sql):
    found = []
    for mode in ("always", "never"):
        conn = connect(prepare=mode)
        for _ in range(2):
            with pytest.raises(pymy.Error) as caught:
                conn.execute(sql, (1,))
            found.append((type(caught.value), caught.value.args, caught.value.sqlstate))
        assert conn.execute("select 1").fetchone() == (1,)
    assert len(set(found)) == 1


MIXED = [5, "5", "05", "5abc", 5.0, Decimal("5.0"), "5.5", b"5", True, None, "ABC", "2024-01-01",
         datetime.date(2024, 1, 1), -1]  # fmt: skip


@pytest.mark.only("blocking", "how it waits changes no value")
@pytest.mark.parametrize("form", ["{} = %s", "{} > %s", "{} in (%s, 7)", "{} <=> %s and id = 1"])
def test_comparisons_find_the_same(connect, kind, form):
    """One statement with values of many types; MySQL would take the later ones for the first."""
    text = connect(prepare="never", sql_mode="", autocommit=True)
    conn = connect(prepare="always", sql_mode="", autocommit=True)
    text.query("create table w (id int, i int, u bigint unsigned, v varchar(20), d decimal(9,2), "
               "f double, b varbinary(9), da date)")  # fmt: skip
    text.query(
        "insert into w values (1, 5, 5, '5', 5, 5, '5', '2024-01-01'), (3, -1, 2, 'abc', -1, 0, "
        "null, null), (2, 7, 7, '05', 5.5, 5.5, 'abc', '2023-01-01'), (4, 50, 9, '5abc', 50, 50, "
        "'ABC', '2024-01-01')"
    )
    for column in "iuvdfb" if kind.startswith("mysql") else ("i", "u", "v", "d", "f", "b", "da"):
        sql = f"select id from w where {form.format(column)}"
        statement = conn.prepare(sql)
        for value in [*MIXED, *reversed(MIXED)]:
            expected = text.execute(sql, (value,)).fetchall()
            assert conn.execute(sql, (value,)).fetchall() == expected, (sql, value)
            if not isinstance(value, bytes):
                assert statement.execute((value,)).fetchall() == expected, (sql, value)


def test_what_a_set_changes_counts_at_once(connect, item):
    conn = connect(prepare="always", autocommit=True)
    sql = "select name || '1' from item where id = %s"
    other = "select count(*) from item where id = %s"
    assert conn.execute(sql, (1,)).fetchone() == (1,)
    conn.query("set sql_mode = 'PIPES_AS_CONCAT'")
    assert conn.execute(sql, (1,)).fetchone() == ("pen1",)
    assert conn.execute(other, (1,)).fetchone() == (1,)
    conn.query("create database if not exists other_one")
    try:
        conn.query("create table other_one.item (id int)")
        conn.query("use other_one")
        assert conn.execute(other, (1,)).fetchone() == (0,)
        conn.select_db(item.db)
        assert conn.execute(other, (1,)).fetchone() == (1,)
    finally:
        conn.query("drop database other_one")


def test_tables_that_change(connect, item):
    conn = connect(prepare="always", autocommit=True)
    assert conn.execute("select * from item where id = %s", (1,)).fetchone() == (
        1, "pen", Decimal("1.50"))  # fmt: skip
    with conn.prepare("select * from item where id = ?") as statement:
        item.query("alter table item drop price, add at date")
        for _ in range(2):
            cur = conn.execute("select * from item where id = %s", (1,))
            assert cur.fetchone() == (1, "pen", None)
            assert [each[0] for each in cur.description] == ["id", "name", "at"]
            assert statement.execute((1,)).fetchone() == (1, "pen", None)
    item.query("drop table item")
    with pytest.raises(pymy.Error) as caught:
        conn.execute("select * from item where id = %s", (1,))
    assert caught.value.errno == ER.NO_SUCH_TABLE


def test_a_time_out_kills_the_prepared_statement(connect, running):
    conn = connect(prepare="always")
    sql = "select sleep(30) from dual where 'slumber' <> %s"
    with conn.prepare(sql) as statement:
        for execute in (conn.execute, lambda sql, *args, **rest: statement.execute(*args, **rest)):
            with pytest.raises(pymy.OperationalError) as caught:
                execute(sql, ("x",), timeout=0.3)
            assert not caught.value.fatal
            assert conn.execute("select 1 from dual where 1 = %s", (1,)).fetchone() == (1,)
            assert running("slumber") == 0


def test_a_stream_left_early(connect, item):
    conn = connect(prepare="always", autocommit=True)
    wide = "select repeat('x', 1000) from item a, item b, item c, item d, item e, item f, item g"
    with conn.prepare(f"{wide}, item h, item i where a.id <> ?") as statement:
        rows = statement.stream((17,))
        assert next(rows) == ("x" * 1000,)
        rows.close()
        assert statement.execute((17,)).fetchone() == ("x" * 1000,)


def test_returning(connect, needs, item):
    needs("returning")
    conn = connect(prepare="always", autocommit=True)
    sql = "insert into item (id, name) values (%s, 'x') returning id, name"
    for number in (10, 11):
        assert conn.execute(sql, (number,)).fetchall() == ((number, "x"),)
    with conn.prepare(sql) as statement:
        assert statement.execute((12,)).fetchall() == ((12, "x"),)


def test_procedures_with_results(connect, item):
    conn = connect(autocommit=True)
    conn.query(
        "create procedure p(in a int) begin select name from item where id = a; select a + 1; end"
    )
    with conn.prepare("call p(?)") as statement:
        for _ in range(2):  # all of it is read before the next (P87)
            cur = statement.execute((1,))
            assert cur.fetchall() == (("pen",),)
            assert cur.nextset() is True
            assert cur.fetchall() == ((2,),)
            statement.execute((2,))


def test_many_parameters(conn):
    marks = ",".join("?" * 2000)
    with conn.prepare(f"select 1500 in ({marks})") as statement:
        assert statement.param_count == 2000
        assert statement.execute(list(range(2000))).fetchone() == (1,)
    with pytest.raises(pymy.ProgrammingError, match="65535"):
        conn.prepare(f"select 1 in ({','.join('?' * 65536)})")
    assert conn.execute("select 1").fetchone() == (1,)
