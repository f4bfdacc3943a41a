"""What waits by pausing: the steps of pymy.nonblocking, which never block."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from enum import IntFlag
from errno import EAGAIN, EALREADY, EINPROGRESS, EISCONN
from typing import Any, NamedTuple, TypeVar

from . import dialling
from .protocol.needs import DONE, FILE, READ, TLS, WRITE, Conversation, Need
from .protocol.session import Session
from .protocol.state import BROKEN
from .transport import SocketTransport
from .waiting import NAP, Addresses, Deadline, Steps, remaining

T = TypeVar("T")

Resolver = Callable[[str, int], Iterable[tuple[int, Any]]]

# Bytes that one cont() takes before the loop gets a turn, however fast the server sends.
TURN = 1 << 20


def which(name: str, seconds: float | None, deadline: Deadline | None) -> tuple[str, float | None]:
    """Tell which of two limits ran out, and how long it was."""
    if deadline is None or deadline.at is None:
        return name, seconds
    if seconds is None or deadline.at <= time.monotonic():
        return deadline.name, deadline.seconds
    return name, seconds


class Wait(IntFlag):
    """What an operation waits for, and what happened; the numbers are MariaDB's."""

    READ = 1
    WRITE = 2
    EXCEPT = 4
    TIMEOUT = 8


NOTHING = Wait(0)


class Pause(NamedTuple):
    """Where steps stopped: on which socket, for what, and until which moment at most."""

    sock: socket.socket | None
    wants: Wait
    until: float | None


def _pause(sock: socket.socket, wants: Wait, until: float | None) -> Steps[None]:
    """Stop once. What is reported afterwards is a hint only: whoever called tries again."""
    if until is not None and until <= time.monotonic():
        raise TimeoutError
    yield Pause(sock, wants, until)


def _nap(until: float | None) -> Steps[None]:
    now = time.monotonic()
    if until is not None and until <= now:
        raise TimeoutError
    yield Pause(None, NOTHING, now + NAP if until is None else min(now + NAP, until))


class Stepping:
    """Waits by pausing; the blocking counterpart is ``dialling.Blocking``."""

    def __init__(self, resolver: Resolver | None = None) -> None:
        self._resolver = resolver

    def resolve(self, host: str, port: int, deadline: Deadline) -> Steps[Addresses]:
        yield from ()
        return list((self._resolver or dialling.addresses)(host, port))

    def connect(self, sock: socket.socket, address: Any, seconds: float | None) -> Steps[None]:
        until = None if seconds is None else time.monotonic() + seconds
        sock.settimeout(0.0)
        # Asked again, connect() tells how far it is. SO_ERROR would be 0 after a spurious wake-up.
        while (errno := sock.connect_ex(address)) not in (0, EISCONN):
            if errno in (EINPROGRESS, EALREADY):
                yield from _pause(sock, Wait.WRITE, until)
            elif errno == EAGAIN:  # a unix socket whose queue is full is "writable" all the same
                yield from _nap(until)
            else:
                raise OSError(errno, os.strerror(errno))

    def join(self, thread: threading.Thread, deadline: Deadline) -> Steps[None]:
        while thread.is_alive():
            yield from _nap(deadline.at)

    def run(
        self,
        link: SocketTransport,
        session: Session,
        conversation: Conversation[T],
        deadline: Deadline | None,
    ) -> Steps[T]:
        """Carry one conversation to its end; the socket does not block until then.

        A time-out leaves the statement to ``on_cancel``, as in blocking code; there is nobody else
        to kill it, so this ends when that is done, after ``cancel_timeout`` at most.
        """
        link.stop_blocking()
        try:
            if session.unclean:
                yield from link.catching_up(self, session, deadline)
            need = session.start(conversation)
            try:
                yield from self.drive(link, session, need, deadline)
            except BaseException as exc:
                if not session.runs(conversation):  # nothing of it was sent
                    raise
                if not (link.is_timed_out(exc) and session.abandon()):
                    session.cut()
                    link.close()
                    raise
                yield from self._leave(link, session)
                raise
            if session.state is BROKEN:
                link.close()
            result: T = session.result()
            return result
        finally:
            link.block_again()

    def _leave(self, link: SocketTransport, session: Session) -> Steps[None]:
        link.left_behind()
        if link.options.on_cancel == "kill":
            seconds = link.options.cancel_timeout
            try:
                killed = yield from link.killing(self, link.target(session), seconds)
            except BaseException:
                session.cut()
                link.close()
                raise
            link.left_behind(killed)

    def drive(
        self, link: SocketTransport, session: Session, need: Need, deadline: Deadline | None
    ) -> Steps[None]:
        while need is not DONE:
            if need is READ:
                need = yield from self._receive(link, session, deadline)
            elif need is WRITE:
                need = yield from self._send(link, session, deadline)
            elif need is TLS:
                need = yield from self._start_tls(link, session, deadline)
            elif need is FILE:
                need = link.next_piece(session)
            else:
                limit = remaining(deadline)
                killed = yield from link.killing(self, link.target(session), limit)
                need = session.resume(killed)

    def _receive(
        self, link: SocketTransport, session: Session, deadline: Deadline | None
    ) -> Steps[Need]:
        taken = 0
        while True:
            patience = session.patience
            seconds = link.options.read_timeout if patience is None else patience
            name = "read_timeout" if patience is None else "patience"
            try:
                count = yield from self._try(
                    lambda: link.sock.recv_into(session.space()),
                    link,
                    Wait.READ,
                    seconds,
                    deadline,
                )
            except OSError as exc:
                by = which(name, seconds, deadline)
                if by[0] == "patience" and isinstance(exc, TimeoutError):
                    need = session.resume(True)
                    if need is not READ:
                        return need
                    continue
                return link.lost(session, exc, *by, reading=True)
            need = session.filled(count) if count else session.eof()
            if need is not READ:
                return need
            taken += count
            if taken >= TURN and not _decrypted(link.sock):
                taken = 0
                yield Pause(link.sock, Wait.READ, _end(link.options.read_timeout, deadline))

    def _send(
        self, link: SocketTransport, session: Session, deadline: Deadline | None
    ) -> Steps[Need]:
        try:
            count = yield from self._try(
                lambda: link.sock.send(session.output()),
                link,
                Wait.WRITE,
                link.options.write_timeout,
                deadline,
            )
        except OSError as exc:
            if not isinstance(exc, TimeoutError):
                link.hear_out(session)
            by = which("write_timeout", link.options.write_timeout, deadline)
            return link.lost(session, exc, *by)
        return session.sent(count)

    def _start_tls(
        self, link: SocketTransport, session: Session, deadline: Deadline | None
    ) -> Steps[Need]:
        try:
            wrapped = link.wrap()
            seconds = link.options.read_timeout
            yield from self._try(wrapped.do_handshake, link, Wait.READ, seconds, deadline)
        except Exception as exc:
            by = which("read_timeout", link.options.read_timeout, deadline)
            return link.no_tls(session, exc, *by)
        return session.resume()

    @staticmethod
    def _try(
        call: Callable[[], T],
        link: SocketTransport,
        wants: Wait,
        seconds: float | None,
        deadline: Deadline | None,
    ) -> Steps[T]:
        """Repeat a call until it need not wait; ``seconds`` and the deadline bound the waiting.

        Behind a wait it is tried once more when the time is over: a slow loop may be what took it.
        """
        if deadline is not None:
            deadline.left()  # a server that never stops sending leaves nothing to wait for
        until: float | None = None
        first = True
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                wanted = Wait.READ
            except ssl.SSLWantWriteError:
                wanted = Wait.WRITE
            except BlockingIOError:
                wanted = wants
            if first:  # spurious wake-ups do not put the end off
                first = False
                until = _end(seconds, deadline)
            yield from _pause(link.sock, wanted, until)


def _end(seconds: float | None, deadline: Deadline | None) -> float | None:
    """Return the moment at which a wait that begins now ends, if any."""
    ends = [] if seconds is None else [time.monotonic() + seconds]
    if deadline is not None and deadline.at is not None:
        ends.append(deadline.at)
    return min(ends, default=None)


def _decrypted(sock: socket.socket) -> bool:
    """Tell whether TLS holds bytes already, of which the file descriptor does not tell."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
