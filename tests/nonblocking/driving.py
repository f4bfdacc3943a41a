"""Event loops for tests: they wait with poll(), and never longer than LIMIT."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pymy
from pymy.cursors import SSCursor
from pymy.nonblocking import Operation, Wait

T = TypeVar("T")

LIMIT = 20.0  # seconds
EVENTS = {Wait.READ: select.POLLIN, Wait.WRITE: select.POLLOUT}


def wait(operations: Iterable[Operation[Any]]) -> dict[Operation[Any], Wait]:
    """Wait until something happens to some of these, and tell what."""
    poll = select.poll()
    by_number = {}
    timeout = LIMIT
    for operation in operations:
        wants = operation.wants
        check(operation)
        if operation.fileno() >= 0:
            poll.register(operation.fileno(), sum(EVENTS[each] for each in EVENTS if wants & each))
            by_number[operation.fileno()] = operation
        if operation.timeout is not None:
            timeout = min(timeout, operation.timeout)
    happened = {
        by_number[number]: (Wait.READ if events & ~select.POLLOUT else Wait(0))
        | (Wait.WRITE if events & ~select.POLLIN else Wait(0))
        for number, events in poll.poll(timeout * 1000)
    }
    for operation in operations:
        if operation.timeout == 0:
            happened[operation] = happened.get(operation, Wait(0)) | Wait.TIMEOUT
    assert happened or timeout < LIMIT, f"nothing happened within {LIMIT} s"
    return happened


def check(operation: Operation[Any]) -> None:
    """What is true of each pending operation."""
    wants = operation.wants
    assert not operation.done
    assert bool(wants & Wait.TIMEOUT) == (operation.timeout is not None)
    assert bool(wants & (Wait.READ | Wait.WRITE)) == (operation.fileno() >= 0)
    assert wants, "nothing would ever continue it"


def drive(operation: Operation[T], at_pause: Callable[[Operation[T]], object] | None = None) -> T:
    """Finish one operation; ``at_pause`` is called before each wait."""
    try:
        while not operation.done:
            if at_pause is not None:
                at_pause(operation)
                if operation.done:
                    break
            for ready in wait([operation]).values():
                assert operation.cont(ready) == operation.wants
    except BaseException:
        operation.abort()
        raise
    assert not operation.wants
    assert operation.timeout is None
    assert operation.fileno() == -1
    return operation.result()


def drive_all(operations: Iterable[Operation[T]]) -> list[T]:
    every = list(operations)
    while pending := [each for each in every if not each.done]:
        for operation, ready in wait(pending).items():
            operation.cont(ready)
    return [each.result() for each in every]


class Driven(pymy.Connection):
    """A connection whose blocking methods start operations and wait for them in a loop here."""

    def _run(self, conversation: Any, timeout: float | None = None) -> Any:
        return self._driven(lambda: self._run(conversation, timeout))

    def _carry(self, steps: Any, *args: Any, **options: Any) -> Any:
        return self._driven(lambda: self._carry(steps, *args, **options))

    def _driven(self, method: Callable[[], Any]) -> Any:
        operation = Operation(self, method, "driven")
        operation._start()
        return drive(operation)


def alive(conn):
    assert conn.execute("select 'alive'").fetchone() == ("alive",)
    assert drive(conn.start_execute("select 'alive'")).fetchone() == ("alive",)


def pauses(operation):
    count = 0

    def tick(operation):
        nonlocal count
        count += 1

    drive(operation, tick)
    return count


def stream(conn):
    cursor = conn.cursor(SSCursor)
    drive(cursor.start_execute("select repeat('x', 100000) from seq"))
    return cursor


def prepare(conn):
    conn.query("create table if not exists seq (a int)")
    conn.query("insert into seq values (1), (2), (3), (4), (5), (6), (7)")
    for _ in range(2):
        conn.query("insert into seq select s.a from seq s, seq t")
    conn.commit()
