"""Cursors of the asyncio connection. What they do is told in ``pymy.cursors``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable
from typing import TYPE_CHECKING, Any, Self

from ..basecursor import END, BaseCursor, DictRows, Unbuffered
from ..basefetching import Fetching
from ..rows import Row, Rows

if TYPE_CHECKING:
    from .connections import Connection  # noqa: F401 - named in the bases


class Cursor(BaseCursor["Connection[Any]", Row]):
    """Runs statements and holds the whole result in memory. See ``pymy.Cursor``."""

    def __await__(self) -> Generator[Any, Any, Self]:
        return self._self().__await__()

    async def _self(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[Row]:
        return self

    async def __anext__(self) -> Row:
        row: Row = await self._row(END)
        if row is END:
            raise StopAsyncIteration
        return row

    async def _row(self, end: Any) -> Any:
        return self._next_row(end)

    @property
    def closed(self) -> bool:
        """True after ``close()`` (aiomysql's name)."""
        return self.connection is None

    async def close(self) -> None:
        """Close the cursor; what it did not read yet is dropped. Closing twice is harmless."""
        connection, self.connection = self.connection, None  # type: ignore[assignment]
        if connection is not None and connection.open and self._has_more(connection):
            await connection._run(self._closing(connection))

    async def execute(
        self, query: str | bytes, args: Any = None, *, timeout: float | None = None
    ) -> int:
        """Run a statement with parameters written in as literals."""
        connection = self._start()
        return await connection._run(self._executing(connection, query, args), timeout)

    async def executemany(self, query: str | bytes, args: Iterable[Any]) -> int | None:
        """Run a statement once for each set of parameters."""
        connection = self._start()
        return await connection._run(self._executing_many(connection, query, args))

    async def callproc(self, procname: str, args: Iterable[Any] = ()) -> Any:
        """Call a stored procedure; its result sets are read with ``fetch...`` and ``nextset``."""
        connection = self._start()
        return await connection._run(self._calling(connection, procname, args))

    async def nextset(self) -> bool | None:
        """Go to the next result of the last statement; None when there is none."""
        connection = self._open_connection()
        if self._ahead:
            return self._from_ahead()
        if not self._has_more(connection):
            return None
        return await connection._run(self._advancing(connection))

    async def fetchone(self) -> Row | None:
        """Return the next row, None behind the last."""
        row: Row | None = self._next_row()
        return row

    async def fetchmany(self, size: int | None = None) -> Rows[Row]:
        """Return the next ``size`` rows (default ``arraysize``); empty behind the last."""
        return self._next_rows(self.arraysize if size is None else size)

    async def fetchall(self) -> Rows[Row]:
        """Return the rows that were not fetched yet; empty behind the last."""
        return self._next_rows(None)

    async def scroll(self, value: int, mode: str = "relative") -> None:
        """Move to another row of the result: by ``value`` rows, or to number ``value``."""
        self._scroll(value, mode)


class SSCursor(Unbuffered["Connection[Any]", Row], Cursor[Row]):
    """An unbuffered cursor: rows are read from the server as they are fetched, in flat memory."""

    async def _hold(self, rows: int | None) -> None:
        connection = self._open_connection()
        self._check_current(connection)
        if self._lacks(rows):
            await connection._run(self._reading(connection, rows))

    async def fetchone(self) -> Row | None:
        """Return the next row, None behind the last."""
        row: Row | None = await self._row(None)
        return row

    async def _row(self, end: Any) -> Any:
        await self._hold(1)
        return self._next_row(end)

    async def fetchmany(self, size: int | None = None) -> Rows[Row]:
        """Return the next ``size`` rows (default ``arraysize``), fewer at the end."""
        wanted = self.arraysize if size is None else size
        await self._hold(wanted)
        return self._next_rows(wanted)

    async def fetchall(self) -> Rows[Row]:
        """Return all rows that are left, in one list: that memory is not flat."""
        await self._hold(None)
        return self._next_rows(None)

    def fetchall_unbuffered(self) -> AsyncIterator[Row]:
        """Iterate over the rows that are left."""
        return self.__aiter__()

    async def read_next(self) -> Row | None:
        """Return the next row, None behind the last (PyMySQL's name)."""
        return await self.fetchone()

    async def scroll(self, value: int, mode: str = "relative") -> None:
        """Skip rows forward; an unbuffered result knows no way back."""
        for _ in range(self._forward(value, mode)):
            if await self._row(END) is END:
                raise IndexError("scroll() went past the last row")


class FetchCursor(Fetching["Connection[Any]", Row], SSCursor[Row]):
    """A cursor over rows that wait at the server: what ``stream(fetch_size=...)`` iterates over."""

    async def close(self) -> None:
        """Close it, and have the server's cursor closed in front of the next command."""
        self._free()
        await super().close()


class DictCursor(DictRows, Cursor[dict[str, Any]]):
    """A cursor whose rows are dicts; a column name that occurs again is ``table.name``."""


class SSDictCursor(DictRows, SSCursor[dict[str, Any]]):
    """An unbuffered cursor whose rows are dicts."""
