"""A cancel and the answer at the same moment: what ran to its end is reported as it is."""

from __future__ import annotations

import asyncio

import pytest

import pymy
import pymy.aio


async def works(conn):
    async for row in conn.execute("select 7"):
        assert row == (7,)


def at_the_answer(conn, act):
    """Call ``act`` when the next answer is complete, before the waiting task runs on."""
    transport = conn._transport
    wake = transport._wake

    def wake_and_act():
        transport._wake = wake
        act()
        wake()

    transport._wake = wake_and_act


def test_the_answer_was_first(run, dsn):
    """What ran to its end is reported as it is; the cancel comes with the next await."""

    async def main():
        async with pymy.aio.connect(dsn, cancel_timeout=20) as conn:
            task = asyncio.create_task(conn.execute("select 1"))
            at_the_answer(conn, task.cancel)
            assert await (await task).fetchone() == (1,)

            async def two():
                await conn.execute("select 1")
                seen.append("first")
                await conn.execute("select sleep(30)")

            seen: list[str] = []
            task = asyncio.create_task(two())
            at_the_answer(conn, task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert seen == ["first"]
            await works(conn)

    run(main())


def test_a_transaction_that_had_started_is_ended(run, dsn):
    async def main():
        async with pymy.aio.connect(dsn, autocommit=True, cancel_timeout=20) as conn:
            await conn.execute("create table t (a int) engine=innodb")

            async def block(seconds):
                async with conn.transaction():
                    await conn.execute("insert into t select 1 + 0 * sleep(%s)", (seconds,))

            task = asyncio.create_task(block(30))
            at_the_answer(conn, task.cancel)  # START TRANSACTION's
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not conn.in_transaction
            await block(0)
            assert not conn.in_transaction
            assert await (await conn.execute("select count(*) from t")).fetchone() == (1,)

    run(main())


def test_a_timeout_that_the_answer_beat_leaves_nothing(run, dsn):
    async def main():
        async with pymy.aio.connect(dsn) as conn:
            async with asyncio.timeout(30) as limit:
                at_the_answer(conn, lambda: limit.reschedule(0))
                cursor = await conn.execute("select 1")
            assert await cursor.fetchone() == (1,)
            for _ in range(5):
                await asyncio.sleep(0)
            await works(conn)

    run(main())


def test_no_warning_about_rows_that_a_cancel_left(run, dsn):
    async def main():
        async with pymy.aio.connect(dsn) as conn:
            rows = await conn.cursor(pymy.aio.SSCursor)
            await rows.execute(
                "select repeat('x', 1000), sleep(0.01) from information_schema.columns"
            )
            task = asyncio.create_task(rows.fetchall())
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await works(conn)  # warnings are errors
            await rows.close()

    run(main())
