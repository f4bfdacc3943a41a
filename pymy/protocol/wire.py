"""Reading and writing the protocol's basic types, each length checked against what is left.

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/protocol-data-types
"""

from __future__ import annotations

from pymy.constants import CR
from pymy.err import ProtocolError


def malformed(what: str, data: bytes = b"") -> ProtocolError:
    seen = f" (starts with {bytes(data[:16])!r})" if data else ""
    return ProtocolError(
        CR.CR_MALFORMED_PACKET,
        f"The server sent {what}{seen}. The connection is closed; "
        "check that host and port are those of a MySQL or MariaDB server",
    )


def readable(data: bytes, encoding: str) -> str:
    """Decode a name or a message: it comes in the connection's charset, in UTF-8 with "binary"."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode(encoding, "replace")


class Reader:
    """A position in one packet's payload."""

    __slots__ = ("data", "pos")

    def __init__(self, data: bytes, pos: int = 0) -> None:
        self.data = data
        self.pos = pos

    def left(self) -> int:
        return len(self.data) - self.pos

    def take(self, count: int) -> bytes:
        stop = self.pos + count
        if count < 0 or stop > len(self.data):
            raise malformed("a packet shorter than its own lengths say", self.data)
        piece = self.data[self.pos : stop]
        self.pos = stop
        return piece

    def integer(self, width: int) -> int:
        if width == 1 and self.pos < len(self.data):
            self.pos += 1
            return self.data[self.pos - 1]
        return int.from_bytes(self.take(width), "little")

    def lenenc(self) -> int:
        first = self.data[self.pos] if self.pos < len(self.data) else 0xFF
        if first < 0xFB:
            self.pos += 1
            return first
        first = self.integer(1)
        if first in (0xFB, 0xFF):
            # 0xFB is NULL and 0xFF is ERR: neither starts an integer
            raise malformed("a length that is not a number", self.data)
        return self.integer(2 if first == 0xFC else 3 if first == 0xFD else 8)

    def lenenc_bytes(self) -> bytes:
        return self.take(self.lenenc())

    def strings(self) -> list[bytes]:
        """Take the lenenc strings that are left, in one go: a login's answer has dozens."""
        data, end = self.data, len(self.data)
        found = []
        while self.pos < end:
            start = self.pos + 1
            size = data[self.pos]
            if size > 0xFA:
                size = self.lenenc()
                start = self.pos
            self.pos = start + size
            if self.pos > end:
                raise malformed("a packet shorter than its own lengths say", data)
            found.append(data[start : self.pos])
        return found

    def until_nul(self) -> bytes:
        """Take up to the next NUL, or the rest where the NUL is missing (old servers, P23)."""
        stop = self.data.find(b"\0", self.pos)
        if stop < 0:
            return self.rest()
        piece = self.data[self.pos : stop]
        self.pos = stop + 1
        return piece

    def rest(self) -> bytes:
        piece = self.data[self.pos :]
        self.pos = len(self.data)
        return piece


def lenenc(number: int) -> bytes:
    if number < 0xFB:
        return number.to_bytes(1, "little")
    if number < 1 << 16:
        return b"\xfc" + number.to_bytes(2, "little")
    if number < 1 << 24:
        return b"\xfd" + number.to_bytes(3, "little")
    return b"\xfe" + number.to_bytes(8, "little")


def lenenc_bytes(piece: bytes) -> bytes:
    return lenenc(len(piece)) + piece
