"""Cancelled tasks on real servers: the caller goes at once, the connection goes on."""

from __future__ import annotations

import asyncio
import contextlib
import uuid

import pytest

import pymy
import pymy.aio
from pymy.constants import CR
from pymy.protocol.state import BUSY

STATEMENTS = {
    "sleeps": "select sleep(30) /* {} */",
    "computes": "select count(*) from d a, d b, d c, d d, d e, d f, d g, d h, d i, d j /* {} */",
    "waits for a lock": "select get_lock('held', 30) /* {} */",
    "inserts": "insert into t select a.n from d a, d b, d c, d d, d e, d f, d g, d h, d i /* {} */",
}


@pytest.fixture
def word():
    return f"w{uuid.uuid4().hex}"


@contextlib.asynccontextmanager
async def cancelled(conn, sql, running, word, becomes):
    """Run a statement in a task and cancel it once the server runs it."""
    task = asyncio.create_task(conn.execute(sql.format(word)))
    await becomes(lambda: running(word))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    yield
    await becomes(lambda: not running(word))


async def works(conn, number=7):
    async for row in conn.execute("select %s", (number,)):
        assert row == (number,)


async def holds_lock(dsn):
    conn = await pymy.aio.connect(dsn, autocommit=True)
    await conn.execute("select get_lock('held', 30)")
    await conn.execute("create table t (a int) engine=innodb")
    await conn.execute("create table d (n int)")
    await (await conn.cursor()).executemany("insert into d values (%s)", [(n,) for n in range(10)])
    return conn


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_statement_is_killed_and_the_connection_goes_on(
    run, dsn, running, becomes, word, statement
):
    async def main():
        async with await holds_lock(dsn), pymy.aio.connect(dsn, autocommit=True) as conn:
            thread = conn.thread_id()
            async with cancelled(conn, STATEMENTS[statement], running, word, becomes):
                for number in range(20):  # none of them is hit by a late kill
                    await works(conn, number)
            assert await (await conn.execute("select connection_id()")).fetchone() == (thread,)
            assert await (await conn.execute("select count(*) from t")).fetchone() == (0,)

    run(main())


def test_a_pipeline(run, dsn, running, becomes, word):
    """What went out behind the killed statement runs to its end, nothing else is sent."""

    async def main():
        async with await holds_lock(dsn), pymy.aio.connect(dsn, autocommit=True) as conn:
            thread = conn.thread_id()

            async def pipeline():
                async with conn.pipeline() as p:
                    pipelines.append(p)
                    p.execute("insert into t values (1)")
                    p.execute(f"select sleep(30) /* {word} */")
                    p.execute("insert into t values (2)")
                    p.execute(f"insert into t values (3) /* {100_000 * 'x'} */")

            pipelines = []
            task = asyncio.create_task(pipeline())
            await becomes(lambda: running(word))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for number in range(20):
                await works(conn, number)
            assert await (await conn.execute("select connection_id()")).fetchone() == (thread,)
            found = await (await conn.execute("select a from t order by a")).fetchall()
            assert found == ((1,), (2,))
            results = pipelines[0].results
            assert [each.done for each in results] == [True, False, False, False]
            assert [each.error.sent for each in results[1:]] == [True, True, False]

    run(main())


def test_over_tls_and_compression(run, tcp_dsn, running, becomes, word, needs):
    needs("tls")

    async def main():
        async with pymy.aio.connect(tcp_dsn, ssl="required", compress="zlib") as conn:
            async with cancelled(conn, STATEMENTS["sleeps"], running, word, becomes):
                await works(conn)
            assert conn.ssl

    run(main())


def test_on_cancel_close(run, dsn, running, becomes, word):
    async def main():
        conn = await pymy.aio.connect(dsn, on_cancel="close")
        async with cancelled(conn, "select sleep(1) /* {} */", running, word, becomes):
            assert not conn.open
            with pytest.raises(pymy.InterfaceError, match="interrupted"):
                await conn.ping()

    run(main())


def test_on_cancel_drain(run, dsn, running, becomes, word):
    async def main():
        async with pymy.aio.connect(dsn, on_cancel="drain", autocommit=True) as conn:
            await conn.execute("create table t (a int)")
            sql = "insert into t select sleep(0.5) /* {} */"
            async with cancelled(conn, sql, running, word, becomes):
                await works(conn)
            # it ran to its end
            assert await (await conn.execute("select a from t")).fetchone() == (0,)

    run(main())


def test_drain_that_takes_too_long(run, dsn, running, becomes, word):
    async def main():
        conn = await pymy.aio.connect(dsn, on_cancel="drain", cancel_timeout=0.2)
        async with cancelled(conn, "select sleep(2) /* {} */", running, word, becomes):
            with pytest.raises(pymy.InterfaceError):
                await works(conn)
            assert not conn.open

    run(main())


def test_a_stream(run, dsn, running, becomes):
    """Rows that were not read never look like the end of a result."""

    async def main():
        async with pymy.aio.connect(dsn, autocommit=True) as conn:
            await conn.execute("create table d (n int)")
            cursor = await conn.cursor()
            await cursor.executemany("insert into d values (%s)", [(n,) for n in range(10)])
            rows = await conn.cursor(pymy.aio.SSCursor)
            await rows.execute("select n, repeat('x', 70000), sleep(n / 5) from d")

            async def read():
                return [row async for row in rows]

            task = asyncio.create_task(read())
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(pymy.Error):
                await rows.fetchall()
            await rows.close()
            await works(conn)

    run(main())


def test_executemany_sends_nothing_more(run, dsn, running, becomes, word):
    async def main():
        async with pymy.aio.connect(dsn, autocommit=True) as conn:
            await conn.execute("create table t (a int)")
            cursor = await conn.cursor()
            slow = f"update t set a = 1 where sleep(%s) /* {word} */"
            await conn.execute("insert into t values (1)")
            task = asyncio.create_task(cursor.executemany(slow, [(30,)] * 100))
            await becomes(lambda: running(word))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await works(conn)
            assert not await asyncio.to_thread(running, word)

    run(main())


def test_while_waiting_in_line(run, dsn, running, becomes, word):
    async def main():
        async with pymy.aio.connect(dsn) as conn:
            first = asyncio.create_task(conn.execute(f"select sleep(1), 'first' /* {word} */"))
            await becomes(lambda: running(word))
            second = asyncio.create_task(conn.execute("select 'second'"))
            third = asyncio.create_task(conn.execute("select 'third'"))
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            assert await (await first).fetchone() == (0, "first")
            assert await (await third).fetchone() == ("third",)

    run(main())


def test_while_waiting_for_the_clean_up(run, dsn, running, becomes, word):
    async def main():
        conn = await pymy.aio.connect(dsn)
        async with cancelled(conn, STATEMENTS["sleeps"], running, word, becomes):
            second = asyncio.create_task(conn.execute("select 'second'"))
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            await works(conn)
        await conn.ensure_closed()

    run(main())


def test_close_during_the_clean_up(run, dsn, running, becomes, word):
    async def main():
        conn = await pymy.aio.connect(dsn)
        async with cancelled(conn, STATEMENTS["sleeps"], running, word, becomes):
            conn.close()
            assert not conn.open
            with pytest.raises(pymy.InterfaceError, match="closed"):
                await conn.ping()

    run(main())


def test_goodbye_during_the_clean_up(run, dsn, running, becomes, word):
    async def main():
        conn = await pymy.aio.connect(dsn)
        async with cancelled(conn, STATEMENTS["sleeps"], running, word, becomes):
            await conn.ensure_closed()
            assert not conn.open

    run(main())


def test_close_while_another_task_waits(run, dsn, running, becomes, word):
    async def main():
        conn = await pymy.aio.connect(dsn)
        task = asyncio.create_task(conn.execute(f"select sleep(0.5) /* {word} */"))
        await becomes(lambda: running(word))
        conn.close()
        with pytest.raises(pymy.OperationalError) as caught:
            await task
        assert caught.value.fatal

    run(main())


def test_what_ended_before_the_cancel_is_reported(run, dsn):
    async def main():
        async with pymy.aio.connect(dsn, autocommit=True) as conn:
            await conn.execute("create table t (a int)")
            task = asyncio.create_task(conn.execute("insert into t values (1)"))
            while not task.done():
                await asyncio.sleep(0)
            assert not task.cancel()
            assert (await task).rowcount == 1

    run(main())


def test_within_a_transaction(run, dsn, running, becomes, word):
    """The block is rolled back on the same connection."""

    async def block(conn, sql):
        async with conn.transaction():
            await conn.execute("insert into t values (1)")
            await conn.execute(sql)

    async def main():
        async with pymy.aio.connect(dsn, autocommit=True) as conn:
            await conn.execute("create table t (a int) engine=innodb")
            task = asyncio.create_task(block(conn, STATEMENTS["sleeps"].format(word)))
            await becomes(lambda: running(word))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not conn.in_transaction
            assert await (await conn.execute("select count(*) from t")).fetchone() == (0,)

    run(main())


def test_where_a_transaction_starts(run, dsn):
    """Nobody would know that it is open: the connection is closed, unless the answer was first."""

    async def main():
        conn = await pymy.aio.connect(dsn, autocommit=True)
        entered = []

        async def block():
            async with conn.transaction():
                entered.append(True)
                await asyncio.sleep(30)

        task = asyncio.create_task(block())
        while conn._session.state is not BUSY:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert conn.open is bool(entered)
        assert not conn.open or not conn.in_transaction
        await conn.ensure_closed()

    run(main())


@pytest.mark.parametrize("call", ["reset", "change_user", "connect"])
def test_within_a_login(run, dsn, call):
    async def main():
        conn = pymy.aio.Connection(dsn)
        if call != "connect":
            await conn
        task = asyncio.create_task(getattr(conn, call)())
        while call != "connect" and conn._session.state is not BUSY:
            await asyncio.sleep(0)
        task.cancel()
        answered = True
        try:
            await task
        except asyncio.CancelledError:
            answered = False
        assert conn.open is answered
        await conn.ensure_closed()

    run(main())


@pytest.mark.parametrize("moment", range(0, 12))
def test_connect_cancelled_at_any_moment(run, tcp_dsn, needs, moment):
    async def main():
        conn = pymy.aio.Connection(tcp_dsn)
        task = asyncio.create_task(conn.connect())
        for _ in range(moment):
            await asyncio.sleep(0.0005)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await conn.ensure_closed()

    run(main())


def test_timeout_of_one_call(run, dsn, running, becomes, word):
    async def main():
        async with pymy.aio.connect(dsn) as conn:
            with pytest.raises(pymy.OperationalError, match=r"timeout=0\.2") as caught:
                await conn.execute(STATEMENTS["sleeps"].format(word), timeout=0.2)
            assert caught.value.errno == CR.CR_QUERY_TIMEOUT
            assert not caught.value.fatal
            await works(conn)
            assert not await asyncio.to_thread(running, word)

    run(main())


def test_asyncio_timeout(run, dsn, running, word):
    async def main():
        async with pymy.aio.connect(dsn) as conn:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await conn.execute(STATEMENTS["sleeps"].format(word))
            await works(conn)
            assert not await asyncio.to_thread(running, word)

    run(main())


def test_read_timeout_is_about_silence(run, dsn):
    """A result that takes longer but keeps coming is none of its business."""

    async def main():
        async with pymy.aio.connect(dsn, read_timeout=0.5, autocommit=True) as conn:
            await conn.execute("create table d (n int)")
            await (await conn.cursor()).executemany(
                "insert into d values (%s)", [(n,) for n in range(8)]
            )
            filling = "repeat('x', 70000)"  # more than the server holds back
            cursor = await conn.execute(f"select n, sleep(0.15), {filling} from d")
            assert len(await cursor.fetchall()) == 8
            with pytest.raises(pymy.OperationalError, match=r"read_timeout=0\.5"):
                await conn.execute("select sleep(30)")
            await works(conn)

    run(main())


def test_local_infile(run, dsn, set_global):
    """Half a file must not be loaded: the connection is closed."""
    set_global("local_infile", 1)

    async def main():
        asked = asyncio.Event()

        async def handler(name):
            async def pieces():
                yield b"1\n"
                asked.set()
                await asyncio.sleep(3600)

            return pieces()

        async with pymy.aio.connect(dsn, autocommit=True) as admin:
            await admin.execute("create table t (a int)")
            conn = await pymy.aio.connect(dsn, local_infile=handler, autocommit=True)
            task = asyncio.create_task(conn.execute("load data local infile 'x' into table t"))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not conn.open
            for _ in range(300):
                left = await (
                    await admin.execute(
                        "select count(*) from information_schema.processlist where id = %s",
                        (conn.thread_id(),),
                    )
                ).fetchone()
                if left == (0,):
                    break
                await asyncio.sleep(0.01)
            assert await (await admin.execute("select count(*) from t")).fetchone() == (0,)

    run(main())
