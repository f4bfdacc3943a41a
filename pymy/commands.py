"""Commands of the blocking connection that need no cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from .loading import check_rows, feed, loading
from .nonblocking import startable
from .protocol import commands, transactions
from .protocol.scripts import ScriptResult
from .scriptfiles import Script
from .transactions import Transactional


class Commands(Transactional):
    """What a blocking connection asks the server for, one command a method."""

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        """Run a text and keep its first result in the connection; returns affected rows."""
        self._warn_unread()
        return self._run(self._querying(self._encode(sql), unbuffered))

    def next_result(self, unbuffered: bool = False) -> int:
        """Go to the next result of the last text; returns affected rows, 0 when there is none."""
        return self._run(self._advancing(unbuffered))

    def run_script(
        self, script: Script, *, progress: Callable[[ScriptResult], object] | None = None
    ) -> ScriptResult:
        """Run the statements of a script one after the other, in flat memory.

        One round trip for each statement. Rows in the answers are read and dropped. Understands
        dumps, DELIMITER, and the SQL mode as the script changes it; see ``pymy.sql.Splitter``.
        Nothing is committed that the script or ``autocommit`` does not commit.

        script: path of a file, which may be a gzip file; or an open file, of bytes or of text; or
            an iterable of pieces, cut anywhere: ``[text]``. Bytes are in the session's charset.
        progress: called after each statement with the ScriptResult so far.
        Returns the number of statements, of rows they changed and of warnings, and the size of the
        script. Raises what a statement raises, with its ``line`` and ``statement``: those before
        it have run, the connection stays usable. ProgrammingError for a quote or comment that
        never ends; OperationalError 2020 for a statement above max_allowed_packet, before it is
        read to its end, and for a path that cannot be read.

        Source: https://dev.mysql.com/doc/refman/8.4/en/mysql-batch-commands.html
        """
        self._warn_unread()
        return self._run(self._scripting(script, progress))

    def load_rows(
        self,
        table: str,
        rows: Iterable[Any],
        columns: Iterable[str] | None = None,
        *,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Load rows into a table, all or none: the fastest way for many, in flat memory.

        Sends a SELECT for the columns' types, SET sql_notes=0 (as it was at the end) together with
        START TRANSACTION (in a transaction: SAVEPOINT), LOAD DATA LOCAL INFILE with the rows as its
        file, COMMIT (RELEASE SAVEPOINT): four round trips. Needs no ``local_infile``. A server that
        takes no local files gets INSERT statements of many rows. A connection that is timed out or
        cancelled in the middle is closed.

        table: a name, which may be ``schema.table``.
        rows: an iterable of tuples, lists or dicts; values are those that parameters may be, lists
            and ``Raw`` excepted.
        columns: names in the order of the values; default all, in the table's order.
        progress: called with the number of rows so far, every 64 KB of a file, 256 KB of INSERTs.
        Returns the number of rows. Raises what the first row does that cannot be written, is a
        duplicate, or does not fit as it is, in any SQL mode, with its ``row_index`` if that is
        known; and whatever ``rows`` and ``progress`` raise. Nothing is loaded then, provided that
        the table is transactional, and the connection is usable.

        Source: https://dev.mysql.com/doc/refman/8.4/en/load-data.html
        """
        check_rows(rows, Iterable)
        self._warn_unread()
        return self._run(loading(self, table, columns, progress, partial(feed, rows)))

    # -- session

    def select_db(self, db: str) -> None:
        """Change the default schema (COM_INIT_DB)."""
        self._run(commands.init_db(self._session, self._encode(db)))

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Change the connection's charset and collation (SET NAMES)."""
        self._run(self._naming(charset, collation))

    def set_charset(self, charset: str) -> None:
        """Change the connection's charset; PyMySQL's older name of ``set_character_set``."""
        self.set_character_set(charset)

    def set_multi_statements(self, on: bool) -> None:
        """Allow several statements in one text, or not (COM_SET_OPTION)."""
        self._run(commands.set_option(self._session, on))

    def show_warnings(self) -> Any:
        """Return the last statement's warnings as rows of level, code, message (SHOW WARNINGS)."""
        return self._run(self._reading_warnings())

    def statistics(self) -> str:
        """Return the server's line of counters (COM_STATISTICS)."""
        return self._run(commands.statistics(self._session))

    def kill(self, thread_id: int) -> None:
        """End another connection by its id (KILL)."""
        self._run(transactions.run(self._session, f"KILL {int(thread_id)}"))

    def reset(self) -> None:
        """Give the session its first state back: rollback, variables, temporary tables, charset.

        The schema is again the one of the options, the roles are those of the login. Sends
        COM_RESET_CONNECTION, the first statement, COM_SET_OPTION if multi statements were switched,
        SET ROLE where the account has roles (the first time it asks), COM_INIT_DB and
        ``init_command``: a round trip each. On servers without the reset, and to
        leave a schema for none, the login is repeated.
        Raises OperationalError 1049 when the schema is gone; the connection is closed then.
        """
        self._run(self._resetting())

    def change_user(
        self,
        user: str | None = None,
        password: Any = None,
        database: str | None = None,
        charset: str | None = None,
    ) -> None:
        """Log in as another user on the same link (COM_CHANGE_USER); None keeps what was.

        The session starts anew. When the login fails the connection is closed.
        """
        self._run(self._changing_user(user, password, database, charset))

    # -- the same without waiting, see pymy.nonblocking

    start_query = startable(query)
    start_next_result = startable(next_result)
    start_run_script = startable(run_script)
    start_load_rows = startable(load_rows)
    start_select_db = startable(select_db)
    start_set_character_set = startable(set_character_set)
    start_set_charset = startable(set_charset)
    start_set_multi_statements = startable(set_multi_statements)
    start_show_warnings = startable(show_warnings)
    start_statistics = startable(statistics)
    start_kill = startable(kill)
    start_reset = startable(reset)
    start_change_user = startable(change_user)
