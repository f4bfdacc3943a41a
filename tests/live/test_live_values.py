"""Any supported value that is sent as a literal comes back equal."""

from __future__ import annotations

import array
import datetime
import enum
import math
import uuid
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pymy

few = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

MODES = ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"]
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
tricky = st.text(st.sampled_from("\\'\"`%\0\n\r\x1a-#/*;: ä😀s"), max_size=20)
times = st.timedeltas(
    -datetime.timedelta(hours=838, minutes=59, seconds=59),
    datetime.timedelta(hours=838, minutes=59, seconds=59),
)
# the years that both servers take
datetimes = st.datetimes(datetime.datetime(1000, 1, 1), datetime.datetime(9999, 12, 31))
dates = st.dates(datetime.date(1000, 1, 1))
integers = st.integers(-(2**63), 2**64 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.decimals(
    allow_nan=False, allow_infinity=False, places=15, min_value=-(10**30), max_value=10**30
)


@pytest.fixture(params=MODES, ids=lambda mode: mode or "default")
def conn(request, connect):
    return connect(sql_mode=request.param)


def back(conn, value):
    return conn.execute("select %s", (value,)).fetchone()[0]


@few
@given(st.one_of(texts, tricky))
def test_text(conn, value):
    assert back(conn, value) == value


@few
@given(st.binary(max_size=300))
def test_bytes(conn, value):
    assert back(conn, value) == value
    assert back(conn, bytearray(value)) == back(conn, memoryview(value)) == value


@few
@given(integers)
def test_integers(conn, value):
    assert back(conn, value) == value


@few
@given(floats)
def test_floats(conn, value):
    assert back(conn, value) == value


@few
@given(decimals)
def test_decimals(conn, value):
    assert back(conn, value) == value


@few
@given(st.one_of(st.none(), st.booleans()))
def test_none_and_bool(conn, value):
    assert back(conn, value) == value


@pytest.fixture
def typed(conn):
    conn.query(
        "create temporary table t (s text charset utf8mb4, b blob, i bigint, u bigint unsigned, "
        "f double, d decimal(65,30), day date, at datetime(6), span time(6), y year)"
    )
    return conn


@few
@given(
    st.tuples(
        texts,
        st.binary(max_size=99),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(0, 2**64 - 1),
        floats,
        decimals,
        dates,
        datetimes,
        times,
        st.integers(1901, 2155),
    )
)
def test_typed_columns(typed, row):
    typed.execute("delete from t")
    typed.execute("insert into t values %s", (row,))
    typed.cursor().executemany(
        "insert into t values (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)", [row, (None,) * len(row)]
    )
    rows = typed.execute("select * from t").fetchall()
    assert rows == (row, row, (None,) * len(row))


@few
@given(st.lists(st.one_of(integers, texts, dates, st.none()), min_size=1, max_size=8))
def test_sequences(conn, values):
    marks = ",".join(["%s"] * len(values))
    row = conn.execute(f"select {marks}", values).fetchone()
    expected = tuple(v.isoformat() if isinstance(v, datetime.date) else v for v in values)
    assert row == expected
    numbers = [v for v in values if isinstance(v, int)] or [1]
    assert conn.execute("select %s in %s", (numbers[-1], numbers)).fetchone() == (1,)


@few
@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), tricky, min_size=1))
def test_named(conn, values):
    marks = ",".join(f"%({name})s" for name in values)
    assert conn.execute(f"select {marks}", values).fetchone() == tuple(values.values())


@few
@given(tricky)
def test_identifiers(conn, name):
    # no server takes NUL and characters beyond the BMP in a name, and both trim it
    name = "a" + "".join(char for char in name if char != "\0" and char <= "\uffff") + "z"
    cursor = conn.execute(f"select 1 as {conn.escape_id(name, qualified=False)}")
    assert cursor.description[0][0] == name


class Colour(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    LARGE = 3


class Word(str):
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (Size.LARGE, 3),
        (Word("it's"), "it's"),
        (True, 1),
        (uuid.UUID(int=5), str(uuid.UUID(int=5))),
        (Fraction(1, 4), 0.25),
        (array.array("f", [1.5]), array.array("f", [1.5]).tobytes()),
        (datetime.date(2024, 2, 29), "2024-02-29"),
        (datetime.datetime(2024, 2, 29, 1, 2, 3, 4), "2024-02-29 01:02:03.000004"),
        (datetime.time(1, 2, 3), "01:02:03"),
        (-datetime.timedelta(seconds=1), "-00:00:01"),
        (5e-324, 5e-324),
        (Decimal("1E+3"), Decimal(1000)),
        (-0.0, 0.0),
        (2**64, Decimal(2**64)),
        ((1, 2), None),
    ],
    ids=repr,
)
def test_other_types(conn, value, expected):
    if expected is None:
        assert conn.execute("select 2 in %s", (value,)).fetchone() == (1,)
    else:
        assert back(conn, value) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("-Inf")])
def test_numbers_without_a_literal(conn, value):
    with pytest.raises(pymy.DataError) as caught:
        back(conn, value)
    assert caught.value.sent is False
    assert back(conn, 1) == 1


def test_zones_are_refused(conn):
    with pytest.raises(pymy.DataError, match="time zone"):
        back(conn, datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC))
