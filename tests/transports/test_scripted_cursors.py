"""Cursors against answers of every shape, and user code that raises in the middle of one."""

from __future__ import annotations

import re

import pytest
from scripted import Server, err, expect, greet, login, ok, query, rows
from server_packets import AUTOCOMMIT, MORE_RESULTS, PING, column, number

import pymy
from pymy import cursors
from pymy.rows import dataclass_row, dict_row, namedtuple_row, scalar_row

SQL = "select"
THREE = rows([number("id"), column("name")], [(1, "a"), (2, None), (3, "c")])
ALL = [cursors.Cursor, cursors.SSCursor, cursors.DictCursor, cursors.SSDictCursor]
PLAIN = ALL[:2]
WORKS = (expect(PING), ok())


def asked(*steps):
    return (greet(), login(), query(SQL), *steps)


@pytest.fixture(params=PLAIN, ids=lambda each: each.__name__)
def cursor_class(request):
    return request.param


def test_before_the_first_statement(cursor_class):
    with Server(greet(), login()) as server:
        cursor = server.connect().cursor(cursor_class)
        assert (cursor.rowcount, cursor.description, cursor.arraysize) == (-1, None, 1)
        with pytest.raises(pymy.ProgrammingError, match="execute"):
            cursor.fetchone()


def test_fetching(cursor_class):
    with Server(*asked(THREE, *WORKS)) as server:
        conn = server.connect()
        cursor = conn.cursor(cursor_class)
        cursor.execute(SQL)
        assert [each[0] for each in cursor.description] == ["id", "name"]
        assert cursor.fetchone() == (1, "a")
        assert list(cursor.fetchmany(1)) == [(2, None)]
        assert list(cursor.fetchall()) == [(3, "c")]
        assert cursor.fetchone() is None
        assert not cursor.fetchmany(5)
        assert not cursor.fetchall()
        conn.ping()


def test_iterating(cursor_class):
    with Server(*asked(THREE)) as server:
        cursor = server.connect().cursor(cursor_class)
        cursor.execute(SQL)
        assert [each[0] for each in cursor] == [1, 2, 3]


@pytest.mark.parametrize("dict_class", ALL[2:])
def test_dicts(dict_class):
    joined = rows([column("id", table="x"), column("id", table="y")], [(1, 2)])
    with Server(*asked(joined)) as server:
        cursor = server.connect().cursor(dict_class)
        cursor.execute(SQL)
        assert cursor.fetchone() == {"id": "1", "y.id": "2"}
        assert cursor.fetchone() is None


def test_a_statement_without_rows(cursor_class):
    with Server(*asked(ok(affected=5))) as server:
        cursor = server.connect().cursor(cursor_class)
        assert cursor.execute(SQL) == 5
        assert cursor.description is None
        assert cursor.fetchone() is None
        assert cursor.nextset() is None


def test_an_empty_result(cursor_class):
    with Server(*asked(rows(["a"], []))) as server:
        cursor = server.connect().cursor(cursor_class)
        cursor.execute(SQL)
        assert cursor.description is not None
        assert list(cursor.fetchall()) == []


def test_several_results(cursor_class):
    with Server(
        *asked(rows(["a"], [(1,)], MORE_RESULTS), ok(status=MORE_RESULTS, affected=4), THREE),
        *WORKS,
    ) as server:
        conn = server.connect()
        cursor = conn.cursor(cursor_class)
        cursor.execute(SQL)
        assert list(cursor.fetchall()) == [("1",)]
        assert cursor.nextset()
        assert (cursor.rowcount, cursor.description) == (4, None)
        assert cursor.nextset()
        assert len(cursor.fetchall()) == 3
        assert cursor.nextset() is None
        conn.ping()


def test_closing_drops_the_results_that_are_left(cursor_class):
    with Server(*asked(rows(["a"], [(1,)], MORE_RESULTS), THREE), *WORKS) as server:
        conn = server.connect()
        with conn.cursor(cursor_class) as cursor:
            cursor.execute(SQL)
        conn.ping()


def test_nextset_with_rows_unread():
    with Server(*asked(rows(["a"], [(1,), (2,)], MORE_RESULTS), THREE)) as server:
        cursor = server.connect().cursor(cursors.SSCursor)
        cursor.execute(SQL)
        assert cursor.nextset()
        assert cursor.fetchone() == (1, "a")
        cursor.close()


def test_a_failed_statement_leaves_no_old_rows(cursor_class):
    with Server(*asked(THREE), query("bad"), err(1064, "syntax", "42000")) as server:
        cursor = server.connect().cursor(cursor_class)
        cursor.execute(SQL)
        cursor.fetchall()
        with pytest.raises(pymy.ProgrammingError, match="syntax"):
            cursor.execute("bad")
        assert cursor.description is None
        assert not cursor.fetchall()


def test_an_unbuffered_result_that_was_overtaken():
    with Server(*asked(THREE), query("next"), THREE) as server:
        conn = server.connect()
        first = conn.cursor(cursors.SSCursor)
        first.execute(SQL)
        with pytest.warns(pymy.Warning, match="not read to its end"):
            conn.execute("next")
        with pytest.raises(pymy.InterfaceError, match="dropped"):
            first.fetchall()
        first.close()


def test_scrolling():
    with Server(*asked(THREE)) as server:
        cursor = server.connect().execute(SQL)
        cursor.scroll(2)
        assert cursor.fetchone() == (3, "c")
        cursor.scroll(0, "absolute")
        assert cursor.fetchone() == (1, "a")
        for value, mode in ((9, "relative"), (-2, "relative"), (3, "absolute")):
            with pytest.raises(IndexError):
                cursor.scroll(value, mode)
        with pytest.raises(pymy.ProgrammingError, match="sideways"):
            cursor.scroll(1, "sideways")
        assert cursor.fetchone() == (2, None)


def test_parameters_that_do_not_fit_send_nothing(cursor_class):
    with Server(greet(), login(), query("select 1"), ok(), *WORKS) as server:
        conn = server.connect()
        cursor = conn.cursor(cursor_class)
        for sql, args, kind in (
            ("select %s", (), pymy.ProgrammingError),
            ("select %s", (1, 2), pymy.ProgrammingError),
            ("select %(a)s", {}, pymy.ProgrammingError),
            ("select %s", (object(),), TypeError),
        ):
            with pytest.raises(kind):
                cursor.execute(sql, args)
        cursor.execute("select %s", (1,))
        conn.ping()


def test_executemany_sums_and_stops_at_an_error():
    insert = re.compile(r"UPDATE t SET a = \d")
    with Server(
        greet(), login(), query(insert), ok(affected=1), query(insert), ok(affected=2),
        query(insert), err(1062, "Duplicate entry", "23000"), *WORKS,
    ) as server:  # fmt: skip
        conn = server.connect(pipelining=False)
        cursor = conn.cursor()
        assert cursor.executemany("UPDATE t SET a = %s", [(1,), (2,)]) == 3
        with pytest.raises(pymy.IntegrityError, match="Duplicate"):
            cursor.executemany("UPDATE t SET a = %s", [(3,), (4,)])
        conn.ping()


def test_executemany_with_rows_that_raise():
    def many():
        yield (1,)
        raise LookupError("no more")

    with Server(greet(), login(), query("UPDATE t SET a = 1"), ok(affected=1), *WORKS) as server:
        conn = server.connect(pipelining=False)
        with pytest.raises(LookupError, match="no more"):
            conn.cursor().executemany("UPDATE t SET a = %s", many())
        conn.ping()


# -- row factories


@pytest.mark.parametrize(
    ("factory", "first"),
    [
        (dict_row, {"id": 1, "name": "a"}),
        (namedtuple_row, (1, "a")),
        (scalar_row, 1),
        (dataclass_row(dict), {"id": 1, "name": "a"}),
        (lambda columns: len, 2),
    ],
)
def test_row_factories(factory, first, cursor_class):
    with Server(*asked(THREE)) as server:
        cursor = server.connect().cursor(cursor_class, row_factory=factory)
        cursor.execute(SQL)
        assert len(made := list(cursor)) == 3
        assert made[0] == first


def no_factory(columns):
    raise LookupError("not these columns")


def no_row(columns):
    def make(row):
        if row[0] == 2:
            raise LookupError("not this row")
        return row

    return make


def interrupted(columns):
    raise KeyboardInterrupt


@pytest.mark.parametrize("factory", [no_factory, no_row])
def test_a_row_factory_that_raises(factory, cursor_class):
    """The answer is read or dropped all the same: the next statement gets its own."""
    with Server(*asked(THREE), query("next"), THREE, *WORKS) as server:
        conn = server.connect()
        with conn.cursor(cursor_class, row_factory=factory) as cursor:

            def fetch():
                cursor.execute(SQL)
                cursor.fetchall()

            with pytest.raises(LookupError, match="not th"):
                fetch()
        assert conn.open
        assert conn.execute("next").fetchone() == (1, "a")
        conn.ping()


@pytest.mark.only("blocking,nonblocking", "it would end the event loop")
def test_a_row_factory_that_is_interrupted(cursor_class):
    with Server(*asked(THREE)) as server:
        conn = server.connect()
        cursor = conn.cursor(cursor_class, row_factory=interrupted)
        with pytest.raises(KeyboardInterrupt):
            cursor.execute(SQL)
        cursor.close()


def test_a_converter_that_raises_costs_one_statement(cursor_class):
    def convert(piece):
        raise ZeroDivisionError("no")

    with Server(*asked(THREE), *WORKS) as server:
        conn = server.connect(conv={pymy.FIELD_TYPE.LONG: convert})
        cursor = conn.cursor(cursor_class)

        def fetch():
            cursor.execute(SQL)
            cursor.fetchall()

        with pytest.raises(pymy.DataError, match="Column 'id'"):
            fetch()
        conn.ping()


@pytest.mark.only("blocking,nonblocking", "a row factory cannot wait there")
def test_a_row_factory_that_uses_its_connection(cursor_class):
    """It is called while the answer is read: a clear error, not a torn protocol."""
    with Server(*asked(THREE), *WORKS) as server:
        conn = server.connect()
        cursor = conn.cursor(cursor_class, row_factory=lambda columns: conn.ping())
        with pytest.raises((pymy.InterfaceError, TypeError)):
            cursor.execute(SQL)
        cursor.close()
        conn.ping()


def test_streams():
    with Server(*asked(THREE), *WORKS) as server:
        conn = server.connect()
        assert [each["id"] for each in conn.stream(SQL, row_factory=dict_row)] == [1, 2, 3]
        conn.ping()


def test_transaction_status():
    with Server(greet(), login(), query("BEGIN"), ok(status=1 | AUTOCOMMIT), *WORKS) as server:
        conn = server.connect()
        conn.begin()
        assert conn.in_transaction
        conn.ping()
        assert not conn.in_transaction
