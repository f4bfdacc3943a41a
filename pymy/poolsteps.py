"""What the pools of threads and of tasks do, with a pause wherever they wait.

Each pause is a function to call; its answer, or an error of it, goes back into the steps. Threads
call it and are there, tasks await what it returns. So every order of events is written once.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from . import err
from .autoprepare import has_long_data
from .baselease import freshen
from .basepool import BasePool, Bucket, in_doubt, logger, repeats
from .constants import CR
from .options import Options
from .options.dsn import bad_option
from .poolstate import Do, Slot, Ticket
from .protocol import commands, resetting
from .protocol.needs import Conversation
from .protocol.query import discard
from .protocol.resetting import ResetWays
from .protocol.state import READY
from .protocol.transactions import run
from .waiting import Deadline, Steps

if TYPE_CHECKING:
    from .basetransactions import BaseTransactional


class PoolSteps(BasePool):
    """Acquiring, cleaning and the shortcuts; how a step waits is its subclass's business."""

    # -- the steps that wait in another way on each side

    @abstractmethod
    def _make(self, options: Options) -> Any:
        """Make a connection object; nothing is sent."""

    @abstractmethod
    def _dial(self, conn: Any, options: Options) -> Any: ...

    @abstractmethod
    def _sleep(self, core: Bucket, ticket: Ticket) -> Any:
        """Wait until the ticket is woken, or its patience is over."""

    @abstractmethod
    def _tidy(self, conn: Any, conversation: Conversation[None]) -> Any:
        """Carry a conversation within ``cancel_timeout``."""

    @abstractmethod
    def _keep_time(self) -> None:
        """Look at the clock from now on, if any limit needs it."""

    @abstractmethod
    def release(self, conn: Any) -> Any: ...

    # -- acquiring

    def _acquiring(self, dsn: str | None, timeout: float | None, wait: bool) -> Steps[Any]:
        core = self._core(dsn)
        self._keep_time()
        ticket = self._tell(core.ask, self._timeout(timeout), wait)
        try:
            while (do := ticket.do) is not Do.TAKE:
                if do is Do.CONNECT:
                    yield from self._opening(core, ticket)
                elif do is Do.WAIT:
                    yield from self._lining_up(core, ticket)
                elif do is Do.REFUSE:
                    assert ticket.error is not None
                    raise ticket.error
                else:
                    self._tell(core.checked, ticket, (yield from self._checking(ticket)))
        except BaseException:
            self._tell(core.cancel, ticket)
            raise
        conn = self._lend(self._tell(core.take, ticket))
        if self._on_acquire is not None:
            try:
                yield partial(self._on_acquire, conn)
            except BaseException:
                self._give_back(conn)
                raise
        return conn

    def _opening(self, core: Bucket, ticket: Ticket) -> Steps[None]:
        conn = self._make(core.options)
        conn._ways = core.ways
        try:
            yield partial(self._dial, conn, self._within(core.options, ticket))
            yield from self._greeting(conn)
            if conn.in_transaction:
                left = self._within(core.options, ticket).connect_timeout
                yield partial(conn._run, conn._ending("COMMIT"), left)
        except err.Error as exc:
            conn.abort()
            self._tell(core.failed, ticket, exc)
        except BaseException:
            conn.abort()
            raise
        else:
            self._tell(core.connected, ticket, conn)

    def _within(self, options: Options, ticket: Ticket) -> Options:
        """Return the options of a connect that ends with its request's time."""
        left = max(ticket.deadline - self._now(), 0.001)
        limit = options.connect_timeout
        if left == float("inf") or (limit is not None and limit <= left):
            return options
        return hurried(options, left)

    def _greeting(self, conn: Any) -> Steps[None]:
        conn._transport.options = conn._options  # instead of those with this connect's time
        if self._on_connect is not None:
            yield partial(self._on_connect, conn)

    def _lining_up(self, core: Bucket, ticket: Ticket) -> Steps[None]:
        if self._on_wait is not None:
            yield self._on_wait
        while ticket.do is Do.WAIT:
            yield partial(self._sleep, core, ticket)
            self._tell(core.look, ticket)

    def _checking(self, ticket: Ticket) -> Steps[bool]:
        assert ticket.slot is not None
        conn = ticket.slot.link
        if not conn.is_alive():
            return False
        if ticket.do is Do.PING:
            left = min(ticket.deadline - self._now(), conn.options.cancel_timeout)
            try:
                yield partial(conn._run, commands.ping(conn._session), max(left, 0.001))
            except err.Error:
                return False
        return True

    # -- releasing

    def _give_back(self, conn: Any) -> None:
        """Release a connection, if a hook or its user has not done so."""
        if conn._pool is self:
            self.release(conn)

    def _cleaning(self, slot: Slot) -> Steps[None]:
        conn, core = slot.link, slot.core
        clean = False
        try:
            if self._on_release is not None:
                yield partial(self._on_release, conn)
                slot.used = conn._session.command_number != slot.command
            freshen(conn)
            if self._is_left_over(slot):
                ways = core.ways if self.reset_on_release else None
                yield partial(self._tidy, conn, tidy(conn, ways))
                if self.reset_on_release:
                    conn._renew_session()
                    yield from self._greeting(conn)
                    if conn.in_transaction:
                        yield partial(self._tidy, conn, conn._ending("COMMIT"))
            clean = conn._session.state is READY  # its next user looks at the line
        except (err.Error, TimeoutError):
            pass
        except Exception:
            logger.exception("A hook of the pool failed; the connection is closed")
        finally:
            self._tell(core.cleaned, slot, clean)

    # -- shortcuts

    def _executing(
        self,
        query: str | bytes,
        args: Any,
        dsn: str | None,
        timeout: float | None,
        retries: int | None,
    ) -> Steps[Any]:
        again = self.retry_queries if retries is None else repeats("retries", retries)
        attempts = Attempts(again, self.limits.max_size)
        if has_long_data(args):  # a file that was read would be a shorter one
            attempts = Attempts(0, 0)
        while True:
            conn = yield from self._acquiring(dsn, None, True)
            executed = several = False
            try:
                cursor = conn.cursor(buffered(conn.cursorclass))
                deadline = Deadline(timeout, "timeout")
                yield partial(cursor.execute, query, args, timeout=timeout)
                executed = True
                several = conn._session.state is not READY
                if several:  # an error among the other results must be heard
                    yield partial(conn._run, discard(conn._session), remaining(deadline))
                if conn.in_transaction:
                    yield partial(conn._run, conn._ending("COMMIT"), remaining(deadline))
                return cursor
            except err.Error as exc:
                # with several statements, those before it may be committed
                if several or not attempts.again(exc, executed):
                    raise
            finally:
                self._give_back(conn)

    def _warming(self, size: int | None) -> Steps[None]:
        wanted = self.limits.min_size if size is None else size
        if wanted > self.limits.max_size:
            raise bad_option(f"warm_up({wanted}) is above max_size {self.limits.max_size}.")
        core = self._core(None)
        held: list[Any] = []
        back: list[Any] = []
        try:
            while len(core.slots) < wanted:
                held.append((yield from self._acquiring(None, None, True)))
        finally:
            back += map(self.release, held)
        for done in back:
            yield partial(_same, done)


class Attempts:
    """Says whether ``pool.execute`` may run its statement again."""

    def __init__(self, retries: int, connections: int) -> None:
        self._retries = retries
        self._connections = connections

    def again(self, error: err.Error, executed: bool) -> bool:
        """Tell whether ``error`` allows it; ``executed``: the failure was in the commit."""
        if error.fatal:
            # a dead connection, and the server has seen nothing: no answer, no harm
            self._connections -= 1
            return not error.sent and not executed and self._connections >= 0
        self._retries -= 1
        return error.retry in (err.Retry.QUERY, err.Retry.TRANSACTION) and self._retries >= 0


def remaining(deadline: Deadline) -> float | None:
    """Return the seconds left; a moment when there are none, as an answer may be there already."""
    return None if deadline.at is None else max(deadline.at - time.monotonic(), 0.001)


def hurried(options: Options, seconds: float) -> Options:
    """Copy options with less time to connect; checking them all again would take longer."""
    copied = copy(options)
    object.__setattr__(copied, "connect_timeout", seconds)
    return copied


def buffered(cursorclass: Any) -> Any:
    """Return the cursor class for a result that outlives its connection's lease."""
    if cursorclass._streams:
        raise err.ProgrammingError(
            CR.CR_BAD_PARAMETER,
            f"execute() of a pool reads the whole result, {cursorclass.__name__} does not: "
            "use stream()",
            sent=False,
        )
    return cursorclass


def tidy(conn: BaseTransactional, ways: ResetWays | None) -> Conversation[None]:
    """Make a session fit for its next user: a reset, or at least no transaction and no rows."""
    session = conn._session
    if ways is not None:
        yield from resetting.reset(session, conn._options, conn._credentials, ways)
    else:
        if session.state is not READY:
            yield from discard(session)
        if in_doubt(session):
            yield from run(session, "ROLLBACK")
    conn._forget_transaction()


def _same(value: Any) -> Any:
    return value
