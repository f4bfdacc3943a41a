"""One value of any size, as a stream of bytes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from .basevalue import PIECE, BaseValueStream
from .nonblocking import startable

if TYPE_CHECKING:
    from .connections import Connection  # noqa: F401 - named in the bases


class ValueStream(BaseValueStream["Connection[Any]"], io.RawIOBase):
    """A value that is read as it comes from the server; ``conn.stream_value()`` makes one.

    A raw binary file: for ``shutil.copyfileobj``, ``io.BufferedReader``, ``io.TextIOWrapper``.
    Iterating gives pieces of bytes as they arrive; lines are for the wrappers. A context manager:
    leaving it closes.

    Source: https://docs.python.org/3/library/io.html#io.RawIOBase
    """

    _is_dropped = False

    def __next__(self) -> bytes:
        piece = self.read(PIECE)
        if not piece:
            raise StopIteration
        return piece

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Read what has arrived, at most ``size`` bytes; b"" is the end.

        No more than one wait. Without a size, or below zero: everything that is left, in one piece.
        Raises ProgrammingError behind the value when the statement gave more rows, the server's
        error if it ended in one (the connection is usable), InterfaceError 2050 when another
        command dropped the rest, ValueError when the stream is closed.
        """
        connection = self._check_open()
        return connection._run(self._reading(connection, size))

    def readall(self) -> bytes:
        """Read everything that is left, in one piece."""
        return self.read(-1)

    def readinto(self, buffer: Any) -> int:
        """Read what has arrived into a buffer, and return how many bytes that was; 0 is the end."""
        connection = self._check_open()
        return connection._run(self._reading_into(connection, buffer))

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """Read the lines that are left, byte by byte; ``io.BufferedReader`` is the way to do it."""
        lines: list[bytes] = []
        most = hint if hint is not None and hint > 0 else None
        while (most is None or sum(map(len, lines)) < most) and (line := self.readline()):
            lines.append(line)
        return lines

    def close(self) -> None:
        """Close the stream; what was not read is dropped. Closing twice is harmless.

        As for ``SSCursor``: little is read to its end, much is stopped by KILL QUERY over a second
        connection.
        """
        super().close()
        if not self._is_dropped:
            self._cursor.close()

    def __del__(self) -> None:
        """Do nothing: a file would close itself, and talk to the server from any thread."""

    def _dealloc_warn(self, source: object) -> None:
        # how CPython's wrappers tell what is below them that nobody closed them, before they do
        self._is_dropped = True

    start_read = startable(read)
    start_readall = startable(readall)
    start_readinto = startable(readinto)
    start_close = startable(close)


__all__ = ["ValueStream"]
