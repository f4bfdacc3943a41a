"""The asyncio transport: the event loop feeds the session, the awaiting task holds no bytes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from .. import err
from ..constants import CR
from ..localfiles import LocalFiles
from ..options import Options
from ..protocol import stopping
from ..protocol.handshake import Credentials
from ..protocol.needs import DONE, FILE, READ, TLS, WRITE, Conversation, Need
from ..protocol.session import Session
from ..protocol.state import BROKEN, CLOSED
from ..tls import build_context

T = TypeVar("T")

# So many bytes may wait with nobody reading before the server is made to wait.
HIGH_WATER = 256 * 1024


class StreamTransport(asyncio.StreamReaderProtocol, asyncio.BufferedProtocol):
    """Serves a session's needs over one asyncio stream.

    asyncio sees a BufferedProtocol and receives straight into the session's inbox; uvloop sees a
    Protocol and hands over bytes. Both call from the event loop, so a cancelled task tears nothing.
    """

    def __init__(
        self, session: Session, options: Options, credentials: Callable[[], Credentials]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        super().__init__(None, loop=self.loop)  # type: ignore[arg-type]
        self.session = session
        self.options = options
        self._credentials = credentials
        self._writer: asyncio.StreamWriter | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._helper: asyncio.Task[None] | None = None
        self._cleaner: asyncio.Task[None] | None = None
        self._writable = True
        self._reading = True
        self._expired: str | None = None
        self._pieces: AsyncIterator[bytes] | None = None

    async def dial(self, sock: Any = None) -> None:
        """Connect to the server, or take over the caller's own socket."""
        options = self.options
        if sock is not None:
            sock.setblocking(False)
            await self.loop.create_connection(lambda: self, sock=sock)
        elif options.unix_socket is not None:
            await self.loop.create_unix_connection(lambda: self, options.unix_socket)
        else:
            local = None if options.bind_address is None else (options.bind_address, 0)
            await self.loop.create_connection(
                lambda: self, options.host, options.port, local_addr=local
            )

    @property
    def local(self) -> bool:
        return self.options.unix_socket is not None

    @property
    def link(self) -> asyncio.Transport:
        assert self._writer is not None
        link = self._writer.transport
        assert isinstance(link, asyncio.Transport) or link is not None
        return link  # type: ignore[return-value]

    # -- called by the event loop

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self._writer is None:
            self._writer = asyncio.StreamWriter(transport, self, None, self.loop)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.session.space()

    def buffer_updated(self, nbytes: int) -> None:
        session = self.session
        waiting = session.need is READ
        need = session.filled(nbytes)
        if waiting:
            self._serve(need)
        elif session.held > HIGH_WATER and self._reading:
            self._reading = False
            self.link.pause_reading()

    def data_received(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            space = self.session.space()
            count = min(len(space), len(view))
            space[:count] = view[:count]
            view = view[count:]
            self.buffer_updated(count)

    def eof_received(self) -> bool:
        self._lost("the server closed the connection", None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost(str(exc) if exc is not None else "the link was closed", exc)

    def _lost(self, how: str, exc: Exception | None) -> None:
        session = self.session
        if session.state is not BROKEN and session.state is not CLOSED:
            session.lost(how, exc)
        self._wake()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writable = False

    def resume_writing(self) -> None:
        super().resume_writing()
        self._writable = True
        if self._helper is None:
            self._serve(self.session.need)

    # -- serving needs

    def _serve(self, need: Need) -> None:
        session = self.session
        while True:
            if need is READ:
                if not self._reading:
                    self._reading = True
                    self.link.resume_reading()
                return
            if need is DONE:
                self._wake()
                return
            if not self._writable:
                return  # resume_writing() comes back here
            if need is WRITE:
                output = session.output()
                self.link.write(output)
                need = session.sent(len(output))
            else:
                self._helper = self.loop.create_task(self._help(need))
                return

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _help(self, need: Need) -> None:
        """Serve a need that takes an await of its own."""
        session = self.session
        answer: Any = None
        failure: Exception | None = None
        try:
            if need is TLS:
                await self._start_tls()
            elif need is FILE:
                answer = await self._next_piece()
            else:
                answer = await self._kill()
        except Exception as exc:
            failure = exc
        finally:
            self._helper = None
        if session.need is need:  # else the link was lost meanwhile
            self._serve(session.resume(answer) if failure is None else session.fail(failure))

    async def _start_tls(self) -> None:
        options = self.options
        name = options.ssl_server_hostname or ("localhost" if self.local else options.host)
        assert self._writer is not None
        try:
            await self._writer.start_tls(build_context(options), server_hostname=name)
        except (ssl.SSLError, OSError, ValueError) as exc:
            raise err.OperationalError(
                CR.CR_SSL_CONNECTION_ERROR,
                f"TLS could not start: {exc}. See the ssl options",
                fatal=True,
            ) from exc

    async def _next_piece(self) -> bytes:
        if self._pieces is None:
            self._pieces = LocalFiles(self.options.local_infile).pieces_async(
                self.session.file_name
            )
        try:
            piece = await anext(self._pieces, b"")
        except BaseException:
            self._pieces = None
            raise
        if not piece:
            self._pieces = None
        return piece

    async def _kill(self) -> bool:
        """Kill the session's statement over a second connection; False when none can be had."""
        assert self.session.greeting is not None
        thread_id = self.session.greeting.thread_id
        options = stopping.side_options(self.options)
        peer = self.link.get_extra_info("peername")
        if options.unix_socket is None and peer:
            # the very server of this link: its name may lead to another one by now (P99)
            options = options.replace(
                host=peer[0], ssl_server_hostname=options.ssl_server_hostname or options.host
            )
        side = Session()
        side.local = self.local
        transport = StreamTransport(side, options, self._credentials)
        try:
            async with asyncio.timeout(options.connect_timeout):
                await transport.dial()
                await transport.run(stopping.kill(side, options, self._credentials(), thread_id))
        except (err.Error, OSError):
            return False
        finally:
            transport.abort()
        return True

    # -- called by the connection

    async def run(
        self, conversation: Conversation[T], timeout: float | None = None, name: str = "timeout"
    ) -> T:
        """Carry one conversation to its end.

        A cancelled task or a time-out lets the caller go at once and leaves the statement to
        ``on_cancel``; ``settled()`` waits until the line is clean.
        """
        session = self.session
        self._serve(session.start(conversation))
        if session.need is not DONE:
            await self._wait(timeout, name)
        if session.state is BROKEN:
            self.abort()
        result: T = session.result()
        return result

    async def _wait(self, timeout: float | None, name: str) -> None:
        session = self.session
        waiter = self._waiter = self.loop.create_future()
        timer = self.loop.call_later(timeout, self._wake) if timeout is not None else None
        try:
            await waiter
        except asyncio.CancelledError:
            if session.need is not DONE:
                self._let_go()
            raise
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
        if session.need is not DONE:
            if not self._let_go():
                session.take_error()
                raise err.OperationalError(
                    CR.CR_SERVER_LOST,
                    f"Lost connection to the server: timed out, {name}={timeout:g} s",
                    fatal=True,
                )
            raise err.OperationalError(
                CR.CR_QUERY_TIMEOUT,
                f"No answer within {name}={timeout:g} s. The connection stays usable; the "
                f"statement is left to on_cancel={self.options.on_cancel!r}",
                fatal=False,
            )

    def _let_go(self) -> bool:
        """Leave the running statement to ``on_cancel``; False when only closing is left."""
        if self.options.on_cancel == "close" or not self.session.abandon():
            self.session.cut()
            self.abort()
            return False
        self._cleaner = self.loop.create_task(self._clean())
        return True

    async def _clean(self) -> None:
        """Bring an abandoned statement to its end, or close after ``cancel_timeout``."""
        session = self.session
        try:
            async with asyncio.timeout(self.options.cancel_timeout):
                killed = self.options.on_cancel == "kill" and await self._kill()
                if session.need is not DONE:
                    self._waiter = self.loop.create_future()
                    await self._waiter
                stopped = stopping.was_killed(session.take_error())
                if session.usable():
                    await self.run(stopping.settle(session, killed and not stopped))
        except (TimeoutError, err.Error):
            session.cut()
        finally:
            self._cleaner = None
            if session.state is BROKEN:
                self.abort()

    async def settled(self) -> None:
        """Wait until nothing of an abandoned statement is left on the line."""
        if self._cleaner is not None:
            await asyncio.shield(self._cleaner)

    def abort(self) -> None:
        """Close the link at once; nothing is sent."""
        if self._writer is not None and not self.loop.is_closed():
            self._writer.transport.abort()
