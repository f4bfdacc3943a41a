"""What ``execute()`` and ``stream()`` give before anything is awaited."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from ..rows import Row

T = TypeVar("T")


async def rows_of(cursor: Any) -> AsyncGenerator[Any, None]:
    """Give a cursor's rows and close it."""
    async with cursor:
        async for row in cursor:
            yield row


class Running(Coroutine[Any, Any, T], Generic[T, Row]):
    """A statement on its way: ``await`` it for its result, or loop over its rows at once.

    Nothing is sent before one of the two. Close it, for instance with ``contextlib.aclosing``, when
    the loop is left early.
    """

    def __init__(
        self,
        start: Coroutine[Any, Any, T],
        rows: Callable[[T], AsyncGenerator[Row, None]],
    ) -> None:
        self._start = start
        self._rows = rows
        self._iterator: AsyncGenerator[Row, None] | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        return self._start.__await__()

    # the rest of a coroutine, for asyncio.create_task()

    def send(self, value: Any) -> Any:
        return self._start.send(value)

    def throw(self, *exc_info: Any) -> Any:
        return self._start.throw(*exc_info)

    def close(self) -> None:
        self._start.close()

    def __aiter__(self) -> AsyncGenerator[Row, None]:
        self._iterator = self._iterate()
        return self._iterator

    async def _iterate(self) -> AsyncGenerator[Row, None]:
        rows = self._rows(await self._start)
        try:
            async for row in rows:
                yield row
        finally:
            await rows.aclose()

    async def aclose(self) -> None:
        """Close the statement's cursor; harmless when the rows were read to their end."""
        if self._iterator is not None:
            await self._iterator.aclose()
        self._start.close()
