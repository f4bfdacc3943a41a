"""Many rows in one command: MariaDB's COM_STMT_BULK_EXECUTE, and the same without it."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid

import pytest

import pymy
from pymy.constants import CLIENT
from pymy.sql import Raw

# Elsewhere many statements go in one text, with COM_SET_OPTION before and behind it.
SWITCHES = 2
UPDATE = "update t set b = %s where a = %s"


@pytest.fixture
def table(connect):
    conn = connect(autocommit=True)
    conn.query("create table t (id int auto_increment primary key, a int unique, b varchar(9))")
    conn.query("insert into t (a, b) values (0, 'r0'), (1, 'r1'), (2, 'r2'), (3, 'r3'), (4, 'r4')")
    return conn


def questions(conn):
    return int(conn.execute("show session status like 'Questions'").fetchone()[1])


def content(conn):
    return [b for (b,) in conn.execute("select b from t order by a").fetchall()]


def test_bulk_takes_one_command(table):
    before = questions(table)
    cursor = table.cursor()
    rows = [(f"n{n}", n) for n in range(5)]
    assert cursor.executemany(UPDATE, rows) == 5
    assert questions(table) - before - 1 == (1 if table.is_mariadb else 5 + SWITCHES)
    assert content(table) == ["n0", "n1", "n2", "n3", "n4"]
    assert cursor.rowcount == 5
    assert cursor.statement == "update t set b = 'n4' where a = 4"


def test_a_server_without_bulk(connect, table, monkeypatch):
    from pymy.protocol import handshake

    choose = handshake.choose_capabilities
    monkeypatch.setattr(
        handshake,
        "choose_capabilities",
        lambda *args: choose(*args) & ~CLIENT.STMT_BULK_OPERATIONS,
    )
    conn = connect(autocommit=True)
    before = questions(conn)
    assert conn.cursor().executemany(UPDATE, [("x", 0), ("y", 1)]) == 2
    assert questions(conn) - before - 1 == 2 + SWITCHES


def test_prepared_statements_are_closed(connect, table):
    conn = connect(autocommit=True, prepare="never")
    for _ in range(3):
        conn.cursor().executemany(UPDATE, [("x", 0), ("y", 1)])
    conn.ping()
    counts = {
        name: int(conn.execute(f"show session status like 'Com_stmt_{name}'").fetchone()[1])
        for name in ("prepare", "close")
    }
    assert counts["prepare"] == counts["close"] == (3 if conn.is_mariadb else 0)


class Colour(enum.Enum):
    RED = "red"


VALUES = [
    None,
    True,
    0,
    -(2**63),
    2**64 - 1,
    2**70,
    1.5,
    decimal.Decimal("12.340"),
    "it's \\ ä \U0001f600",
    "",
    b"\x00\xff'\\",
    bytearray(b"ab"),
    datetime.date(2024, 2, 29),
    datetime.datetime(2024, 2, 29, 1, 2, 3, 456),
    datetime.timedelta(hours=-30, microseconds=5),
    datetime.time(1, 2, 3),
    uuid.UUID(int=7),
    Colour.RED,
]


def test_values_are_those_of_text(table):
    """Each type among others: a batch ends where a column's type changes."""
    table.query("create table v (n int primary key, b blob, t text) charset utf8mb4")
    sql = "insert into v set n = %s, b = %s, t = %s"
    text = [value for value in VALUES if not isinstance(value, (bytes, bytearray))]
    text += [None] * (len(VALUES) - len(text))
    rows = [(n, *values) for n, values in enumerate(zip(VALUES, text, strict=True))]
    table.cursor().executemany(sql, rows)
    found = table.execute("select * from v order by n").fetchall()
    table.query("truncate table v")
    for row in rows:
        table.execute(sql, row)
    assert found == table.execute("select * from v order by n").fetchall()


def test_nulls_in_any_place(table):
    rows = [(None, 0), ("x", 1), (None, 2), (None, None), ("y", 4)]
    before = questions(table)
    table.cursor().executemany(UPDATE, rows)
    assert questions(table) - before - 1 == (1 if table.is_mariadb else 5 + SWITCHES)
    assert content(table) == [None, "x", None, "r3", "y"]


def test_default_and_ignore(table):
    table.query("alter table t modify b varchar(9) default 'dflt'")
    values = [Raw("DEFAULT"), "x", Raw("default")]
    if table.is_mariadb:
        values.append(Raw("IGNORE"))
    before = questions(table)
    table.cursor().executemany(UPDATE, [(value, n) for n, value in enumerate(values)])
    assert questions(table) - before - 1 == (1 if table.is_mariadb else 3)
    assert content(table)[:4] == ["dflt", "x", "dflt", "r3"]


def test_sql_among_the_values(table):
    """What only text can say goes as text, and what is behind it."""
    values = ["x", "y", Raw("upper('z')"), "w"]
    assert table.cursor().executemany(UPDATE, [(v, n) for n, v in enumerate(values)]) == 4
    assert content(table) == ["x", "y", "Z", "w", "r4"]


def test_lists_go_as_text(table):
    sql = "update t set b = %s where a in %s"
    assert table.cursor().executemany(sql, [("x", [0, 1]), ("y", [2])]) == 3
    assert content(table) == ["x", "x", "y", "r3", "r4"]


def test_batches_of_bounded_size(table):
    cursor = table.cursor()
    cursor.max_stmt_length = 1000
    table.query("create table w (a int, b varchar(99))")
    before = questions(table)
    rows = [(n, "x" * 80) for n in range(100)]
    assert cursor.executemany("insert into w set a = %s, b = %s", rows) == 100
    count = questions(table) - before - 1
    assert 9 <= count <= 15 if table.is_mariadb else count == 100 + SWITCHES
    assert table.execute("select count(distinct a), sum(length(b)) from w").fetchone() == (
        100,
        8000,
    )


@pytest.mark.parametrize("sql", ["insert into w set a = %s", "insert into w (a) values (%s)"])
def test_a_server_that_takes_little(connect, table, set_global, sql):
    set_global("max_allowed_packet", 128 * 1024)
    conn = connect(autocommit=True)
    conn.query("create table w (a varchar(1000))")
    rows = [("x" * 1000,)] * 1000
    assert conn.cursor().executemany(sql, rows) == 1000
    assert conn.execute("select count(*) from w").fetchone() == (1000,)


def test_a_row_the_server_will_not_take(connect, set_global):
    set_global("max_allowed_packet", 128 * 1024)
    conn = connect(autocommit=True)
    conn.query("create table w (a mediumtext)")
    rows = [("x" * 1000,)] * 200 + [("y" * 2_000_000,)]
    with pytest.raises(pymy.OperationalError, match="max_allowed_packet") as caught:
        conn.cursor().executemany("insert into w set a = %s", rows)
    assert caught.value.row_index == 200
    assert conn.execute("select count(*) from w").fetchone() == (200,)


@pytest.mark.parametrize("found", [True, False])
@pytest.mark.parametrize("results", [True, False])
def test_rows_that_stay_as_they_are(connect, table, found, results):
    conn = connect(autocommit=True, client_found_rows=found)
    cursor = conn.cursor()
    same = [("r0", 0), ("new", 1), ("r2", 2), ("none", 99)]
    assert cursor.executemany(UPDATE, same, results=results) == (3 if found else 1)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_rows(table, count):
    cursor = table.cursor()
    rows = [(f"n{n}", n) for n in range(count)]
    assert cursor.executemany(UPDATE, iter(rows)) == (count or None)
    assert content(table)[:3] == [f"{'n' if n < count else 'r'}{n}" for n in range(3)]


@pytest.mark.parametrize("style", ["qmark", "named"])
def test_paramstyles(connect, table, style):
    conn = connect(paramstyle=style, autocommit=True)
    if style == "qmark":
        conn.cursor().executemany("update t set b = ? where a = ?", [("x", 0), ("y", 1)])
    else:
        rows = [{"b": "x", "a": 0}, {"b": "y", "a": 1}]
        conn.cursor().executemany("update t set b = :b where a = :a", rows)
    assert content(conn)[:2] == ["x", "y"]


def test_after_a_reset(table):
    cursor = table.cursor()
    cursor.executemany(UPDATE, [("x", 0), ("y", 1)])
    table.reset()
    cursor.executemany(UPDATE, [("v", 0), ("w", 1)])
    assert content(table)[:2] == ["v", "w"]


# statements of one's own


def test_statement(table):
    before = questions(table)
    with table.prepare("update t set b = ? where a = ?") as statement:
        assert statement.executemany((f"n{n}", n) for n in range(5)) == 5
        assert questions(table) - before - 1 == (1 if table.is_mariadb else 5)
        assert statement.executemany([]) == 0
        assert statement.executemany([("one", 0)]) == 1
    assert content(table) == ["one", "n1", "n2", "n3", "n4"]


def test_statement_that_is_not_bulk(table):
    with table.prepare("select ?") as statement:
        assert statement.executemany([(1,), (2,), (3,)]) == 3
        assert statement.executemany([(1,), (2,)]) == 2
    with table.prepare("insert into t (a) select ?") as statement:
        assert statement.executemany([(11,), (12,)]) == 2


def test_statement_with_files(table, tmp_path):
    table.query("create table f (n int, b blob)")
    path = tmp_path / "file"
    path.write_bytes(b"from a file")
    with path.open("rb") as file, table.prepare("insert into f values (?, ?)") as statement:
        assert statement.executemany([(1, b"x"), (2, file), (3, b"y"), (4, b"z")]) == 4
    assert table.execute("select b from f order by n").fetchall() == (
        (b"x",), (b"from a file",), (b"y",), (b"z",),
    )  # fmt: skip


def test_statement_with_a_wrong_row(table):
    with table.prepare("update t set b = ? where a = ?") as statement:
        with pytest.raises(pymy.ProgrammingError, match="2 parameters") as caught:
            statement.executemany([("x", 0), ("y", 1), ("z",)])
        assert caught.value.row_index == 2
        with pytest.raises(TypeError, match="no form as a parameter") as refused:
            statement.executemany([("x", 0), (["y"], 1)])
        assert refused.value.row_index == 1
    assert content(table)[:3] == ["x", "y", "r2"]


# what each row did


def test_results(table):
    cursor = table.cursor()
    assert cursor.executemany(UPDATE, [("x", 0), ("y", 99), ("z", 1)], results=True) == 2
    assert cursor.results == [(0, 1), (0, 0), (0, 1)]
    insert = "insert into t (a, b) values (%s, %s)"
    assert cursor.executemany(insert, [(11, "x"), (12, None), (13, "z")], results=True) == 3
    ids = [table.execute("select id from t where a = %s", (a,)).fetchone()[0] for a in (11, 12, 13)]
    assert [row.insert_id for row in cursor.results] == ids
    assert [row.affected_rows for row in cursor.results] == [1, 1, 1]
    assert cursor.lastrowid == ids[-1]
    assert cursor.fetchall() == ()
    cursor.execute("select 1")
    assert cursor.results is None


def test_results_of_upserts(table):
    cursor = table.cursor()
    sql = "insert into t (a, b) values (%s, %s) on duplicate key update b = values(b)"
    assert cursor.executemany(sql, [(0, "new"), (1, "r1"), (77, "x")], results=True) == 3
    assert [row.affected_rows for row in cursor.results] == [2, 0, 1]


@pytest.mark.parametrize("results", [False, True])
@pytest.mark.parametrize("sql", ["insert into t (a) values (%s)", "insert into t set a = %s"])
def test_rows_of_returning_are_all_there(table, needs, sql, results):
    needs("returning")
    cursor = table.cursor()
    sql += " returning a"
    assert cursor.executemany(sql, [(n,) for n in (11, 12, 13)], results=results) == 3
    if results:
        assert cursor.results == [(0, 1)] * 3
    assert cursor.fetchall() == ((11,), (12,), (13,))
    assert cursor.executemany("delete from t where a = %s returning a", [(11,), (13,)]) == 2
    assert cursor.fetchall() == ((11,), (13,))


def test_types_that_alternate(table):
    """A batch for each row is no gain: they go in one text."""
    rows = [(f"n{n}", n if n % 2 else float(n)) for n in range(200)]
    asked = "show session status like 'Com_stmt_execute'"
    before = int(table.execute(asked).fetchone()[1])
    assert table.cursor().executemany(UPDATE, rows) == 5
    assert int(table.execute(asked).fetchone()[1]) - before < 20
    assert content(table) == ["n0", "n1", "n2", "n3", "n4"]
    with table.prepare("update t set b = ? where a = ?") as statement:
        assert statement.executemany([(f"m{n}", a) for n, (_, a) in enumerate(rows)]) == 5
    assert content(table) == ["m0", "m1", "m2", "m3", "m4"]


def test_unit_results_take_one_command(table, kind):
    before = questions(table)
    table.cursor().executemany(UPDATE, [("x", n) for n in range(5)], results=True)
    assert questions(table) - before - 1 == (1 if kind == "mariadb11" else 5 + SWITCHES)


def test_results_with_converters_of_ones_own(connect, table):
    conv = {**pymy.converters.conversions, pymy.constants.FIELD_TYPE.LONGLONG: str}
    conv[pymy.constants.FIELD_TYPE.LONG] = str
    cursor = connect(autocommit=True, conv=conv).cursor()
    cursor.executemany(UPDATE, [("x", 0), ("y", 99)], results=True)
    assert cursor.results == [(0, 1), (0, 0)]
