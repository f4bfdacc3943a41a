"""OUT and INOUT parameters: of ``callproc()``, and of a prepared CALL."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal

import pytest

import pymy

MOMENT = datetime.datetime(2024, 2, 29, 12, 30, 1)


@pytest.fixture
def conn(connect):
    conn = connect(autocommit=True)
    conn.query("create procedure add_up(in a int, inout b int, out c int) set c = a + b, b = b + 1")
    conn.query(
        "create procedure two_sets(in a int, out b varchar(20)) "
        "begin select a; select a + 1, 'x'; set b = concat('made of ', a); end"
    )
    conn.query(
        "create procedure fails(in a int, out b int) begin set b = 1; select a; select a + 1; "
        "signal sqlstate '45000' set message_text = 'no more tea', mysql_errno = 31001; end"
    )
    conn.query("create procedure plain(in a int, in b varchar(20)) select a, b")
    return conn


@pytest.fixture
def cursor(conn):
    return conn.cursor()


# -- callproc()


@pytest.mark.parametrize("prepare", ["never", "always"])
def test_callproc_returns_what_changed(conn, connect, prepare):
    cursor = connect(prepare=prepare).cursor()
    for number in range(3):
        args = (number, 5, None)
        assert cursor.callproc("add_up", args) == (number, 6, 5 + number)
        assert args == (number, 5, None)
    assert cursor.callproc("add_up", [1, 2, 3]) == [1, 3, 3]
    assert cursor.callproc("add_up", iter((1, 2, 3))) == (1, 3, 3)
    assert cursor.statement == "CALL `add_up`(@_add_up_0,@_add_up_1,@_add_up_2)"
    assert cursor.nextset() is None
    cursor.execute("select @_add_up_0, @_add_up_1, @_add_up_2")
    assert cursor.fetchone() == (1, 3, 3)


def test_callproc_reads_ahead(conn, cursor):
    assert cursor.callproc("two_sets", (4, None)) == (4, "made of 4")
    other = conn.execute("select 'between'")
    assert (cursor.rowcount, cursor.fetchall()) == (1, ((4,),))
    assert cursor.nextset() is True
    assert [each[0] for each in cursor.description] == ["a + 1", "x"]
    assert conn.execute("select 'again'").fetchone() == ("again",)
    assert cursor.fetchall() == ((5, "x"),)
    assert cursor.nextset() is True
    assert (cursor.description, cursor.fetchall()) == (None, ())
    assert cursor.nextset() is None
    assert other.fetchone() == ("between",)


def test_results_that_are_here_are_no_other_cursors(conn, connect):
    """Nor do they take an unbuffered cursor's rows for their own."""
    cursor = conn.cursor()
    cursor.callproc("two_sets", (4, None))
    stream = conn.cursor(pymy.cursors.SSCursor)
    stream.execute("select repeat('x', 2000) from information_schema.collations a, "
                   "information_schema.collations b limit 5000")  # fmt: skip
    assert cursor.nextset() is True
    assert cursor.nextset() is True
    assert cursor.nextset() is None
    cursor.close()
    assert len(stream.fetchall()) == 5000
    again = conn.cursor()
    again.callproc("two_sets", (4, None))
    again.execute("select 1")
    assert again.nextset() is None


def test_callproc_of_arguments_that_stay(conn, cursor):
    conn.query(
        "create procedure many(in a bool, in b date, in c time, in d datetime, in e decimal(9,2), "
        "in f double, in g varchar(99), in h varbinary(9), in i varchar(40), in j bigint) select 1"
    )
    args = (
        True, datetime.date(2024, 2, 29), datetime.timedelta(hours=-3), MOMENT, Decimal("1.50"),
        0.1, "it's \\ \u00e9\u20ac", b"\xff\0'", uuid.UUID(int=7), None,
    )  # fmt: skip
    assert cursor.callproc("many", args) is args
    args = (False, "2024-01-01", "10:00:00", "2024-01-01", 1, 1e300, "", b"", "x", -(2**63))
    assert cursor.callproc("many", args) is args


def test_callproc_of_dates(conn, cursor):
    """A user variable has no dates: their text comes, and says the same."""
    conn.query("create procedure day(in a date, out b date) set b = a + interval 1 day")
    day = datetime.date(2024, 2, 28)
    assert cursor.callproc("day", (day, None)) == (day, "2024-02-29")


def test_callproc_tells_errors_when_it_is_their_turn(conn, cursor):
    args = (4, None)
    assert cursor.callproc("fails", args) is args
    assert cursor.fetchall() == ((4,),)
    assert cursor.nextset() is True
    assert cursor.fetchall() == ((5,),)
    with pytest.raises(pymy.OperationalError, match="no more tea"):
        cursor.nextset()
    assert cursor.nextset() is None
    assert conn.execute("select 1").fetchone() == (1,)


def test_callproc_of_an_unbuffered_cursor(conn):
    with conn.cursor(pymy.cursors.SSCursor) as cursor:
        args = (4, None)
        assert cursor.callproc("two_sets", args) is args
        assert list(cursor.fetchall()) == [(4,)]
        while cursor.nextset():
            cursor.fetchall()
        cursor.execute("select @_two_sets_1")
        assert cursor.fetchone() == ("made of 4",)


def test_callproc_in_dicts(conn):
    cursor = conn.cursor(pymy.cursors.DictCursor)
    assert cursor.callproc("add_up", (1, 2, 3)) == (1, 3, 3)
    assert cursor.callproc("two_sets", (4, "")) == (4, "made of 4")
    assert cursor.fetchall() == [{"a": 4}]


# -- prepared


@pytest.mark.parametrize("deprecate_eof", [True, False])
def test_out_params_of_a_statement(conn, connect, deprecate_eof):
    other = connect(deprecate_eof=deprecate_eof)
    with other.prepare("call add_up(?, ?, ?)") as statement:
        for number in range(3):
            cursor = statement.execute((number, 5, None))
            assert cursor.out_params == (6, 5 + number)
            assert (cursor.description, cursor.fetchall()) == (None, ())
            assert cursor.nextset() is None
            assert other.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("deprecate_eof", [True, False])
def test_out_params_behind_results(conn, connect, deprecate_eof):
    other = connect(deprecate_eof=deprecate_eof)
    with other.prepare("call two_sets(?, ?)") as statement:
        for _ in range(2):
            cursor = statement.execute((4, None))
            assert (cursor.fetchall(), cursor.out_params) == (((4,),), None)
            assert cursor.nextset() is True
            assert (cursor.fetchall(), cursor.out_params) == (((5, "x"),), None)
            assert cursor.nextset() is True
            assert (cursor.description, cursor.out_params) == (None, ("made of 4",))
            assert cursor.nextset() is None
            assert cursor.out_params == ("made of 4",)
            statement.execute((5, None))  # what is left of it is dropped by the next
        cursor = other.execute("select 1")
        assert (cursor.fetchone(), cursor.out_params) == ((1,), None)


def test_out_params_have_their_own_types(conn):
    columns = {
        "date": MOMENT.date(), "datetime": MOMENT, "time": datetime.timedelta(hours=-3),
        "decimal(9,2)": Decimal("1.50"), "double": 0.5, "varchar(9)": "h\u00e9",
        "varbinary(9)": b"\xff", "bigint unsigned": 2**64 - 1, "longtext": "x" * 70_000,
        "int": None, "char(3) character set latin1": "abc", "enum('a','b')": "b",
    }  # fmt: skip
    for number, (kind, value) in enumerate(columns.items()):
        conn.query(f"create procedure p{number}(in a {kind}, out b {kind}) set b = a")
        with conn.prepare(f"call p{number}(?, ?)") as statement:
            assert statement.execute((value, None)).out_params == (value,)
            row = statement.execute((None, None)).out_params
            assert row == (None,)


def test_a_statement_without_out_params(conn):
    with conn.prepare("call plain(?, ?)") as statement:
        cursor = statement.execute((1, "b"))
        assert (cursor.fetchall(), cursor.out_params) == (((1, "b"),), None)
        assert cursor.nextset() is True
        assert cursor.nextset() is None
        assert cursor.out_params is None


def test_errors_of_a_prepared_call(conn):
    with conn.prepare("call fails(?, ?)") as statement:
        for _ in range(2):
            cursor = statement.execute((4, None))
            assert cursor.nextset() is True
            with pytest.raises(pymy.OperationalError, match="no more tea"):
                cursor.nextset()
            assert cursor.out_params is None
    with conn.prepare("call two_sets(?, ?)") as statement, pytest.raises(pymy.Error) as caught:
        statement.execute(("not a number", None))
    assert caught.value.errno in (1265, 1366)
    assert conn.execute("select 1").fetchone() == (1,)


def test_executemany_of_a_call(conn):
    with conn.prepare("call add_up(?, ?, ?)") as statement:
        assert statement.executemany((a, a, None) for a in range(5)) == 0
        assert statement.execute((1, 1, None)).out_params == (2, 2)


def test_out_params_in_dicts(connect, conn):
    other = connect(cursorclass=pymy.cursors.DictCursor)
    with other.prepare("call two_sets(?, ?)") as statement:
        cursor = statement.execute((4, None))
        assert cursor.fetchall() == [{"a": 4}]
        while cursor.nextset():
            pass
        assert cursor.out_params == ("made of 4",)
