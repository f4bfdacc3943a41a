"""The blocking transport: the only place of the blocking driver that touches a socket."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from pymy.protocol.needs import DONE, FILE, READ, TLS, WRITE
from pymy.protocol.state import BROKEN, BUSY

from . import err
from .constants import CR
from .dialling import BLOCKING, dialling_address, target
from .localfiles import pieces_of
from .options import Options
from .protocol import stopping
from .protocol.handshake import Credentials
from .protocol.needs import Conversation, Need
from .protocol.session import Session
from .tls import build_context, not_started, server_name
from .waiting import Deadline, Steps, Waiting, finish, remaining, unanswered, unsent

T = TypeVar("T")


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
        self._counts: list[int] = []
        self._waiting = False
        self._killer: threading.Thread | None = None
        self._killed: bool | None = False
        self._grace = options.cancel_timeout
        self.local = sock.family == getattr(socket, "AF_UNIX", None)

    def run(
        self, session: Session, conversation: Conversation[T], deadline: Deadline | None = None
    ) -> T:
        """Carry one conversation to its end.

        A time-out, or a Ctrl-C while it waits for the server, lets the caller go and leaves the
        statement to ``on_cancel``; the next call waits until the line is clean. Any other
        interruption may have cost bytes: the connection is closed, never used half-read.
        """
        if session.unclean:
            finish(self.catching_up(BLOCKING, session, deadline))
        try:
            need = session.start(conversation)
            self.drive(session, need, deadline)
        except BaseException as exc:
            if not session.runs(conversation):  # it was refused, or had ended already
                raise
            if not (self._is_whole(session, exc) and self._let_go(session)):
                session.cut()
                self.close()
            raise
        if session.state is BROKEN:
            self.close()
        result: T = session.result()
        return result

    def drive(self, session: Session, need: Need, deadline: Deadline | None) -> None:
        while need is not DONE:
            if need is READ:
                need = self._receive(session, deadline)
            elif need is WRITE:
                need = self._send(session, deadline)
            elif need is TLS:
                need = self._start_tls(session, deadline)
            elif need is FILE:
                need = self.next_piece(session)
            else:
                need = session.resume(self._kill(self.target(session), remaining(deadline)))

    # -- letting go of a statement, and cleaning up behind it

    def _is_whole(self, session: Session, exc: BaseException) -> bool:
        """Tell whether an interruption lost nothing: it came while waiting for bytes."""
        if isinstance(exc, err.Error):
            return self.is_timed_out(exc)
        if not self._waiting or isinstance(self.sock, ssl.SSLSocket):
            return False  # TLS counts its bytes in Python code, which a signal may interrupt
        self._waiting = False
        if self._counts:
            session.filled(self._counts.pop())
        return True

    @staticmethod
    def is_timed_out(exc: BaseException) -> bool:
        return isinstance(exc, err.Error) and exc.errno == CR.CR_QUERY_TIMEOUT

    def _let_go(self, session: Session) -> bool:
        """Leave the running statement to ``on_cancel``; False when only closing is left."""
        policy = self.options.on_cancel
        target = self.target(session)
        if target is None:
            return False
        if policy == "close" or not session.abandon():
            return False
        self.left_behind()
        if policy == "kill":
            # behind the caller; no daemon, so that a program ended by Ctrl-C still sends it
            killer = threading.Thread(target=self._kill_behind, args=(target,), name="pymy-kill")
            with suppress(RuntimeError):  # no more threads: the answer is drained
                killer.start()
                self._killer = killer
        return True

    def left_behind(self, killed: bool | None = False) -> None:
        """Take note that a statement was abandoned; ``killed`` if a KILL QUERY went out."""
        self._killed = killed
        self._grace = self.options.cancel_timeout

    def _kill_behind(self, target: stopping.Target) -> None:
        self._killed = self._kill(target, self.options.cancel_timeout)

    def catching_up(self, how: Waiting, session: Session, call: Deadline | None) -> Steps[None]:
        """Read an abandoned statement to its end, within ``cancel_timeout``.

        It counts while somebody reads: nobody has since the statement was left, however long that
        was. A call whose own time is over before leaves the rest to the next one.
        """
        began = time.monotonic()
        deadline = Deadline(self._grace, "cancel_timeout")
        if call is not None and call.at is not None and call.at < began + self._grace:
            deadline = call
        try:
            yield from self._catching_up(how, session, deadline)
        except TimeoutError:
            if deadline is call:
                self._grace -= time.monotonic() - began
                raise unsent(deadline) from None
            session.cut()
        except err.Error:
            session.cut()
        except BaseException:
            session.cut()
            self.close()
            raise
        if session.state is BROKEN:
            self.close()

    def _catching_up(self, how: Waiting, session: Session, deadline: Deadline) -> Steps[None]:
        if self._killer is not None:
            yield from how.join(self._killer, deadline)
            self._killer = None
        if not session.settling:
            yield from how.drive(self, session, session.need, deadline)
            stopped = stopping.was_killed(session.take_error())
            if not session.usable():
                return
            session.start(stopping.settle(session, False if stopped else self._killed))
            session.settling = session.need is not DONE
        yield from how.drive(self, session, session.need, deadline)
        session.result()

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
            # Through map() and extend(), which are one call of C: a signal's handler runs before
            # bytes were taken or after their count was kept, never between.
            self._waiting = True
            self._counts.extend(map(self.sock.recv_into, (session.space(),)))
            self._waiting = False
        except OSError as exc:
            self._waiting = False
            if patience is not None and isinstance(exc, TimeoutError) and self._by[0] == "patience":
                return session.resume(True)
            return self.lost(session, exc, *self._by, reading=True)
        count = self._counts.pop()
        return session.filled(count) if count else session.eof()

    def _send(self, session: Session, deadline: Deadline | None) -> Need:
        try:
            if deadline is not None or self._set != self._write_timeout:
                self._limit("write_timeout", self._write_timeout, deadline)
            count = self.sock.send(session.output())
        except OSError as exc:
            if not isinstance(exc, TimeoutError):
                self.hear_out(session)
            return self.lost(session, exc, *self._by)
        return session.sent(count)

    def hear_out(self, session: Session) -> None:
        """Fetch what the server said before it hung up on a write (P20): "packet too large"."""
        with suppress(OSError, err.Error):
            self.sock.settimeout(0)
            count = self.sock.recv_into(session.space())
            session.received(count)

    def lost(
        self,
        session: Session,
        exc: OSError,
        name: str,
        seconds: float | None,
        reading: bool = False,
    ) -> Need:
        """Tell the session that the link failed, or time ran out: by which setting, of how much."""
        # the system's own time-outs (keepalive) have a number, those of the settings have none
        if not isinstance(exc, TimeoutError) or exc.errno is not None:
            return session.lost(str(exc), exc)
        if seconds is None or (session.unclean and name == "timeout"):
            raise exc  # no setting's: a signal handler's of the program; or of a call in line
        if name == "timeout" and not reading and session.retract():
            raise unsent(Deadline(seconds, name)) from exc
        if reading and session.state is BUSY and self._can_let_go(session):
            raise unanswered(name, seconds, self.options.on_cancel, session) from exc
        return session.lost(f"timed out, {name}={seconds:g} s", exc)

    def _can_let_go(self, session: Session) -> bool:
        return (
            self.options.on_cancel != "close" and not session.abandoned and not session.indivisible
        )

    def _start_tls(self, session: Session, deadline: Deadline | None) -> Need:
        try:
            self._limit("read_timeout", self._read_timeout, deadline)
            self.wrap().do_handshake()
        except Exception as exc:
            return self.no_tls(session, exc, *self._by)
        self._set = self.sock.gettimeout()
        return session.resume()

    def wrap(self) -> ssl.SSLSocket:
        """Put TLS around the socket; its handshake is still to come."""
        options = self.options
        name = server_name(options, self.local)
        # kept before the handshake, so that whatever interrupts that finds the socket to close
        self.sock = wrapped = build_context(options).wrap_socket(
            self.sock, server_hostname=name, do_handshake_on_connect=False
        )
        return wrapped

    def no_tls(self, session: Session, exc: Exception, name: str, seconds: float | None) -> Need:
        """Tell the session why TLS did not start."""
        if isinstance(exc, TimeoutError):
            return self.lost(session, exc, name, seconds)
        if isinstance(exc, err.Error):
            return session.fail(exc)
        if not isinstance(exc, (OSError, ValueError)):  # ssl.SSLError is an OSError
            raise exc
        return session.lost(
            not_started(exc),
            exc,
            errno=CR.CR_SSL_CONNECTION_ERROR,
        )

    def next_piece(self, session: Session) -> Need:
        try:
            if session.pieces is None:
                session.pieces = pieces_of(session, self.options.local_infile)
            piece = next(session.pieces, b"")
            # an answer may come before the end of a local file, none to a parameter
            if session.upload is None and is_readable(self.sock):
                with suppress(BlockingIOError, ssl.SSLWantReadError):  # half a record of TLS
                    session.received(self.sock.recv_into(session.space()))
        except Exception as exc:
            return session.fail(exc)
        return session.resume(piece)

    def is_silent(self) -> bool:
        """Tell whether nothing waits to be read: neither bytes nor the end of the link."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return False
        return not is_readable(self.sock)

    def target(self, session: Session) -> stopping.Target | None:
        """Describe the running statement to whoever is to kill it.

        None when the link is lost already, though what it received can still be read.
        """
        try:
            return target(self.sock, session, self.options)
        except OSError:
            return None

    def _kill(self, target: stopping.Target | None, seconds: float | None) -> bool | None:
        return finish(self.killing(BLOCKING, target, seconds))

    def killing(
        self, how: Waiting, target: stopping.Target | None, seconds: float | None
    ) -> Steps[bool | None]:
        """Kill a statement over a second connection, within ``seconds`` and ``connect_timeout``.

        False when none leads to it, None when it is not known whether the kill arrived.
        """
        if target is None or target.address is None:
            return False
        options = stopping.side_options(self.options)
        limit = options.connect_timeout or options.cancel_timeout
        deadline = Deadline(min(limit, limit if seconds is None else seconds), "connect_timeout")
        side = Session()
        try:
            sock = yield from dialling_address(
                how, options, target.family, target.address, deadline.left()
            )
            transport = SocketTransport(sock, options, self._credentials)
            try:
                side.local = transport.local
                kill = stopping.kill(side, options, self._credentials(), target)
                return (yield from how.run(transport, side, kill, deadline))
            finally:
                transport.close()
        except Exception:  # of any kind: the password may be the program's own function
            return stopping.outcome(side)

    def stop_blocking(self) -> None:
        """Make the socket raise where it would wait, for an operation of ``nonblocking``."""
        self.sock.settimeout(0.0)

    def block_again(self) -> None:
        with suppress(OSError):  # closed
            self.sock.settimeout(self._read_timeout)
            self._set = self._read_timeout

    def shut_down(self) -> None:
        """Wake a thread that waits in recv(): closing alone does not (P115)."""
        with suppress(OSError):
            # not SSLSocket's, which forgets the TLS state that the other thread is using
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket at once; nothing is sent."""
        self.sock.close()

    def fileno(self) -> int:
        return self.sock.fileno()


def is_readable(sock: Any) -> bool:
    """Tell whether bytes or the end of the link can be read without waiting."""
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select((sock,), (), (), 0)[0])
    poll = select.poll()  # select.select() cannot take descriptors above 1023
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
