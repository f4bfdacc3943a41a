"""Text rows: which value a column becomes, and that both decoders agree."""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from line import Line, ask, ready_session
from serverside import column, eof, framed, ok, packets, result_set, row

from pymy import converters, err
from pymy.constants import CR, FIELD_TYPE, FLAG
from pymy.protocol import kinds
from pymy.protocol import rows as pymy_rows
from pymy.protocol.columns import Column, parse_column
from pymy.protocol.kinds import Decoding
from pymy.protocol.query import fetch_batch, query
from pymy.protocol.rows import (
    ROWS_BEFORE_COMPILING,
    WIDEST_COMPILED,
    RowDecoder,
    compile_batch,
    decoder_for,
    row_end,
)
from pymy.protocol.state import State

T = FIELD_TYPE
UTF8, BINARY, LATIN1 = 45, 63, 8


def col(type_code: int, charset: int = BINARY, **more: Any) -> Column:
    return parse_column(column("c", type_code, charset, **more), 0)


def ext(type_code: int, *, extended_type: str = "", extended_format: str = "") -> Column:
    return Column("", "", "", "c", "c", BINARY, 0, type_code, 0, 0, extended_type, extended_format)


def decode(packed: bytes, columns: list[Column], decoding: Decoding | None = None) -> Any:
    """Decode by the loop, then by the generated code as soon as it is used."""
    decoder = decoder_for(columns, decoding or Decoding(), True)
    slow = decoder.decode_row(packed, columns)
    rows: list[Any] = []
    batch = compile_batch(decoder.kinds, True)
    stop, sequence, failed = batch(framed(packed), 0, len(packed) + 4, 1, rows.append)
    if not failed:
        assert (stop, sequence) == (len(packed) + 4, 2)
        assert rows == [slow]
        assert list(map(type, rows[0])) == list(map(type, slow))
    return slow


def value(piece: bytes, of: Column, **decoding: Any) -> Any:
    return decode(row(piece), [of], Decoding(**decoding))[0]


VALUES = [
    # integers: flags and display width do not matter (P50, P52, P53)
    (col(T.TINY), b"-128", -128),
    (col(T.TINY, flags=FLAG.UNSIGNED), b"255", 255),
    (col(T.SHORT), b"-32768", -32768),
    (col(T.INT24, flags=FLAG.UNSIGNED), b"16777215", 16777215),
    (col(T.LONG, flags=FLAG.ZEROFILL | FLAG.UNSIGNED), b"00042", 42),
    (col(T.LONGLONG), b"-9223372036854775808", -(1 << 63)),
    (col(T.LONGLONG, flags=FLAG.UNSIGNED), b"18446744073709551615", (1 << 64) - 1),
    (col(T.YEAR), b"0000", 0),
    (col(T.YEAR), b"2155", 2155),
    # P54, P55, P65
    (col(T.NEWDECIMAL), b"-0.00", Decimal("-0.00")),
    (col(T.NEWDECIMAL), b"9" * 65, Decimal("9" * 65)),
    (col(T.DECIMAL), b"1.50", Decimal("1.50")),
    (col(T.FLOAT), b"0.1", 0.1),
    (col(T.DOUBLE), b"1.7976931348623157e308", 1.7976931348623157e308),
    (col(T.DOUBLE), b"inf", float("inf")),
    (col(T.DOUBLE), b"-Infinity", float("-inf")),
    # dates; fractions of 1 to 6 digits
    (col(T.DATE), b"2024-02-29", date(2024, 2, 29)),
    (col(T.NEWDATE), b"0001-01-01", date(1, 1, 1)),
    (col(T.DATETIME), b"9999-12-31 23:59:59.999999", datetime(9999, 12, 31, 23, 59, 59, 999999)),
    (col(T.DATETIME), b"2024-02-29 00:00:00", datetime(2024, 2, 29)),
    (col(T.TIMESTAMP), b"2024-02-29 01:02:03.5", datetime(2024, 2, 29, 1, 2, 3, 500000)),
    (col(T.TIMESTAMP), b"2024-02-29 01:02:03.0001", datetime(2024, 2, 29, 1, 2, 3, 100)),
    # P49
    (col(T.TIME), b"838:59:59", timedelta(hours=838, minutes=59, seconds=59)),
    (col(T.TIME), b"-838:59:59.999999", -timedelta(hours=838, minutes=59, seconds=59.999999)),
    (col(T.TIME), b"-00:00:01.5", timedelta(seconds=-1.5)),
    (col(T.TIME), b"00:00:00", timedelta()),
    # P51: big-endian bytes as they come
    (col(T.BIT), b"\x04\x01", b"\x04\x01"),
    # P43: type first, charset only for strings; a utf8mb4_bin string is text
    (col(T.VAR_STRING, UTF8), "h\u00e9\U0001f600".encode(), "h\u00e9\U0001f600"),
    (col(T.VAR_STRING, 46), "h\u00e9".encode(), "h\u00e9"),
    (col(T.STRING, LATIN1), "h\u00e9".encode(), "h\u00e9"),
    (col(T.VAR_STRING), b"\xff\x00", b"\xff\x00"),
    (col(T.BLOB), b"\xff\x00", b"\xff\x00"),
    (col(T.BLOB, UTF8), b"text", "text"),
    (col(T.LONG, UTF8), b"1", 1),
    # P57: ENUM and SET come as STRING with a flag
    (col(T.STRING, UTF8, flags=FLAG.ENUM), b"x", "x"),
    (col(T.STRING, UTF8, flags=FLAG.SET), b"x,y", "x,y"),
    (col(T.ENUM, UTF8), b"x", "x"),
    # P44, P45, P46
    (col(T.JSON), b'{"a": 12345678901234567890}', '{"a": 12345678901234567890}'),
    (ext(T.BLOB, extended_format="json"), b"[1]", "[1]"),
    (ext(T.STRING, extended_type="uuid"), b"123e", "123e"),
    (ext(T.STRING, extended_type="inet6"), b"::1", "::1"),
    # P58: geometry as it is, empty too
    (col(T.GEOMETRY), b"\0\0\0\0\x01", b"\0\0\0\0\x01"),
    (col(T.GEOMETRY), b"", b""),
    # P59
    (col(T.VECTOR), b"\0\0\x80\x3f\0\0\x20\xc0", array("f", [1.0, -2.5])),
    (col(T.VECTOR), b"", array("f")),
    # P60: an empty string is not NULL
    (col(T.VAR_STRING, UTF8), b"", ""),
    (col(T.BLOB), b"", b""),
    # types that no text row has are left alone
    (col(T.NULL), b"x", b"x"),
    (col(T.NULL, UTF8), b"x", "x"),
    (col(77, UTF8), b"x", "x"),
]


@pytest.mark.parametrize(("of", "piece", "expected"), VALUES, ids=lambda each: str(each)[:40])
def test_p43_to_p60_values(of: Column, piece: bytes, expected: Any) -> None:
    got = value(piece, of)
    assert got == expected
    assert type(got) is type(expected)
    assert decode(row(None), [of]) == (None,)


def test_p65_nan() -> None:
    got = decoder_for([col(T.DOUBLE)], Decoding(), True).decode_row(row(b"nan"), [col(T.DOUBLE)])
    assert got[0] != got[0]


ZEROS = [
    (T.DATE, b"0000-00-00"),
    (T.DATE, b"2020-00-10"),
    (T.DATE, b"2023-02-30"),
    (T.DATETIME, b"0000-00-00 00:00:00"),
    (T.DATETIME, b"2020-00-10 00:00:00.000000"),
    (T.TIMESTAMP, b"0000-00-00 00:00:00"),
]


@pytest.mark.parametrize(("type_code", "piece"), ZEROS)
def test_p47_zero_dates(type_code: int, piece: bytes) -> None:
    of = col(type_code)
    assert value(piece, of) == piece.decode()
    assert value(piece, of, zero_dates="none") is None
    with pytest.raises(err.DataError, match="zero_dates='str' or 'none' takes it"):
        value(piece, of, zero_dates="raise")


@pytest.mark.parametrize("zero_dates", ["str", "none", "raise"])
def test_p47_the_connection_goes_on(zero_dates: str) -> None:
    """A zero date in the middle of many rows, before and after compiling."""
    good, bad = b"2024-01-02", b"0000-00-00"
    pieces = [good] * 100 + [bad] + [good] * 3
    session = ready_session(decoding=Decoding(zero_dates=zero_dates))
    turn = result_set([column("d", T.DATE)], [row(piece) for piece in pieces])
    line = Line(session, [turn, framed(ok(3))])
    if zero_dates == "raise":
        with pytest.raises(err.DataError, match=r"'d' holds b'0000-00-00'"):
            line.run(query(session, b"x"))
    else:
        rows = line.run(query(session, b"x")).rows
        expected = "0000-00-00" if zero_dates == "str" else None
        assert rows == [(date(2024, 1, 2),)] * 100 + [(expected,)] + [(date(2024, 1, 2),)] * 3
    assert session.state is State.READY
    assert line.run(query(session, b"next")).affected_rows == 3


def test_p44_json_is_in_the_connections_charset() -> None:
    piece = '{"a": "\u00e9"}'.encode("latin-1")
    assert value(piece, col(T.JSON), encoding="latin-1") == '{"a": "\u00e9"}'
    assert value(piece, col(T.JSON), encoding="latin-1", json_objects=True) == {"a": "\u00e9"}


def test_p45_p46_json_objects() -> None:
    for of in (col(T.JSON), ext(T.BLOB, extended_format="json")):
        got = value(b'{"a": [12345678901234567890, null]}', of, json_objects=True)
        assert got == {"a": [12345678901234567890, None]}
    assert value(b"[1]", col(T.JSON), use_unicode=False) == b"[1]"


def test_p67_strings_follow_the_charset() -> None:
    of = col(T.VAR_STRING, UTF8)
    assert value("\u00e9".encode("cp1252"), of, encoding="cp1252") == "\u00e9"
    assert value(b"\xe9", of, use_unicode=False) == b"\xe9"
    session = ready_session()
    turn = result_set([column("a", T.VAR_STRING, UTF8)], [row(b"\xc3\xa9")])
    assert ask(session, query(session, b"x"), turn).rows == [("\u00e9",)]
    session.decoding = Decoding(encoding="latin-1")
    session.heads.clear()
    assert ask(session, query(session, b"x"), turn).rows == [("\u00c3\u00a9",)]


def test_p58_p59_hostile_values_are_data_errors() -> None:
    for of, piece in [
        (col(T.VECTOR), b"abc"), (col(T.LONG), b"9" * 5000), (col(T.LONG), b""),
        (col(T.NEWDECIMAL), b"1,5"), (col(T.DOUBLE), b"."), (col(T.VAR_STRING, UTF8), b"\xff"),
    ]:  # fmt: skip
        with pytest.raises(err.DataError, match="Column 'c' holds") as caught:
            decode(row(piece), [of])
        assert caught.value.errno == CR.CR_CONVERSION_ERROR
        assert not caught.value.fatal
    with pytest.raises(err.DataError, match="Column 'c' holds"):
        value(b"[" * 100_000, col(T.JSON), json_objects=True)


def test_data_error_shows_only_the_beginning() -> None:
    with pytest.raises(err.DataError, match=r"\.\.\. \(1000 bytes\)") as caught:
        decode(row(b"x" * 1000), [col(T.DOUBLE)])
    assert len(caught.value.message) < 500


@pytest.mark.skipif(sys.byteorder == "big", reason="shows the swap that big machines need")
def test_vectors_are_little_endian_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds.sys, "byteorder", "big")
    assert value(b"\x3f\x80\0\0", col(T.VECTOR)) == array("f", [1.0])


# users' converters


def overrides(key: Any, convert: Callable[[Any], Any], of: Column, **more: Any) -> Any:
    return Decoding(overrides={key: convert}, **more).kind(of)


@pytest.mark.parametrize(
    ("of", "key", "got", "decoding"),
    [
        (col(T.LONG), T.LONG, "1", {}),
        (col(T.NEWDECIMAL), T.NEWDECIMAL, "1", {}),
        (col(T.VAR_STRING, UTF8), T.VAR_STRING, "1", {}),
        (col(T.VAR_STRING), T.VAR_STRING, b"1", {}),
        (col(T.VAR_STRING, UTF8), T.VAR_STRING, b"1", {"use_unicode": False}),
        (col(T.BIT), T.BIT, b"1", {}),
        (ext(T.STRING, extended_type="uuid"), "uuid", "1", {}),
        (ext(T.BLOB, extended_format="json"), "json", b"1", {}),
    ],
)
def test_overrides(of: Column, key: Any, got: Any, decoding: Any) -> None:
    seen: list[Any] = []
    assert value(b"1", of, overrides={key: seen.append}, **decoding) is None
    assert seen == [got] * 2
    assert value(b"1", of, overrides={key: lambda text: ("mine", text)}, **decoding) == (
        "mine", got,
    )  # fmt: skip


def test_converters_that_were_taken_away() -> None:
    assert value(b"1", col(T.LONG), missing=frozenset({T.LONG})) == "1"
    assert value(b"\x01", col(T.BIT), missing=frozenset({T.BIT})) == b"\x01"


def test_a_converter_that_cannot_be_hashed() -> None:
    class Odd:
        __hash__ = None  # type: ignore[assignment]

        def __call__(self, text: str) -> str:
            return "odd " + text

    assert value(b"1", col(T.LONG), overrides={T.LONG: Odd()}) == "odd 1"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("at", [0, 30, 60, 99])
@pytest.mark.parametrize("chunk", [None, 50])
def test_a_converter_that_raises(stream: bool, at: int, chunk: int | None) -> None:
    """The rest is dropped, the next command works; compiled (from row 40 on) or not."""

    def convert(text: str) -> int:
        if text == str(at):
            raise ZeroDivisionError("mine")
        return int(text)

    session = ready_session(decoding=Decoding(overrides={T.LONG: convert}))
    turn = result_set([column("n")], [row(b"%d" % number) for number in range(100)])
    line = Line(session, [turn, framed(ok(3))], chunk=chunk)
    with pytest.raises(err.DataError, match=rf"Column 'n' holds b'{at}'.*: mine\.") as caught:
        result = line.run(query(session, b"x", stream=stream))
        came = 0
        while result.failure is None:
            came += len(line.run(fetch_batch(session)))
        assert came == at, "the rows before it come first"
        raise result.failure
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert session.state is State.READY
    assert line.run(query(session, b"next")).affected_rows == 3


def test_a_converter_that_raises_before_a_failure_of_the_server() -> None:
    session = ready_session(decoding=Decoding(overrides={T.LONG: lambda text: 1 // 0}))
    turn = packets(b"\x01", column(), eof(), row(b"1"), b"\xff\x28\x04#42000later")
    with pytest.raises(err.Error, match="later"):
        ask(session, query(session, b"x"), turn)
    assert session.state is State.READY


# rows that lie


@pytest.mark.parametrize(
    "payload",
    [
        b"\x05abc", b"\x01a\x01b\x01c", b"\x01a", b"\xfc", b"\xfc\xff\xffabc", b"\xfd\xff\xff\xffa",
        b"\x01a\xfe" + b"\xff" * 8, b"\x01a\x02b", b"\xfb", b"\xfb\xfb\xfb",
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [0, 100])
def test_lying_lengths(payload: bytes, before: int) -> None:
    columns = [column("a", T.VAR_STRING, UTF8), column("b", T.BLOB)]
    session = ready_session()
    turn = result_set(columns, [row(b"x", b"y")] * before + [payload])
    with pytest.raises(err.ProtocolError):
        ask(session, query(session, b"x"), turn)
    assert session.state is State.BROKEN


def test_row_end() -> None:
    data = framed(b"\x01a", 7)
    assert row_end(data, 0, len(data), 7) == len(data)
    assert row_end(data, 0, len(data), None) == len(data)
    assert row_end(data, 0, len(data), 8) == 0
    assert row_end(data, 0, len(data) - 1, 7) == 0
    for payload in (b"", b"\xfe", b"\xff"):
        other = framed(payload, 7) + b"more"
        assert row_end(other, 0, len(other), 7) == 0


# the two decoders


def test_wide_rows_are_not_compiled() -> None:
    columns = [col(T.LONG)] * (WIDEST_COMPILED + 1)
    decoder = RowDecoder(tuple(Decoding().kind(each) for each in columns), True)
    decoder.seen = ROWS_BEFORE_COMPILING
    assert decoder.batch() is None
    rows: list[Any] = []
    data = framed(row(*[b"1"] * len(columns)), 1)
    assert decoder.decode(data, 0, 1, columns, rows) == (len(data), 2)
    assert len(rows[0]) == len(columns)


def test_compiled_only_when_worth_it() -> None:
    columns = [col(T.LONG)]
    decoder = RowDecoder((kinds.INTEGER,), False)
    data = framed(row(b"1"), 1) * (ROWS_BEFORE_COMPILING - 1)
    decoder.decode(data, 0, 1, columns, [])
    assert decoder.batch() is None
    decoder.decode(data, 0, 1, columns, [])
    assert decoder.batch() is not None


def same(kind_column: Column, decoding: Decoding, piece: bytes) -> None:
    """Both decoders give the same value, or both give a DataError."""
    decoder = decoder_for([kind_column], decoding, False)
    batch = compile_batch(decoder.kinds, False)
    packed = framed(row(piece), 1)
    fast: list[Any] = []
    failed = batch(packed, 0, len(packed), 1, fast.append)[2]
    try:
        slow = [decoder.decode_row(packed[4:], [kind_column])]
    except err.DataError:
        assert failed
        return
    if not failed:
        assert list(map(repr, fast)) == list(map(repr, slow))


EVERY_KIND = [
    col(T.LONG), col(T.DOUBLE), col(T.NEWDECIMAL), col(T.DATE), col(T.DATETIME), col(T.TIME),
    col(T.VAR_STRING, UTF8), col(T.BLOB), col(T.JSON), col(T.VECTOR), col(T.BIT), col(T.YEAR),
    ext(T.STRING, extended_type="uuid"),
]  # fmt: skip
DECODINGS = [
    Decoding(),
    Decoding(encoding="cp1252", zero_dates="none", json_objects=True),
    Decoding(use_unicode=False, zero_dates="raise"),
    Decoding(overrides={T.LONG: converters.through, T.DATE: converters.convert_date}),
]


@given(
    of=st.sampled_from(EVERY_KIND),
    decoding=st.sampled_from(DECODINGS),
    piece=st.one_of(
        st.binary(max_size=30),
        st.text("0123456789-:. +eE_TZnaif", max_size=30).map(str.encode),
        st.integers().map(lambda number: str(number).encode()),
        st.decimals().map(lambda number: str(number).encode()),
        st.datetimes().map(lambda moment: str(moment).encode()),
        st.dates().map(lambda day: str(day).encode()),
        st.text(max_size=300).map(str.encode),
    ),
)
@settings(max_examples=600, deadline=None)
@example(of=col(T.DATETIME), decoding=DECODINGS[0], piece=b"2020-01-01T00:00:00Z")
@example(of=col(T.DATE), decoding=DECODINGS[0], piece=b"20200101")
@example(of=col(T.NEWDECIMAL), decoding=DECODINGS[0], piece="\uff11".encode())
def test_fast_and_slow_decoder_agree(of: Column, decoding: Decoding, piece: bytes) -> None:
    same(of, decoding, piece)


@given(
    table=st.lists(
        st.tuples(
            st.none() | st.integers(-(1 << 63), (1 << 64) - 1),
            st.none() | st.text(max_size=300),
            st.none() | st.binary(max_size=70),
            st.none() | st.floats(allow_nan=False),
            st.none() | st.datetimes(),
            st.none() | st.timedeltas(timedelta(hours=-838), timedelta(hours=838)),
            st.none() | st.just({"a": [1]}),
        ),
        max_size=60,
    ),
    chunk=st.integers(1, 500),
)
@settings(max_examples=60, deadline=None)
def test_tables_come_through(table: list[Any], chunk: int) -> None:
    """What a server would write for a table is read as that table, in any pieces."""
    columns = [
        column("i", T.LONGLONG), column("s", T.VAR_STRING, UTF8), column("b", T.BLOB),
        column("f", T.DOUBLE), column("d", T.DATETIME), column("t", T.TIME), column("j", T.JSON),
    ]  # fmt: skip
    rows = [row(*map(written, values)) for values in table]
    session = ready_session(decoding=Decoding(json_objects=True))
    got = ask(session, query(session, b"x"), result_set(columns, rows), chunk=chunk)
    assert got.rows == table


def written(item: Any) -> bytes | None:
    if item is None or isinstance(item, bytes):
        return item
    if isinstance(item, timedelta):
        sign, size = ("-", -item) if item < timedelta() else ("", item)
        minutes, seconds = divmod(size.days * 86400 + size.seconds, 60)
        whole = f"{sign}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{size.microseconds:06}"
        return whole.encode()
    if isinstance(item, dict):
        return json.dumps(item).encode()
    return (repr(item) if isinstance(item, float) else str(item)).encode()


def test_the_memory_of_decoders_is_bounded_by_columns() -> None:
    """A server chooses the signatures: a compiled one takes about 1 KiB a column while kept."""
    bound = (
        pymy_rows._decoders._narrow.cache_parameters()["maxsize"] * pymy_rows.NARROW
        + pymy_rows._decoders._wide.cache_parameters()["maxsize"] * WIDEST_COMPILED
    )
    assert bound <= 20_000
    for width, cache in (
        (pymy_rows.NARROW, pymy_rows._decoders._narrow),
        (pymy_rows.NARROW + 1, pymy_rows._decoders._wide),
        (WIDEST_COMPILED, pymy_rows._decoders._wide),
    ):
        columns = [col(T.LONG)] * width
        before = cache.cache_info()
        first = pymy_rows.decoder_for(columns, Decoding(), False)
        assert pymy_rows.decoder_for(columns, Decoding(), False) is first
        after = cache.cache_info()
        assert after.hits + after.misses == before.hits + before.misses + 2
    columns = [col(T.LONG)] * (WIDEST_COMPILED + 1)
    first = pymy_rows.decoder_for(columns, Decoding(), False)
    assert pymy_rows.decoder_for(columns, Decoding(), False) is not first
