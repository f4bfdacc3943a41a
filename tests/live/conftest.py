"""Live tests run in text and in binary; waiting for what a server does by itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

import pymy

PREPARE = os.environ.get("PYMY_TEST_PREPARE", "never,always").split(",")
PROTOCOLS = {"never": "text", "always": "binary"}


@pytest.fixture(params=PREPARE, ids=lambda prepare: PROTOCOLS.get(prepare, prepare))
def prepare(request: pytest.FixtureRequest) -> str:
    """Which statements cursors prepare by themselves; the test runs once for each."""
    return str(request.param)


@pytest.fixture
def connect(
    connect: Callable[..., pymy.Connection], prepare: str
) -> Callable[..., pymy.Connection]:
    """Open connections as everywhere, with that option unless the test gives another."""

    def open_(*positional: Any, **options: Any) -> pymy.Connection:
        return connect(*positional, **{"prepare": prepare, **options})

    return open_


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object]) -> None:
        """Wait for something the server does; half a minute only on a machine in trouble."""
        deadline = time.monotonic() + 30
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail("the server did not do in 30 seconds what this test waits for")
            time.sleep(0.01)

    return wait


@pytest.fixture
def statement_of(server: Any) -> Callable[[pymy.Connection], str | None]:
    """Ask the server what a connection is running: "" when idle, None when it is gone."""

    def look(conn: pymy.Connection) -> str | None:
        with pymy.connect(server.dsn) as admin:
            row = admin.execute(
                "select info from information_schema.processlist where id = %s",
                (conn.thread_id(),),
            ).fetchone()
        return None if row is None else row[0] or ""

    return look


@pytest.fixture
def until_sleeping(eventually: Any, statement_of: Any) -> Callable[[pymy.Connection], None]:
    """Wait until a connection, in another thread, runs its ``select sleep()``."""
    return lambda conn: eventually(lambda: "sleep" in (statement_of(conn) or ""))


@pytest.fixture
def kills(connect: Callable[..., pymy.Connection]) -> Callable[[], int]:
    """Count the KILL statements the server has had since the test began."""
    admin = connect()

    def count() -> int:
        row: Any = admin.execute("show global status like 'Com_kill%'").fetchone()
        return int(row[1])

    before = count()
    return lambda: count() - before


@pytest.fixture
def empty_photos(connect: Callable[..., pymy.Connection], prepare: str) -> pymy.Connection:
    """A connection and its table of large values."""
    conn = connect(autocommit=True)
    conn.query("create table photo (id int primary key, name varchar(20), b longblob)")
    return conn
