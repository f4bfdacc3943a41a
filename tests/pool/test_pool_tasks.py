"""The pool of tasks on real servers: what is not told by the threads' pool, and cancellation."""

from __future__ import annotations

import asyncio
import gc
import random
import warnings
from contextlib import aclosing, suppress

import pytest

import pymy
from pymy.aio import Connection, Pool, create_pool
from pymy.aio.cursors import SSCursor


@pytest.fixture
def run():
    def run(main, *args):
        async def bounded():
            async with asyncio.timeout(120):
                await main(*args)

        asyncio.run(bounded())

    return run


async def one(conn, sql="select 1", args=None):
    return await (await conn.execute(sql, args)).fetchone()


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def test_lend_and_return(dsn, run, balanced):
    async def main():
        async with Pool(dsn, max_size=2) as pool:
            async with pool.connection() as conn:
                assert isinstance(conn, Connection)
                thread = conn.thread_id()
                await conn.execute("set @x = 1")
                await conn.execute("use test")
                cursor = conn.cursor()
            await until(lambda: pool.stats().idle)
            async with pool.acquire() as conn:
                assert conn.thread_id() == thread
                assert await one(conn, "select @x, database() <> 'test'") == (None, 1)
            conn = await pool.acquire()
            await pool.release(conn)
            assert pool.stats().idle == pool.freesize >= 1
            with pytest.raises(pymy.InterfaceError, match="already"):
                pool.release(conn)
            with pytest.raises(pymy.InterfaceError, match="already"):
                conn.release()
            for use in (conn.execute("select 1"), cursor.execute("select 1"), conn.connect()):
                with pytest.raises(pymy.InterfaceError, match="went back to its pool"):
                    await use
            conn = await pool.acquire()
            await conn.ensure_closed()
            conn = await pool.acquire()
            conn.close()
            async with await pool.acquire():
                pass
            await until(lambda: not pool.stats().cleaning)
            balanced(pool.stats())
        assert pool.size == 0

    run(main)


def test_shortcuts(dsn, run, direct):
    async def main():
        async with create_pool(dsn, minsize=1, maxsize=3, pool_recycle=60, echo=True) as pool:
            assert (pool.minsize, pool.maxsize, pool.limits.max_lifetime) == (1, 3, 60)
            assert pool.stats().idle == 1
            await pool.execute("create table t (id int primary key) engine=innodb")
            await pool.execute("insert into t values (%s), (%s)", (1, 2))
            rows = [row async for row in pool.execute("select id from t order by id")]
            assert rows == [(1,), (2,)]
            assert [row async for row in pool.stream("select id from t order by id")] == rows
            async with aclosing(await pool.stream("select id from t order by id")) as stream:
                assert await anext(stream) == (1,)
                assert pool.stats().in_use == 1
            assert pool.stats().in_use == 0
            with pytest.raises(pymy.ProgrammingError):
                await pool.stream("select nothing from nowhere of it")
            with pytest.raises(KeyError):
                async with pool.transaction() as conn:
                    await conn.execute("insert into t values (3)")
                    raise KeyError
            async with pool.transaction(isolation="serializable") as conn:
                await conn.execute("insert into t values (4)")

    run(main)
    assert direct.execute("select id from t order by id").fetchall() == ((1,), (2,), (4,))


def test_create_pool_is_awaitable(dsn, run):
    async def main():
        pool = await create_pool(dsn, minsize=2)
        assert pool.freesize == 2
        pool.close()
        await pool.wait_closed()
        assert pool.size == 0

    run(main)


def test_tasks_get_their_own_answers(dsn, run, balanced):
    async def main():
        async with Pool(dsn, max_size=4, acquire_timeout=60) as pool:

            async def work(number):
                for tag in range(number, number + 20):
                    assert [r async for r in pool.execute("select %s", (tag,))] == [(tag,)]

            await asyncio.gather(*(work(100 * number) for number in range(20)))
            await until(lambda: not pool.stats().cleaning)
            stats = pool.stats()
            balanced(stats)
            assert (stats.acquired, stats.in_use, stats.waiting) == (400, 0, 0)
            assert stats.connected <= 4

    run(main)


def test_cancelled_at_the_moment_of_hand_over(dsn, run, balanced):
    async def main():
        settings = {"max_size": 1, "reset_on_release": False, "autocommit": True}
        async with Pool(dsn, acquire_timeout=60, **settings) as pool:
            conn = await pool.acquire()
            first = asyncio.create_task(pool._acquire(None, None, True))
            second = asyncio.create_task(pool._acquire(None, None, True))
            await until(lambda: pool.stats().waiting == 2)
            pool.release(conn)
            assert pool.stats().waiting == 1  # first is served, and has not run since
            first.cancel()
            conn = await second
            assert await one(conn) == (1,)
            assert first.cancelled()
            conn.close()
            assert (pool.stats().connected, pool.stats().cancelled) == (1, 1)
            balanced(pool.stats())

    run(main)


def test_cancelled_connect_frees_its_place(dsn, run):
    async def main():
        async with Pool(dsn, max_size=1, acquire_timeout=60) as pool:
            first = asyncio.create_task(pool._acquire(None, None, True))
            second = asyncio.create_task(pool._acquire(None, None, True))
            while not pool.stats().waiting:
                await asyncio.sleep(0)
            assert pool.stats().connecting == 1
            first.cancel()
            conn = await second
            assert pool.stats().cancelled == 1
            assert await one(conn) == (1,)
            conn.close()

    run(main)


def test_given_up_statement_is_settled_behind_the_caller(dsn, run, balanced):
    async def main():
        async with Pool(dsn, max_size=1, acquire_timeout=60) as pool:
            with pytest.raises(TimeoutError):
                async with pool.connection() as conn, asyncio.timeout(0.1):
                    thread = conn.thread_id()
                    await conn.execute("select sleep(30)")
            async with pool.connection() as conn:
                assert conn.thread_id() == thread
                assert await one(conn) == (1,)
            balanced(pool.stats())

    run(main)


def test_released_under_another_task_s_statement(dsn, run):
    async def main():
        async with Pool(dsn, max_size=1, acquire_timeout=60, cancel_timeout=0.2) as pool:
            conn = await pool.acquire()
            running = asyncio.create_task(one(conn, "select sleep(0.1), 3"))
            await asyncio.sleep(0.02)
            conn.close()
            assert await running == (0, 3)
            async with pool.connection() as conn:
                assert await one(conn) == (1,)
            conn = await pool.acquire()
            running = asyncio.create_task(one(conn, "select sleep(30)"))
            await asyncio.sleep(0.02)
            await pool.release(conn)
            assert pool.size == 0
            with pytest.raises(pymy.Error):
                await running

    run(main)


def test_killed_while_idle(dsn, run, kill, balanced):
    async def main():
        async with Pool(dsn, max_size=3, validate_after=None) as pool:
            await pool.warm_up(3)
            await until(lambda: pool.stats().idle == 3)
            held = [await pool.acquire() for _ in range(3)]
            threads = [conn.thread_id() for conn in held]
            for conn in held:
                await pool.release(conn)
            for thread in threads:  # the loop does not turn meanwhile
                kill(thread)
            async with pool.connection() as conn:
                assert await one(conn) == (1,)
                assert conn.thread_id() not in threads
            await until(lambda: pool.stats().idle)
            balanced(pool.stats())

    run(main)


def test_server_restart(extra_server, run, balanced):
    server = extra_server()

    async def main():
        async with Pool(server.tcp_dsn, acquire_timeout=60, retry_interval=0.05) as pool:
            await pool.warm_up(3)
            busy = await pool.acquire()
            restart = asyncio.to_thread(server.restart)
            asking = [pool.execute("select 1") for _ in range(5)]
            done = await asyncio.gather(restart, *asking, return_exceptions=True)
            # what was under way may fail; what comes afterwards does not
            assert all(
                isinstance(e, pymy.OperationalError) for e in done if isinstance(e, Exception)
            )
            with pytest.raises(pymy.Error):
                await busy.execute("select 1")
            busy.close()
            async with pool.connection() as conn:
                assert await one(conn) == (1,)
            await until(lambda: not pool.stats().cleaning)
            balanced(pool.stats())

    run(main)


def test_more_clients_than_the_server_takes(extra_server, run, balanced):
    server = extra_server("--max-connections=100")

    async def main():
        async with Pool(
            server.tcp_dsn, max_size=150, acquire_timeout=60, retry_interval=0.2
        ) as pool:
            held = await asyncio.gather(*(pool._acquire(None, None, True) for _ in range(100)))
            with pytest.raises(pymy.OperationalError) as caught:
                for _ in range(2):  # one more for an administrator
                    held.append(await pool.acquire(wait=False))
            assert caught.value.errno == 1040
            refused = await asyncio.gather(
                *(pool._acquire(None, 5, True) for _ in range(30)), return_exceptions=True
            )
            assert {error.errno for error in refused} == {1040}
            assert {type(error) for error in refused} == {pymy.OperationalError}
            # those that come back serve those that the server refuses
            asking = [pool._acquire(None, None, True) for _ in range(20)]
            later = asyncio.gather(*asking)
            await until(lambda: pool.stats().waiting == 20)
            for conn in held:
                conn.close()
            for conn in await later:
                assert await one(conn) == (1,)
                conn.close()
            await until(lambda: not pool.stats().cleaning)
            balanced(pool.stats())

    run(main)


def test_hooks_may_be_coroutine_functions(dsn, run):
    calls = []

    async def main():
        async def connected(conn):
            await conn.execute("set @greeting = 'hello'")
            calls.append("connect")

        async def called(*args):
            await asyncio.sleep(0)
            calls.append(len(args))

        pool = Pool(
            dsn,
            max_size=1,
            on_connect=connected,
            on_acquire=called,
            on_wait=called,
            on_release=lambda conn: calls.append("release"),
        )
        async with pool:
            async with pool.connection() as conn:
                assert await one(conn, "select @greeting") == ("hello",)
            async with pool.connection() as conn:
                assert await one(conn, "select @greeting") == ("hello",)
        assert calls[:2] == ["connect", 1]
        assert set(calls[2:5]) == {0, "release", "connect"}  # the request waits for the cleaning
        assert calls[5] == 1

    run(main)


def test_failing_hooks(dsn, run, caplog, balanced):
    async def fail(*args):
        raise KeyError("hook")

    async def main():
        for name in ("on_connect", "on_acquire"):
            async with Pool(dsn, **{name: fail}) as pool:
                with pytest.raises(KeyError):
                    await pool.acquire()
                assert (pool.stats().in_use, pool.stats().connecting) == (0, 0)
        async with Pool(dsn, on_release=fail) as pool:
            await pool.release(await pool.acquire())
            assert pool.size == 0
        assert "hook of the pool failed" in caplog.text

    run(main)


def test_one_loop(dsn, run):
    pool = Pool(dsn)

    async def first():
        await pool.execute("select 1")
        await until(lambda: pool.stats().idle)
        pool.terminate()

    async def second():
        with pytest.raises(pymy.InterfaceError, match="another event loop"):
            await pool.acquire()

    run(first)
    run(second)


@pytest.mark.parametrize("where", ["thread", "loop"])
@pytest.mark.parametrize("how", ["release", "close"])
def test_released_outside_of_the_loop(dsn, balanced, where, how):
    """It is closed, and whoever waits gets its place."""

    async def main():
        async with Pool(dsn, max_size=1, acquire_timeout=60) as pool:
            conn = await pool.acquire()
            await conn.execute("set @x = 1")
            waiting = asyncio.create_task(pool.execute("select @x"))
            await until(lambda: pool.stats().waiting)

            async def elsewhere():
                released = getattr(conn, how)()
                if released is not None:
                    await released

            if where == "loop":
                await asyncio.to_thread(asyncio.run, elsewhere())
            else:
                await asyncio.to_thread(getattr(conn, how))
            assert await (await waiting).fetchone() == (None,)
            with pytest.raises(pymy.InterfaceError, match="went back"):
                await conn.ping()
            await until(lambda: pool.stats().idle)
            assert pool.stats().connected == 2
            balanced(pool.stats())

    async def bounded():
        async with asyncio.timeout(120):
            await main()

    asyncio.run(bounded(), debug=True)


def test_close(dsn, run, caplog):
    async def main():
        pool = Pool(dsn, max_size=1, acquire_timeout=60)
        conn = await pool.acquire()
        waiting = asyncio.create_task(pool._acquire(None, None, True))
        await until(lambda: pool.stats().waiting)
        closing = pool.close(timeout=60)
        with pytest.raises(pymy.PoolClosed):
            await waiting
        assert await one(conn) == (1,)
        conn.close()
        await closing
        assert pool.size == 0
        with pytest.raises(pymy.PoolClosed):
            await pool.acquire()
        await pool.close()
        pool = Pool(dsn)
        conn = await pool.acquire()
        running = asyncio.create_task(one(conn, "select sleep(60)"))
        await asyncio.sleep(0.02)
        await pool.close(timeout=0.05)
        with pytest.raises(pymy.Error):
            await running
        assert "after close()" in caplog.text

    run(main)


def test_terminate_in_the_middle_of_everything(dsn, run, balanced):
    async def main():
        pool = Pool(dsn, max_size=3, acquire_timeout=60)
        lent, returned = await pool.acquire(), await pool.acquire()
        await returned.ping()  # so that there is something to clean
        connecting = asyncio.create_task(pool._acquire(None, None, True))
        waiting = asyncio.create_task(pool._acquire(None, None, True))
        while not pool.stats().waiting:
            await asyncio.sleep(0)
        returned.close()
        stats = pool.stats()
        assert (stats.connecting, stats.in_use, stats.cleaning) == (1, 1, 1)
        pool.terminate()
        for request in (connecting, waiting):
            with pytest.raises(pymy.PoolClosed):
                await request
        with pytest.raises(pymy.InterfaceError):
            await lent.execute("select 1")
        lent.close()
        await pool.wait_closed()
        assert pool.size == 0
        balanced(pool.stats())

    run(main)


def test_cancelled_close_goes_on(dsn, run):
    async def main():
        pool = Pool(dsn)
        conn = await pool.acquire()
        closing = pool.close(timeout=60)
        closing.cancel()
        with suppress(asyncio.CancelledError):
            await closing
        conn.close()
        await pool.wait_closed()
        assert pool.size == 0

    run(main)


def test_clocks(dsn, run, caplog):
    async def main():
        async with Pool(dsn, idle_timeout=0.05, leak_timeout=0.05) as pool:
            await pool.warm_up(2)
            await until(lambda: pool.size == 0)
            async with pool.connection():
                await until(lambda: "in use for more than leak_timeout" in caplog.text)
        assert "test_clocks" in caplog.text

    run(main)


def test_dropped_connection_is_reclaimed(dsn, run, caplog):
    async def main():
        async with Pool(dsn, max_size=1, acquire_timeout=60) as pool:
            held = [await pool.acquire()]
            waiting = asyncio.create_task(pool._acquire(None, None, True))
            await until(lambda: pool.stats().waiting)
            with warnings.catch_warnings(record=True):
                warnings.simplefilter("always")
                held.clear()
                gc.collect()
            conn = await waiting
            assert await one(conn) == (1,)
            conn.close()
            assert pool.stats().lost == 1
        assert "dropped without being released" in caplog.text

    run(main)


def test_uvloop(dsn, balanced):
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    async def main():
        async with asyncio.timeout(60), Pool(dsn, max_size=2, validate_after=0) as pool:
            for _ in range(5):
                async with pool.connection() as conn:
                    assert await one(conn) == (1,)
            await until(lambda: not pool.stats().cleaning)
            balanced(pool.stats())

    uvloop.run(main())


@pytest.mark.parametrize("seed", range(2))
def test_cancellation_soak(dsn, run, balanced, direct, seed):
    """Hundreds of cancels at random moments: answers stay with their tasks, nothing is lost."""
    chance = random.Random(seed)

    async def use(pool, tag):
        what = tag % 5
        if what == 0:
            async with pool.connection() as conn:
                assert await one(conn, "select sleep(0.01), %s", (tag,)) == (0, tag)
        elif what == 1:
            rows = [r async for r in pool.execute("select %s", (tag,))]
            assert rows == [(tag,)]
        elif what == 2:
            async with aclosing(pool.stream("select %s union all select 2", (tag,))) as rows:
                async for row in rows:
                    assert row in ((tag,), (2,))
        elif what == 3:
            async with pool.transaction() as conn:
                await conn.execute("insert into t values (%s)", (tag,))
                assert await one(conn, "select %s", (tag,)) == (tag,)
        else:
            async with pool.connection() as conn, conn.cursor(SSCursor) as cursor:
                await cursor.execute("select %s union all select sleep(0.005)", (tag,))
                assert await cursor.fetchone() == (tag,)

    async def main():
        async with Pool(dsn, max_size=5, acquire_timeout=100, max_uses=50) as pool:
            await pool.execute("create table t (id int) engine=innodb")
            for _ in range(12):
                tasks = [
                    asyncio.create_task(use(pool, chance.randrange(100_000))) for _ in range(30)
                ]
                for task in tasks:
                    if chance.random() < 0.7:
                        asyncio.get_running_loop().call_later(chance.random() ** 3 / 5, task.cancel)
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    if isinstance(result, BaseException):
                        assert isinstance(result, asyncio.CancelledError), repr(result)
            await until(lambda: not pool.stats().cleaning and not pool.stats().in_use)
            stats = pool.stats()
            balanced(stats)
            assert (stats.connecting, stats.waiting) == (0, 0)
            assert stats.size <= 5
            await pool.execute("select 1")
        assert pool.size == 0

    run(main)
    mine = "select count(*) from information_schema.processlist where db = database()"
    while direct.execute(mine).fetchone() != (1,):
        pass
