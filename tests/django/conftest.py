"""Django, set up once for a process, whose database each test chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import django
import pytest
from django.conf import settings
from engine import ENGINE

import pymy

if ENGINE != "pymy.django":
    pymy.install_as_MySQLdb()

if not settings.configured:
    settings.configure(
        DATABASES={"default": {"ENGINE": ENGINE}},
        INSTALLED_APPS=["shop"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SECRET_KEY="not secret",
        USE_TZ=True,
        TIME_ZONE="UTC",
    )
    django.setup()


@pytest.fixture
def use(server: Any, db: str) -> Iterator[Callable[..., Any]]:
    """Point Django's default database to the test's; returns the connection."""
    from django.db import connections

    def use(*, options: dict[str, Any] | None = None, **changes: Any) -> Any:
        close()
        entry = {
            "ENGINE": ENGINE,
            "NAME": db,
            "USER": server.user,
            "PASSWORD": server.password,
            "HOST": server.unix_socket or server.host,
            "PORT": "" if server.unix_socket else server.port,
            "OPTIONS": options or {},
            **changes,
        }
        configured = connections.configure_settings({"default": entry})["default"]
        connections.databases["default"] = configured
        return connections["default"]

    def close() -> None:
        connection = connections["default"]
        connection.close()
        if hasattr(connection, "close_pool"):
            connection.close_pool()
        del connections["default"]

    yield use
    close()


@pytest.fixture
def connection(use: Callable[..., Any]) -> Any:
    """A connection of Django's to the test's database, with the application's tables."""
    return with_tables(use())


def with_tables(connection: Any) -> Any:
    from shop.models import Item, Order

    with connection.cursor() as cursor:
        cursor.execute("alter database character set utf8mb4")
    with connection.schema_editor() as editor:
        editor.create_model(Item)
        editor.create_model(Order)
    return connection


@pytest.fixture
def tables() -> Callable[[Any], Any]:
    """Make the application's tables over a connection of Django's, and return it."""
    return with_tables
