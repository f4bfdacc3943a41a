"""What a pool does by itself for a caller ends with the caller's time: no server can hold it up."""

from __future__ import annotations

import asyncio

import pytest
from scripted import Server, expect, greet, listen_to_the_end, ok, query, response
from server_packets import PING, RESET_CONNECTION

import pymy
from pymy.aio import Pool as TaskPool
from pymy.pool import Pool

IN_TRANS, MORE_RESULTS = 0x0001, 0x0008
NAMES = "SET NAMES utf8mb4, autocommit=0"
LOGIN = [greet("5.7.44-scripted"), response(), ok(), query(NAMES), ok()]
SILENCE = listen_to_the_end()


@pytest.fixture(params=["threads", "tasks"])
def pool_does(request):
    """Call a method of a pool; what acquire lends is used and released."""

    def do(options, method, *args, **settings):
        if request.param == "threads":
            pool = Pool(max_size=1, **options)
            try:
                done = getattr(pool, method)(*args, **settings)
                if method == "acquire":
                    done.ping()
                    done.release()
                return pool.stats()
            finally:
                pool.terminate()

        async def main():
            pool = TaskPool(max_size=1, **options)
            try:
                async with asyncio.timeout(30):
                    done = await getattr(pool, method)(*args, **settings)
                if method == "acquire":
                    await done.ping()
                    await done.release()
                return pool.stats()
            finally:
                pool.terminate()

        return asyncio.run(main())

    return do


def ping(conn):
    return conn.ping()


def test_the_commit_of_execute(pool_does):
    script = [*LOGIN, query("insert"), ok(status=IN_TRANS), query("COMMIT"), SILENCE]
    with (
        Server(*script) as server,
        pytest.raises(pymy.OperationalError, match=r"timed out, timeout=0\.") as caught,
    ):
        pool_does(server.options(), "execute", "insert", timeout=0.3, retries=3)
    assert (caught.value.fatal, caught.value.sent) == (True, True)


def test_the_other_results_of_execute(pool_does):
    script = [*LOGIN, query("call p()"), ok(status=MORE_RESULTS), SILENCE]
    with (
        Server(*script) as server,
        pytest.raises(pymy.OperationalError, match=r"timeout=0\."),
    ):
        pool_does(server.options(on_cancel="close"), "execute", "call p()", timeout=0.3)


def test_a_commit_that_comes_in_time(pool_does):
    script = [*LOGIN, query("insert"), ok(status=IN_TRANS), query("COMMIT"), ok(), SILENCE]
    with Server(*script) as server:
        options = server.options(reset_on_release=False)
        assert pool_does(options, "execute", "insert", timeout=30).idle == 1


@pytest.mark.parametrize("limit", ["timeout", "connect_timeout"])
def test_the_commit_behind_on_connect(pool_does, limit):
    script = [*LOGIN, expect(PING), ok(status=IN_TRANS), query("COMMIT"), SILENCE]
    with (
        Server(*script) as server,
        pytest.raises(pymy.OperationalError, match=r"timed out, timeout=0\."),
    ):
        options = server.options(on_connect=ping, acquire_timeout=None)
        if limit == "timeout":
            pool_does(options, "acquire", timeout=0.3)
        else:
            pool_does(options | {"connect_timeout": 0.3}, "acquire", wait=False)


def test_the_commit_behind_on_connect_after_a_reset(pool_does):
    used = [expect(PING), ok()]
    reset = [expect(RESET_CONNECTION), ok(), query(NAMES), ok()]
    script = [*LOGIN, *used, *used, *reset, expect(PING), ok(status=IN_TRANS), query("COMMIT")]
    with Server(*script, SILENCE) as server:
        options = server.options(on_connect=ping, cancel_timeout=0.3)
        stats = pool_does(options, "acquire")
    assert (stats.size, stats.broken) == (0, 1)
