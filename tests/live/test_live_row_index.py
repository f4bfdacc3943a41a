"""Which row of many failed: row_index, row_range, and what happened to the others."""

from __future__ import annotations

import pickle

import pytest

import pymy
from pymy.constants import CR, ER

INSERT = "insert into t (a, b) values (%s, %s)"
INSERT_SET = "insert into t set a = %s, b = %s"
UPDATE = "update t set b = %s where a = %s"
TOO_LONG = "x" * 50


@pytest.fixture
def table(connect):
    conn = connect(autocommit=True, sql_mode="STRICT_TRANS_TABLES")
    conn.query("create table t (a int primary key, b varchar(9) not null) engine=innodb")
    return conn


def failed(table, sql, rows, kind=pymy.Error, **attributes):
    cursor = table.cursor()
    for name, value in attributes.items():
        setattr(cursor, name, value)
    with pytest.raises(kind) as caught:
        cursor.executemany(sql, rows)
    assert table.execute("select 1").fetchone() == (1,)
    return caught.value


def keys(table):
    return [a for (a,) in table.execute("select a from t order by a").fetchall()]


def rows_with(index, row, count=10):
    return [row if n == index else (n, "x") for n in range(count)]


@pytest.mark.parametrize("sql", [INSERT, INSERT_SET, f"/* a comment */ {INSERT}"])
@pytest.mark.parametrize("index", [0, 4, 9])
def test_a_value_the_server_refuses(table, sql, index):
    error = failed(table, sql, rows_with(index, (index, TOO_LONG)), pymy.DataError)
    assert error.errno == ER.DATA_TOO_LONG
    assert error.row_index == index
    assert error.__notes__ == [f"in row {index} (row_index, counted from 0)"]
    assert pickle.loads(pickle.dumps(error)).row_index == index
    together = sql is not INSERT_SET or table.is_mariadb
    assert keys(table) == ([] if together else list(range(index)))


def test_a_later_statement(table):
    rows = rows_with(77, (77, TOO_LONG), 100)
    error = failed(table, INSERT, rows, max_stmt_length=200)
    assert error.row_index == 77
    assert 77 in error.row_range
    assert 1 < len(error.row_range) < 30
    assert keys(table) == list(range(error.row_range.start))


@pytest.mark.parametrize("sql", [INSERT, INSERT_SET])
def test_a_duplicate(table, sql):
    """Its words name no row; MariaDB is asked, MySQL tells it where each row goes by itself."""
    error = failed(table, sql, rows_with(6, (2, "again")), pymy.IntegrityError)
    assert error.errno == ER.DUP_ENTRY
    exact = table.is_mariadb or sql is INSERT_SET
    assert error.row_index == (6 if exact else None)
    assert error.row_range == (range(10) if sql is INSERT or table.is_mariadb else range(6, 7))


def test_row_by_row(table):
    """An UPDATE in bulk runs row by row, and says "row 1" always."""
    table.cursor().executemany(INSERT, rows_with(-1, None))
    rows = [(f"n{n}", n) for n in range(4)] + [(TOO_LONG, 4), ("n5", 5)]
    error = failed(table, UPDATE, rows, pymy.DataError)
    assert error.row_index == (None if table.is_mariadb else 4)
    assert error.row_range == (range(6) if table.is_mariadb else range(4, 5))
    found = table.execute("select b from t order by a").fetchall()
    assert [b for (b,) in found[:6]] == ["n0", "n1", "n2", "n3", "x", "x"]


@pytest.mark.parametrize("sql", [INSERT, INSERT_SET])
@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ((4, object()), TypeError),
        ((4, float("nan")), pymy.DataError),
        ((4,), pymy.ProgrammingError),
        ((4, "\ud800"), pymy.DataError),
    ],
)
def test_a_row_that_cannot_be_written(table, sql, row, kind):
    error = failed(table, sql, rows_with(4, row), kind)
    assert error.row_index == 4
    # whoever rewrites has sent nothing yet
    assert keys(table) == ([] if sql is INSERT else [0, 1, 2, 3])


def test_errors_of_the_rows_own_source(table):
    """They have no index; what they came behind and was not sent is not sent."""

    def rows():
        yield from rows_with(-1, None)
        raise pymy.OperationalError(1234, "of another connection at row 1")

    error = failed(table, INSERT, rows())
    assert error.errno == 1234
    assert error.row_index is error.row_range is None
    assert keys(table) == []
    assert failed(table, INSERT, rows(), max_stmt_length=60).row_index is None
    assert 0 < len(keys(table)) < 10


@pytest.mark.parametrize("sql", [INSERT, INSERT_SET, UPDATE])
@pytest.mark.parametrize("kind", [ZeroDivisionError, pymy.OperationalError])
def test_rows_that_waited_when_their_source_raised(table, sql, kind):
    """One meaning for all ways: they are not sent."""
    table.execute("insert into t values (100, 'x')")

    def rows():
        yield from [("y", 100)] * 3 if sql is UPDATE else rows_with(-1, None)
        raise kind

    cursor = table.cursor()
    with pytest.raises(kind):
        cursor.executemany(sql, rows())
    assert table.execute("select * from t").fetchall() == ((100, "x"),)


def test_errors_of_all_rows(table):
    error = failed(table, "insert into nowhere (a, b) values (%s, %s)", rows_with(-1, None))
    assert error.row_index is None
    assert error.row_range == range(10)
    assert table.execute("select 1").fetchone() == (1,)


def test_asking_for_the_row_leaves_the_warnings(table):
    with pytest.raises(pymy.IntegrityError):
        table.cursor().executemany(INSERT, rows_with(6, (2, "again")))
    assert [row[1] for row in table.show_warnings()] == [ER.DUP_ENTRY]


def test_a_prepared_statement(table):
    with table.prepare("insert into t values (?, ?)") as statement:
        with pytest.raises(pymy.DataError) as caught:
            statement.executemany(rows_with(6, (6, TOO_LONG)))
        assert caught.value.row_index == 6
        assert keys(table) == ([] if table.is_mariadb else [0, 1, 2, 3, 4, 5])


@pytest.mark.parametrize("way", ["rewritten", "each", "prepared"])
def test_a_time_out(connect, table, way):
    conn = connect(autocommit=True, read_timeout=0.5)
    rows = [(0,), (20,), (0,)]
    with pytest.raises(pymy.OperationalError) as caught:
        if way == "rewritten":
            conn.cursor().executemany("insert into t values (sleep(%s), 'x')", rows)
        elif way == "each":
            conn.cursor().executemany("select sleep(%s)", rows)
        else:
            with conn.prepare("select sleep(?)") as statement:
                statement.executemany(rows)
    assert caught.value.errno == CR.CR_QUERY_TIMEOUT
    together = way == "rewritten"
    assert caught.value.row_index == (None if together else 1)
    assert caught.value.row_range == (range(3) if together else range(1, 2))
    with pytest.raises(pymy.OperationalError) as caught:
        conn.execute("select sleep(20)")
    assert caught.value.row_range is None


def test_other_errors_have_none(table):
    with pytest.raises(pymy.ProgrammingError) as caught:
        table.execute("select * from nowhere")
    assert caught.value.row_index is caught.value.row_range is None
