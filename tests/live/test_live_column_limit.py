"""max_column_length on real servers, in text and in binary rows."""

from __future__ import annotations

import tracemalloc
from contextlib import nullcontext

import pytest

import pymy
from pymy.constants import CR
from pymy.cursors import DictCursor, SSCursor

MIB = 1 << 20


@pytest.fixture(params=["never", "always"])
def limited(request, connect):
    conn = connect(autocommit=True)
    conn.query("create table t (id int primary key, b longblob, s longtext)")
    conn.query(
        "insert into t values (1, 'abc', 'x'), (2, repeat('y', 101), 'x'), (3, null, 'z'), "
        "(4, repeat('y', 100), repeat('é', 51))"
    )

    def open_(limit, **options):
        return connect(prepare=request.param, autocommit=True, max_column_length=limit, **options)

    return open_


def test_null(limited):
    conn = limited(100, on_long_column="null")
    for _ in range(30):  # by compiled code, too
        rows = conn.execute("select id, b, s from t order by id").fetchall()
    assert rows == ((1, b"abc", "x"), (2, None, "x"), (3, None, "z"), (4, b"y" * 100, None))


def test_an_error(limited):
    conn = limited(100)
    for _ in range(20):
        with pytest.raises(pymy.DataError, match="'b' holds 101 bytes") as caught:
            conn.execute("select id, b, s from t order by id")
        assert caught.value.errno == CR.CR_DATA_TRUNCATED
        assert not caught.value.fatal
        assert conn.execute("select id, b from t where id = 1").fetchone() == (1, b"abc")
    with pytest.raises(pymy.DataError, match="'s' holds 102 bytes"):
        conn.execute("select id, b, s from t where id = 4")
    with conn.cursor(DictCursor) as cursor:
        cursor.execute("select id from t where id = 4")
        assert cursor.fetchone() == {"id": 4}


def test_unbuffered(limited):
    conn = limited(100)
    with conn.cursor(SSCursor) as cursor:
        cursor.execute("select id, b from t order by id")
        assert cursor.fetchone() == (1, b"abc")
        with pytest.raises(pymy.DataError, match="'b' holds 101 bytes"):
            cursor.fetchone()
    assert conn.execute("select 1").fetchone() == (1,)


def test_prepared_statements(limited):
    conn = limited(100)
    with conn.prepare("select id, b from t where id = ?") as statement:
        assert statement.execute((1,)).fetchone() == (1, b"abc")
        with pytest.raises(pymy.DataError, match="'b' holds 101 bytes"):
            statement.execute((2,))
        assert statement.execute((3,)).fetchone() == (3, None)


def test_the_streamed_value_has_none(limited):
    conn = limited(100)
    with conn.stream_value("select id, b from t where id = 2") as value:
        assert (value.row, value.read()) == ((2,), b"y" * 101)
    with pytest.raises(pymy.DataError, match="'b' holds 101 bytes"):
        conn.stream_value("select b, id from t where id = 2")
    assert conn.execute("select 1").fetchone() == (1,)


def test_what_is_too_long_is_not_held(limited, set_global):
    set_global("max_allowed_packet", 1 << 30)
    conn = limited(100, on_long_column="null", max_allowed_packet=1 << 30)
    sql = f"select id, repeat(left(b, 1), if(id = 1, {40 * MIB}, 5)) from t where id in (1, 2)"
    tracemalloc.start()
    try:
        assert conn.execute(f"{sql} order by id").fetchall() == ((1, None), (2, b"yyyyy"))
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()


def test_pymys_own_statements_have_none(limited):
    conn = limited(1)
    conn.reset()
    conn.ping()
    assert conn.execute("select id from t where id = 1").fetchone() == (1,)


def test_what_the_program_did_not_select(limited):
    for options in ({}, {"on_long_column": "null"}):
        conn = limited(10, **options)
        conn.execute("select cast('abcdefghijklmnop' as signed)")
        _, number, message = conn.show_warnings()[0]
        assert number == 1292
        assert "abcdefghijklmnop" in message
        conn.query("drop procedure if exists p")
        conn.query("create procedure p(in a longtext, out b longtext) set b = repeat('y', 20)")
        args = ("x" * 50, None)
        assert conn.cursor().callproc("p", args) == ("x" * 50, "y" * 20)
        with pytest.raises(pymy.DataError) if not options else nullcontext():
            assert conn.execute("select b from t where id = 4").fetchone() == (None,)
