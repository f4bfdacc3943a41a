"""Commands of all transports that change the connection's own knowledge of its session.

That change is part of the conversation, so it is made also when nobody waits any more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from . import scriptfiles
from .base import BaseConnection
from .options import Options
from .protocol import handshake, resetting
from .protocol.needs import Conversation
from .protocol.query import next_result, query, values_of_any_length
from .protocol.scripts import ScriptResult, run_script
from .protocol.setup import names_clause
from .protocol.transactions import run


class BaseCommands(BaseConnection):
    """What a connection's commands do besides waiting."""

    _transport: Any

    def _querying(self, sql: bytes, unbuffered: bool) -> Conversation[int]:
        self._result = yield from query(
            self._session, sql, stream=unbuffered, attributes=self.query_attributes
        )
        return self._result.affected_rows

    def _advancing(self, unbuffered: bool) -> Conversation[int]:
        self._result = yield from next_result(self._session, stream=unbuffered)
        return self.affected_rows()

    def _scripting(
        self, script: scriptfiles.Script, progress: Callable[[ScriptResult], object] | None
    ) -> Conversation[ScriptResult]:
        with closing(scriptfiles.pieces(script)) as pieces:
            return (
                yield from run_script(
                    self._session,
                    pieces,
                    lambda: self._context,
                    progress=progress,
                    attributes=self.query_attributes,
                )
            )

    def _naming(self, charset: str, collation: str | None) -> Conversation[None]:
        yield from run(self._session, f"SET {names_clause(charset, collation)}")
        self._take_charset(charset, collation)
        self._remember(charset=charset, collation=collation)

    def _reading_warnings(self) -> Conversation[Any]:
        with values_of_any_length(self._session):
            return (yield from query(self._session, b"SHOW WARNINGS")).rows

    def _resetting(self) -> Conversation[None]:
        yield from resetting.reset(self._session, self._options, self._credentials)
        self._renew_session()

    def _changing_user(
        self,
        user: str | None,
        password: Any,
        database: str | None,
        charset: str | None,
    ) -> Conversation[None]:
        options = self._changed(user=user, password=password, database=database, charset=charset)
        yield from handshake.change_user(self._session, options, self._credentials(options))
        self._options = options
        if self._transport is not None:
            self._transport.options = options
        self._renew_session()

    def _changed(self, **changes: Any) -> Options:
        given = {name: value for name, value in changes.items() if value is not None}
        return self._options.replace(**given)
