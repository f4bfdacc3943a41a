"""What a pool decides, without a connection, a thread or a clock."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import pymy
from pymy.constants import CR
from pymy.poolcore import PoolCore
from pymy.poolstate import Do, Limits, Place, is_busy

FULL = pymy.OperationalError(1040, "Too many connections", fatal=True)
DENIED = pymy.OperationalError(1045, "Access denied", fatal=True)


def core_of(**limits):
    return PoolCore(Limits(**limits), chance=lambda: 1.0)


def opened(core, now=0.0, timeout=10.0):
    ticket = core.ask(timeout, True, now)
    assert ticket.do is Do.CONNECT
    core.connected(ticket, object(), now)
    slot = core.take(ticket, now)
    slot.link = None
    return slot


def given_back(core, slot, now=0.0):
    slot.link = object()
    assert core.release(slot, True, now)
    core.cleaned(slot, True, now)


def rested(core, now=0.0, count=1):
    for slot in [opened(core, now) for _ in range(count)]:
        given_back(core, slot, now)


def granted(core, now, timeout=10.0):
    ticket = core.ask(timeout, True, now)
    return ticket.do


def test_connects_lazily_up_to_max_size():
    core = core_of(max_size=2)
    assert [granted(core, 0.0) for _ in range(3)] == [Do.CONNECT, Do.CONNECT, Do.WAIT]
    assert core.stats().size == 2


def test_first_come_first_served():
    core = core_of(max_size=1)
    slot = opened(core)
    first, second = core.ask(10, True, 1.0), core.ask(10, True, 1.0)
    woken = []
    first.wake = lambda: woken.append(1)
    second.wake = lambda: woken.append(2)
    given_back(core, slot, 2.0)
    assert (first.do, second.do, woken) == (Do.PEEK, Do.WAIT, [1])


@pytest.mark.parametrize(
    ("validate_after", "idle", "do"),
    [
        (0.5, 0.0, Do.PEEK),
        (0.5, 0.5, Do.PEEK),
        (0.5, 0.6, Do.PING),
        (0, 0.1, Do.PING),
        (None, 3600.0, Do.PEEK),
    ],
)
def test_idle_connections_are_checked(validate_after, idle, do):
    core = core_of(validate_after=validate_after)
    rested(core, 100.0)
    assert granted(core, 100.0 + idle) is do


@pytest.mark.parametrize(("used", "do"), [(True, Do.PEEK), (False, Do.PING)])
def test_an_unused_connection_was_not_heard(used, do):
    """Whoever held it long and sent nothing proves nothing about its server."""
    core = core_of(validate_after=0.5)
    slot = opened(core, 100.0)
    slot.used = used
    slot.link = object()
    core.returned(slot, 103.0)
    assert (core.lend(103.1) is slot) is used
    if not used:
        ticket = core.ask(10, True, 103.1)
        assert ticket.do is do
        core.checked(ticket, True, 103.2)
        core.cancel(ticket, 103.2)
        assert core.lend(103.3) is slot


def test_lent_at_once():
    """... is what needs no more than a look, in the order of the idle ones."""
    core = core_of(max_size=2, validate_after=0.5)
    assert core.lend(0.0) is None
    first, second = opened(core), opened(core)
    for slot in (first, second):
        given_back(core, slot, 1.0)
    assert core.lend(1.6) is None  # a ping is due
    assert core.lend(1.1) is second
    waiting = [core.ask(10, True, 1.1) for _ in range(2)]
    assert [ticket.do for ticket in waiting] == [Do.PEEK, Do.WAIT]
    given_back(core, second, 1.2)
    core.cancel(waiting[1], 1.2)
    assert core.lend(1.2) is second
    core.dead(second, 1.2)
    assert (core.stats().broken, core.stats().acquired) == (1, 3)


def test_lent_at_once_in_turn():
    core = core_of(max_size=2, idle_order="fifo")
    first, second = opened(core), opened(core)
    for slot in (first, second):
        given_back(core, slot)
    assert [core.lend(0.0), core.lend(0.0)] == [first, second]


def test_nothing_worn_is_lent_at_once():
    core = core_of(max_lifetime=10, max_lifetime_jitter=0)
    rested(core)
    assert core.lend(10.0) is None


@pytest.mark.parametrize(("order", "place"), [("lifo", -1), ("fifo", 0)])
def test_idle_order(order, place):
    core = core_of(idle_order=order)
    slots = [opened(core) for _ in range(3)]
    for now, slot in enumerate(slots):
        given_back(core, slot, float(now))
    assert core.ask(10, True, 3.0).slot is slots[place]


def test_dead_connections_are_replaced_until_one_works():
    core = core_of(max_size=3)
    rested(core, count=2)
    ticket = core.ask(10, True, 0.1)
    core.checked(ticket, False, 0.1)
    assert ticket.do is Do.PEEK
    core.checked(ticket, False, 0.1)
    assert ticket.do is Do.CONNECT
    assert len(core.rubbish) == core.stats().broken == 2


@pytest.mark.parametrize(
    ("limits", "now", "left"),
    [
        ({"idle_timeout": 5}, 4.9, 3),
        ({"idle_timeout": 5}, 5.0, 0),
        ({"idle_timeout": 5, "min_size": 2}, 5.0, 2),
        ({"max_lifetime": 5, "max_lifetime_jitter": 0}, 5.0, 0),
        ({"max_lifetime": 5, "max_lifetime_jitter": 0}, 4.9, 3),
        ({"max_lifetime": 5, "max_lifetime_jitter": 0.5}, 2.5, 0),
        ({"max_lifetime": 5, "max_lifetime_jitter": 0, "min_size": 3}, 5.0, 0),
        ({}, 1e9, 3),
    ],
)
def test_idle_connections_expire(limits, now, left):
    core = core_of(**limits)
    rested(core, count=3)
    core.tick(now)
    assert core.stats().idle == left
    assert core.stats().expired == len(core.rubbish) == 3 - left


@pytest.mark.parametrize(
    ("limits", "uses", "now", "kept"),
    [
        ({"max_uses": 2}, 1, 0.0, True),
        ({"max_uses": 2}, 2, 0.0, False),
        ({"max_lifetime": 5, "max_lifetime_jitter": 0}, 1, 6.0, False),
    ],
)
def test_worn_connections_are_not_cleaned(limits, uses, now, kept):
    core = core_of(**limits)
    slot = opened(core)
    slot.uses = uses
    slot.link = object()
    assert core.release(slot, True, now) is kept


def test_expired_connection_is_not_lent():
    core = core_of(max_lifetime=5, max_lifetime_jitter=0)
    rested(core)
    assert granted(core, 6.0) is Do.CONNECT


def test_waiting_ends():
    core = core_of(max_size=1, max_waiting=1)
    opened(core)
    waiting = core.ask(10, True, 0.0)
    full = core.ask(10, True, 0.0)
    assert isinstance(full.error, pymy.PoolQueueFull)
    assert core.patience(waiting, 4.0) == 6.0
    core.look(waiting, 9.9)
    assert waiting.do is Do.WAIT
    core.look(waiting, 10.0)
    assert waiting.do is Do.REFUSE
    assert isinstance(waiting.error, pymy.PoolTimeout)
    assert isinstance(waiting.error, pymy.OperationalError)
    assert waiting.error.errno == CR.CR_POOL_TIMEOUT
    at_once = core.ask(10, False, 0.0)
    assert "wait=False" in at_once.error.message
    assert core.stats().refused == 3


def test_no_limit_is_no_limit():
    core = core_of(max_size=1)
    opened(core)
    assert core.patience(core.ask(None, True, 0.0), 1e12) is None


# -- a server that has no room


def test_one_request_at_a_time_asks_a_busy_server():
    core = core_of(max_size=3, retry_interval=0.5)
    first, second = core.ask(10, True, 0.0), core.ask(10, True, 0.0)
    core.failed(second, FULL, 0.1)
    core.failed(first, FULL, 0.2)
    third = core.ask(10, True, 0.3)
    assert [ticket.do for ticket in (first, second, third)] == [Do.WAIT] * 3
    # the oldest asks again, whoever failed last
    assert core.patience(first, 0.3) == pytest.approx(0.4)
    assert core.patience(second, 0.3) == pytest.approx(9.7)
    core.look(first, 0.7)
    assert [ticket.do for ticket in (first, second, third)] == [Do.CONNECT, Do.WAIT, Do.WAIT]
    core.connected(first, object(), 0.8)
    assert [ticket.do for ticket in (first, second, third)] == [Do.TAKE, Do.CONNECT, Do.CONNECT]


def test_a_busy_server_is_asked_again_and_again():
    core = core_of(retry_interval=0.5)
    ticket = core.ask(10, True, 0.0)
    for turn in range(5):
        assert ticket.do is Do.CONNECT
        core.failed(ticket, FULL, float(turn))
        core.look(ticket, turn + 0.4)
        assert ticket.do is Do.WAIT
        core.look(ticket, turn + 0.5)
    assert core.stats().connect_failures == 5


def test_a_server_that_denies_is_not_busy():
    core = core_of(retry_interval=0.5)
    first = core.ask(10, True, 0.0)
    core.failed(first, FULL, 0.0)
    second = core.ask(10, True, 0.0)
    core.look(first, 0.5)
    core.failed(first, DENIED, 0.6)
    assert first.error is DENIED
    assert second.do is Do.CONNECT


def test_next_in_line_takes_over_the_asking():
    core = core_of(max_size=3, retry_interval=0.5)
    first = core.ask(10, True, 0.0)
    core.failed(first, FULL, 0.0)
    second = core.ask(10, True, 0.0)
    woken = []
    second.wake = lambda: woken.append(2)
    core.cancel(first, 0.1)
    assert woken == [2]
    assert core.patience(second, 0.1) == pytest.approx(0.4)
    core.look(second, 0.5)
    assert second.do is Do.CONNECT
    core.cancel(second, 0.6)
    assert core.stats().size == 0


def test_a_returned_connection_serves_those_whom_the_server_refused():
    core = core_of(max_size=3)
    slot = opened(core)
    ticket = core.ask(10, True, 0.0)
    core.failed(ticket, FULL, 0.0)
    given_back(core, slot, 0.1)
    assert ticket.do is Do.PEEK


def test_the_server_s_error_when_time_is_over():
    core = core_of(max_size=3)
    ticket = core.ask(1, True, 0.0)
    core.failed(ticket, FULL, 0.0)
    impatient = core.ask(1, False, 0.1)
    assert impatient.error.errno == 1040
    core.look(ticket, 1.0)
    assert ticket.error.errno == 1040
    assert ticket.error is not FULL


def test_denied_is_not_asked_again():
    core = core_of(max_size=1)
    ticket, waiting = core.ask(10, True, 0.0), core.ask(10, True, 0.0)
    core.failed(ticket, DENIED, 0.1)
    assert ticket.error is DENIED
    assert waiting.do is Do.CONNECT


def caused(errno, cause):
    error = pymy.OperationalError(errno, "cannot", fatal=True)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "busy"),
    [(pymy.OperationalError(errno, "no"), True) for errno in (1040, 1053, 1135, 1203, 1226)]
    + [
        (DENIED, False),
        (pymy.OperationalError(1049, "Unknown database"), False),
        (caused(2003, ConnectionRefusedError()), True),
        (caused(2002, FileNotFoundError()), True),
        (caused(2003, OSError("Multiple exceptions: [Errno 111] a, [Errno 111] b")), True),
        (caused(2003, TimeoutError()), False),
        (caused(2003, OSError("Name or service not known")), False),
        (caused(2013, None), True),
        (caused(2013, TimeoutError()), False),
    ],
)
def test_is_busy(error, busy):
    assert is_busy(error) is busy


# -- requests given up


@pytest.mark.parametrize("step", ["waiting", "connecting", "handed over", "checking"])
def test_cancelled_request_passes_on_what_it_got(step):
    core = core_of(max_size=1)
    if step == "checking":
        rested(core)
    elif step != "connecting":
        slot = opened(core)
    ticket = core.ask(10, True, 5.0)
    waiting = core.ask(10, True, 5.0)
    if step == "handed over":
        given_back(core, slot, 5.0)
        assert ticket.do is Do.PEEK
    if step == "waiting":
        core.cancel(ticket, 5.0)
        assert waiting.do is Do.WAIT
        given_back(core, slot, 5.0)
        assert waiting.do is Do.PEEK
    else:
        core.cancel(ticket, 5.0)
        # a ping may have an answer on its way: that connection is not handed on
        assert waiting.do is (Do.PEEK if step == "handed over" else Do.CONNECT)
    assert core.stats().cancelled == 1
    core.cancel(ticket, 5.0)
    assert core.stats().cancelled == 1


def test_cancelled_hand_over_of_a_new_connection():
    core = core_of(max_size=1)
    ticket = core.ask(10, True, 5.0)
    core.connected(ticket, object(), 5.0)
    core.cancel(ticket, 5.0)
    assert granted(core, 5.0) is Do.PEEK


# -- the end


def test_close_while_a_connection_is_checked():
    core = core_of()
    rested(core)
    ticket = core.ask(10, True, 0.1)
    core.close(0.2)
    core.checked(ticket, True, 0.2)
    assert isinstance(ticket.error, pymy.PoolClosed)
    assert (len(core.rubbish), len(core.slots)) == (1, 0)


def test_close():
    core = core_of(max_size=2)
    slot = opened(core)
    connecting = core.ask(10, True, 0.0)
    waiting = core.ask(10, True, 0.0)
    core.close(1.0)
    assert isinstance(waiting.error, pymy.PoolClosed)
    assert isinstance(core.ask(10, True, 1.0).error, pymy.InterfaceError)
    slot.link = object()
    assert core.release(slot, True, 1.0) is False
    core.connected(connecting, object(), 1.0)
    assert isinstance(connecting.error, pymy.PoolClosed)
    assert not core.slots
    assert core.stats().connected == core.stats().closed == len(core.rubbish) == 2


def test_clear_dooms_those_in_use():
    core = core_of()
    slots = [opened(core), opened(core)]
    given_back(core, slots[0])
    core.clear(1.0)
    slots[1].link = object()
    assert core.release(slots[1], True, 1.0) is False
    assert core.stats().size == 0
    assert not core.closed


def test_lost_connection_makes_room():
    core = core_of(max_size=1)
    slot = opened(core)
    waiting = core.ask(10, True, 0.0)
    core.forget(slot, 1.0)
    core.forget(slot, 1.0)
    assert waiting.do is Do.CONNECT
    assert core.stats().lost == core.stats().closed == 1


def test_leaks_are_told_once_a_use():
    core = core_of(leak_timeout=5)
    slot = opened(core)
    slot.link, slot.lease = None, object
    assert core.leaks(4.0) == []
    assert core.leaks(5.0) == [slot]
    assert core.leaks(6.0) == []
    assert core_of().leaks(1e9) == []


@pytest.mark.parametrize(
    ("limits", "error", "says"),
    [
        ({"max_size": 0}, pymy.ProgrammingError, "max_size"),
        ({"max_size": 2, "min_size": 3}, pymy.ProgrammingError, "min_size 3"),
        ({"min_size": -1}, pymy.ProgrammingError, "min_size"),
        ({"max_size": 2.5}, TypeError, "whole number"),
        ({"max_size": True}, TypeError, "bool"),
        ({"acquire_timeout": "3"}, TypeError, "seconds"),
        ({"retry_interval": None}, TypeError, "retry_interval"),
        ({"idle_timeout": float("nan")}, pymy.ProgrammingError, "idle_timeout"),
        ({"idle_order": "random"}, pymy.ProgrammingError, "lifo"),
        ({"max_uses": 0}, pymy.ProgrammingError, "max_uses"),
        ({"max_lifetime_jitter": 2}, pymy.ProgrammingError, "share"),
    ],
)
def test_limits_are_checked(limits, error, says):
    with pytest.raises(error, match=says):
        Limits(**limits)


# -- any order of events


class AnyOrder(RuleBasedStateMachine):
    """Requests, answers, failures, cancels and the clock in any order."""

    def __init__(self):
        super().__init__()
        self.core = PoolCore(
            Limits(
                max_size=3,
                min_size=1,
                max_waiting=4,
                idle_timeout=20,
                max_lifetime=50,
                max_uses=4,
                retry_interval=2,
            ),
            chance=lambda: 0.5,
        )
        self.now = 0.0
        self.tickets = []
        self.used = []
        self.cleaning = []
        self.links = set()
        self.closed_links = set()
        self.sleeping = set()

    # the owner of a ticket sleeps while it waits; only wake, or patience running out, rouses it

    def watch(self, ticket):
        self.tickets.append(ticket)
        ticket.wake = lambda: self.sleeping.discard(ticket)
        if ticket.do is Do.WAIT:
            self.sleeping.add(ticket)

    def doing(self, *what):
        return [ticket for ticket in self.tickets if ticket.do in what]

    def settle(self):
        """Let everybody who is awake look, as the pools do."""
        for ticket in self.doing(Do.WAIT):
            patience = self.core.patience(ticket, self.now)
            if ticket not in self.sleeping or patience == 0.0:
                self.core.look(ticket, self.now)
                if ticket.do is Do.WAIT:
                    self.sleeping.add(ticket)
        self.tickets = [t for t in self.tickets if t.do not in (Do.REFUSE, Do.TAKEN)]
        for link in self.core.rubbish:
            assert link not in self.closed_links
            self.closed_links.add(link)
        self.core.rubbish.clear()

    def act(self, event, *args):
        before = {ticket: ticket.do for ticket in self.tickets}
        answer = event(*args, self.now)
        if event == self.core.ask:
            self.watch(answer)
        oldest = min((t.number for t in self.doing(Do.WAIT)), default=None)
        for ticket in self.tickets:
            was = before.get(ticket, Do.WAIT)
            if was is Do.WAIT and ticket.do not in (Do.WAIT, Do.REFUSE, Do.TAKEN):
                assert oldest is None or ticket.number < oldest, "served out of turn"
                assert ticket not in self.sleeping, "served and not woken"
        self.settle()
        return answer

    @rule(timeout=st.sampled_from([None, 0.0, 1.0, 5.0, 30.0]), wait=st.booleans())
    def ask(self, timeout, wait):
        self.act(self.core.ask, timeout, wait)

    @rule(seconds=st.sampled_from([0.1, 0.6, 2.0, 25.0]))
    def pass_time(self, seconds):
        self.now += seconds
        self.settle()

    @precondition(lambda self: self.doing(Do.CONNECT))
    @rule(data=st.data(), how=st.sampled_from(["works", "works", "full", "denied"]))
    def connect(self, data, how):
        ticket = data.draw(st.sampled_from(self.doing(Do.CONNECT)))
        if how == "works":
            link = object()
            self.links.add(link)
            self.act(self.core.connected, ticket, link)
        else:
            self.act(self.core.failed, ticket, FULL if how == "full" else DENIED)

    @precondition(lambda self: self.doing(Do.PEEK, Do.PING))
    @rule(data=st.data(), alive=st.booleans())
    def check(self, data, alive):
        ticket = data.draw(st.sampled_from(self.doing(Do.PEEK, Do.PING)))
        self.act(self.core.checked, ticket, alive)

    @precondition(lambda self: self.doing(Do.TAKE))
    @rule(data=st.data())
    def take(self, data):
        ticket = data.draw(st.sampled_from(self.doing(Do.TAKE)))
        slot = self.act(self.core.take, ticket)
        link, slot.link = slot.link, None
        assert link in self.links
        assert link not in self.closed_links
        assert link not in [held for _, held in self.used]
        self.used.append((slot, link))

    @rule(alive=st.booleans())
    def lend(self, alive):
        slot = self.act(self.core.lend)
        if slot is None:
            return
        assert not self.doing(Do.WAIT)
        if alive:
            link, slot.link = slot.link, None
            self.used.append((slot, link))
        else:
            self.act(self.core.dead, slot)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data())
    def cancel(self, data):
        self.act(self.core.cancel, data.draw(st.sampled_from(self.tickets)))

    @precondition(lambda self: self.used)
    @rule(data=st.data(), fit=st.booleans(), ready=st.booleans())
    def release(self, data, fit, ready):
        slot, link = self.used.pop(data.draw(st.integers(0, len(self.used) - 1)))
        slot.link = link
        if fit and ready:
            self.act(self.core.returned, slot)
        elif self.act(self.core.release, slot, fit):
            self.cleaning.append(slot)

    @precondition(lambda self: self.cleaning)
    @rule(clean=st.booleans())
    def finish_cleaning(self, clean):
        self.act(self.core.cleaned, self.cleaning.pop(), clean)

    @precondition(lambda self: self.used)
    @rule()
    def lose(self):
        slot, link = self.used.pop()
        self.closed_links.add(link)
        self.act(self.core.forget, slot)

    @rule()
    def tick(self):
        self.act(self.core.tick)

    @rule()
    def clear(self):
        self.act(self.core.clear)

    @invariant()
    def counters_balance(self):
        core, stats = self.core, self.core.stats()
        at = {place: [slot for slot in core.slots if slot.place is place] for place in Place}
        assert stats.idle == len(at[Place.IDLE]) == len(core._idle)
        assert stats.in_use == len(at[Place.IN_USE])
        assert stats.connecting == len(at[Place.CONNECTING]) == len(self.doing(Do.CONNECT))
        assert stats.cleaning == len(at[Place.CLEANING]) == len(self.cleaning)
        assert stats.size == len(core.slots) <= core.limits.max_size
        assert stats.connected - stats.closed == stats.idle + stats.in_use + stats.cleaning
        assert stats.acquired == stats.released + stats.lost + len(self.used)
        assert stats.in_use == len(self.used) + len(self.doing(Do.PEEK, Do.PING, Do.TAKE))
        assert stats.waiting == len(self.doing(Do.WAIT)) <= 4 + 3
        assert stats.connected == len(self.links)
        assert stats.closed == len(self.closed_links)

    @invariant()
    def nobody_waits_for_nothing(self):
        core = self.core
        waiting = self.doing(Do.WAIT)
        if not waiting:
            return
        assert not core._idle
        room = len(core.slots) < core.limits.max_size
        head = min(waiting, key=lambda ticket: ticket.number)
        if room:
            assert core.busy is not None, "room for a connection, and nobody opens one"
            asking = core._retrier in self.doing(Do.CONNECT)
            assert asking or core.patience(head, self.now) <= core.limits.retry_interval + 1e-6

    def teardown(self):
        self.act(self.core.close)
        assert not self.doing(Do.WAIT)
        for slot, link in self.used:
            slot.link = link
            self.act(self.core.release, slot, True)
        for slot in self.cleaning:
            self.act(self.core.cleaned, slot, True)
        for ticket in list(self.tickets):
            self.act(self.core.cancel, ticket)
        self.used, self.cleaning = [], []
        self.counters_balance()
        assert not self.core.slots


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
