"""``setinputsizes()``: types of parameters, where the statement is prepared."""

from __future__ import annotations

import datetime

import pytest

import pymy
from pymy.constants.FIELD_TYPE import FieldType


@pytest.fixture(params=["always", "auto"])
def conn(connect, request):
    conn = connect(prepare=request.param, autocommit=True)
    conn.query("create table t (id int, name varchar(9), day date, at datetime, ti time)")
    conn.query(
        "insert into t values (1, '5', '2024-02-29', '2024-02-29 12:30:01', '-30:00:00'), "
        "(2, '05', null, null, null)"
    )
    return conn


def ids(cursor, sql, *args):
    cursor.execute(f"select id from t where {sql} order by id", args)
    return [row[0] for row in cursor]


def test_a_number_as_text_and_text_as_a_number(conn):
    cursor = conn.cursor()
    for _ in range(2):
        assert ids(cursor, "name = %s", 5) == [1, 2]
        cursor.setinputsizes([pymy.STRING])
        assert ids(cursor, "name = %s", 5) == [1]
        assert ids(cursor, "name = %s", 5) == [1]  # until it is called again
        cursor.setinputsizes(pymy.NUMBER)
        assert ids(cursor, "name = %s", "5") == [1, 2]
        cursor.setinputsizes(None, FieldType.VAR_STRING)
        assert ids(cursor, "name = %s and name = %s", 5, 5) == [1]
        cursor.setinputsizes()
        assert ids(cursor, "name = %s", "5") == [1]
        assert ids(conn.cursor(), "name = %s", 5) == [1, 2]


@pytest.mark.parametrize(
    ("column", "size", "value", "other"),
    [
        ("day", pymy.DATE, datetime.date(2024, 2, 29), "2024-02-28"),
        ("at", pymy.DATETIME, "2024-02-29 12:30:01", datetime.datetime(2024, 2, 29)),
        ("ti", pymy.TIME, datetime.timedelta(hours=-30), "30:00:00"),
        ("id", FieldType.LONGLONG, "1", "9"),
        ("id", FieldType.DOUBLE, 1, 1.5),
    ],
)
def test_other_types(conn, column, size, value, other):
    cursor = conn.cursor()
    cursor.setinputsizes([size])
    for _ in range(2):
        assert ids(cursor, f"{column} = %s", value) == [1]
        assert ids(cursor, f"{column} = %s", other) == []
        assert ids(cursor, f"{column} = %s", None) == []


def test_text_as_bytes(conn):
    conn.query("create table b (id int, name varbinary(9))")
    cursor = conn.cursor()
    cursor.setinputsizes(None, pymy.BINARY)
    for number, value in enumerate(["h\u00e9", b"\xff", 5, None]):
        cursor.execute("insert into b values (%s, %s)", (number, value))
    cursor.execute("select name from b order by id")
    assert [row[0] for row in cursor] == ["h\u00e9".encode(), b"\xff", b"5", None]


def test_what_does_not_fit_goes_as_ever(conn):
    cursor = conn.cursor()
    cursor.setinputsizes([pymy.DATE])
    assert ids(cursor, "name = %s", "five") == []
    assert ids(cursor, "name = %s", 5) == [1, 2]


def test_each_execution_gives_the_same(conn):
    """With "auto" too: text and what is prepared compare differently."""
    for _ in range(2):
        cursor, plain = conn.cursor(), conn.cursor()
        cursor.setinputsizes([pymy.STRING])
        assert [ids(cursor, "name = %s", 5) for _ in range(8)] == [[1]] * 8
        assert [ids(plain, "name = %s", 5) for _ in range(8)] == [[1, 2]] * 8


def test_text_takes_no_notice(connect, conn):
    cursor = connect(prepare="never").cursor()
    cursor.setinputsizes([pymy.STRING])
    assert ids(cursor, "name = %s", 5) == [1, 2]
    cursor.setinputsizes([9])  # a length, by PEP 249
    assert ids(conn.cursor(), "name = %s", "5") == [1]
