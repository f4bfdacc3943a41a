"""What streams of one value share in all transports: everything that does not wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import err
from .constants import CR
from .protocol.columns import Column
from .protocol.needs import Conversation
from .protocol.values import Value, fetch_value, open_value

if TYPE_CHECKING:
    from .base import BaseConnection

# Bytes that one step reads where the caller does not say.
PIECE = 1 << 18

Conn = TypeVar("Conn", bound="BaseConnection")


class BaseValueStream(Generic[Conn]):
    """A value that is read in pieces, over the unbuffered cursor whose row it ends."""

    def __init__(self, connection: Conn) -> None:
        self._cursor: Any = connection._stream_cursor(None)
        self._cursor._start()
        self._value: Value | None = None

    @property
    def connection(self) -> Conn:
        """The connection it is read from, None when the stream is closed."""
        connection: Conn = self._cursor.connection
        return connection

    @property
    def row(self) -> tuple[Any, ...]:
        """The values of the other columns."""
        return self._opened().row

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns of the statement; the last one is the streamed one."""
        return self._opened().result.columns

    @property
    def size(self) -> int | None:
        """Bytes of the whole value, None for NULL."""
        return self._opened().size

    @property
    def is_null(self) -> bool:
        """True for NULL, which reads as an empty value."""
        return self._opened().size is None

    def _opened(self) -> Value:
        if self._value is None:
            raise err.InterfaceError(
                CR.CR_NO_DATA, "The stream has no value: make one with stream_value()", sent=False
            )
        return self._value

    # -- conversations

    def _opening(self, connection: Conn, sql: str | bytes, args: Any) -> Conversation[None]:
        cursor = self._cursor
        yield from cursor._executing(connection, sql, args)
        self._value = yield from open_value(connection._session, cursor._result)

    def _reading(self, connection: Conn, size: int | None) -> Conversation[bytes]:
        if size is not None and size >= 0:
            return (yield from self._piece(connection, size))
        pieces = []
        while piece := (yield from self._piece(connection, PIECE)):
            pieces.append(piece)
        return b"".join(pieces)

    def _reading_into(self, connection: Conn, buffer: Any) -> Conversation[int]:
        view = memoryview(buffer).cast("B")
        piece = yield from self._piece(connection, len(view))
        view[: len(piece)] = piece
        return len(piece)

    def _piece(self, connection: Conn, most: int) -> Conversation[bytes]:
        value = self._opened()
        if value.torn or (value.left and not self._cursor._has_more(connection)):
            raise err.InterfaceError(
                CR.CR_FETCH_CANCELED,
                "The rest of this value was dropped, by a later command on its connection or by a "
                "read that was given up: read it first, or use a second connection",
            )
        if not most:
            return b""
        return (yield from fetch_value(connection._session, value, most))

    def _check_open(self) -> Conn:
        if self.connection is None:
            raise ValueError("The stream is closed: execute its statement again")
        return self.connection

    def __repr__(self) -> str:
        value = self._value
        state = "closed" if self.connection is None else "not open"
        if self.connection is not None and value is not None:
            state = "NULL" if value.size is None else f"{value.left} of {value.size} bytes left"
        return f"<{type(self).__module__}.{type(self).__qualname__} {state}>"
