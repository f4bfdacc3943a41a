"""Other ways of waiting behind the blocking driver's face: one test body runs over all of them.

asyncio: every call runs on an event loop in a thread of its own while the caller waits. Who is
interrupted while waiting, by Ctrl-C for instance, cancels the task. Cursor classes are translated.
nonblocking: every call is an operation of pymy.nonblocking, see driving.py.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from functools import cache
from typing import Any
from weakref import WeakValueDictionary

import driving
import pytest

import pymy
import pymy.aio
from pymy.aio.transactions import Transaction

TRANSPORTS = ("blocking", "asyncio", "nonblocking", "uvloop")


class Loop:
    """An event loop that turns in a thread."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self.loop = new_loop()
        self.pid = os.getpid()
        self.childs: asyncio.AbstractEventLoop | None = None
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True, name="test-loop")
        self.thread.start()

    def run(self, work: Callable[[], Any]) -> Any:
        """Call ``work`` in the loop, await what it returns if that can be; wait for the end."""
        if os.getpid() != self.pid:  # in a forked child, which has no such thread
            self.childs = self.childs or asyncio.new_event_loop()
            return self.childs.run_until_complete(self._carry(work))
        started: Future[asyncio.Task[Any]] = Future()
        ended: Future[Any] = Future()

        def start() -> None:
            task = self.loop.create_task(self._carry(work))
            task.add_done_callback(lambda task: ended.set_result(None))
            started.set_result(task)

        self.loop.call_soon_threadsafe(start)
        try:
            ended.result()
        except BaseException as exc:
            task = started.result()
            self.loop.call_soon_threadsafe(task.cancel)
            ended.result()
            if not task.cancelled() and task.exception() is not None:
                raise exc from task.exception()
            raise
        return started.result().result()

    @staticmethod
    async def _carry(work: Callable[[], Any]) -> Any:
        result = work()
        return await result if inspect.isawaitable(result) else result

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Face:
    """Stands for an object of pymy.aio."""

    _faces: WeakValueDictionary[int, Face] = WeakValueDictionary()

    def __init__(self, inner: Any, loop: Loop) -> None:
        vars(self).update(_inner=inner, _loop=loop)
        self._faces[id(inner)] = self

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if inspect.isroutine(value):
            return lambda *args, **kwargs: self._call(value, *args, **kwargs)
        return face(value, self._loop)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, translated(value))

    def _call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        args = tuple(map(translated, args))
        kwargs = {key: translated(value) for key, value in kwargs.items()}
        return face(self._loop.run(lambda: function(*args, **kwargs)), self._loop)

    def __repr__(self) -> str:
        return f"<{self._loop.loop!r} {self._inner!r}>"

    def __enter__(self) -> Any:
        self._loop.run(self._inner.__aenter__)
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._loop.run(lambda: self._inner.__aexit__(*exc_info))


class ConnectionFace(Face):
    def close(self) -> None:
        self._call(self._inner.ensure_closed)

    @property
    def _sock(self) -> Any:
        transport = self._inner._transport
        return transport.sock if transport is not None and transport._link is not None else None

    def fileno(self) -> int:
        return int(self._sock.fileno())


class CursorFace(Face):
    def __iter__(self) -> CursorFace:
        return self

    def __next__(self) -> Any:
        try:
            return self._loop.run(self._inner.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None


def iterate(rows: AsyncIterator[Any], loop: Loop) -> Iterator[Any]:
    try:
        while True:
            try:
                row = loop.run(rows.__anext__)
            except StopAsyncIteration:
                return
            yield row
    finally:
        loop.run(rows.aclose)  # type: ignore[attr-defined]


def face(value: Any, loop: Loop) -> Any:
    """Return what stands for a value in blocking code."""
    if isinstance(value, pymy.aio.Connection):
        kind: type[Face] = ConnectionFace
    elif isinstance(value, (pymy.aio.Cursor, pymy.aio.ValueStream)):
        kind = CursorFace
    elif isinstance(value, (Transaction, pymy.aio.Statement, pymy.aio.Pipeline)):
        kind = Face
    elif isinstance(value, AsyncIterator):
        return iterate(value, loop)
    else:
        return value
    known = Face._faces.get(id(value))
    return known if known is not None and known._inner is value else kind(value, loop)


@cache
def twin(cls: type) -> type:
    """Return the asyncio class of a blocking cursor class, also of a test's own subclass."""
    if cls.__module__ == "pymy.cursors":
        return getattr(pymy.aio, cls.__name__)
    body = {key: value for key, value in vars(cls).items() if key not in ("__dict__",)}
    made = type(cls.__name__, tuple(twin(b) if is_cursor(b) else b for b in cls.__bases__), body)
    return made


def is_cursor(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, pymy.cursors.Cursor)


def translated(value: Any) -> Any:
    return twin(value) if is_cursor(value) else getattr(value, "_inner", value)


class Facade:
    """The names of pymy that open connections, over one kind of transport."""

    def __init__(self, transport: str) -> None:
        assert transport in TRANSPORTS, f"{transport!r} is not one of {', '.join(TRANSPORTS)}"
        self.transport = transport
        self.loop: Loop | None = None
        if transport == "asyncio":
            self.loop = Loop(asyncio.new_event_loop)
        elif transport == "uvloop":
            if importlib.util.find_spec("uvloop") is None:
                pytest.skip("uvloop is not installed")
            import uvloop

            self.loop = Loop(uvloop.new_event_loop)

    def connect(self, *args: Any, **options: Any) -> Any:
        if self.transport == "nonblocking" and not options.get("defer_connect"):
            return driving.connect(*args, **options)
        conn = self.Connection(*args, **options)
        if self.loop is not None and not options.get("defer_connect"):
            conn.connect()
        return conn

    def Connection(self, *args: Any, **options: Any) -> Any:
        """Make a connection; over asyncio it is not connected yet."""
        if self.transport == "nonblocking":
            return driving.Driven(*args, **options)
        if self.loop is None:
            return pymy.Connection(*args, **options)
        loop = self.loop
        # what a second thread gets is the same as in blocking code
        options = {"concurrent": "error"} | options
        options = {key: translated(value) for key, value in options.items()}
        return face(loop.run(lambda: Unawaited(pymy.aio.Connection(*args, **options))).conn, loop)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        assert self.loop is not None
        return self.loop.run(lambda: coroutine)

    def stop(self) -> None:
        if self.loop is not None:
            self.loop.stop()


class Unawaited:
    def __init__(self, conn: pymy.aio.Connection) -> None:
        self.conn = conn
