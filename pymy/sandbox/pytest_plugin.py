"""Fixtures for users' tests: servers for the session, a fresh database for each test.

Under pytest-xdist every worker has a server of its own.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .server import Server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "pymy_server", "flavour of the pymy_server fixture ($PYMY_SERVER wins)", default="mariadb"
    )


def run(flavour: str) -> Iterator[Server]:
    from .server import Server

    with Server(flavour) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    """A MariaDB server for the whole session."""
    yield from run("mariadb")


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[Server]:
    """A MySQL server for the whole session."""
    yield from run("mysql")


@pytest.fixture(scope="session")
def pymy_server(request: pytest.FixtureRequest) -> Server:
    """The server whose flavour $PYMY_SERVER or the ini value `pymy_server` names."""
    from .flavours import flavour_named

    flavour = flavour_named(
        os.environ.get("PYMY_SERVER") or request.config.getini("pymy_server")
    ).name
    if flavour in ("mariadb", "mysql"):
        server: Server = request.getfixturevalue(f"{flavour}_server")
        return server
    servers = run(flavour)
    request.addfinalizer(lambda: next(servers, None))
    return next(servers)


@pytest.fixture
def pymy_dsn(pymy_server: Server) -> Iterator[str]:
    """URL of an empty database that only this test uses; dropped after it."""
    import pymy

    name = f"test_{secrets.token_hex(6)}"
    connection = pymy.connect(pymy_server.dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE `{name}`")
            yield pymy_server.dsn_for(name)
            cursor.execute(f"DROP DATABASE `{name}`")
    finally:
        connection.close()
