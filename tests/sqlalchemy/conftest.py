"""Engines on the test's database. The suite's folder has a pytest configuration of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

import pymy

collect_ignore = ["suite"]


@pytest.fixture
def url(dsn: str, db: str) -> sa.URL:
    """The test's database, as SQLAlchemy's URL of the blocking dialect."""
    with pymy.connect(dsn) as conn:
        conn.execute(f"alter database {db} character set utf8mb4")  # MariaDB's default was latin1
    return sa.make_url(dsn).set(drivername="mysql+pymy")


@pytest.fixture
def make_engine(url: sa.URL) -> Iterator[Callable[..., sa.Engine]]:
    """Make engines that are disposed of after the test."""
    made = []

    def make(given: sa.URL = url, **options: Any) -> sa.Engine:
        engine = sa.create_engine(given, **options)
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.dispose()


@pytest.fixture
def engine(make_engine: Callable[..., sa.Engine]) -> sa.Engine:
    return make_engine()


@pytest.fixture
def kill(server: Any) -> Callable[[int], None]:
    """End a connection from the server's side and wait until it is gone."""

    def end(thread_id: int) -> None:
        with pymy.connect(server.dsn) as admin:
            admin.kill(thread_id)
            for _ in range(3000):
                if not admin.execute(
                    "select 1 from information_schema.processlist where id = %s", (thread_id,)
                ).fetchone():
                    return
                admin.execute("do sleep(0.01)")
        pytest.fail("the server does not end a connection that was killed")

    return end
