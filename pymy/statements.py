"""Prepared statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from .basestatement import BaseStatement
from .nonblocking import startable
from .rows import Row

if TYPE_CHECKING:
    from .connections import Connection  # noqa: F401 - named in the bases
    from .cursors import Cursor


class Statement(BaseStatement["Connection[Any]", Row]):
    """A prepared statement: parsed once by the server, values go and come in binary.

    A context manager: leaving it closes. Not for two threads at a time, as its connection.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def execute(self, args: Any = None, *, timeout: float | None = None) -> Cursor[Row]:
        """Run the statement with these values and return a cursor with its result.

        Sends COM_STMT_EXECUTE: one round trip; large results take more reads.

        args: tuple, list or dict, as for ``Cursor.execute``; files and iterators of bytes among
            them are read and sent in pieces, never held whole.
        timeout: seconds for the whole call; afterwards see ``on_cancel``.
        Raises ProgrammingError for a wrong number of values and TypeError for one that has a form
        in text only (a list, ``sql.Raw``): nothing was sent. Server's errors leave the connection
        usable. A statement the server forgot is prepared again, once.
        OUT and INOUT parameters of a CALL are in the cursor's ``out_params`` when ``nextset()``
        has come to the end of its results.
        """
        cursor: Cursor[Row] = self._cursor()
        self.connection._run(self._executing(cursor, args), timeout)
        return cursor

    def executemany(self, args: Iterable[Any]) -> int:
        """Run the statement once for each set of values: a round trip each.

        ``args`` may be a generator. Returns the sum of affected rows. An error ends it: earlier
        executions have run, see the transaction.
        """
        self.connection._warn_unread()
        return self.connection._run(self._executing_many(args))

    def stream(
        self, args: Any = None, *, fetch_size: int | None = None, timeout: float | None = None
    ) -> Iterator[Row]:
        """Iterate over the result in flat memory. See ``Connection.stream``.

        fetch_size: rows of one round trip, of a cursor that the server opens for a SELECT. They are
            what they were when it was executed, and survive the end of a transaction; other
            statements can run in between, also this one. Everything else brings all its rows.
            The first time it takes one more round trip, COM_STMT_PREPARE, and COM_STMT_FETCH once
            for each so many rows; leaving early frees the cursor with the next command.
        InterfaceError for a cursor that went with a reset of the session.

        Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_fetch.html
        """
        with self._cursor(stream=True, fetch_size=fetch_size) as cursor:
            self.connection._run(self._executing(cursor, args), timeout)
            yield from cursor

    start_execute = startable(execute)
    start_executemany = startable(executemany)


__all__ = ["Statement"]
