"""The test's database, as other programs are told of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import programs
import pytest

import pymy


@pytest.fixture(autouse=True)
def standing_in(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let pymy stand in for what the file's program imports at work, such as SQLAlchemy's."""
    with programs.standing_in(request.module.STAND_IN):
        yield


@pytest.fixture
def address(server: Any, db: str) -> dict[str, Any]:
    """Keywords of connect(), over TCP as most programs have it."""
    with pymy.connect(server.dsn) as admin:
        admin.execute(f"ALTER DATABASE {db} CHARACTER SET utf8mb4")  # MariaDB 10's is latin1
    password = getattr(server, "tcp_password", server.password)
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": password,
        "database": db,
    }


@pytest.fixture
def url(address: dict[str, Any]) -> str:
    """The same as a URL."""
    user, password = (quote(address[name], safe="") for name in ("user", "password"))
    return f"mysql://{user}:{password}@{address['host']}:{address['port']}/{address['database']}"


@pytest.fixture(params=["mysql+pymysql", "mysql+pymy"])
def engine_url(request: pytest.FixtureRequest, url: str) -> str:
    """SQLAlchemy's URL: of PyMySQL's dialect, in whose place pymy stands, and of pymy's own."""
    from sqlalchemy.dialects import registry
    from sqlalchemy.exc import NoSuchModuleError

    try:
        registry.load(request.param.replace("+", "."))
    except NoSuchModuleError:
        pytest.skip(f"{request.param} is not installed: its dialect comes with pymy[sqlalchemy]")
    return url.replace("mysql", request.param, 1) + "?charset=utf8mb4"


@pytest.fixture
def engine(engine_url: str) -> Iterator[Any]:
    import sqlalchemy

    engine = sqlalchemy.create_engine(engine_url)
    yield engine
    engine.dispose()
