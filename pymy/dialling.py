"""Finding the server and connecting to it, blocking or in steps."""

from __future__ import annotations

import queue
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from . import err
from .constants import CR
from .options import Options
from .protocol import stopping
from .protocol.needs import Conversation, Need
from .protocol.session import Session
from .waiting import Addresses, Deadline, Dialling, Steps, finish

if TYPE_CHECKING:
    from .transport import SocketTransport

T = TypeVar("T")


class Blocking:
    """Waits by blocking, so these steps have no pauses."""

    def resolve(self, host: str, port: int, deadline: Deadline) -> Steps[Addresses]:
        yield from ()
        return resolve(host, port, deadline)

    def connect(self, sock: socket.socket, address: Any, seconds: float | None) -> Steps[None]:
        sock.settimeout(seconds)
        sock.connect(address)
        yield from ()

    def join(self, thread: threading.Thread, deadline: Deadline) -> Steps[None]:
        thread.join(deadline.left())
        if thread.is_alive():
            raise TimeoutError
        yield from ()

    def drive(
        self, link: SocketTransport, session: Session, need: Need, deadline: Deadline | None
    ) -> Steps[None]:
        link.drive(session, need, deadline)
        yield from ()

    def run(
        self,
        link: SocketTransport,
        session: Session,
        conversation: Conversation[T],
        deadline: Deadline | None,
    ) -> Steps[T]:
        yield from ()
        return link.run(session, conversation, deadline)


BLOCKING = Blocking()


def dial(options: Options, deadline: Deadline) -> socket.socket:
    """Open a connected socket to the server, trying each of the host's addresses in turn."""
    return finish(dialling(BLOCKING, options, deadline))


def dialling(how: Dialling, options: Options, deadline: Deadline) -> Steps[socket.socket]:
    if options.unix_socket is not None:
        return (yield from _dialling_unix(how, options, deadline))
    try:
        found = yield from how.resolve(options.host, options.port, deadline)
        reasons = []
        for place, (family, address) in enumerate(found):
            try:
                # an address that swallows packets must not use up the time of those behind it
                timeout = deadline.share(len(found) - place)
                return (yield from dialling_address(how, options, family, address, timeout))
            except OSError as exc:
                reasons.append(exc)
        raise reasons[0] if reasons else OSError("the name has no address")
    except OSError as exc:
        raise _cannot_connect(CR.CR_CONN_HOST_ERROR, options.where, exc, deadline) from exc


def dialling_address(
    how: Dialling, options: Options, family: int, address: Any, timeout: float | None
) -> Steps[socket.socket]:
    sock = socket.socket(family, socket.SOCK_STREAM)
    tcp = family in (socket.AF_INET, socket.AF_INET6)
    try:
        if tcp and options.bind_address is not None:
            sock.bind((options.bind_address, 0))
        yield from how.connect(sock, address, timeout)
        if tcp and options.tcp_nodelay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tcp and options.tcp_keepalive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def target(sock: Any, session: Session, options: Options) -> stopping.Target:
    """Describe a link's statement to whoever is to kill it; OSError when the link is lost.

    The link's own address leads there: the name may lead to another server by now (P99).
    """
    assert session.greeting is not None
    address: Any = sock.getpeername()
    if sock.family == getattr(socket, "AF_UNIX", None):
        # the peer's path is the one that the server sees, in a container of its own perhaps: here
        # anybody may listen there, for a password
        address, end = options.unix_socket, "localhost"
    else:
        end = f":{sock.getsockname()[1]}"
    text = session.statement.decode(session.decoding.encoding, "replace")
    return stopping.Target(sock.family, address, session.greeting.thread_id, end, text)


def _dialling_unix(how: Dialling, options: Options, deadline: Deadline) -> Steps[socket.socket]:
    path = options.unix_socket
    try:
        seconds = deadline.left()
        return (yield from dialling_address(how, options, socket.AF_UNIX, path, seconds))
    except OSError as exc:
        raise _cannot_connect(CR.CR_CONNECTION_ERROR, options.where, exc, deadline) from exc


def _cannot_connect(
    errno: int, where: str, exc: OSError, deadline: Deadline
) -> err.OperationalError:
    reason = (
        f"no answer within {deadline.name}={deadline.seconds:g} s"
        if isinstance(exc, TimeoutError) and exc.errno is None
        else str(exc)
    )
    advice = "Is the server running, and are host, port or socket right?"
    if where.startswith("'localhost'"):
        advice += " localhost means TCP here; unix_socket= takes the path of a socket"
    return err.OperationalError(
        errno,
        f"Can't connect to MySQL server on {where} ({reason}). {advice}",
        sent=False,
        fatal=True,
    )


def resolve(host: str, port: int, deadline: Deadline) -> Addresses:
    """Look a host's addresses up, within the deadline: getaddrinfo itself knows none."""
    if deadline.at is None or is_address(host):
        return addresses(host, port)
    answer: queue.SimpleQueue[Addresses | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answer.put(addresses(host, port))
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


def addresses(host: str, port: int) -> Addresses:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as exc:
        raise no_name(exc) from exc
    return [(info[0], info[4]) for info in infos]


def no_name(exc: UnicodeError) -> OSError:
    return OSError(f"not a host name: {exc}")


def is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, host)
            return True
    return False
