"""The compressed protocol."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import zstandard
from line import Line, failure, ready_session
from serverside import column, error, framed, ok, packets, result_set, row

from pymy import err
from pymy.constants import FIELD_TYPE
from pymy.protocol import compression
from pymy.protocol.commands import ping
from pymy.protocol.compression import COMPRESSIONS, MAX_FRAME, zlib_compression, zstd_compression
from pymy.protocol.framing import MAX_PACKET, Framing
from pymy.protocol.query import query
from pymy.protocol.session import Session
from pymy.protocol.state import State

PACK = {"zlib": zlib.compress, "zstd": zstandard.ZstdCompressor().compress}
each_kind = pytest.mark.parametrize("kind", ["zlib", "zstd"])


def frame(payload: bytes, number: int = 0, length: int = 0) -> bytes:
    return (
        len(payload).to_bytes(3, "little")
        + bytes([number])
        + length.to_bytes(3, "little")
        + (payload)
    )


def compressed(kind: str, plain: bytes, number: int = 0) -> bytes:
    return frame(PACK[kind](plain), number, len(plain))


def session_with(kind: str) -> Session:
    session = ready_session()
    session.start_compression(COMPRESSIONS[kind](None))
    return session


def frames(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Frame number, length before compression, payload."""
    while stream:
        size = int.from_bytes(stream[:3], "little")
        yield stream[3], int.from_bytes(stream[4:7], "little"), stream[7 : 7 + size]
        stream = stream[7 + size :]


@each_kind
@pytest.mark.parametrize("size", [0, 44, 45, 46, 1000])
def test_p122_small_payloads_stay_as_they_are(kind: str, size: int) -> None:
    session = session_with(kind)
    line = Line(session, [frame(framed(ok()), 1)])
    line.run(query(session, b"x" * size))
    ((number, length, payload),) = frames(bytes(line.sent))
    stream = framed(b"\x03" + b"x" * size, 0)
    assert number == 0
    if len(stream) < 50:
        assert (length, payload) == (0, stream)
    else:
        assert length == len(stream)
        expand = zlib.decompress if kind == "zlib" else zstandard.ZstdDecompressor().decompress
        assert expand(payload) == stream


@each_kind
def test_what_does_not_get_smaller_is_left(kind: str) -> None:
    noise = bytes((at * at * 7919 + at) % 251 for at in range(60))
    line = Framing()
    line.start_compression(COMPRESSIONS[kind](None))
    line.put(noise)
    ((_, length, payload),) = frames(bytes(line.output()))
    assert (length, payload) == (0, framed(noise, 0))


@each_kind
@pytest.mark.parametrize("cut", ["frames", "packets", "middle"])
@pytest.mark.parametrize("chunk", [None, 1, 7])
def test_frames_and_packets_are_independent(kind: str, cut: str, chunk: int | None) -> None:
    """Many packets in a frame, a packet over many frames, an empty frame in between."""
    columns = [column("s", FIELD_TYPE.VAR_STRING, 45)]
    stream = result_set(columns, [row(b"text %d" % at) for at in range(60)])
    size = {"frames": len(stream), "packets": 11, "middle": len(stream) // 2}[cut]
    turn = frame(b"", 1)
    for at in range(0, len(stream), size):
        piece = stream[at : at + size]
        turn += compressed(kind, piece) if at % 2 else frame(piece, at % 256)
    session = session_with(kind)
    result = Line(session, [turn], chunk=chunk).run(query(session, b"x"))
    assert result.rows == [(f"text {at}",) for at in range(60)]
    assert session.state is State.READY


@each_kind
def test_p6_inner_numbers_are_not_enforced(kind: str) -> None:
    session = session_with(kind)
    line = Line(session, [frame(packets(b"\x01", column(), start=77), 1)
                          + frame(packets(b"\xfe\0\0\x02\0", row(b"5"), b"\xfe\0\0\x02\0", start=3),
                                  9)])  # fmt: skip
    assert line.run(query(session, b"x")).rows == [(5,)]


@each_kind
def test_p5_an_error_with_a_count_of_its_own(kind: str) -> None:
    session = session_with(kind)
    exc = failure(session, ping(session), frame(framed(error(1053, "shutdown"), 0), 0))
    assert (exc.errno, exc.fatal) == (1053, True)


@each_kind
def test_p120_p125_each_command_counts_from_zero(kind: str) -> None:
    session = session_with(kind)
    line = Line(session, [frame(framed(ok()), 1)] * 3)
    for _ in range(3):
        line.run(ping(session))
    assert list(frames(bytes(line.sent))) == [(0, 0, framed(b"\x0e", 0))] * 3


@each_kind
@pytest.mark.parametrize("size", [MAX_PACKET - 6, MAX_PACKET - 5, MAX_PACKET - 4, 2 * MAX_PACKET])
def test_p123_long_payloads(kind: str, size: int) -> None:
    """No frame holds more than 16 MiB - 1 before compression; headers of packets count too."""
    line, back = Framing(), Framing()
    line.start_compression(COMPRESSIONS[kind](1))
    back.start_compression(COMPRESSIONS[kind](None))
    payload = b"\x03" + bytes(size)
    line.put(payload)
    stream = bytes(line.output())
    found = list(frames(stream))
    assert [number for number, _, _ in found] == list(range(len(found)))
    assert all(length <= MAX_FRAME for _, length, _ in found)
    view = memoryview(stream)
    while view:
        space = back.space()
        count = min(len(space), len(view))
        space[:count] = view[:count]
        back.received(count)
        view = view[count:]
    assert back.take() == payload


def test_frame_numbers_wrap() -> None:
    packer = zlib_compression(None)
    packer.sequence = 255
    assert [packer.wrap(b"x")[3], packer.wrap(b"y")[3]] == [255, 0]


# frames that lie


BOMB = bytes(1 << 20)


@each_kind
@pytest.mark.parametrize("announced", [1, 50, 5000])
def test_p124_a_bomb_stops_at_what_was_announced(kind: str, announced: int) -> None:
    session = session_with(kind)
    exc = failure(session, ping(session), frame(PACK[kind](BOMB), 1, announced))
    assert isinstance(exc, err.ProtocolError)
    assert "another length than it announced" in exc.message
    assert session.state is State.BROKEN
    assert len(session.inbox.data) <= 1 << 16


@each_kind
def test_p124_many_bombs_are_opened_one_at_a_time(kind: str) -> None:
    """Frames of a megabyte of which the first is no answer: the others are never opened."""
    session = session_with(kind)
    exc = failure(session, ping(session), compressed(kind, b"\x01\0\0\x01\x05" + BOMB) * 20)
    assert isinstance(exc, err.ProtocolError)
    assert len(session.inbox.data) <= 1 << 22


@each_kind
def test_a_frame_with_less_than_it_announced(kind: str) -> None:
    session = session_with(kind)
    exc = failure(session, ping(session), frame(PACK[kind](framed(ok())), 1, 5000))
    assert "another length than it announced" in exc.message


@each_kind
@pytest.mark.parametrize("payload", [b"", b"\0", b"not compressed at all", b"\x78\x9c\xff\xff\xff"])
def test_a_frame_that_is_not_compressed(kind: str, payload: bytes) -> None:
    session = session_with(kind)
    exc = failure(session, ping(session), frame(payload, 1, 40))
    assert isinstance(exc, err.ProtocolError)
    assert session.state is State.BROKEN


@each_kind
def test_a_frame_cut_short(kind: str) -> None:
    whole = compressed(kind, framed(ok(tail=bytes(100))))
    for size in range(len(whole)):
        session = session_with(kind)
        assert failure(session, ping(session), whole[:size]).errno == 2013


@each_kind
def test_a_claimed_length_takes_no_memory(kind: str) -> None:
    session = session_with(kind)
    failure(session, ping(session), b"\xff\xff\xff\x01\xff\xff\xff" + bytes(100))
    assert session.compression is not None
    assert len(session.compression.frames.data) <= 1 << 15


def test_last_words_in_a_frame() -> None:
    session = session_with("zlib")
    session.start(ping(session))
    said = frame(framed(error(4031, "idle for too long"), 0), 0)
    session.space()[: len(said)] = said
    session.received(len(said))
    session.lost("broken pipe")
    with pytest.raises(err.OperationalError, match="idle for too long"):
        session.result()


def test_last_words_in_a_broken_frame() -> None:
    session = session_with("zlib")
    said = frame(b"broken", 0, 40)
    session.space()[: len(said)] = said
    session.filled(len(said))
    session.eof()
    assert session.state is State.BROKEN
    assert session.broken_by is not None
    assert session.broken_by.errno == 2013


# where zstd comes from


def test_levels() -> None:
    assert len(zlib_compression(9).wrap(BOMB)) < len(zlib_compression(1).wrap(BOMB))
    assert zstd_compression(19).wrap(BOMB)


def test_zstd_of_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    class Expander:
        def __init__(self, options: dict[str, int]) -> None:
            assert options == {"window": 24}, "16 MiB, what a frame holds at most"

        def decompress(self, data: bytes, limit: int) -> bytes:
            return zstandard.ZstdDecompressor().decompress(data)[:limit]

    def compress(data: bytes, level: int) -> bytes:
        return zstandard.ZstdCompressor(level=level).compress(data)

    std: Any = SimpleNamespace(
        compress=compress,
        ZstdDecompressor=Expander,
        DecompressionParameter=SimpleNamespace(window_log_max="window"),
    )
    original = compression.importlib.import_module

    def import_module(name: str) -> ModuleType:
        return std if name == "compression.zstd" else original(name)

    monkeypatch.setattr(compression.importlib, "import_module", import_module)
    session = ready_session()
    session.start_compression(zstd_compression(None))
    line = Line(session, [compressed("zstd", framed(ok(4, tail=bytes(100))))])
    assert line.run(query(session, b"x" * 100)).affected_rows == 4


def test_no_zstd_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression", None)
    with pytest.raises(err.NotSupportedError, match=r"pip install 'pymy\[zstd\]'"):
        zstd_compression(None)
