"""What a driver of asyncio is asked to do: the same as a blocking one, and many things at once."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

from drivers import Driver
from measuring import Clock, check, check_answer
from workloads import Workload, keys, rows_to_insert

# So many connections work at once in "parallel".
CONNECTIONS = 32


class Awaiting:
    def __init__(self, driver: Driver, address: dict[str, Any]) -> None:
        self.driver = driver
        self.address = address
        factory = import_module("uvloop").new_event_loop if driver.uvloop else None
        self.runner = asyncio.Runner(loop_factory=factory)
        self.connection = self.runner.run(self.connected())

    async def connected(self) -> Any:
        return await self.driver.connect(self.address)

    def run(self, workload: Workload) -> Clock:
        clock: Clock = self.runner.run(getattr(self, workload.action)(workload))
        return clock

    async def fetch(self, workload: Workload) -> Clock:
        with Clock() as clock:
            async with self.connection.cursor() as cursor:
                await cursor.execute(workload.sql)
                rows = await cursor.fetchall()
        check(workload, len(rows))
        return clock

    async def stream(self, workload: Workload) -> Clock:
        count = 0
        with Clock() as clock:
            async with self.driver.unbuffered_cursor(self.connection) as cursor:
                await cursor.execute(workload.sql)
                async for _row in cursor:
                    count += 1
        check(workload, count)
        return clock

    async def ask(self, workload: Workload) -> Clock:
        arguments = keys(workload.count) if workload.keyed else [None] * workload.count
        row = None
        async with self.connection.cursor() as cursor:
            with Clock() as clock:
                if workload.keyed:
                    for argument in arguments:
                        await cursor.execute(workload.sql, argument)
                        row = await cursor.fetchone()
                else:
                    for _ in arguments:
                        await cursor.execute(workload.sql)
                        row = await cursor.fetchone()
        check_answer(workload, row)
        return clock

    async def insert(self, workload: Workload) -> Clock:
        async with self.connection.cursor() as cursor:
            await cursor.execute("truncate table target")
            await self.connection.commit()
            rows = rows_to_insert(workload.count)
            with Clock() as clock:
                await cursor.executemany(workload.sql, rows)
                await self.connection.commit()
            await cursor.execute("select count(*) from target")
            check(workload, (await cursor.fetchone())[0])
            await self.connection.commit()
        return clock

    async def connect(self, workload: Workload) -> Clock:
        with Clock() as clock:
            for _ in range(workload.count):
                connection = await self.driver.connect(self.address)
                await connection.ensure_closed()
        return clock

    async def parallel(self, workload: Workload) -> Clock:
        connections = [await self.connected() for _ in range(CONNECTIONS)]
        arguments = keys(workload.count)
        rows: list[Any] = []

        async def work(connection: Any, mine: list[tuple[int]]) -> None:
            row = None
            async with connection.cursor() as cursor:
                for argument in mine:
                    await cursor.execute(workload.sql, argument)
                    row = await cursor.fetchone()
            rows.append(row)

        with Clock() as clock:
            async with asyncio.TaskGroup() as group:
                for number, connection in enumerate(connections):
                    group.create_task(work(connection, arguments[number::CONNECTIONS]))
        for row in rows:
            check_answer(workload, row)
        for connection in connections:
            await connection.ensure_closed()
        return clock

    async def borrow(self, workload: Workload) -> Clock:
        pool = await self.driver.pool(self.address, workload.reset)
        await self._borrow(pool, "select 1", 100)  # opens as many connections as it takes
        with Clock() as clock:
            await self._borrow(pool, workload.sql, workload.count)
        pool.close()
        await pool.wait_closed()
        return clock

    async def _borrow(self, pool: Any, sql: str, count: int) -> None:
        for _ in range(count):
            async with pool.acquire() as connection:
                if sql:
                    async with connection.cursor() as cursor:
                        await cursor.execute(sql)
                        await cursor.fetchone()

    def close(self) -> None:
        self.runner.run(self.connection.ensure_closed())
        self.runner.close()
