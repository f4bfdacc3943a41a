"""The pool of asyncio connections. What its methods do is told in ``pymy.pool``."""

from __future__ import annotations

import asyncio
import inspect
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack, overload

from .. import err
from ..basepool import Bucket, logger
from ..constants import CR
from ..options import Options
from ..poolstate import Do, PoolStats, Slot, Ticket
from ..poolsteps import PoolSteps
from ..protocol.needs import Conversation
from ..rows import Row, RowFactory
from ..waiting import Steps
from .cursors import Cursor
from .lease import Checkout, PooledConnection
from .results import Running

if TYPE_CHECKING:
    from ..options.typed import CreatePoolOptions, PoolOptions

T = TypeVar("T")


class Pool(PoolSteps, Generic[Row]):
    """A pool of connections for tasks.

    It belongs to the event loop that uses it first. Hooks may be coroutine functions. See
    ``pymy.Pool``.
    """

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: Pool[tuple[Any, ...]], dsn: str | None = None, **options: Unpack[PoolOptions]
        ) -> None: ...
        @overload
        def __init__(
            self: Pool[T],
            dsn: str | None = None,
            *,
            row_factory: RowFactory[T],
            cursorclass: type[Cursor[Any]] = ...,
            **options: Unpack[PoolOptions],
        ) -> None: ...
        @overload
        def __init__(
            self: Pool[T],
            dsn: str | None = None,
            *,
            cursorclass: type[Cursor[T]],
            **options: Unpack[PoolOptions],
        ) -> None: ...
        def __init__(self, dsn: str | None = None, **options: Any) -> None: ...

    _loop: asyncio.AbstractEventLoop | None = None
    _clock: asyncio.TimerHandle | None = None

    def _prepare(self) -> None:
        # within one thread it keeps nobody out: connections may be released from others
        self._lock = threading.RLock()
        self._empty = asyncio.Event()
        self._cleaners: set[asyncio.Task[None]] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._closers: set[asyncio.Task[None]] = set()

    # -- acquiring

    def connection(
        self, *, dsn: str | None = None, timeout: float | None = None, wait: bool = True
    ) -> Checkout[Row]:
        """Lend a connection for an ``async with`` block. See ``acquire``."""
        return Checkout(self, dsn, timeout, wait)

    def acquire(
        self, *, dsn: str | None = None, timeout: float | None = None, wait: bool = True
    ) -> Checkout[Row]:
        """Take a connection; ``release()`` it, or use it as a context manager."""
        return Checkout(self, dsn, timeout, wait)

    async def _acquire(
        self, dsn: str | None, timeout: float | None, wait: bool
    ) -> PooledConnection[Row]:
        conn: PooledConnection[Row] = self._borrow(dsn, timeout)
        if conn is None:
            conn = await self._carry(self._acquiring(dsn, timeout, wait))
        return conn

    # -- releasing

    def release(self, conn: PooledConnection[Any]) -> asyncio.Future[None]:
        """Give a connection back; ``conn`` and its cursors cannot be used any more.

        It is reset behind the caller. ``await`` what is returned to wait for that; cancelling it
        changes nothing. Outside of the pool's loop the connection is closed instead.
        """
        cleaning = self._bring_back(conn)
        assert self._loop is not None
        done = self._loop.create_future()
        if cleaning is None:
            done.set_result(None)
        else:
            cleaning.add_done_callback(lambda task: _finish(done))
        return done

    def _bring_back(self, conn: PooledConnection[Any]) -> asyncio.Task[None] | None:
        """Release a connection; None when nothing is left to be done behind the caller."""
        running = asyncio._get_running_loop()
        slot = self._take_back(conn, usable=running is not None and running is self._loop)
        if slot is None:
            return None
        return self._spawn(self._carry(self._cleaning(slot)), self._cleaners)

    def _is_left_over(self, slot: Slot) -> bool:
        # a cancelled statement's KILL may still be on its way
        return slot.used and (super()._is_left_over(slot) or slot.link._transport.is_cleaning)

    # -- shortcuts

    def execute(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        dsn: str | None = None,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> Running[Cursor[Row], Row]:
        """Run one statement on a connection of the pool, commit it, and return its cursor.

        ``await`` it for the cursor, or ``async for row in pool.execute(...)``.
        """
        steps = self._executing(query, args, dsn, timeout, retries)
        return Running(self._carry(steps), _rows)

    @overload
    def stream(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        dsn: str | None = None,
        row_factory: None = None,
        timeout: float | None = None,
    ) -> Running[AsyncGenerator[Row, None], Row]: ...
    @overload
    def stream(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        dsn: str | None = None,
        row_factory: RowFactory[T],
        timeout: float | None = None,
    ) -> Running[AsyncGenerator[T, None], T]: ...
    def stream(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        dsn: str | None = None,
        row_factory: RowFactory[Any] | None = None,
        timeout: float | None = None,
    ) -> Running[AsyncGenerator[Any, None], Any]:
        """Iterate over a result in flat memory; the connection goes back at its end.

        ``await`` sends the statement at once and gives the iterator.
        """

        async def lend_rows() -> AsyncGenerator[Any, None]:
            async with (
                self.connection(dsn=dsn) as conn,
                aclosing(
                    await conn.stream(query, args, row_factory=row_factory, timeout=timeout)
                ) as rows,
            ):
                yield None  # closing it ends the lease from here on, whether rows are read or not
                async for row in rows:
                    yield row

        async def begun() -> AsyncGenerator[Any, None]:
            rows = lend_rows()
            await anext(rows)
            return rows

        return Running(begun(), lambda rows: rows)

    @asynccontextmanager
    async def transaction(
        self,
        isolation: str | None = None,
        *,
        read_only: bool | None = None,
        consistent_snapshot: bool = False,
        dsn: str | None = None,
    ) -> AsyncIterator[PooledConnection[Row]]:
        """Lend a connection within a transaction: committed at the end, rolled back on an error."""
        async with (
            self.connection(dsn=dsn) as conn,
            conn.transaction(
                isolation, read_only=read_only, consistent_snapshot=consistent_snapshot
            ),
        ):
            yield conn

    # -- the whole

    async def warm_up(self, size: int | None = None) -> None:
        """Open connections until the pool has ``size`` of them, default ``min_size``."""
        await self._carry(self._warming(size))

    def clear(self) -> asyncio.Future[None]:
        """Close the idle connections now, and those in use when they come back."""
        self._bind()
        self._clear()
        return asyncio.shield(asyncio.ensure_future(self._settle()))

    def close(self, timeout: float | None = 10.0) -> asyncio.Future[None]:
        """Refuse requests from now on, wait for connections in use, and close them all.

        What is returned need not be awaited.
        """
        self._bind()
        self._shut()
        return asyncio.shield(self._spawn(self._close(timeout), self._closers))

    async def _close(self, timeout: float | None) -> None:
        if not self._drained():
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._empty.wait()
        if not self._drained():
            logger.warning("The pool's users kept connections for %g s after close()", timeout)
        self.terminate()
        await self._settle()

    async def wait_closed(self) -> None:
        """Wait for the end of a ``close()`` that was not awaited."""
        for closing in list(self._closers):
            await asyncio.shield(closing)
        await self._settle()

    async def _settle(self) -> None:
        """Wait for the connections that are being cleaned or say goodbye."""
        me = asyncio.current_task()
        while others := [task for task in self._cleaners | self._leaving if task is not me]:
            await asyncio.wait(others)

    def terminate(self) -> None:
        super().terminate()
        if self._loop is not None and not self._loop.is_closed():
            for task in list(self._cleaners):  # else a hook that never ends would go on
                self._call(task.cancel)

    def __await__(self) -> Generator[Any, Any, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        await self.warm_up()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    # -- aiomysql's names

    @property
    def minsize(self) -> int:
        """``limits.min_size``."""
        return self.limits.min_size

    @property
    def maxsize(self) -> int:
        """``limits.max_size``."""
        return self.limits.max_size

    @property
    def freesize(self) -> int:
        """Idle connections."""
        return self.stats().idle

    # -- how a step waits

    async def _carry(self, steps: Steps[T]) -> T:
        """Take steps to their end."""
        try:
            pause = next(steps)
            while True:
                try:
                    answer = pause()
                    if inspect.isawaitable(answer):
                        answer = await answer
                except BaseException as exc:
                    pause = steps.throw(exc)
                else:
                    pause = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _make(self, options: Options) -> PooledConnection[Row]:
        return PooledConnection(options)

    def _dial(self, conn: PooledConnection[Row], options: Options) -> Coroutine[Any, Any, None]:
        return conn._connect(options)

    async def _sleep(self, core: Bucket, ticket: Ticket) -> None:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        ticket.wake = partial(self._call, _finish, waiter)
        left = self._tell(core.patience, ticket)
        timer = None if left is None else loop.call_later(left, _finish, waiter)
        try:
            if ticket.do is Do.WAIT:  # else another thread was faster
                await waiter
        finally:
            ticket.wake = None
            if timer is not None:
                timer.cancel()

    async def _tidy(self, conn: PooledConnection[Row], conversation: Conversation[None]) -> None:
        seconds = conn.options.cancel_timeout
        if conn._turns.taken or (conn._transport is not None and conn._transport.is_cleaning):
            async with asyncio.timeout(seconds):
                await conn._run(conversation)
        else:
            await conn._run(conversation, seconds)  # which is cheaper

    def _discard(self, link: Any) -> None:
        running = asyncio._get_running_loop()
        if link._session.usable() and running is not None and running is self._loop:
            self._spawn(link.ensure_closed(), self._leaving)
        else:
            link.abort()

    def _spawn(
        self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]
    ) -> asyncio.Task[None]:
        assert self._loop is not None
        task = self._loop.create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)
        return task

    # -- what BasePool asks for

    def _shut(self) -> None:
        super()._shut()
        if self._clock is not None:
            self._call(self._clock.cancel)

    def _bind(self) -> None:
        """Take the running loop for the pool's own; connections cannot move to another."""
        running = asyncio.get_running_loop()
        self._check_process()
        if self._loop is None:
            self._loop = running
        elif self._loop is not running:
            raise err.InterfaceError(
                CR.CR_BAD_PARAMETER,
                "The pool belongs to another event loop: make one pool for each loop",
                sent=False,
            )

    def _call(self, function: Callable[..., object], *args: Any) -> None:
        """Call what belongs to the loop: from outside of it, a connection may be released too."""
        if self._loop is None or asyncio._get_running_loop() is self._loop:
            function(*args)
        else:
            with suppress(RuntimeError):  # a closed loop waits for nothing
                self._loop.call_soon_threadsafe(function, *args)

    def _idle_now(self) -> None:
        self._call(self._empty.set)

    def _report_lost(self) -> None:
        # a destructor runs anywhere, even within the core
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._sweep)

    def _start_over(self) -> None:
        self._loop = self._clock = None
        self._prepare()
        super()._start_over()

    def _core(self, dsn: str | None) -> Bucket:
        if asyncio.get_running_loop() is not self._loop:
            self._bind()
        return super()._core(dsn)

    def _keep_time(self) -> None:
        interval = self._interval
        if interval is not None and self._clock is None and not self._closed:
            assert self._loop is not None
            self._clock = self._loop.call_later(interval, _tick, weakref.ref(self))


def _tick(pool: weakref.ref[Any]) -> None:
    found = pool()
    if found is not None and not found._closed:
        found._clock = None
        found._tick()
        found._keep_time()


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


async def _rows(cursor: Any) -> AsyncGenerator[Any, None]:
    async for row in cursor:
        yield row


@overload
def create_pool(
    dsn: str | None = None, **options: Unpack[CreatePoolOptions]
) -> Pool[tuple[Any, ...]]: ...
@overload
def create_pool(
    dsn: str | None = None,
    *,
    row_factory: RowFactory[T],
    cursorclass: type[Cursor[Any]] = ...,
    **options: Unpack[CreatePoolOptions],
) -> Pool[T]: ...
@overload
def create_pool(
    dsn: str | None = None, *, cursorclass: type[Cursor[T]], **options: Unpack[CreatePoolOptions]
) -> Pool[T]: ...
def create_pool(
    dsn: str | None = None,
    *,
    minsize: int | None = None,
    maxsize: int | None = None,
    pool_recycle: float = -1,
    echo: bool = False,
    loop: Any = None,
    **options: Any,
) -> Pool[Any]:
    """Make a ``Pool``; ``await`` it, or use it in ``async with``, and ``min_size`` are connected.

    minsize, maxsize: aiomysql's names of ``min_size`` and ``max_size``.
    pool_recycle: aiomysql's name of ``max_lifetime``; -1 for none.
    echo, loop: accepted and not used.
    """
    names = {"min_size": minsize, "max_size": maxsize}
    given: dict[str, Any] = {name: value for name, value in names.items() if value is not None}
    if pool_recycle > 0:
        given["max_lifetime"] = pool_recycle
    return Pool(dsn, **(given | options))


__all__ = ["Checkout", "Pool", "PoolStats", "PooledConnection", "create_pool"]
