"""What cursors over rows that wait at the server share: everything that does not wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import err
from .basecursor import Conn, DictRows, Unbuffered
from .constants import CR
from .protocol.needs import Conversation
from .protocol.servercursor import fetch
from .rows import Row

if TYPE_CHECKING:
    from .basestatement import BaseStatement
    from .protocol.statements import Prepared


class Fetching(Unbuffered[Conn, Row]):
    """Rows that the server hands out by so many; other statements may run between them."""

    _statement: BaseStatement[Any, Any] | None = None
    _prepared: Prepared | None = None
    _fetch_size = 1

    def _is_current(self, connection: Conn) -> bool:
        return self._result is not None or super()._is_current(connection)

    def _has_more(self, connection: Conn) -> bool:
        return False  # on the line

    def _reading(self, connection: Conn, rows: int | None) -> Conversation[None]:
        while self._lacks(rows):
            result, prepared = self._result, self._prepared
            assert result is not None
            assert prepared is not None
            connection._warn_unread()
            try:
                batch = yield from fetch(connection._session, prepared, result, self._fetch_size)
            finally:
                self._wants_more = result.unread
            self._add(batch)

    def _executing(self, connection: Conn, sql: str | bytes, args: Any) -> Conversation[int]:
        raise self._refusal()

    def _executing_many(
        self, connection: Conn, sql: str | bytes, args: Iterable[Any], results: bool
    ) -> Conversation[int | None]:
        raise self._refusal()

    def _calling(
        self, connection: Conn, procname: str, args: Iterable[Any]
    ) -> Conversation[Iterable[Any]]:
        raise self._refusal()

    @staticmethod
    def _refusal() -> err.Error:
        return err.NotSupportedError(
            CR.CR_NOT_IMPLEMENTED,
            "A FetchCursor executes nothing by itself: use conn.stream(query, args, fetch_size=N)",
            sent=False,
        )

    def _free(self) -> None:
        """Give the statement back, or have it closed with the cursor it still has."""
        prepared, self._prepared = self._prepared, None
        if prepared is None or self._statement is None:
            return
        if self._result is None or self._result.unread:
            prepared.close()
        else:
            self._statement._take_back(prepared)

    def __del__(self) -> None:
        self._free()


def factory_for(cursorclass: type[Any], factory: Any) -> Any:
    """Return what makes the rows of a connection's cursor class."""
    if factory is None and issubclass(cursorclass, DictRows):
        return DictRows()._row_maker
    return factory
