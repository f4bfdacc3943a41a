"""Operations of pymy.nonblocking driven by a loop that waits with poll(), LIMIT at most.

``connect`` opens connections whose every call that may wait is such an operation.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from functools import cache, wraps
from typing import Any, TypeVar

import pymy
from pymy import nonblocking
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


# -- connections that are driven


def driven(cls: type[T]) -> type[T]:
    """Return a subclass where each method that has a ``start_`` starts it and waits for it here."""

    def waiting(name: str) -> Any:
        @wraps(getattr(cls, name))
        def call(self: Any, *args: Any, **options: Any) -> Any:
            method = getattr(super(made, self), name)
            connection = self if isinstance(self, pymy.Connection) else self.connection
            if connection is not None and "_run" in vars(connection):
                # within a method that is being started, or beside one that is pending
                return method(*args, **options)
            return drive(nonblocking.start(method, *args, **options))

        return call

    names = [name.removeprefix("start_") for name in dir(cls) if name.startswith("start_")]
    body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    made: Any = type(cls.__name__, (cls,), body | {name: waiting(name) for name in names})
    return made  # type: ignore[no-any-return]


driven_cursor = cache(driven)


class Waits(pymy.Connection):
    """Does in a loop, too, what waits and has no ``start_``: iterating, transactions' blocks."""

    def _run(self, conversation: Any, timeout: float | None = None) -> Any:
        return self._driven(lambda: self._run(conversation, timeout))

    def _carry(self, steps: Any, *args: Any, **options: Any) -> Any:
        return self._driven(lambda: self._carry(steps, *args, **options))

    def _driven(self, method: Callable[[], Any]) -> Any:
        operation = Operation(self, method, "driven")
        operation._start()
        return drive(operation)

    def cursor(self, cursor: Any = None, **options: Any) -> Any:
        return super().cursor(driven_cursor(cursor or self.cursorclass), **options)


Driven = driven(Waits)


def connect(*args: Any, **options: Any) -> Any:
    """Connect by ``pymy.nonblocking.connect``, and go on as it began."""
    conn = drive(nonblocking.connect(*args, **options))
    conn.__class__ = Driven
    return conn
