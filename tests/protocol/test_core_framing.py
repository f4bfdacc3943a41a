"""Bytes to packets and back."""

from __future__ import annotations

import pytest
from line import Line, ask, failure, ready_session
from serverside import column, eof, error, framed, ok, packets, result_set, row

from pymy import err
from pymy.constants import CR, FIELD_TYPE
from pymy.protocol import buffers, framing
from pymy.protocol.buffers import LARGE, SMALL, Inbox
from pymy.protocol.commands import ping
from pymy.protocol.framing import MAX_PACKET, Framing
from pymy.protocol.query import query
from pymy.protocol.state import State

BOUNDARIES = [
    *range(MAX_PACKET - 2, MAX_PACKET + 3),
    *range(2 * MAX_PACKET - 1, 2 * MAX_PACKET + 2),
]


def feed(line: Framing, data: bytes) -> None:
    view = memoryview(data)
    while view:
        space = line.space()
        count = min(len(space), len(view))
        space[:count] = view[:count]
        line.received(count)
        view = view[count:]


@pytest.mark.parametrize("size", BOUNDARIES)
def test_p1_p2_payloads_around_16_mib(size: int) -> None:
    payload = b"\x03" + bytes(size - 1)
    sender, receiver = Framing(), Framing()
    sender.put(payload)
    stream = bytes(sender.output())
    whole, rest = divmod(size, MAX_PACKET)
    assert len(stream) == size + 4 * (whole + 1)
    assert stream[-rest - 4 :][:4] == rest.to_bytes(3, "little") + bytes([whole])
    feed(receiver, stream)
    assert receiver.take() == payload
    assert receiver.take() is None
    assert not receiver.joining
    assert receiver.sequence == sender.sequence == whole + 1


@pytest.mark.parametrize("size", [MAX_PACKET - 2, MAX_PACKET - 1, MAX_PACKET])
def test_p1_commands_around_16_mib(size: int) -> None:
    """A command has a byte more than its argument, and its sequence starts at zero."""
    line = Framing()
    line.sequence = 9
    line.command(3, bytes(size))
    stream = bytes(line.output())
    receiver = Framing()
    feed(receiver, stream)
    assert receiver.take() == b"\x03" + bytes(size)
    assert len(stream) == size + 1 + 4 * (1 + (size + 1) // MAX_PACKET)


@pytest.mark.parametrize("size", [MAX_PACKET - 5, MAX_PACKET - 4, MAX_PACKET - 3, 2 * MAX_PACKET])
def test_p2_rows_around_16_mib(size: int) -> None:
    """The length in front of the value takes four bytes, or nine and a first byte of 0xFE (P7)."""
    line = Framing()
    line.sequence = 4
    payload = row(b"v" * size)
    line.put(payload)
    head = packets(b"\x01", column(type_code=FIELD_TYPE.LONG_BLOB), eof())
    turn = head + bytes(line.output()) + framed(eof(), line.sequence)
    session = ready_session()
    result = ask(session, query(session, b"select"), turn)
    assert [len(values[0]) for values in result.rows] == [size]
    assert session.state is State.READY


def test_p3_an_empty_packet_is_malformed() -> None:
    session = ready_session()
    exc = failure(session, ping(session), framed(b""))
    assert isinstance(exc, err.ProtocolError)
    assert "empty packet" in exc.message
    assert session.state is State.BROKEN


@pytest.mark.parametrize("rows", [0, 250, 251, 252, 253, 254, 255, 256, 257, 600])
@pytest.mark.parametrize("deprecate_eof", [False, True])
def test_p4_sequence_wraps(rows: int, deprecate_eof: bool) -> None:
    turn = result_set(
        [column()], [row(b"%d" % at) for at in range(rows)], deprecate_eof=deprecate_eof
    )
    session = ready_session(framing_capabilities(deprecate_eof))
    result = ask(session, query(session, b"select"), turn, chunk=100)
    assert result.rows == [(at,) for at in range(rows)]


def framing_capabilities(deprecate_eof: bool) -> int:
    return 1 << 24 if deprecate_eof else 0


def test_p4_sending_wraps() -> None:
    line = Framing()
    line.sequence = 255
    line.put(b"a")
    line.put(b"b")
    assert bytes(line.output()) == framed(b"a", 255) + framed(b"b", 0)


@pytest.mark.parametrize("number", [0, 2, 255])
def test_p5_err_with_a_wrong_number(number: int) -> None:
    session = ready_session()
    exc = failure(session, ping(session), framed(error(1064, "said"), number))
    assert (exc.errno, exc.message, exc.fatal) == (1064, "said", True)
    assert session.state is State.BROKEN


@pytest.mark.parametrize("payload", [ok(), b"\x01"])
def test_p5_anything_else_with_a_wrong_number(payload: bytes) -> None:
    session = ready_session()
    exc = failure(session, query(session, b"select"), framed(payload, 3))
    assert exc.errno == CR.CR_COMMANDS_OUT_OF_SYNC
    assert "number 3 came where 1 was due" in exc.message
    assert session.state is State.BROKEN


def test_p5_wrong_number_is_forgotten_with_the_next_command() -> None:
    session = ready_session(wrong_sequence=True)
    exc = failure(session, query(session, b"select"), framed(error(1064)))
    assert not exc.fatal
    assert session.state is State.READY


def test_p16_one_byte_at_a_time() -> None:
    line = Framing()
    taken = []
    for byte in packets(b"one", b"two", b"three", start=0):
        feed(line, bytes([byte]))
        while (payload := line.take()) is not None:
            taken.append(payload)
    assert taken == [b"one", b"two", b"three"]


def test_p16_eof_is_never_retried() -> None:
    session = ready_session()
    line = Line(session, [framed(ok())[:5]])
    with pytest.raises(err.OperationalError, match="Lost connection") as caught:
        line.run(ping(session))
    assert caught.value.errno == CR.CR_SERVER_LOST
    assert session.state is State.BROKEN


def test_partial_sends() -> None:
    session = ready_session()
    line = Line(session, [framed(ok())], write_chunk=3)
    line.run(query(session, b"select 'long enough'"))
    assert line.sent == framed(b"\x03select 'long enough'", 0)


def test_a_command_behind_unsent_bytes_is_queued() -> None:
    line = Framing()
    line.put(b"first")
    line.left(2)
    line.command(3, b"x")
    assert bytes(line.output()) == framed(b"first", 0)[2:] + framed(b"\x03x", 0)


def test_payloads_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MAX_PAYLOAD", MAX_PACKET)
    line = Framing()
    feed(line, framed(bytes(MAX_PACKET), 0) + framed(b"x", 1))
    with pytest.raises(err.ProtocolError, match="a packet of more than"):
        line.take()


def test_a_length_that_is_only_claimed_takes_no_memory() -> None:
    session = ready_session()
    failure(session, query(session, b"x"), b"\xfe\xff\xff\x01" + bytes(100))
    assert len(session.inbox.data) == SMALL


@pytest.mark.parametrize("size", [1022, 1023, 1024, 5000])
def test_p19_statements_have_a_limit(size: int) -> None:
    """Of max_allowed_packet bytes, the command's own byte included; nothing is sent beyond."""
    session = ready_session(largest_command=1023)
    line = Line(session, [framed(ok())])
    if size < 1023:
        line.run(query(session, b"x" * size))
        return
    with pytest.raises(err.OperationalError, match=f"has {size} bytes") as caught:
        line.run(query(session, b"x" * size))
    assert caught.value.errno == CR.CR_NET_PACKET_TOO_LARGE
    assert (caught.value.sent, caught.value.fatal) == (False, False)
    assert session.state is State.READY
    assert not line.sent


@pytest.mark.parametrize("busy", [False, True])
def test_no_memory_for_what_was_received(monkeypatch: pytest.MonkeyPatch, busy: bool) -> None:
    def full(inbox: Inbox, count: int) -> None:
        raise err.OperationalError(CR.CR_OUT_OF_MEMORY, "No memory", fatal=True)

    session = ready_session()
    if busy:
        session.start(ping(session))
        session.sent(len(session.output()))
    monkeypatch.setattr(Inbox, "filled", full)
    session.filled(1)
    assert session.state is State.BROKEN
    if busy:
        with pytest.raises(err.OperationalError, match="No memory"):
            session.result()


# the inbox


def test_space_is_never_empty() -> None:
    inbox = Inbox()
    for _ in range(8):
        space = inbox.space()
        assert len(space) > 0
        inbox.filled(len(space))
    assert len(inbox.data) <= 4 * inbox.end


def test_room_is_made_by_moving_what_is_held() -> None:
    inbox = Inbox()
    inbox.space()[:] = bytes(range(256)) * (SMALL // 256)
    inbox.filled(SMALL - 1)
    inbox.start = SMALL - 200
    held = bytes(inbox.view[inbox.start : inbox.end])
    size = len(inbox.data)
    assert len(inbox.space()) >= SMALL // 2
    assert (len(inbox.data), inbox.start, inbox.end) == (size, 0, 199)
    assert bytes(inbox.view[:199]) == held


def test_a_giant_answer_is_given_back() -> None:
    inbox = Inbox()
    inbox.append(bytes(LARGE + 1))
    inbox.shrink()
    assert len(inbox.data) > LARGE
    inbox.start = inbox.end
    inbox.shrink()
    assert len(inbox.data) == SMALL
    assert (inbox.start, inbox.end) == (0, 0)


def test_no_memory_is_an_operational_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(bytearray):
        def __new__(cls, size: int) -> Full:
            raise MemoryError

    inbox = Inbox()
    inbox.end = SMALL
    monkeypatch.setattr(buffers, "bytearray", Full, raising=False)
    with pytest.raises(err.OperationalError, match="No memory for an answer") as caught:
        inbox.space()
    assert caught.value.errno == CR.CR_OUT_OF_MEMORY
    assert caught.value.fatal
