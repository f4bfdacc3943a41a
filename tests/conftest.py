"""Servers for the live tests, and a database of its own for each of them.

PYMY_TEST_SERVERS=mariadb,mariadb11,mysql,mysql56 chooses flavours (default: mariadb,mysql);
PYMY_TEST_DSN=mysql://... tests against a server that runs already, as a user who may do all;
without -n then, because tests change the server's global variables.
PYMY_TEST_TRANSPORTS=blocking,asyncio,nonblocking,uvloop chooses what connections wait by (default:
the first three): each test runs once for each.
PYMY_TEST_PREPARE=always (or auto) gives that option to the live tests' connections.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from facade import Facade

import pymy
from pymy.sandbox import SandboxError, Server
from pymy.sandbox.flavours import flavour_named

GIVEN = os.environ.get("PYMY_TEST_DSN")
CHOSEN = (
    ["given"]
    if GIVEN
    else [
        flavour_named(name.strip()).name
        for name in os.environ.get("PYMY_TEST_SERVERS", "mariadb,mysql").split(",")
    ]
)
PREPARE = os.environ.get("PYMY_TEST_PREPARE", "")
TRANSPORTS = os.environ.get("PYMY_TEST_TRANSPORTS", "blocking,asyncio,nonblocking").split(",")
PLUGINS = {"mysql": ("auth_socket.so",)}

MARIADB, MARIADB11, MYSQL, MYSQL56 = "mariadb", "mariadb11", "mysql", "mysql56"
# What not every server has, and which have it; a test asks with needs("...").
FEATURES = {
    "check": {MARIADB, MARIADB11, MYSQL},
    "GTID tracking": {MYSQL},
    "PAM": {MARIADB, MARIADB11},
    "inet4": {MARIADB, MARIADB11},
    "inet6": {MARIADB, MARIADB11},
    "json": {MARIADB, MARIADB11, MYSQL},
    "metadata sent once": {MARIADB, MARIADB11},
    "passwords of MySQL 4.0": {MARIADB, MARIADB11, MYSQL56},
    "progress": {MARIADB, MARIADB11},
    "query attributes": {MYSQL},
    "returning": {MARIADB, MARIADB11},
    "roles": {MARIADB, MARIADB11, MYSQL},
    "row alias": {MYSQL},
    "session tracking": {MARIADB, MARIADB11, MYSQL},
    "statement timeout": {MARIADB, MARIADB11, MYSQL},
    "tls": {MARIADB, MARIADB11, MYSQL},
    "uuid": {MARIADB, MARIADB11},
    "vector": {MARIADB11, MYSQL},
    "XA transactions that outlive their session": {MARIADB, MARIADB11, MYSQL},
    "zstd": {MYSQL},
}


def open_sockets() -> set[str]:
    """The sockets of this process, by the system's own names."""
    found = set()
    for each in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            name = str(each.readlink())
            if name.startswith("socket:"):
                found.add(name)
    return found


class Given:
    """A server that is not ours: it is neither restarted nor asked for its certificates."""

    ca = client_cert = client_key = None

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        with pymy.connect(dsn) as conn:
            self.is_mariadb = conn.is_mariadb
            self.version = conn.server_version
            self.unix_socket = conn.unix_socket
            self.host, self.port = conn.host, conn.port
            self.user = conn.user
            self.password = self.tcp_password = conn.password

    def dsn_for(self, database: str) -> str:
        return urlsplit(self.dsn)._replace(path=f"/{database}").geturl()


def kind_of(server: Any) -> str:
    """Tell by its version which flavour a server is like: the machine's own may be any."""
    version = tuple(map(int, re.findall(r"\d+", server.version)[:2]))
    if server.is_mariadb:
        return MARIADB11 if version >= (11, 8) else MARIADB
    return MYSQL if version >= (8, 0) else MYSQL56


class Servers:
    """The servers of this worker, each started when it is first asked for.

    One for each worker: a start takes a second at most, and tests change global variables.
    """

    def __init__(self) -> None:
        self._started: dict[str, Any] = {}
        self._failures: dict[str, str] = {}
        self._stack = ExitStack()

    def get(self, name: str) -> Any:
        if name not in self._started and name not in self._failures:
            try:
                self._started[name] = self.start(name)
            except (SandboxError, pymy.Error) as error:
                advice = (
                    "PYMY_TEST_DSN names it: is it running?"
                    if name == "given"
                    else f"Get it with: python -m pymy sandbox fetch {name}"
                )
                self._failures[name] = f"No {name} server to test with: {error}\n{advice}"
        if name in self._failures:
            pytest.fail(self._failures[name], pytrace=False)
        return self._started[name]

    def start(self, name: str) -> Any:
        if name == "given":
            return Given(GIVEN or "")
        return self._stack.enter_context(Server(name, plugins=PLUGINS.get(name, ())))

    def stop(self) -> None:
        self._stack.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-docs", action="store_true", help="write what the tests found into docs/ (no -n)"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "servers" in getattr(item, "fixturenames", ()):
            item.add_marker("live")


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture(scope="session", params=CHOSEN)
def server(request: pytest.FixtureRequest, servers: Servers) -> Any:
    """A running server; the test runs once for each that was chosen."""
    return servers.get(request.param)


@pytest.fixture(scope="session")
def kind(server: Any) -> str:
    """The flavour the server is like; see FEATURES."""
    return kind_of(server)


@pytest.fixture
def needs(server: Any, kind: str) -> Callable[[str], None]:
    """Skip a test whose feature this server lacks."""

    def check(feature: str) -> None:
        if kind not in FEATURES[feature]:
            pytest.skip(f"{kind} {server.version} has no {feature}")

    return check


@pytest.fixture
def has(kind: str) -> Callable[[str], bool]:
    """Tell whether the server has a feature."""
    return lambda feature: kind in FEATURES[feature]


@pytest.fixture
def extra_server(server: Any) -> Iterator[Callable[..., Server]]:
    """Start another server of the same flavour with other flags."""
    if isinstance(server, Given):
        pytest.skip("a given server cannot be started with other flags")
    with ExitStack() as stack:
        yield lambda *flags, **options: stack.enter_context(
            Server(server.flavour, options=flags, **options)
        )


@pytest.fixture
def set_global(server: Any) -> Iterator[Callable[[str, Any], None]]:
    """Change global variables of the server until the end of the test."""
    with pymy.connect(server.dsn) as admin:
        before: dict[str, Any] = {}

        def change(name: str, value: Any) -> None:
            before.setdefault(name, admin.execute(f"SELECT @@global.{name}").fetchone()[0])
            admin.execute(f"SET GLOBAL {name} = %s", (value,))

        yield change
        for name, value in before.items():
            admin.execute(f"SET GLOBAL {name} = %s", (value,))


@pytest.fixture
def db(server: Any) -> Iterator[str]:
    """The name of an empty database that is dropped after the test."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    with pymy.connect(server.dsn) as admin:
        admin.query(f"CREATE DATABASE {name}")
    yield name
    with pymy.connect(server.dsn, read_timeout=60) as admin:
        admin.query(f"DROP DATABASE {name}")


@pytest.fixture
def dsn(server: Any, db: str) -> str:
    """URL of the test's database, over the unix socket where the server has one."""
    return server.dsn_for(db)


@pytest.fixture
def tcp_dsn(server: Any, db: str) -> str:
    """URL of the test's database over TCP."""
    if isinstance(server, Given):
        if server.unix_socket:
            pytest.skip("PYMY_TEST_DSN gives no TCP address")
        return server.dsn_for(db)
    return server.tcp_dsn_for(db)


@pytest.fixture(scope="session")
def facades() -> Iterator[Callable[[str], Facade]]:
    made: dict[str, Facade] = {}

    def get(name: str) -> Facade:
        if name not in made:
            made[name] = Facade(name)
        return made[name]

    yield get
    for each in made.values():
        each.stop()


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, facades: Callable[[str], Facade]) -> Facade:
    """What connections wait by; the test runs once for each that was chosen."""
    only = request.node.get_closest_marker("only")
    if only is not None and request.param not in only.args[0].split(","):
        pytest.skip(f"not over {request.param}: {only.args[1]}")
    return facades(request.param)


@pytest.fixture
def connect(dsn: str, transport: Facade) -> Iterator[Callable[..., pymy.Connection]]:
    """Open connections to the test's database; the fixture closes them."""
    opened = []

    def open_(url: str = dsn, *positional: Any, **options: Any) -> pymy.Connection:
        if PREPARE:
            options.setdefault("prepare", PREPARE)
        conn = transport.connect(url, *positional, **options)
        opened.append(conn)
        return conn

    yield open_
    for conn in opened:
        conn.abort()


@pytest.fixture
def conn(connect: Callable[..., pymy.Connection]) -> pymy.Connection:
    """A connection to the test's database."""
    return connect()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Run a coroutine on a loop of its own; no task, thread or socket of it may be left."""
    new_loop = None
    if request.param == "uvloop":
        new_loop = pytest.importorskip("uvloop", reason="uvloop is not installed").new_event_loop

    async def bounded(coroutine: Any) -> Any:
        async with asyncio.timeout(60):
            result = await coroutine
        for _ in range(500):  # clean-ups end by cancel_timeout
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if not left:
                return result
            await asyncio.sleep(0.01)
        raise AssertionError(f"tasks are left: {left}")

    def run_(coroutine: Any) -> Any:
        before = open_sockets()
        with asyncio.Runner(loop_factory=new_loop) as runner:
            result = runner.run(bounded(coroutine))
            gc.collect()
            # the loop's own pair of sockets is among them
            runner.run(asyncio.sleep(0))
        gc.collect()
        assert open_sockets() <= before, "sockets are left open"
        return result

    return run_


@pytest.fixture
def running(server: Any) -> Callable[[str], int]:
    """Count the server's threads that run a statement with this word in it."""

    def count(word: str) -> int:
        with pymy.connect(server.dsn) as admin:
            return int(
                admin.execute(
                    "select count(*) from information_schema.processlist "
                    "where info like %s and id <> connection_id()",
                    (f"%{word}%",),
                ).fetchone()[0]
            )

    return count


@pytest.fixture
def becomes() -> Callable[..., Any]:
    """Wait in a coroutine for something the server does."""

    async def wait(condition: Callable[[], object]) -> None:
        for _ in range(3000):
            if await asyncio.to_thread(condition):
                return
            await asyncio.sleep(0.01)
        pytest.fail("the server did not do in half a minute what this test waits for")

    return wait


@pytest.fixture
def account(server: Any, db: str) -> Iterator[Callable[..., str]]:
    """Create accounts with rights on the test's database only; dropped after the test."""
    made = []

    def create(identified: str = "", *, name: str | None = None, options: str = "") -> str:
        user = name or f"u_{uuid.uuid4().hex[:12]}"
        with pymy.connect(server.dsn) as admin:
            if identified:
                identified = f"IDENTIFIED {identified}"
            admin.query(f"CREATE USER {user}@'%' {identified} {options}")
            made.append(user)
            admin.query(f"GRANT ALL ON {db}.* TO {user}@'%'")
        return user

    yield create
    with pymy.connect(server.dsn) as admin:
        for user in made:
            admin.query(f"DROP USER {user}@'%'")
