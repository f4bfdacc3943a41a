"""Every column type of both servers, out of the text protocol."""

from __future__ import annotations

import json
import struct
from array import array
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

import pymy
from pymy import converters
from pymy.constants import FIELD_TYPE

LONGEST = timedelta(hours=838, minutes=59, seconds=59)
POINT = struct.pack("<IBIdd", 0, 1, 1, 1.5, -2.0)

# type -> pairs of SQL and value
COMMON = {
    "tinyint": [("-128", -128), ("127", 127), ("0", 0)],
    "tinyint unsigned": [("0", 0), ("255", 255)],
    "bool": [("true", 1), ("false", 0)],
    "smallint": [("-32768", -32768), ("32767", 32767)],
    "smallint unsigned": [("65535", 65535)],
    "mediumint": [("-8388608", -8388608), ("8388607", 8388607)],
    "mediumint unsigned": [("16777215", 16777215)],
    "int": [("-2147483648", -(2**31)), ("2147483647", 2**31 - 1)],
    "int unsigned": [("4294967295", 2**32 - 1)],
    "bigint": [("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1)],
    "bigint unsigned": [("0", 0), ("18446744073709551615", 2**64 - 1)],
    "int(5) zerofill": [("42", 42)],
    "float": [("0", 0.0), ("1.5", 1.5), ("-3.25e10", -3.25e10)],
    "double": [
        ("0", 0.0),
        ("0.1", 0.1),
        ("-1.7976931348623157e308", -1.7976931348623157e308),
        ("2.2250738585072014e-308", 2.2250738585072014e-308),
    ],
    "double unsigned": [("1e100", 1e100)],
    "decimal(10,0)": [("0", Decimal(0)), ("-9999999999", Decimal(-9999999999))],
    "decimal(65,30)": [
        (
            "12345678901234567890.123456789012345678901234567890",
            Decimal("12345678901234567890.123456789012345678901234567890"),
        ),
        ("0", Decimal("0E-30")),
    ],
    "decimal(4,2) unsigned": [("99.99", Decimal("99.99"))],
    "bit(1)": [("b'0'", b"\0"), ("b'1'", b"\1")],
    "bit(12)": [("b'101000000001'", b"\x0a\x01")],
    "bit(64)": [("18446744073709551615", b"\xff" * 8), ("0", bytes(8))],
    "date": [
        ("'1000-01-01'", date(1000, 1, 1)),
        ("'9999-12-31'", date(9999, 12, 31)),
        ("'0000-00-00'", "0000-00-00"),
        ("'2024-00-00'", "2024-00-00"),
        ("'2024-02-00'", "2024-02-00"),
        ("'0001-01-01'", date(1, 1, 1)),
    ],
    "datetime": [
        ("'1000-01-01 00:00:00'", datetime(1000, 1, 1)),
        ("'9999-12-31 23:59:59'", datetime(9999, 12, 31, 23, 59, 59)),
        ("'0000-00-00'", "0000-00-00 00:00:00"),
        ("'2024-00-00'", "2024-00-00 00:00:00"),
    ],
    "datetime(6)": [
        ("'2024-02-29 12:34:56.789012'", datetime(2024, 2, 29, 12, 34, 56, 789012)),
        ("'2024-02-29 12:34:56'", datetime(2024, 2, 29, 12, 34, 56)),
        ("0", "0000-00-00 00:00:00.000000"),
    ],
    "datetime(2)": [("'2024-02-29 12:34:56.78'", datetime(2024, 2, 29, 12, 34, 56, 780000))],
    "timestamp null": [
        ("'1970-01-02 00:00:01'", datetime(1970, 1, 2, 0, 0, 1)),
        ("'2038-01-18 03:14:07'", datetime(2038, 1, 18, 3, 14, 7)),
        ("0", "0000-00-00 00:00:00"),
    ],
    "timestamp(3) null": [("'2024-01-01 00:00:00.125'", datetime(2024, 1, 1, 0, 0, 0, 125000))],
    "time": [
        ("'00:00:00'", timedelta()),
        ("'838:59:59'", LONGEST),
        ("'-838:59:59'", -LONGEST),
        ("'-00:00:01'", -timedelta(seconds=1)),
    ],
    "time(6)": [
        ("'-00:00:00.000001'", -timedelta(microseconds=1)),
        ("'-101:02:03.5'", -timedelta(hours=101, minutes=2, seconds=3.5)),
        ("'12:34:56.789012'", timedelta(0, 45296, 789012)),
    ],
    "time(1)": [("'00:00:00.5'", timedelta(seconds=0.5))],
    "year": [("1901", 1901), ("2155", 2155), ("0", 0)],
    "char(5)": [("''", ""), ("'äß😀'", "äß😀")],
    "char(5) charset latin1": [("'äß'", "äß")],
    "varchar(20)": [("''", ""), ("'tab\\t nul\\0'", "tab\t nul\0")],
    "tinytext": [("'Ω'", "Ω")],
    "text": [("repeat('é', 1000)", "é" * 1000)],
    "mediumtext": [("repeat('x', 70000)", "x" * 70000)],
    "longtext": [("''", ""), ("'x'", "x")],
    "binary(3)": [("'a'", b"a\0\0")],
    "varbinary(9)": [("''", b""), ("x'00ff80'", b"\x00\xff\x80")],
    "tinyblob": [("x'ff'", b"\xff")],
    "blob": [("repeat(x'80', 300)", b"\x80" * 300)],
    "mediumblob": [("repeat('x', 70000)", b"x" * 70000)],
    "longblob": [("x'00'", b"\0")],
    "enum('','a','Ω')": [("''", ""), ("'Ω'", "Ω"), ("2", "a")],
    "set('a','b','Ω')": [("''", ""), ("'b,a'", "a,b"), ("7", "a,b,Ω")],
    "geometry": [("ST_GeomFromText('POINT(1.5 -2)')", POINT)],
    "point": [("ST_GeomFromText('POINT(1.5 -2)')", POINT)],
}
SOME = {
    "json": {"json": [('\'{"a": [1, 2.5, null, "ä"]}\'', '{"a": [1, 2.5, null, "ä"]}')]},
    "vector": {"vector(3)": [("VECTOR('[1,-2.5,3]')", array("f", [1, -2.5, 3]))]},
    "uuid": {
        "uuid": [
            ("'123E4567-E89B-12D3-A456-426655440000'", "123e4567-e89b-12d3-a456-426655440000")
        ],
    },
    "inet6": {"inet6": [("'::FFFF:1.2.3.4'", "::ffff:1.2.3.4"), ("'::'", "::")]},
    "inet4": {"inet4": [("'192.0.2.33'", "192.0.2.33")]},
}
CASES = [("", name) for name in COMMON] + [(f, name) for f, each in SOME.items() for name in each]


@pytest.fixture
def lenient(connect):
    # zero dates, and zeros in TIMESTAMP columns, which the strict modes of both servers refuse
    return connect(session_variables={"time_zone": "+00:00"}, sql_mode="ALLOW_INVALID_DATES")


@pytest.mark.parametrize(("feature", "name"), CASES, ids=[name for _, name in CASES])
def test_column(lenient, needs, kind, feature, name):
    if feature:
        needs(feature)
    pairs = SOME[feature][name] if feature else COMMON[name]
    if name.startswith("vector") and kind == "mysql":
        pairs = [(sql.replace("VECTOR(", "STRING_TO_VECTOR("), value) for sql, value in pairs]
    elif name.startswith("vector"):
        # MariaDB does not tell a VECTOR from a VARBINARY
        pairs = [(sql.replace("VECTOR(", "VEC_FromText("), bytes(value)) for sql, value in pairs]
    lenient.query(f"create table t (n int auto_increment primary key, v {name}) charset utf8mb4")
    lenient.query(f"insert into t (v) values {','.join(f'({sql})' for sql, _ in pairs)}, (null)")
    rows = lenient.execute("select v from t order by n").fetchall()
    expected = [value for _, value in pairs] + [None]
    assert [row[0] for row in rows] == expected
    assert [type(row[0]) for row in rows] == [type(value) for value in expected]
    # past the 40th row another decoder takes over
    many = lenient.execute("select a.v from t a, t b, t c, t d, t e, t f, t g").fetchmany(200)
    assert {type(row[0]) for row in many} == {type(value) for value in expected}
    assert {repr(row[0]) for row in many} == {repr(value) for value in expected}


def test_many_columns_at_once(lenient):
    lenient.query(
        "create table t (a int, b bigint unsigned, c double, d decimal(9,3), e datetime(6), "
        "f time, g varchar(30), h blob, i bit(3), j year)"
    )
    row = (
        1,
        2**64 - 1,
        0.5,
        Decimal("1.125"),
        datetime(2024, 1, 2, 3, 4, 5, 6),
        timedelta(1),
        "text",
        b"\0bytes",
        b"\5",
        2024,
    )
    lenient.cursor().executemany(
        "insert into t values (%s,%s,%s,%s,%s,%s,%s,%s,b'101',%s)",
        [row[:8] + row[9:], (None,) * 9] * 100,
    )
    rows = lenient.execute("select * from t").fetchall()
    assert rows == (row, (*(None,) * 8, b"\5", None)) * 100


@pytest.mark.parametrize(("policy", "zero"), [("str", "0000-00-00"), ("none", None)])
def test_zero_dates(connect, policy, zero):
    conn = connect(zero_dates=policy, sql_mode="")
    conn.query("create table t (d date, t datetime)")
    conn.query("insert into t values ('0000-00-00', '2024-01-00 10:00'), ('2024-01-01', 0)")
    partial = "2024-01-00 10:00:00" if policy == "str" else None
    midnight = zero and f"{zero} 00:00:00"
    rows = conn.execute("select * from t").fetchall()
    assert rows == ((zero, partial), (date(2024, 1, 1), midnight))


def test_zero_dates_raise(connect):
    conn = connect(zero_dates="raise", sql_mode="")
    conn.query("create table t (first_seen date)")
    conn.query("insert into t values ('0000-00-00'), ('2024-01-01')")
    with pytest.raises(pymy.DataError, match=r"first_seen.*0000-00-00.*zero_dates") as caught:
        conn.execute("select * from t")
    assert not caught.value.fatal
    assert conn.execute("select first_seen from t where first_seen > '2000-01-01'").fetchone() == (
        date(2024, 1, 1),
    )


def test_json_objects(connect, needs):
    needs("json")
    conn = connect(json=True)
    document = {"a": [1, 2.5, None, True], "ä": "😀"}
    conn.query("create table t (j json)")
    conn.execute("insert into t values (%s), (null)", (json.dumps(document),))
    assert conn.execute("select j from t").fetchall() == ((document,), (None,))
    assert connect().execute("select 1").fetchall() == ((1,),)


def test_json_expression(conn, needs):
    needs("json")
    (text,) = conn.execute("select json_object('a', 1)").fetchone()
    assert json.loads(text) == {"a": 1}


def test_conv_of_numbers(connect):
    conv = {**converters.conversions, FIELD_TYPE.LONGLONG: str, FIELD_TYPE.NEWDECIMAL: float}
    row = connect(conv=conv).execute("select cast(5 as signed), cast('1.5' as decimal(4,2))")
    assert row.fetchone() in (("5", 1.5), (5, 1.5))  # MariaDB says INT for small constants


def test_conv_gets_text(connect):
    got = []
    conv = {**converters.conversions, FIELD_TYPE.TIME: got.append}
    conn = connect(conv=conv)
    assert conn.execute("select cast('10:11:12' as time)").fetchone() == (None,)
    assert got == ["10:11:12"]


def test_conv_without_decoder_leaves_text(connect):
    conv = {k: v for k, v in converters.conversions.items() if k != FIELD_TYPE.DATE}
    assert connect(conv=conv).execute("select date '2024-01-02'").fetchone() == ("2024-01-02",)


def test_conv_that_raises_leaves_the_connection_usable(connect):
    conn = connect(conv={**converters.conversions, FIELD_TYPE.DATE: int})
    with pytest.raises(pymy.DataError, match=r"'d'.*2024-01-02") as caught:
        conn.execute("select date '2024-01-02' as d union all select date '2024-01-03'")
    assert isinstance(caught.value.__cause__, ValueError)
    assert not caught.value.fatal
    assert conn.execute("select 1").fetchone() == (1,)


def test_conv_of_parameters(connect):
    class Money:
        cents = 250

    conv = {**converters.conversions, Money: lambda value, mapping: f"{value.cents}/100"}
    assert connect(conv=conv).execute("select %s", (Money(),)).fetchone() == (Decimal("2.5000"),)


def test_decoders_changed_later(conn):
    conn.decoders[FIELD_TYPE.DATE] = str.upper
    assert conn.execute("select date '2024-01-02'").fetchone() == ("2024-01-02",)


def test_extended_types_have_converters_of_their_own(connect, needs):
    needs("uuid")
    import uuid

    conn = connect(conv={**converters.conversions, "uuid": uuid.UUID})
    value = uuid.uuid4()
    conn.query("create table t (u uuid, s varchar(36))")
    conn.execute("insert into t values (%s, %s)", (value, str(value)))
    assert conn.execute("select * from t").fetchone() == (value, str(value))


def test_use_unicode_off(connect):
    conn = connect(use_unicode=False)
    conn.query("create table t (s varchar(9), n int, e enum('ä')) charset utf8mb4")
    conn.execute("insert into t values ('ä', 1, 'ä')")
    encoded = "ä".encode()
    assert conn.execute("select * from t").fetchone() == (encoded, 1, encoded)
    assert conn.execute("select s from t").description[0][0] == "s"


def test_text_functions_of_numbers(conn):
    row = conn.execute("select concat(1, 2), hex(255), lower('Ä'), unhex('ff'), now()").fetchone()
    assert row[:3] == ("12", "FF", "ä")
    assert row[3] == b"\xff"
    assert isinstance(row[4], datetime)


def test_description(conn):
    conn.query("create table t (id int not null, name varchar(10), price decimal(7,2), b blob)")
    description = conn.execute("select * from t").description
    assert [column[0] for column in description] == ["id", "name", "price", "b"]
    assert [len(column) for column in description] == [7] * 4
    assert [column[1] for column in description] == [
        pymy.NUMBER,
        pymy.STRING,
        pymy.NUMBER,
        pymy.BINARY,
    ]
    assert [column[6] for column in description] == [False, True, True, True]
    assert description[2][4:6] == (9, 2) or description[2][5] == 2
