"""Cursors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from . import err
from .basecursor import BaseCursor, DictRows, Unbuffered
from .protocol.bulk import execute_each
from .protocol.query import fetch_batch, next_result, query
from .rows import RowFactory

if TYPE_CHECKING:
    from .connections import Connection


class Cursor(BaseCursor["Connection"]):
    """Runs statements and holds the whole result in memory.

    Iterating gives the rows that were not fetched yet. A context manager: leaving it closes.

    Source: https://peps.python.org/pep-0249/#cursor-objects
    """

    def __init__(
        self, connection: Connection, *, row_factory: RowFactory[Any] | None = None
    ) -> None:
        super().__init__(connection, row_factory)

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def close(self) -> None:
        """Close the cursor; what it did not read yet is dropped. Closing twice is harmless."""
        connection = self.connection
        if connection is not None:
            try:
                if connection.open:
                    while self.nextset():
                        pass
            except err.Error:
                if connection.open:
                    raise
            finally:
                self.connection = None  # type: ignore[assignment]

    def execute(self, query: str | bytes, args: Any = None, *, timeout: float | None = None) -> int:
        """Run a statement with parameters written in as literals.

        Sends COM_QUERY: one round trip; large results take more reads.

        query: SQL with placeholders of the connection's ``paramstyle``.
        args: tuple, list or dict; None leaves ``query`` as it is, with its percent signs.
        timeout: seconds for the whole call; afterwards the connection is closed.
        Returns the number of rows selected or affected.
        Raises ProgrammingError for parameters that do not fit (nothing was sent), TypeError for
        types without an encoder, the server's error with the connection usable, OperationalError
        2013 with the connection closed.
        """
        return self._execute(query, args, timeout)

    def _execute(self, sql: str | bytes, args: Any, timeout: float | None) -> int:
        connection = self._start()
        text = self._mogrify(sql, args)
        result = connection._run(
            query(
                connection._session,
                connection._encode(text),
                stream=self._streams,
                attributes=connection.query_attributes,
            ),
            timeout,
        )
        self._executed = text
        connection._result = result
        self._take(result)
        return self.rowcount

    def executemany(self, query: str | bytes, args: Iterable[Any]) -> int | None:
        """Run a statement once for each set of parameters.

        INSERT and REPLACE ... VALUES are rewritten into statements of many rows, at most
        ``max_stmt_length`` bytes each (or one row): one round trip a statement. Everything else is
        sent once a row. ``args`` may be a generator: one statement is held at a time.
        Returns the sum of affected rows; None when ``args`` is empty.
        An error ends it: earlier statements have run, see the transaction.
        """
        connection = self._start()
        statements = self._statements(query, args)
        first = next(statements, None)
        if first is None:
            return None
        result, total = connection._run(
            execute_each(connection._session, self._chained(first, statements)), None
        )
        connection._result = result
        self._take(result)
        self.rowcount = total
        return total

    def callproc(self, procname: str, args: Iterable[Any] = ()) -> Any:
        """Call a stored procedure; its result sets are read with ``fetch...`` and ``nextset``.

        Arguments go through the user variables ``@_procname_0`` ..., where OUT and INOUT values can
        be read afterwards: ``SELECT @_procname_1``. Two round trips, one without arguments.
        Returns ``args`` unchanged.
        """
        statements = self._call_statements(procname, args)
        for statement in statements:
            self.execute(statement)
        return args

    def nextset(self) -> bool | None:
        """Go to the next result of the last statement; None when there is none."""
        connection = self._open_connection()
        current = self._result
        if current is None or connection._result is not current:
            return None
        if not current.unread and not current.has_next:
            return None
        result = connection._run(next_result(connection._session, stream=self._streams), None)
        if result is None:
            return None
        connection._result = result
        self._take(result)
        return True

    def fetchone(self) -> Any:
        """Return the next row, None behind the last."""
        return self._next_row()

    def fetchmany(self, size: int | None = None) -> Any:
        """Return the next ``size`` rows (default ``arraysize``); empty behind the last."""
        return self._next_rows(self.arraysize if size is None else size)

    def fetchall(self) -> Any:
        """Return the rows that were not fetched yet; empty behind the last."""
        return self._next_rows(None)

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Move to another row of the result: by ``value`` rows, or to number ``value``.

        Raises IndexError outside of the result (the position stays), ProgrammingError for a mode
        that is neither "relative" nor "absolute".
        """
        self._scroll(value, mode)


class SSCursor(Unbuffered["Connection"], Cursor):
    """An unbuffered cursor: rows are read from the server as they are fetched, in flat memory.

    The connection can do nothing else until the rows are read or the cursor is closed. Closing
    early reads what is left when it is little, else it stops the statement with KILL QUERY over a
    second connection.
    """

    def _more(self) -> bool:
        connection = self._open_connection()
        if self._result is None or not self._result.unread:
            return False
        if connection._result is not self._result:
            raise self._overtaken()
        rows = connection._run(fetch_batch(connection._session), None)
        self._add(rows)
        return bool(rows)

    def close(self) -> None:
        """Close the cursor; unread rows are drained when few, else the statement is killed."""
        connection = self.connection
        if connection is not None:
            try:
                if self._result is not None and connection._result is self._result:
                    connection._finish_stream()
            finally:
                self.connection = None  # type: ignore[assignment]

    def fetchone(self) -> Any:
        """Return the next row, None behind the last."""
        while not self._has_row():
            if not self._more():
                return None
        return self._next_row()

    def fetchmany(self, size: int | None = None) -> Any:
        """Return the next ``size`` rows (default ``arraysize``), fewer at the end."""
        wanted = self.arraysize if size is None else size
        while self._held() < wanted and self._more():
            pass
        return self._next_rows(wanted)

    def fetchall(self) -> Any:
        """Return all rows that are left, in one list: that memory is not flat."""
        while self._more():
            pass
        return self._next_rows(None)

    def fetchall_unbuffered(self) -> Iterator[Any]:
        """Iterate over the rows that are left."""
        return iter(self.fetchone, None)

    def read_next(self) -> Any:
        """Return the next row, None behind the last (PyMySQL's name)."""
        return self.fetchone()

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Skip rows forward; an unbuffered result knows no way back."""
        for _ in range(self._forward(value, mode)):
            if self.fetchone() is None:
                raise IndexError("scroll() went past the last row")


class DictCursor(DictRows, Cursor):
    """A cursor whose rows are dicts; a column name that occurs again is ``table.name``."""


class SSDictCursor(DictRows, SSCursor):
    """An unbuffered cursor whose rows are dicts."""


# Subclassed by programs written for PyMySQL.
DictCursorMixin = DictRows

__all__ = ["Cursor", "DictCursor", "DictCursorMixin", "SSCursor", "SSDictCursor"]
