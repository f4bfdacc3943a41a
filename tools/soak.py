"""Cancel thousands of operations at random moments, then count what is left.

    python tools/soak.py mariadb --minutes 10
    python tools/soak.py mysql --minutes 10 --seed 7

Tasks run selects, inserts, streams, connects and loans of a pool; most are cancelled somewhere on
the way. Every answer carries the number of its query. At the end: each answer belonged to its own
query, each insert that was reported is there once and nothing twice, no connection, socket or task
is left, no thread of the server still runs a statement, the pool's books balance.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import random
import time
import warnings
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pymy
import pymy.aio
from pymy.sandbox import Server

try:
    from pymy.aio import Pool
except ImportError:
    Pool = None  # type: ignore[assignment, misc]

WORKERS = 12
LONGEST = 0.03  # seconds until a cancel; most operations take less than a tenth of it


class Soak:
    """What the workers share: a server, numbers, and counters."""

    def __init__(self, dsn: str, seed: int, cancels: int | None = None) -> None:
        self.dsn = dsn
        self.random = random.Random(seed)
        self.numbers = itertools.count(1)
        self.counts: Counter[str] = Counter()
        self.inserted: set[int] = set()
        self.wrong: list[str] = []
        self.cancels = cancels
        self.ends = 0.0
        self.pool: Any = None

    def is_over(self) -> bool:
        enough = self.cancels is not None and self.counts["cancelled"] >= self.cancels
        return enough or time.monotonic() > self.ends

    # -- operations, each with its number

    def check(self, number: int, rows: Any, columns: int = 1) -> None:
        self.counts["answers"] += 1
        for row in rows:
            if row[0] != number or len(row) != columns:
                self.wrong.append(f"query {number} got {row!r}")

    async def select(self, conn: pymy.aio.Connection, number: int) -> None:
        cursor = await conn.execute("select %s", (number,))
        self.check(number, await cursor.fetchall())

    async def slow(self, conn: pymy.aio.Connection, number: int) -> None:
        cursor = await conn.execute("select %s, sleep(0.02)", (number,))
        self.check(number, await cursor.fetchall(), 2)

    async def busy(self, conn: pymy.aio.Connection, number: int) -> None:
        cursor = await conn.execute("select %s, count(*) from d a, d b, d c, d d, d e", (number,))
        self.check(number, await cursor.fetchall(), 2)

    async def insert(self, conn: pymy.aio.Connection, number: int) -> None:
        await conn.execute("insert into t values (%s)", (number,))
        self.inserted.add(number)
        self.counts["answers"] += 1

    async def stream(self, conn: pymy.aio.Connection, number: int) -> None:
        async with conn.cursor(pymy.aio.SSCursor) as cursor:
            # up to 10 MB: drained or killed
            await cursor.execute(
                "select %s, repeat('x', 100) from d a, d b, d c, d d, d e", (number,)
            )
            self.check(number, await cursor.fetchmany(self.random.randrange(1, 20_000)), 2)

    async def transaction(self, conn: pymy.aio.Connection, number: int) -> None:
        async with conn.transaction():
            await conn.execute("insert into t values (%s)", (number,))
            cursor = await conn.execute("select n from t where n = %s", (number,))
            self.check(number, await cursor.fetchall())
        self.inserted.add(number)

    async def connect(self, conn: pymy.aio.Connection, number: int) -> None:
        own = pymy.aio.Connection(self.dsn)
        try:
            await own.connect()
            await self.select(own, number)
        finally:
            own.close()

    async def lend(self, conn: pymy.aio.Connection, number: int) -> None:
        async with self.pool.acquire() as lent:
            await self.select(lent, number)

    # -- workers

    def operations(self) -> list[Callable[[pymy.aio.Connection, int], Awaitable[None]]]:
        mixed = [self.select] * 3 + [self.slow, self.busy, self.insert, self.stream]
        mixed += [self.transaction, self.connect]
        return mixed + [self.lend] * 3 if self.pool is not None else mixed

    async def work(self) -> None:
        operations = self.operations()
        conn = await pymy.aio.connect(self.dsn, autocommit=True)
        while not self.is_over():
            if not conn.open:
                self.counts["connections replaced"] += 1
                conn = await pymy.aio.connect(self.dsn, autocommit=True)
            operation = self.random.choice(operations)
            self.counts[operation.__name__] += 1
            await self.once(operation(conn, next(self.numbers)))
        await conn.ensure_closed()

    async def once(self, operation: Any) -> None:
        task = asyncio.ensure_future(operation)
        if self.random.random() < 0.8:
            delay = self.random.choice((0.0, 0.001, 0.005, LONGEST)) * self.random.random()
            await asyncio.wait([task], timeout=delay)
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            self.counts["cancelled"] += 1
        except pymy.InterfaceError as error:
            # closed behind an earlier cancel: in the start of a transaction, after cancel_timeout
            assert not error.sent, error
            self.counts["found it closed"] += 1
        except pymy.Error as error:
            self.counts[f"error {error.errno}"] += 1
            self.wrong.append(repr(error))
        else:
            self.counts["finished"] += 1

    async def run(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        if Pool is not None:
            self.pool = Pool(self.dsn, max_size=4)
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self.work())
        if self.pool is not None:
            self.check_pool()
            await self.pool.close()
        for _ in range(300):  # what closes the last connections is bounded by cancel_timeout
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if not left:
                break
            await asyncio.sleep(0.01)
        self.counts["tasks left"] = len(left)

    def check_pool(self) -> None:
        stats = self.pool.stats()
        self.counts["pool: in use at the end"] = stats.in_use
        self.counts["pool: waiting at the end"] = stats.waiting
        for name in ("acquired", "released", "cancelled", "connected", "closed", "broken"):
            self.counts[f"pool: {name}"] = getattr(stats, name)
        unbalanced = stats.acquired - stats.released - stats.lost - stats.in_use
        self.counts["pool: loans without an end"] = unbalanced


def prepare(dsn: str) -> None:
    with pymy.connect(dsn, autocommit=True) as admin:
        for statement in (
            "drop table if exists t, d",
            "create table t (n bigint) engine=innodb",
            "create table d (n int)",
        ):
            admin.execute(statement)
        admin.cursor().executemany("insert into d values (%s)", [(n,) for n in range(10)])


def open_sockets() -> int:
    links = Path("/proc/self/fd")
    if not links.exists():
        return 0
    names = []
    for each in links.iterdir():
        try:
            names.append(str(each.readlink()))
        except OSError:
            continue  # the directory's own
    return sum(name.startswith("socket:") for name in names)


def look_behind(soak: Soak) -> None:
    """Ask the server what is left."""
    counts = soak.counts
    with pymy.connect(soak.dsn, autocommit=True) as admin:
        others = (
            "select id, info from information_schema.processlist "
            "where id <> connection_id() and user <> 'event_scheduler' and db = database()"
        )
        for _ in range(300):
            left = admin.execute(others).fetchall()
            if not left:
                break
            time.sleep(0.01)
        counts["server threads left"] = len(left)
        counts["statements left running"] = sum(info is not None for _, info in left)
        stored = [row[0] for row in admin.execute("select n from t").fetchall()]
        counts["inserts reported"] = len(soak.inserted)
        counts["inserts stored"] = len(stored)
        counts["inserts lost"] = len(soak.inserted - set(stored))
        counts["inserts stored twice"] = len(stored) - len(set(stored))


NOTHING = (
    "wrong answers", "tasks left", "sockets left", "server threads left", "statements left running",
    "inserts lost", "inserts stored twice", "pool: in use at the end", "pool: waiting at the end",
    "pool: loans without an end",
)  # fmt: skip


def soak(dsn: str, *, seconds: float, seed: int = 1, cancels: int | None = None) -> Soak:
    """Run it against a database of its own; returns what was counted."""
    prepare(dsn)
    before = open_sockets()
    run = Soak(dsn, seed, cancels)
    asyncio.run(run.run(seconds))
    gc.collect()
    run.counts["sockets left"] = open_sockets() - before
    run.counts["wrong answers"] = len(run.wrong)
    look_behind(run)
    return run


def table(counts: Counter[str]) -> str:
    lines = ["| what | how many |", "|---|---:|"]
    ordered = [name for name in counts if name not in NOTHING]
    lines += [f"| {name} | {counts[name]:,} |" for name in (*ordered, *NOTHING) if name in counts]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server", choices=["mariadb", "mariadb11", "mysql", "mysql56"])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("error")
    with Server(options.server) as server:
        with pymy.connect(server.dsn) as admin:
            admin.execute("create database if not exists soak")
        run = soak(server.dsn_for("soak"), seconds=options.minutes * 60, seed=options.seed)
        print(f"{options.server} {server.version}, {options.minutes:g} minutes\n")
        print(table(run.counts))
    for each in run.wrong[:20]:
        print(each)
    bad = [name for name in NOTHING if run.counts[name]]
    raise SystemExit(f"not zero: {', '.join(bad)}" if bad else 0)


if __name__ == "__main__":
    main()
