"""Text and binary give the same: every type and value, by both protocols, in both directions.

What the comparison goes over is told in docs/types.md, written by ``--write-docs``.
"""

from __future__ import annotations

import datetime
import math
import random
import re
import struct
import uuid
from array import array
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_live_types import COMMON, SOME
from test_live_values import few, floats, integers, texts, tricky

import pymy
from pymy import converters
from pymy.constants import FIELD_TYPE

MORE = {
    "int": ["null", "1", "null"],
    "tinyint(3) zerofill": ["7", "255"],
    "bigint(20) zerofill": ["7", "18446744073709551615"],
    "mediumint(8) unsigned zerofill": ["7"],
    "decimal(10,2) zerofill": ["1.5"],
    "float": ["3.4e38", "1.17549e-38", "-0.0", "16777217", "1e15", "1e14", "1e-15", "0.1", "1e-5"],
    "float(7,2)": ["12345.67", "-0.5", "0.005"],
    "float(10,4) zerofill": ["1.5"],
    "double": ["1e15", "1e16", "123456789012345678", "1e-15", "1e-16", "1.5e-7", "-1e22", "5e-324"],
    "double(10,3)": ["1234567.891", "-0.0005"],
    "double(12,4) zerofill": ["1.5", "100"],
    "datetime(3)": ["'2024-01-01'", "'2024-01-01 10:00:00.120'", "0"],
    "datetime(6)": ["'2024-00-00 00:00:00.000001'", "'2024-02-30 01:02:03'"],
    "time(3)": ["'10:00:00'", "'838:59:59'", "'-00:00:00.001'", "'25:00:00.120'"],
    "year": ["2024", "0"],
}
UNIT = {
    "bigint": ["1"], "double": ["0.1"], "decimal(4,2)": ["1.5"], "varchar(9)": ["'1'"],
    "date": ["'2024-02-29'"], "datetime(6)": ["'2024-02-29 01:02:03.5'"], "time": ["'1:2:3'"],
}  # fmt: skip
ZERO = {"time_zone": "+00:00"}
LENIENT = "ALLOW_INVALID_DATES"


def tables(kind: str, has) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, pairs in COMMON.items():
        found[name] = [sql for sql, _ in pairs]
    for feature, group in SOME.items():
        for name, pairs in group.items():
            if has(feature):
                make = "STRING_TO_VECTOR(" if kind == "mysql" else "VEC_FromText("
                found[name] = [sql.replace("VECTOR(", make) for sql, _ in pairs]
    for name, literals in MORE.items():
        found[name] = found.get(name, []) + literals
    return {name: [*literals, "null"] for name, literals in found.items()}


@pytest.fixture
def prepare():
    """Cursors as they are by default; these tests say themselves what is prepared."""
    return "never"


@pytest.fixture
def filled(connect, kind, has):
    """One table for each type: ``t0`` ..., filled with literals; their types."""
    conn = connect(session_variables=ZERO, sql_mode=LENIENT, autocommit=True)
    names = tables(kind, has)
    for number, (name, literals) in enumerate(names.items()):
        conn.query(f"create table t{number} (n int auto_increment primary key, v {name})")
        conn.query(f"insert into t{number} (v) values {','.join(f'({each})' for each in literals)}")
    return list(names)


def shown(rows):
    return [(type(value).__name__, repr(value)) for row in rows for value in row]


def both(conn, sql):
    """What a statement gives in text and in binary, few rows and many, and streamed."""
    text = conn.execute(sql).fetchall()
    with conn.prepare(sql) as statement:
        assert shown(statement.stream()) == shown(text), sql
        binary = statement.execute()
        assert [each[:2] for each in binary.description] == [
            each[:2] for each in conn.execute(sql).description
        ]
        return shown(text), shown(binary.fetchall())


def tagged(number):
    return lambda value: (number, value)


TAGGED = {
    **{code: tagged(code) for code in converters.decoders},
    FIELD_TYPE.YEAR: tagged("year"),
    FIELD_TYPE.JSON: tagged("json"),
    FIELD_TYPE.NEWDATE: tagged("newdate"),
    FIELD_TYPE.GEOMETRY: tagged("geometry"),
    FIELD_TYPE.VECTOR: tagged("vector"),
    "uuid": tagged("uuid"),
    "inet6": tagged("inet6"),
}
SETTINGS = {
    "as usual": {},
    "bytes": {"use_unicode": False},
    "none for zero": {"zero_dates": "none"},
    "objects": {"json": True},
    "latin1": {"charset": "latin1"},
    "converters": {"conv": {**converters.encoders, **TAGGED}},
    "no converters": {"conv": dict(converters.encoders)},
    "eof": {"deprecate_eof": False},
    "compressed": {"compress": "zlib"},
}


@pytest.mark.only("blocking", "how it waits changes no value")
@pytest.mark.parametrize("name", SETTINGS)
def test_both_protocols_give_the_same(connect, filled, name):
    conn = connect(session_variables=ZERO, sql_mode=LENIENT, **SETTINGS[name])
    for number, column in enumerate(filled):
        few_rows = f"select v from t{number} order by n"
        text, binary = both(conn, few_rows)
        assert binary == text, column
        # past the 40th row generated code takes over; not all of it has a NULL in the row
        three = f"t{number} a, t{number} b, t{number} c"
        many = f"select a.v, b.v, 1, a.n, b.n from {three} order by a.n, b.n, c.n limit 200"
        text, binary = both(conn, many)
        assert binary == text, column


def test_zero_dates_are_refused_alike(connect, filled):
    conn = connect(zero_dates="raise", sql_mode=LENIENT)
    number = filled.index("date")
    with conn.prepare(f"select v from t{number}") as statement:
        with pytest.raises(pymy.DataError) as text:
            conn.execute(f"select v from t{number}")
        with pytest.raises(pymy.DataError) as binary:
            statement.execute()
        assert str(binary.value) == str(text.value)
        assert conn.execute("select 1").fetchone() == (1,)
        with conn.prepare("select 2") as other:
            assert other.execute().fetchone() == (2,)


def test_numbers_have_the_digits_of_their_text(connect):
    conn = connect(conv={**converters.conversions, FIELD_TYPE.FLOAT: str, FIELD_TYPE.DOUBLE: str})
    plain = connect()
    plain.query("create table t (f float, d double, e float(20,5), g double(30,9))")
    source = random.Random(5)
    values = [math.ldexp(source.random() - 0.5, source.randint(-60, 60)) for _ in range(400)]
    values += [float(10**n) for n in range(18)] + [10.0**-n for n in range(20)]
    plain.cursor().executemany(
        "insert into t values (%s, %s, %s, %s)",
        [(v, v, v if abs(v) < 1e13 else 0, v if abs(v) < 1e18 else 0) for v in values],
    )
    for each in (plain, conn):
        for sql in ("select * from t", "select avg(e), avg(g), sum(f), d*f from t group by d, f"):
            text, binary = both(each, sql)
            assert sorted(binary) == sorted(text)


def test_rows_of_many_columns(conn, filled):
    """Runs of fixed columns, with and without NULL among them."""
    for width in (1, 7, 12, 13, 30):
        for nothing in (None, 0, width - 1, width // 2):
            items = ["cast(7 as signed)", "1.5e0", "'x'", "date'2024-01-01'", "cast(9 as unsigned)"]
            picked = [items[at % 5] if at != nothing else "null" for at in range(width)]
            sql = f"select {', '.join(picked)} from t0 a, t0 b, t0 c limit 120"
            text, binary = both(conn, sql)
            assert binary == text


class Size(IntEnum):
    SMALL = 1


class Colour(Enum):
    RED = "red"
    NONE = None


VALUES = [
    None, True, False, 0, 1, -1, 255, -(2**63), 2**63 - 1, 2**63, 2**64 - 1, 0.1, -1e300, 1.5,
    Decimal("1.50"), Decimal("-0.000001"), Decimal("9" * 30), "", "x", "äß😀", "it's \\ \0 ?", "%s",
    b"", b"\0\xff'\\", bytearray(b"ab"), memoryview(b"cd"), array("B", [1, 2]), Size.SMALL,
    Colour.RED, Colour.NONE, uuid.UUID(int=5), datetime.date(2024, 2, 29),
    datetime.datetime(2024, 2, 29, 1, 2, 3), datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
    datetime.time(1, 2, 3), datetime.time(1, 2, 3, 4), datetime.timedelta(hours=-30, seconds=1),
    datetime.timedelta(microseconds=-5), datetime.datetime(2024, 1, 2).timetuple(), "x" * 70000,
    b"y" * 300,
]  # fmt: skip


@pytest.fixture
def pair(connect):
    conn = connect(sql_mode="")
    conn.query(
        "create table p (b longblob, s longtext charset utf8mb4, d decimal(65,10), f double, "
        "i bigint, t varchar(40), da date, dt datetime(6), ti time(6))"
    )
    return conn


VALUE_NAMES = [f"{type(value).__name__}{at}" for at, value in enumerate(VALUES)]


@pytest.mark.only("blocking", "how it waits changes no value")
@pytest.mark.parametrize("value", VALUES, ids=VALUE_NAMES)
def test_a_parameter_is_what_its_literal_is(pair, value):
    """In columns of bytes, of text, of numbers, of times."""
    for columns in ("b", "s", "d", "f", "i", "t", "da", "dt", "ti"):
        if columns == "ti" and value == 2**64 - 1:
            continue  # too large a time by far: MySQL clips a literal and a value each its own way
        pair.query("delete from p")
        sql = f"insert ignore into p ({columns}) values (%s)"
        pair.execute(sql, (value,))
        with pair.prepare(sql) as statement:
            statement.execute((value,))
        text, binary = pair.execute(f"select {columns} from p").fetchall()
        assert (columns, shown([binary])) == (columns, shown([text]))


@few
@given(row=st.lists(st.one_of(st.none(), integers, floats, texts, tricky, st.binary()), max_size=9))
def test_rows_of_parameters_come_back(conn, row):
    # MySQL takes a bare ? among the columns for text
    marks = ["cast(? as binary)" if isinstance(value, bytes) else "?" for value in row]
    marks = ", ".join(marks) or "1"
    with conn.prepare(f"select {marks}") as statement:
        assert statement.execute(row).fetchone() == (tuple(row) or (1,))


BIG = [10**19, 2**64, -(10**25), 10**64]


@pytest.mark.parametrize("value", BIG)
def test_integers_beyond_64_bits_are_decimals(pair, value):
    with pair.prepare("insert into p (d) values (%s)") as statement:
        statement.execute((value if value < 10**54 else 10**54,))
    assert pair.execute("select d from p").fetchone()[0] in (value, 10**54)


class Money:
    cents = 5


@pytest.mark.parametrize(
    "value",
    [[1, 2], (1,), {"a": 1}, pymy.Raw("now()"), object(), Money()],
    ids=lambda value: type(value).__name__,
)
def test_what_is_sql_only_is_no_parameter(connect, value):
    conn = connect(conv={**converters.conversions, Money: lambda value, mapping: "5"})
    with conn.prepare("select ?") as statement:
        with pytest.raises(TypeError):
            statement.execute((value,))
        assert statement.execute((1,)).fetchone() == (1,)


@pytest.mark.parametrize(
    "value",
    [
        math.nan, math.inf, Decimal("nan"), "\ud800",
        datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    ],
    ids=["nan", "inf", "Decimal nan", "half a character", "zone"],
)  # fmt: skip
def test_what_text_refuses_is_refused(conn, value):
    with conn.prepare("select ?") as statement:
        with pytest.raises(pymy.DataError):
            conn.execute("select %s", (value,))
        with pytest.raises(pymy.DataError) as caught:
            statement.execute((value,))
        assert caught.value.sent is False
        assert statement.execute((1,)).fetchone() == (1,)


def test_a_character_the_charset_lacks(connect):
    conn = connect(charset="latin1")
    with conn.prepare("select ?") as statement, pytest.raises(pymy.DataError, match="utf8mb4"):
        statement.execute(("Ω",))


DOCUMENT = Path(__file__).parents[2] / "docs" / "types.md"
MARKS = "<!-- both protocols -->\n", "<!-- end of both protocols -->"


@pytest.mark.only("blocking", "how it waits changes no value")
def test_the_table_of_types(request, server, kind, filled, connect):
    """Lists the types that were compared, and what they are in Python, by both protocols."""
    if kind not in ("mariadb", "mysql"):
        pytest.skip(f"the table is of mariadb and mysql, not of {kind}")
    conn = connect(session_variables=ZERO, sql_mode=LENIENT, zero_dates="none")
    found = {}
    for number, column in enumerate(filled):
        text, binary = both(conn, f"select v from t{number}")
        assert text == binary
        types = sorted({name for name, _ in text} - {"NoneType"})
        assert types, column
        found[column] = f"{', '.join(f'`{each}`' for each in types)}, {len(text)} values"
    document = DOCUMENT.read_text("utf-8")
    before, _, rest = document.partition(MARKS[0])
    table, _, behind = rest.partition(MARKS[1])
    rows = {
        name: [mariadb, mysql]
        for name, mariadb, mysql in re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", table, re.M)
        if name not in ("column", "---")
    }
    place = ("mariadb", "mysql").index(kind)
    if request.config.getoption("--write-docs"):
        assert not hasattr(request.config, "workerinput"), "--write-docs works without -n"
        for column in [*found, *rows]:
            cells = rows.setdefault(column, ["-", "-"])
            cells[place] = found.get(column, "-")
        lines = ["| column | MariaDB | MySQL |", "| --- | --- | --- |"]
        lines += [f"| {name} | {one} | {two} |" for name, (one, two) in rows.items()]
        text = "\n".join(lines) + "\n"
        DOCUMENT.write_text(f"{before}{MARKS[0]}{text}{MARKS[1]}{behind}", "utf-8")
    else:
        assert {name: cells[place] for name, cells in rows.items() if cells[place] != "-"} == found


def test_geometry_is_the_servers_own(conn):
    with conn.prepare("select ST_GeomFromText('POINT(1 2)')") as statement:
        expected = struct.pack("<IBIdd", 0, 1, 1, 1, 2)
        assert statement.execute().fetchone() == (expected,)
