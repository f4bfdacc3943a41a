"""Tasks that share a connection, and cancels that come while they wait in line for it."""

from __future__ import annotations

import asyncio

import pytest

import pymy
import pymy.aio
from pymy.aio.turns import Turns


async def seen(dsn, sql):
    async with pymy.aio.connect(dsn, autocommit=True) as other:
        return await (await other.execute(sql)).fetchall()


async def in_line(conn, count=1):
    while len(conn._turns._line) < count:
        await asyncio.sleep(0.01)


def test_a_turn_given_up_and_handed_over_at_once(run):
    async def main():
        turns = Turns()
        turns.taken = True
        first, second = (asyncio.create_task(turns.wait()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        turns.leave()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second
        turns.leave()
        assert not turns.taken

    run(main())


def test_a_turn_that_comes_with_the_cancel_goes_on(run):
    async def main():
        turns = Turns()
        turns.taken = True
        first, second = (asyncio.create_task(turns.wait()) for _ in range(2))
        await asyncio.sleep(0)
        turns.leave()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second

    run(main())


def test_a_block_cancelled_in_line_for_its_end(run, dsn):
    """Its transaction does not stay open with nobody to end it."""

    async def main():
        conn = await pymy.aio.connect(dsn, autocommit=True)
        await conn.execute("create table shared (a int) engine=innodb")
        ready = asyncio.Event()

        async def block():
            async with conn.transaction():
                await conn.execute("insert into shared values (1)")
                await ready.wait()

        leaving = asyncio.create_task(block())
        await asyncio.sleep(0.1)
        busy = asyncio.create_task(conn.execute("do sleep(20)"))
        await asyncio.sleep(0.1)
        ready.set()
        await in_line(conn)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert not conn.open
        with pytest.raises(pymy.Error):
            await busy
        assert await seen(dsn, "select * from shared") == ()

    run(main())


def test_the_next_result_of_another_task(run, dsn):
    """A cursor whose result was dropped while it waited does not take the next one's."""

    async def main():
        async with pymy.aio.connect(dsn, multi_statements=True) as conn:
            mine, other = await conn.cursor(), await conn.cursor()
            await mine.execute("select 'A1'; select 'A2'")
            taking = asyncio.create_task(other.execute("select sleep(0.2); select 'B2'"))
            await asyncio.sleep(0.05)
            assert await mine.nextset() is None
            await taking
            assert await other.nextset()
            assert await other.fetchall() == (("B2",),)

    run(main())


def test_the_stream_of_another_task(run, dsn):
    async def main():
        async with pymy.aio.connect(dsn) as conn:
            mine = await conn.cursor(pymy.aio.SSCursor)
            other = await conn.cursor(pymy.aio.SSCursor)
            await mine.execute("select 1 union select 2")
            with pytest.warns(pymy.Warning, match="not read"):
                taking = asyncio.create_task(other.execute("select sleep(0.2) union select 3"))
                await asyncio.sleep(0.05)
                await mine.close()
                await taking
            assert await other.fetchall() == [(0,), (3,)]
            await other.close()

    run(main())


def test_connects_of_several_tasks(run, dsn):
    async def main():
        conn = pymy.aio.Connection(dsn)
        opened = await asyncio.gather(conn.connect(), conn.connect(), return_exceptions=True)
        assert opened[0] is None
        assert isinstance(opened[1], pymy.InterfaceError)
        first = conn.thread_id()
        await asyncio.gather(*(conn._connected() for _ in range(3)))
        assert conn.thread_id() == first
        conn.abort()
        await asyncio.gather(*(conn.ping(reconnect=True) for _ in range(5)))
        assert conn.open
        assert (await (await conn.execute("select 1")).fetchone()) == (1,)
        await conn.ensure_closed()

    run(main())


def test_read_timeout_is_not_about_a_file_that_is_sent(run, dsn, set_global):
    set_global("local_infile", 1)

    async def pieces():
        for number in range(8):
            await asyncio.sleep(0.1)
            yield b"%d\n" % number

    async def main():
        options = {"local_infile": lambda name: pieces(), "read_timeout": 0.4}
        async with pymy.aio.connect(dsn, autocommit=True, **options) as conn:
            await conn.execute("create table sent (a int)")
            cursor = await conn.execute("load data local infile 'x' into table sent")
            assert cursor.rowcount == 8

    run(main())


def test_a_goodbye_cancelled_during_the_clean_up_closes(run, dsn):
    async def main():
        conn = await pymy.aio.connect(dsn)

        async def work():
            async with conn:
                await conn.execute("select sleep(20)")

        task = asyncio.create_task(work())
        await asyncio.sleep(0.1)
        task.cancel()
        while not (conn._transport and conn._transport.is_cleaning):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not conn.open

    run(main())


def test_a_clean_up_cancelled_before_its_first_step(run, dsn):
    async def main():
        conn = await pymy.aio.connect(dsn)
        task = asyncio.create_task(conn.execute("select sleep(20)"))
        await asyncio.sleep(0.1)
        task.cancel()
        while not conn._transport.is_cleaning:
            await asyncio.sleep(0)
        for each in asyncio.all_tasks() - {asyncio.current_task()}:
            each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(pymy.InterfaceError, match="lost"):
            await conn.execute("select 1")
        await conn.ensure_closed()
        assert not conn.open

    run(main())
