"""What asyncio has alone, on real servers; all that both worlds have is tested in tests/live."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import select
import socket
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest
from bounded import within

import pymy
import pymy.aio
from pymy import tls
from pymy.aio.transport import HIGH_WATER
from pymy.constants import CR


async def one(conn, sql="select 1"):
    async for row in conn.execute(sql):
        return row[0]


@pytest.fixture
def gone(running, server):
    """Tell whether the server has forgotten a connection."""

    def look(thread):
        with pymy.connect(server.dsn) as admin:
            sql = "select count(*) from information_schema.processlist where id = %s"
            return admin.execute(sql, (thread,)).fetchone() == (0,)

    return look


# -- links


def test_tls(run, tcp_dsn, needs):
    needs("tls")

    async def main():
        async with pymy.aio.connect(tcp_dsn, ssl="required") as conn:
            assert conn.ssl
            assert (await one(conn, "show session status like 'Ssl_cipher'")) == "Ssl_cipher"
            text = "x" * 3_000_000
            async for row in conn.execute("select %s", (text,)):
                assert row == (text,)

    run(main())


def test_contexts_are_built_elsewhere(run, tcp_dsn, needs, monkeypatch):
    """The system's authorities take some 20 ms, in which a loop should not stand still."""
    needs("tls")
    built, build = [], tls._build

    def note(options):
        built.append(asyncio._get_running_loop())
        return build(options)

    monkeypatch.setattr(tls, "_build", note)
    monkeypatch.setattr(tls, "_cache", {})

    async def main():
        for _ in range(2):
            async with pymy.aio.connect(tcp_dsn, ssl="required") as conn:
                assert conn.ssl

    run(main())
    assert built == [None]


def test_own_socket(run, server, tcp_dsn):
    async def main():
        sock = socket.create_connection((server.host, server.port))
        number = sock.fileno()
        conn = pymy.aio.Connection(tcp_dsn)
        await conn.connect(sock)
        assert conn._transport.sock.fileno() == number
        assert await one(conn) == 1
        await conn.ensure_closed()

    run(main())


def test_own_unix_socket(run, server):
    """Its kind decides, not the address in the options. Where it leads to nobody knows: a kill,
    with the password, goes nowhere."""
    if not server.unix_socket:
        pytest.skip("this server has no unix socket")

    async def main():
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(server.unix_socket)
        conn = pymy.aio.Connection(host="127.0.0.1", port=1, user=server.user, ssl="disabled")
        await conn.connect(sock)
        assert conn._session.local
        with pytest.raises(pymy.OperationalError):
            await conn.execute("select sleep(1)", timeout=0.2)
        assert await one(conn) == 1  # behind the answer, which was waited for
        await conn.ensure_closed()

    run(main())


def test_options_of_the_socket(run, tcp_dsn):
    async def main():
        for on in (True, False):
            async with pymy.aio.connect(tcp_dsn, tcp_keepalive=on, tcp_nodelay=on) as conn:
                sock = conn._transport.sock
                assert bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is on
                assert bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is on

    run(main())


def test_the_server_waits_while_nobody_reads(run, connect, dsn):
    """A gigabyte of rows, of which no more is held than the high-water mark and one read."""

    async def main():
        async with pymy.aio.connect(dsn, autocommit=True) as conn:
            await conn.execute("create table d (n int)")
            cursor = await conn.cursor()
            await cursor.executemany("insert into d values (%s)", [(n,) for n in range(10)])
            rows = await conn.cursor(pymy.aio.SSCursor)
            await rows.execute("select a.n, repeat('x', 1000) from d a, d b, d c, d e, d f, d g")
            held = -1
            while conn._session.held != held or conn._transport._reading:
                held = conn._session.held
                await asyncio.sleep(0.05)
            assert HIGH_WATER < held < 2 * HIGH_WATER + (1 << 20)
            for _ in range(3000):
                assert await rows.fetchone() is not None
                assert conn._session.held < 2 * HIGH_WATER + (1 << 20)
            await rows.close()
            assert await one(conn) == 1

    run(main())


# -- several tasks on one connection


def test_tasks_wait_in_line(run, dsn):
    async def main():
        async with pymy.aio.connect(dsn) as conn:
            answers = await asyncio.gather(
                *(one(conn, f"select {number}, sleep(0.001)") for number in range(50))
            )
            assert answers == list(range(50))

    run(main())


def test_or_are_turned_away(run, dsn):
    async def main():
        async with pymy.aio.connect(dsn, concurrent="error") as conn:
            first = asyncio.create_task(one(conn, "select 1, sleep(0.2)"))
            await asyncio.sleep(0.05)
            with pytest.raises(pymy.InterfaceError, match="busy") as caught:
                await conn.ping()
            assert caught.value.errno == CR.CR_CONNECTION_BUSY
            assert caught.value.sent is False
            assert await first == 1
            await conn.ping()

    run(main())


# -- the forms of a call


def test_cursors(run, dsn):
    async def main():
        async with pymy.aio.connect(dsn, cursorclass=pymy.aio.DictCursor) as conn:
            cur = await conn.cursor()
            assert await cur.execute("select 1 as a") == 1
            assert await cur.fetchall() == [{"a": 1}]
            await cur.close()
            async with conn.cursor(pymy.aio.Cursor) as cur:
                await cur.execute("select 2")
                assert [row async for row in cur] == [(2,)]
            async with await conn.cursor(pymy.aio.SSCursor) as cur:
                await cur.execute("select 3 union select 4")
                assert await cur.read_next() == (3,)
                assert [row async for row in cur.fetchall_unbuffered()] == [(4,)]

    run(main())


def test_execute(run, dsn):
    async def main():
        async with pymy.aio.connect(dsn) as conn:
            cur = await conn.execute("select %s", (1,))
            assert await cur.fetchone() == (1,)
            assert [row async for row in conn.execute("select 2")] == [(2,)]
            task = asyncio.create_task(conn.execute("select 3"))
            assert await (await task).fetchone() == (3,)
            cur = await asyncio.wait_for(conn.execute("select 4"), 30)
            assert await cur.fetchone() == (4,)

    run(main())


def test_stream(run, dsn):
    numbers = "select 1 as n union select 2 union select 3"

    async def main():
        async with pymy.aio.connect(dsn) as conn:
            assert [row async for row in conn.stream(numbers)] == [(1,), (2,), (3,)]
            rows = await conn.stream(numbers)
            assert await anext(rows) == (1,)
            await rows.aclose()
            async with contextlib.aclosing(conn.stream(numbers)) as rows:
                async for row in rows:
                    assert row == (1,)
                    break
            assert await one(conn) == 1
            with pytest.raises(pymy.ProgrammingError):
                async for _ in conn.stream("select from"):
                    pytest.fail("there are no rows")
            assert await one(conn) == 1

    run(main())


def test_what_is_never_awaited_is_told(run, dsn):
    async def main():
        async with pymy.aio.connect(dsn) as conn:
            with pytest.warns(RuntimeWarning, match="never awaited"):
                conn.execute("select 1")
                gc.collect()

    run(main())


@pytest.mark.parametrize("system", ["", "Windows"])
def test_is_alive(run, dsn, server, system, monkeypatch):
    if system:
        monkeypatch.delattr(select, "poll")

    async def main():
        async with pymy.aio.connect(dsn) as conn, pymy.aio.connect(server.dsn) as admin:
            assert conn.is_alive()
            await admin.kill(conn.thread_id())
            while conn.is_alive():
                await asyncio.sleep(0.01)

    run(main())


# -- the end


def test_close_needs_no_running_loop(server, dsn, gone):
    before = len(gc.garbage)
    loop = asyncio.new_event_loop()
    conn = loop.run_until_complete(pymy.aio.Connection(dsn)._connected())
    thread = conn.thread_id()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conn.close()
        conn.close()
        assert conn.closed
        while not gone(thread):
            pass
        loop.close()
        del conn
        gc.collect()
    assert len(gc.garbage) == before


@pytest.mark.parametrize("how", ["close", "collect"])
@pytest.mark.parametrize("debug", [False, True])
def test_closed_from_another_thread(dsn, gone, how, debug, monkeypatch):
    """The loop is told in its own way; asyncio's debug mode raises over any other."""
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    async def main():
        conn = await pymy.aio.connect(dsn)
        thread = conn.thread_id()
        if how == "close":
            await asyncio.to_thread(conn.close)
            assert conn.closed
        else:
            conn.cycle = conn
            gc.disable()
            del conn
            with pytest.warns(ResourceWarning, match="unclosed"):
                await asyncio.to_thread(gc.collect)
        while not await asyncio.to_thread(gone, thread):
            await asyncio.sleep(0.01)

    try:
        asyncio.run(main(), debug=debug)
    finally:
        gc.enable()
    assert unraisable == []


def test_a_statement_whose_connection_another_thread_closes(run, dsn):
    async def main():
        conn = await pymy.aio.connect(dsn)
        running = asyncio.create_task(conn.execute("select sleep(30)"))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(conn.close)
        with pytest.raises(pymy.OperationalError, match="interrupted"):
            await running

    run(main())


@pytest.mark.parametrize("where", ["here", "another thread"])
@pytest.mark.parametrize("how", ["close", "drop"])
def test_a_loop_that_stands_still(dsn, gone, how, where):
    """A destructor runs no loop; the server hears of the end all the same."""
    loop = asyncio.new_event_loop()
    held = [loop.run_until_complete(pymy.aio.Connection(dsn)._connected())]
    thread = held[0].thread_id()
    turns = []
    loop.call_soon(turns.append, "turn")

    def end():
        if how == "close":
            held[0].close()
        held.clear()
        gc.collect()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        if where == "here":
            end()
        else:
            other = threading.Thread(target=end)
            other.start()
            other.join()
        assert turns == (["turn"] if (how, where) == ("close", "here") else [])
        while not gone(thread):
            time.sleep(0.01)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.mark.parametrize("policy", ["kill", "drain"])
@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_the_loop_ends_over_a_statement(dsn, policy, kind, caplog):
    """asyncio.run() cancels the statement, and ends before a clean-up can."""
    factory = None
    if kind == "uvloop":
        factory = pytest.importorskip("uvloop", reason="uvloop is not installed").new_event_loop

    async def main():
        conn = await pymy.aio.connect(dsn, on_cancel=policy)
        running = asyncio.create_task(conn.execute("select sleep(30)"))
        await asyncio.sleep(0.1)
        return conn, running

    with asyncio.Runner(loop_factory=factory) as runner:
        conn, running = runner.run(main())
        transport = conn._transport
    assert running.cancelled()
    assert not transport.is_cleaning
    if policy == "drain":  # a kill may have been faster
        assert not conn.open
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # asyncio's: it was not closed
        conn.close()
        del conn, transport, running
        gc.collect()
    assert "Task was destroyed" not in caplog.text


def test_a_loop_that_is_closed_already(dsn, gone):
    loop = asyncio.new_event_loop()
    conn = loop.run_until_complete(pymy.aio.Connection(dsn)._connected())
    loop.close()
    conn.close()
    assert not conn.open
    with pytest.warns(ResourceWarning):  # asyncio's own: the loop should have been closed last
        del conn
        gc.collect()


def test_unclosed(dsn):
    async def main():
        conn = await pymy.aio.connect(dsn)
        with pytest.warns(ResourceWarning, match="unclosed"):
            del conn
            gc.collect()
        await asyncio.sleep(0)

    asyncio.run(main())


def test_ensure_closed_says_goodbye(run, dsn, server):
    async def main():
        async with pymy.aio.connect(server.dsn) as admin:

            async def aborted():
                cursor = await admin.execute("show global status like 'Aborted_clients'")
                return (await cursor.fetchone())[1]

            before = await aborted()
            conn = await pymy.aio.connect(dsn)
            await conn.ensure_closed()
            await conn.ensure_closed()
            assert conn.closed
            assert await aborted() == before
            with pytest.raises(pymy.InterfaceError, match="closed"):
                await conn.ping()
            await conn.connect()
            assert await one(conn) == 1
            await conn.ensure_closed()

    run(main())


# -- local files


async def coroutine(name):
    await asyncio.sleep(0)
    return b"1\n2\n"


async def pieces(name):
    yield b"1\n"
    await asyncio.sleep(0)
    yield b"2\n"


@pytest.mark.parametrize(
    "handler",
    [coroutine, pieces, lambda name: [b"1\n", b"2\n"]],
    ids=["coroutine", "async", "list"],
)
def test_local_infile(run, dsn, set_global, handler):
    set_global("local_infile", 1)

    async def main():
        async with pymy.aio.connect(dsn, local_infile=handler, autocommit=True) as conn:
            await conn.execute("create table t (a int)")
            cursor = await conn.execute("load data local infile 'x' into table t")
            assert cursor.rowcount == 2
            assert [row async for row in conn.execute("select a from t")] == [(1,), (2,)]

    run(main())


async def emptied(pipe):
    import fcntl  # neither is on Windows, nor are named pipes
    import termios

    while any(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))):
        await asyncio.sleep(0.01)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("handed", [False, True], ids=["path", "handler"])
def test_a_slow_file_keeps_nobody_waiting(run, dsn, set_global, tmp_path, handed):
    set_global("local_infile", 1)
    numbers = []
    for name in ("first", "second"):
        os.mkfifo(tmp_path / name)
        # reading waits for what is written here, or for its close
        numbers.append(os.open(tmp_path / name, os.O_RDWR))
    opened = lambda name: Path(os.fsdecode(name)).open("rb")  # noqa: E731, SIM115 - closed by pymy
    policy = opened if handed else [tmp_path]
    options = {"local_infile": policy, "autocommit": True}
    load = f"load data local infile '{tmp_path}/%s' into table t"

    async def main():
        async with pymy.aio.connect(dsn, **options) as other:
            await other.execute("create table t (a int)")
            async with pymy.aio.connect(dsn, **options) as conn:
                with pytest.raises(pymy.OperationalError, match=r"timeout=0\.2 s"):
                    await conn.execute(load % "first", timeout=0.2)
            async with pymy.aio.connect(dsn, **options) as conn:
                loading = asyncio.create_task(conn.execute(load % "second"))
                for _ in range(10):
                    assert await one(other) == 1
                assert not loading.done()
                for number in numbers:
                    os.write(number, b"1\n")
                    await emptied(number)  # who opens a pipe after its last writer waits for ever
                    os.close(number)
                assert (await loading).rowcount == 1

    with within(60):
        run(main())


needs_eager = pytest.mark.skipif(
    not hasattr(asyncio, "eager_task_factory"), reason="asyncio has eager tasks from Python 3.12 on"
)


def eagerly(main):
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    return asyncio.get_running_loop().create_task(main)


@needs_eager
def test_local_infile_with_eager_tasks(run, dsn, set_global):
    """Many pieces must not run within one another."""
    set_global("local_infile", 1)

    async def main():
        def numbers(name):
            return (b"%d\n" % number for number in range(3000))

        async with pymy.aio.connect(dsn, local_infile=numbers, autocommit=True) as conn:
            await conn.execute("create table t (a int)")
            cursor = await conn.execute("load data local infile 'x' into table t")
            assert cursor.rowcount == 3000

    async def start():
        await eagerly(main())

    run(start())


@needs_eager
@pytest.mark.parametrize("policy", ["kill", "drain"])
def test_given_up_with_eager_tasks(run, dsn, policy):
    async def main():
        async with pymy.aio.connect(dsn, on_cancel=policy) as conn:
            seconds = 30 if policy == "kill" else 0.3
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await conn.execute(f"do sleep({seconds})")
            assert await one(conn) == 1
            with pytest.raises(pymy.OperationalError, match="timeout"):
                await conn.execute(f"do sleep({seconds})", timeout=0.1)
            assert await one(conn) == 1

    async def start():
        await eagerly(main())

    run(start())


def test_local_infile_that_fails(run, dsn, set_global):
    set_global("local_infile", 1)

    async def handler(name):
        raise LookupError("no such file here")

    async def main():
        async with pymy.aio.connect(dsn, local_infile=handler, autocommit=True) as conn:
            await conn.execute("create table t (a int)")
            with pytest.raises(LookupError):
                await conn.execute("load data local infile 'x' into table t")
            assert await one(conn, "select count(*) from t") == 0

    run(main())
