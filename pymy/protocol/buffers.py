"""The inbox: one kept buffer between the socket and the parsers."""

from __future__ import annotations

from pymy.constants import CR
from pymy.err import OperationalError

SMALL = 16 * 1024
LARGE = 256 * 1024


class Inbox:
    """Bytes received and not yet parsed: ``data[start:end]``.

    ``space()`` is never empty, so a receive of zero bytes always means the peer hung up. The buffer
    doubles when one receive fills it, which bounds memory by what the peer really sent (never by a
    length it claims), and shrinks again once a large answer has been read.
    """

    __slots__ = ("data", "end", "start", "view")

    def __init__(self, size: int = SMALL) -> None:
        self._allocate(size)
        self.start = 0
        self.end = 0

    def _allocate(self, size: int) -> None:
        self.data = bytearray(size)
        self.view = memoryview(self.data)

    def space(self) -> memoryview:
        if self.start == self.end:
            self.start = self.end = 0
            return self.view
        if len(self.data) - self.end < SMALL // 2:
            self._make_room(SMALL // 2)
        return self.view[self.end :]

    def _make_room(self, least: int) -> None:
        held = self.view[self.start : self.end]
        size = len(self.data)
        while size - len(held) < max(least, size // 2):
            size *= 2
        try:
            # a fresh buffer even when the size stays: a consumer may still look at the old one
            fresh = bytearray(size)
        except MemoryError:
            raise OperationalError(
                CR.CR_OUT_OF_MEMORY,
                f"No memory for an answer of more than {len(held)} bytes: "
                "fetch fewer or smaller values, or stream the rows",
                fatal=True,
            ) from None
        fresh[: len(held)] = held
        self.start, self.end = 0, len(held)
        self.data = fresh
        self.view = memoryview(fresh)

    def filled(self, count: int) -> None:
        self.end += count
        if self.end == len(self.data) and len(self.data) < LARGE and self.start == 0:
            self._make_room(len(self.data))

    def append(self, piece: bytes) -> None:
        if len(self.data) - self.end < len(piece):
            self._make_room(len(piece))
        end = self.end + len(piece)
        self.data[self.end : end] = piece
        self.end = end

    def shrink(self) -> None:
        """Give back the memory of a giant answer (called between commands)."""
        if self.start == self.end:
            self.start = self.end = 0
            if len(self.data) > LARGE:
                self._allocate(SMALL)
