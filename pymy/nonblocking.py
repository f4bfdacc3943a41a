"""Start an operation, wait with whatever waits for sockets, continue it: no call here blocks."""

from __future__ import annotations

import time
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from . import err
from .constants import CR
from .protocol.needs import FILE, Conversation
from .stepping import NOTHING, Pause, Resolver, Stepping, Wait
from .waiting import Deadline, Steps, Waiting

if TYPE_CHECKING:
    from .connections import Connection

T = TypeVar("T")
P = ParamSpec("P")

# What a started method is told its waiting returned; what it returns itself, if that is something
# else, is the result.
OUTCOME: Any = object()


class Operation(Generic[T]):
    """One call that waits, in pieces: ``cont()`` it whenever its socket is ready, until ``done``.

    Not to be made by hand: see ``start`` and ``connect``. An operation that is dropped unfinished
    closes its connection, with a ResourceWarning.
    """

    def __init__(self, connection: Connection | None, method: Callable[..., T], name: str) -> None:
        self.name = name
        #: True when ``result()`` has an answer.
        self.done = False
        self._connection = connection
        self._method = method
        self._how = Stepping(connection._resolver if connection is not None else None)
        self._steps: Steps[Any] | None = None
        self._at: Pause | None = None
        self._value: Any = OUTCOME
        self._error: BaseException | None = None

    # -- waiting

    @property
    def wants(self) -> Wait:
        """What to wait for; READ or WRITE or neither, TIMEOUT when ``timeout`` is a number."""
        if self._at is None:
            return NOTHING
        return self._at.wants if self._at.until is None else self._at.wants | Wait.TIMEOUT

    @property
    def timeout(self) -> float | None:
        """Seconds until TIMEOUT is to be reported, None for no such time."""
        if self._at is None or self._at.until is None:
            return None
        return max(0.0, self._at.until - time.monotonic())

    def fileno(self) -> int:
        """Return the file descriptor to wait on; -1 when done, or when there is only a timeout.

        It may be another one after each ``cont()``: a host has several addresses, and a statement
        is killed over a second connection.
        """
        return -1 if self._at is None or self._at.sock is None else self._at.sock.fileno()

    def cont(self, ready: Wait = Wait.READ | Wait.WRITE) -> Wait:
        """Go on as far as possible without waiting, and return ``wants``; nothing when done.

        ready: what happened. It is a hint: reporting what did not happen, or too early, is
            harmless.
        Raises nothing: ``result()`` does.
        """
        connection = self._connection
        if connection is not None and self._steps is not None:
            try:
                connection._check_process()
            except err.InterfaceError as exc:
                self._finish(None, exc)
            else:
                self._advance(ready)
        return self.wants

    def _advance(self, ready: Wait | None) -> None:
        assert self._steps is not None
        try:
            self._at = self._steps.send(ready)
        except StopIteration as stop:
            self._finish(stop.value, None)
        except Exception as exc:
            self._finish(None, exc)
        except BaseException as exc:
            self._finish(None, exc)
            raise

    def _finish(self, outcome: Any, error: BaseException | None) -> None:
        if self.done:
            return  # aborted meanwhile
        self.done = True
        self._at = self._steps = None
        self._error = error
        if self._value is OUTCOME:
            self._value = outcome
        if self._connection is not None:
            uncover(self._connection)
            self._connection = None

    # -- outcome

    def result(self) -> T:
        """Return what the method returns, or raise what it raises.

        InterfaceError while the operation is not done; it goes on then.
        """
        if not self.done:
            raise err.InterfaceError(
                CR.CR_CONNECTION_BUSY,
                f"{self.name}() is not done: wait for its fileno() and cont() it, until done",
            )
        if self._error is not None:
            raise self._error
        result: T = self._value
        return result

    def abort(self) -> None:
        """Give up: close the connection at once, wherever the operation is. Harmless when done.

        ``result()`` raises OperationalError 2906; ``connect()`` opens the same object again.
        """
        if self.done:
            return
        connection, steps = self._connection, self._steps
        error = err.OperationalError(
            CR.CR_CANCELED, f"{self.name}() was aborted; its connection is closed", fatal=True
        )
        self._finish(None, error)
        link = connection._transport if connection is not None else None
        if connection is not None and link is not None and not connection._is_forked:
            link.shut_down()  # before it is closed: a loop in another thread may wait for it
        if steps is not None:
            with suppress(ValueError):  # running in another thread: it finds its socket closed
                steps.close()
        if connection is not None:
            connection._drop()

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is None or self._steps is None:
            return
        if connection._is_forked:
            return self.abort()  # the parent goes on with it
        try:
            warnings.warn(
                f"{self!r} was dropped unfinished: cont() it until done, or abort() it",
                ResourceWarning,
                2,
                self,
            )
        finally:  # also where warnings are errors
            self.abort()

    def __repr__(self) -> str:
        state = "done" if self.done else f"pending {self.wants!r}"
        return f"<{type(self).__module__}.{type(self).__qualname__} {self.name}() {state}>"

    # -- starting

    def _start(self, *args: Any, **options: Any) -> None:
        """Call the blocking method with its waiting taken out, then take the first steps.

        Instance attributes hide the methods that wait: that costs blocking calls nothing.
        """
        connection = self._connection
        if connection is not None:
            vars(connection).update(_run=self._run, _carry=self._carry, _starting=True)
        try:
            self._value = self._method(*args, **options)
        except Exception as exc:
            self._error = exc
        finally:
            if connection is not None:
                uncover(connection)
        if self._error is not None or self._steps is None:
            self._finish(self._value, self._error)
            return
        assert connection is not None
        refuse = Pending(weakref.ref(self))
        vars(connection).update(_run=refuse.run, _carry=refuse.carry, _pending=refuse)
        self._advance(None)

    def _run(self, conversation: Conversation[Any], timeout: float | None = None) -> Any:
        connection = self._connection
        assert connection is not None
        try:
            self._check_first()
            deadline = Deadline.of_call(timeout)
            link = connection._link_for(conversation)
        except BaseException:
            conversation.close()
            raise
        self._steps = self._how.run(link, connection._session, conversation, deadline)
        return OUTCOME

    def _carry(
        self, steps: Callable[Concatenate[Waiting, ...], Steps[Any]], *args: Any, **options: Any
    ) -> Any:
        self._check_first()
        self._steps = steps(self._how, *args, **options)
        return OUTCOME

    def _check_first(self) -> None:
        if self._steps is not None:
            raise err.InterfaceError(
                CR.CR_BAD_PARAMETER,
                f"{self._method!r} waits more than once and cannot be started: "
                "start the methods that it calls",
                sent=False,
            )


class Pending:
    """Stands on a connection for its pending operation, which it must not keep alive."""

    def __init__(self, operation: weakref.ref[Operation[Any]]) -> None:
        self._operation = operation

    def error(self) -> err.Error:
        operation = self._operation()
        connection = operation._connection if operation is not None else None
        if connection is not None and connection._session.need is FILE:
            return connection._session.busy()  # a source that uses its own connection
        name = operation.name if operation is not None else "an operation"
        return err.InterfaceError(
            CR.CR_CONNECTION_BUSY,
            f"The connection is busy, {name}() is pending: cont() it until done, or abort() it",
            sent=False,
        )

    def run(self, conversation: Conversation[Any], timeout: float | None = None) -> Any:
        conversation.close()
        raise self.error()

    def carry(self, *args: Any, **options: Any) -> Any:
        raise self.error()

    def abort(self) -> None:
        operation = self._operation()
        if operation is not None:
            operation.abort()


def uncover(connection: Connection) -> None:
    """Take away what hides a connection's own methods."""
    if not vars(connection).keys().isdisjoint(_COVERS):
        for name in _COVERS:
            vars(connection).pop(name, None)


_COVERS = frozenset({"_run", "_carry", "_pending", "_starting"})


def start(method: Callable[P, T], *args: P.args, **options: P.kwargs) -> Operation[T]:
    """Start a method of a connection or cursor instead of waiting for it.

    ``start(cursor.execute, "select %s", (1,))`` is ``cursor.start_execute("select %s", (1,))``. It
    takes the first steps at once and may be done already.

    Works for each method of pymy's that waits, and for those of subclasses that call one of them;
    not for iterating and for the blocks of ``transaction()``.
    Raises InterfaceError when another operation is pending on the connection, which goes on, and
    TypeError for what is no such method; everything else is raised by ``result()``.
    """
    from .connections import Connection
    from .cursors import Cursor
    from .pipelines import Pipeline
    from .statements import Statement
    from .values import ValueStream

    owner = getattr(method, "__self__", None)
    if not isinstance(owner, (Connection, Cursor, Statement, Pipeline, ValueStream)):
        raise TypeError(
            f"{method!r} is no method of a pymy.Connection, nor of its cursors, statements, "
            "pipelines or streams"
        )
    connection = owner if isinstance(owner, Connection) else owner.connection
    if connection is not None and connection._pending is not None:
        raise connection._pending.error()
    operation = Operation(connection, method, f"start_{method.__name__}")
    operation._start(*args, **options)
    return operation


def connect(
    dsn: str | None = None, *positional: Any, resolver: Resolver | None = None, **options: Any
) -> Operation[Connection[Any]]:
    """Start to connect; the result is an ordinary ``pymy.Connection``.

    dsn, positional, options: as for ``pymy.connect``.
    resolver: called with host and port, returns a list of (family, socket address); it must not
        block. Without it ``getaddrinfo`` is called, which blocks unless the host is a number. It
        serves each later ``start_connect()`` and ``start_ping(True)`` of the connection, too.
    """
    from .connections import Connection

    options["defer_connect"] = True
    connection: Connection[Any] = Connection(dsn, *positional, **options)
    connection._options = connection._options.replace(defer_connect=False)
    connection._resolver = resolver

    def connect() -> Connection[Any]:
        connection.connect()
        return connection

    operation = Operation(connection, connect, "connect")
    operation._start()
    return operation


class startable(Generic[P, T]):
    """Makes of a method ``m`` its ``start_m``."""

    def __init__(self, method: Callable[Concatenate[Any, P], T]) -> None:
        self._name: str = getattr(method, "__name__")  # noqa: B009 - unknown to Callable
        self.__doc__ = f"Start ``{self._name}()`` and return its ``pymy.nonblocking.Operation``."

    def __get__(self, owner: Any, kind: type | None = None) -> Callable[P, Operation[T]]:
        if owner is None:
            return cast(Callable[P, Operation[T]], self)

        def begin(*args: P.args, **options: P.kwargs) -> Operation[T]:
            # looked up now: a subclass may have its own
            return start(getattr(owner, self._name), *args, **options)

        begin.__name__ = begin.__qualname__ = f"start_{self._name}"
        begin.__doc__ = self.__doc__
        return begin


__all__ = ["Operation", "Resolver", "Wait", "connect", "start"]
