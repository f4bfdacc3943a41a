"""SQLAlchemy's tests for dialects that are not its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing.suite import *  # noqa: F403
from sqlalchemy.testing.suite import ServerSideCursorsTest as _ServerSideCursorsTest

from pymy.cursors import SSCursor


class ServerSideCursorsTest(_ServerSideCursorsTest):
    def _is_server_side(self, cursor: Any) -> bool:
        # the suite knows this of SQLAlchemy's own dialects only
        return isinstance(cursor, SSCursor) or getattr(cursor, "server_side", False)
