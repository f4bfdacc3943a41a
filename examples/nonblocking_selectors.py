"""A hundred connections in one thread: python examples/nonblocking_selectors.py [DSN]

Without a DSN a MariaDB server is started for it.
"""

from __future__ import annotations

import selectors
import sys
from collections.abc import Generator
from typing import Any

import pymy
from pymy import nonblocking
from pymy.nonblocking import Operation, Wait

CONNECTIONS = 100

# What one connection does: yields operations, gets their results.
Work = Generator[Operation[Any], Any, None]


class Loop:
    """Runs many works, each until its operation has to wait."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.pending: dict[Operation[Any], Work] = {}
        self.registered: dict[Operation[Any], int] = {}

    def add(self, work: Work) -> None:
        self.go_on(work, next(work))

    def go_on(self, work: Work, operation: Operation[Any]) -> None:
        try:
            while operation.done:  # often at once
                try:
                    value = operation.result()
                except pymy.Error as error:
                    operation = work.throw(error)
                else:
                    operation = work.send(value)
        except StopIteration:
            return
        self.pending[operation] = work
        self.watch(operation)

    def watch(self, operation: Operation[Any]) -> None:
        """Register what it waits for now: the socket may be another one after each cont()."""
        events = 0
        if operation.wants & Wait.READ:
            events |= selectors.EVENT_READ
        if operation.wants & Wait.WRITE:
            events |= selectors.EVENT_WRITE
        if events:
            self.registered[operation] = operation.fileno()
            self.selector.register(operation.fileno(), events, operation)

    def run(self) -> None:
        while self.pending:
            timeouts = [each.timeout for each in self.pending if each.timeout is not None]
            happened: dict[Operation[Any], Wait] = {}
            for key, events in self.selector.select(min(timeouts, default=None)):
                readable = Wait.READ if events & selectors.EVENT_READ else Wait(0)
                writable = Wait.WRITE if events & selectors.EVENT_WRITE else Wait(0)
                happened[key.data] = readable | writable
            for operation in self.pending:
                if operation.timeout == 0:
                    happened[operation] = happened.get(operation, Wait(0)) | Wait.TIMEOUT
            for operation, ready in happened.items():
                # before cont(), which may close the socket
                if operation in self.registered:
                    self.selector.unregister(self.registered.pop(operation))
                operation.cont(ready)
                if operation.done:
                    self.go_on(self.pending.pop(operation), operation)
                else:
                    self.watch(operation)


def work(dsn: str, number: int, answers: list[tuple[int, int]]) -> Work:
    conn = yield nonblocking.connect(dsn)
    cursor = conn.cursor()
    yield cursor.start_execute("SELECT %s, CONNECTION_ID()", (number,))
    answers.append(cursor.fetchone())
    yield conn.start_close()


def main(dsn: str) -> None:
    answers: list[tuple[int, int]] = []
    loop = Loop()
    for number in range(CONNECTIONS):
        loop.add(work(dsn, number, answers))
    loop.run()
    assert sorted(number for number, _ in answers) == list(range(CONNECTIONS))
    print(f"{len(answers)} answers on {len({link for _, link in answers})} connections")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        try:
            main(sys.argv[1])
        except pymy.Error as error:
            sys.exit(error.message)
    else:
        import pymy.sandbox

        with pymy.sandbox.Server("mariadb") as server:
            main(server.dsn)
