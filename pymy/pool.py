"""The pool of blocking connections."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, Unpack, overload

from . import err
from .basepool import Bucket, logger
from .cursors import Cursor
from .lease import Checkout, PooledConnection
from .options import Options
from .poolstate import Do, PoolStats, Ticket
from .poolsteps import PoolSteps
from .protocol.needs import Conversation
from .protocol.state import READY
from .rows import Row, RowFactory
from .waiting import Steps

if TYPE_CHECKING:
    from .options.typed import PoolOptions

T = TypeVar("T")


class Pool(PoolSteps, Generic[Row]):
    """A pool of connections for threads.

    Nothing is connected until a connection is asked for; the pool grows with the number in use at
    the same time. A context manager: leaving it closes the pool.

    dsn, options: as in ``pymy.connect``; they are read once, now.
    min_size: connections that ``idle_timeout`` leaves open, and that ``warm_up()`` and entering a
        ``with`` block open. Default 0. Those that end otherwise are replaced on demand.
    max_size: most connections at a time to one server, default 10.
    max_waiting: most requests in line, None (default) for any number.
    acquire_timeout: seconds until a request fails, default 10, None for never: waiting, connecting
        and checking together. A server that is full or restarting is asked again within them.
    idle_order: "lifo" (default) takes the connection used last, so that others can time out;
        "fifo" takes each in turn.
    idle_timeout: seconds until an idle connection is closed, None (default) for never.
    max_lifetime: seconds until a connection is closed at its release, None (default) for never;
        shortened by a random part of it, at most ``max_lifetime_jitter`` (0 to 1, default 0.1).
    max_uses: uses after which a connection is closed, None (default) for any number.
    validate_after: an idle connection is pinged before its use when its server was not heard for
        longer than these seconds, default 0.5; otherwise its socket is looked at. None never pings.
    reset_on_release: True (default) gives the session its first state back (COM_RESET_CONNECTION).
        False leaves variables, temporary tables, locks by name and SET TRANSACTION to the next
        user, and only ends transactions: a ROLLBACK where one is open, or may be, as after an
        error, and with autocommit off on MySQL, which keeps metadata locks.
    retry_interval: seconds between two connects to a server that is full, default 0.5. One request
        at a time tries.
    retry_queries: how often ``execute()`` runs a statement again after a deadlock or a lock wait
        that took too long. Default 0; ``execute(retries=)`` says it for one call.
    leak_timeout: seconds of use after which a connection and where it was acquired are logged to
        "pymy.pool". None (default) for never.
    on_connect: called with each new connection, and again after a reset, whose session is as new.
    on_acquire: called with a connection before it is handed over.
    on_wait: called when a request has to wait.
    on_release: called with a returned connection before it is cleaned.

    Raises ProgrammingError or TypeError for settings that make no sense.
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

    _stop: _Gate | None = None

    def _prepare(self) -> None:
        self._lock = threading.Lock()
        self._empty = _Gate()

    # -- acquiring

    def connection(
        self, *, dsn: str | None = None, timeout: float | None = None, wait: bool = True
    ) -> Checkout[Row]:
        """Lend a connection for a ``with`` block. See ``acquire``."""
        return Checkout(lambda: self.acquire(dsn=dsn, timeout=timeout, wait=wait))

    def acquire(
        self, *, dsn: str | None = None, timeout: float | None = None, wait: bool = True
    ) -> PooledConnection[Row]:
        """Take a connection; ``release()`` it, or use it as a context manager.

        Requests are served first come, first served. No round trip for a connection used a
        moment ago, one (COM_PING) for one that rested longer than ``validate_after``, a login for a
        new one.

        dsn: another server or login; the pool keeps connections to each apart, with the same limits
            and with its own options except those that name server and login.
        timeout: seconds instead of ``acquire_timeout``.
        wait: False fails at once when no connection is free and none may be opened.
        Raises PoolTimeout, PoolQueueFull, PoolClosed, or what the connect raised.
        """
        conn: PooledConnection[Row] = self._borrow(dsn, timeout)
        if conn is None:
            conn = self._carry(self._acquiring(dsn, timeout, wait))
        return conn

    # -- releasing

    def release(self, conn: PooledConnection[Any]) -> None:
        """Give a connection back; ``conn`` and its cursors cannot be used any more.

        The session is reset within ``cancel_timeout`` (COM_RESET_CONNECTION, schema and first
        statements: one write, one round trip), then the next in line has it. A broken connection is
        dropped, one that saw an error of a read-only server too. A statement that was given up is
        settled behind the caller. Nothing is sent when no command went out since ``acquire()``.
        Raises InterfaceError for a connection that was released already, or is of another pool.
        """
        slot = self._take_back(conn)
        if slot is None:
            return
        if slot.link._session.unclean:
            # it is being killed, which the caller need not wait for
            steps = self._cleaning(slot)
            try:
                threading.Thread(
                    target=self._carry, args=(steps,), name="pymy-pool-clean", daemon=True
                ).start()
            except RuntimeError:  # no more threads, or the program is about to end
                self._tell(slot.core.cleaned, slot, False)
        else:
            self._carry(self._cleaning(slot))

    # -- shortcuts

    def execute(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        dsn: str | None = None,
        timeout: float | None = None,
        retries: int | None = None,
    ) -> Cursor[Row]:
        """Run one statement on a connection of the pool, commit it, and return its cursor.

        The rows of its first result are in the cursor; the connection went back. A statement of
        which nothing reached the server is sent again on another connection. After a deadlock or a
        lock wait that took too long (errors whose ``retry`` is QUERY or TRANSACTION) it is run
        again: it was the whole of its transaction, but for a CALL with autocommit on.

        timeout: seconds for the statement, its other results and its commit together, each time it
            is run, as in ``Connection.execute``.
        retries: how often it is run again, instead of ``retry_queries``.
        """
        cursor: Cursor[Row] = self._carry(self._executing(query, args, dsn, timeout, retries))
        return cursor

    @overload
    def stream(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        dsn: str | None = None,
        row_factory: None = None,
        timeout: float | None = None,
    ) -> Iterator[Row]: ...
    @overload
    def stream(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        dsn: str | None = None,
        row_factory: RowFactory[T],
        timeout: float | None = None,
    ) -> Iterator[T]: ...
    def stream(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        dsn: str | None = None,
        row_factory: RowFactory[Any] | None = None,
        timeout: float | None = None,
    ) -> Iterator[Any]:
        """Iterate over a result in flat memory; the connection goes back at its end.

        Close the iterator when you leave it early. See ``Connection.stream``.
        """
        with self.connection(dsn=dsn) as conn:
            yield from conn.stream(query, args, row_factory=row_factory, timeout=timeout)

    @contextmanager
    def transaction(
        self,
        isolation: str | None = None,
        *,
        read_only: bool | None = None,
        consistent_snapshot: bool = False,
        dsn: str | None = None,
    ) -> Iterator[PooledConnection[Row]]:
        """Lend a connection within a transaction: committed at the end, rolled back on an error."""
        with (
            self.connection(dsn=dsn) as conn,
            conn.transaction(
                isolation, read_only=read_only, consistent_snapshot=consistent_snapshot
            ),
        ):
            yield conn

    # -- the whole

    def warm_up(self, size: int | None = None) -> None:
        """Open connections until the pool has ``size`` of them, default ``min_size``."""
        self._carry(self._warming(size))

    def clear(self) -> None:
        """Close the idle connections now, and those in use when they come back."""
        self._clear()

    def close(self, timeout: float | None = 10.0) -> None:
        """Refuse requests from now on, wait for connections in use, and close them all.

        timeout: seconds to wait; connections still in use are then ended as by ``terminate()``.
            None waits for ever.
        """
        self._shut()
        if not self._drained() and not self._empty.wait(timeout):
            logger.warning("The pool's users kept connections for %g s after close()", timeout)
        self.terminate()

    def __enter__(self) -> Self:
        self.warm_up()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        super().__del__()
        if self._stop is not None:
            self._stop.open()

    # -- how a step waits

    def _carry(self, steps: Steps[T]) -> T:
        """Take steps to their end."""
        try:
            pause = next(steps)
            while True:
                try:
                    answer = pause()
                except BaseException as exc:
                    pause = steps.throw(exc)
                else:
                    pause = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _make(self, options: Options) -> PooledConnection[Row]:
        return PooledConnection(options)

    def _dial(self, conn: PooledConnection[Row], options: Options) -> None:
        conn._carry(conn._connecting, options)

    def _sleep(self, core: Bucket, ticket: Ticket) -> None:
        gate = _Gate()
        ticket.wake = gate.open
        patience = self._tell(core.patience, ticket)
        if ticket.do is Do.WAIT:
            gate.wait(patience)

    def _tidy(self, conn: PooledConnection[Row], conversation: Conversation[None]) -> None:
        conn._run(conversation, conn.options.cancel_timeout)

    def _discard(self, link: Any) -> None:
        if link._session.state is READY:
            with suppress(err.Error, OSError):
                link.close()
        else:
            link.abort()

    # -- what BasePool asks for

    def _idle_now(self) -> None:
        self._empty.open()

    def _report_lost(self) -> None:
        # Who holds the lock, maybe this very thread, sweeps when it lets it go.
        if self._lock.acquire(blocking=False):
            self._lock.release()
            self._find_lost()
            self._tell_if_empty()

    def _shut(self) -> None:
        super()._shut()
        if self._stop is not None:
            self._stop.open()

    def _start_over(self) -> None:
        self._lock = threading.Lock()
        self._stop = None
        super()._start_over()

    def _keep_time(self) -> None:
        """Start the thread that looks at the clock, if any limit needs one."""
        interval = self._interval
        if interval is None or self._stop is not None:
            return
        with self._locked():
            if self._stop is not None or self._closed:
                return
            self._stop = _Gate()
        threading.Thread(
            target=_tick_along,
            args=(weakref.ref(self), self._stop, interval),
            name="pymy-pool-clock",
            daemon=True,
        ).start()


class _Gate:
    """A door that is opened from anywhere and closes behind each who passes.

    Not an Event: opening one takes a lock, which a destructor might find held by its own thread.
    """

    def __init__(self) -> None:
        self._closed = threading.Lock()
        self._closed.acquire()

    def open(self) -> None:
        with suppress(RuntimeError):  # open already
            self._closed.release()

    def wait(self, timeout: float | None) -> bool:
        return self._closed.acquire(
            timeout=-1 if timeout is None else min(timeout, threading.TIMEOUT_MAX)
        )


def _tick_along(pool: weakref.ref[Pool[Any]], stop: _Gate, interval: float) -> None:
    while not stop.wait(interval):
        found = pool()
        if found is None:
            return
        found._tick()
        del found


__all__ = ["Pool", "PoolStats", "PooledConnection"]
