"""max_column_length: values that are too long, in both kinds of rows and both ways of decoding."""

from __future__ import annotations

import struct

import pytest
from line import Line, ready_session
from serverside import column, eof, framed, lenenc_bytes, ok, packets, row

from pymy import err
from pymy.constants import CR, FIELD_TYPE
from pymy.protocol.columns import parse_column
from pymy.protocol.framing import MAX_PACKET
from pymy.protocol.kinds import Decoding, Limit
from pymy.protocol.query import fetch_batch, query
from pymy.protocol.rows import ROWS_BEFORE_COMPILING
from pymy.protocol.state import State
from pymy.protocol.statements import Prepared, execute

ID = column("id", FIELD_TYPE.LONG)
BLOB = column("v", FIELD_TYPE.LONG_BLOB)
NAME = column("name", FIELD_TYPE.VAR_STRING, charset=45)
HEAD = [b"\x03", ID, BLOB, NAME, eof()]


def in_text(id: int, value: bytes | None, name: bytes) -> bytes:
    return row(b"%d" % id, value, name)


def in_binary(id: int, value: bytes | None, name: bytes) -> bytes:
    nulls = b"\x08" if value is None else b"\0"
    piece = b"" if value is None else lenenc_bytes(value)
    return b"\0" + nulls + struct.pack("<i", id) + piece + lenenc_bytes(name)


def asking(session, binary, stream=False):
    if not binary:
        return query(session, b"select", stream=stream)
    prepared = Prepared(b"select")
    prepared.session, prepared.number = session, 1
    return execute(session, prepared, (), stream=stream)


def line_of(payloads, *turns, limit=None, **options):
    session = ready_session(decoding=Decoding(limit=limit))
    return Line(session, [packets(*HEAD, *payloads, eof()), *turns], **options)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("limit", [1, 10, 249, 250, 251, 300, 65535, 65536, 70_000, 1 << 24])
def test_null(limit, binary):
    write = in_binary if binary else in_text
    sizes = [0, 1, 2, 10, 11, 249, 250, 251, 252, 300, 301, 65535, 65536, 65537, 70_001, None]
    values = [None if size is None else b"x" * size for size in sizes]
    # the second half by compiled code
    values = values * (ROWS_BEFORE_COMPILING // len(values) + 2)
    payloads = [write(at, value, b"n") for at, value in enumerate(values)]
    line = line_of(payloads, limit=Limit(limit, null=True))
    expected = [
        (at, value if value is None or len(value) <= limit else None, "n")
        for at, value in enumerate(values)
    ]
    assert line.run(asking(line.session, binary)).rows == expected


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("before", [0, ROWS_BEFORE_COMPILING + 5])
@pytest.mark.parametrize("size", [6, 250, 300, 70_000, 200_000])
@pytest.mark.parametrize("chunk", [1000, None])
def test_an_error(binary, before, size, chunk):
    write = in_binary if binary else in_text
    payloads = [write(at, b"12345", b"n") for at in range(before)]
    payloads += [write(99, b"x" * size, b"n"), write(100, b"y", b"n" * 100_000)]
    line = line_of(payloads, packets(ok(affected=7)), limit=Limit(5), chunk=chunk)
    with pytest.raises(err.DataError, match=f"'v' holds {size} bytes, more than") as caught:
        line.run(asking(line.session, binary))
    assert caught.value.errno == CR.CR_DATA_TRUNCATED
    assert line.session.state is State.READY
    assert line.run(query(line.session, b"do 1")).affected_rows == 7


def test_rows_before_it_are_streamed():
    payloads = [in_text(1, b"abc", b"n"), in_text(2, b"x" * 200_000, b"n")]
    line = line_of(payloads, limit=Limit(5))
    line.run(asking(line.session, False, stream=True))
    assert line.run(fetch_batch(line.session)) == [(1, b"abc", "n")]
    with pytest.raises(err.DataError, match="'v' holds 200000 bytes"):
        line.run(fetch_batch(line.session))
    assert line.session.state is State.READY


@pytest.mark.parametrize("binary", [False, True])
def test_what_is_too_long_is_not_held(binary):
    payload = (in_binary if binary else in_text)(7, b"x" * (2 * MAX_PACKET + 5), b"name")
    talk = packets(*HEAD)
    number = len(HEAD) + 1
    for at in range(0, len(payload) + 1, MAX_PACKET):
        talk += framed(payload[at : at + MAX_PACKET], number)
        number += 1
    talk += framed((in_binary if binary else in_text)(8, b"y", b"z"), number)
    talk += framed(eof(), number + 1)
    session = ready_session(decoding=Decoding(limit=Limit(10, null=True)))
    line = Line(session, [talk])
    assert line.run(asking(session, binary)).rows == [(7, None, "name"), (8, b"y", "z")]
    assert len(session.inbox.data) <= 1 << 19


def test_numbers_have_no_limit():
    session = ready_session(decoding=Decoding(limit=Limit(2)))
    head = [b"\x03", ID, column("d", FIELD_TYPE.NEWDECIMAL), column("t", FIELD_TYPE.DATETIME)]
    values = row(b"12345", b"1.500", b"2024-05-06 07:08:09")
    rows = Line(session, [packets(*head, eof(), values, eof())]).run(asking(session, False)).rows
    assert (rows[0][0], str(rows[0][1])) == (12345, "1.500")


def test_lengths_that_lie_in_a_large_row():
    payload = row(b"7") + b"\xfe" + (1 << 60).to_bytes(8, "little") + b"x" * 100_000
    line = line_of([payload], limit=Limit(10, null=True))
    with pytest.raises(err.ProtocolError, match="shorter"):
        line.run(asking(line.session, False))
    assert line.session.state is State.BROKEN


def test_decoders_are_shared_by_their_limit():
    of = parse_column(BLOB, 0, "utf-8")
    assert Decoding().kind(of).limit is None
    assert Decoding(limit=Limit(5)).kind(of) == Decoding(limit=Limit(5)).kind(of)
    assert Decoding(limit=Limit(5)).kind(of) != Decoding(limit=Limit(6)).kind(of)
