"""Waiting for what a server does by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

import pymy


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
