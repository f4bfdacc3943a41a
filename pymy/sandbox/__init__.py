"""Throw-away MariaDB and MySQL servers for tests, demos and documentation.

with pymy.sandbox.Server("mariadb") as server:
    connection = pymy.connect(server.dsn)
"""

from __future__ import annotations

from .errors import SandboxError
from .flavours import FLAVOURS
from .install import fetch
from .server import Server

__all__ = ["FLAVOURS", "SandboxError", "Server", "fetch"]
