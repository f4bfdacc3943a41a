"""A hundred connections under trio: python examples/nonblocking_trio.py [DSN]

pymy knows nothing of trio (https://trio.readthedocs.io): ``finish()`` is all it takes. Without a
DSN a MariaDB server is started for it.
"""

from __future__ import annotations

import sys
from typing import TypeVar

import trio

import pymy
from pymy import nonblocking
from pymy.nonblocking import Operation, Wait

CONNECTIONS = 100

T = TypeVar("T")


async def finish(operation: Operation[T]) -> T:
    """Wait for an operation; cancelling that aborts it, which closes its connection."""
    try:
        while not operation.done:
            timeout = operation.timeout
            with trio.move_on_after(float("inf") if timeout is None else timeout):
                if operation.wants & Wait.READ:
                    await trio.lowlevel.wait_readable(operation.fileno())
                elif operation.wants & Wait.WRITE:
                    await trio.lowlevel.wait_writable(operation.fileno())
                else:
                    await trio.sleep_forever()
            operation.cont()  # what happened is a hint only; it looks at the clock itself
        return operation.result()
    finally:
        operation.abort()  # harmless when done


async def work(dsn: str, number: int, answers: list[tuple[int, int]]) -> None:
    conn = await finish(nonblocking.connect(dsn))
    cursor = conn.cursor()
    await finish(cursor.start_execute("SELECT %s, CONNECTION_ID()", (number,)))
    answers.append(cursor.fetchone())
    await finish(conn.start_close())


async def main(dsn: str) -> None:
    answers: list[tuple[int, int]] = []
    async with trio.open_nursery() as nursery:
        for number in range(CONNECTIONS):
            nursery.start_soon(work, dsn, number, answers)
    assert sorted(number for number, _ in answers) == list(range(CONNECTIONS))
    print(f"{len(answers)} answers on {len({link for _, link in answers})} connections")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        try:
            trio.run(main, sys.argv[1])
        except* pymy.Error as errors:
            sys.exit(errors.exceptions[0].args[1])
    else:
        import pymy.sandbox

        with pymy.sandbox.Server("mariadb") as server:
            trio.run(main, server.dsn)
