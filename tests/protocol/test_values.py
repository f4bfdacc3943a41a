"""A value in pieces: the last column of the only row."""

from __future__ import annotations

import struct

import pytest
from line import Line, ready_session
from serverside import MORE, column, end, eof, error, framed, ok, packets, row

from pymy import err
from pymy.basevalue import BaseValueStream
from pymy.constants import CLIENT, CR, FIELD_TYPE
from pymy.protocol.framing import MAX_PACKET, MAX_PAYLOAD
from pymy.protocol.query import query
from pymy.protocol.session import Session
from pymy.protocol.state import State
from pymy.protocol.statements import Prepared, execute
from pymy.protocol.values import Value, fetch_value, open_value

BLOB = column("v", FIELD_TYPE.LONG_BLOB)
ID = column("id", FIELD_TYPE.LONG)
NAME = column("name", FIELD_TYPE.VAR_STRING, charset=45)
HEAD = [b"\x03", ID, NAME, BLOB, eof()]


def opening(session):
    result = yield from query(session, b"select", stream=True)
    return (yield from open_value(session, result))


def opened(*turns: bytes, session: Session | None = None, **options) -> tuple[Line, Value]:
    line = Line(session or ready_session(), turns, **options)
    return line, line.run(opening(line.session))


def rest(line: Line, value: Value, most: int = 1 << 18) -> bytes:
    pieces = []
    while piece := line.run(fetch_value(line.session, value, most)):
        assert len(piece) <= most
        pieces.append(piece)
    return b"".join(pieces)


def one(value: bytes | None, *others: bytes | None) -> bytes:
    return packets(*HEAD, row(*(others or (b"7", b"x")), value), eof())


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 7, 1000, None])
@pytest.mark.parametrize("size", [1, 250, 251, 300, 70_000])
def test_any_cut(chunk, size):
    content = bytes(range(256)) * (size // 256 + 1)
    line, value = opened(one(content[:size], b"12", None), chunk=chunk)
    assert value.row == (12, None)
    assert (value.size, value.left) == (size, size)
    assert line.session.state is State.STREAMING
    assert rest(line, value, 999) == content[:size]
    assert line.session.state is State.READY
    assert rest(line, value) == b""


@pytest.mark.parametrize(("content", "size"), [(None, None), (b"", 0)])
def test_nothing_to_read(content, size):
    line, value = opened(one(content))
    assert value.size == size
    assert line.session.state is State.READY
    assert rest(line, value) == b""


def test_deprecated_eof_and_one_that_comes_all_the_same():
    for unneeded in ((), (eof(),)):
        session = ready_session(CLIENT.DEPRECATE_EOF)
        talk = packets(*HEAD[:4], *unneeded, row(b"7", b"x", b"abc"), end())
        line, value = opened(talk, session=session)
        assert rest(line, value) == b"abc"
        assert session.state is State.READY


@pytest.mark.parametrize("size", [MAX_PACKET - 5, MAX_PACKET - 4, 2 * MAX_PACKET - 9, 40 << 20])
def test_continued_packets_in_flat_memory(size):
    payload = row(b"y" * size)
    talk = packets(b"\x01", BLOB, eof())
    number = 4
    for at in range(0, len(payload) + 1, MAX_PACKET):
        talk += framed(payload[at : at + MAX_PACKET], number)
        number += 1
    line, value = opened(talk + framed(eof(), number))
    read = 0
    while piece := line.run(fetch_value(line.session, value, 1 << 18)):
        read += len(piece)
        assert not piece.strip(b"y")
        assert len(line.session.inbox.data) <= 1 << 19
    assert read == size
    assert line.session.state is State.READY


@pytest.mark.parametrize(
    ("payload", "what"),
    [
        (row(b"7", b"x") + b"\xfe" + (1 << 60).to_bytes(8, "little") + b"abc", "shorter"),
        (row(b"7") + b"\xfd\xff\xff\xff" + b"abc", "shorter"),
        (row(b"7"), "shorter"),
        (row(b"7", b"x", b"abc") + b"more", "more columns"),
        (row(b"7", b"x") + b"\xfb" + b"more", "more columns"),
        (row(b"7", b"x") + b"\xff", "not a number"),
        (row(b"7", b"x") + b"\xfc\x01", "shorter"),
        (b"", "empty packet"),
        (b"\xfe" + b"x" * 20, "does not start"),
    ],
)
@pytest.mark.parametrize("chunk", [1, None])
def test_lengths_that_lie(payload, what, chunk):
    line = Line(ready_session(), [packets(*HEAD, payload, eof())], chunk=chunk)
    with pytest.raises(err.ProtocolError, match=what):
        rest(line, line.run(opening(line.session)))
    assert line.session.state is State.BROKEN


def test_more_than_a_gibibyte():
    session = ready_session()
    session._parts_size = MAX_PAYLOAD - 10
    line = Line(session, [packets(b"\x01", BLOB, eof()) + framed(row(b"y" * 100), 4)])
    with pytest.raises(err.ProtocolError, match=f"more than {MAX_PAYLOAD} bytes"):
        line.run(opening(session))


def test_a_wrong_number_in_the_middle():
    talk = packets(b"\x01", BLOB, eof()) + framed(row(b"y" * MAX_PACKET)[:MAX_PACKET], 4)
    line, value = opened(talk + framed(b"yyyy", 9))
    with pytest.raises(err.ProtocolError, match="out of order"):
        rest(line, value)
    assert line.session.state is State.BROKEN


def test_the_link_is_lost_in_the_middle():
    # what is left looks like an ERR, and is none
    talk = one(b"ab" + framed(error(1234, "no error"), 0) + bytes(100_000))[:200]
    line, value = opened(talk)
    assert line.run(fetch_value(line.session, value, 2)) == b"ab"
    with pytest.raises(err.OperationalError) as caught:
        while line.run(fetch_value(line.session, value, 1000)):
            pass
    assert caught.value.errno == CR.CR_SERVER_LOST
    assert value.torn


def test_the_servers_error_in_place_of_the_row():
    line = Line(ready_session(), [packets(*HEAD, error(1317, "stopped"))])
    with pytest.raises(err.OperationalError, match="stopped"):
        line.run(opening(line.session))
    assert line.session.state is State.READY


def test_the_servers_error_behind_the_row():
    line, value = opened(packets(*HEAD, row(b"7", b"x", b"abc"), error(1317, "stopped")))
    assert line.run(fetch_value(line.session, value, 100)) == b"abc"
    for _ in range(2):
        with pytest.raises(err.OperationalError, match="stopped"):
            line.run(fetch_value(line.session, value, 100))
    assert line.session.state is State.READY


def test_no_row():
    line = Line(ready_session(), [packets(*HEAD, eof())])
    with pytest.raises(err.DataError, match="no row"):
        line.run(opening(line.session))
    assert line.session.state is State.READY


def test_no_rows_by_nature():
    line = Line(ready_session(), [packets(ok(affected=3))])
    with pytest.raises(err.ProgrammingError, match="has run and gives no rows"):
        line.run(opening(line.session))
    assert line.session.state is State.READY


@pytest.mark.parametrize("following", [b"y", b"y" * 100_000])
@pytest.mark.parametrize("chunk", [3, None])
def test_more_rows(following, chunk):
    rows = [row(b"7", b"x", b"abc"), row(b"8", b"x", following), row(b"9", None, None)]
    line, value = opened(packets(*HEAD, *rows, eof()), chunk=chunk)
    assert [line.run(fetch_value(line.session, value, 1)) for _ in "abc"] == [b"a", b"b", b"c"]
    with pytest.raises(err.ProgrammingError, match="more than the one row"):
        rest(line, value)
    assert line.session.state is State.READY


def test_more_results():
    first = packets(*HEAD, row(b"7", b"x", b"abc"), eof(status=MORE))
    start = len(HEAD) + 3
    line, value = opened(first + packets(ok(), start=start))
    assert rest(line, value) == b"abc"  # what ends a CALL
    second = packets(b"\x01", BLOB, eof(), row(b"y"), eof(), start=start)
    line, value = opened(first + second)
    with pytest.raises(err.ProgrammingError, match="more than the one row"):
        rest(line, value)
    assert line.session.state is State.READY


def test_a_column_that_does_not_convert():
    line = Line(ready_session(), [one(b"y" * 100, b"no number")])
    with pytest.raises(err.DataError, match="'id'") as caught:
        line.run(opening(line.session))
    assert caught.value.errno == CR.CR_CONVERSION_ERROR
    assert line.session.state is State.READY


def test_the_next_command_drops_the_rest():
    line, value = opened(one(b"y" * 100), packets(ok(affected=5)))
    line.run(fetch_value(line.session, value, 10))
    assert line.run(query(line.session, b"do 1")).affected_rows == 5
    assert not value.result.unread


def test_much_is_killed():
    talk = one(b"y" * 5_000_000)
    turns = [talk[:3_000_000], talk[3_000_000:]]
    asked = []

    def kill() -> bool:
        asked.append(True)
        return True

    line, _ = opened(*turns, packets(ok()), packets(ok(affected=5)), kill=kill)
    assert line.run(query(line.session, b"do 1")).affected_rows == 5
    assert asked == [True]
    assert len(line.session.inbox.data) <= 1 << 19


def test_a_large_row_is_dropped_without_being_held():
    rows = [row(b"7", b"x", b"abc"), row(b"8", b"x", b"y" * 900_000)]
    line = Line(ready_session(), [packets(*HEAD, *rows, eof()), packets(ok(affected=5))])
    line.run(query(line.session, b"select", stream=True))
    assert line.run(query(line.session, b"do 1")).affected_rows == 5
    assert len(line.session.inbox.data) <= 1 << 19


def test_what_is_lost_is_not_the_end():
    talk = one(b"y" * 10)
    line, value = opened(talk[:-9], talk[-9:])  # the terminator is late
    session = line.session
    session.start(fetch_value(session, value, 100))
    assert session.abandon()
    line._receive()
    assert session.state is State.READY
    assert (value.left, value.torn) == (0, True)

    class Stream(BaseValueStream):
        def __init__(self):
            self._value = value

    with pytest.raises(err.InterfaceError, match="was dropped"):
        list(Stream()._piece(None, 10))


@pytest.mark.parametrize("damage", [0x00, 0x01, 0xFB, 0xFC, 0xFE, 0xFF])
def test_every_byte_replaced(damage):
    """Only pymy's errors come out, and the line is at rest or broken behind them."""
    talk = packets(*HEAD, row(b"7", b"x", b"abc" * 10), eof(status=MORE))
    talk += packets(ok(), start=len(HEAD) + 3)
    for at in range(len(talk)):
        line = Line(ready_session(), [talk[:at] + bytes([damage]) + talk[at + 1 :]], chunk=11)
        try:
            value = line.run(opening(line.session))
            got = rest(line, value, 7)
        except err.Error:
            assert line.session.state is not State.BUSY
        else:
            assert len(got) == (value.size or 0)
            assert line.session.state in (State.READY, State.RESULTS)


def binary_row(nulls: int, *values: bytes) -> bytes:
    return b"\0" + nulls.to_bytes(1, "little") + b"".join(values)


def binary(*payloads: bytes, **options):
    session = ready_session(**options)

    def executing():
        prepared = Prepared(b"select")
        prepared.session, prepared.number = session, 1
        result = yield from execute(session, prepared, (), stream=True)
        return (yield from open_value(session, result))

    line = Line(session, [packets(*payloads)], chunk=1)
    return line, line.run(executing())


def test_binary_rows():
    date = column("d", FIELD_TYPE.DATETIME)
    day = b"\x07" + struct.pack("<HBBBBB", 2024, 5, 6, 7, 8, 9)
    head = [b"\x04", ID, date, NAME, BLOB, eof()]
    line, value = binary(
        *head, binary_row(0, struct.pack("<i", -7), day, b"\x01x", b"\x03abc"), eof()
    )
    assert (value.row[0], str(value.row[1]), value.row[2]) == (-7, "2024-05-06 07:08:09", "x")
    assert rest(line, value) == b"abc"
    assert line.session.state is State.READY
    line, value = binary(*head, binary_row(0b111000, struct.pack("<i", 5)), eof())
    assert (value.row, value.size) == ((5, None, None), None)
    assert rest(line, value) == b""


def test_a_number_is_its_text():
    for last, payload, text in [(ID, struct.pack("<i", -70), b"-70"), (ID, b"\0\0\0\0", b"0")]:
        line, value = binary(b"\x01", last, eof(), binary_row(0, payload), eof())
        assert (value.size, line.session.state) == (len(text), State.READY)
        assert rest(line, value, 2) == text
