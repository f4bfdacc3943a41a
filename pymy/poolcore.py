"""What a pool decides: who gets which connection, when to open one, when to close one.

No I/O, no threads, no clock: whoever owns the core tells it the time and what happened, and reads
from the request's ticket what to do next. ``pymy.Pool`` and ``pymy.aio.Pool`` are that owner.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from copy import copy
from typing import Any

from . import err
from .constants import CR
from .poolstate import FOREVER, Do, Limits, Place, PoolStats, Slot, Ticket, is_busy


class PoolCore:
    """Decides for the connections to one server with one login.

    Every method takes the time ``now`` last. Afterwards ``rubbish`` holds connections that are to
    be closed, and the ``wake`` of tickets that have something to do was called.
    """

    def __init__(self, limits: Limits, chance: Callable[[], float] = random.random) -> None:
        self.limits = limits
        self.slots: set[Slot] = set()
        self.rubbish: list[Any] = []
        self.closed = False
        # the error of a server that has no room now; one request at a time asks it again
        self.busy: err.Error | None = None
        self._retry_at = 0.0
        self._retrier: Ticket | None = None
        self._watch: Ticket | None = None
        self._chance = chance
        self._idle: deque[Slot] = deque()
        # a heap by age: a request whose connect failed goes back to its place in line
        self._line: list[Ticket] = []
        self._waiting = 0
        self._numbers = 0
        self._at = dict.fromkeys(Place, 0)
        self._sums: dict[str, int] = dict.fromkeys(
            (
                "connected",
                "closed",
                "expired",
                "broken",
                "lost",
                "connect_failures",
                "acquired",
                "released",
                "refused",
                "cancelled",
            ),
            0,
        )

    # -- a request

    def ask(self, timeout: float | None, wait: bool, now: float) -> Ticket:
        """Begin a request; ``timeout`` seconds for all of it."""
        self._numbers += 1
        ticket = Ticket(self._numbers, FOREVER if timeout is None else now + timeout, wait)
        if self.closed:
            self._refuse(ticket, closed())
        elif self._head() is not None or not self._offer(ticket, now):
            self._queue(ticket, self.limits.max_waiting)
        return ticket

    def lend(self, now: float) -> Slot | None:
        """Hand an idle connection over whose line is still to be looked at: ``dead()`` if not.

        None when there is more to do, or somebody waits: then ``ask()``.
        """
        idle = self._idle
        if not idle or (self._line and self._head() is not None):
            return None
        lifo = self.limits.idle_order == "lifo"
        slot = idle[-1 if lifo else 0]
        if slot.dies <= now or self._check(now - slot.heard) is not Do.PEEK:
            return None
        if lifo:
            idle.pop()
        else:
            idle.popleft()
        self._move(slot, Place.IN_USE)
        return self._hand_over(slot, now)

    def dead(self, slot: Slot, now: float) -> None:
        """What ``lend()`` gave does not work."""
        self._sums["acquired"] -= 1
        self._drop(slot, "broken")
        self._serve(now)

    def patience(self, ticket: Ticket, now: float) -> float | None:
        """Return the seconds that a waiting ticket may sleep before it calls ``look()``."""
        until = ticket.deadline
        if self.busy is not None and self._retrier is None and self._head() is ticket:
            until = min(until, self._retry_at)
        return None if until == FOREVER else max(0.0, until - now)

    def look(self, ticket: Ticket, now: float) -> None:
        """A waiting ticket woke up, or its time is over."""
        if ticket.do is Do.WAIT and now >= ticket.deadline:
            self._give_up(ticket)
        self._serve(now)

    def connected(self, ticket: Ticket, link: Any, now: float) -> None:
        """A ticket's connect has succeeded."""
        slot = ticket.slot
        assert slot is not None
        slot.link = link
        slot.since = slot.heard = now
        life = self.limits.max_lifetime
        if life is not None:
            # so that connections opened together do not all end together
            slot.dies = now + life * (1 - self.limits.max_lifetime_jitter * self._chance())
        self._sums["connected"] += 1
        self._forgive(ticket)
        if self.closed:
            self._drop(slot)
            self._refuse(ticket, closed())
            return
        self._move(slot, Place.IN_USE)
        ticket.do = Do.TAKE
        self._serve(now)

    def failed(self, ticket: Ticket, error: err.Error, now: float) -> None:
        """A ticket's connect has failed; a busy server is asked again after a while."""
        assert ticket.slot is not None
        self._sums["connect_failures"] += 1
        self._free(ticket.slot)
        ticket.slot = None
        if self._retrier is ticket:
            self._retrier = None
        if self.closed:
            self._refuse(ticket, closed())
        elif not is_busy(error):
            self._forgive(ticket)
            self._refuse(ticket, error)
        else:
            self.busy = error
            self._retry_at = now + self.limits.retry_interval
            if ticket.wait and now < ticket.deadline:
                self._queue(ticket, None)
            else:
                self._refuse(ticket, error)
        self._serve(now)

    def checked(self, ticket: Ticket, alive: bool, now: float) -> None:
        """A ticket's idle connection was looked at; a dead one is replaced."""
        slot = ticket.slot
        assert slot is not None
        if self.closed:
            self._drop(slot)
            self._refuse(ticket, closed())
        elif alive:
            if ticket.do is Do.PING:
                slot.heard = now
            ticket.do = Do.TAKE
        else:
            ticket.slot = None
            self._drop(slot, "broken")
            if ticket.wait or not self._offer(ticket, now):
                self._queue(ticket, None)  # at its old place, so most often it is served at once
            self._serve(now)

    def take(self, ticket: Ticket, now: float) -> Slot:
        """Hand a ticket's connection over to its user."""
        slot = ticket.slot
        assert ticket.do is Do.TAKE
        assert slot is not None
        ticket.do = Do.TAKEN
        return self._hand_over(slot, now)

    def _hand_over(self, slot: Slot, now: float) -> Slot:
        slot.since = now
        slot.uses += 1
        slot.reported = False
        self._sums["acquired"] += 1
        return slot

    def cancel(self, ticket: Ticket, now: float) -> None:
        """Nobody wants a ticket any more: what it was given goes to the next in line."""
        do, slot = ticket.do, ticket.slot
        ticket.do, ticket.slot = Do.TAKEN, None
        if do is Do.TAKEN or do is Do.REFUSE:
            return
        self._sums["cancelled"] += 1
        if self._retrier is ticket:
            self._retrier = None
        if do is Do.WAIT:
            self._waiting -= 1
        elif do is Do.CONNECT:
            assert slot is not None
            self._free(slot)
        else:
            assert slot is not None
            if do is Do.PING or self.closed:  # the answer may be half read
                self._drop(slot)
            else:
                self._rest(slot)
        self._serve(now)

    # -- a connection that comes back

    def release(self, slot: Slot, fit: bool, now: float) -> bool:
        """Take a connection back; True when it is to be cleaned, then call ``cleaned()``."""
        if not self._keeps(slot, fit, now):
            return False
        self._move(slot, Place.CLEANING)
        return True

    def returned(self, slot: Slot, now: float) -> None:
        """Take a connection back that is ready for its next user."""
        if self._keeps(slot, True, now):
            self._settle(slot, now)

    def _keeps(self, slot: Slot, fit: bool, now: float) -> bool:
        self._sums["released"] += 1
        slot.lease = slot.stack = None
        uses = self.limits.max_uses
        worn = slot.dies <= now or (uses is not None and slot.uses >= uses)
        if fit and not (worn or slot.doomed or self.closed):
            return True
        self._drop(slot, "broken" if not fit else "expired" if worn else None)
        self._serve(now)
        return False

    def cleaned(self, slot: Slot, clean: bool, now: float) -> None:
        """A connection is ready for its next user, or could not be made so."""
        if slot.place is not Place.CLEANING:  # terminated meanwhile
            return
        if not clean or slot.doomed or self.closed:
            self._drop(slot, None if clean else "broken")
            self._serve(now)
        else:
            self._settle(slot, now)

    def _settle(self, slot: Slot, now: float) -> None:
        slot.since = now
        if slot.used:
            slot.heard = now
        self._rest(slot)
        self._serve(now)

    def forget(self, slot: Slot, now: float) -> None:
        """A user dropped a connection without releasing it, or it was ended by force."""
        if slot.place is Place.GONE:
            return
        if slot.place is Place.IN_USE and slot.link is None:
            self._sums["lost"] += 1
        self._sums["closed"] += 1
        self._free(slot)
        self._serve(now)

    # -- the whole

    def tick(self, now: float) -> None:
        """Close idle connections whose time is over."""
        timeout = self.limits.idle_timeout
        for slot in list(self._idle):
            spare = len(self.slots) > self.limits.min_size
            stale = timeout is not None and spare and now - slot.since >= timeout
            if stale or slot.dies <= now:
                self._idle.remove(slot)
                self._drop(slot, "expired")
        self._serve(now)

    def leaks(self, now: float) -> list[Slot]:
        """Return connections that are in use for too long, each once a use."""
        limit = self.limits.leak_timeout
        if limit is None:
            return []
        held = [
            slot
            for slot in self.slots
            if slot.lease is not None and not slot.reported and now - slot.since >= limit
        ]
        for slot in held:
            slot.reported = True
        return held

    def clear(self, now: float) -> None:
        """Close the idle connections now and those in use when they come back."""
        for slot in self.slots:
            slot.doomed = True
        while self._idle:
            self._drop(self._idle.pop())
        self._serve(now)

    def close(self, now: float) -> None:
        """Refuse all requests, also those in line, and let no connection come to rest."""
        self.closed = True
        while (ticket := self._head()) is not None:
            self._waiting -= 1
            self._refuse(ticket, closed())
        self.clear(now)

    def stats(self) -> PoolStats:
        at = self._at
        return PoolStats(
            idle=at[Place.IDLE],
            in_use=at[Place.IN_USE],
            connecting=at[Place.CONNECTING],
            cleaning=at[Place.CLEANING],
            waiting=self._waiting,
            **self._sums,
        )

    # -- inside

    def _offer(self, ticket: Ticket, now: float) -> bool:
        """Give a ticket an idle connection, or leave to open one."""
        slot = self._pick(now)
        if slot is not None:
            self._move(slot, Place.IN_USE)
            ticket.do = self._check(now - slot.heard)
        elif len(self.slots) < self.limits.max_size and self._may_connect(now):
            if self.busy is not None:
                self._retrier, self._watch = ticket, None
            slot = Slot(self)
            self.slots.add(slot)
            self._at[Place.CONNECTING] += 1
            ticket.do = Do.CONNECT
        else:
            return False
        ticket.slot = slot
        return True

    def _pick(self, now: float) -> Slot | None:
        idle = self._idle
        while idle:
            slot = idle.pop() if self.limits.idle_order == "lifo" else idle.popleft()
            if slot.dies > now:
                return slot
            self._drop(slot, "expired")
        return None

    def _check(self, silence: float) -> Do:
        after = self.limits.validate_after
        return Do.PEEK if after is None or silence <= after else Do.PING

    def _may_connect(self, now: float) -> bool:
        return self.busy is None or (self._retrier is None and now >= self._retry_at)

    def _serve(self, now: float) -> None:
        """Give what is free to those in line, first come first served."""
        if not self._line and self.busy is None:
            return
        while (ticket := self._head()) is not None:
            if now >= ticket.deadline:
                self._give_up(ticket)
            elif self._offer(ticket, now):
                self._waiting -= 1
                self._wake(ticket)
            else:
                break
        self._nudge()

    def _nudge(self) -> None:
        """Let the first in line know that asking a busy server again is now its part."""
        head = self._head()
        if self.busy is None or self._retrier is not None:
            self._watch = None
        elif head is not self._watch:
            self._watch = head
            if head is not None:
                self._wake(head)

    def _head(self) -> Ticket | None:
        line = self._line
        while line and line[0].do is not Do.WAIT:
            heapq.heappop(line)
        return line[0] if line else None

    def _queue(self, ticket: Ticket, room: int | None) -> None:
        if not ticket.wait:
            self._refuse(ticket, self._why(ticket))
        elif room is not None and self._waiting >= room:
            self._refuse(
                ticket,
                err.PoolQueueFull(
                    CR.CR_POOL_QUEUE_FULL,
                    f"{self._waiting} requests wait for a connection already (max_waiting={room}): "
                    "try later, or raise max_size",
                    sent=False,
                ),
            )
        else:
            ticket.do = Do.WAIT
            self._waiting += 1
            heapq.heappush(self._line, ticket)

    def _give_up(self, ticket: Ticket) -> None:
        self._waiting -= 1
        self._refuse(ticket, self._why(ticket))

    def _why(self, ticket: Ticket) -> err.Error:
        """Make the error of a request that got nothing."""
        if self.busy is not None:
            # a copy: several threads may raise it
            again = copy(self.busy)
            again.__cause__ = self.busy.__cause__
            return again
        how = "in acquire_timeout" if ticket.wait else "at once (wait=False)"
        return err.PoolTimeout(
            CR.CR_POOL_TIMEOUT,
            f"No connection was free {how}: all {len(self.slots)} are in use or being opened "
            f"(max_size={self.limits.max_size}). Release them sooner, or raise "
            "max_size or acquire_timeout",
            sent=False,
        )

    def _refuse(self, ticket: Ticket, error: err.Error) -> None:
        self._sums["refused"] += 1
        ticket.do, ticket.slot, ticket.error = Do.REFUSE, None, error
        self._wake(ticket)

    @staticmethod
    def _wake(ticket: Ticket) -> None:
        if ticket.wake is not None:
            ticket.wake()

    def _forgive(self, ticket: Ticket) -> None:
        """The server talks again."""
        if self._retrier is ticket:
            self._retrier = None
        self.busy = None

    def _rest(self, slot: Slot) -> None:
        if slot.doomed:
            self._drop(slot)
        else:
            self._move(slot, Place.IDLE)
            self._idle.append(slot)

    def _move(self, slot: Slot, place: Place) -> None:
        self._at[slot.place] -= 1
        self._at[place] += 1
        slot.place = place

    def _free(self, slot: Slot) -> None:
        self._move(slot, Place.GONE)
        self.slots.discard(slot)
        slot.link = slot.lease = slot.stack = None

    def _drop(self, slot: Slot, why: str | None = None) -> None:
        """Let a connection go; its owner closes what is in ``rubbish``."""
        self._sums["closed"] += 1
        if why is not None:
            self._sums[why] += 1
        if slot.link is not None:
            self.rubbish.append(slot.link)
        self._free(slot)


def closed() -> err.PoolClosed:
    return err.PoolClosed(CR.CR_POOL_CLOSED, "The pool is closed: make a new one", sent=False)
