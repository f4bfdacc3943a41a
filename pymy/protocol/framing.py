"""Bytes to packets and back.

======  =====  ==================================================================
offset  width  field
======  =====  ==================================================================
0       3      length of the payload; 0xFFFFFF = another packet continues it
3       1      sequence id, counts both sides' packets of one command, wraps at 256
4       ...    payload
======  =====  ==================================================================

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/0-packet
"""

from __future__ import annotations

from collections.abc import Iterable

from pymy.constants import CR
from pymy.err import OperationalError, ProtocolError
from pymy.protocol.buffers import Inbox
from pymy.protocol.compression import Compression
from pymy.protocol.wire import malformed

MAX_PACKET = 0xFFFFFF
# The largest value of max_allowed_packet that either server takes.
MAX_PAYLOAD = 1 << 30


class Framing:
    """The byte side of a session: inbox, outbox and sequence ids.

    Reading: ``space()``, ``filled(n)``, then ``take()`` until it returns None.
    Writing: ``command()`` or ``put()``, then ``output()``, ``sent(n)``.
    """

    def __init__(self) -> None:
        self.inbox = Inbox()
        self.sequence = 0
        self.checks_sequence = True
        self.wrong_sequence = False
        self.largest_packet = MAX_PACKET
        self.compression: Compression | None = None
        self._parts: list[bytes] = []
        self._parts_size = 0
        self.in_pieces = False  # a payload was begun by piece() and not ended
        self._continued = False  # ... whose present packet is not its last
        self._left = 0  # ... of which so much is still to be read
        self._out: bytes = b""
        self._out_at = 0
        self.bytes_sent = 0
        self.bytes_received = 0

    # -- receiving

    def space(self) -> memoryview:
        """Return the room for received bytes; never empty."""
        if self.compression is not None:
            return self.compression.frames.space()
        return self.inbox.space()

    def received(self, count: int) -> None:
        """Take note of ``count`` bytes written into ``space()``."""
        self.bytes_received += count
        if self.compression is None:
            self.inbox.filled(count)
        else:
            self.compression.frames.filled(count)

    @property
    def held(self) -> int:
        """Return how many received bytes wait to be parsed."""
        held = self.inbox.end - self.inbox.start
        if self.compression is not None:
            held += self.compression.frames.end - self.compression.frames.start
        return held

    def trust_next(self) -> None:
        """Take the next packet's number as it is: its sender has not seen all of ours yet."""
        inbox = self.inbox
        if inbox.end - inbox.start >= 4:
            self.sequence = inbox.data[inbox.start + 3]

    @property
    def joining(self) -> bool:
        """Tell whether ``take()`` holds the first parts of a payload."""
        return bool(self._parts)

    def take(self) -> bytes | None:
        """Return the next payload, or None until more bytes arrive.

        A payload cut at 16 MiB - 1 is joined; a packet of length zero ends it (P1).
        """
        inbox = self.inbox
        while True:
            data, start = inbox.data, inbox.start
            if inbox.end - start < 4:
                if self._unwrapped():
                    continue
                return None
            size = data[start] | data[start + 1] << 8 | data[start + 2] << 16
            stop = start + 4 + size
            if size > self.largest_packet:
                raise malformed(
                    "no greeting of a server, or too large a packet for a login",
                    bytes(data[start : start + 16]),
                )
            if stop > inbox.end:
                if self._unwrapped():
                    continue
                return None
            payload = bytes(inbox.view[start + 4 : stop])
            sequence = data[start + 3]
            if sequence != self.sequence and self.checks_sequence:
                self._accept_only_errors(payload, sequence)
            self.sequence = (sequence + 1) & 0xFF
            inbox.start = stop
            if size < MAX_PACKET and not self._parts:
                if not size:
                    raise malformed("an empty packet")
                return payload
            self._parts.append(payload)
            self._parts_size += size
            if self._parts_size > MAX_PAYLOAD:
                raise malformed(f"a packet of more than {MAX_PAYLOAD} bytes")
            if size < MAX_PACKET:
                payload = b"".join(self._parts)
                self._parts.clear()
                self._parts_size = 0
                return payload

    # -- receiving a payload in pieces, so that it is never held whole

    def coming(self) -> tuple[int, int] | None:
        """Return size and first byte of the next packet, or None until they arrive."""
        inbox = self.inbox
        while True:
            data, start, held = inbox.data, inbox.start, inbox.end - inbox.start
            if held >= 4:
                size = data[start] | data[start + 1] << 8 | data[start + 2] << 16
                if not size:
                    raise malformed("an empty packet")
                if held > 4:
                    return size, data[start + 4]
            if not self._unwrapped():
                return None

    def piece(self, most: int) -> bytes | None:
        """Return the next bytes of a payload, at most so many, or None until more arrive.

        The first call begins the payload and b"" ends it; nothing may be taken between the two.
        """
        inbox = self.inbox
        while True:
            held = inbox.end - inbox.start
            if self._left and held:
                stop = inbox.start + min(most, held, self._left)
                piece = bytes(inbox.view[inbox.start : stop])
                inbox.start = stop
                self._left -= len(piece)
                return piece
            if self.in_pieces and not self._left and not self._continued:
                self.in_pieces = False
                self._parts_size = 0
                return b""
            if not self._left and held >= 4:
                self._begin_packet()
            elif not self._unwrapped():
                return None

    def _begin_packet(self) -> None:
        inbox = self.inbox
        data, start = inbox.data, inbox.start
        if data[start + 3] != self.sequence and self.checks_sequence:
            self._accept_only_errors(b"", data[start + 3])
        self.sequence = (data[start + 3] + 1) & 0xFF
        self._left = data[start] | data[start + 1] << 8 | data[start + 2] << 16
        self._continued = self._left == MAX_PACKET
        self.in_pieces = True
        inbox.start = start + 4
        self._parts_size += self._left
        if self._parts_size > MAX_PAYLOAD:
            raise malformed(f"a packet of more than {MAX_PAYLOAD} bytes")

    def skip(self) -> int:
        """Drop what has arrived of a payload, and return how much that was."""
        dropped = 0
        while piece := self.piece(MAX_PACKET):
            dropped += len(piece)
        return dropped

    def _unwrapped(self) -> bool:
        return self.compression is not None and self.compression.unwrap(self.inbox)

    def _accept_only_errors(self, payload: bytes, sequence: int) -> None:
        """Let an ERR through whatever its number (P5): too many connections, idle time-out."""
        if payload[:1] == b"\xff" and not self._parts:
            self.wrong_sequence = True
            return
        raise ProtocolError(
            CR.CR_COMMANDS_OUT_OF_SYNC,
            f"Packets out of order: number {sequence} came where {self.sequence} was due. "
            "The connection is closed; was its socket used by something else, or by two threads?",
        )

    # -- sending

    def command(self, code: int, payload: bytes = b"") -> None:
        """Begin a command: sequence ids start again at zero."""
        self.sequence = 0
        self.wrong_sequence = False
        if self.compression is not None:
            self.compression.restart()
        size = len(payload) + 1
        if size < MAX_PACKET and self.compression is None and not self._out_at:
            self.sequence = 1
            # the sequence id is zero, so the length fills all four bytes of the header
            self._out += b"%b%c%b" % (size.to_bytes(4, "little"), code, payload)
        else:
            self.put(b"%c%b" % (code, payload))

    def commands(self, several: Iterable[tuple[int, bytes]]) -> None:
        """Begin several commands, of a packet each, behind what waits to be sent."""
        self.sequence = 1
        self._out += b"".join(
            [
                b"%b%c%b" % ((len(payload) + 1).to_bytes(4, "little"), code, payload)
                for code, payload in several
            ]
        )

    def put(self, payload: bytes) -> None:
        """Queue one payload, cut at 16 MiB - 1 with the empty trailer that P1 asks for."""
        pieces = []
        for at in range(0, len(payload) + 1, MAX_PACKET):
            piece = payload[at : at + MAX_PACKET]
            pieces.append(len(piece).to_bytes(3, "little") + self.sequence.to_bytes(1, "little"))
            pieces.append(piece)
            self.sequence = (self.sequence + 1) & 0xFF
        stream = b"".join(pieces)
        if self.compression is not None:
            stream = self.compression.wrap(stream)
        self._out = (self._out[self._out_at :] + stream) if self._out else stream
        self._out_at = 0

    def output(self) -> bytes | memoryview:
        """Return what waits to be sent."""
        return memoryview(self._out)[self._out_at :] if self._out_at else self._out

    def left(self, count: int) -> None:
        """Take note that the first ``count`` bytes of ``output()`` went out."""
        self._out_at += count
        self.bytes_sent += count
        if self._out_at >= len(self._out):
            self._out = b""
            self._out_at = 0

    def start_compression(self, compression: Compression) -> None:
        if self.inbox.start != self.inbox.end:
            raise OperationalError(
                CR.CR_MALFORMED_PACKET,
                "The server sent bytes between its login answer and compression",
                fatal=True,
            )
        self.compression = compression
        # Inner numbers follow the frames on some servers (P6).
        self.checks_sequence = False
