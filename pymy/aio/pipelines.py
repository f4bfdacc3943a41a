"""Pipelines of the asyncio connection. What they do is told in ``pymy.pipelines``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self  # noqa: F401 - named in the bases

from ..basepipeline import BasePipeline, PipelineResult
from ..rows import Row

if TYPE_CHECKING:
    from .connections import Connection  # noqa: F401 - named in the bases


class Pipeline(BasePipeline["Connection[Any]", Row]):
    """Commands that go out together; ``conn.pipeline()`` makes one."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *rest: object) -> None:
        if self._end(exc_type is not None):
            try:
                await self._sending()
            finally:
                self._end(failed=True)

    async def flush(self) -> None:
        """Send what is queued and read the answers."""
        if self._queue:
            await self._sending()

    async def _sending(self) -> None:
        self.connection._warn_unread()
        await self.connection._run(self._flushing(), self._timeout)


__all__ = ["Pipeline", "PipelineResult"]
