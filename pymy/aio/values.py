"""Streams of one value of the asyncio connection. What they do is told in ``pymy.values``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from ..basevalue import PIECE, BaseValueStream

if TYPE_CHECKING:
    from .connections import Connection  # noqa: F401 - named in the bases


class ValueStream(BaseValueStream["Connection[Any]"]):
    """A value that is read as it comes from the server; ``conn.stream_value()`` makes one.

    Iterating gives pieces of bytes as they arrive. An async context manager: leaving it closes.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.read(PIECE)
        if not piece:
            raise StopAsyncIteration
        return piece

    @property
    def closed(self) -> bool:
        """True behind ``close()``."""
        return self.connection is None

    async def read(self, size: int | None = -1) -> bytes:
        """Read what has arrived, at most ``size`` bytes; b"" is the end."""
        connection = self._check_open()
        return await connection._run(self._reading(connection, size))

    async def readinto(self, buffer: Any) -> int:
        """Read what has arrived into a buffer, and return how many bytes that was; 0 is the end."""
        connection = self._check_open()
        return await connection._run(self._reading_into(connection, buffer))

    async def close(self) -> None:
        """Close the stream; what was not read is dropped. Closing twice is harmless."""
        await self._cursor.close()


__all__ = ["ValueStream"]
