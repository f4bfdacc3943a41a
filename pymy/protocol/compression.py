"""The compressed protocol: frames around the packet stream, zlib or zstd.

======  =====  ==========================================================
offset  width  field
======  =====  ==========================================================
0       3      length of the compressed payload
3       1      sequence id of the frame (its own count, apart from packets')
4       3      length before compression, 0 = payload is not compressed
7       ...    payload
======  =====  ==========================================================

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression_packet.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/0-packet
"""

from __future__ import annotations

import importlib
import io
import zlib
from collections.abc import Callable
from typing import Any

from pymy.constants import CR
from pymy.err import NotSupportedError
from pymy.protocol.buffers import Inbox
from pymy.protocol.wire import malformed

HEADER = 7
MAX_FRAME = 0xFFFFFF
# Below this the frame header outweighs what is saved; MySQL's MIN_COMPRESS_LENGTH.
WORTH_COMPRESSING = 50
# zstd allocates the window a frame names before it reads it; no more is needed than a frame holds.
LARGEST_WINDOW = 1 << 24


class Compression:
    """Cut an outgoing stream into frames and join incoming frames into a stream.

    Inflating never makes more bytes than the frame's header announced, which is at most 16 MiB: a
    bomb ends as a ProtocolError.
    """

    def __init__(
        self, compress: Callable[[bytes], bytes], expand: Callable[[bytes, int], bytes]
    ) -> None:
        self._compress = compress
        self._expand = expand
        self.sequence = 0
        self.frames = Inbox()

    def restart(self) -> None:
        """Begin a command: both sides count frames from zero again."""
        self.sequence = 0

    def wrap(self, stream: bytes) -> bytes:
        frames = []
        for at in range(0, len(stream), MAX_FRAME):
            plain = stream[at : at + MAX_FRAME]
            packed = self._compress(plain) if len(plain) >= WORTH_COMPRESSING else plain
            if len(packed) >= len(plain):
                packed, length = plain, 0
            else:
                length = len(plain)
            frames.append(
                len(packed).to_bytes(3, "little")
                + self.sequence.to_bytes(1, "little")
                + length.to_bytes(3, "little")
                + packed
            )
            self.sequence = (self.sequence + 1) & 0xFF
        return b"".join(frames)

    def unwrap(self, into: Inbox) -> bool:
        """Move one frame's stream into the packet inbox; False when no frame is complete.

        One at a time: a small receive may hold many frames of 16 MiB each.
        """
        inbox = self.frames
        data, at = inbox.data, inbox.start
        if inbox.end - at < HEADER:
            return False
        size = int.from_bytes(data[at : at + 3], "little")
        if inbox.end - at < HEADER + size:
            return False
        length = int.from_bytes(data[at + 4 : at + 7], "little")
        packed = bytes(inbox.view[at + HEADER : at + HEADER + size])
        # A server reports a fatal error with a count of its own (P5), so frames are not refused
        # by their number; the packets inside tell.
        self.sequence = (data[at + 3] + 1) & 0xFF
        inbox.start = at + HEADER + size
        into.append(self._inflated(packed, length) if length else packed)
        return True

    def _inflated(self, packed: bytes, length: int) -> bytes:
        try:
            plain = self._expand(packed, length)
        except Exception as exc:  # zlib.error, ZstdError: which of them depends on the library
            raise malformed(f"a compressed frame that does not expand ({exc})") from exc
        if len(plain) != length:
            raise malformed("a compressed frame of another length than it announced")
        return plain


def zlib_compression(level: int | None) -> Compression:
    chosen = zlib.Z_DEFAULT_COMPRESSION if level is None else level

    def expand(packed: bytes, length: int) -> bytes:
        return zlib.decompressobj().decompress(packed, length + 1)

    return Compression(lambda plain: zlib.compress(plain, chosen), expand)


def zstd_compression(level: int | None) -> Compression:
    """Use the standard library's zstd (Python 3.14), else the ``zstandard`` package."""
    chosen = 3 if level is None else level
    try:
        std: Any = importlib.import_module("compression.zstd")
    except ImportError:
        return _zstandard(chosen)

    window = {std.DecompressionParameter.window_log_max: LARGEST_WINDOW.bit_length() - 1}

    def expand(packed: bytes, length: int) -> bytes:
        plain: bytes = std.ZstdDecompressor(options=window).decompress(packed, length + 1)
        return plain

    return Compression(lambda plain: std.compress(plain, level=chosen), expand)


def _zstandard(level: int) -> Compression:
    try:
        package: Any = importlib.import_module("zstandard")
    except ImportError:
        raise NotSupportedError(
            CR.CR_COMPRESSION_WRONGLY_CONFIGURED,
            "compress='zstd' needs Python 3.14 or the zstandard package: pip install 'pymy[zstd]', "
            "or use compress='zlib'",
        ) from None
    compressor = package.ZstdCompressor(level=level)

    def expand(packed: bytes, length: int) -> bytes:
        # a bounded read: decompress() would trust the size written inside the frame
        opened = package.ZstdDecompressor(max_window_size=LARGEST_WINDOW)
        plain: bytes = opened.stream_reader(io.BytesIO(packed)).read(length + 1)
        return plain

    return Compression(compressor.compress, expand)


COMPRESSIONS: dict[str, Callable[[int | None], Compression]] = {
    "zlib": zlib_compression,
    "zstd": zstd_compression,
}
