"""Tasks that are cancelled while rows wait at the server."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

import pymy.aio


@pytest.mark.parametrize("delay", [0, 0.001, 0.005, 0.02])
def test_a_cancelled_loop_frees_its_cursor(run, dsn, delay):
    async def main():
        async with await pymy.aio.connect(dsn, autocommit=True) as conn:
            await conn.query("create table t (a int)")
            await conn.query("insert into t values (1), (2), (3), (4), (5), (6)")
            text = "select repeat('x', 3000) from t a, t b, t c, t d"

            async def read():
                async for _ in conn.stream(text, fetch_size=300):
                    pass

            task = asyncio.create_task(read())
            await asyncio.sleep(delay)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            cursor = await conn.execute("show session status like 'Com_stmt_%'")
            counts = dict(await cursor.fetchall())
            assert counts["Com_stmt_prepare"] == counts["Com_stmt_close"]
            async with aclosing(await conn.stream(text, fetch_size=300)) as rows:
                assert await anext(rows) == ("x" * 3000,)
                assert await (await conn.execute("select 1")).fetchone() == (1,)

    run(main())


def test_two_tasks_share_a_connection(run, dsn):
    async def main():
        async with await pymy.aio.connect(dsn, autocommit=True) as conn:
            await conn.query("create table t (a int)")
            await conn.query("insert into t values (1), (2), (3), (4), (5), (6)")
            statement = await conn.prepare("select a from t where a > ? order by a")

            async def read(first, size):
                return [row async for (row,) in statement.stream((first,), fetch_size=size)]

            found = await asyncio.gather(*(read(first, first + 1) for first in range(6)))
            assert found == [list(range(first + 1, 7)) for first in range(6)]
            statement.close()

    run(main())
