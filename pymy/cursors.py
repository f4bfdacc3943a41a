"""Cursors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .basecursor import END, BaseCursor, DictRows, Unbuffered
from .basefetching import Fetching
from .nonblocking import startable
from .rows import Row, Rows
from .waiting import Steps, Waiting

if TYPE_CHECKING:
    from .connections import Connection  # noqa: F401 - named in the bases

T = TypeVar("T")


class Cursor(BaseCursor["Connection[Any]", Row]):
    """Runs statements and holds the whole result in memory.

    Iterating gives the rows that were not fetched yet. A context manager: leaving it closes.

    Source: https://peps.python.org/pep-0249/#cursor-objects
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row: Row = self._next_row(END)
        if row is END:
            raise StopIteration
        return row

    def close(self) -> None:
        """Close the cursor; what it did not read yet is dropped. Closing twice is harmless."""
        connection, self.connection = self.connection, None  # type: ignore[assignment]
        if connection is not None and connection.open and self._has_more(connection):
            connection._run(self._closing(connection))

    def execute(self, query: str | bytes, args: Any = None, *, timeout: float | None = None) -> int:
        """Run a statement with parameters written in as literals.

        Sends COM_QUERY: one round trip; large results take more reads.

        query: SQL with placeholders of the connection's ``paramstyle``.
        args: tuple, list or dict; None leaves ``query`` as it is, with its percent signs. Files and
            iterators of bytes among them are sent in pieces, by a statement prepared for this call.
        timeout: seconds for the whole call; afterwards see ``on_cancel``.
        Returns the number of rows selected or affected.
        Raises ProgrammingError for parameters that do not fit (nothing was sent), TypeError for
        types without an encoder, the server's error with the connection usable, OperationalError
        2905 for a time-out with the connection usable, 2013 with the connection closed.
        """
        connection = self._start()
        return connection._run(self._executing(connection, query, args), timeout)

    def executemany(
        self, query: str | bytes, args: Iterable[Any], *, results: bool = False
    ) -> int | None:
        """Run a statement once for each set of parameters.

        INSERT and REPLACE ... VALUES are rewritten into statements of many rows. MariaDB takes the
        rows of other INSERT, REPLACE, UPDATE and DELETE as parameters in binary, many at once
        (COM_STMT_BULK_EXECUTE). Both send ``max_stmt_length`` bytes at a time, or one row. Of what
        is left, with MySQL all UPDATE and DELETE, as many statements as 32 KiB hold go in one text,
        which stops at its first error (COM_SET_OPTION around it): one round trip. Everything else
        is sent once a row.

        args: may be a generator; what goes out at once is held and no more.
        results: keep what each row did in ``cursor.results``, a list of ``pymy.RowResult``.
            That takes a statement a row, except for bulk on MariaDB 11.5 and later.
        Returns the sum of affected rows; None when ``args`` is empty.
        An error ends it: its ``row_index`` or ``row_range`` names the row. What was sent before has
        run, see the transaction. What ``args`` raises comes out; rows that waited are not sent.

        Source: https://mariadb.com/docs/server/reference/clientserver-protocol/3-binary-protocol-prepared-statements/com_stmt_bulk_execute
        """
        connection = self._start()
        return connection._run(self._executing_many(connection, query, args, results))

    def callproc(self, procname: str, args: Iterable[Any] = ()) -> Any:
        """Call a stored procedure; its result sets are read with ``fetch...`` and ``nextset``.

        Arguments go through the user variables ``@_procname_0`` ..., which are read again when all
        results of the procedure are here: three round trips, one without arguments. IN arguments
        come back too, whole, and ``max_column_length`` does not count for any. That SELECT is what
        ``ROW_COUNT()`` and MySQL's ``SHOW WARNINGS`` look back on.
        Returns ``args``, in a copy of them when OUT and INOUT parameters have other values now: as
        a user variable holds them, dates as text. See ``Statement.execute`` for their own types.
        An unbuffered cursor does not read ahead and returns ``args`` unchanged.
        """
        connection = self._start()
        return connection._run(self._calling(connection, procname, args))

    def nextset(self) -> bool | None:
        """Go to the next result of the last statement; None when there is none."""
        connection = self._open_connection()
        if self._ahead:
            return self._from_ahead()
        return connection._run(self._advancing(connection)) if self._has_more(connection) else None

    def fetchone(self) -> Row | None:
        """Return the next row, None behind the last."""
        row: Row | None = self._next_row()
        return row

    def fetchmany(self, size: int | None = None) -> Rows[Row]:
        """Return the next ``size`` rows (default ``arraysize``); empty behind the last."""
        return self._next_rows(self.arraysize if size is None else size)

    def fetchall(self) -> Rows[Row]:
        """Return the rows that were not fetched yet; empty behind the last."""
        return self._next_rows(None)

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Move to another row of the result: by ``value`` rows, or to number ``value``.

        Raises IndexError outside of the result (the position stays), ProgrammingError for a mode
        that is neither "relative" nor "absolute".
        """
        self._scroll(value, mode)

    # -- the same without waiting, see pymy.nonblocking

    start_close = startable(close)
    start_execute = startable(execute)
    start_executemany = startable(executemany)
    start_callproc = startable(callproc)
    start_nextset = startable(nextset)
    start_fetchone = startable(fetchone)
    start_fetchmany = startable(fetchmany)
    start_fetchall = startable(fetchall)
    start_scroll = startable(scroll)


class SSCursor(Unbuffered["Connection[Any]", Row], Cursor[Row]):
    """An unbuffered cursor: rows are read from the server as they are fetched, in flat memory.

    The connection can do nothing else until the rows are read or the cursor is closed. Closing
    early reads what is left when it is little, else it stops the statement with KILL QUERY over a
    second connection.
    """

    def __next__(self) -> Row:
        row: Row = self._row(END)
        if row is END:
            raise StopIteration
        return row

    def _holding(self, rows: int | None, take: Callable[[], T]) -> T:
        """Take from the rows when that many are here, or the result has ended."""
        connection = self._open_connection()
        self._check_current(connection)
        if self._lacks(rows):
            return connection._carry(self._fetching, rows, take)
        return take()

    def _fetching(self, how: Waiting, rows: int | None, take: Callable[[], T]) -> Steps[T]:
        connection = self._open_connection()
        if self._lacks(rows):
            yield from connection._step(how, self._reading(connection, rows))
        return take()

    def _row(self, end: Any) -> Any:
        rows, at, connection = self._rows, self._batch_at, self.connection
        if rows is None or at >= len(rows) or not connection or not self._is_current(connection):
            return self._holding(1, lambda: self._next_row(end))
        self._batch_at = at + 1
        self.rownumber += 1
        make = self._make
        return rows[at] if make is None else make(rows[at])

    def fetchone(self) -> Row | None:
        """Return the next row, None behind the last."""
        row: Row | None = self._row(None)
        return row

    def fetchmany(self, size: int | None = None) -> Rows[Row]:
        """Return the next ``size`` rows (default ``arraysize``), fewer at the end."""
        wanted = self.arraysize if size is None else size
        return self._holding(wanted, lambda: self._next_rows(wanted))

    def fetchall(self) -> Rows[Row]:
        """Return all rows that are left, in one list: that memory is not flat."""
        return self._holding(None, lambda: self._next_rows(None))

    def fetchall_unbuffered(self) -> Iterator[Row]:
        """Iterate over the rows that are left."""
        return iter(self)

    def read_next(self) -> Row | None:
        """Return the next row, None behind the last (PyMySQL's name)."""
        return self.fetchone()

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Skip rows forward; an unbuffered result knows no way back."""
        self._open_connection()._carry(self._skipping, self._forward(value, mode))

    def _skipping(self, how: Waiting, rows: int) -> Steps[None]:
        for _ in range(rows):
            if (yield from self._fetching(how, 1, lambda: self._next_row(END))) is END:
                raise IndexError("scroll() went past the last row")

    start_read_next = startable(read_next)


class FetchCursor(Fetching["Connection[Any]", Row], SSCursor[Row]):
    """A cursor over rows that wait at the server: what ``stream(fetch_size=...)`` iterates over."""

    def close(self) -> None:
        """Close it, and have the server's cursor closed in front of the next command."""
        self._free()
        super().close()


class DictCursor(DictRows, Cursor[dict[str, Any]]):
    """A cursor whose rows are dicts; a column name that occurs again is ``table.name``."""


class SSDictCursor(DictRows, SSCursor[dict[str, Any]]):
    """An unbuffered cursor whose rows are dicts."""


# Subclassed by programs written for PyMySQL.
DictCursorMixin = DictRows

__all__ = ["Cursor", "DictCursor", "DictCursorMixin", "FetchCursor", "SSCursor", "SSDictCursor"]
