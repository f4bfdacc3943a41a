"""A value of any size as a stream, in text and in binary rows, over each transport."""

from __future__ import annotations

import asyncio
import gc
import io
import shutil
import tracemalloc
from contextlib import suppress

import pytest

import pymy
import pymy.aio
from pymy.constants import CR, ER
from pymy.protocol.state import READY

MIB = 1 << 20
LETTERS = bytes(range(256))


@pytest.fixture
def photos(empty_photos):
    """The first row has a value of some hundred KiB."""
    with empty_photos.cursor() as cursor:
        cursor.executemany(
            "insert into photo values (%s, %s, %s)",
            [(1, "pen", LETTERS * 1200), (2, None, None), (3, "é", b"")],
        )
    return empty_photos


ONE = "select id, name, b from photo where id = %s"


def test_pieces(photos):
    with photos.stream_value(ONE, (1,)) as value:
        assert value.row == (1, "pen")
        assert (value.size, value.is_null) == (256 * 1200, False)
        assert [column.name for column in value.columns] == ["id", "name", "b"]
        assert value.read(10) == LETTERS[:10]
        assert value.read(0) == b""
        buffer = bytearray(100)
        assert value.readinto(buffer) == 100
        assert buffer == LETTERS[10:110]
        assert "of 307200 bytes left" in repr(value)
        assert value.read() == (LETTERS * 1200)[110:]
        assert value.read() == value.read(5) == b""
        assert value.readinto(buffer) == 0
    assert value.closed
    with pytest.raises(ValueError, match="closed"):
        value.read()
    value.close()
    assert photos.execute("select 1").fetchone() == (1,)


def test_iterating_gives_pieces(photos):
    with photos.stream_value(ONE, (1,)) as value:
        pieces = list(value)
    assert b"".join(pieces) == LETTERS * 1200
    assert all(pieces)
    assert len(pieces) < 300  # no lines


def test_null_and_empty(photos):
    with photos.stream_value(ONE, (2,)) as value:
        assert (value.row, value.size, value.is_null) == ((2, None), None, True)
        assert value.read() == b""
    with photos.stream_value(ONE, (3,)) as value:
        assert (value.row, value.size, value.is_null) == ((3, "é"), 0, False)
        assert value.read(7) == b""


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("-12", b"-12"),
        ("cast('2024-05-06 07:08:09' as datetime)", b"2024-05-06 07:08:09"),
        ("cast('-07:08:09' as time)", b"-07:08:09"),
        ("1.50", b"1.50"),
        ("'é'", "é".encode()),
    ],
)
def test_values_of_other_types_are_their_text(photos, column, text):
    with photos.stream_value(f"select 1.5e0, cast('2024-05-06' as date), {column}") as value:
        assert value.row[0] == 1.5
        assert str(value.row[1]) == "2024-05-06"
        assert value.read() == text


def test_no_row(photos):
    with pytest.raises(pymy.DataError, match="no row"):
        photos.stream_value(ONE, (9,))
    with pytest.raises(pymy.ProgrammingError, match="has run and gives no rows"):
        photos.stream_value("delete from photo where id = 3")
    assert photos.execute("select count(*) from photo").fetchone() == (2,)


def test_more_rows(photos):
    with photos.stream_value("select b from photo order by id") as value:
        assert value.read(256) == LETTERS
    value = photos.stream_value("select b from photo order by id")
    with pytest.raises(pymy.ProgrammingError, match="more than the one row"):
        value.read()
    assert photos.execute("select 1").fetchone() == (1,)


def test_errors_of_the_server(photos):
    with pytest.raises(pymy.Error) as caught:
        photos.stream_value("select no_such from photo")
    assert caught.value.errno == ER.BAD_FIELD_ERROR
    failing = "select b, (select id from photo p where p.id >= 4 - o.id) from photo o order by id"
    with photos.stream_value(failing) as value, pytest.raises(pymy.Error) as caught:
        value.read()
    assert caught.value.errno == ER.SUBQUERY_NO_1_ROW
    with pytest.raises(TypeError):
        photos.stream_value("select %s", (object(),))
    assert photos.execute("select 1").fetchone() == (1,)


def test_a_procedure(photos):
    photos.query("create procedure p() select b from photo where id = 1")
    with photos.stream_value("call p()") as value:
        assert value.read() == LETTERS * 1200
    photos.query("create procedure q() begin select 'a'; select 'b'; end")
    value = photos.stream_value("call q()")
    with pytest.raises(pymy.ProgrammingError, match="more than the one row"):
        value.read()
    assert photos.execute("select 1").fetchone() == (1,)


def test_another_command_in_between(photos):
    value = photos.stream_value(ONE, (1,))
    value.read(10)
    with pytest.warns(pymy.Warning, match="not read to its end"):
        photos.execute("select 1")
    with pytest.raises(pymy.InterfaceError, match="was dropped") as caught:
        value.read(10)
    assert caught.value.errno == CR.CR_FETCH_CANCELED
    value.close()
    assert photos.execute("select 2").fetchone() == (2,)


def test_a_value_read_to_its_end_is_not_in_the_way(photos):
    with photos.stream_value(ONE, (1,)) as value:
        left = value.size
        while left:
            left -= len(value.read(100_000))
        photos.execute("select 1")  # no warning
        assert value.read() == b""


def test_dict_cursors(connect):
    conn = connect(cursorclass=pymy.cursors.DictCursor)
    with conn.stream_value("select 1, 'x'") as value:
        assert (value.row, value.read()) == ((1,), b"x")


def test_close_early(photos, kills):
    thread = photos.thread_id()
    with photos.stream_value(ONE, (1,)) as value:
        value.read(10)
    assert kills() == 0
    with photos.stream_value("select repeat(b, 50) from photo where id = 1") as value:
        value.read(10)
    assert kills() <= 1  # much of it waits in the sockets' buffers, perhaps all
    assert photos.execute("select connection_id()").fetchone() == (thread,)
    # the kill has not hit a later statement
    assert photos.execute("select sleep(0.05)").fetchone() == (0,)


@pytest.fixture
def big(connect, set_global):
    set_global("max_allowed_packet", 1 << 30)
    return connect(max_allowed_packet=1 << 30)


@pytest.mark.parametrize("offset", [-6, -5, -4, -3, 0, 1])
@pytest.mark.parametrize("prepare", ["never", "always"])
def test_around_the_packet_boundary(connect, big, offset, prepare):
    conn = connect(max_allowed_packet=1 << 30, prepare=prepare)
    size = 0xFFFFFF + offset
    with conn.stream_value(f"select repeat('y', {size})") as value:
        assert value.size == size
        assert value.read() == b"y" * size
    assert conn.execute("select 1").fetchone() == (1,)


def test_forty_mebibytes_in_flat_memory(big):
    sql = f"select 7, repeat('0123456789abcdef', {40 * MIB // 16})"
    piece = b"0123456789abcdef"
    with big.stream_value(sql) as value:
        tracemalloc.start()
        try:
            left = value.size
            while left:
                got = value.read(MIB)
                start = (value.size - left) % 16
                assert got[:16] == (piece * 2)[start : start + 16][: len(got)]
                left -= len(got)
            assert tracemalloc.get_traced_memory()[1] < 4 * MIB
        finally:
            tracemalloc.stop()
        assert value.row == (7,)


@pytest.mark.parametrize("compress", ["zlib", "zstd"])
def test_over_tls_and_compression(connect, big, tcp_dsn, needs, compress):
    needs("tls")
    if compress == "zstd":
        needs("zstd")
    conn = connect(tcp_dsn, compress=compress, ssl_mode="required", max_allowed_packet=1 << 30)
    size = 20 * MIB
    with conn.stream_value(f"select repeat('0123456789abcdef', {size // 16})") as value:
        assert value.read() == b"0123456789abcdef" * (size // 16)
    with conn.stream_value(f"select repeat('0123456789abcdef', {size // 16})") as value:
        value.read(10)
    assert conn.execute("select 1").fetchone() == (1,)


def test_a_time_out_before_the_value(photos):
    with pytest.raises(pymy.OperationalError) as caught:
        photos.stream_value("select sleep(5)", timeout=0.2)
    assert caught.value.errno == CR.CR_QUERY_TIMEOUT
    assert photos.execute("select 1").fetchone() == (1,)


def test_a_time_out_in_the_middle(photos, connect):
    """The server thinks about a second row, so that the end of the value is late."""
    conn = connect(read_timeout=0.5)
    value = conn.stream_value("select repeat(b, if(id = 1, 1, sleep(5))) from photo order by id")
    with pytest.raises(pymy.OperationalError) as caught:
        while value.read(100_000):
            pass
    assert caught.value.errno == CR.CR_QUERY_TIMEOUT
    assert conn.execute("select 1").fetchone() == (1,)
    with pytest.raises(pymy.InterfaceError, match="was dropped"):
        value.read(2)


def test_a_lost_connection(photos, connect):
    value = photos.stream_value("select repeat(b, 50) from photo where id = 1")
    value.read(10)
    connect().kill(photos.thread_id())
    with suppress(pymy.OperationalError):
        value.read()
    photos.abort()
    with pytest.raises((pymy.InterfaceError, ValueError)):
        value.read()
    value.close()


# -- as files

files = pytest.mark.only("blocking", "files of Python's io block")


@files
def test_as_a_file(photos, tmp_path):
    content = LETTERS * 1200
    path = tmp_path / "photo"
    with photos.stream_value(ONE, (1,)) as value, path.open("wb") as file:
        assert value.readable() and not value.seekable() and not value.writable()
        shutil.copyfileobj(value, file)
    assert path.read_bytes() == content
    with io.BufferedReader(photos.stream_value(ONE, (1,))) as value:
        assert value.read(100_000) == content[:100_000]
        assert value.peek(1)[:1] == content[100_000:100_001]
        assert value.read() == content[100_000:]
    with io.TextIOWrapper(photos.stream_value("select 'é\nö\n'"), "utf-8") as lines:
        assert list(lines) == ["é\n", "ö\n"]


@files
def test_dropping_a_stream_sends_nothing(photos):
    value = photos.stream_value(ONE, (1,))
    value.read(10)
    number = photos._session.command_number
    state = photos._session.state
    del value
    assert (photos._session.command_number, photos._session.state) == (number, state)
    with pytest.warns(pymy.Warning, match="not read to its end"):
        photos.execute("select 1")


@files
@pytest.mark.parametrize("wrap", [io.BufferedReader, io.TextIOWrapper])
def test_dropping_a_wrapper_sends_nothing(photos, wrap):
    """It would, from any thread: the wrapper closes what is below it when it is collected."""
    photos.query("set group_concat_max_len = 10000000")
    value = wrap(photos.stream_value("select repeat('x', 3000000)"))
    value.read(10)
    number = photos._session.command_number
    state = photos._session.state
    held = [value]
    held.append(held)
    del held, value
    gc.collect()
    assert (photos._session.command_number, photos._session.state) == (number, state)
    with pytest.warns(pymy.Warning, match="not read to its end"):
        photos.execute("select 1")


@files
@pytest.mark.parametrize("wrap", [io.BufferedReader, io.TextIOWrapper])
def test_closing_a_wrapper_closes(photos, wrap):
    with wrap(photos.stream_value("select repeat('x', 3000000)")) as value:
        value.read(10)
    assert photos._session.state is READY
    assert photos.execute("select 1").fetchone() == (1,)


@files
def test_lines(photos):
    with photos.stream_value("select 'a\nbc\nd'") as value:
        assert value.readline() == b"a\n"
        assert value.readlines() == [b"bc\n", b"d"]
    with photos.stream_value("select 'a\nbc\nd'") as value:
        assert value.readlines(3) == [b"a\n", b"bc\n"]
        assert value.read() == b"d"


# -- asyncio's own


def test_a_cancelled_read(run, dsn):
    """The server thinks about a second row, so that the end of the value is late."""

    async def main():
        async with pymy.aio.connect(dsn, autocommit=True) as conn:
            await conn.execute("create table photo (id int primary key)")
            await conn.execute("insert into photo values (1), (2)")
            value = await conn.stream_value(
                "select repeat('x', if(id = 1, 300000, sleep(20))) from photo order by id"
            )
            read = asyncio.create_task(value.read())
            await asyncio.sleep(0.2)
            assert not read.done()
            read.cancel()
            with pytest.raises(asyncio.CancelledError):
                await read
            assert await (await conn.execute("select 1")).fetchone() == (1,)
            with pytest.raises(pymy.InterfaceError, match="was dropped"):
                await value.read()
            await value.close()

    run(main())
