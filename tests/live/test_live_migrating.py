"""Every row of docs/migrating.md: pymy does what it says, and a refusal names the way back."""

from __future__ import annotations

import asyncio
import datetime
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pymy
import pymy.aio
from pymy import converters
from pymy.constants import CLIENT
from pymy.cursors import SSCursor

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "migrating.md"
TESTED: set[tuple[str, str]] = set()


def row(driver: str, *names: str) -> Callable[[Any], Any]:
    """Mark the test of rows of the page, by what their first cells begin with."""
    TESTED.update((driver, name) for name in names)
    return lambda test: test


@pytest.fixture
def address(server: Any, db: str) -> dict[str, Any]:
    """The test's database over TCP, as keywords."""
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": getattr(server, "tcp_password", server.password),
        "database": db,
    }


@pytest.fixture
def open_(address):
    opened = []

    def connect(**options):
        conn = pymy.connect(**(address | options))
        opened.append(conn)
        return conn

    yield connect
    for conn in opened:
        conn.abort()


def test_every_row_has_a_test():
    text = PAGE.read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        driver = section.splitlines()[0].removeprefix("From ")
        found = {
            cell
            for cell in re.findall(r"^\| ([^|]*[^|\s]) \| ", section, re.MULTILINE)
            if cell.strip("- ")
        }
        assert found == {name for each, name in TESTED if each == driver}, driver


# -- PyMySQL


class Opaque:
    def __str__(self) -> str:
        return "opaque"


@row("PyMySQL", "parameter of an unknown type")
def test_unknown_type(open_):
    with pytest.raises(TypeError, match=r"connect\(conv=\{\*\*pymy.converters.conversions, Opaque"):
        open_().execute("select %s", (Opaque(),))
    conv = {**converters.conversions, Opaque: converters.escape_str}
    assert open_(conv=conv).execute("select %s", (Opaque(),)).fetchone() == ("opaque",)


@row("PyMySQL", "`datetime` with a zone")
@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (datetime.datetime(2020, 1, 2, 3, tzinfo=datetime.UTC), "2020-01-02 03:00:00"),
        (datetime.time(3, 4, tzinfo=datetime.UTC), "03:04:00"),
    ],
)
def test_zones(open_, value, kept):
    name = type(value).__name__
    advice = f"conv={{**pymy.converters.conversions, datetime.{name}: pymy.converters.drop_zone}}"
    with pytest.raises(pymy.DataError, match=re.escape(advice)):
        open_().execute("select %s", (value,))
    conv = {**converters.conversions, type(value): converters.drop_zone}
    assert open_(conv=conv).execute("select %s", (value,)).fetchone() == (kept,)


@row("PyMySQL", "empty list as parameter")
def test_empty_list(open_):
    with pytest.raises(pymy.ProgrammingError, match=r"pass \[None\]") as caught:
        open_().execute("select 1 from dual where 1 in %s", ([],))
    assert not caught.value.sent
    assert open_().execute("select 1 from dual where 1 in %s", ([None],)).fetchall() == ()


@row("PyMySQL", "`nan` and `inf`")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan(open_, value):
    with pytest.raises(pymy.DataError, match="pass None for NULL instead"):
        open_().execute("select %s", (value,))


@row("PyMySQL", "list behind `VALUES`", "`bytes` in a statement")
def test_literals(open_):
    cursor = open_().cursor()
    cursor.execute("create table t (a int, b int)")
    assert cursor.mogrify("insert into t values %s", ([(1, 2), (3, 4)],)) == (
        "insert into t values (1,2),(3,4)"
    )
    assert cursor.execute("insert into t values %s", ([(1, 2), (3, 4)],)) == 2
    assert cursor.mogrify("%s", (b"ab",)) == "_binary X'6162'"


@row("PyMySQL", "several statements in one text")
@row("mysqlclient", "several statements in one text")
def test_several_statements(open_):
    with pytest.raises(pymy.ProgrammingError, match="need multi_statements=True"):
        open_().execute("select 1; select 2")
    for options in ({"multi_statements": True}, {"client_flag": CLIENT.MULTI_STATEMENTS}):
        cursor = open_(**options).execute("select 1; select 2")
        assert (cursor.fetchall(), cursor.nextset(), cursor.fetchall()) == (((1,),), True, ((2,),))
    # what is wrong otherwise is not blamed on it
    for sql in ("selec ';' ", "selec 1;", "selec 1 -- ; 2"):
        with pytest.raises(pymy.ProgrammingError) as caught:
            open_().execute(sql)
        assert "multi_statements" not in str(caught.value)
    conn = open_(multi_statements=True)
    with pytest.raises(pymy.ProgrammingError) as caught:
        conn.execute("selec 1; select 2")
    assert "multi_statements" not in str(caught.value)
    conn.set_multi_statements(False)
    with pytest.raises(pymy.ProgrammingError, match="multi_statements=True"):
        conn.execute("select 1; select 2")


@row("PyMySQL", "`max_allowed_packet`")
def test_max_allowed_packet(open_):
    conn = open_(max_allowed_packet=2048)
    with pytest.raises(pymy.OperationalError, match="max_allowed_packet is 2048: raise it"):
        conn.execute("select %s", ("x" * 3000,))
    assert open_().execute("select length(%s)", ("x" * 3000,)).fetchone() == (3000,)


@row("PyMySQL", "`server_version`, `get_server_info()` of MariaDB 10")
def test_server_version(open_):
    conn = open_()
    assert conn.server_version == conn.get_server_info()
    assert conn.execute("select version()").fetchone()[0] == conn.server_version


@row("PyMySQL", "`rowcount` of an unread `SSCursor`", "another command while `SSCursor` has rows")
def test_unread_rows(open_):
    conn = open_()
    cursor = conn.cursor(SSCursor)
    cursor.execute("select 1 union select 2")
    assert cursor.rowcount == -1
    with pytest.warns(pymy.Warning, match="use a second connection"):
        conn.execute("select 3")
    with pytest.raises(pymy.InterfaceError, match="read them first, or use a second connection"):
        cursor.fetchone()


@row("PyMySQL", "an error in a result nobody read")
def test_unread_error(open_):
    conn = open_(multi_statements=True)
    conn.execute("create table t (a int)")
    conn.execute("select 1; select * from nowhere")
    with pytest.raises(pymy.ProgrammingError, match="nowhere"):
        conn.execute("insert into t values (1)")
    assert conn.execute("select count(*) from t").fetchone() == (0,)


@row("PyMySQL", "`callproc()` with arguments")
def test_callproc(open_, kind):
    conn = open_()
    conn.execute("create procedure p(in a int, out b int) begin set b = a + 1; "
                 "signal sqlstate '01000' set message_text = 'careful'; end")  # fmt: skip
    for cls, returned in ((pymy.cursors.Cursor, (1, 2)), (SSCursor, (1, None))):
        cursor = conn.cursor(cls)
        assert cursor.callproc("p", (1, None)) == returned
        kept = cls is SSCursor or kind.startswith("maria")
        assert len(conn.execute("show warnings").fetchall()) == kept
        assert cursor.warning_count == 1


@row("PyMySQL", "use after `close()`")
@row("aiomysql", "`ping()` of a closed connection")
def test_after_close(open_, address):
    conn = open_()
    conn.close()
    with pytest.raises(pymy.InterfaceError, match=r"ping\(reconnect=True\)") as caught:
        conn.execute("select 1")
    assert caught.value.errno
    conn.ping(reconnect=True)
    assert conn.execute("select 1").fetchone() == (1,)

    async def main():
        conn = await pymy.aio.connect(**address)
        conn.close()
        with pytest.raises(pymy.InterfaceError, match=r"ping\(reconnect=True\)"):
            await conn.ping()
        await conn.ping(reconnect=True)
        assert not conn.closed
        await conn.ensure_closed()

    asyncio.run(main())


@row("PyMySQL", "non-ASCII text on gbk, gb18030, big5, sjis, cp932, ujis, eucjpms connections")
def test_multibyte_charsets(open_):
    with pytest.raises(pymy.NotSupportedError, match="charset='utf8mb4'"):
        open_(charset="gbk").execute("select %s", ("縗",))
    assert open_(charset="utf8mb4").execute("select %s", ("縗",)).fetchone() == ("縗",)


@row("PyMySQL", "LOCAL INFILE with `local_infile=True`")
@row("mysqlclient", "`local_infile=1`")
def test_local_infile(open_, set_global, tmp_path):
    # that a name of the server's own choosing is refused is in tests/transports
    path = tmp_path / "rows"
    path.write_text("1\n2\n")
    set_global("local_infile", 1)
    load = f"load data local infile '{path}' into table t"
    conn = open_()
    conn.execute("create table t (a int)")
    with pytest.raises(pymy.OperationalError, match=r"local_infile=\[folders\]"):
        conn.execute(load)
    for allowed in (True, 1, [tmp_path]):
        assert open_(local_infile=allowed).execute(load).rowcount == 2


@row("PyMySQL", "default host")
@row("mysqlclient", '`host="localhost"`')
def test_default_host(server, address):
    assert pymy.Options.from_keywords(user="u").host == "127.0.0.1"
    # refused by the port: TCP, for a socket has none
    with pytest.raises(pymy.OperationalError, match="port 1 ") as caught:
        pymy.connect(**(address | {"host": "localhost", "port": 1}))
    assert "unix_socket" in str(caught.value)
    if server.unix_socket:
        options = {"user": server.user, "password": server.password}
        with pymy.connect(unix_socket=server.unix_socket, **options) as conn:
            assert not conn.ssl


@row("PyMySQL", "`ssl_ca=` alone")
def test_ssl_ca(open_, needs, tmp_path):
    needs("tls")
    from pymy.sandbox.certificates import certificate_paths, make_certificates

    paths = certificate_paths(tmp_path)
    make_certificates(paths)
    other = paths.ca
    with pytest.raises(pymy.OperationalError, match="ssl_mode='required'"):
        open_(ssl_ca=other)
    assert open_(ssl_ca=other, ssl_mode="required").ssl


@row("PyMySQL", "TLS over a unix socket")
def test_tls_over_a_socket(server, needs):
    needs("tls")
    if not server.unix_socket:
        pytest.skip("PYMY_TEST_DSN gives no unix socket")
    where = {"unix_socket": server.unix_socket, "user": server.user, "password": server.password}
    for options, encrypted in (({}, False), ({"ssl_mode": "preferred"}, True)):
        with pymy.connect(**where, **options) as conn:
            assert conn.ssl is encrypted


@row("PyMySQL", "password as `str`")
def test_password(account, server, address):
    user = account("BY 'pässword'")
    for password in ("pässword", "pässword".encode()):
        with pymy.connect(**(address | {"user": user, "password": password})) as conn:
            assert conn.open
    with pytest.raises(pymy.OperationalError, match="Access denied") as caught:
        pymy.connect(**(address | {"user": user, "password": "pässword".encode("latin1")}))
    assert caught.value.errno == 1045


@row("PyMySQL", "`connect_timeout`")
@row("mysqlclient", "`connect_timeout`")
@row("aiomysql", "`connect_timeout`")
def test_connect_timeout(open_):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(pymy.OperationalError, match="connect_timeout"):
            open_(port=port, connect_timeout=0.05)
    assert open_().connect_timeout == 10
    assert open_(connect_timeout=None).connect_timeout is None


@row("PyMySQL", "private names (`_read_packet`, `_rfile`, ...)")
@row("mysqlclient", "`store_result()`, `use_result()`, `fetch_row()` of `_mysql`")
@row("asyncmy", "`connected` of a connection", "`prepare()` and `replication`")
def test_names_that_are_not_there():
    for name in ("_read_packet", "_rfile", "store_result", "use_result"):
        assert not hasattr(pymy.Connection, name)
    assert not hasattr(pymy.aio.Connection, "connected") and hasattr(pymy.aio.Connection, "open")


# -- mysqlclient


@row("mysqlclient", "zero dates")
def test_zero_dates(open_):
    for options, value in (({}, "0000-00-00"), ({"zero_dates": "none"}, None)):
        conn = open_(sql_mode="", **options)
        conn.execute("create temporary table t (d date)")
        conn.execute("insert into t values ('0000-00-00')")
        assert conn.execute("select d from t").fetchone() == (value,)


@row("mysqlclient", "`stat()`, `info()`")
def test_stat_and_info(open_):
    conn = open_()
    assert "Uptime" in conn.statistics()
    conn.execute("create table t (a int)")
    conn.execute("insert into t values (1), (2)")
    assert "Records: 2" in conn.last_ok.info


# -- aiomysql


@row("aiomysql", "several statements in one text")
def test_several_statements_awaited(address):
    async def main():
        async with pymy.aio.connect(**address) as conn:
            with pytest.raises(pymy.ProgrammingError, match="need multi_statements=True"):
                await conn.execute("select 1; select 2")
        async with pymy.aio.connect(**address, multi_statements=True) as conn:
            cursor = await conn.execute("select 1; select 2")
            assert await cursor.nextset()

    asyncio.run(main())


@row("aiomysql", "`maxsize=0` of a pool", "a pool with nothing free", "a pool whose server is away")
def test_pools(address):
    async def main():
        with pytest.raises(pymy.ProgrammingError, match="maxsize=0, give a large number"):
            pymy.aio.create_pool(**address, maxsize=0)
        async with pymy.aio.create_pool(**address, maxsize=1, acquire_timeout=0.05) as pool:
            conn = await pool.acquire()
            with pytest.raises(pymy.PoolTimeout, match="or acquire_timeout"):
                await pool.acquire()
            await pool.release(conn)
        async with pymy.aio.create_pool(**address, maxsize=1, acquire_timeout=None) as pool:
            conn = await pool.acquire()
            waiting = asyncio.create_task(_await(pool.acquire()))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await pool.release(conn)
            await pool.release(await waiting)
        away = address | {"port": 1}
        async with pymy.aio.create_pool(**away, acquire_timeout=0.05) as pool:
            with pytest.raises(pymy.OperationalError, match="Can't connect"):
                await pool.acquire()

    asyncio.run(main())


@row("aiomysql", "session variables and temporary tables, at `release()`")
@row("aiomysql", "a connection released within a transaction")
@pytest.mark.parametrize("reset", [True, False])
def test_release(address, reset):
    async def main():
        options = {} if reset else {"reset_on_release": False}
        async with pymy.aio.create_pool(**address, maxsize=1, **options) as pool:
            async with pool.acquire() as conn:
                number = conn.thread_id()
                await conn.execute("create table t (a int)")
                await conn.execute("set @a = 1")
                await conn.execute("insert into t values (1)")
            async with pool.acquire() as conn:
                assert conn.thread_id() == number
                cursor = await conn.execute("select @a, (select count(*) from t)")
                assert await cursor.fetchone() == (None if reset else 1, 0)

    asyncio.run(main())


@row("aiomysql", "two tasks on one connection", "a cancelled task")
def test_tasks(address):
    async def main():
        for on_cancel, kept in (("kill", True), ("close", False)):
            async with pymy.aio.connect(**address, on_cancel=on_cancel) as conn:
                queries = [conn.execute("select %s", (number,)) for number in range(5)]
                cursors = await asyncio.gather(*(_await(query) for query in queries))
                assert [await cursor.fetchone() for cursor in cursors] == [
                    (number,) for number in range(5)
                ]
                slow = asyncio.create_task(_await(conn.execute("select sleep(30)")))
                await asyncio.sleep(0.1)
                slow.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await slow
                if kept:
                    assert await (await conn.execute("select 1")).fetchone() == (1,)
                else:
                    with pytest.raises(pymy.Error):
                        await conn.execute("select 1")

    asyncio.run(main())


async def _await(awaitable):
    return await awaitable


@row("aiomysql", "`auth_plugin`", "`echo`, `loop`", "`aiomysql.sa`")
def test_keywords_of_aiomysql(address):
    async def main():
        loop = asyncio.get_running_loop()
        options = {"auth_plugin": "mysql_native_password", "echo": True, "loop": loop}
        async with pymy.aio.connect(**address, **options) as conn:
            assert not conn.get_transaction_status()
            async with conn.cursor() as cursor:
                assert not cursor.closed
            assert cursor.closed

    asyncio.run(main())
    options = pymy.Options.from_keywords(auth_plugin="mysql_clear_password")
    assert options.allow_cleartext_password
    assert not pymy.Options.from_keywords(auth_plugin="").allow_cleartext_password
