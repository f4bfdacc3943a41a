"""Commands of the asyncio connection that need no cursor. They are told in ``pymy.commands``."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from functools import partial
from typing import Any

from ..loading import check_rows, feed_async, loading
from ..protocol import commands, transactions
from ..protocol.scripts import ScriptResult
from ..scriptfiles import Script
from .transactions import Transactional


class Commands(Transactional):
    """What an asyncio connection asks the server for, one command a method."""

    async def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        """Run a text and keep its first result in the connection; returns affected rows."""
        self._warn_unread()
        return await self._run(self._querying(self._encode(sql), unbuffered))

    async def next_result(self, unbuffered: bool = False) -> int:
        """Go to the next result of the last text; returns affected rows, 0 when there is none."""
        return await self._run(self._advancing(unbuffered))

    async def run_script(
        self, script: Script, *, progress: Callable[[ScriptResult], object] | None = None
    ) -> ScriptResult:
        """Run the statements of a script one after the other, in flat memory.

        The file is read in the event loop, a piece of it between two statements.
        """
        self._warn_unread()
        return await self._run(self._scripting(script, progress))

    async def load_rows(
        self,
        table: str,
        rows: Iterable[Any] | AsyncIterable[Any],
        columns: Iterable[str] | None = None,
        *,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Load rows into a table, all or none: the fastest way for many, in flat memory.

        ``rows`` may be an async iterable.
        """
        check_rows(rows, Iterable, AsyncIterable)
        self._warn_unread()
        return await self._run(loading(self, table, columns, progress, partial(feed_async, rows)))

    # -- session

    async def select_db(self, db: str) -> None:
        """Change the default schema (COM_INIT_DB)."""
        await self._run(commands.init_db(self._session, self._encode(db)))

    async def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Change the connection's charset and collation (SET NAMES)."""
        await self._run(self._naming(charset, collation))

    async def set_charset(self, charset: str) -> None:
        """Change the connection's charset; PyMySQL's older name of ``set_character_set``."""
        await self.set_character_set(charset)

    async def set_multi_statements(self, on: bool) -> None:
        """Allow several statements in one text, or not (COM_SET_OPTION)."""
        await self._run(commands.set_option(self._session, on))

    async def show_warnings(self) -> Any:
        """Return the last statement's warnings as rows of level, code, message (SHOW WARNINGS)."""
        return await self._run(self._reading_warnings())

    async def statistics(self) -> str:
        """Return the server's line of counters (COM_STATISTICS)."""
        return await self._run(commands.statistics(self._session))

    async def kill(self, thread_id: int) -> None:
        """End another connection by its id (KILL)."""
        await self._run(transactions.run(self._session, f"KILL {int(thread_id)}"))

    async def reset(self) -> None:
        """Give the session its first state back: rollback, variables, temporary tables, charset."""
        await self._run(self._resetting())

    async def change_user(
        self,
        user: str | None = None,
        password: Any = None,
        database: str | None = None,
        charset: str | None = None,
    ) -> None:
        """Log in as another user on the same link (COM_CHANGE_USER); None keeps what was."""
        await self._run(self._changing_user(user, password, database, charset))
