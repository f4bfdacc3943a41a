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
from pymy.protocol.state import BROKEN, BUSY

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
        self._pieces: Iterator[bytes] | None = None
        self._counts: list[int] = []
        self._waiting = False
        self._cleaning = Deadline(None, "cancel_timeout")
        self._killer: threading.Thread | None = None
        self._killed = False
        self._family = sock.family
        self.local = sock.family == getattr(socket, "AF_UNIX", None)

    def run(
        self, session: Session, conversation: Conversation[T], deadline: Deadline | None = None
    ) -> T:
        """Carry one conversation to its end.

        A time-out, or a Ctrl-C while it waits for the server, lets the caller go and leaves the
        statement to ``on_cancel``; the next call waits until the line is clean. Any other
        interruption may have cost bytes: the connection is closed, never used half-read.
        """
        if session.abandoned:
            self._catch_up(session)
        need = session.start(conversation)
        try:
            self._drive(session, need, deadline)
        except BaseException as exc:
            if not (self._is_whole(session, exc) and self._let_go(session)):
                session.cut()
                self.close()
            raise
        if session.state is BROKEN:
            self.close()
        result: T = session.result()
        return result

    def _drive(self, session: Session, need: Need, deadline: Deadline | None) -> None:
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
                need = session.resume(self._kill(session, self._peer(), None))

    # -- letting go of a statement, and cleaning up behind it

    def _is_whole(self, session: Session, exc: BaseException) -> bool:
        """Tell whether an interruption lost nothing: it came while waiting for bytes."""
        if isinstance(exc, err.Error):
            return exc.errno == CR.CR_QUERY_TIMEOUT
        if not self._waiting or isinstance(self.sock, ssl.SSLSocket):
            return False  # TLS counts its bytes in Python code, which a signal may interrupt
        self._waiting = False
        if self._counts:
            session.filled(self._counts.pop())
        return True

    def _let_go(self, session: Session) -> bool:
        """Leave the running statement to ``on_cancel``; False when only closing is left."""
        policy = self.options.on_cancel
        if policy == "close" or not session.abandon():
            return False
        self._cleaning = Deadline(self.options.cancel_timeout, "cancel_timeout")
        self._killed = False
        if policy == "kill":
            # behind the caller; no daemon, so that a program ended by Ctrl-C still sends it
            self._killer = threading.Thread(
                target=self._kill_behind, args=(session, self._peer()), name="pymy-kill"
            )
            self._killer.start()
        return True

    def _kill_behind(self, session: Session, peer: Any) -> None:
        self._killed = self._kill(session, peer, self.options.cancel_timeout)

    def _catch_up(self, session: Session) -> None:
        """Read an abandoned statement to its end, within ``cancel_timeout`` of its being left."""
        deadline = self._cleaning
        try:
            if self._killer is not None:
                self._killer.join(deadline.left())
            self._drive(session, session.need, deadline)
            stopped = stopping.was_killed(session.take_error())
            if session.usable():
                need = session.start(stopping.settle(session, self._killed and not stopped))
                self._drive(session, need, deadline)
                session.result()
        except (TimeoutError, err.Error):
            session.cut()
        except BaseException:
            session.cut()
            self.close()
            raise
        finally:
            self._killer = None
        if session.state is BROKEN:
            self.close()

    def _limit(self, timeout: float | None, deadline: Deadline | None) -> None:
        if deadline is not None:
            left = deadline.left()
            if left is not None and (timeout is None or left < timeout):
                timeout = left
        if timeout != self._set:
            self.sock.settimeout(timeout)
            self._set = timeout

    def _receive(self, session: Session, deadline: Deadline | None) -> Need:
        try:
            if deadline is not None or self._set != self._read_timeout:
                self._limit(self._read_timeout, deadline)
            # Through map() and extend(), which are one call of C: a signal's handler runs before
            # bytes were taken or after their count was kept, never between.
            self._waiting = True
            self._counts.extend(map(self.sock.recv_into, (session.space(),)))
            self._waiting = False
        except OSError as exc:
            self._waiting = False
            return self._lost(session, exc, "read_timeout", deadline)
        count = self._counts.pop()
        return session.filled(count) if count else session.eof()

    def _send(self, session: Session, deadline: Deadline | None) -> Need:
        try:
            if deadline is not None or self._set != self._write_timeout:
                self._limit(self._write_timeout, deadline)
            count = self.sock.send(session.output())
        except OSError as exc:
            if not isinstance(exc, TimeoutError):
                self._hear_out(session)
            return self._lost(session, exc, "write_timeout", deadline)
        return session.sent(count)

    def _hear_out(self, session: Session) -> None:
        """Fetch what the server said before it hung up on a write (P20): "packet too large"."""
        with suppress(OSError, err.Error):
            self.sock.settimeout(0)
            count = self.sock.recv_into(session.space())
            session.received(count)

    def _lost(self, session: Session, exc: OSError, option: str, deadline: Deadline | None) -> Need:
        # the system's own time-outs (keepalive) have a number, those of the settings have none
        if not isinstance(exc, TimeoutError) or exc.errno is not None:
            return session.lost(str(exc), exc)
        name, seconds = option, getattr(self.options, option)
        if (
            deadline is not None
            and deadline.seconds is not None
            and (seconds is None or deadline.seconds < seconds)
        ):
            name, seconds = deadline.name, deadline.seconds
        if option == "read_timeout" and session.state is BUSY and self._can_let_go(session):
            raise err.OperationalError(
                CR.CR_QUERY_TIMEOUT,
                f"No answer within {name}={seconds:g} s. The connection stays usable; the "
                f"statement is left to on_cancel={self.options.on_cancel!r}",
                fatal=False,
            ) from exc
        return session.lost(f"timed out, {name}={seconds:g} s", exc)

    def _can_let_go(self, session: Session) -> bool:
        return (
            self.options.on_cancel != "close" and not session.abandoned and not session.sending_file
        )

    def _start_tls(self, session: Session, deadline: Deadline | None) -> Need:
        options = self.options
        name = options.ssl_server_hostname or ("localhost" if self.local else options.host)
        try:
            self._limit(None, deadline)
            # kept before the handshake, so that whatever interrupts that finds the socket to close
            self.sock = build_context(options).wrap_socket(
                self.sock, server_hostname=name, do_handshake_on_connect=False
            )
            self.sock.do_handshake()
        except TimeoutError as exc:
            return self._lost(session, exc, "read_timeout", deadline)
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
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def _peer(self) -> Any:
        """Return the very server of this link: its name may lead to another one by now (P99)."""
        return self.sock.getpeername()

    def _kill(self, session: Session, peer: Any, seconds: float | None) -> bool:
        """Kill the session's statement over a second connection; False when none can be had."""
        assert session.greeting is not None
        options = stopping.side_options(self.options)
        deadline = Deadline(seconds or options.connect_timeout, "connect_timeout")
        side = Session()
        try:
            sock = _dial_address(options, self._family, peer, deadline.left())
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
