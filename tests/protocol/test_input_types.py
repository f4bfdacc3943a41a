"""Parameters in the types that ``setinputsizes()`` asks for."""

from __future__ import annotations

import datetime
import enum
import io
import struct
import uuid
from decimal import Decimal

import pytest

import pymy
from pymy.constants import FIELD_TYPE as T
from pymy.constants.FIELD_TYPE import FieldType
from pymy.protocol.inputtypes import force, wanted
from pymy.protocol.params import bind
from pymy.protocol.wire import lenenc_bytes
from pymy.sql import DEFAULT_CONTEXT


class Colour(enum.Enum):
    RED = "red"


def forced(value, size):
    values = [value]
    return force(values, bind(values, DEFAULT_CONTEXT), [wanted(size)], DEFAULT_CONTEXT)[0]


DAY = datetime.date(2024, 2, 29)
MOMENT = datetime.datetime(2024, 2, 29, 12, 30, 1)
FINE = MOMENT.replace(microsecond=7)


@pytest.mark.parametrize(
    ("value", "size", "code", "piece"),
    [
        (5, pymy.STRING, T.VAR_STRING, b"\x015"),
        (Decimal("1.50"), pymy.STRING, T.VAR_STRING, b"\x041.50"),
        ("h\u00e9", pymy.BINARY, T.LONG_BLOB, b"\3h\xc3\xa9"),
        (b"\xff", FieldType.VAR_STRING, T.VAR_STRING, b"\1\xff"),
        (b"x" * 300, pymy.STRING, T.VAR_STRING, lenenc_bytes(b"x" * 300)),
        ("y" * 70_000, pymy.BINARY, T.LONG_BLOB, lenenc_bytes(b"y" * 70_000)),
        ("", pymy.BINARY, T.LONG_BLOB, b"\0"),
        (uuid.UUID(int=0), pymy.BINARY, T.LONG_BLOB, lenenc_bytes(str(uuid.UUID(int=0)).encode())),
        (Colour.RED, pymy.BINARY, T.LONG_BLOB, b"\3red"),
        ("5", pymy.NUMBER, T.NEWDECIMAL, b"\x015"),
        (5, pymy.NUMBER, T.NEWDECIMAL, b"\x015"),
        (" 5 ", FieldType.LONG, T.LONGLONG, struct.pack("<q", 5)),
        (Decimal("7"), FieldType.TINY, T.LONGLONG, struct.pack("<q", 7)),
        (True, FieldType.DOUBLE, T.DOUBLE, struct.pack("<d", 1)),
        ("1e3", FieldType.FLOAT, T.DOUBLE, struct.pack("<d", 1000)),
        (DAY, pymy.DATE, T.DATE, b"\4\xe8\7\2\x1d"),
        ("2024-02-29", pymy.DATE, T.DATE, b"\4\xe8\7\2\x1d"),
        (DAY, pymy.DATETIME, T.DATETIME, b"\7\xe8\7\2\x1d\0\0\0"),
        (MOMENT, pymy.TIMESTAMP, T.DATETIME, b"\7\xe8\7\2\x1d\x0c\x1e\1"),
        (FINE, FieldType.TIMESTAMP, T.DATETIME, b"\x0b\xe8\7\2\x1d\x0c\x1e\1\7\0\0\0"),
        (datetime.timedelta(hours=-30), pymy.TIME, T.TIME, b"\x08\1\1\0\0\0\6\0\0"),
        ("01:02:03.5", pymy.TIME, T.TIME, b"\x0c\0\0\0\0\0\1\2\3\x20\xa1\7\0"),
    ],
)
def test_forms(value, size, code, piece):
    assert forced(value, size) == (code, piece)


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("x", pymy.NUMBER), ("1.5", FieldType.LONG), ("x", pymy.DATE), (MOMENT, pymy.DATE),
        ("2024-13-01", pymy.DATE), ("2024-01-01 25:00:00", pymy.DATETIME), ("9:99:00", pymy.TIME),
        ("900:00:00", pymy.TIME), (5, pymy.DATE), (b"\xff", pymy.NUMBER), ("", pymy.NUMBER),
        ("\u0664", pymy.NUMBER), ("1" * 3, pymy.TIME), ("nan", pymy.NUMBER), (".", pymy.NUMBER),
        ("1.2.3", pymy.NUMBER), ("1e9999", FieldType.LONG), ("1e99999999", pymy.NUMBER),
    ],
)  # fmt: skip
def test_values_without_such_a_form(value, size):
    with pytest.raises(ValueError, match=r"is no|has a|codec"):
        forced(value, size)


@pytest.mark.parametrize("size", [None, 1, 10, 252, 0, "x", pymy.ROWID, FieldType.NULL, object()])
def test_what_asks_for_nothing(size):
    assert wanted(size) is None
    assert forced("5", size) == (T.VAR_STRING, b"\x015")


@pytest.mark.parametrize("size", [pymy.NUMBER, FieldType.DOUBLE])
def test_numbers_that_no_double_holds(size):
    with pytest.raises(pymy.DataError):
        forced("1e9999", size)


def test_what_is_left_alone():
    assert forced(None, pymy.NUMBER) == (T.NULL, None)
    source = io.BytesIO(b"x")
    assert forced(source, pymy.STRING)[0] == T.LONG_BLOB
    values = [1, "2"]
    bound = bind(values, DEFAULT_CONTEXT)
    assert force(values, bound, [None, None, wanted(pymy.DATE)], DEFAULT_CONTEXT) == bound
    assert force(values, bound, [], DEFAULT_CONTEXT) == bound
