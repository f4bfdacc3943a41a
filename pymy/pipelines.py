"""Pipelines: many commands, few round trips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self  # noqa: F401 - named in the bases

from .basepipeline import BasePipeline, PipelineResult
from .nonblocking import startable
from .rows import Row

if TYPE_CHECKING:
    from .connections import Connection  # noqa: F401 - named in the bases


class Pipeline(BasePipeline["Connection[Any]", Row]):
    """Commands that go out together; ``conn.pipeline()`` makes one.

    A context manager: leaving it sends what is queued and reads all answers. Behind an exception
    what is queued is dropped. Not for two threads at a time, as its connection.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *rest: object) -> None:
        if self._end(exc_type is not None):
            try:
                self._sending()
            finally:
                self._end(failed=True)  # what did not even begin

    def flush(self) -> None:
        """Send what is queued and read the answers.

        Sends a COM_QUERY or COM_STMT_EXECUTE for each command, up to 256 and 32 KiB of them ahead
        of their answers: a round trip for all, or one for as much as that. Nothing queued: nothing.
        One by one, a round trip each, with compression, with ``local_infile`` or with
        ``pipelining=False``, once a link was lost between two answers, and with autocommit on in a
        transaction of ``begin()``, or of a block whose pipeline may end it: not behind a deadlock.

        Raises the first command's error, when all are answered, unless ``on_error`` is "keep"; and
        what ended the connection or the time, as ``Cursor.execute`` does.
        """
        if self._queue:
            self._sending()

    def _sending(self) -> None:
        self.connection._warn_unread()
        self.connection._run(self._flushing(), self._timeout)

    start_flush = startable(flush)


__all__ = ["Pipeline", "PipelineResult"]
