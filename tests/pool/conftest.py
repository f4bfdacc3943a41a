"""Waiting for what a server or another thread does by itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pymy

# the scripted server lies with the tests of the transports
sys.path.insert(0, str(Path(__file__).parent.parent / "transports"))


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, "did not happen in 30 seconds"
            time.sleep(0.01)

    return wait


@pytest.fixture
def balanced() -> Callable[[pymy.PoolStats], None]:
    def check(stats: pymy.PoolStats) -> None:
        """Nothing is lost: what was opened is closed or here, what was lent came back."""
        assert stats.connected - stats.closed == stats.idle + stats.in_use + stats.cleaning
        assert stats.acquired == stats.released + stats.lost + stats.in_use

    return check


@pytest.fixture
def kill(server: Any) -> Iterator[Callable[[int], None]]:
    """End a connection at the server, and return when it is gone."""
    with pymy.connect(server.dsn, autocommit=True) as admin:

        def end(thread_id: int) -> None:
            admin.kill(thread_id)
            deadline = time.monotonic() + 30
            while admin.execute(
                "select 1 from information_schema.processlist where id = %s", (thread_id,)
            ).fetchone():
                assert time.monotonic() < deadline
                time.sleep(0.01)

        yield end


@pytest.fixture
def direct(dsn: str) -> Iterator[pymy.Connection]:
    """A connection of no pool."""
    with pymy.connect(dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def pool_of(dsn: str) -> Iterator[Callable[..., pymy.Pool]]:
    """Make pools of threads, which end with the test."""
    pools = []

    def make(url: str = dsn, **settings: Any) -> pymy.Pool:
        pools.append(pymy.Pool(url, **settings))
        return pools[-1]

    yield make
    for pool in pools:
        pool.terminate()
