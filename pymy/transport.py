"""The blocking transport: the only place of the blocking driver that touches a socket."""

from __future__ import annotations

import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from pymy.protocol.needs import DONE, FILE, READ, TLS, WRITE
from pymy.protocol.state import BROKEN

from . import err
from .constants import CR
from .localfiles import LocalFiles
from .options import Options
from .protocol import stopping
from .protocol.handshake import Credentials
from .protocol.needs import Conversation, Need
from .protocol.session import Session
from .tls import build_context

T = TypeVar("T")


def positive(seconds: float) -> float:
    """Refuse a time-out that has passed already: it would cost a healthy connection."""
    if not seconds > 0:
        raise err.ProgrammingError(
            CR.CR_BAD_PARAMETER, f"timeout={seconds!r} is no time: use seconds above 0, or None"
        )
    return seconds


class Deadline:
    """A moment after which a call gives up; ``name`` and ``seconds`` are for the error."""

    __slots__ = ("at", "name", "seconds")

    def __init__(self, seconds: float | None, name: str) -> None:
        self.seconds = seconds
        self.name = name
        self.at = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Return the seconds left; TimeoutError when there are none."""
        if self.at is None:
            return None
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def share(self, among: int) -> float | None:
        """Return an equal part of the seconds left."""
        left = self.left()
        return None if left is None else left / among


def dial(options: Options, deadline: Deadline) -> socket.socket:
    """Open a connected socket to the server, trying each of the host's addresses in turn."""
    if options.unix_socket is not None:
        return _dial_unix(options, deadline)
    try:
        addresses = resolve(options.host, options.port, deadline)
        reasons = []
        for place, (family, address) in enumerate(addresses):
            try:
                # an address that swallows packets must not use up the time of those behind it
                timeout = deadline.share(len(addresses) - place)
                return _dial_address(options, family, address, timeout)
            except OSError as exc:
                reasons.append(exc)
        raise reasons[0] if reasons else OSError("the name has no address")
    except OSError as exc:
        raise _cannot_connect(
            CR.CR_CONN_HOST_ERROR, f"{options.host!r}, port {options.port}", exc, deadline
        ) from exc


def _dial_address(
    options: Options, family: int, address: Any, timeout: float | None
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    tcp = family in (socket.AF_INET, socket.AF_INET6)
    try:
        if tcp and options.bind_address is not None:
            sock.bind((options.bind_address, 0))
        sock.settimeout(timeout)
        sock.connect(address)
        if tcp and options.tcp_nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tcp and options.tcp_keepalive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _dial_unix(options: Options, deadline: Deadline) -> socket.socket:
    try:
        return _dial_address(options, socket.AF_UNIX, options.unix_socket, deadline.left())
    except OSError as exc:
        raise _cannot_connect(
            CR.CR_CONNECTION_ERROR, f"socket {options.unix_socket!r}", exc, deadline
        ) from exc


def _cannot_connect(
    errno: int, where: str, exc: OSError, deadline: Deadline
) -> err.OperationalError:
    reason = (
        f"no answer within {deadline.name}={deadline.seconds:g} s"
        if isinstance(exc, TimeoutError) and exc.errno is None
        else str(exc)
    )
    return err.OperationalError(
        errno,
        f"Can't connect to MySQL server on {where} ({reason}). "
        "Is the server running, and are host, port or socket right?",
        sent=False,
        fatal=True,
    )


def resolve(host: str, port: int, deadline: Deadline) -> list[tuple[int, Any]]:
    """Look a host's addresses up, within the deadline: getaddrinfo itself knows none."""
    if deadline.at is None or _is_address(host):
        return _addresses(host, port)
    answer: queue.SimpleQueue[list[tuple[int, Any]] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(_addresses(host, port))
        except OSError as exc:
            answer.put(exc)

    threading.Thread(target=look_up, daemon=True, name="pymy-resolver").start()
    try:
        found = answer.get(timeout=deadline.left())
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(found, OSError):
        raise found
    return found


def _addresses(host: str, port: int) -> list[tuple[int, Any]]:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as exc:
        raise OSError(f"not a host name: {exc}") from exc
    return [(info[0], info[4]) for info in infos]


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, host)
            return True
    return False


class SocketTransport:
    """Serves a session's needs over one blocking socket."""

    def __init__(
        self, sock: socket.socket, options: Options, credentials: Callable[[], Credentials]
    ) -> None:
        self.sock = sock
        self.options = options
        self._credentials = credentials
        self._read_timeout = options.read_timeout
        self._write_timeout = options.write_timeout
        self._set: float | None = sock.gettimeout()
        self._by: tuple[str, float | None] = ("", None)
        self._pieces: Iterator[bytes] | None = None
        self.local = sock.family == getattr(socket, "AF_UNIX", None)

    def run(
        self, session: Session, conversation: Conversation[T], deadline: Deadline | None = None
    ) -> T:
        """Carry one conversation to its end.

        Whatever interrupts it, a KeyboardInterrupt too, may have cost bytes: the connection is
        then closed, never used half-read.
        """
        try:
            need = session.start(conversation)
            while need is not DONE:
                if need is READ:
                    need = self._receive(session, deadline)
                elif need is WRITE:
                    need = self._send(session, deadline)
                elif need is TLS:
                    need = self._start_tls(session, deadline)
                elif need is FILE:
                    need = self._next_piece(session)
                else:
                    need = session.resume(self._kill(session))
        except BaseException:
            if session.runs(conversation):  # else it was refused, or had ended already
                session.abandon()
                self.close()
            raise
        finally:
            self._pieces = None
        if session.state is BROKEN:
            self.close()
        result: T = session.result()
        return result

    def _limit(self, name: str, timeout: float | None, deadline: Deadline | None) -> None:
        """Set the socket's time-out, and note by which setting."""
        self._by = (name, timeout)
        if deadline is not None and deadline.at is not None:
            left = deadline.at - time.monotonic()
            if timeout is None or left < timeout:
                self._by = (deadline.name, deadline.seconds)
                timeout = deadline.left()
        if timeout != self._set:
            self.sock.settimeout(timeout)
            self._set = timeout

    def _receive(self, session: Session, deadline: Deadline | None) -> Need:
        patience = session.patience
        try:
            if patience is not None:
                self._limit("patience", patience, deadline)
            elif deadline is not None or self._set != self._read_timeout:
                self._limit("read_timeout", self._read_timeout, deadline)
            count = self.sock.recv_into(session.space())
        except OSError as exc:
            if patience is not None and isinstance(exc, TimeoutError) and self._by[0] == "patience":
                return session.resume(True)
            return self._lost(session, exc)
        return session.filled(count) if count else session.eof()

    def _send(self, session: Session, deadline: Deadline | None) -> Need:
        try:
            if deadline is not None or self._set != self._write_timeout:
                self._limit("write_timeout", self._write_timeout, deadline)
            count = self.sock.send(session.output())
        except OSError as exc:
            if not isinstance(exc, TimeoutError):
                self._hear_out(session)
            return self._lost(session, exc)
        return session.sent(count)

    def _hear_out(self, session: Session) -> None:
        """Fetch what the server said before it hung up on a write (P20): "packet too large"."""
        with suppress(OSError, err.Error):
            self.sock.settimeout(0)
            count = self.sock.recv_into(session.space())
            session.received(count)

    def _lost(self, session: Session, exc: OSError) -> Need:
        # the system's own time-outs (keepalive) have a number, those of the settings have none
        if not isinstance(exc, TimeoutError) or exc.errno is not None:
            return session.lost(str(exc), exc)
        name, seconds = self._by
        if seconds is None:
            raise exc  # no setting's: a signal handler of the program raised it
        return session.lost(f"timed out, {name}={seconds:g} s", exc)

    def _start_tls(self, session: Session, deadline: Deadline | None) -> Need:
        options = self.options
        name = options.ssl_server_hostname or ("localhost" if self.local else options.host)
        try:
            self._limit("read_timeout", self._read_timeout, deadline)
            # kept before the handshake, so that whatever interrupts that finds the socket to close
            self.sock = build_context(options).wrap_socket(
                self.sock, server_hostname=name, do_handshake_on_connect=False
            )
            self.sock.do_handshake()
        except TimeoutError as exc:
            return self._lost(session, exc)
        except (ssl.SSLError, OSError, ValueError) as exc:
            return session.lost(
                f"TLS could not start: {exc}. See the ssl options",
                exc,
                errno=CR.CR_SSL_CONNECTION_ERROR,
            )
        except err.Error as exc:
            return session.fail(exc)
        self._set = self.sock.gettimeout()
        return session.resume()

    def _next_piece(self, session: Session) -> Need:
        try:
            if self._pieces is None:
                self._pieces = LocalFiles(self.options.local_infile).pieces(session.file_name)
            piece = next(self._pieces, b"")
            if self._readable():
                session.received(self.sock.recv_into(session.space()))
        except Exception as exc:
            self._pieces = None
            return session.fail(exc)
        if not piece:
            self._pieces = None
        return session.resume(piece)

    def _readable(self) -> bool:
        if not hasattr(select, "poll"):  # Windows
            return bool(select.select((self.sock,), (), (), 0)[0])
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def _kill(self, session: Session) -> bool:
        """Kill the session's statement over a second connection; False when none can be had."""
        assert session.greeting is not None
        options = stopping.side_options(self.options)
        deadline = Deadline(options.connect_timeout, "connect_timeout")
        side = Session()
        try:
            # the very server of this link: its name may lead to another one by now (P99)
            sock = _dial_address(
                options, self.sock.family, self.sock.getpeername(), deadline.left()
            )
            transport = SocketTransport(sock, options, self._credentials)
            try:
                side.local = transport.local
                thread_id = session.greeting.thread_id
                transport.run(
                    side, stopping.kill(side, options, self._credentials(), thread_id), deadline
                )
            finally:
                transport.close()
        except (OSError, err.Error):
            return False
        return True

    def shut_down(self) -> None:
        """Wake a thread that waits in recv(): closing alone does not (P115)."""
        with suppress(OSError):
            # not SSLSocket's, which forgets the TLS state that the other thread is using
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket at once; nothing is sent."""
        self._pieces = None
        self.sock.close()

    def fileno(self) -> int:
        return self.sock.fileno()
