"""A MySQL server that follows a script, for faults that no real server commits on request.

::

    with Server(greet(), login(), query("select 1"), rows(["1"], [(1,)]), close()) as server:
        conn = server.connect()

Each accepted connection follows its own list of steps (``Server(...).then(...)``); behind the last
script the port is closed. Every wait has a bound, and what went wrong on this side fails the test.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

from facade import Facade
from server_packets import (
    AUTOCOMMIT,
    DEPRECATE_EOF,
    QUERY,
    SSL,
    THREAD_ID,
    column,
    err_packet,
    framed,
    greeting,
    lenenc,
    number,
    ok_packet,
    text,
)

import pymy

driver = Facade("blocking")  # what it connects with; conftest.py chooses

LIMIT = 5.0  # seconds a side waits for the other before the test fails

PASSWORD = "s3cret-Pa55word"
USER = "alice-in-tests"


class ScriptError(AssertionError):
    """The client did something else than the script expected."""


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket, over: threading.Event) -> None:
        sock.settimeout(LIMIT)
        if sock.family != socket.AF_UNIX:  # each step leaves at once, not held back by Nagle's rule
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.over = over
        self.sequence = 0
        self.capabilities = 0
        self.heard = bytearray()
        self.tls = False
        self.doing = "accept"
        self.client = sock.getpeername()
        self.first = self  # of the server's connections

    def receive(self, count: int, what: str) -> bytes:
        data = b""
        while len(data) < count:
            try:
                piece = self.sock.recv(count - len(data))
            except TimeoutError:
                raise ScriptError(f"{what} did not come within {LIMIT} s") from None
            if not piece:
                raise ScriptError(f"{what} was due, the client hung up; it said {data!r} before")
            data += piece
            if not self.tls:
                self.heard += piece
        return data

    def read(self, what: str) -> bytes:
        payload = b""
        while True:
            header = self.receive(4, what)
            size = int.from_bytes(header[:3], "little")
            payload += self.receive(size, what)
            self.sequence = (header[3] + 1) & 255
            if size < 0xFFFFFF:
                return payload

    def send(self, *payloads: bytes) -> None:
        stream = b""
        for payload in payloads:
            stream += framed(payload, self.sequence)
            self.sequence = (self.sequence + 1) & 255
        self.sock.sendall(stream)

    def close(self) -> None:
        self.sock.close()


Step = Callable[[Peer], None]


def step(act: Callable[..., None]) -> Callable[..., Step]:
    """Make of ``act(peer, ...)`` a function that returns a step with a readable name."""

    @wraps(act)
    def make(*args: Any, **options: Any) -> Step:
        def run(peer: Peer) -> None:
            act(peer, *args, **options)

        shown = ", ".join([*map(repr, args), *(f"{k}={v!r}" for k, v in options.items())])
        run.__name__ = f"{act.__name__}({shown[:80]})"
        return run

    return make


# -- steps


@step
def greet(peer: Peer, *args: Any, sequence: int = 0, **variations: Any) -> None:
    peer.sequence = sequence
    peer.send(greeting(*args, **variations))


@step
def response(peer: Peer) -> None:
    """Read HandshakeResponse41."""
    packet = peer.read("HandshakeResponse41")
    low, _, _, high = struct.unpack_from("<IIB19xI", packet)
    peer.capabilities = low | high << 32
    assert packet[32:].startswith(USER.encode() + b"\0"), packet


@step
def login(peer: Peer) -> None:
    """Let the client in and take its first statement."""
    response()(peer)
    welcome()(peer)


@step
def welcome(peer: Peer) -> None:
    """Say OK to the login and to the client's first statement."""
    peer.send(ok_packet())
    query(re.compile("SET NAMES .*"))(peer)
    peer.send(ok_packet())


@step
def ssl_request(peer: Peer) -> None:
    packet = peer.read("SSLRequest")
    if len(packet) != 32 or not struct.unpack("<I", packet[:4])[0] & SSL:
        raise ScriptError(f"SSLRequest was due, {packet!r} came")


@step
def start_tls(peer: Peer, context: ssl.SSLContext, *, refused: bool = False) -> None:
    ssl_request()(peer)
    peer.tls = True
    try:
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
    except ssl.SSLError:
        if not refused:
            raise
    else:
        if refused:
            raise ScriptError("the client took a certificate it should have refused")


@step
def expect(peer: Peer, command: int, content: str | bytes | re.Pattern[str] = b"") -> None:
    packet = peer.read(f"command {command} {content!r}")
    if isinstance(content, re.Pattern):
        good = content.fullmatch(packet[1:].decode()) is not None
    else:
        good = packet[1:] == (content.encode() if isinstance(content, str) else content)
    if packet[0] != command or not good:
        raise ScriptError(f"command {command} {content!r} was due, {packet[:200]!r} came")


def query(content: str | bytes | re.Pattern[str]) -> Step:
    return expect(QUERY, content)


@step
def take(peer: Peer, packet: bytes) -> None:
    """Expect this packet, whatever it means."""
    came = peer.read(f"packet {packet!r}")
    if came != packet:
        raise ScriptError(f"packet {packet!r} was due, {came[:200]!r} came")


@step
def send(peer: Peer, *packets: bytes, sequence: int | None = None) -> None:
    if sequence is not None:
        peer.sequence = sequence
    peer.send(*packets)


@step
def send_raw(peer: Peer, data: bytes) -> None:
    peer.sock.sendall(data)


@step
def dribble(peer: Peer, data: bytes) -> None:
    """Send byte by byte."""
    for at in range(len(data)):
        peer.sock.sendall(data[at : at + 1])


@step
def ok(peer: Peer, **fields: int) -> None:
    peer.send(ok_packet(**fields))


@step
def err(
    peer: Peer, errno: int, message: str, sqlstate: str | None = "HY000", *,
    sequence: int | None = None,
) -> None:  # fmt: skip
    if sequence is not None:
        peer.sequence = sequence
    peer.send(err_packet(errno, message, sqlstate))


def head_packets(peer: Peer, columns: Iterable[str | bytes]) -> list[bytes]:
    definitions = [column(each) if isinstance(each, str) else each for each in columns]
    eof = [] if peer.capabilities & DEPRECATE_EOF else [b"\xfe\0\0\2\0"]
    return [lenenc(len(definitions)), *definitions, *eof]


def end_packet(peer: Peer, status: int = AUTOCOMMIT) -> bytes:
    if peer.capabilities & DEPRECATE_EOF:
        return ok_packet(status, header=0xFE)
    return b"\xfe\0\0" + struct.pack("<H", status)


@step
def head(peer: Peer, *columns: str | bytes) -> None:
    peer.send(*head_packets(peer, columns))


@step
def row(peer: Peer, *values: Any) -> None:
    peer.send(b"".join(map(text, values)))


@step
def end(peer: Peer, status: int = AUTOCOMMIT) -> None:
    peer.send(end_packet(peer, status))


@step
def rows(
    peer: Peer, columns: Iterable[str | bytes], values: Iterable[Iterable[Any]],
    status: int = AUTOCOMMIT,
) -> None:  # fmt: skip
    """Send a whole result set in one go."""
    payloads = [b"".join(map(text, each)) for each in values]
    peer.send(*head_packets(peer, columns), *payloads, end_packet(peer, status))


@step
def request_file(peer: Peer, name: bytes) -> None:
    peer.send(b"\xfb" + name)


@step
def read_file(peer: Peer, content: bytes) -> None:
    """Expect a local file's content, to the empty packet at its end."""
    came = b""
    while piece := peer.read("a piece of the file, or its end"):
        came += piece
    if came != content:
        raise ScriptError(f"a file of {content[:80]!r} was due, {came[:80]!r} came")


@step
def silence(peer: Peer) -> None:
    """Say nothing more until the test is over."""
    if not peer.over.wait(LIMIT):
        raise ScriptError(f"the client still waits after {LIMIT} s of silence")


@step
def wait(peer: Peer, event: threading.Event) -> None:
    if not event.wait(LIMIT):
        raise ScriptError(f"the test did not come to its event within {LIMIT} s")


@step
def do(peer: Peer, function: Callable[[], object]) -> None:
    function()


@step
def hung_up(peer: Peer) -> None:
    """Expect the client to close the link without another word."""
    try:
        piece = peer.sock.recv(64)
    except TimeoutError:
        raise ScriptError("the client did not close its socket") from None
    except ConnectionError:
        return
    peer.heard += piece
    if piece:
        raise ScriptError(f"the client should have hung up, it said {piece!r}")


@step
def listen_to_the_end(peer: Peer) -> None:
    """Take whatever the client says until it hangs up."""
    try:
        while piece := peer.sock.recv(65536):
            peer.heard += piece
    except TimeoutError:
        raise ScriptError("the client did not close its socket") from None
    except ConnectionError:
        pass


@step
def half_close(peer: Peer) -> None:
    peer.sock.shutdown(socket.SHUT_WR)


@step
def close(peer: Peer) -> None:
    peer.close()


@step
def reset(peer: Peer) -> None:
    """Close with an RST: what the client has not read yet may be lost."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


@step
def processes(peer: Peer, *rows: tuple[Any, ...], full: bool = False) -> None:
    """Answer SHOW PROCESSLIST: id, user, host, statement; or that the first connection is here."""
    query(f"SHOW {'FULL ' if full else ''}PROCESSLIST")(peer)
    if not rows:
        client = peer.first.client
        host = f"localhost:{client[1]}" if client else "localhost"
        rows = ((THREAD_ID, USER, host, "a statement"),)
    names = ["User", "Host", "db", "Command", "Time", "State", "Info"]
    peer.send(
        *head_packets(peer, [number("Id"), *names]),
        *(b"".join(map(text, (*row[:3], "db", "Query", 1, "", row[3]))) for row in rows),
        end_packet(peer),
    )


# -- the server


class Server:
    """Listens on a free port of this machine, or on a unix socket, while its block lasts."""

    def __init__(self, *steps: Step, host: str = "127.0.0.1", unix: bool = False) -> None:
        self.host = host
        self.port = 0
        self.unix_socket: str | None = None
        self.peers: list[Peer] = []
        self.failures: list[str] = []
        self._unix = unix
        self._scripts = [steps]
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._connections: list[pymy.Connection] = []

    def then(self, *steps: Step) -> Server:
        """Add the script of one more connection."""
        self._scripts.append(steps)
        return self

    @property
    def heard(self) -> bytes:
        """Everything that came in clear, on all connections."""
        return b"".join(bytes(peer.heard) for peer in self.peers)

    def __enter__(self) -> Server:
        if self._unix:
            self._folder = tempfile.TemporaryDirectory()
            self.unix_socket = str(Path(self._folder.name) / "s")
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(self.unix_socket)
        else:
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            listener = socket.socket(family)
            listener.bind((self.host, 0))
            self.port = listener.getsockname()[1]
        listener.listen()
        listener.settimeout(0.02)
        self._start(self._accept, listener)
        return self

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while self._scripts and not self._over.is_set():
                try:
                    sock, _ = listener.accept()
                except TimeoutError:
                    continue
                peer = Peer(sock, self._over)
                self.peers.append(peer)
                peer.first = self.peers[0]
                script = self._scripts.pop(0)
                if not self._scripts:  # closed before the script runs: the next one is refused
                    listener.close()
                self._start(self._follow, peer, script)

    def _follow(self, peer: Peer, script: tuple[Step, ...]) -> None:
        try:
            for each in script:
                peer.doing = each.__name__
                each(peer)
        except Exception as exc:
            self.failures.append(f"at {peer.doing}: {type(exc).__name__}: {exc}")
            peer.close()
        else:
            peer.doing = ""

    def connect(self, **options: Any) -> pymy.Connection:
        """Connect with pymy; the connection is closed when the block ends."""
        conn: pymy.Connection = driver.Connection(**self.options(defer_connect=True, **options))
        self._connections.append(conn)
        conn.connect()
        return conn

    def options(self, **options: Any) -> dict[str, Any]:
        where: dict[str, Any] = {"host": self.host, "port": self.port}
        if self._unix:
            where = {"unix_socket": self.unix_socket}
        bounds = {"connect_timeout": 2 * LIMIT, "read_timeout": 2 * LIMIT}
        return where | bounds | {"user": USER, "password": PASSWORD} | options

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        for conn in self._connections:
            conn.abort()
        self._over.set()
        for thread in self._threads:
            thread.join(2 * LIMIT)
        for peer in self.peers:
            peer.close()
            if peer.doing and not self.failures:
                self.failures.append(f"the script never came past {peer.doing}")
        if self._unix:
            self._folder.cleanup()
        if self._scripts and not self.failures:
            self.failures.append(f"{len(self._scripts)} script(s) saw no connection")
        if self.failures and error is not None:
            error.add_note("scripted server: " + "; ".join(self.failures))
        elif self.failures:
            raise ScriptError("; ".join(self.failures))
