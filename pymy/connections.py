"""The blocking connection."""

from __future__ import annotations

import socket
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Self,
    TypeVar,
    Unpack,
    overload,
)

from . import err
from .basecursor import DictRows
from .basefetching import factory_for
from .commands import Commands
from .constants import CR
from .cursors import Cursor, DictCursor, FetchCursor, SSCursor, SSDictCursor
from .dialling import BLOCKING, dialling
from .nonblocking import Pending, Resolver, startable
from .options import Options, from_call
from .protocol import commands, handshake
from .protocol.needs import Conversation
from .protocol.result import Result
from .protocol.state import CLOSED, CONNECTING, READY
from .rows import Row, RowFactory
from .statements import Statement
from .transport import SocketTransport
from .waiting import Deadline, Steps, Waiting, finish

if TYPE_CHECKING:
    from .options.typed import ConnectOptions

T = TypeVar("T")
C = TypeVar("C", bound="Cursor[Any]")
P = ParamSpec("P")


class Connection(Commands, Generic[Row]):
    """A connection to a MySQL or MariaDB server that waits by blocking.

    Connecting takes the handshake's round trips and one statement. One thread at a time may use a
    connection. A context manager: leaving it closes, which rolls an open transaction back.

    dsn: ``mysql://user:password@host:port/database?option=value``, or a host; host, user, password
        and database may follow by position as in mysqlclient.
    options: see ``pymy.options.Options``; PyMySQL's and mysqlclient's names work.

    Raises OperationalError when the server cannot be reached or refuses the login.

    Source: https://peps.python.org/pep-0249/#connection-objects
    """

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: Connection[tuple[Any, ...]],
            dsn: str | None = None,
            *positional: Any,
            **options: Unpack[ConnectOptions],
        ) -> None: ...
        @overload
        def __init__(
            self: Connection[T],
            dsn: str | None = None,
            *positional: Any,
            row_factory: RowFactory[T],
            cursorclass: type[Cursor[Any]] = ...,
            **options: Unpack[ConnectOptions],
        ) -> None: ...
        @overload
        def __init__(
            self: Connection[T],
            dsn: str | None = None,
            *positional: Any,
            cursorclass: type[Cursor[T]],
            **options: Unpack[ConnectOptions],
        ) -> None: ...

    def __init__(self, dsn: str | None = None, *positional: Any, **options: Any) -> None:
        # first of all, so that __del__ of a half-made object finds it
        self._transport: SocketTransport | None = None
        super().__init__(from_call(dsn, positional, options))
        self.cursorclass: type[Cursor[Any]] = self._options.cursorclass or Cursor
        if not self._options.defer_connect:
            self.connect()

    # -- link

    #: What ``pymy.nonblocking`` began on this connection and did not finish.
    _pending: Pending | None = None
    #: How its ``connect`` and ``ping`` look a host's addresses up.
    _resolver: Resolver | None = None

    def connect(self, sock: socket.socket | None = None) -> None:
        """Connect, also again after ``close()``.

        The constructor does it unless ``defer_connect`` is True.

        sock: an open socket to use instead of dialling; the connection owns it from now on.
        """
        if self.open and self._pending is None:  # else _carry() names what is pending
            raise err.InterfaceError(
                CR.CR_BAD_PARAMETER, "The connection is open already: close() it first"
            )
        self._carry(self._connecting, self._live, sock)

    def _connecting(
        self, how: Waiting, options: Options, sock: socket.socket | None = None
    ) -> Steps[None]:
        deadline = Deadline(options.connect_timeout, "connect_timeout")
        credentials = self._credentials()
        session = self._begin_session()
        # by a weak reference: a cycle would put __del__ off until garbage is collected
        me = weakref.proxy(self)
        link = sock or (yield from dialling(how, options, deadline))
        transport = SocketTransport(link, options, lambda: me._credentials())
        session.local = transport.local
        self._transport = transport
        try:
            login = handshake.connect(session, options, credentials)
            yield from how.run(transport, session, login, deadline)
        except BaseException:
            self._drop()
            raise

    def _run(self, conversation: Conversation[T], timeout: float | None = None) -> T:
        """Carry a conversation to its end; ``timeout`` seconds for all of it."""
        deadline = Deadline.of_call(timeout)
        transport = self._link_for(conversation)
        return transport.run(self._session, conversation, deadline)

    def _carry(
        self,
        steps: Callable[Concatenate[Waiting, P], Steps[T]],
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        """Take the steps of a method that does more than carry one conversation."""
        return finish(steps(BLOCKING, *args, **options))

    def _step(self, how: Waiting, conversation: Conversation[T]) -> Steps[T]:
        link = self._link_for(conversation)
        return (yield from how.run(link, self._session, conversation, None))

    def _link_for(self, conversation: Conversation[Any]) -> SocketTransport:
        transport = self._transport
        self._check_process()
        if transport is None or not (self._session.usable() or self._session.unclean):
            conversation.close()
            raise self._unusable()
        return transport

    def _unusable(self) -> err.Error:
        if self._transport is None and self._session.state is CONNECTING:
            return err.InterfaceError(
                CR.CR_SERVER_GONE_ERROR, "Not connected: call connect() first", sent=False
            )
        return self._session.unusable()

    def close(self) -> None:
        """Say goodbye (COM_QUIT, no answer) and close the link; an open transaction is rolled back.

        In the middle of an operation of ``pymy.nonblocking`` the link is closed without a word.
        Raises InterfaceError when the connection was closed before.
        """
        if self._pending is not None:
            return self.abort()
        if self._session.state is CLOSED or self._transport is None:
            raise err.InterfaceError(CR.CR_CONNECTION_CLOSED, "Already closed", sent=False)
        if self._is_forked:
            transport, self._transport = self._transport, None
            self._session.move(CLOSED)
            return transport.close()
        self._carry(self._quitting)

    def _quitting(self, how: Waiting) -> Steps[None]:
        transport, self._transport = self._transport, None
        assert transport is not None
        session = self._session
        if session.unclean:
            session.cut()  # whoever closes does not wait for what nobody wants
        try:
            with suppress(err.Error, OSError):
                # a server that reads nothing must not keep the program from leaving
                deadline = Deadline(1.0, "close")
                yield from how.run(transport, session, commands.quit_(session), deadline)
        finally:
            if session.state is not CLOSED:
                session.move(CLOSED)
                transport.shut_down()
            transport.close()

    def abort(self) -> None:
        """Close the socket at once, without a word; a running statement goes on at the server."""
        if self._pending is not None:
            self._pending.abort()
        self._drop()

    def _drop(self) -> None:
        transport, self._transport = self._transport, None
        if self._session.state is not CLOSED:
            self._session.move(CLOSED)
        if transport is not None:
            if not self._is_forked:
                transport.shut_down()
            transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._transport is not None:
            self.close()

    def __del__(self) -> None:
        transport = getattr(self, "_transport", None)
        if transport is not None:
            try:
                if not self._is_forked and self.open:
                    warnings.warn(f"unclosed {self!r}: call close()", ResourceWarning, 2, self)
            finally:
                transport.close()

    def is_alive(self) -> bool:
        """Tell whether the connection looks usable: at rest, its line silent. Nothing is sent.

        An idle server says nothing: bytes or an end mean that it is gone or out of step.
        """
        transport, session = self._transport, self._session
        return (
            transport is not None
            and session.state is READY
            and not session.held
            and transport.is_silent()
        )

    def fileno(self) -> int:
        """Return the socket's file descriptor."""
        if self._transport is None:
            raise self._session.unusable()
        return self._transport.fileno()

    @property
    def _sock(self) -> socket.socket | None:
        return self._transport.sock if self._transport is not None else None

    def ping(self, reconnect: bool = False) -> None:
        """Ask the server whether this connection works.

        Sends COM_PING: one round trip.

        reconnect: connect anew when it does not; transactions, temporary tables, locks and user
            variables of the old session are gone then.
        Raises OperationalError 2013 or InterfaceError when it does not; the connection is closed.
        """
        if reconnect:
            self._carry(self._reviving)
        else:
            self._run(commands.ping(self._session))

    def _reviving(self, how: Waiting) -> Steps[None]:
        try:
            yield from self._step(how, commands.ping(self._session))
        except err.Error:
            if self.open:  # busy with a command of another thread
                raise
            self._drop()
            yield from self._connecting(how, self._live)

    # -- statements

    @overload
    def cursor(self, cursor: None = None) -> Cursor[Row]: ...
    @overload
    def cursor(self, cursor: type[C]) -> C: ...
    @overload
    def cursor(self, cursor: type[SSCursor[Any]], *, row_factory: RowFactory[T]) -> SSCursor[T]: ...
    @overload
    def cursor(
        self, cursor: type[Cursor[Any]] | None = None, *, row_factory: RowFactory[T]
    ) -> Cursor[T]: ...
    def cursor(
        self,
        cursor: type[Cursor[Any]] | None = None,
        *,
        row_factory: RowFactory[Any] | None = None,
    ) -> Any:
        """Make a cursor of class ``cursor``, default the connection's ``cursorclass``.

        row_factory: see ``pymy.rows``; default the connection's. Nothing is sent.
        """
        return self._make_cursor(cursor, row_factory)

    def execute(
        self, query: str | bytes, args: Any = None, *, timeout: float | None = None
    ) -> Cursor[Row]:
        """Run a statement on a new cursor and return the cursor. See ``Cursor.execute``."""
        cursor = self.cursor()
        cursor.execute(query, args, timeout=timeout)
        return cursor

    def _stream_cursor(self, row_factory: Any) -> Any:
        dicts = issubclass(self.cursorclass, DictRows)
        return self._make_cursor(SSDictCursor if dicts else SSCursor, row_factory)

    def _fetch_cursor(self, row_factory: Any) -> Any:
        return self._make_cursor(FetchCursor, factory_for(self.cursorclass, row_factory))

    @overload
    def stream(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        row_factory: None = None,
        fetch_size: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[Row]: ...
    @overload
    def stream(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        row_factory: RowFactory[T],
        fetch_size: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[T]: ...
    def stream(
        self,
        query: str | bytes,
        args: Any = None,
        *,
        row_factory: RowFactory[Any] | None = None,
        fetch_size: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[Any]:
        """Iterate over a result in flat memory.

        The statement is sent when the first row is asked for, in one round trip; more is read as
        the rows are used. ``timeout`` seconds bound the first answer. Leaving the loop early closes
        the cursor: little is read to its end, much is killed. See ``SSCursor``.

        fetch_size: rows of one round trip. The statement is prepared then and its rows wait at the
            server: other statements can run before the loop ends. See ``Statement.stream``.
        """
        if fetch_size is not None:
            with Statement.once(self, query, args, row_factory) as statement:
                yield from statement.stream(args, fetch_size=fetch_size, timeout=timeout)
            return
        cursor = self._stream_cursor(row_factory)
        with cursor:
            cursor.execute(query, args, timeout=timeout)
            yield from cursor

    @overload
    def prepare(self, sql: str | bytes, *, row_factory: None = None) -> Statement[Row]: ...
    @overload
    def prepare(self, sql: str | bytes, *, row_factory: RowFactory[T]) -> Statement[T]: ...
    def prepare(self, sql: str | bytes, *, row_factory: RowFactory[Any] | None = None) -> Any:
        """Have the server parse a statement, to execute it often. See ``pymy.Statement``.

        Sends COM_STMT_PREPARE: one round trip.

        sql: one statement, with ``?`` for its parameters, or placeholders of the connection's
            ``paramstyle``; a placeholder stands for a value, never for a name or a list.
        row_factory: see ``pymy.rows``; default the connection's.
        Raises the server's error (1295 for what cannot be prepared) with the connection usable.
        """
        statement: Statement[Any] = Statement(self, sql, row_factory)
        self._run(statement._preparing())
        return statement

    # -- the same without waiting, see pymy.nonblocking

    start_connect = startable(connect)
    start_close = startable(close)
    start_execute = startable(execute)
    start_prepare = startable(prepare)
    start_ping = startable(ping)


# What programs written for PyMySQL import from here.
DEFAULT_CHARSET = "utf8mb4"
MySQLResult = Result

__all__ = [
    "DEFAULT_CHARSET",
    "Connection",
    "Cursor",
    "DictCursor",
    "MySQLResult",
    "SSCursor",
    "SSDictCursor",
]
