"""What pipelines of all transports share: everything that does not wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from . import err
from .autoprepare import has_long_data, kept
from .basestatement import BaseStatement
from .constants import CR
from .procedures import out_params
from .protocol.columns import Column
from .protocol.needs import Conversation
from .protocol.params import Parameter, bind
from .protocol.pipelining import (
    MOST,
    Command,
    may_set,
    query_command,
    run_together,
    stays_in_transaction,
    takes_several,
)
from .protocol.query import discard, query, read_all_results
from .protocol.result import Description, Result
from .protocol.statements import check_count, execute, execute_command
from .protocol.transactions import hold_open
from .rows import Row, RowFactory, Rows

if TYPE_CHECKING:
    from .base import BaseConnection
    from .basetransactions import BaseTransactional

T = TypeVar("T")
Conn = TypeVar("Conn", bound="BaseTransactional")
OnError = Literal["raise", "keep"]
Maker = Callable[[Sequence[Column]], Callable[[tuple[Any, ...]], Any] | None]


class PipelineResult(Generic[Row]):
    """What came of one command of a pipeline: rows and counts, or its own error.

    Before the command was sent and answered, and when it failed, everything but ``done``,
    ``error``, ``index`` and ``statement`` raises that error.
    """

    def __init__(
        self,
        index: int,
        statement: str | bytes,
        cursor: Any,
        command: Command | None = None,
        at: int = 0,
    ) -> None:
        #: Number of the command in its pipeline, from 0.
        self.index = index
        #: The text that is sent, or that was prepared.
        self.statement = statement
        self._cursor = cursor
        self._command = command
        self._at = at
        self._rows: Any = None
        self._dropped = False
        self._more: tuple[PipelineResult[Any], ...] | None = None

    @property
    def done(self) -> bool:
        """True when the command was answered, be it by an error."""
        return self._command is not None and self._command.done

    @property
    def error(self) -> err.Error | None:
        """The command's own error; None when it succeeded.

        Its ``sent`` is False for a command that has not gone out.
        """
        command = self._command
        if command is not None and command.done:
            return command.error
        error: err.Error
        if command is not None and command.sent:
            error = err.OperationalError(
                CR.CR_CANCELED,
                "This command of the pipeline was sent and nobody waited for its answer: it may "
                "have run",
                sent=True,
            )
        elif self._dropped:
            error = err.InterfaceError(
                CR.CR_NO_RESULT_SET,
                "This command of the pipeline was dropped and never sent: what went wrong before "
                "was raised by the block or by flush(). Execute it again, in a new pipeline",
                sent=False,
            )
        else:
            error = err.InterfaceError(
                CR.CR_NO_RESULT_SET,
                "This command of the pipeline was not sent: flush() the pipeline, or leave its "
                "block",
                sent=False,
            )
        error.command_index = self.index
        return error

    def result(self) -> PipelineResult[Row]:
        """Return this object, or raise the command's own error."""
        self._answer()
        return self

    def _answer(self) -> Result:
        error = self.error
        if error is not None:
            raise error
        return self._results()[self._at]

    def _results(self) -> list[Result]:
        """All but the row of OUT parameters, which is none of the procedure's results."""
        assert self._command is not None
        found: list[Result] = self._command.result
        return [each for each in found if not each.is_out_params] or found

    @property
    def out_params(self) -> tuple[Any, ...] | None:
        """The OUT and INOUT parameters of a prepared CALL; None for anything else."""
        self._answer()
        assert self._command is not None
        for each in self._command.result:
            if each.is_out_params:
                return out_params(self._cursor.connection, each)
        return None

    @property
    def rows(self) -> Rows[Row]:
        """The rows, as ``Cursor.fetchall`` gives them; empty when there are none."""
        result = self._answer()
        if self._rows is None:
            make = self._cursor._row_maker(result.columns) if result.head is not None else None
            rows = result.rows if make is None else [make(row) for row in result.rows]
            self._rows = self._cursor._sequence(rows)
        rows_: Rows[Row] = self._rows
        return rows_

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @property
    def rowcount(self) -> int:
        """The number of rows selected or affected."""
        return self._answer().affected_rows

    @property
    def lastrowid(self) -> int:
        """The AUTO_INCREMENT value that the command generated, 0 if none."""
        return self._answer().insert_id

    @property
    def warning_count(self) -> int:
        """The number of warnings."""
        return self._answer().warning_count

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns with all the server said about them; empty without rows."""
        return self._answer().columns

    @property
    def description(self) -> Description | None:
        """The columns as PEP 249 has them; None without rows."""
        return self._answer().description

    @property
    def more(self) -> tuple[PipelineResult[Any], ...]:
        """The further results of a CALL or of several statements in one text."""
        self._answer()
        if self._more is None:
            self._more = tuple(
                PipelineResult(self.index, self.statement, self._cursor, self._command, at)
                for at in range(self._at + 1, len(self._results()))
            )
        return self._more

    def __repr__(self) -> str:
        state = "pending" if not self.done else "failed" if self.error is not None else "done"
        return f"<{type(self).__module__}.{type(self).__qualname__} {self.index} {state}>"


class _Text:
    """A text that waits to be sent; its charset and literals are those of the moment it goes."""

    def __init__(self, connection: BaseConnection, cursor: Any, sql: str | bytes, args: Any):
        if args is not None and not isinstance(sql, str):
            sql = bytes(sql).decode(connection.encoding)
        self._connection = connection
        self._cursor = cursor
        self._sql = sql
        self._args = kept(args)
        self.has_values = args is not None
        self._attributes = dict(connection.query_attributes)
        self._context = connection._context
        try:
            self.statement: str | bytes = cursor._mogrify(sql, args)
        except TypeError:
            if not has_long_data(args):
                raise
            raise TypeError(
                "a text in a pipeline takes no file or iterator as a parameter: use "
                "cursor.execute(), or a statement of conn.prepare()"
            ) from None
        self._bytes = connection._encode(self.statement)

    def sets(self) -> bool:
        return may_set(self._connection._session, self._bytes)

    def stays(self) -> bool:
        return stays_in_transaction(self._connection._session, self._bytes)

    def command(self, alone: bool) -> Command:
        session = self._connection._session
        if alone:
            return Command(0, b"", self._alone, alone=self._alone)
        return query_command(session, self._now(), self._attributes)

    def _now(self) -> bytes:
        connection = self._connection
        if connection._context is not self._context:
            self._context = connection._context
            self.statement = self._cursor._mogrify(self._sql, self._args)
            self._bytes = connection._encode(self.statement)
        return self._bytes

    def _alone(self) -> Conversation[list[Result]]:
        session = self._connection._session
        first = query(session, self._now(), attributes=self._attributes)
        return (yield from read_all_results(session, first))


class _Execution:
    """An execution of a prepared statement that waits to be sent."""

    has_values = False  # none that a setting of the session could change

    def __init__(self, connection: BaseConnection, statement: Any, args: Any) -> None:
        prepared = statement._open()
        values = statement._values(args)
        check_count(prepared, len(values))
        self._connection = connection
        self._source = statement  # which a program may drop meanwhile
        self._prepared = prepared
        self._values = tuple(values)
        self._context = connection._context
        self._parameters = bind(values, self._context)
        self._attributes = dict(connection.query_attributes)
        self.statement: str | bytes = statement.sql

    def sets(self) -> bool:
        return may_set(self._connection._session, self._prepared.text)

    def stays(self) -> bool:
        return stays_in_transaction(self._connection._session, self._prepared.text)

    def command(self, alone: bool) -> Command:
        session = self._connection._session
        command = None
        if not self._source.closed:
            command = execute_command(session, self._prepared, self._now(), self._attributes)
        return command or Command(0, b"", self._alone, alone=self._alone)

    def _now(self) -> list[Parameter]:
        connection = self._connection
        if connection._context is not self._context:
            self._context = connection._context
            self._parameters = bind(self._values, self._context)
        return self._parameters

    def _alone(self) -> Conversation[list[Result]]:
        session = self._connection._session
        prepared = self._source._open()
        first = execute(session, prepared, self._now(), attributes=self._attributes)
        return (yield from read_all_results(session, first))


def _drop(queue: list[tuple[PipelineResult[Any], Any]]) -> None:
    """Take note that nothing of it goes out any more."""
    for result, _ in queue:
        result._dropped = True


class BasePipeline(err.Classes, Generic[Conn, Row]):
    """Commands that wait to be sent, and the results of all."""

    def __init__(self, connection: Conn, on_error: OnError, timeout: float | None) -> None:
        if on_error not in ("raise", "keep"):
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER, f"on_error={on_error!r} is neither 'raise' nor 'keep'"
            )
        self.connection: Conn = connection
        self._on_error = on_error
        self._timeout = timeout
        self._closed = False
        self._queue: list[tuple[PipelineResult[Any], _Text | _Execution]] = []
        self._cursor = connection._make_cursor(None, None)
        #: What came of each command, in the order of their ``execute()``.
        self.results: list[PipelineResult[Any]] = []

    @overload
    def execute(
        self, query: BaseStatement[Any, T], args: Any = None, *, row_factory: None = None
    ) -> PipelineResult[T]: ...
    @overload
    def execute(
        self, query: str | bytes, args: Any = None, *, row_factory: None = None
    ) -> PipelineResult[Row]: ...
    @overload
    def execute(
        self,
        query: str | bytes | BaseStatement[Any, Any],
        args: Any = None,
        *,
        row_factory: RowFactory[T],
    ) -> PipelineResult[T]: ...
    def execute(
        self,
        query: str | bytes | BaseStatement[Any, Any],
        args: Any = None,
        *,
        row_factory: RowFactory[Any] | None = None,
    ) -> PipelineResult[Any]:
        """Queue a statement and return what will hold its result. Nothing is sent.

        query: SQL with placeholders of the connection's ``paramstyle``, or a statement that this
            connection prepared.
        args: tuple, list or dict, as for ``Cursor.execute``; the values are taken now. Files and
            iterators only for a statement that was prepared; they are read when it goes out.
        row_factory: see ``pymy.rows``; default the statement's or the connection's.
        Raises what is wrong with the parameters, and InterfaceError behind the end of the block.
        """
        if self._closed:
            raise err.InterfaceError(
                CR.CR_BAD_PARAMETER, "The block of this pipeline has ended: make a new one"
            )
        connection = self.connection
        cursor = self._cursor
        entry: _Text | _Execution
        if isinstance(query, BaseStatement):
            if query.connection is not connection:
                raise err.ProgrammingError(
                    CR.CR_BAD_PARAMETER, "The statement was prepared by another connection"
                )
            entry = _Execution(connection, query, args)
            row_factory = row_factory or query.row_factory
        else:
            entry = _Text(connection, cursor, query, args)
        if row_factory is not None:
            cursor = connection._make_cursor(None, row_factory)
        result: PipelineResult[Any] = PipelineResult(len(self.results), entry.statement, cursor)
        self.results.append(result)
        self._queue.append((result, entry))
        return result

    @property
    def errors(self) -> list[err.Error]:
        """The errors of the commands that failed, in order; each knows its ``command_index``."""
        return [each.error for each in self.results if each.done and each.error is not None]

    def _end(self, failed: bool) -> bool:
        """Close, and tell whether something is to be sent: not behind an exception."""
        self._closed = True
        if failed:
            _drop(self._queue)
            self._queue.clear()
        return bool(self._queue)

    # -- conversations

    def _flushing(self) -> Conversation[None]:
        connection = self.connection
        session = connection._session
        queue, self._queue = self._queue, []
        try:
            yield from discard(session)
            several = takes_several(session) and len(queue) > 1
            at_risk = connection.in_transaction and connection.get_autocommit()
            guarded = several and at_risk and self._may_hold_open(queue)
            several = several and (guarded or not at_risk)
            commands = self._commands(queue, whole=at_risk and not guarded)
            if guarded and not session.autocommit_due:
                commands = chain((hold_open(session),), commands)
            yield from run_together(session, commands, session.ways, most=MOST if several else 1)
        finally:
            failed = [result for result, _ in queue if result.done and result.error is not None]
            for result in failed:
                assert result.error is not None
                result.error.command_index = result.index
            _drop(queue)
        if failed and self._on_error == "raise":
            raise failed[0].error  # type: ignore[misc]

    def _may_hold_open(self, queue: list[tuple[PipelineResult[Any], Any]]) -> bool:
        """Tell whether autocommit may be off until the transaction ends.

        Not where a statement of the program may end it: those behind it are to be committed. And
        the server must tell when the program itself sets autocommit.
        """
        connection = self.connection
        tells = "autocommit" in connection._session.variables
        return tells and connection._ends_by_itself() and all(entry.stays() for _, entry in queue)

    def _commands(
        self, queue: list[tuple[PipelineResult[Any], Any]], whole: bool
    ) -> Iterator[Command]:
        """Make the commands; ``whole`` ends them where the server rolls the transaction back."""
        self.connection._catch_up()
        session = self.connection._session
        rollbacks = session.rollbacks
        unsure = False  # how literals are read: a SET before is not answered
        for result, entry in queue:
            if whole and session.rollbacks != rollbacks:
                return
            alone = unsure and entry.has_values
            result._command = command = entry.command(alone)
            result.statement = entry.statement
            unsure = (unsure and command.alone is None) or entry.sets()
            yield command

    def __repr__(self) -> str:
        kind = f"{type(self).__module__}.{type(self).__qualname__}"
        return f"<{kind} {len(self.results)} commands, {len(self._queue)} of them not sent>"


__all__ = ["BasePipeline", "OnError", "PipelineResult"]
