"""The asyncio transport: the event loop feeds the session, the awaiting task holds no bytes."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, TypeVar

from .. import err
from ..constants import CR
from ..dialling import target
from ..localfiles import pieces_of_async
from ..options import Options
from ..protocol import stopping
from ..protocol.handshake import Credentials
from ..protocol.needs import DONE, FILE, READ, TLS, WRITE, Conversation, Need
from ..protocol.session import Session
from ..protocol.state import BROKEN, CLOSED
from ..tls import build_context, kept_context, not_started, server_name
from ..transport import is_readable
from ..waiting import Deadline, unanswered
from .dialling import dial_address
from .turns import Turns

T = TypeVar("T")

# So many bytes may wait with nobody reading before the server is made to wait.
HIGH_WATER = 256 * 1024


class StreamTransport(asyncio.BufferedProtocol):
    """Serves a session's needs over one asyncio stream.

    The event loop receives straight into the session's inbox, so a cancelled task tears nothing.
    """

    def __init__(
        self, session: Session, options: Options, credentials: Callable[[], Credentials]
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self.session = session
        self.options = options
        self._credentials = credentials
        self.local = False
        self._socket: socket.socket | None = None
        self._link: asyncio.Transport | None = None
        self._aborted = False
        self._waiter: asyncio.Future[None] | None = None
        self._helper: asyncio.Task[None] | None = None
        self.cleaner: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._writable = True
        self._reading = True
        self._timer: asyncio.TimerHandle | None = None
        self._is_timed = options.read_timeout is not None or options.write_timeout is not None
        self._moved = 0.0
        self._backlog = 0
        self._expired = ("", 0.0)
        # why the link was lost while nobody waited: the next command's error, as in blocking code
        self.unheard: err.Error | None = None

    async def take(self, sock: socket.socket) -> None:
        """Use a connected socket; the transport owns it from now on."""
        sock.setblocking(False)
        self._socket = sock
        self.session.local = self.local = sock.family == getattr(socket, "AF_UNIX", None)
        if self.local:
            await self.loop.create_unix_connection(lambda: self, sock=sock)
        else:
            await self.loop.create_connection(lambda: self, sock=sock)
            # event loops switch Nagle's algorithm off by themselves
            self.sock.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, int(self.options.tcp_nodelay)
            )

    @property
    def sock(self) -> Any:
        return self.link.get_extra_info("socket")

    @property
    def link(self) -> asyncio.Transport:
        assert self._link is not None
        return self._link

    # -- called by the event loop

    def connection_made(self, transport: Any) -> None:
        if self._link is None:
            self._link = transport
        if self._aborted:
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.session.space()

    def buffer_updated(self, nbytes: int) -> None:
        session = self.session
        if self._is_timed:
            self._moved = time.monotonic()
        waiting = session.need is READ
        need = session.filled(nbytes)
        if waiting:
            if need is DONE and self._patience is None:
                self._wake()
            else:
                self._serve(need)
        elif session.held > HIGH_WATER and self._reading:
            self._reading = False
            self.link.pause_reading()

    def eof_received(self) -> bool:
        self._lost("the server closed the connection", None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(str(exc) if exc is not None else "the link was closed", exc)

    def _lost(self, how: str, exc: Exception | None) -> None:
        session = self.session
        if session.state is not BROKEN and session.state is not CLOSED:
            idle = session.need is DONE
            session.lost(how, exc)
            self.unheard = session.broken_by if idle else None
        self._wake()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._helper is None:
            self._serve(self.session.need)

    # -- serving needs

    def _serve(self, need: Need) -> None:
        session = self.session
        link = self._link
        assert link is not None
        if self._is_timed:
            self._moved = time.monotonic()  # what is handed over to be sent counts, too
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        while True:
            if need is READ:
                if not self._reading:
                    self._reading = True
                    link.resume_reading()
                if session.patience is not None:
                    self._patience = self.loop.call_later(session.patience, self._late)
                return
            if need is DONE:
                self._wake()
                return
            if not self._writable:
                return  # resume_writing() comes back here
            if need is WRITE:
                output = session.output()
                link.write(output)
                need = session.sent(len(output))
            else:
                self._helper = asyncio.Task(self._help(need), loop=self.loop)  # see _let_go()
                return

    def _late(self) -> None:
        """Tell the session that what it reads is slow to come."""
        self._patience = None
        if self.session.need is READ and self.session.patience is not None:
            self._serve(self.session.resume(True))

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
        except asyncio.CancelledError:
            if need is not FILE:
                raise
            failure = session.canceled()  # see _let_go()
        finally:
            self._helper = None
        if session.need is need:  # else the link was lost meanwhile
            self._serve(session.resume(answer) if failure is None else session.fail(failure))

    async def _start_tls(self) -> None:
        options = self.options
        name = server_name(options, self.local)
        try:
            context = kept_context(options)
            if context is None:
                context = await asyncio.to_thread(build_context, options)
            self._link = await self.loop.start_tls(self.link, self, context, server_hostname=name)
        except (ssl.SSLError, OSError, ValueError) as exc:
            raise err.OperationalError(
                CR.CR_SSL_CONNECTION_ERROR,
                not_started(exc),
                fatal=True,
            ) from exc

    async def _next_piece(self) -> bytes:
        session = self.session
        if session.pieces is None:
            session.pieces = pieces_of_async(session, self.options.local_infile)
        piece: bytes = await anext(session.pieces, b"")
        return piece

    def is_read_here(self) -> bool:
        """Tell whether the running task is the one that reads what is to be sent."""
        helper = self._helper
        return helper is not None and self.session.need is FILE and asyncio.current_task() is helper

    async def _kill(self) -> bool | None:
        """Kill the session's statement over a second connection; False when none leads to it.

        None when it is not known whether the kill arrived.
        """
        options = stopping.side_options(self.options)
        side = Session()
        transport = StreamTransport(side, options, self._credentials)
        try:
            async with asyncio.timeout(options.connect_timeout or options.cancel_timeout):
                it = target(self.sock, self.session, options)
                if it.address is None:
                    return False
                await transport.take(await dial_address(options, it.family, it.address))
                kill = stopping.kill(side, options, self._credentials(), it)
                return await transport.run(kill)
        except Exception:  # of any kind: the password may be the program's own function
            return stopping.outcome(side)
        finally:
            transport.abort()

    # -- called by the connection

    async def run(
        self,
        conversation: Conversation[T],
        deadline: Deadline | None = None,
        turns: Turns | None = None,
    ) -> T:
        """Carry one conversation to its end; ``turns``: it takes the turn, which is free.

        A cancelled task or a time-out lets the caller go at once and leaves the statement to
        ``on_cancel``; ``settled()`` waits until the line is clean.
        """
        session = self.session
        if turns is not None:
            turns.taken = True
        try:
            self._serve(session.start(conversation))
            if session.need is not DONE:
                waiter = self._waiter = self.loop.create_future()
                if deadline is not None or self._is_timed:
                    self._moved = time.monotonic()
                    self._look(deadline)
                try:
                    await waiter
                except asyncio.CancelledError:
                    if not self._is_answered():
                        raise
                finally:
                    if self._waiter is waiter:  # else it is the clean-up's
                        self._waiter = None
                    if self._timer is not None:
                        self._timer.cancel()
                        self._timer = None
                if session.need is not DONE:
                    self._give_up()
            if session.state is BROKEN:
                self.abort()
            result: T = session.result()
            return result
        finally:
            if turns is not None:
                turns.leave()

    def _is_answered(self) -> bool:
        """Tell whether the answer was there before the cancel; else leave the statement."""
        if self.session.need is DONE:
            self.loop.call_soon(_cancel_again, asyncio.current_task())
            return True
        if not self._let_go():
            self.abort()
        return False

    def _give_up(self) -> None:
        """Time is over: leave the statement, or take the link for lost."""
        name, seconds = self._expired
        if name == "write_timeout" or not self._let_go():
            self.session.lost(f"timed out, {name}={seconds:g} s")
            return
        raise unanswered(name, seconds, self.options.on_cancel, self.session)

    def _look(self, deadline: Deadline | None) -> None:
        """Wake the caller when its time is over or the link stands still; else look again then."""
        now = time.monotonic()
        looks = []
        if deadline is not None and deadline.at is not None and deadline.seconds is not None:
            if deadline.at <= now:
                self._expire(deadline.name, deadline.seconds)
                return
            looks.append(deadline.at)
        backlog = self.link.get_write_buffer_size() if self._is_timed else 0
        if backlog != self._backlog:
            self._backlog, self._moved = backlog, now
        stalling = "write_timeout" if backlog else "read_timeout"
        for name in ("read_timeout", "write_timeout") if self._is_timed else ():
            seconds = getattr(self.options, name)
            if seconds is None:
                continue
            due = self._moved + seconds
            if due > now:
                looks.append(due)
            elif name == stalling and (backlog or self.session.need is READ):
                self._expire(name, seconds)
                return
            else:
                looks.append(now + seconds)
        if looks:
            self._timer = self.loop.call_later(min(looks) - now, self._look, deadline)

    def _expire(self, name: str, seconds: float) -> None:
        self._expired = (name, seconds)
        self._wake()

    def _let_go(self) -> bool:
        """Leave the running statement to ``on_cancel``; False when only closing is left."""
        if self.options.on_cancel == "close" or not self.session.abandon():
            return False
        if self.session.need is FILE and self._helper is not None:
            self._helper.cancel()  # a parameter's source may take its time
        # not create_task(): with asyncio.eager_task_factory it would run before it is assigned
        self.cleaner = asyncio.Task(self._clean_up(), loop=self.loop)
        self.cleaner.add_done_callback(self._cleaned)
        return True

    async def _clean_up(self) -> None:
        """Clean, or close when the loop ends first."""
        end: Any = self._ending()
        await anext(end)
        try:
            await self._clean()
        finally:
            if not end.ag_running:
                await end.aclose()

    async def _ending(self) -> AsyncGenerator[None, None]:
        """Be told of the loop's end, which closes its generators.

        asyncio.run() cancels the tasks it finds, and a statement's cleaner begins only then.
        """
        try:
            yield
        finally:
            cleaner = self.cleaner
            if cleaner is not None and cleaner is not asyncio.current_task():
                cleaner.cancel()
                await asyncio.wait([cleaner])

    async def _clean(self) -> None:
        """Bring an abandoned statement to its end, or close after ``cancel_timeout``."""
        session = self.session
        try:
            async with asyncio.timeout(self.options.cancel_timeout):
                killed = await self._kill() if self.options.on_cancel == "kill" else False
                await self._rested()
                stopped = stopping.was_killed(session.take_error())
                if session.usable():
                    killed = False if stopped else killed
                    self._serve(session.start(stopping.settle(session, killed)))
                    await self._rested()
                    session.take_error()
        except TimeoutError:
            session.cut()

    def _cleaned(self, cleaner: asyncio.Task[None]) -> None:
        self.cleaner = None
        error = None if cleaner.cancelled() else cleaner.exception()
        if error is not None:
            what = "the clean-up behind a cancelled statement failed"
            self.loop.call_exception_handler({"message": what, "exception": error})
        if cleaner.cancelled() or error is not None:
            self.session.cut()
        if self.session.state is BROKEN:
            self.abort()

    async def _rested(self) -> None:
        if self.session.need is not DONE:
            self._waiter = self.loop.create_future()
            await self._waiter

    @property
    def is_cleaning(self) -> bool:
        return self.cleaner is not None

    async def settled(self) -> None:
        """Wait until nothing of an abandoned statement is left on the line."""
        if self.cleaner is not None:
            await asyncio.wait([self.cleaner])

    def is_silent(self) -> bool:
        """Tell whether nothing waits to be read: neither bytes nor the end of the link."""
        if self._link is None or self._link.is_closing():
            return False
        return not is_readable(self._socket)  # the loop may not have had the time to look

    def abort(self) -> None:
        """Close the link at once, from any thread; nothing is sent. It runs no loop: ``turn()``."""
        loop = self.loop
        here = asyncio._get_running_loop() is loop
        elsewhere = loop.is_running() or threading.get_ident() != self._thread
        if elsewhere and not here and not loop.is_closed():
            with suppress(RuntimeError):  # closed meanwhile
                loop.call_soon_threadsafe(self.abort)
            if not loop.is_running():  # and perhaps never again
                self._shut_down()
            return
        if self.session.need is not DONE:
            self.session.cut()
        self._aborted = True
        if not loop.is_closed():
            if self._helper is not None:
                self._helper.cancel()
            self._wake()
            if self._link is not None:
                self._link.abort()
        if not here:
            self._shut_down()

    def _shut_down(self) -> None:
        """Let the server know although no loop closes the socket."""
        if self._socket is not None:
            with suppress(OSError):  # closed already
                self._socket.shutdown(socket.SHUT_RDWR)

    def turn(self) -> None:
        """Let a loop that stands still close the socket; never from a destructor."""
        loop = self.loop
        ours = asyncio._get_running_loop() is None and threading.get_ident() == self._thread
        if ours and not (loop.is_closed() or loop.is_running()):
            loop.run_until_complete(asyncio.sleep(0))


def _cancel_again(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task whose answer was there first, unless the cancel was a time-out now left.

    The answer must reach its caller: it may say that a transaction is open, or that one is over.
    """
    if task is not None and task.cancelling() and not task.done():
        task.uncancel()
        task.cancel()
