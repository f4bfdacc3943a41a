"""What wears pools down: cancels at every await, hooks that fail, forks, ends in the middle."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, nullcontext, suppress

import pytest

import pymy
from pymy import cursors, nonblocking
from pymy.aio import DictCursor
from pymy.aio import Pool as TaskPool
from pymy.poolstate import Do


@pytest.fixture
def pool(pool_of):
    return pool_of


@pytest.fixture
def tasks():
    """Run a coroutine within a bound; what hangs fails."""

    def run(main):
        async def bounded():
            async with asyncio.timeout(120):
                await main

        asyncio.run(bounded())

    return run


async def one(conn, sql="select 1"):
    return await (await conn.execute(sql)).fetchone()


async def until(condition):
    while not condition():
        await asyncio.sleep(0.002)


# -- cancels


@types.coroutine
def cancelled_at(work, moment):
    """Await ``work``, cancel its task when it is suspended for that time; tell if it ever was."""
    inner = work.__await__()
    count = 0
    try:
        pause = inner.send(None)
        while True:
            if count == moment:
                asyncio.current_task().cancel()
            count += 1
            try:
                answer = yield pause
            except BaseException as exc:
                pause = inner.throw(exc)
            else:
                pause = inner.send(answer)
    except StopIteration as stop:
        return stop.value, count > moment


async def hook(*args):
    await asyncio.sleep(0)
    if args:
        await args[0].execute("select 1")


HOOKS = {f"on_{name}": hook for name in ("connect", "acquire", "wait", "release")}


async def every_moment(pool, attempt, balanced):
    """Run ``attempt`` once for each of its awaits, cancelled there; the pool is whole each time.

    It returns whether it came to that await, as ``cancelled_at`` does.
    """
    moment = 0
    while True:
        task = asyncio.create_task(attempt(moment))
        await asyncio.wait([task])
        if not task.cancelled() and not task.result():
            return moment
        await until(lambda: not pool.stats().cleaning)
        stats = pool.stats()
        balanced(stats)
        assert (stats.in_use, stats.connecting, stats.waiting) == (0, 0, 0)
        async with pool.connection() as conn:
            assert await one(conn) == (1,)
        await until(lambda: not pool.stats().cleaning)
        moment += 1


@pytest.mark.parametrize("validate_after", [None, 0])
@pytest.mark.parametrize("fresh", [True, False])
def test_acquire_cancelled_at_every_await(dsn, tasks, balanced, fresh, validate_after):
    async def main():
        async with TaskPool(dsn, max_size=2, validate_after=validate_after, **HOOKS) as pool:

            async def attempt(moment):
                if fresh:
                    await pool.clear()
                conn, cancelled = await cancelled_at(pool.acquire(), moment)
                conn.close()
                return cancelled

            moments = await every_moment(pool, attempt, balanced)
            assert moments > (5 if fresh else 1)

    tasks(main())


def test_waiting_cancelled_at_every_await(dsn, tasks, balanced):
    async def main():
        async with TaskPool(dsn, max_size=1, acquire_timeout=60, **HOOKS) as pool:

            async def attempt(moment):
                held = await pool.acquire()
                asyncio.get_running_loop().call_later(0.005, held.close)
                try:
                    conn, cancelled = await cancelled_at(pool.acquire(), moment)
                    conn.close()
                    return cancelled
                finally:
                    held.close()

            assert await every_moment(pool, attempt, balanced) > 2

    tasks(main())


@pytest.mark.parametrize(
    "use",
    [
        lambda pool: pool.execute("select 1"),
        lambda pool: consumed(pool.stream("select 1 union select 2")),
        lambda pool: within(pool.transaction()),
        lambda pool: released(pool),
        lambda pool: pool.warm_up(2),
    ],
    ids=["execute", "stream", "transaction", "release", "warm_up"],
)
def test_shortcuts_cancelled_at_every_await(dsn, tasks, balanced, use):
    async def main():
        async with TaskPool(dsn, max_size=2, validate_after=0, **HOOKS) as pool:

            async def attempt(moment):
                await pool.clear()
                _, cancelled = await cancelled_at(use(pool), moment)
                return cancelled

            assert await every_moment(pool, attempt, balanced) > 5

    tasks(main())


async def consumed(rows):
    async with aclosing(rows):
        async for _ in rows:
            pass


async def within(transaction):
    async with transaction as conn:
        await conn.execute("select 1")


async def released(pool):
    conn = await pool.acquire()
    await conn.release()


@pytest.mark.parametrize("moment", range(8))
def test_terminate_at_any_moment_of_the_cleaning(dsn, tasks, balanced, moment):
    async def main():
        pool = TaskPool(dsn, **HOOKS)
        conn = await pool.acquire()
        done = conn.release()
        for _ in range(moment * 3):
            await asyncio.sleep(0)
        pool.terminate()
        await done
        await pool.wait_closed()
        assert pool.size == 0
        balanced(pool.stats())

    tasks(main())


def test_the_loop_ends_under_the_pool(dsn):
    async def main():
        pool = TaskPool(dsn, **HOOKS)
        conns = [await pool.acquire() for _ in range(3)]
        conns[0].close()
        return pool, conns

    pool, conns = asyncio.run(main())
    conns[1].close()
    conns[2].release()
    assert pool.size == 0
    pool.terminate()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # asyncio's: its loop closes sockets
        conns.clear()
        gc.collect()


# -- ends


def test_closed_twice_at_once(dsn, tasks):
    async def main():
        pool = TaskPool(dsn)
        await pool.execute("select 1")
        await asyncio.gather(pool.close(), pool.close())
        pool = TaskPool(dsn)
        conn = await pool.acquire()
        closing = [pool.close(None), pool.close(None), pool.close(60)]
        closing[1].cancel()
        await asyncio.sleep(0.01)
        conn.close()
        await asyncio.gather(*closing, pool.wait_closed(), return_exceptions=True)
        assert pool.size == 0

    tasks(main())


def test_threads_close_twice_at_once(pool, eventually):
    closed = pool()
    conn = closed.acquire()
    with ThreadPoolExecutor(2) as threads:
        closing = [threads.submit(closed.close, 60) for _ in range(2)]
        eventually(lambda: closed.closed)
        conn.release()
        for each in closing:
            each.result(30)
    assert closed.size == 0


def test_a_hook_that_never_ends(dsn, tasks, caplog):
    async def main():
        pool = TaskPool(dsn, on_release=lambda conn: asyncio.Event().wait())
        conn = await pool.acquire()
        done = conn.release()
        await pool.close(timeout=0.05)
        await done
        assert pool.size == 0

    tasks(main())
    assert "after close()" in caplog.text


def test_closed_from_a_hook(dsn, tasks):
    async def main():
        pool = TaskPool(dsn, on_release=lambda conn: pool.close(0.05))
        conn = await pool.acquire()
        await conn.release()
        await pool.wait_closed()
        assert pool.size == 0

    tasks(main())


def test_close_while_many_wait(pool, eventually):
    crowded = pool(max_size=1, acquire_timeout=60)
    conn = crowded.acquire()
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(crowded.acquire) for _ in range(8)]
        eventually(lambda: crowded.stats().waiting == 8)
        crowded.terminate()
        for each in waiting:
            with pytest.raises(pymy.PoolClosed):
                each.result(30)
    with pytest.raises(pymy.Error):
        conn.execute("select 1")
    conn.release()
    assert crowded.size == 0


def test_acquired_while_it_closes(pool):
    """Whatever the order, no connection comes out of a closed pool, and none is left in it."""
    for _ in range(20):
        closing = pool()
        start = threading.Barrier(5)

        def ask(dsn, pool=closing, start=start):
            start.wait(30)
            with suppress(pymy.PoolClosed):
                pool.acquire(dsn=dsn).release()

        with ThreadPoolExecutor(4) as threads:
            asking = [threads.submit(ask, None) for _ in range(4)]
            start.wait(30)
            closing.close()
            for each in asking:
                each.result(30)
        assert closing.size == 0


# -- hooks


def test_a_hook_that_releases(pool, dsn, tasks):
    def spoil(conn):
        conn.close()
        raise KeyError("hook")

    with pytest.raises(KeyError):
        pool(on_acquire=spoil).acquire()

    async def main():
        async with TaskPool(dsn, on_acquire=spoil) as pool:
            with pytest.raises(KeyError):
                await pool.acquire()

    tasks(main())


@pytest.mark.parametrize("error", [pymy.ProgrammingError(1, "x"), KeyError("x"), SystemExit(1)])
def test_hooks_that_fail(pool, balanced, error):
    def fail(*args):
        raise error

    for name in ("on_connect", "on_acquire", "on_release"):
        failing = pool(max_size=1, acquire_timeout=1, **{name: fail})
        with nullcontext() if ignored(name, error) else pytest.raises(type(error)):
            failing.acquire().release()
        stats = failing.stats()
        balanced(stats)
        assert (stats.in_use, stats.connecting, stats.cleaning) == (0, 0, 0)


@pytest.mark.parametrize("use", [True, False])
def test_a_hook_that_aborts(pool, dsn, tasks, caplog, use):
    async def main():
        async with TaskPool(dsn, on_release=lambda conn: conn.abort()) as aborting:
            conn = await aborting.acquire()
            if use:
                await conn.ping()
            await conn.release()
            assert (aborting.size, aborting.stats().broken) == (0, 1)

    tasks(main())
    aborting = pool(on_release=lambda conn: conn.abort())
    with aborting.connection() as conn:
        if use:
            conn.ping()
    assert (aborting.size, aborting.stats().broken) == (0, 1)
    assert not caplog.text


def ignored(name, error):
    return name == "on_release" and isinstance(error, Exception)


def test_a_failing_on_wait(pool, balanced):
    failing = pool(max_size=1, on_wait=lambda: 1 / 0)
    with failing.connection():
        with pytest.raises(ZeroDivisionError):
            failing.acquire()
        assert failing.stats().waiting == 0
    failing.execute("select 1")
    balanced(failing.stats())


# -- what one user leaves to the next


@pytest.mark.parametrize("reset", [True, False])
def test_nothing_of_the_object_stays(pool, reset):
    spoiled = pool(max_size=1, reset_on_release=reset, autocommit=True)
    with spoiled.connection() as conn:
        conn.cursorclass = cursors.DictCursor
        conn.query_attributes["a"] = "b"
        assert conn.literal("x") == "'x'"  # what writes literals exists from here on
        conn.encoders[int] = lambda value, mapping: "7"
        for key in list(conn.decoders):
            conn.decoders[key] = lambda value: "spoiled"
        assert conn.execute("select 1 a").fetchone() == {"a": "spoiled"}
    with spoiled.connection() as conn:
        assert conn.query_attributes == {}
        assert conn.execute("select %s", (1,)).fetchone() == (1,)


def test_an_operation_left_unfinished(pool, balanced):
    """Nobody can tell what it has sent: the connection is closed."""
    left = pool(max_size=1)
    conn = left.acquire()
    operation = conn.start_execute("select sleep(30)")
    conn.release()
    assert operation.done
    with pytest.raises(pymy.Error):
        operation.result()
    assert (left.size, left.stats().broken) == (0, 1)
    assert left.execute("select 1").fetchone() == (1,)
    balanced(left.stats())


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("method", ["close", "release", "__exit__"])
def test_giving_back_cannot_be_started(pool, balanced, reset, method):
    lending = pool(max_size=1, reset_on_release=reset, autocommit=True)
    conn = lending.acquire()
    conn.execute("set @x = 1")
    if method == "close":
        operation = conn.start_close()
    else:
        operation = nonblocking.start(getattr(conn, method))
    with pytest.raises(pymy.InterfaceError, match=r"call release\(\)"):
        operation.result()
    assert lending.stats().in_use == 1
    assert conn.execute("select 1").fetchone() == (1,)
    conn.release()
    assert lending.execute("select 1").fetchone() == (1,)
    assert lending.stats().connected == 1
    balanced(lending.stats())


def test_foreign_connections(pool, dsn, tasks):
    with pymy.connect(dsn) as conn:
        for thing in (conn, None, "conn"):
            with pytest.raises(pymy.InterfaceError, match="not of this pool"):
                pool().release(thing)


# -- shortcuts


def test_an_error_among_later_results_is_heard(pool, dsn, tasks):
    options = {"multi_statements": True, "autocommit": True, "max_size": 1}
    several = pool(retry_queries=3, **options)
    with pytest.raises(pymy.OperationalError, match="nope"):
        several.execute("select 1; select nope")
    assert several.stats().broken == 0

    async def main():
        async with TaskPool(dsn, **options) as pool:
            with pytest.raises(pymy.OperationalError, match="nope"):
                await pool.execute("select 1; select nope")

    tasks(main())


def test_a_stream_that_is_closed_before_its_first_row(dsn, tasks):
    async def main():
        async with TaskPool(dsn, cursorclass=DictCursor) as pool:
            async with aclosing(await pool.stream("select 1 a")):
                assert pool.stats().in_use == 1
            assert pool.stats().in_use == 0
            assert [row async for row in pool.stream("select 1 a")] == [{"a": 1}]
            with pytest.raises(TypeError):
                await pool.stream("select 1", row_factory=5)
            await until(lambda: not pool.stats().cleaning)
            assert (pool.stats().in_use, pool.stats().lost) == (0, 0)

    tasks(main())


def test_bad_arguments(pool, dsn, tasks):
    small = pool(max_size=2)
    for timeout, error in (("1", TypeError), (True, TypeError), (-1, pymy.ProgrammingError)):
        with pytest.raises(error, match="timeout is"):
            small.acquire(timeout=timeout)
    with pytest.raises(pymy.ProgrammingError, match="above max_size 2"):
        small.warm_up(3)
    small.acquire(timeout=1e20).release()  # longer than the system can wait

    async def main():
        async with TaskPool(dsn) as pool:
            with pytest.raises(pymy.ProgrammingError, match="timeout is"):
                await pool.acquire(timeout=float("nan"))

    tasks(main())


def test_warm_up_counts_its_own_server(pool, server):
    warm = pool()
    warm.execute("select 1", dsn=server.dsn_for("test"))
    warm.warm_up(1)
    assert warm.stats().idle == 2


def test_a_thread_that_cannot_start(pool, monkeypatch, balanced):
    poor = pool(max_size=1)
    conn = poor.acquire()
    with pytest.raises(pymy.OperationalError):
        conn.execute("select sleep(30)", timeout=0.05)

    def fail(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    conn.release()
    assert poor.size == 0
    balanced(poor.stats())


def test_woken_before_it_sleeps(pool):
    """A request that is served between two looks does not wait for the clock."""
    quick = pool(max_size=1, acquire_timeout=30)
    core = quick._core(None)
    conn = quick.acquire()
    ticket = quick._tell(core.ask, None, True)
    conn.release()
    assert ticket.do is not Do.WAIT
    quick._sleep(core, ticket)
    quick._tell(core.cancel, ticket)


# -- forks


def in_a_child(work):
    """Run ``work`` in a forked child, within ten seconds; True is good."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        status = 1
        try:
            signal.alarm(10)
            status = 0 if work() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    "first",
    [
        lambda pool: pool.stats().size == 0,
        lambda pool: "0 idle" in repr(pool),
        lambda pool: pool.close(5) is None and pool.closed,
        lambda pool: pool.terminate() is None,
        lambda pool: pool.clear() is None,
        lambda pool: pool.execute("select 1").fetchone() == (1,),
    ],
    ids=["stats", "repr", "close", "terminate", "clear", "execute"],
)
def test_forked_under_another_thread_s_hands(pool, first):
    """The parent's lock stays locked in the child, and its connections are in use for ever."""
    forked = pool(max_size=2)
    with forked.connection() as conn:
        forked.execute("select 1")
        locked, go_on = threading.Event(), threading.Event()

        def hold():
            with forked._lock:
                locked.set()
                go_on.wait(30)

        thread = threading.Thread(target=hold)
        thread.start()
        assert locked.wait(30)
        try:
            assert in_a_child(lambda: first(forked)) == 0
        finally:
            go_on.set()
            thread.join()
        assert conn.execute("select 1").fetchone() == (1,)
    assert forked.execute("select 2").fetchone() == (2,)
    assert forked.stats().connected == 2


def test_a_child_has_a_loop_of_its_own(dsn, tasks):
    async def main():
        pool = TaskPool(dsn, max_size=2)
        conn = await pool.acquire()
        await pool.execute("select 1")

        async def childs():
            assert await (await pool.execute("select 3")).fetchone() == (3,)
            assert pool.stats().connected == 1
            await pool.close()

        assert in_a_child(lambda: asyncio.run(childs()) is None) == 0
        assert await one(conn) == (1,)
        conn.close()
        await pool.execute("select 1")
        await pool.close()

    tasks(main())
