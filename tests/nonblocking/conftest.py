from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pymy


@pytest.fixture(autouse=True)
def bound():
    """End a test that hangs all the same after a minute."""

    def give_up(number, frame):
        raise AssertionError("the test hangs")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.fixture
def connect(dsn: str) -> Iterator[Callable[..., pymy.Connection]]:
    """Open blocking connections to the test's database; the fixture closes them."""
    opened = []

    def open_(url: str = dsn, **options: Any) -> pymy.Connection:
        conn = pymy.connect(url, **options)
        opened.append(conn)
        return conn

    yield open_
    for conn in opened:
        conn.abort()


@pytest.fixture(params=["unix", "tls"])
def url(request: pytest.FixtureRequest, server: Any, dsn: str) -> str:
    """The test's database over a unix socket, and over TCP with TLS."""
    if request.param == "unix":
        return dsn
    request.getfixturevalue("needs")("tls")
    address = request.getfixturevalue("tcp_dsn")
    return address + ("&" if "?" in address else "?") + "ssl_mode=REQUIRED"
