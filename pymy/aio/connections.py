"""The asyncio connection. What its methods do is told in ``pymy.connections``."""

from __future__ import annotations

import asyncio
import time
import warnings
import weakref
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack, overload

from .. import err
from ..base import _Forks
from ..basecursor import DictRows
from ..basefetching import factory_for
from ..basepipeline import OnError
from ..constants import CR
from ..options import Options, from_call
from ..protocol import commands, handshake
from ..protocol.needs import Conversation
from ..protocol.state import CLOSED, CONNECTING, READY
from ..rows import Row, RowFactory
from ..waiting import Deadline, unsent
from .commands import Commands
from .cursors import Cursor, DictCursor, FetchCursor, SSCursor, SSDictCursor
from .dialling import dial
from .pipelines import Pipeline
from .results import Running, rows_of
from .statements import Statement
from .transport import StreamTransport
from .turns import Turns
from .values import ValueStream

if TYPE_CHECKING:
    from ..options.typed import ConnectOptions

T = TypeVar("T")
C = TypeVar("C", bound="Cursor[Any]")


class Connection(Commands, Generic[Row]):
    """A connection to a MySQL or MariaDB server that waits by ``await``.

    Make one by ``await pymy.aio.connect(...)``. Tasks may share it: a second one waits in line, or
    gets an error with ``concurrent="error"``. See ``pymy.Connection``.
    """

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: Connection[tuple[Any, ...]],
            dsn: str | None = None,
            *positional: Any,
            **options: Unpack[ConnectOptions],
        ) -> None: ...
        @overload
        def __init__(
            self: Connection[T],
            dsn: str | None = None,
            *positional: Any,
            row_factory: RowFactory[T],
            cursorclass: type[Cursor[Any]] = ...,
            **options: Unpack[ConnectOptions],
        ) -> None: ...
        @overload
        def __init__(
            self: Connection[T],
            dsn: str | None = None,
            *positional: Any,
            cursorclass: type[Cursor[T]],
            **options: Unpack[ConnectOptions],
        ) -> None: ...

    def __init__(self, dsn: str | None = None, *positional: Any, **options: Any) -> None:
        self._transport: StreamTransport | None = None
        super().__init__(from_call(dsn, positional, options))
        self.cursorclass: type[Cursor[Any]] = self._options.cursorclass or Cursor
        self._turns = Turns()

    def __await__(self) -> Generator[Any, None, Self]:
        return self._connected().__await__()

    async def _connected(self) -> Self:
        if not self.open:
            await self._opened()
        return self

    # -- link

    async def connect(self, sock: Any = None) -> None:
        """Connect, also again after ``close()``."""
        if not await self._opened(sock):
            raise err.InterfaceError(
                CR.CR_BAD_PARAMETER, "The connection is open already: close() it first"
            )

    async def _opened(self, sock: Any = None) -> bool:
        """Connect in turn; False when it is open, perhaps by another task that was first."""
        await self._in_turn()
        try:
            if self.open:
                return False
            if self._transport is not None:
                self.abort()
            await self._connect(self._live, sock)
            return True
        finally:
            self._turns.leave()

    async def _connect(self, options: Options, sock: Any = None) -> None:
        deadline = Deadline(options.connect_timeout, "connect_timeout")
        credentials = self._credentials()
        session = self._begin_session()
        me = weakref.proxy(self)
        transport = StreamTransport(session, options, lambda: me._credentials())
        try:
            await transport.take(sock or await dial(options, deadline))
            self._transport = transport
            await transport.run(handshake.connect(session, options, credentials), deadline)
        except BaseException:
            transport.abort()
            if self._session is session:
                self.abort()
            raise

    def _run(
        self, conversation: Conversation[T], timeout: float | None = None
    ) -> Coroutine[Any, Any, T]:
        """Carry a conversation to its end; ``timeout`` seconds for all of it.

        What it returns is to be awaited at once. Where nothing is to be waited for before, which is
        the usual case, it is the transport's own coroutine: one more costs a command 2 %.
        """
        turns, transport = self._turns, self._transport
        if (
            turns.taken
            or transport is None
            or transport.cleaner is not None
            or self._forks != _Forks.count
            or (self._session.state is not READY and not self._session.usable())
        ):
            return self._run_later(conversation, timeout)
        deadline = None if timeout is None else Deadline.of_call(timeout)
        return transport.run(conversation, deadline, turns)

    async def _run_later(self, conversation: Conversation[T], timeout: float | None) -> T:
        """Wait for one's turn and for the end of a clean-up before; or tell what is wrong."""
        deadline = Deadline.of_call(timeout)
        try:
            await self._in_turn(deadline)
        except BaseException:
            conversation.close()
            raise
        try:
            transport = self._transport
            if transport is not None and transport.is_cleaning:
                await _before(deadline, transport.settled())
            if self._forks != _Forks.count or transport is None or not self._session.usable():
                conversation.close()
                self._check_process()
                raise self._unusable()
        except BaseException:
            self._turns.leave()
            raise
        return await transport.run(conversation, deadline, self._turns)

    async def _in_turn(self, deadline: Deadline | None = None) -> None:
        """Take the turn, which is free, or comes in line behind the other tasks."""
        if self._transport is not None and self._transport.is_read_here():
            raise self._session.busy()  # it would wait for itself
        if self._turns.taken:
            if self._options.concurrent == "error":
                raise self._session.busy()
            await _before(deadline, self._turns.wait())
        self._turns.taken = True

    def _warn_unread(self) -> None:
        if self._transport is None or not self._transport.is_cleaning:
            super()._warn_unread()  # else a cancelled call left the rows, which says enough

    def _unusable(self) -> err.Error:
        transport = self._transport
        if transport is not None and transport.unheard is not None:
            error, transport.unheard = transport.unheard, None
            error.sent = False
            return error
        if transport is None and self._session.state is CONNECTING:
            return err.InterfaceError(
                CR.CR_SERVER_GONE_ERROR,
                "Not connected: await it, or call connect() first",
                sent=False,
            )
        return self._session.unusable()

    def close(self) -> None:
        """Close the link at once; needs no running loop. ``ensure_closed`` says goodbye first."""
        self.abort()

    async def ensure_closed(self) -> None:
        """Say goodbye (COM_QUIT, no answer) and close the link; harmless when it is closed."""
        transport = self._transport
        if transport is None:
            return
        session = self._session
        try:
            with suppress(err.Error, OSError, TimeoutError):
                self._check_process()
                if transport.is_cleaning:
                    async with asyncio.timeout(1.0):
                        await transport.settled()
                if session.usable():
                    await transport.run(commands.quit_(session), Deadline(1.0, "close"))
        finally:
            self.abort()

    def abort(self) -> None:
        """Close the socket at once, without a word; a running statement goes on at the server."""
        transport = self._transport
        self._drop()
        if transport is not None and not self._is_forked:
            transport.turn()

    def _drop(self) -> None:
        transport, self._transport = self._transport, None
        if self._session.state is not CLOSED:
            self._session.move(CLOSED)
        if transport is not None and not self._is_forked:
            transport.abort()

    def is_alive(self) -> bool:
        """Tell whether the connection looks usable: at rest, its line silent. Nothing is sent."""
        transport, session = self._transport, self._session
        return (
            transport is not None
            and session.state is READY
            and not session.held
            and transport.is_silent()
        )

    @property
    def closed(self) -> bool:
        """True when the connection cannot be used (aiomysql's name)."""
        return not self.open

    def get_transaction_status(self) -> bool:
        """Tell whether a transaction is open: ``in_transaction`` under aiomysql's name."""
        return self.in_transaction

    async def __aenter__(self) -> Self:
        return await self._connected()

    async def __aexit__(self, *exc_info: object) -> None:
        await self.ensure_closed()

    def __del__(self) -> None:
        transport = getattr(self, "_transport", None)
        if transport is not None:
            try:
                if self.open and not self._is_forked:
                    warnings.warn(f"unclosed {self!r}: call close()", ResourceWarning, 2, self)
            finally:
                self._drop()  # in any thread, in the midst of anything

    async def ping(self, reconnect: bool = False) -> None:
        """Ask the server whether this connection works."""
        try:
            await self._run(commands.ping(self._session))
        except err.Error:
            if not reconnect or self.open:
                raise
            await self._opened()

    # -- statements

    @overload
    def cursor(self, cursor: None = None) -> Cursor[Row]: ...
    @overload
    def cursor(self, cursor: type[C]) -> C: ...
    @overload
    def cursor(self, cursor: type[SSCursor[Any]], *, row_factory: RowFactory[T]) -> SSCursor[T]: ...
    @overload
    def cursor(
        self, cursor: type[Cursor[Any]] | None = None, *, row_factory: RowFactory[T]
    ) -> Cursor[T]: ...
    def cursor(
        self,
        cursor: type[Cursor[Any]] | None = None,
        *,
        row_factory: RowFactory[Any] | None = None,
    ) -> Any:
        """Make a cursor of class ``cursor``, default the connection's ``cursorclass``."""
        return self._make_cursor(cursor, row_factory)

    def execute(
        self, query: str | bytes, args: Any = None, *, timeout: float | None = None
    ) -> Running[Cursor[Row], Row]:
        """Run a statement on a new cursor and return the cursor. See ``Cursor.execute``.

        ``await`` it for the cursor, or ``async for row in conn.execute(...)``.
        """
        return Running(self._executed(self.cursor(), query, args, timeout), rows_of)

    async def _executed(
        self, cursor: Any, query: str | bytes, args: Any, timeout: float | None = None
    ) -> Any:
        await cursor.execute(query, args, timeout=timeout)
        return cursor

    def _stream_cursor(self, row_factory: Any) -> Any:
        dicts = issubclass(self.cursorclass, DictRows)
        return self._make_cursor(SSDictCursor if dicts else SSCursor, row_factory)

    def _fetch_cursor(self, row_factory: Any) -> Any:
        return self._make_cursor(FetchCursor, factory_for(self.cursorclass, row_factory))

    @overload
    def stream(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        row_factory: None = None,
        fetch_size: int | None = None,
        timeout: float | None = None,
    ) -> Running[AsyncGenerator[Row, None], Row]: ...
    @overload
    def stream(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        row_factory: RowFactory[T],
        fetch_size: int | None = None,
        timeout: float | None = None,
    ) -> Running[AsyncGenerator[T, None], T]: ...
    def stream(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        row_factory: RowFactory[Any] | None = None,
        fetch_size: int | None = None,
        timeout: float | None = None,
    ) -> Running[AsyncGenerator[Any, None], Any]:
        """Iterate over a result in flat memory.

        The server is made to wait while nobody reads. Close it, for instance with
        ``contextlib.aclosing``, when you leave it early. ``await`` sends the statement at once and
        gives the iterator.
        """
        if fetch_size is not None:
            statement: Statement[Any] = Statement.once(self, query, args, row_factory)
            return statement.stream(args, fetch_size=fetch_size, timeout=timeout)
        cursor = self._stream_cursor(row_factory)
        return Running(self._streamed(cursor, query, args, timeout), lambda rows: rows)

    async def _streamed(
        self, cursor: Any, query: str | bytes, args: Any, timeout: float | None
    ) -> AsyncGenerator[Any, None]:
        return rows_of(await self._executed(cursor, query, args, timeout))

    async def stream_value(
        self, query: str | bytes, args: Any = None, *, timeout: float | None = None
    ) -> ValueStream:
        """Read one value of any size as a stream: the last column of the statement's only row."""
        stream = ValueStream(self)
        await self._run(stream._opening(self, query, args), timeout)
        return stream

    @overload
    async def prepare(self, sql: str | bytes, *, row_factory: None = None) -> Statement[Row]: ...
    @overload
    async def prepare(self, sql: str | bytes, *, row_factory: RowFactory[T]) -> Statement[T]: ...
    async def prepare(self, sql: str | bytes, *, row_factory: RowFactory[Any] | None = None) -> Any:
        """Have the server parse a statement, to execute it often. See ``pymy.Statement``."""
        statement: Statement[Any] = Statement(self, sql, row_factory)
        await self._run(statement._preparing())
        return statement

    def pipeline(
        self, *, on_error: OnError = "raise", timeout: float | None = None
    ) -> Pipeline[Row]:
        """Make a context manager whose commands go out together. See ``pymy.Pipeline``."""
        return Pipeline(self, on_error, timeout)

    # -- aiomysql's private pair, by which Tortoise ORM sets its savepoints: always COM_QUERY

    async def _execute_command(self, code: int, sql: str | bytes) -> None:
        await self.query(sql)

    async def _read_ok_packet(self) -> object:
        return self.last_ok


async def _before(deadline: Deadline | None, waiting: Awaitable[None]) -> None:
    """Wait for the line, nothing of the call having been sent."""
    if deadline is None or deadline.at is None:
        return await waiting
    try:
        async with asyncio.timeout(deadline.at - time.monotonic()):
            await waiting
    except TimeoutError:
        raise unsent(deadline) from None


__all__ = ["Connection", "Cursor", "DictCursor", "SSCursor", "SSDictCursor"]
