"""The pool of threads on real servers."""

from __future__ import annotations

import gc
import logging
import os
import random
import re
import socket
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

import pymy
from pymy import cursors
from pymy.basepool import Bucket
from pymy.pool import Pool


def test_lazy_and_reused(pool_of, balanced):
    pool = pool_of()
    assert pool.size == 0
    with pool.connection() as conn:
        first = conn.thread_id()
        assert pool.stats().in_use == 1
    with pool.connection() as conn:
        assert conn.thread_id() == first
    assert pool.stats().connected == 1
    balanced(pool.stats())


def test_state_of_one_user_does_not_reach_the_next(pool_of, direct):
    pool = pool_of(max_size=1)
    with pool.connection() as conn:
        thread = conn.thread_id()
        conn.execute("create table t (id int) engine=innodb")
        conn.execute("insert into t values (1)")
        conn.execute("set @x = 5, sql_mode = 'ANSI_QUOTES'")
        conn.execute("create temporary table gone (id int)")
        conn.set_charset("latin1")
        conn.autocommit(True)
        conn.begin()
        conn.execute("insert into t values (2)")
        conn.query_attributes["a"] = "b"
        conn.encoders[int] = None
    with pool.connection() as conn:
        assert conn.thread_id() == thread
        assert conn.execute("select @x, @@autocommit").fetchall() == ((None, 0),)
        assert conn.execute("select @@character_set_client").fetchone() == ("utf8mb4",)
        assert (conn.charset, conn.query_attributes) == ("utf8mb4", {})
        assert conn.execute("select %s", (1,)).fetchone() == (1,)
        assert conn.execute('select "a"').fetchone() == ("a",)
        with pytest.raises(pymy.ProgrammingError):
            conn.execute("select * from gone")
    assert direct.execute("select * from t").fetchall() == ((1,),)


@pytest.mark.parametrize("database", ["its own", "none"])
def test_schema_of_one_user_does_not_reach_the_next(pool_of, server, db, database):
    pool = pool_of(server.dsn_for(db if database == "its own" else ""), max_size=1)
    for change in (lambda conn: conn.select_db("test"), lambda conn: conn.execute("use test")):
        with pool.connection() as conn:
            thread = conn.thread_id()
            change(conn)
        expected = db if database == "its own" else None
        with pool.connection() as conn:
            assert conn.execute("select database()").fetchone() == (expected,)
            assert conn.thread_id() == thread


def test_rollback_without_reset(pool_of):
    pool = pool_of(max_size=1, reset_on_release=False)
    with pool.connection() as conn:
        conn.execute("create table t (id int) engine=innodb")
        conn.execute("insert into t values (1)")
        conn.execute("set @x = 5")
    with pool.connection() as conn:
        assert conn.execute("select count(*), @x from t").fetchone() == (0, 5)


@pytest.mark.parametrize("reset", [True, False])
def test_unread_rows_are_left_behind(pool_of, reset):
    pool = pool_of(max_size=1, reset_on_release=reset, autocommit=True)
    with pool.connection() as conn:
        cursor = conn.cursor(cursors.SSCursor)
        cursor.execute("select 1 union select 2")
        assert cursor.fetchone() == (1,)
    with pool.connection() as conn:
        assert conn.execute("select 3").fetchone() == (3,)


def test_released_means_released(pool_of):
    pool = pool_of()
    conn = pool.acquire()
    cursor = conn.cursor()
    cursor.execute("select 1")
    streaming = pool.acquire()
    rows = streaming.cursor(cursors.SSCursor)
    conn.release()
    streaming.close()
    assert cursor.fetchall() == ((1,),)
    for use in (
        lambda: conn.execute("select 1"),
        lambda: cursor.execute("select 1"),
        lambda: rows.execute("select 1"),
        conn.ping,
        lambda: conn.ping(reconnect=True),
        conn.begin,
        conn.connect,
        conn.reset,
        lambda: conn.select_db("x"),
    ):
        with pytest.raises(pymy.InterfaceError, match="went back to its pool"):
            use()
    for again in (conn.release, lambda: pool.release(conn)):
        with pytest.raises(pymy.InterfaceError, match="already"):
            again()
    with pytest.raises(pymy.InterfaceError):
        pool_of().release(streaming)
    rows.close()


def test_connection_of_another_pool(pool_of):
    conn = pool_of().acquire()
    with pytest.raises(pymy.InterfaceError, match="not of this pool"):
        pool_of().release(conn)
    conn.release()


def test_acquired_connection_is_a_context_manager(pool_of):
    pool = pool_of()
    with pool.acquire() as conn:
        assert isinstance(conn, pymy.Connection)
        conn.close()
    assert pool.stats().released == 1


def test_requests_end(pool_of):
    pool = pool_of(max_size=1, max_waiting=0, acquire_timeout=0.2)
    with pool.connection():
        with pytest.raises(pymy.PoolQueueFull):
            pool.acquire()
        with pytest.raises(pymy.PoolTimeout, match="wait=False"):
            pool.acquire(wait=False)
    pool = pool_of(max_size=1, acquire_timeout=0.2)
    with pool.connection():
        with pytest.raises(pymy.PoolTimeout, match="max_size=1"):
            pool.acquire()
        with pytest.raises(pymy.PoolTimeout):
            pool.acquire(timeout=0.0)


def test_threads_get_their_own_answers(pool_of, balanced):
    pool = pool_of(max_size=4, acquire_timeout=60)

    def work(number):
        for tag in range(number, number + 20):
            if tag % 3:
                with pool.connection() as conn:
                    assert conn.execute("select %s", (tag,)).fetchone() == (tag,)
            else:
                assert pool.execute("select %s", (tag,)).fetchone() == (tag,)

    with ThreadPoolExecutor(16) as threads:
        for done in [threads.submit(work, 100 * n) for n in range(16)]:
            done.result(60)
    stats = pool.stats()
    balanced(stats)
    assert stats.connected <= 4
    assert (stats.in_use, stats.waiting, stats.acquired) == (0, 0, 320)


def test_waiting_thread_gets_what_comes_back(pool_of, eventually):
    pool = pool_of(max_size=1, acquire_timeout=60)
    conn = pool.acquire()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(lambda: pool.execute("select 7").fetchone())
        eventually(lambda: pool.stats().waiting == 1)
        conn.release()
        assert waiting.result(30) == (7,)


@pytest.mark.parametrize("validate_after", [0, None])
def test_killed_while_idle(pool_of, kill, validate_after, eventually, balanced):
    pool = pool_of(max_size=3, validate_after=validate_after)
    held = [pool.acquire() for _ in range(3)]
    threads = [conn.thread_id() for conn in held]
    for conn in held:
        conn.release()
    for thread in threads:
        kill(thread)
    for _ in range(3):
        with pool.connection() as conn:
            assert conn.execute("select 1").fetchone() == (1,)
            assert conn.thread_id() not in threads
    assert pool.stats().broken == 3
    balanced(pool.stats())


def test_broken_connection_does_not_go_back(pool_of, kill, balanced):
    pool = pool_of()
    with pool.connection() as conn:
        kill(conn.thread_id())
        with pytest.raises(pymy.OperationalError):
            conn.execute("select 1")
    assert (pool.stats().idle, pool.stats().broken) == (0, 1)
    with pool.connection() as conn:
        conn.abort()
    assert pool.stats().broken == 2
    balanced(pool.stats())


def test_user_change_does_not_go_back(pool_of, account):
    pool = pool_of(max_size=1)
    with pool.connection() as conn:
        conn.change_user(account())
    with pool.connection() as conn:
        assert conn.execute("select current_user()").fetchone() == ("root@localhost",)
    assert pool.stats().connected == 2


def test_read_only_server_costs_the_connection(pool_of, account, set_global, tcp_dsn):
    url = re.sub(r"root:?[^@]*@", f"{account()}@", tcp_dsn)
    pool = pool_of(url, max_size=1)
    pool.execute("create table t (id int)")
    set_global("read_only", 1)
    with pool.connection() as conn:
        with pytest.raises(pymy.OperationalError) as caught:
            conn.execute("insert into t values (1)")
        assert caught.value.errno == 1290
    assert pool.stats().broken == 1


def test_prepared_transaction_outlives_its_release(pool_of, needs, direct):
    needs("XA transactions that outlive their session")
    pool = pool_of(max_size=1)
    pool.execute("create table t (id int) engine=innodb")
    with pool.connection() as conn:
        xid = conn.xid(1, f"pool-{random.getrandbits(60)}", "b")
        conn.tpc_begin(xid)
        conn.execute("insert into t values (1)")
        conn.tpc_prepare()
    deadline = time.monotonic() + 30
    while True:  # the server needs a moment to see the end of the connection
        try:
            direct.tpc_commit(xid)
            break
        except pymy.Error:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert pool.execute("select * from t").fetchall() == ((1,),)


def test_given_up_statement_is_settled_behind_the_caller(pool_of, eventually, balanced):
    pool = pool_of(max_size=1)
    with pool.connection() as conn:
        thread = conn.thread_id()
        with pytest.raises(pymy.OperationalError, match="stays usable"):
            conn.execute("select sleep(30)", timeout=0.1)
    with pool.connection(timeout=30) as conn:
        assert conn.execute("select 5").fetchone() == (5,)
        assert conn.thread_id() == thread
    balanced(pool.stats())


def test_server_restart(extra_server, eventually, balanced):
    server = extra_server()
    with Pool(server.tcp_dsn, max_size=3, acquire_timeout=60, retry_interval=0.05) as pool:
        held = [pool.acquire() for _ in range(3)]
        for conn in held[:2]:
            conn.release()
        server.restart()
        with pytest.raises(pymy.OperationalError):
            held[2].execute("select 1")
        held[2].release()
        assert pool.execute("select 1").fetchone() == (1,)
        assert pool.stats().broken == 3
        balanced(pool.stats())


def test_connects_wait_for_a_server_that_comes_back(extra_server, eventually):
    server = extra_server()
    with Pool(server.tcp_dsn, acquire_timeout=60, retry_interval=0.05) as pool:
        asking = []

        def ask():
            asking.append(pool.execute("select 1").fetchone())

        process = server._running()
        process.send("stop")
        assert process.wait(30)
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        eventually(lambda: pool.stats().connect_failures > 4)
        process.start()
        server._await_greeting(process)
        for thread in threads:
            thread.join(60)
        assert asking == [(1,)] * 3


def test_nobody_answers(pool_of):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pool = pool_of(f"mysql://x@127.0.0.1:{port}/", acquire_timeout=0.3, retry_interval=0.05)
    with pytest.raises(pymy.OperationalError) as caught:
        pool.acquire()
    assert caught.value.errno == 2003
    assert pool.stats().connect_failures > 1
    assert pool.size == 0


def test_denied_at_once(pool_of, tcp_dsn):
    url = re.sub(r"root:?[^@]*@", "nobody_of_that_name:x@", tcp_dsn)
    pool = pool_of(url, acquire_timeout=600)
    with pytest.raises(pymy.OperationalError) as caught:
        pool.acquire()
    assert caught.value.errno in (1045, 1698)
    assert pool.stats().connect_failures == 1


def test_more_clients_than_the_server_takes(extra_server, balanced):
    server = extra_server("--max-connections=10")
    pool = Pool(server.tcp_dsn, max_size=30, acquire_timeout=60, retry_interval=0.05)

    def work(tag):
        with pool.connection() as conn:
            return conn.execute("select sleep(0.05), %s", (tag,)).fetchone()[1]

    with pool, ThreadPoolExecutor(30) as threads:
        assert list(threads.map(work, range(60))) == list(range(60))
        balanced(pool.stats())
        assert pool.stats().connected - pool.stats().closed <= 11


def test_full_server_is_told_of(extra_server):
    server = extra_server("--max-connections=10")
    with Pool(server.tcp_dsn, max_size=20, acquire_timeout=0.3, retry_interval=0.1) as pool:
        held = []
        with pytest.raises(pymy.OperationalError) as caught:
            while True:
                held.append(pool.acquire())
        assert caught.value.errno == 1040
        assert len(held) in (10, 11)  # one more for an administrator
        for conn in held:
            conn.release()


def test_idle_time_out_by_the_clock(pool_of, eventually):
    pool = pool_of(idle_timeout=0.05, min_size=1)
    held = [pool.acquire() for _ in range(3)]
    for conn in held:
        conn.release()
    eventually(lambda: pool.size == 1)
    assert pool.stats().expired == 2
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("pymy-pool-clock") >= 1


def test_no_thread_without_need(pool_of):
    before = threading.active_count()
    pool = pool_of()
    pool.execute("select 1")
    assert threading.active_count() == before


def test_lifetime_and_uses(pool_of):
    pool = pool_of(max_uses=2)
    threads = []
    for _ in range(4):
        with pool.connection() as conn:
            threads.append(conn.thread_id())
    assert threads[0] == threads[1] != threads[2] == threads[3]
    assert pool.stats().expired == 2


def test_shortcuts(pool_of, direct):
    pool = pool_of()
    pool.execute("create table t (id int primary key) engine=innodb")
    assert pool.execute("insert into t values (%s), (%s)", (1, 2)).rowcount == 2
    assert list(pool.stream("select id from t order by id")) == [(1,), (2,)]
    with pytest.raises(KeyError), pool.transaction() as conn:
        conn.execute("insert into t values (3)")
        raise KeyError
    with pool.transaction(isolation="serializable") as conn:
        conn.execute("insert into t values (4)")
    assert direct.execute("select id from t order by id").fetchall() == ((1,), (2,), (4,))
    rows = pool.stream("select id from t order by id")
    assert next(rows) == (1,)
    assert pool.stats().in_use == 1
    rows.close()
    assert pool.stats().in_use == 0
    with pytest.raises(pymy.ProgrammingError, match="stream"):
        pool_of(cursorclass=cursors.SSCursor).execute("select 1")


def test_hooks(pool_of, eventually):
    calls = []

    def connected(conn):
        conn.execute("set @greeting = 'hello'")
        calls.append("connect")

    pool = pool_of(
        max_size=1,
        acquire_timeout=60,
        on_connect=connected,
        on_acquire=lambda conn: calls.append("acquire"),
        on_wait=lambda: calls.append("wait"),
        on_release=lambda conn: calls.append("release"),
    )
    with pool.connection() as conn:
        assert conn.execute("select @greeting").fetchone() == ("hello",)
    assert calls == ["connect", "acquire", "release", "connect"]
    conn = pool.acquire()
    assert conn.execute("select @greeting").fetchone() == ("hello",)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.execute, "select 1")
        eventually(lambda: pool.stats().waiting)
        conn.release()
        waiting.result(30)
    assert "wait" in calls


def test_failing_hooks(pool_of, caplog, balanced):
    def fail(*args):
        raise KeyError("hook")

    for name in ("on_connect", "on_acquire"):
        pool = pool_of(**{name: fail})
        with pytest.raises(KeyError):
            pool.acquire()
        assert (pool.stats().in_use, pool.stats().connecting) == (0, 0)
        balanced(pool.stats())
    pool = pool_of(on_release=fail)
    pool.execute("select 1")
    assert pool.size == 0
    assert "hook of the pool failed" in caplog.text


def test_other_servers_in_the_same_pool(pool_of, server, db):
    pool = pool_of(max_size=1, charset="latin1")
    elsewhere = server.dsn_for("test")
    with pool.connection() as here, pool.connection(dsn=elsewhere) as there:
        assert here.execute("select database()").fetchone() == (db,)
        assert there.execute("select database()").fetchone() == ("test",)
        assert there.charset == "latin1"
    assert pool.execute("select database()", dsn=elsewhere).fetchone() == ("test",)
    assert pool.stats(elsewhere).acquired == 2
    assert pool.stats().acquired == 3
    assert pool.stats("mysql://nowhere/") == pymy.PoolStats()


def test_dropped_connection_is_reclaimed(pool_of, caplog, balanced):
    pool = pool_of(max_size=1, leak_timeout=60)
    conn = pool.acquire()
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        del conn
        gc.collect()
    assert pool.execute("select 1").fetchone() == (1,)
    assert pool.stats().lost == 1
    assert "dropped without being released" in caplog.text
    assert "test_dropped_connection_is_reclaimed" in caplog.text
    balanced(pool.stats())


def test_waiting_thread_gets_the_place_of_a_dropped_connection(pool_of, eventually):
    pool = pool_of(max_size=1, acquire_timeout=60)
    held = [pool.acquire()]
    with ThreadPoolExecutor(1) as threads, warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        waiting = threads.submit(lambda: pool.execute("select 7").fetchone())
        eventually(lambda: pool.stats().waiting)
        held.clear()
        gc.collect()
        assert waiting.result(30) == (7,)


@pytest.mark.parametrize("look", [Pool.stats, repr, lambda pool: pool.size])
def test_dropped_while_another_thread_looks_at_the_pool(pool_of, eventually, monkeypatch, look):
    """A destructor cannot wait for the lock: whoever holds it does its work."""
    pool = pool_of(max_size=1, acquire_timeout=60)
    held = [pool.acquire()]
    inside, go, counted = threading.Event(), threading.Event(), Bucket.stats

    def stats(core):
        inside.set()
        go.wait(30)
        return counted(core)

    with ThreadPoolExecutor(2) as threads, warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        waiting = threads.submit(lambda: pool.execute("select 7").fetchone())
        eventually(lambda: pool.stats().waiting)
        monkeypatch.setattr(Bucket, "stats", stats)
        looking = threads.submit(look, pool)
        assert inside.wait(30)
        held.clear()
        gc.collect()
        monkeypatch.undo()
        go.set()
        looking.result(30)
        assert waiting.result(30) == (7,)


def test_close_hears_of_a_dropped_connection(pool_of, eventually, caplog):
    pool = pool_of()
    held = [pool.acquire()]
    with ThreadPoolExecutor(1) as threads, warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        closing = threads.submit(pool.close, 60)
        eventually(lambda: pool.closed)
        held.clear()
        gc.collect()
        closing.result(30)
    assert "kept connections" not in caplog.text


def test_leak_report(pool_of, caplog, eventually):
    pool = pool_of(leak_timeout=0.01)
    with caplog.at_level(logging.WARNING, "pymy.pool"), pool.connection():
        eventually(lambda: "in use for more than leak_timeout" in caplog.text)
    assert "test_leak_report" in caplog.text


def test_close_waits_for_users(pool_of, eventually):
    pool = pool_of(max_size=1, acquire_timeout=60)
    conn = pool.acquire()
    with ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(pool.acquire)
        eventually(lambda: pool.stats().waiting)
        closing = threads.submit(pool.close, 60)
        with pytest.raises(pymy.PoolClosed):
            waiting.result(30)
        assert conn.execute("select 1").fetchone() == (1,)
        assert not closing.done()
        conn.release()
        closing.result(30)
    assert pool.closed
    assert pool.size == 0
    with pytest.raises(pymy.PoolClosed):
        pool.acquire()
    pool.close()


def test_close_ends_what_is_not_returned(pool_of, caplog):
    pool = pool_of()
    conn = pool.acquire()
    pool.close(timeout=0.01)
    assert not conn.open
    assert "after close()" in caplog.text
    conn.release()
    assert pool.size == 0


def test_terminate_wakes_a_reader(pool_of, eventually):
    pool = pool_of()
    conn = pool.acquire()
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(conn.execute, "select sleep(60)")
        eventually(lambda: conn._session.state.name == "BUSY")
        pool.terminate()
        with pytest.raises(pymy.Error):
            running.result(30)


def test_clear(pool_of):
    pool = pool_of()
    with pool.connection() as conn:
        old = conn.thread_id()
        pool.clear()
        assert conn.execute("select 1").fetchone() == (1,)
    with pool.connection() as conn:
        assert conn.thread_id() != old


def test_warm_up(pool_of):
    pool = pool_of(min_size=2)
    with pool:
        assert pool.stats().idle == 2
        pool.warm_up(4)
        assert pool.stats().idle == 4


def test_options_do_not_change_with_the_caller_s(dsn, pool_of):
    variables = {"max_sort_length": 2048}
    pool = pool_of(session_variables=variables)
    variables["max_sort_length"] = 4096
    assert pool.execute("select @@max_sort_length").fetchone() == (2048,)


def test_unclosed_pool_warns(dsn):
    pool = Pool(dsn)
    pool.execute("select 1")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del pool
        gc.collect()
    assert ["unclosed pool" in str(warning.message) for warning in caught] == [True]


def test_bad_settings():
    with pytest.raises(TypeError):
        Pool(max_sise=3)
    with pytest.raises(pymy.ProgrammingError):
        Pool(max_size=0)


def test_fork(pool_of):
    pool = pool_of(max_size=2)
    held = pool.acquire()
    pool.execute("select 1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        status = 1
        try:
            with pytest.raises(pymy.InterfaceError, match="fork"):
                held.execute("select 1")
            held.release()
            mine = pool.execute("select connection_id()").fetchone()
            status = 0 if pool.stats().connected == 1 and mine != (held.thread_id(),) else 2
            pool.close()
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert held.execute("select 1").fetchone() == (1,)
    assert pool.execute("select 2").fetchone() == (2,)
    held.release()


def test_soak(pool_of, kill, balanced, eventually):
    """Time-outs, kills, aborts and drops from many threads: every answer is the asker's own."""
    pool = pool_of(max_size=5, acquire_timeout=60, idle_order="fifo", validate_after=0.01)

    def work(seed):
        chance = random.Random(seed)
        for turn in range(25):
            tag = seed * 1000 + turn
            with pool.connection() as conn:
                what = chance.randrange(6)
                if what == 0:
                    with pytest.raises(pymy.OperationalError):
                        conn.execute("select sleep(30)", timeout=chance.random() / 50)
                elif what == 1:
                    conn.abort()
                elif what == 2:
                    cursor = conn.cursor(cursors.SSCursor)
                    cursor.execute("select %s union all select 2", (tag,))
                    assert cursor.fetchone() == (tag,)
                else:
                    assert conn.execute("select %s", (tag,)).fetchone() == (tag,)
            try:
                pool.acquire(timeout=chance.random() / 100).release()
            except pymy.OperationalError:
                pass

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(work, seed) for seed in range(8)]:
            done.result(120)
    eventually(lambda: pool.stats().cleaning == 0)
    stats = pool.stats()
    balanced(stats)
    assert (stats.in_use, stats.connecting, stats.waiting) == (0, 0, 0)
    assert stats.size <= 5
