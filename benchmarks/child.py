"""The process that holds one driver: runs workloads on request and reports what they cost.

Not for use by hand: compare.py starts it, sends one JSON object a line and reads one back.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

from drivers import DRIVERS, Driver
from workloads import Workload, keys, rows_to_insert

STATUS = Path("/proc/self/status")


class Clock:
    """Takes CPU (user and system, all threads) and wall time, in seconds."""

    def __enter__(self) -> Clock:
        gc.collect()
        self.wall = time.perf_counter()
        self.cpu = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu = time.process_time() - self.cpu
        self.wall = time.perf_counter() - self.wall


class Blocking:
    def __init__(self, driver: Driver, address: dict[str, Any]) -> None:
        self.driver = driver
        self.address = address
        self.connection = driver.connect(address)

    def run(self, workload: Workload) -> Clock:
        clock: Clock = getattr(self, workload.action)(workload)
        return clock

    def fetch(self, workload: Workload) -> Clock:
        with Clock() as clock:
            cursor = self.connection.cursor()
            cursor.execute(workload.sql)
            rows = cursor.fetchall()
            cursor.close()
        check(workload, len(rows))
        return clock

    def stream(self, workload: Workload) -> Clock:
        count = 0
        with Clock() as clock:
            cursor = self.driver.unbuffered_cursor(self.connection)
            cursor.execute(workload.sql)
            for _row in cursor:
                count += 1
            cursor.close()
        check(workload, count)
        return clock

    def ask(self, workload: Workload) -> Clock:
        arguments = keys(workload.count) if workload.keyed else [None] * workload.count
        cursor = self.connection.cursor()
        row = None
        with Clock() as clock:
            if workload.keyed:
                for argument in arguments:
                    cursor.execute(workload.sql, argument)
                    row = cursor.fetchone()
            else:
                for _ in arguments:
                    cursor.execute(workload.sql)
                    row = cursor.fetchone()
        cursor.close()
        if row is None:
            raise RuntimeError(f"{workload.name}: no row")
        return clock

    def insert(self, workload: Workload) -> Clock:
        cursor = self.connection.cursor()
        cursor.execute("truncate table target")
        self.connection.commit()
        rows = rows_to_insert(workload.count)
        with Clock() as clock:
            cursor.executemany(workload.sql, rows)
            self.connection.commit()
        cursor.execute("select count(*) from target")
        check(workload, cursor.fetchone()[0])
        self.connection.commit()  # an open transaction would stop the others' TRUNCATE
        cursor.close()
        return clock

    def connect(self, workload: Workload) -> Clock:
        with Clock() as clock:
            for _ in range(workload.count):
                self.driver.connect(self.address).close()
        return clock

    def close(self) -> None:
        self.connection.close()


class Asyncio:
    """The same for a driver of asyncio, on asyncio's own event loop."""

    def __init__(self, driver: Driver, address: dict[str, Any]) -> None:
        self.driver = driver
        self.address = address
        self.runner = asyncio.Runner()
        self.connection = self.runner.run(self.connected())

    async def connected(self) -> Any:
        return await self.driver.connect(self.address)

    def run(self, workload: Workload) -> Clock:
        clock: Clock = self.runner.run(getattr(self, workload.action)(workload))
        return clock

    async def fetch(self, workload: Workload) -> Clock:
        with Clock() as clock:
            cursor = self.connection.cursor()
            await cursor.execute(workload.sql)
            rows = await cursor.fetchall()
            await cursor.close()
        check(workload, len(rows))
        return clock

    async def stream(self, workload: Workload) -> Clock:
        count = 0
        with Clock() as clock:
            cursor = self.driver.unbuffered_cursor(self.connection)
            await cursor.execute(workload.sql)
            async for _row in cursor:
                count += 1
            await cursor.close()
        check(workload, count)
        return clock

    async def ask(self, workload: Workload) -> Clock:
        arguments = keys(workload.count) if workload.keyed else [None] * workload.count
        cursor = self.connection.cursor()
        row = None
        with Clock() as clock:
            if workload.keyed:
                for argument in arguments:
                    await cursor.execute(workload.sql, argument)
                    row = await cursor.fetchone()
            else:
                for _ in arguments:
                    await cursor.execute(workload.sql)
                    row = await cursor.fetchone()
        await cursor.close()
        if row is None:
            raise RuntimeError(f"{workload.name}: no row")
        return clock

    async def insert(self, workload: Workload) -> Clock:
        cursor = self.connection.cursor()
        await cursor.execute("truncate table target")
        await self.connection.commit()
        rows = rows_to_insert(workload.count)
        with Clock() as clock:
            await cursor.executemany(workload.sql, rows)
            await self.connection.commit()
        await cursor.execute("select count(*) from target")
        check(workload, (await cursor.fetchone())[0])
        await self.connection.commit()
        await cursor.close()
        return clock

    async def connect(self, workload: Workload) -> Clock:
        with Clock() as clock:
            for _ in range(workload.count):
                connection = await self.driver.connect(self.address)
                await connection.ensure_closed()
        return clock

    def close(self) -> None:
        self.runner.run(self.connection.ensure_closed())
        self.runner.close()


def check(workload: Workload, rows: int) -> None:
    if rows != workload.count:
        raise RuntimeError(f"{workload.name}: {rows} rows instead of {workload.count}")


def memory(field: str) -> int:
    """Bytes of "VmRSS" (now) or "VmHWM" (peak); 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in STATUS.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0]) * 1024
    return 0


def answer(**values: object) -> None:
    print(json.dumps(values), flush=True)


def main() -> None:
    name, address = sys.argv[1], json.loads(sys.argv[2])
    driver = DRIVERS[name]
    try:
        runner = (Asyncio if driver.asynchronous else Blocking)(driver, address)
        # A fresh process inherits its parent's peak; 5 resets it to what it uses now.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        idle = memory("VmRSS")
        answer(ready=True)
        for line in sys.stdin:
            clock = runner.run(Workload(**json.loads(line)))
            answer(cpu=clock.cpu, wall=clock.wall, growth=memory("VmHWM") - idle)
        runner.close()
    except Exception as error:
        answer(error=f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main()
