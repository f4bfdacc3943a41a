from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bounded import within
from facade import Facade


@pytest.fixture(autouse=True)
def bound():
    with within(60):
        yield


@pytest.fixture
def transport(facades: Callable[[str], Facade]) -> Facade:
    """Connections block unless a test says otherwise."""
    return facades("blocking")


@pytest.fixture(params=["unix", "tls"])
def url(request: pytest.FixtureRequest, server: Any, dsn: str) -> str:
    """The test's database over a unix socket, and over TCP with TLS."""
    if request.param == "unix":
        return dsn
    request.getfixturevalue("needs")("tls")
    address = request.getfixturevalue("tcp_dsn")
    return address + ("&" if "?" in address else "?") + "ssl_mode=REQUIRED"
