"""load_rows() leaves in every column what an INSERT of the same value leaves there, or refuses."""

from __future__ import annotations

import enum
import random
import struct
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from test_live_types import COMMON, SOME

import pymy
from pymy.constants import CR
from pymy.sql import Raw

# The file and what refuses a value are the same for all transports.
pytestmark = pytest.mark.only("blocking", "no transport sees the values")

VALUES = [
    None, True, False,
    0, 1, -1, 2, 5, 12, 70, 101, 127, 256, 2024, 2155, 2156, 10203, -10203, 240102, 20240102,
    20240102030405, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 2**70, 10**70,
    0.0, -0.0, 1.0, 5.0, 0.5, 1.5, 2.5, -0.5, -2.5, 70.7, 127.5, 2024.6, 2155.0, 20240102.0,
    0.1, 1 / 3, 1e-7, 1e-16, 1e14, 1e15, 1e20, 1e300, 123456.75, 2.0**63, 9.3e18, -(2.0**63),
    Decimal(0), Decimal("-0.0"), Decimal(1), Decimal("5.0"), Decimal("2.5"), Decimal("-2.5"),
    Decimal("0.4"), Decimal("1E+5"), Decimal("1E+90"), Decimal("1E+999"), Decimal("0." + "1" * 40),
    "", "0", "1", "2", "5", "70", "-1", "2.5", "1e3", "5\n", " 5", "a", "a,b", "x" * 9, "ä", "²",
    "2024", "2024-01-02", "12:34:56", "[1]", '"q"',
    b"", b"0", b"1", b"5", b"a", b"\0\0\1", b"\xff", b"a\tb\\N", b"[1]", b"x" * 9, b"2024-01-02",
    date(2024, 1, 2), datetime(2024, 1, 2, 3, 4, 5), datetime(2024, 1, 2, 3, 4, 5, 678901),
    timedelta(hours=30, microseconds=5), timedelta(hours=-1), timedelta(0, 1, 500000),
]  # fmt: skip
# MySQL's warnings of delimiters in dates and times, which are errors here
DEPRECATED = {4095, 4096}
CASES = [("", name) for name in (*COMMON, "enum('2','1')", "set('2','1')", "varchar(3)")]
CASES += [(feature, name) for feature, each in SOME.items() for name in each]


@pytest.fixture
def conn(connect, set_global):
    set_global("local_infile", True)
    # in text: what is prepared has types of its own
    return connect(autocommit=True, sql_mode="STRICT_ALL_TABLES", prepare="never")


def left_by(conn, store, *args):
    """The bytes in the table, or the error."""
    conn.query("delete from t")
    try:
        store(*args)
    except pymy.Error as error:
        return error
    return conn.execute("select hex(cast(v as binary)) from t").fetchone()


def both(conn, value):
    return (
        left_by(conn, conn.load_rows, "t", [(value,)]),
        left_by(conn, conn.execute, "insert into t values (%s)", (value,)),
    )


@pytest.mark.parametrize(("feature", "name"), CASES, ids=[name for _, name in CASES])
def test_as_inserted(conn, needs, feature, name):
    if feature:
        needs(feature)
    conn.query(f"create table t (v {name}) charset utf8mb4")
    columns_own = [value for _, value in {**COMMON, **SOME.get(feature, {})}.get(name, [])]
    differing = []
    for value in VALUES + columns_own:
        loaded, inserted = both(conn, value)
        if not isinstance(loaded, pymy.Error):
            alike = loaded == inserted
        else:  # refused: here, what a file cannot say; an INSERT may have more ways to read it
            alike = isinstance(inserted, pymy.Error) or (
                not any(value is own for own in columns_own)
                and (loaded.row_index == 0 or loaded.errno in DEPRECATED)
            )
        if not alike:
            differing.append((value, loaded, inserted))
    assert differing == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("int", [2.5, 3.5, -0.5, 1e3, True, Decimal("2.5")]),
        ("varchar(40)", [1.5, 1e20, 1e-7, 1e15, 1 / 3, 70.0, 7, True, Decimal("5.0")]),
        ("blob", [1.5, 7, Decimal("-0.0")]),
        ("year", [0, False, 0.0, 1, 70, 2024, Decimal(0), "0", "0000"]),
        ("bit(64)", [5.0, Decimal("5.0"), "5", "²", "", -1, True, 2**64 - 1, b"5"]),
        ("date", [20240102, 20240102.0]),
        ("datetime", [20240102030405, 20240102030405.0]),
        ("time", [10203, -10203, 10203.0, 0]),
        ("double", [Decimal("-0.0"), -0.0, 5]),
        ("enum('2','1')", ["1", "2"]),
        ("set('2','1')", ["1", "2", "1,2", ""]),
    ],
)
def test_taken(conn, name, values):
    conn.query(f"create table t (v {name}) charset utf8mb4")
    for value in values:
        loaded, inserted = both(conn, value)
        assert loaded == inserted, value
        assert isinstance(loaded, tuple), value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enum('2','1')", 1),
        ("set('2','1')", True),
        ("enum('a','b')", Decimal(1)),
        ("year", 2024.6),
        ("bit(8)", 2.5),
        ("bit(64)", Decimal("1E+999999")),
        ("bit(64)", 2.0**63),
        ("text", Decimal("1E+999")),
        ("text", 10**70),
        ("text", -0.0),
        ("date", 101),
        ("time", 1.5),
        ("point", 5),
        ("decimal(10,0)", "12:34:56"),
        ("decimal(10,0)", date(2024, 1, 2)),
    ],
)
def test_refused(conn, name, value):
    """The error names column and row, and leaves the connection usable."""
    conn.query(f"create table t (v {name})")
    with pytest.raises(pymy.DataError, match="`v`") as caught:
        conn.load_rows("t", [(None,), (value,)])
    assert (caught.value.errno, caught.value.row_index) == (CR.CR_BAD_PARAMETER, 1)
    assert conn.execute("select count(*) from t").fetchone() == (0,)


@pytest.mark.parametrize("value", [5, b"[1]"])
def test_mysql_makes_json_of_texts_only(conn, kind, needs, value):
    needs("json")
    conn.query("create table t (v json)")
    loaded, inserted = both(conn, value)
    assert isinstance(loaded, pymy.DataError if kind.startswith("mysql") else tuple)
    assert isinstance(inserted, (type(loaded), pymy.Error))


def test_doubles_in_text(conn):
    """As the servers print them, whatever the digits."""
    source = random.Random(5)
    values = [struct.unpack("<d", source.randbytes(8))[0] for _ in range(400)]
    values += [source.choice((1, -1)) * 10 ** source.uniform(-20, 20) for _ in range(400)]
    values += [round(source.uniform(-1e6, 1e6), source.randrange(6)) for _ in range(400)]
    values += [source.uniform(1e14, 2e16) for _ in range(400)]
    values = [value for value in values if value == value and value]
    rows = list(enumerate(values))
    for name in ("loaded", "inserted"):
        conn.query(f"create table {name} (n int primary key, v varchar(40))")
    conn.load_rows("loaded", rows)
    conn.cursor().executemany("insert into inserted values (%s, %s)", rows)
    found = conn.execute(
        "select l.v, i.v from loaded l join inserted i using (n) where binary l.v <> binary i.v"
    )
    assert found.fetchall() == ()
    assert conn.execute("select count(*) from loaded").fetchone() == (len(rows),)


class Odd(enum.Enum):
    SQL = Raw("now()")
    NUMBER = 1.5
    NOTHING = None


@pytest.mark.parametrize("file", [True, False], ids=["file", "inserts"])
def test_enums_are_what_they_hold(conn, set_global, file):
    set_global("local_infile", file)
    conn.query("create table t (v varchar(40))")
    with pytest.raises(TypeError, match="Raw is SQL"):
        conn.load_rows("t", [(Odd.SQL,)])
    assert conn.load_rows("t", [(Odd.NUMBER,), (Odd.NOTHING,)]) == 2
    assert conn.execute("select v from t order by v").fetchall() == ((None,), ("1.5",))
