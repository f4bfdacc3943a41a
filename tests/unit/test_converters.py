"""Values to SQL and texts to values, with PyMySQL's results where they are meant to be the same."""

from __future__ import annotations

import array
import datetime as dt
import time
import uuid
from decimal import Decimal
from enum import Enum, IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymy import converters, texts
from pymy.constants import FIELD_TYPE
from pymy.err import DataError, ProgrammingError


class Colour(Enum):
    RED = "r"


class Size(IntEnum):
    BIG = 3


class Word(str, Enum):  # noqa: UP042 - prints otherwise than StrEnum
    YES = "it's"


ITEMS = [
    (None, "NULL"),
    (True, "1"),
    (False, "0"),
    (5, "5"),
    (-(2**70), "-1180591620717411303424"),
    (1.5, "1.5e0"),
    (1e300, "1e+300"),
    (-0.0, "-0.0e0"),
    ("a'b\"c\\d\n\r\0\x1aé", "'a''b\\\"c\\\\d\\n\\r\\0\\Zé'"),
    ("", "''"),
    (b"\x00\xff'", "_binary X'00ff27'"),
    (b"", "_binary X''"),
    (bytearray(b"A"), "_binary X'41'"),
    (memoryview(b"ABCD")[::2], "_binary X'4143'"),
    (array.array("H", [0]), "_binary X'0000'"),
    (dt.date(7, 2, 3), "'0007-02-03'"),
    (dt.datetime(2024, 1, 2, 3, 4, 5), "'2024-01-02 03:04:05'"),
    (dt.datetime(2024, 1, 2, 3, 4, 5, 60), "'2024-01-02 03:04:05.000060'"),
    (dt.time(1, 2, 3), "'01:02:03'"),
    (dt.time(1, 2, 3, 4), "'01:02:03.000004'"),
    (dt.timedelta(hours=1, seconds=1), "'01:00:01'"),
    (dt.timedelta(hours=838, minutes=59, seconds=59), "'838:59:59'"),
    (-dt.timedelta(hours=838, minutes=59, seconds=59), "'-838:59:59'"),
    (-dt.timedelta(seconds=1, microseconds=500000), "'-00:00:01.500000'"),
    (time.struct_time((2024, 1, 2, 3, 4, 5, 0, 0, 0)), "'2024-01-02 03:04:05'"),
    (Decimal("1.10"), "1.10"),
    (Decimal("1E+5"), "100000"),
    (Decimal("-1E-9"), "-0.000000001"),
    (Decimal("1E+999999"), "1E+999999"),
    (uuid.UUID(int=1), "'00000000-0000-0000-0000-000000000001'"),
    (Colour.RED, "'r'"),
    (Size.BIG, "3"),
    (Word.YES, "'it''s'"),
    ([1, "a", None], "(1,'a',NULL)"),
    (((1, 2), (3, 4)), "((1,2),(3,4))"),
    (frozenset([1]), "(1)"),
]


@pytest.mark.parametrize(("value", "text"), ITEMS, ids=lambda v: type(v).__name__)
def test_escape_item(value, text):
    assert converters.escape_item(value, "utf8mb4") == text


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")]
)
def test_not_numbers_are_refused(value):
    with pytest.raises(DataError, match="no place in MySQL") as caught:
        converters.escape_item(value)
    assert caught.value.sent is False


@pytest.mark.parametrize("sign", [1, -1])
def test_timedelta_beyond_time_is_refused(sign):
    with pytest.raises(DataError, match="838:59:59"):
        converters.escape_timedelta(
            sign * dt.timedelta(hours=838, minutes=59, seconds=59, microseconds=1)
        )


@pytest.mark.parametrize(
    "value", [dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.time(1, tzinfo=dt.UTC)], ids=type
)
def test_zones_are_not_dropped(value):
    with pytest.raises(DataError, match="time zone"):
        converters.escape_item(value)


@pytest.mark.parametrize("value", [object(), {"a": 1}, 1j, range(3)], ids=type)
def test_unknown_types_are_refused(value):
    with pytest.raises(TypeError, match=type(value).__name__):
        converters.escape_item(value)


def test_empty_sequence_is_refused():
    with pytest.raises(ProgrammingError, match="empty sequence"):
        converters.escape_item([])


def test_mapping_of_the_caller_goes_down_into_sequences():
    mapping = {**converters.encoders, int: lambda value, mapping: f"<{value}>"}
    assert converters.escape_item([1, (2,)], None, mapping) == "(<1>,(<2>))"
    assert converters.escape_item(True, None, mapping) == "1"


def test_helpers_for_sets_and_dicts():
    assert converters.escape_set([1, "a"]) == "1,'a'"
    assert converters.escape_dict({"k": "v"}) == {"k": "'v'"}
    assert converters.Thing2Literal(5) == "'5'"


D = dt.datetime
DATETIMES = [
    ("2007-02-25 23:06:20", D(2007, 2, 25, 23, 6, 20)),
    ("2007-02-25T23:06:20.5", D(2007, 2, 25, 23, 6, 20, 500000)),
    (b"2007-02-25 23:06:20.000001", D(2007, 2, 25, 23, 6, 20, 1)),
    ("2007-02-25", D(2007, 2, 25)),
]
NO_DATETIMES = [
    "0000-00-00 00:00:00",
    "0000-00-00 00:00:00.000000",
    "2020-00-10 00:00:00",
    "2007-02-31 23:06:20",
    "2007-02-25 24:00:00",
    "",
    "x",
    "٢٠٠٧-02-25 00:00:00",
    "2007-02-25 23:06:20\n",
]


@pytest.mark.parametrize(("text", "value"), DATETIMES)
def test_parse_datetime(text, value):
    for policy in ("str", "none", "raise"):
        assert texts.parse_datetime(text, policy) == value


@pytest.mark.parametrize("text", NO_DATETIMES)
def test_parse_datetime_policy(text):
    assert texts.parse_datetime(text) == text
    assert texts.parse_datetime(text, "none") is None
    with pytest.raises(ValueError, match="zero_dates"):
        texts.parse_datetime(text, "raise")


@pytest.mark.parametrize(
    "text", ["0000-00-00", "2020-00-10", "2007-02-31", "2007-02-01 00:00:00", "-"]
)
def test_parse_date_policy(text):
    assert texts.parse_date(text.encode()) == text
    assert texts.parse_date(text, "none") is None
    with pytest.raises(ValueError, match="zero_dates"):
        texts.parse_date(text, "raise")


TIMES = [
    ("-838:59:59.000000", -dt.timedelta(hours=838, minutes=59, seconds=59)),
    ("838:59:59", dt.timedelta(hours=838, minutes=59, seconds=59)),
    ("-00:00:01.5", -dt.timedelta(seconds=1, microseconds=500000)),
    ("00:00:00", dt.timedelta()),
    (b"01:02:03.000004", dt.timedelta(hours=1, minutes=2, seconds=3, microseconds=4)),
]


@pytest.mark.parametrize(("text", "value"), TIMES)
def test_parse_time(text, value):
    assert texts.parse_time(text) == value
    assert converters.convert_timedelta(text) == value


def test_parse_time_policy():
    assert texts.parse_time("1 02:03:04") == "1 02:03:04"
    assert texts.parse_time("x", "none") is None
    with pytest.raises(ValueError, match="zero_dates"):
        texts.parse_time("x", "raise")


def test_text_that_is_not_ascii_is_a_value_error():
    for parse in (texts.parse_datetime, texts.parse_date, texts.parse_time):
        with pytest.raises(ValueError, match="ascii"):
            parse(b"\xff")


@pytest.mark.parametrize(
    ("function", "text", "value"),
    [
        (converters.convert_datetime, "2007-02-26", dt.date(2007, 2, 26)),
        (converters.convert_datetime, "2007-02-31 00:00:00", "2007-02-31 00:00:00"),
        (converters.convert_datetime, b"2007-02-25 01:02:03", D(2007, 2, 25, 1, 2, 3)),
        (converters.convert_date, "2007-02-26", dt.date(2007, 2, 26)),
        (converters.convert_date, "0000-00-00", "0000-00-00"),
        (converters.convert_timedelta, "random", "random"),
        (converters.convert_time, "15:06:17.5", dt.time(15, 6, 17, 500000)),
        (converters.convert_time, "-15:06:17", "-15:06:17"),
        (converters.convert_time, "25:06:17", "25:06:17"),
        (converters.convert_bit, b"\x01", b"\x01"),
    ],
)
def test_convert(function, text, value):
    result = function(text)
    assert result == value
    assert type(result) is type(value)


@given(st.timedeltas(-dt.timedelta(hours=838), dt.timedelta(hours=838)))
def test_timedelta_round_trip(value):
    assert texts.parse_time(converters.escape_timedelta(value).strip("'"), "raise") == value


@given(st.datetimes())
def test_datetime_round_trip(value):
    assert texts.parse_datetime(converters.escape_datetime(value).strip("'"), "raise") == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float_round_trip(value):
    text = converters.escape_float(value)
    assert float(text) == value
    assert "e" in text


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_decimal_round_trip(value):
    assert Decimal(converters.Decimal2Literal(value)) == value


def test_registries():
    assert converters.conversions == {**converters.encoders, **converters.decoders}
    assert converters.default_decoders == converters.decoders
    assert converters.default_encoders == converters.encoders
    assert converters.decoders[FIELD_TYPE.DATETIME] is converters.convert_datetime
    assert converters.decoders[FIELD_TYPE.NEWDECIMAL]("1.10") == Decimal("1.10")
    assert all(function.__doc__ for function in converters.encoders.values())
