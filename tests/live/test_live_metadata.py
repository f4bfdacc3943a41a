"""Columns that MariaDB does not send again for a prepared statement (X27); MySQL repeats them."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

import pymy
from pymy.constants import CLIENT, FIELD_TYPE

WIDE = [f"a_column_with_a_long_name_{number}" for number in range(30)]


@pytest.fixture
def conn(connect):
    conn = connect(autocommit=True, prepare="never")
    conn.query("create table t (id int primary key, name varchar(20), price decimal(9,2))")
    conn.query("insert into t values (1, 'pen', 1.5), (2, 'ink', 2.5), (3, 'cup', 0)")
    return conn


def names(cursor):
    return [column.name for column in cursor.columns]


def test_they_are_sent_once(connect, conn, needs):
    needs("metadata sent once")
    assert conn.client_flag & CLIENT.CACHE_METADATA
    conn.query(f"create table wide ({', '.join(f'{name} int' for name in WIDE)})")
    conn.query(f"insert into wide values ({', '.join(map(str, range(30)))})")
    session = conn._session
    received = []
    with conn.prepare("select * from wide") as statement:
        for _ in range(3):
            before = session.bytes_received
            cursor = statement.execute()
            assert cursor.fetchall() == (tuple(range(30)),)
            assert names(cursor) == WIDE
            received.append(session.bytes_received - before)
    assert max(received) < 200


@pytest.mark.parametrize("deprecate_eof", [True, False])
@pytest.mark.parametrize("way", ["statement", "always", "stream", "fetch", "unbuffered"])
def test_tables_that_change(conn, connect, way, deprecate_eof):
    other = connect(autocommit=True, prepare="always", deprecate_eof=deprecate_eof)
    statement = other.prepare("select * from t where id = ?")

    def read():
        args = (1,)
        if way == "statement":
            return list(statement.execute(args))
        if way == "stream":
            return list(statement.stream(args))
        if way == "fetch":
            return list(statement.stream(args, fetch_size=2))
        cursor = other.cursor(pymy.cursors.SSCursor if way == "unbuffered" else None)
        cursor.execute("select * from t where id = %s", args)
        rows = list(cursor.fetchall())
        cursor.close()
        return rows

    expected = {
        "alter table t add at date": (1, "pen", Decimal("1.50"), None),
        "alter table t modify price varchar(9)": (1, "pen", "1.50", None),
        "alter table t drop name": (1, "1.50", None),
        "alter table t modify id bigint": (1, "1.50", None),
        "alter table t modify at time": (1, "1.50", None),
        "update t set at = '10:00:00'": (1, "1.50", datetime.timedelta(hours=10)),
        "alter table t rename to u": None,
        "create table t as select id, 'new' name from u": (1, "new"),
        "create or replace view v as select 1": (1, "new"),
        "rename table t to t2, u to t": (1, "1.50", datetime.timedelta(hours=10)),
    }
    for _ in range(3):
        assert read() == [(1, "pen", Decimal("1.50"))]
    for change, row in expected.items():
        conn.query(change)
        if row is None:
            with pytest.raises(pymy.ProgrammingError):
                read()
            continue
        for _ in range(3):
            assert read() == [row], change
    statement.close()


def test_values_give_columns_their_type(conn):
    values = [1, "x", 2.5, None, Decimal("1.5"), "y" * 300, 2**63, 1, 1, "x"]
    if conn.is_mariadb:  # MySQL decides before it knows them, for text
        values.append(b"\xff")
    with conn.prepare("select ? as a, ? is null as b") as statement:
        for value in values:
            for _ in range(2):
                cursor = statement.execute((value, value))
                if conn.is_mariadb:
                    assert cursor.fetchall() == ((value, value is None),)
                assert names(cursor) == ["a", "b"]


def test_results_of_procedures(conn):
    conn.query(
        "create procedure p(in a int) begin if a = 1 then select id from t where id = 1; end if; "
        "select name from t where id = a; select id from t where id = a; "
        "select id from t where id = 3; end"
    )
    with conn.prepare("call p(?)") as statement:
        for number in (1, 2, 1, 1, 2, 2):
            cursor = statement.execute((number,))
            found = [cursor.fetchall()]
            while cursor.nextset():
                found.append(cursor.fetchall())
            name = ("pen", "ink")[number - 1]
            assert found == [*[((1,),)] * (number == 1), ((name,),), ((number,),), ((3,),), ()]
            statement.execute((number,))  # of which only the first is read


def test_returning(conn, needs):
    needs("returning")
    with conn.prepare("insert into t (id, name) values (?, ?) returning id, name, price") as insert:
        for number in range(10, 14):
            assert insert.execute((number, "x")).fetchall() == ((number, "x", None),)
        conn.query("alter table t modify id bigint, modify name varchar(99)")
        for number in range(20, 23):
            assert insert.execute((number, "x")).fetchall() == ((number, "x", None),)


def test_errors_in_between(conn):
    sql = "select id, (select t.name union all select b.name from t b where b.id <= ?) a from t"
    with conn.prepare(f"{sql} where id = 1") as statement:
        for number in (0, 0, 2, 2, 0, 2, 0):
            if number:
                with pytest.raises(pymy.Error, match="more than 1 row"):
                    statement.execute((number,))
            else:
                assert statement.execute((number,)).fetchall() == ((1, "pen"),)


def test_converters_that_change(conn):
    with conn.prepare("select id, name from t where id = 1") as statement:
        assert statement.execute().fetchall() == ((1, "pen"),)
        conn.decoders[FIELD_TYPE.VAR_STRING] = str.upper
        for _ in range(2):
            assert statement.execute().fetchall() == ((1, "PEN"),)
        del conn.decoders[FIELD_TYPE.VAR_STRING]
        assert statement.execute().fetchall() == ((1, "pen"),)


def test_charsets_that_change(conn):
    conn.query("update t set name = 'h\u00e9' where id = 1")
    with conn.prepare("select id, name as `n\u00e9` from t where id = 1") as statement:
        for charset in ("utf8mb4", "latin1", "latin1", "utf8mb4", "utf8mb4"):
            conn.set_charset(charset)
            cursor = statement.execute()
            assert cursor.fetchall() == ((1, "h\u00e9"),)
            assert names(cursor) == ["id", "n\u00e9"]


@pytest.mark.only("blocking", "a pool is of one transport")
def test_connections_of_a_pool(conn, dsn):
    sql = "select * from t where id = %s"
    with pymy.Pool(dsn, max_size=1, prepare="always") as pool:
        for change, row in [
            ("do 0", (1, "pen", Decimal("1.50"))),
            ("alter table t drop price", (1, "pen")),
            ("alter table t add price date", (1, "pen", None)),
        ]:
            conn.query(change)
            for _ in range(3):
                with pool.connection() as lent:
                    for _ in range(2):
                        assert lent.execute(sql, (1,)).fetchall() == (row,)


def test_two_statements_of_one_text(conn):
    first, second = (conn.prepare("select * from t where id = ?") for _ in range(2))
    assert first.execute((1,)).fetchone() == (1, "pen", Decimal("1.50"))
    conn.query("alter table t drop price")
    assert second.execute((1,)).fetchone() == (1, "pen")
    assert first.execute((2,)).fetchone() == (2, "ink")
    conn.query("alter table t drop name")
    assert second.execute((3,)).fetchone() == (3,)
    assert first.execute((3,)).fetchone() == (3,)
    conn.reset()
    assert first.execute((1,)).fetchone() == (1,)
