"""Throw-away MariaDB and MySQL servers for tests, demos and documentation.

with pymy.sandbox.Server("mariadb") as server:
    connection = pymy.connect(server.dsn)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import SandboxError
    from .flavours import FLAVOURS
    from .install import client_command, fetch
    from .server import Server

__all__ = ["FLAVOURS", "SandboxError", "Server", "client_command", "fetch"]

_ROOMS = {
    "FLAVOURS": "flavours",
    "SandboxError": "errors",
    "Server": "server",
    "client_command": "install",
    "fetch": "install",
}


def __getattr__(name: str) -> Any:
    # pytest loads this package with the plugin, in every run and on every system.
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ROOMS[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
