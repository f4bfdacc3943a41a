"""What prepared statements of all transports share: everything that does not wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from . import err
from .basefetching import Fetching
from .constants import CR
from .manyrows import Room, Rows, at_row, counting, named
from .protocol.bulk import Tally, Written, indicated, is_bulk
from .protocol.columns import Column
from .protocol.needs import Conversation
from .protocol.params import bind
from .protocol.query import discard
from .protocol.servercursor import MOST_ROWS, open_cursor
from .protocol.statements import MOST_PARAMETERS, Prepared, check_count, execute, prepare
from .rows import Row, RowFactory
from .sql import ParamStyle, in_order, marked

if TYPE_CHECKING:
    from .base import BaseConnection
    from .basecursor import BaseCursor

Conn = TypeVar("Conn", bound="BaseConnection")


def checked_size(fetch_size: int) -> int:
    """Refuse what is no number of rows."""
    if isinstance(fetch_size, bool) or not isinstance(fetch_size, int):
        raise TypeError(f"fetch_size is a number of rows, not {type(fetch_size).__name__}")
    if not 0 < fetch_size <= MOST_ROWS:
        raise err.ProgrammingError(
            CR.CR_BAD_PARAMETER,
            f"fetch_size is {fetch_size}: say how many rows a round trip brings, 1 to {MOST_ROWS}",
            sent=False,
        )
    return fetch_size


class BaseStatement(err.Classes, Generic[Conn, Row]):
    """A statement that the server has parsed; ``conn.prepare()`` makes one.

    It belongs to the connection that prepared it, and is prepared again by itself after a
    reconnect or a reset.
    """

    def __init__(
        self,
        connection: Conn,
        sql: str | bytes,
        row_factory: RowFactory[Any] | None = None,
        *,
        style: ParamStyle | None = None,
    ) -> None:
        self.connection: Conn = connection
        self.row_factory = row_factory
        style = style or connection._options.paramstyle
        if not isinstance(sql, str):
            sql = bytes(sql).decode(connection.encoding)
        self._sql = sql
        self._marked = marked(sql, style, connection._context)
        self._prepared: Prepared | None = Prepared(connection._encode(self._marked.text))
        self._spare: Prepared | None = None

    @classmethod
    def once(cls, connection: Conn, sql: str | bytes, args: Any, row_factory: Any) -> Self:
        """Make one, not prepared yet, of what a cursor would execute."""
        # without args no percent sign is a placeholder
        return cls(connection, sql, row_factory, style="qmark" if args is None else None)

    @property
    def sql(self) -> str:
        """The text as it was given."""
        return self._sql

    @property
    def param_count(self) -> int:
        """The number of parameters, as the server counts them."""
        return self._open().param_count

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns a result will have, as far as the server knows them beforehand.

        What ``execute()`` brings may differ: after an ALTER TABLE, and on MariaDB for ``RETURNING``
        and ``CALL``.
        """
        return self._open().columns

    @property
    def closed(self) -> bool:
        """True behind ``close()``."""
        return self._prepared is None

    def close(self) -> None:
        """Close the statement; harmless when it is closed.

        Nothing is sent now: COM_STMT_CLOSE goes in front of the connection's next command.
        """
        closing, self._prepared, self._spare = (self._prepared, self._spare), None, None
        for prepared in closing:
            if prepared is not None:
                prepared.close()

    def __del__(self) -> None:
        if hasattr(self, "_spare"):
            self.close()

    def _cursor(self, *, stream: bool = False, fetch_size: int | None = None) -> Any:
        """Make the cursor that holds a result."""
        connection, factory = self.connection, self.row_factory
        if fetch_size is not None:
            cursor = connection._fetch_cursor(factory)
            cursor._statement, cursor._fetch_size = self, checked_size(fetch_size)
        elif stream:
            cursor = connection._stream_cursor(factory)
        else:
            cursor = connection._make_cursor(None, factory)
        cursor._start()
        return cursor

    def _lend(self) -> Prepared:
        """Give what one server-side cursor is opened for: another one would close it."""
        spare, self._spare = self._spare, None
        return spare or Prepared(self._open().text, describe=False)

    def _take_back(self, prepared: Prepared) -> None:
        """Keep it for the next cursor; this one's must have ended."""
        if self._prepared is None or self._spare is not None:
            prepared.close()
        else:
            self._spare = prepared

    def _open(self) -> Prepared:
        if self._prepared is None:
            raise err.InterfaceError(
                CR.CR_STMT_CLOSED, "The statement is closed: prepare it again", sent=False
            )
        return self._prepared

    def _values(self, args: Any) -> Sequence[Any]:
        if args is None:
            args = ()
        if self._marked.names is not None:
            return in_order(self._marked, args, self.connection._options.paramstyle)
        if isinstance(args, (tuple, list)):
            return args
        return in_order(self._marked, args, "qmark")

    # -- conversations

    def _preparing(self) -> Conversation[None]:
        prepared = self._open()
        self._check_size()
        yield from prepare(self.connection._session, prepared)

    def _check_size(self) -> None:
        if self._marked.size > MOST_PARAMETERS:
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                f"the statement has {self._marked.size} parameters, the protocol counts to "
                f"{MOST_PARAMETERS}: split it",
                sent=False,
            )

    def _executing(self, cursor: BaseCursor[Any, Any], args: Any) -> Conversation[None]:
        if isinstance(cursor, Fetching):
            return (yield from self._opening(cursor, args))
        connection, prepared = self.connection, self._open()
        parameters = bind(self._counted(args), connection._context)
        cursor._sent = self._sql
        connection._catch_up()
        result = yield from execute(
            connection._session,
            prepared,
            parameters,
            stream=cursor._streams,
            attributes=connection.query_attributes,
        )
        cursor._take(connection, (yield from cursor._behind_out_params(connection, result)))

    def _opening(self, cursor: Fetching[Any, Any], args: Any) -> Conversation[None]:
        connection = self.connection
        self._check_size()
        cursor._prepared = prepared = self._lend()
        cursor._sent = self._sql
        parameters = bind(self._values(args), connection._context)
        if prepared.lives(connection._session):
            check_count(prepared, len(parameters))
        connection._catch_up()
        session = connection._session
        try:
            result = yield from open_cursor(
                session, prepared, parameters, attributes=connection.query_attributes
            )
            if session.abandoned:  # nobody gets it
                raise session.canceled()
        except BaseException:
            prepared.close()
            raise
        cursor._take(connection, result)

    def _executing_many(self, args: Iterable[Any]) -> Conversation[int]:
        connection = self.connection
        self._open()
        session = connection._session
        yield from discard(session)
        rows, tally, room = Rows(args), Tally(), Room(connection)
        try:
            with counting(session, rows):
                yield from self._each_row(rows, tally, room)
        except err.Error as exc:
            yield from named(session, rows, self._sql, exc)
            raise
        return tally.affected

    def _each_row(self, rows: Rows, tally: Tally, room: Room) -> Conversation[None]:
        connection, prepared = self.connection, self._open()
        session = connection._session
        while not rows.ended:
            if is_bulk(session) and prepared.bulk:
                yield from room.in_bulk(prepared, rows, self._written, tally)
            for row in islice(rows, 1):
                try:
                    parameters = bind(self._counted(row), connection._context)
                except Exception as exc:
                    at_row(exc, rows.taken - 1)
                    raise
                rows.sent = range(rows.taken - 1, rows.taken)
                attributes = connection.query_attributes
                tally.add(
                    (yield from execute(session, prepared, parameters, attributes=attributes))
                )
                yield from discard(session)

    def _written(self, row: Any) -> list[Written]:
        return indicated(self._counted(row), self.connection._context)

    def _counted(self, args: Any) -> Sequence[Any]:
        values = self._values(args)
        check_count(self._open(), len(values))
        return values

    def __repr__(self) -> str:
        state = "closed" if self._prepared is None else f"{self.param_count} parameters"
        shown = self._sql if len(self._sql) < 60 else f"{self._sql[:57]}..."
        return f"<{type(self).__module__}.{type(self).__qualname__} {shown!r}, {state}>"
