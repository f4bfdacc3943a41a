"""What the cursors of all transports share: everything that does not wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import autoprepare, err
from .autoprepare import Sent
from .constants import CR
from .manyrows import MOST, executing_many
from .procedures import Call, out_params, read_ahead
from .protocol.bulk import RowResult
from .protocol.columns import Column
from .protocol.inputtypes import wanted
from .protocol.needs import Conversation
from .protocol.query import discard, fetch_batch, next_result, query
from .protocol.result import Description, Result
from .protocol.state import READY
from .rows import Row, RowFactory, Rows, unique_names
from .sql import interpolate

if TYPE_CHECKING:
    from .base import BaseConnection

# What stands behind the last row; None may be a row, of a factory's making.
END = object()

Conn = TypeVar("Conn", bound="BaseConnection")


class BaseCursor(err.Classes, Generic[Conn, Row]):
    """Parameters, description and the rows that are already here."""

    #: Largest command in bytes that ``executemany`` builds of several rows.
    max_stmt_length = MOST

    _streams = False
    _batch_at = 0
    _wants_more = False
    _command = -1

    def __init__(self, connection: Conn, row_factory: RowFactory[Row] | None = None) -> None:
        self.connection: Conn = connection
        self.arraysize = 1
        self.row_factory = row_factory
        self.description: Description | None = None
        self.rowcount = -1
        self.rownumber = 0
        self.lastrowid: int | None = 0
        self.warning_count = 0
        self.results: list[RowResult] | None = None
        #: The values of a prepared CALL's OUT and INOUT parameters, once its results were read.
        self.out_params: tuple[Any, ...] | None = None
        self._input_types: tuple[int | None, ...] = ()
        self._ahead: deque[Result | err.Error] = deque()
        self._sent: str | bytes | Sent | None = None
        self._result: Result | None = None
        self._rows: Any = None

    def _open_connection(self) -> Conn:
        if self.connection is None:
            raise err.ProgrammingError(
                CR.CR_CURSOR_CLOSED, "The cursor is closed: make a new one", sent=False
            )
        return self.connection

    # -- statements

    def mogrify(self, query: str | bytes, args: Any = None) -> str | bytes:
        """Return the exact text that ``execute`` would send. Nothing is sent."""
        self._open_connection()
        return self._mogrify(query, args)

    def _mogrify(self, sql: str | bytes, args: Any) -> str | bytes:
        if args is None:
            return sql
        connection = self.connection
        if not isinstance(sql, str):
            sql = bytes(sql).decode(connection.encoding)
        return interpolate(
            sql, args, paramstyle=connection._options.paramstyle, context=connection._context
        )

    # -- conversations

    def _executing(self, connection: Conn, sql: str | bytes, args: Any) -> Conversation[int]:
        session = connection._session
        if session.state is not READY:
            # first, since what is left may hold a change of the SQL mode that literals depend on
            yield from discard(session)
        if session.statements is not None:
            self._take(connection, (yield from autoprepare.executing(self, connection, sql, args)))
            return self.rowcount
        try:
            self._sent = text = self._mogrify(sql, args)
        except TypeError:
            if not autoprepare.has_long_data(args):
                raise
            once = autoprepare.executing_once(self, connection, sql, args)
            self._take(connection, (yield from once))
            return self.rowcount
        result = yield from query(
            session,
            connection._encode(text),
            stream=self._streams,
            attributes=connection.query_attributes,
        )
        self._take(connection, result)
        return self.rowcount

    def _executing_many(
        self, connection: Conn, sql: str | bytes, args: Iterable[Any], results: bool
    ) -> Conversation[int | None]:
        tally = yield from executing_many(self, connection, sql, args, results)
        if tally.result is None:
            return None
        self._take(connection, tally.result)
        self.rowcount = tally.affected
        return tally.affected

    def _calling(
        self, connection: Conn, procname: str, args: Iterable[Any]
    ) -> Conversation[Iterable[Any]]:
        yield from discard(connection._session)
        args = args if isinstance(args, Sequence) else tuple(args)
        call = Call(procname, args, connection._context)
        if call.names:
            yield from self._executing(connection, call.setting, None)
        yield from self._executing(connection, call.text, None)
        if self._streams or not call.names:
            return args
        self._ahead = yield from read_ahead(connection._session)
        if any(isinstance(result, err.Error) for result in self._ahead):
            return args
        return (yield from call.reading(connection))

    def _from_ahead(self) -> bool:
        """Go to a result that was read before it was asked for."""
        result = self._ahead.popleft()
        if isinstance(result, err.Error):
            raise result
        self._take(self._open_connection(), result)
        self._command = -1  # nothing of it is on the line any more
        return True

    def _advancing(self, connection: Conn) -> Conversation[bool | None]:
        if not self._has_more(connection):  # any more: it may have waited in line
            return None
        following = yield from next_result(connection._session, stream=self._streams)
        if following is None:
            return None
        self._take(connection, (yield from self._behind_out_params(connection, following)))
        return True

    def _behind_out_params(self, connection: Conn, result: Result) -> Conversation[Result]:
        """Keep the row of OUT parameters, which is none of the procedure's results."""
        if not result.is_out_params:
            return result
        self.out_params = out_params(connection, result)
        return (yield from next_result(connection._session)) or result

    def _closing(self, connection: Conn) -> Conversation[None]:
        if self._has_more(connection):
            yield from discard(connection._session)

    def _is_current(self, connection: Conn) -> bool:
        """Tell whether no other command has gone out since this cursor's."""
        return connection._session.command_number == self._command

    def _has_more(self, connection: Conn) -> bool:
        """Tell whether the server holds more of this cursor's statement."""
        result = self._result
        if result is None or not self._is_current(connection):
            return False
        return result.unread or result.has_next

    # -- results

    def _start(self) -> Conn:
        """Forget the last result; a cursor's own unread rows are dropped without a warning."""
        connection = self._open_connection()
        if not self._is_current(connection):
            connection._warn_unread()
        self._drop_result()
        return connection

    def _drop_result(self) -> None:
        self._result = None
        self._rows = None
        self.out_params = None
        self._ahead.clear()
        self._batch_at = 0
        self._wants_more = False
        self.results = None
        self.description = None
        self.rownumber = 0

    def _take(self, connection: Conn, result: Result) -> None:
        self._result = connection._result = result
        self._command = connection._session.command_number
        self.description = result.description
        self.rowcount = result.affected_rows
        self.lastrowid = result.insert_id
        self.warning_count = result.warning_count
        self.rownumber = 0
        self._rows = None
        if result.head is not None:
            make = self._row_maker(result.columns)
            self._make = make
            self._rows = self._made(result.rows)

    def _made(self, rows: list[tuple[Any, ...]]) -> list[Any]:
        return rows if self._make is None else [self._make(row) for row in rows]

    def _row_maker(self, columns: tuple[Column, ...]) -> Callable[[tuple[Any, ...]], Any] | None:
        """Return what makes a row of a tuple; None for the tuple itself."""
        return None if self.row_factory is None else self.row_factory(columns)

    _make: Callable[[tuple[Any, ...]], Any] | None = None

    def _check_result(self) -> Any:
        self._open_connection()
        if self._result is None and self._sent is None:
            raise err.ProgrammingError(
                CR.CR_NO_RESULT_SET,
                "Nothing was executed on this cursor yet: call execute()",
                sent=False,
            )
        return self._rows if self._rows is not None else ()

    def _next_row(self, end: Any = None) -> Any:
        rows = self._check_result()
        if self.rownumber >= len(rows):
            return end
        row = rows[self.rownumber]
        self.rownumber += 1
        return row

    def _next_rows(self, count: int | None) -> Rows[Row]:
        rows = self._check_result()
        start = self.rownumber
        stop = len(rows) if count is None else min(start + max(count, 0), len(rows))
        if start >= stop:
            return ()
        self.rownumber = stop
        chosen = rows if stop - start == len(rows) else rows[start:stop]
        made: Rows[Row] = self._sequence(chosen)
        return made

    #: What several rows are handed out in; PyMySQL's dict cursors give lists.
    _sequence: type[Any] = tuple

    def _scroll(self, value: int, mode: str) -> None:
        rows = self._check_result()
        if mode == "relative":
            place = self.rownumber + value
        elif mode == "absolute":
            place = value
        else:
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                f"scroll mode {mode!r} is unknown: use 'relative' or 'absolute'",
            )
        if not 0 <= place < len(rows):
            raise IndexError(f"scroll to row {place} of a result with {len(rows)} rows")
        self.rownumber = place

    def setinputsizes(self, *args: Any) -> None:
        """Say which types the parameters of ``execute()`` have, until this is called again.

        It counts where cursors prepare (see the option ``prepare``) and never in text: with "auto",
        too, such a statement is prepared at its first execution, wherever "always" would.

        args: an entry for each parameter, or one sequence of them: ``STRING``, ``BINARY``,
            ``NUMBER``, ``DATE``, ``TIME``, ``DATETIME``, or a ``FieldType``; None and a length
            leave the type to the value. What has no such form goes as it would without.
        """
        sizes = args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args
        self._input_types = tuple(map(wanted, sizes))

    def setoutputsizes(self, *args: Any) -> None:
        """Do nothing: columns of any size are read whole."""

    setoutputsize = setoutputsizes

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the current result with all the server said about them."""
        return self._result.columns if self._result is not None else ()

    @property
    def _executed(self) -> str | bytes | None:
        sent = self._sent
        return sent.text() if isinstance(sent, Sent) else sent

    @_executed.setter
    def _executed(self, text: str | bytes | None) -> None:
        self._sent = text

    @property
    def statement(self) -> str | bytes | None:
        """The text that was sent last."""
        return self._executed


class Unbuffered(BaseCursor[Conn, Row]):
    """The non-waiting part of a cursor that holds one batch of rows at a time."""

    _streams = True

    def _take(self, connection: Conn, result: Result) -> None:
        super()._take(connection, result)
        # a list of its own: the result's must not grow with the stream
        self._rows = None if self._rows is None else list(result.rows)
        self._batch_at = 0
        # not the result's own mark: another command may have dropped the rows
        self._wants_more = result.unread

    def _lacks(self, rows: int | None) -> bool:
        """Tell whether fewer rows than that are here and the end was not seen."""
        if self._result is None or not self._wants_more:
            return False
        return rows is None or self._held() < rows

    def _reading(self, connection: Conn, rows: int | None) -> Conversation[None]:
        while self._lacks(rows):
            result = self._result
            if result is None or not self._is_current(connection) or not result.unread:
                raise self._overtaken()
            try:
                batch = yield from fetch_batch(connection._session)
            except err.Error as exc:
                if connection._session.abandoned:
                    result.failure = exc  # nobody heard it, and rows that lack are not the end
                raise
            finally:
                self._wants_more = result.unread
            self._add(batch)

    def _held(self) -> int:
        return len(self._check_result()) - self._batch_at

    def _add(self, rows: list[tuple[Any, ...]]) -> None:
        if self._batch_at:
            del self._rows[: self._batch_at]
            self._batch_at = 0
        self._rows += rows
        if self._result is not None and not self._result.unread:
            self.warning_count = self._result.warning_count

    def _check_current(self, connection: Conn) -> None:
        """Refuse to go on behind another command, however many rows are here by chance."""
        if not self._is_current(connection) and (self._held() or self._wants_more):
            raise self._overtaken()

    def _next_row(self, end: Any = None) -> Any:
        if not self._held():
            self._raise_failure()
            return end
        row = self._rows[self._batch_at]
        self._batch_at += 1
        self.rownumber += 1
        return row if self._make is None else self._make(row)

    def _next_rows(self, count: int | None) -> Rows[Row]:
        self._check_result()
        if self._rows is None:
            return []
        if count is None or not self._held():
            self._raise_failure()
        stop = len(self._rows) if count is None else self._batch_at + max(count, 0)
        rows = self._rows[self._batch_at : stop]
        made = self._made(rows)
        self._batch_at += len(rows)
        self.rownumber += len(rows)
        return made

    def _raise_failure(self) -> None:
        """Raise what ended the result early, behind the rows that came before it."""
        if self._result is not None and self._result.failure is not None:
            failure, self._result.failure = self._result.failure, None
            raise failure

    def _forward(self, value: int, mode: str) -> int:
        if mode not in ("relative", "absolute"):
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                f"scroll mode {mode!r} is unknown: use 'relative' or 'absolute'",
            )
        steps = value if mode == "relative" else value - self.rownumber
        if steps < 0:
            raise err.NotSupportedError(
                CR.CR_NOT_SUPPORTED,
                "An unbuffered cursor cannot scroll back: use Cursor, or execute again",
            )
        return steps

    def _overtaken(self) -> err.Error:
        return err.InterfaceError(
            CR.CR_FETCH_CANCELED,
            "The rows of this unbuffered cursor were dropped by a later command on its connection: "
            "read them first, or use a second connection",
        )


class DictRows:
    """Makes rows dicts; ``dict_type`` may be another mapping class."""

    dict_type: Any = dict
    _sequence = list

    def _row_maker(self, columns: tuple[Column, ...]) -> Callable[[tuple[Any, ...]], Any]:
        factory = getattr(self, "row_factory", None)
        if factory is not None:
            made: Callable[[tuple[Any, ...]], Any] = factory(columns)
            return made
        names = unique_names(columns)
        make = self.dict_type
        return lambda row: make(zip(names, row, strict=True))
