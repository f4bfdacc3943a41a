"""``executemany`` of what cannot be rewritten: many statements in one text."""

from __future__ import annotations

import datetime
import decimal

import pytest

import pymy
from pymy import sql
from pymy.constants import CR, ER


@pytest.fixture
def table(connect):
    conn = connect(autocommit=True)
    conn.query("create table t (a int primary key, b varchar(200)) default charset utf8mb4")
    conn.cursor().executemany("insert into t values (%s, '')", [(n,) for n in range(1000)])
    return conn


def content(conn, where="a < 5"):
    return conn.execute(f"select a, b from t where {where} order by a").fetchall()


CHANGE = "update t set b = %s where a = %s"
VALUES = [
    "plain", "it's", "a;b", "\\' or 1=1; delete from t -- ", "\n\0\r\x1a\"", "-- ", "/*",
    "é\U0001f600",
    5, -1.5, None, True, b"bytes;'", decimal.Decimal("1.50"), datetime.date(2026, 1, 2),
]  # fmt: skip


@pytest.mark.parametrize("mode", ["", "no_backslash_escapes", "ansi_quotes"])
def test_values(table, mode):
    table.query(f"set sql_mode = '{mode}'")
    cursor = table.cursor()
    assert cursor.executemany(CHANGE, [(v, n) for n, v in enumerate(VALUES)]) == len(VALUES)
    expected = [table.execute("select cast(%s as char)", (each,)).fetchone()[0] for each in VALUES]
    found = [row[1] for row in content(table, f"a < {len(VALUES)}")]
    assert found[:8] == expected[:8] == VALUES[:8]
    assert found[8:] == expected[8:]
    assert cursor.rowcount == len(VALUES)
    assert cursor.statement == f"update t set b = '2026-01-02' where a = {len(VALUES) - 1}"
    assert table.execute("select count(*) from t").fetchone() == (1000,)


def test_it_stops_at_the_first_error(table):
    cursor = table.cursor()
    with pytest.raises(pymy.IntegrityError) as caught:
        cursor.executemany("update t set a = %s where a = %s", [(-1, 1), (-2, 2), (5, 3), (-4, 4)])
    assert caught.value.errno == ER.DUP_ENTRY
    if not table.is_mariadb:  # which takes all of them in one command
        assert cursor.statement == "update t set a = 5 where a = 3"
    assert [row[0] for row in content(table)] == [-2, -1, 0, 3, 4]
    with pytest.raises(pymy.ProgrammingError):
        table.query("select 1; select 2")


def test_a_syntax_error_is_told_as_ever(table):
    with pytest.raises(pymy.ProgrammingError) as caught:
        table.cursor().executemany("update t sett b = %s where a = %s", [("x", 1), ("y", 2)])
    assert "'y'" not in caught.value.message


def test_texts_that_would_swallow_others(table):
    cursor = table.cursor()
    rows = [("x", 1), ("y", 2), ("z", 3)]
    cursor.executemany(f"{CHANGE} -- a comment", rows)
    cursor.executemany(f"{CHANGE} # a comment", rows)
    cursor.executemany(f"{CHANGE};", rows)
    cursor.executemany("update t set b = concat(%s, ';') where a = %s", rows)
    assert content(table) == ((0, ""), (1, "x;"), (2, "y;"), (3, "z;"), (4, ""))
    with pytest.raises(pymy.ProgrammingError):
        cursor.executemany("update t set b = 'x where a = %s", [(1,), (2,)])
    with pytest.raises(pymy.ProgrammingError):
        cursor.executemany("update t set b = 'x' where a = %s; delete from t", [(1,), (2,)])
    assert content(table)[1] == (1, "x;")


class Odd:
    pass


def test_text_of_the_programs_own_making_stays_alone(table, connect):
    cursor = table.cursor()
    raw = sql.Raw("'x' where a = 0; delete from t; update t set b = 'y'")
    with pytest.raises(pymy.ProgrammingError):
        cursor.executemany(CHANGE, [("x", 1), (raw, 2), ("z", 3)])
    assert content(table) == ((0, ""), (1, "x"), (2, ""), (3, ""), (4, ""))
    own = connect(autocommit=True, conv={**pymy.converters.conversions, str: lambda v, m: str(v)})
    with pytest.raises(pymy.ProgrammingError):
        own.cursor().executemany(CHANGE, [("'x'", 1), ("'x'; delete from t;", 2)])
    assert table.execute("select count(*) from t").fetchone() == (1000,)


def test_calls(table):
    table.query("create procedure p(x int) begin select x; update t set b = x where a = x; end")
    cursor = table.cursor()
    assert cursor.executemany("call p(%s)", [(1,), (2,), (3,)]) == 3
    assert cursor.fetchall() == ((3,),)
    assert not cursor.nextset()
    assert content(table) == ((0, ""), (1, "1"), (2, "2"), (3, "3"), (4, ""))


def test_many(table):
    cursor = table.cursor()
    rows = ((f"{n:0100}", n) for n in range(1000))
    assert cursor.executemany(CHANGE, rows) == 1000
    assert [int(b) for _, b in content(table, "true")] == list(range(1000))
    assert cursor.executemany("delete from t where a = %(a)s", [{"a": 1}, {"a": 2}]) == 2
    big = 300_000 * "x"
    query = "update t set b = length(%s) where a = %s"
    assert cursor.executemany(query, [("x", 3), (big, 4), ("x", 5)]) == 3
    assert content(table, "a between 3 and 5") == ((3, "1"), (4, "300000"), (5, "1"))


def test_rows_that_cannot_be_written(table):
    with pytest.raises(TypeError):
        table.cursor().executemany(CHANGE, [("x", 1), (Odd(), 2), ("x", 3)])
    assert content(table)[1:3] == ((1, "x"), (2, ""))


def test_a_time_out(table, connect):
    conn = connect(autocommit=True, read_timeout=0.5)
    with pytest.raises(pymy.OperationalError) as caught:
        query = "update t set b = 'x' where a = %s and sleep(%s) = 0"
        conn.cursor().executemany(query, [(1, 0), (2, 20), (3, 0), (4, 0)])
    assert caught.value.errno == CR.CR_QUERY_TIMEOUT
    assert (caught.value.row_index, caught.value.row_range) == (None, range(4))
    with pytest.raises(pymy.ProgrammingError):
        conn.query("select 1; select 2")
    assert content(table) == ((0, ""), (1, "x"), (2, ""), (3, ""), (4, ""))


@pytest.mark.parametrize(
    "options", [{"compress": "zlib"}, {"pipelining": False}, {"multi_statements": True}]
)
def test_other_connections(table, connect, options):
    conn = connect(autocommit=True, **options)
    assert conn.cursor().executemany(CHANGE, [("x", 1), ("y", 2), ("z", 3)]) == 3
    assert content(table)[1:4] == ((1, "x"), (2, "y"), (3, "z"))


def test_a_transaction(connect, table):
    conn = connect()
    conn.cursor().executemany(CHANGE, [("x", 1), ("y", 2)])
    conn.rollback()
    assert content(table)[1] == (1, "")


def test_words_among_the_values(table):
    """LOCAL in a value makes no LOAD DATA LOCAL of the text."""
    rows = [("local", 1), ("load data local infile", 2), ("x", 3)]
    cursor = table.cursor()
    assert cursor.executemany(CHANGE, rows) == cursor.rowcount == 3
    assert content(table) == ((0, ""), (1, rows[0][0]), (2, rows[1][0]), (3, "x"), (4, ""))
    with pytest.raises(pymy.ProgrammingError):
        table.query("select 1; select 2")


def test_an_error_from_within_a_procedure_runs_nothing_twice(table):
    table.query(
        "create procedure p(x int) begin insert into t values (2000 + x, ''); commit; "
        "signal sqlstate '42000' set mysql_errno = 1064; end"
    )
    with pytest.raises(pymy.ProgrammingError):
        table.cursor().executemany("call p(%s)", [(1,), (2,), (3,)])
    assert content(table, "a > 1000") == ((2001, ""),)


def test_scalar_rows(table):
    assert table.cursor().executemany("delete from t where a = %s", [0, 1]) == 2


def test_a_list_that_is_used_again(table, set_global):
    def rows():
        row = ["", 0]
        for number in range(5):
            row[:] = f"v{number}", number
            yield row

    set_global("max_prepared_stmt_count", 0)
    assert table.cursor().executemany(CHANGE, rows()) == 5
    assert content(table) == tuple((n, f"v{n}") for n in range(5))


def test_another_connections_error_leaves_this_one(table, connect):
    def rows():
        yield "x", 1
        raise pymy.OperationalError(2013, "another one's", fatal=True)

    with pytest.raises(pymy.OperationalError, match="another one's"):
        table.cursor().executemany(CHANGE, rows())
    assert table.execute("select 1").fetchone() == (1,)
