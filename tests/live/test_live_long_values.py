"""Files and iterators of bytes as parameters of what cursors execute: sent as they are read."""

from __future__ import annotations

import asyncio
import io
import tempfile
import threading
import tracemalloc

import pytest

import pymy
import pymy.aio
from pymy.constants import CR
from pymy.cursors import SSCursor

MIB = 1 << 20
LETTERS = bytes(range(256))


@pytest.fixture
def photos(empty_photos):
    return empty_photos


INSERT = "insert into photo values (%s, %s, %s)"


def content(conn, id=1):
    return conn.execute("select b from photo where id = %s", (id,)).fetchone()[0]


def pieces(*sizes):
    for size in sizes:
        yield bytearray(b"x" * size)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (lambda: io.BytesIO(LETTERS * 4000), LETTERS * 4000),
        (lambda: io.BytesIO(b""), b""),
        (lambda: pieces(1, 0, 300_000, 5), b"x" * 300_006),
        (lambda: iter([]), b""),
        (lambda: map(bytes, [b"a", memoryview(b"b")]), b"ab"),
    ],
    ids=["file", "empty file", "generator", "no piece", "map"],
)
def test_what_is_read(photos, source, value):
    assert photos.cursor().execute(INSERT, (1, "é", source())) == 1
    assert content(photos) == value
    assert photos.execute("select name, length(b) from photo").fetchone() == ("é", len(value))


def test_a_real_file_in_flat_memory(photos):
    # not InnoDB, whose log would have to hold it all in MySQL 5.6
    photos.query("alter table photo engine=myisam")
    with tempfile.TemporaryFile() as file:
        for _ in range(20):
            file.write(LETTERS * (MIB // 256))
        file.seek(0)
        tracemalloc.start()
        try:
            photos.execute(INSERT, (1, None, file))
            assert tracemalloc.get_traced_memory()[1] < 3 * MIB
        finally:
            tracemalloc.stop()
        assert not file.closed
    same = "select length(b), crc32(b) = crc32(repeat(left(b, 256), 81920)) from photo"
    assert photos.execute(same).fetchone() == (20 * MIB, 1)


def test_paramstyles_and_percent_signs(connect):
    conn = connect(autocommit=True)
    select = "select '100%%', '?', %(id)s, cast(%(b)s as binary)"
    got = conn.execute(select, {"id": 5, "b": io.BytesIO(b"abc")}).fetchone()
    assert got[:2] == ("100%", "?") and int(got[2]) == 5 and got[3] == b"abc"
    conn = connect(paramstyle="qmark")
    got = conn.execute("select '100%', '?', cast(? as binary)", io.BytesIO(b"abc")).fetchone()
    assert got == ("100%", "?", b"abc")
    conn = connect(paramstyle="named")
    got = conn.execute("select cast(:b as binary)", {"b": iter([b"abc"])}).fetchone()
    assert got == (b"abc",)


def test_the_statement_is_closed(photos, connect):
    def prepared():
        admin = connect(prepare="never")
        return int(admin.execute("show global status like 'Prepared_stmt_count'").fetchone()[1])

    before = prepared()
    for id in range(5):
        photos.execute(INSERT, (id, None, io.BytesIO(b"x")))
    cursor = photos.cursor()
    cursor.execute("select cast(%s as binary)", (io.BytesIO(b"x"),))
    assert cursor.statement == "select cast(? as binary)"
    photos.ping()  # COM_STMT_CLOSE rides in front of it
    photos.query("do 1")
    assert prepared() <= before + 1  # "always" keeps one of its own


def test_unbuffered_cursors_and_streams(photos):
    photos.execute(INSERT, (1, "a", io.BytesIO(LETTERS)))
    with photos.cursor(SSCursor) as cursor:
        cursor.execute("select id from photo where b = %s", (io.BytesIO(LETTERS),))
        assert cursor.fetchall() == [(1,)]
    with photos.stream_value("select b from photo where b = %s", (iter([LETTERS]),)) as value:
        assert value.read() == LETTERS
    rows = list(photos.stream("select id from photo where b = %s", (iter([LETTERS]),)))
    assert rows == [(1,)]


def failing():
    yield b"x" * 300_000
    raise RuntimeError("the source broke")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (lambda: io.StringIO("text"), "binary mode"),
        (lambda: iter([1]), "binary mode"),
        (failing, "the source broke"),
    ],
)
def test_sources_that_fail(photos, source, error):
    with pytest.raises((TypeError, RuntimeError), match=error):
        photos.execute(INSERT, (1, None, source()))
    # what was sent of it does not come back
    photos.execute(INSERT, (2, None, iter([b"y"])))
    assert photos.execute("select id, b from photo").fetchall() == ((2, b"y"),)


def test_what_does_not_fit(photos):
    for sql, args in [
        (INSERT, (1, io.BytesIO())),
        ("insert into photo values (%s, '', %s) -- ?", (1, object())),
        (INSERT, (1, [2], io.BytesIO())),
        (INSERT, (1, {}, io.BytesIO())),
    ]:
        with pytest.raises((TypeError, pymy.ProgrammingError)):
            photos.execute(sql, args)
    with pytest.raises(pymy.Error):
        photos.execute("insert into nowhere values (%s)", (io.BytesIO(),))
    assert photos.execute("select count(*) from photo").fetchone() == (0,)


def test_a_pool_does_not_send_the_rest_of_a_file_again(dsn, connect):
    conn = connect(autocommit=True)
    conn.query("create table photo (id int primary key, b longblob)")
    conn.query("insert into photo values (1, 'x')")
    conn.begin()
    conn.query("update photo set b = 'y' where id = 1")
    with pymy.Pool(dsn, max_size=2, init_command="set innodb_lock_wait_timeout = 1") as pool:
        with pytest.raises(pymy.OperationalError, match=r"[Ll]ock wait"):
            pool.execute("update photo set b = %s", (io.BytesIO(b"z" * 9),), retries=3)
        conn.rollback()
        pool.execute("update photo set b = %s", (io.BytesIO(b"z" * 9),), retries=3)
    assert conn.execute("select b from photo").fetchone() == (b"z" * 9,)


@pytest.mark.only("blocking,nonblocking", "asyncio has a test of its own")
def test_a_source_that_uses_its_connection(photos):
    def source():
        yield b"x"
        photos.execute("select 1")

    with pytest.raises(pymy.InterfaceError, match="their source cannot use it"):
        photos.execute(INSERT, (1, None, source()))
    assert photos.execute("select count(*) from photo").fetchone() == (0,)


@pytest.mark.only("blocking,nonblocking", "asyncio reads them")
def test_asynchronous_sources_are_for_asyncio(photos):
    async def source():
        yield b"x"

    with pytest.raises(TypeError, match=r"pymy\.aio"):
        photos.execute(INSERT, (1, None, source()))
    assert photos.execute("select 1").fetchone() == (1,)


# -- asyncio's own


async def asynchronous(*sizes):
    for size in sizes:
        await asyncio.sleep(0)
        yield b"x" * size


class Upload:
    """As a web framework has it: its read() is awaited, and iterating gives lines."""

    def __init__(self, value):
        self.file = io.BytesIO(value)

    async def read(self, size):
        await asyncio.sleep(0)
        return self.file.read(size)

    def __aiter__(self):
        raise AssertionError("its lines are not asked for")


class Threaded(io.BytesIO):
    threads: set[int] = set()

    def read(self, size=-1):
        self.threads.add(threading.get_ident())
        return super().read(size)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (lambda: asynchronous(1, 0, 600_000), b"x" * 600_001),
        (lambda: Upload(LETTERS * 3000), LETTERS * 3000),
        (lambda: Threaded(LETTERS * 3000), LETTERS * 3000),
    ],
    ids=["iterator", "upload", "file"],
)
@pytest.mark.parametrize("way", ["execute", "prepare"])
def test_what_is_awaited(run, dsn, source, value, way):
    Threaded.threads.clear()

    async def main():
        async with pymy.aio.connect(dsn, autocommit=True) as conn:
            await conn.execute("create table photo (b longblob)")
            if way == "execute":
                await conn.execute("insert into photo values (%s)", (source(),))
            else:
                async with await conn.prepare("insert into photo values (?)") as insert:
                    await insert.execute((source(),))
            cursor = await conn.execute("select b from photo")
            assert await cursor.fetchone() == (value,)

    run(main())
    assert threading.get_ident() not in Threaded.threads


@pytest.mark.parametrize("how", ["cancel", "timeout"])
@pytest.mark.parametrize("on_cancel", ["kill", "drain"])
def test_giving_up_a_slow_source(run, dsn, how, on_cancel):
    ended = []

    async def slow():
        yield b"x" * 300_000
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(True)
            raise

    async def main():
        async with pymy.aio.connect(dsn, autocommit=True, on_cancel=on_cancel) as conn:
            await conn.execute("create table photo (b longblob)")
            thread = conn.thread_id()
            insert = "insert into photo values (%s)"
            if how == "timeout":
                with pytest.raises(pymy.OperationalError) as caught:
                    await conn.execute(insert, (slow(),), timeout=0.3)
                assert caught.value.errno == CR.CR_QUERY_TIMEOUT
            else:
                task = asyncio.create_task(conn.cursor().execute(insert, (slow(),)))
                await asyncio.sleep(0.3)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await conn.execute(insert, (asynchronous(3),))
            assert ended == [True]
            assert conn.thread_id() == thread
            cursor = await conn.execute("select b from photo")
            assert await cursor.fetchall() == ((b"xxx",),)

    run(main())


def test_a_source_that_breaks(run, dsn):
    async def source():
        yield b"x"
        raise RuntimeError("the source broke")

    async def main():
        async with pymy.aio.connect(dsn) as conn:
            with pytest.raises(RuntimeError, match="the source broke"):
                await conn.execute("select %s", (source(),))
            assert await (await conn.execute("select 1")).fetchone() == (1,)

    run(main())


@pytest.mark.parametrize("how", ["parameter", "file", "clean-up"])
def test_a_source_that_uses_its_connection_waits_for_nobody(run, dsn, set_global, how):
    set_global("local_infile", 1)
    caught = []

    async def main():
        async def source(*_):
            try:
                yield b"1"
                if how == "clean-up":
                    await asyncio.sleep(60)
                async for (number,) in conn.stream("select 1"):
                    yield b"%d" % number
            except asyncio.CancelledError:
                try:
                    await conn.ping()
                except pymy.InterfaceError as exc:
                    caught.append(exc)
                raise

        options = {"autocommit": True, "local_infile": source}
        async with pymy.aio.connect(dsn, **options) as conn:
            await conn.execute("create table photo (id int)")
            if how == "clean-up":
                with pytest.raises(pymy.OperationalError):
                    await conn.execute("select %s", (source(),), timeout=0.3)
                await conn.execute("select 1")
            elif how == "file":
                with pytest.raises(pymy.InterfaceError) as error:
                    await conn.execute("load data local infile 'x' into table photo")
                caught.append(error.value)
            else:
                with pytest.raises(pymy.InterfaceError) as error:
                    await conn.execute("select %s", (source(),))
                caught.append(error.value)
            assert await (await conn.execute("select 1")).fetchone() == (1,)

    run(main())
    assert [exc.errno for exc in caught] == [CR.CR_CONNECTION_BUSY]
    assert "their source cannot use it" in str(caught[0])
