"""What the pools of threads and of tasks share: everything that does not wait."""

from __future__ import annotations

import logging
import sys
import time
import traceback
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Literal, TypeVar

from . import err
from .base import _Forks
from .baselease import freshen, pass_on
from .constants import CR, SERVER_STATUS
from .options import Options, from_call
from .options.dsn import bad_option
from .options.keywords import KEYWORDS, check_names
from .poolcore import PoolCore, closed
from .poolstate import Limits, Place, PoolStats, Slot
from .protocol.resetting import ResetWays
from .protocol.session import IN_TRANSACTION, Session
from .protocol.state import READY

T = TypeVar("T")

AUTOCOMMIT = int(SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT)

# what the pool takes for itself, to name it in errors
_OWN = frozenset({spec.name for spec in fields(Limits)})

logger = logging.getLogger("pymy.pool")


class Bucket(PoolCore):
    """The connections to one server with one login."""

    def __init__(self, limits: Limits, options: Options, rubbish: list[Any]) -> None:
        super().__init__(limits)
        self.rubbish = rubbish  # of the whole pool
        self.options = options
        # all in one write, until the server turns out to be one that cannot
        self.ways = ResetWays(together=options.pipelining)


class BasePool:
    """A pool's settings, cores and counters; how it waits is its subclass's business."""

    _closed = True  # until it is made: __del__ comes for half-made ones too
    _lock: Any

    def __init__(
        self,
        dsn: str | None = None,
        *,
        min_size: int = 0,
        max_size: int = 10,
        max_waiting: int | None = None,
        acquire_timeout: float | None = 10.0,
        idle_order: Literal["lifo", "fifo"] = "lifo",
        idle_timeout: float | None = None,
        max_lifetime: float | None = None,
        max_lifetime_jitter: float = 0.1,
        max_uses: int | None = None,
        validate_after: float | None = 0.5,
        reset_on_release: bool = True,
        retry_interval: float = 0.5,
        retry_queries: int = 0,
        leak_timeout: float | None = None,
        on_connect: Callable[[Any], Any] | None = None,
        on_acquire: Callable[[Any], Any] | None = None,
        on_wait: Callable[[], Any] | None = None,
        on_release: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> None:
        self.limits = Limits(
            min_size=min_size,
            max_size=max_size,
            max_waiting=max_waiting,
            acquire_timeout=acquire_timeout,
            idle_order=idle_order,
            idle_timeout=idle_timeout,
            max_lifetime=max_lifetime,
            max_lifetime_jitter=max_lifetime_jitter,
            max_uses=max_uses,
            validate_after=validate_after,
            retry_interval=retry_interval,
            leak_timeout=leak_timeout,
        )
        self.reset_on_release = reset_on_release
        self.retry_queries = repeats("retry_queries", retry_queries)
        self._on_connect = on_connect
        self._on_acquire = on_acquire
        self._on_wait = on_wait
        self._on_release = on_release
        check_names(options, "Pool()", KEYWORDS | _OWN)
        self._options = from_call(dsn, (), options)
        self._shared = options
        self._forks = _Forks.count
        self._buckets: dict[str | None, Bucket] = {}
        # What __del__ reports: it may run within any of the pool's own lines.
        self._lost: deque[Slot] = deque()
        self._rubbish: list[Any] = []
        self._interval = self._tick_interval()
        self._prepare()
        self._closed = False

    def _prepare(self) -> None:
        """Make the lock and what else the subclass needs."""
        raise NotImplementedError

    # -- facts

    @property
    def options(self) -> Options:
        """The settings of the pool's connections; another ``dsn=`` has its own."""
        return self._options

    @property
    def closed(self) -> bool:
        """True from ``close()`` or ``terminate()`` on."""
        return self._closed

    @property
    def size(self) -> int:
        """Connections of the pool: idle, in use, being opened or cleaned."""
        return self.stats().size

    def stats(self, dsn: str | None = None) -> PoolStats:
        """Return the counters: of one ``dsn``, or the sums of all. Nothing is sent."""
        self._sweep()
        with self._locked():
            if dsn is not None:
                return self._cores[dsn].stats() if dsn in self._cores else PoolStats()
            return sum((core.stats() for core in self._cores.values()), PoolStats())

    def __repr__(self) -> str:
        stats = self.stats()
        state = "closed " if self._closed else ""
        return (
            f"<{type(self).__module__}.{type(self).__qualname__} {state}"
            f"{stats.in_use} in use, {stats.idle} idle, {stats.waiting} waiting, "
            f"max_size={self.limits.max_size}>"
        )

    @property
    def _cores(self) -> dict[str | None, Bucket]:
        """The cores by DSN; to be asked for before the lock, which a fork may leave locked."""
        self._check_process()
        return self._buckets

    def _check_process(self) -> None:
        if self._forks != _Forks.count:
            self._start_over()

    def _start_over(self) -> None:
        """Begin empty in a forked child: connections and lock are the parent's."""
        self._lost.clear()
        self._rubbish.clear()
        self._buckets = {}
        self._forks = _Forks.count

    # -- the end

    def terminate(self) -> None:
        """Close the pool and all connections at once; what they run fails."""
        self._shut()
        for conn in self._evicted():
            conn.abort()

    def _shut(self) -> None:
        cores = self._cores
        with self._locked():  # so that no core is made from here on
            self._closed = True
        for core in list(cores.values()):
            self._tell(core.close)

    def _clear(self) -> None:
        for core in list(self._cores.values()):
            self._tell(core.clear)

    def __del__(self) -> None:
        if not self._closed and any(core.slots for core in self._cores.values()):
            warnings.warn("unclosed pool: call close()", ResourceWarning, 2, self)
            for core in self._cores.values():
                for slot in core.slots:
                    if slot.link is not None:
                        slot.link._drop()

    # -- talking to the cores

    _now = staticmethod(time.monotonic)

    def _discard(self, link: Any) -> None:
        raise NotImplementedError

    def _idle_now(self) -> None:
        """Called when no connection is left of a closed pool."""
        raise NotImplementedError

    def _core(self, dsn: str | None) -> Bucket:
        if self._forks != _Forks.count:
            self._start_over()
        found = self._buckets.get(dsn)
        if found is None:
            options = self._options
            if dsn is not None:
                options = from_call(dsn, (), self._shared, elsewhere=True)
            with self._locked():
                if self._closed:
                    raise closed()
                found = self._buckets.setdefault(dsn, Bucket(self.limits, options, self._rubbish))
        return found

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock, then do what came up meanwhile: who drops a connection cannot wait."""
        try:
            with self._lock:
                yield
        finally:
            self._catch_up()

    def _tell(self, event: Callable[..., T], *args: Any) -> T:
        """Report an event to a core, then do what became due: close, take note of the lost."""
        with self._lock:
            answer = event(*args, self._now())
        if self._rubbish or self._lost or self._closed:  # as _catch_up(), but at once
            self._sweep()
        return answer

    def _catch_up(self) -> None:
        """To be called whenever the lock was held."""
        if self._rubbish or self._lost or self._closed:
            self._sweep()

    def _sweep(self) -> None:
        self._check_process()
        self._find_lost()
        while self._rubbish:
            try:
                link = self._rubbish.pop()
            except IndexError:  # another thread's sweep was faster
                break
            self._discard(link)
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if self._closed and self._drained():
            self._idle_now()

    def _drained(self) -> bool:
        return not any(core.slots for core in list(self._cores.values()))

    def _evicted(self) -> list[Any]:
        """Take away all connections but those that a request is opening or checking."""
        found = []
        for core in list(self._cores.values()):
            with self._locked():
                slots = list(core.slots)
            for slot in slots:
                lease = slot.lease
                if lease is not None or slot.place is Place.CLEANING:
                    found.append(slot.link if lease is None else lease())
                    self._tell(core.forget, slot)
        return [conn for conn in found if conn is not None]

    def _lose(self, slot: Slot) -> None:
        """Take note of a connection whose user dropped it; called by its ``__del__``."""
        if self._forks == _Forks.count and slot.place is Place.IN_USE:
            logger.warning("A connection was dropped without being released%s", _where(slot))
            self._lost.append(slot)
            self._report_lost()

    def _report_lost(self) -> None:
        """See to it that ``_sweep()`` is called soon."""
        raise NotImplementedError

    def _find_lost(self) -> None:
        while self._lost:
            with self._lock:
                try:
                    slot = self._lost.popleft()
                except IndexError:
                    return
                slot.core.forget(slot, self._now())

    def _tick(self) -> None:
        for core in list(self._cores.values()):
            self._tell(core.tick)
            for slot in self._tell(core.leaks):
                logger.warning(
                    "A connection is in use for more than leak_timeout=%g s%s",
                    self.limits.leak_timeout,
                    _where(slot),
                )

    def _tick_interval(self) -> float | None:
        """Return the seconds between two looks at the clock; None when no limit needs one."""
        limits = self.limits
        times = [limits.idle_timeout, limits.max_lifetime, limits.leak_timeout]
        given = [time for time in times if time is not None]
        return min(max(min(given) / 4, 0.05), 30.0) if given else None

    # -- handing over and taking back

    def _timeout(self, timeout: float | None) -> float | None:
        if timeout is None:
            return self.limits.acquire_timeout
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
            raise TypeError(f"timeout is a number of seconds, not {type(timeout).__name__}")
        if not timeout >= 0:
            raise bad_option(f"timeout is 0 or more, not {timeout}.")
        return timeout

    def _borrow(self, dsn: str | None, timeout: float | None) -> Any:
        """Lend an idle connection at once; None when that takes more than a look at its line."""
        if self._on_acquire is not None or timeout is not None:
            return None
        core = self._core(dsn)
        slot = self._tell(core.lend)
        if slot is None:
            return None
        if slot.link.is_alive() and not self._closed:
            return self._lend(slot)
        self._tell(core.dead, slot)
        return None

    def _lend(self, slot: Slot) -> Any:
        conn, slot.link = slot.link, None
        conn._pool, conn._slot = self, slot
        slot.command = conn._session.command_number
        slot.lease = weakref.ref(conn)
        if self.limits.leak_timeout is not None:
            # the lines' text is looked up when it is shown
            slot.stack = traceback.StackSummary.extract(
                traceback.walk_stack(sys._getframe(1)), lookup_lines=False
            )
            slot.stack.reverse()
        return conn

    def _take_back(self, conn: Any, usable: bool = True) -> Slot | None:
        """Part a user from a connection; ``slot.link`` is then to be cleaned, None: nothing is."""
        if self._forks != _Forks.count:
            self._start_over()
        with self._lock:  # two threads may release it at once
            if getattr(conn, "_pool", None) is not self or conn._slot is None:
                raise self._not_lent(conn)
            if conn._starting:
                raise err.InterfaceError(
                    CR.CR_BAD_PARAMETER,
                    "Giving a connection back to its pool cannot be started: call release()",
                    sent=False,
                )
            if conn._pending is not None:
                conn.abort()  # nobody can tell what the operation has sent
            slot: Slot = conn._slot
            session = conn._session
            slot.used = session.command_number != slot.command
            fit = (
                usable
                and conn.open
                and conn._options is slot.core.options
                # A prepared transaction outlives its connection; one that is not must not.
                and conn._branch is None
                and not session.read_only
            )
            # else it was terminated, or opened before a fork
            ours = slot.place is Place.IN_USE and conn._forks == _Forks.count
            heir = pass_on(conn)
            slot.link = heir if ours else None
            if not ours:
                self._rubbish.append(heir)
                left = False
            elif not fit or self._on_release is not None or self._is_left_over(slot):
                left = slot.core.release(slot, fit, self._now())
            else:
                freshen(heir)
                slot.core.returned(slot, self._now())
                left = False
        self._catch_up()
        return slot if left else None

    def _is_left_over(self, slot: Slot) -> bool:
        """Tell whether the last user left something at the server that must go."""
        if not slot.used:
            return False
        session = slot.link._session
        return self.reset_on_release or session.state is not READY or in_doubt(session)

    def _not_lent(self, conn: Any) -> err.InterfaceError:
        released = getattr(conn, "_retired", False)
        what = "was released already" if released else "is not of this pool"
        return err.InterfaceError(
            CR.CR_BAD_PARAMETER, f"The connection {what}: release it once, where it is from"
        )


def in_doubt(session: Session) -> bool:
    """Tell whether a transaction may be open, or locks of one be held."""
    status = session.status
    return (
        bool(status & IN_TRANSACTION)
        or session.erred  # an ERR has no status: what failed may have begun one
        # MySQL keeps metadata locks of what is no transaction's, of MyISAM tables and functions
        or not (session.mariadb or status & AUTOCOMMIT)
    )


def repeats(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is a whole number, not {type(value).__name__}")
    if value < 0:
        raise bad_option(f"{name} is 0 or more, not {value}.")
    return value


def _where(slot: Slot) -> str:
    if slot.stack is None:
        return ": use `with pool.connection()`; with leak_timeout= the pool tells where that was"
    return ", acquired here:\n" + "".join(slot.stack.format())
