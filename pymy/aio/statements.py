"""Prepared statements of the asyncio connection. What they do is told in ``pymy.statements``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Any, Self

from ..basestatement import BaseStatement
from ..rows import Row
from .results import Running, rows_of

if TYPE_CHECKING:
    from .connections import Connection  # noqa: F401 - named in the bases
    from .cursors import Cursor


class Statement(BaseStatement["Connection[Any]", Row]):
    """A prepared statement: parsed once by the server, values go and come in binary."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    def execute(
        self, args: Any = None, *, timeout: float | None = None
    ) -> Running[Cursor[Row], Row]:
        """Run the statement with these values and return a cursor with its result.

        ``await`` it for the cursor, or ``async for row in statement.execute(...)``.
        """
        return Running(self._executed(args, timeout), rows_of)

    async def _executed(self, args: Any, timeout: float | None, **options: Any) -> Any:
        cursor = self._cursor(**options)
        await self.connection._run(self._executing(cursor, args), timeout)
        return cursor

    async def executemany(self, args: Iterable[Any]) -> int:
        """Run the statement once for each set of values: a round trip each."""
        self.connection._warn_unread()
        return await self.connection._run(self._executing_many(args))

    def stream(
        self, args: Any = None, *, fetch_size: int | None = None, timeout: float | None = None
    ) -> Running[AsyncGenerator[Row, None], Row]:
        """Iterate over the result in flat memory. See ``Connection.stream``."""
        return Running(self._streamed(args, fetch_size, timeout), lambda rows: rows)

    async def _streamed(
        self, args: Any, fetch_size: int | None, timeout: float | None
    ) -> AsyncGenerator[Any, None]:
        return rows_of(await self._executed(args, timeout, stream=True, fetch_size=fetch_size))


__all__ = ["Statement"]
