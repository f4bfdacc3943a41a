"""executemany: which statements are rewritten, and into how many."""

from __future__ import annotations

import tracemalloc

import pytest

import pymy
from pymy.constants import ER


@pytest.fixture
def table(connect):
    conn = connect(autocommit=True)
    conn.query("create table t (id int auto_increment primary key, a int unique, b varchar(99))")
    return conn


@pytest.fixture
def sent(table):
    """Count the statements of executemany that reached the server."""

    def count(sql, args, **attributes):
        def questions():
            return int(table.execute("show session status like 'Questions'").fetchone()[1])

        cursor = table.cursor()
        for name, value in attributes.items():
            setattr(cursor, name, value)
        before = questions()
        affected = cursor.executemany(sql, args)
        return questions() - before - 1, affected

    return count


def content(conn):
    return conn.execute("select a, b from t order by id").fetchall()


BULK = "insert into t set a = %s, b = %s"
ROWS = [(n, f"it's {n}") for n in range(100)]


@pytest.mark.parametrize(
    "sql",
    [
        "insert into t (a, b) values (%s, %s)",
        "INSERT IGNORE INTO t(a,b)VALUES(%s,%s)",
        "replace into t (a, b) value (%s, %s)",
        "insert into t (a, b) values (%s, %s) on duplicate key update b = values(b)",
        "insert into t (a, b) values (%s, %s) -- that's it",
        "/* a comment (with values) */ insert into t (a, b) values /* %% */ (%s, %s);",
        "insert into t (a, b)\n values\n (%s, concat(%s, ''))",
        "insert into t (a, b) values (%s, if('(' = ')', '', %s))",
    ],
)
def test_rewritten(table, sent, sql):
    assert sent(sql, ROWS) == (1, 100)
    assert content(table) == tuple(ROWS)


def test_row_alias(table, sent, needs):
    needs("row alias")
    sql = "insert into t (a, b) values (%s, %s) as new on duplicate key update b = new.b"
    assert sent(sql, ROWS) == (1, 100)
    assert sent(sql, [(1, "changed")]) == (1, 2)
    assert content(table)[1] == (1, "changed")


def test_returning(table, needs):
    needs("returning")
    cursor = table.cursor()
    cursor.executemany("insert into t (a, b) values (%s, %s) returning id", ROWS[:3])
    assert cursor.fetchall() == ((1,), (2,), (3,))


def test_on_duplicate_key_with_parameters(table, sent):
    # parameters behind the rows belong to each row: no rewriting
    sql = "insert into t (a, b) values (%s, %s) on duplicate key update b = %s"
    statements = 1 if table.is_mariadb else 3 + 2
    assert sent(sql, [(1, "x", "y"), (1, "x", "y"), (2, "z", "y")]) == (statements, 4)
    assert content(table) == ((1, "y"), (2, "z"))


def test_named_parameters(table, sent):
    assert sent(
        "insert into t (b, a) values (%(b)s, %(a)s)", [{"a": n, "b": str(n)} for n in range(9)]
    ) == (1, 9)
    assert content(table)[8] == (8, "8")


@pytest.mark.parametrize("style", ["qmark", "named"])
def test_other_paramstyles(connect, table, style):
    conn = connect(paramstyle=style, autocommit=True)
    if style == "qmark":
        conn.cursor().executemany("insert into t (a, b) values (?, ?)", ROWS)
    else:
        conn.cursor().executemany(
            "insert into t (a, b) values (:a, :b)", [{"a": a, "b": b} for a, b in ROWS]
        )
    assert content(conn) == tuple(ROWS)


@pytest.mark.parametrize(
    ("sql", "rows", "affected"),
    [
        ("update t set b = %s where a = %s", [("x", 1), ("y", 2), ("z", 999)], 2),
        ("delete from t where a = %s", [(1,), (2,)], 2),
        ("insert into t set a = %s", [(1001,), (1002,)], 2),
        ("replace into t set a = %s", [(1,), (2,)], 4),
    ],
)
def test_bulk_or_in_one_text(table, sent, sql, rows, affected):
    table.cursor().executemany("insert into t (a, b) values (%s, %s)", ROWS)
    # and COM_SET_OPTION, on and off
    assert sent(sql, rows) == (1 if table.is_mariadb else len(rows) + 2, affected)


@pytest.mark.parametrize(
    ("sql", "affected"),
    [
        ("insert into t (a) select %s", 2),
        ("insert into t (a) select %s as n from dual where 1 = 1", 2),
        ("do %s", 0),
        ("update t set b = @x where a = %s", 0),
        ("update t set b = 'x' order by a + %s", 0),
        ("delete from t where a = 1000 limit %s", 0),
    ],
)
def test_in_one_text(table, sent, sql, affected):
    # MariaDB is asked whether it takes an INSERT ... SELECT in bulk, and does not count that
    assert sent(sql, [(1,), (2,)]) == (2 + 2, affected)


@pytest.mark.parametrize(
    "sql", ["call p(%s, %s) -- x", "call p(%s, %s);", "call p(%s, %s /* a; b */)"]
)
def test_one_by_one(table, sent, sql):
    table.query("create procedure p(x text, n int) update t set b = x where a = n")
    table.cursor().executemany("insert into t (a, b) values (%s, %s)", ROWS)
    before = sent("call p(%s, %s)", [("x", 1)])[0]
    statements, affected = sent(sql, [("x", 1), ("y", 2), ("z", 999)])
    assert (statements, affected) == (3 * before, 1)


def test_select_leaves_the_last_result(table):
    cursor = table.cursor()
    assert cursor.executemany("select %s union select 0", [(1,), (2,), (3,)]) == 6
    assert cursor.fetchall() == ((3,), (0,))


def test_generator(table, sent):
    rows = ((n, "g") for n in range(5000))
    assert sent("insert into t (a, b) values (%s, %s)", rows) == (1, 5000)


def test_bounded_statements(table, sent):
    rows = [(n, "x" * 90) for n in range(1000)]
    statements, affected = sent(
        "insert into t (a, b) values (%s, %s)", rows, max_stmt_length=10_000
    )
    assert affected == 1000
    assert 9 <= statements <= 15
    assert content(table) == tuple(rows)


def test_one_row_above_the_bound(table, sent):
    rows = [(1, "x" * 90), (2, "y" * 90)]
    assert sent("insert into t (a, b) values (%s, %s)", rows, max_stmt_length=50) == (2, 2)


def test_no_rows(table, sent):
    assert sent("insert into t (a, b) values (%s, %s)", []) == (0, None)


def test_duplicate_key(table):
    cursor = table.cursor()
    with pytest.raises(pymy.IntegrityError) as caught:
        cursor.executemany("insert into t (a) values (%s)", [(1,), (2,), (1,)])
    assert caught.value.errno == ER.DUP_ENTRY
    assert content(table) == ()


def test_value_that_cannot_be_written(table):
    cursor = table.cursor()
    with pytest.raises(TypeError, match="object"):
        cursor.executemany("insert into t (a) values (%s)", [(1,), (object(),)])
    assert content(table) == ()


def test_generator_that_raises(table):
    def rows():
        yield (1, "x")
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        table.cursor().executemany("insert into t (a, b) values (%s, %s)", rows())
    assert table.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("sql", ["insert into t (a, b) values (%s, %s)", BULK])
def test_flat_memory(table, sql):
    """A generator's rows are held a command at a time."""
    if sql is BULK and not table.is_mariadb:
        pytest.skip("MySQL runs it row by row, and holds one row")
    rows = ((n, f"row {n}") for n in range(60_000))
    cursor = table.cursor()
    cursor.max_stmt_length = 100_000
    tracemalloc.start()
    try:
        assert cursor.executemany(sql, rows) == 60_000
        # all of them together take more than twice as much
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.only("blocking,nonblocking", "executemany() takes no async iterables")
def test_generator_that_uses_the_connection(table):
    table.cursor().executemany("insert into t (a, b) values (%s, %s)", ROWS[:3])
    source = table.execute("select a + 10, b from t")
    assert table.cursor().executemany("insert into t (a, b) values (%s, %s)", source) == 3


def test_lastrowid_and_rowcount(table):
    cursor = table.cursor()
    cursor.executemany("insert into t (a) values (%s)", [(1,), (2,), (3,)])
    assert (cursor.rowcount, cursor.lastrowid) == (3, 1)
