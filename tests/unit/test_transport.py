"""Finding the server: names, addresses, sockets, and what is said when nobody answers."""

from __future__ import annotations

import errno
import socket
import threading

import pytest

from pymy import err
from pymy.constants import CR
from pymy.dialling import dial, resolve
from pymy.options import Options
from pymy.waiting import Deadline

TCP = socket.AF_INET, socket.SOCK_STREAM, 6, ""
TCP6 = socket.AF_INET6, socket.SOCK_STREAM, 6, ""


def deadline(seconds=5.0):
    return Deadline(seconds, "connect_timeout")


def answering(monkeypatch, *infos):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **hints: list(infos))


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def refusing():
    """A port where nobody listens, and nobody else can."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        yield made.getsockname()[1]


def cannot(options, match, seconds=5.0, number=CR.CR_CONN_HOST_ERROR):
    with pytest.raises(err.OperationalError, match=match) as caught:
        dial(options, deadline(seconds))
    error = caught.value
    assert error.errno == number
    assert error.fatal
    assert not error.sent
    assert error.retry is err.Retry.CONNECTION
    return error


# -- deadlines


def test_no_deadline():
    assert deadline(None).left() is None
    assert deadline(None).share(3) is None


def test_a_deadline_that_passed():
    with pytest.raises(TimeoutError):
        deadline(0.0).left()
    with pytest.raises(TimeoutError):
        deadline(0.0).share(2)


def test_shares():
    assert 0 < deadline(8.0).share(4) <= 2.0


# -- names


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_addresses_need_no_thread(host, monkeypatch):
    monkeypatch.setattr(threading, "Thread", None)
    assert resolve(host, 3306, deadline())[0][1][:2] == (host, 3306)


def test_a_resolver_that_never_answers(monkeypatch):
    """getaddrinfo knows no time-out, connect_timeout holds all the same (P42)."""
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **hints: over.wait(10) and [])
    try:
        cannot(Options(host="db.example"), r"connect_timeout=0\.05 s", 0.05)
    finally:
        over.set()


@pytest.mark.parametrize("seconds", [None, 5.0])
def test_a_name_that_does_not_exist(monkeypatch, seconds):
    def getaddrinfo(*args, **hints):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    error = cannot(Options(host="db.example", port=3307), "Name or service not known", seconds)
    assert "'db.example', port 3307" in error.message


def test_a_name_without_addresses(monkeypatch):
    answering(monkeypatch)
    cannot(Options(host="db.example"), "no address")


@pytest.mark.parametrize("seconds", [None, 5.0])
@pytest.mark.parametrize("host", ["x" * 64 + ".example", "db..example"])
def test_names_that_no_name_server_could_have(host, seconds):
    cannot(Options(host=host), "Can't connect", seconds)


# -- several addresses


def test_nobody_listens(refusing):
    cannot(Options(port=refusing), "refused")


def test_the_next_address_is_tried(monkeypatch, listener, refusing):
    """localhost is ::1 and 127.0.0.1, and many servers listen to the second only."""
    port = listener.getsockname()[1]
    answering(monkeypatch, (*TCP, ("127.0.0.1", refusing)), (*TCP, ("127.0.0.1", port)))
    with dial(Options(host="localhost"), deadline()) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)


def test_localhost_by_ipv6_first(monkeypatch, listener):
    """Also where this machine has no IPv6 at all, so that no such socket can be made."""
    port = listener.getsockname()[1]
    answering(monkeypatch, (*TCP6, ("::1", port, 0, 0)), (*TCP, ("127.0.0.1", port)))
    plain = socket.socket

    def without_ipv6(family, *args):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return plain(family, *args)

    with dial(Options(host="localhost"), deadline()) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)
    monkeypatch.setattr(socket, "socket", without_ipv6)
    with dial(Options(host="localhost"), deadline()) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)


class Slow(socket.socket):
    """A socket whose packets to port 1 are swallowed; it fails as connect() then does."""

    system = False
    given: list[float | None] = []

    def connect(self, address):
        self.given.append(self.gettimeout())
        if address[1] != 1:
            super().connect(address)
        elif self.system:
            raise OSError(errno.ETIMEDOUT, "Connection timed out")
        else:
            raise TimeoutError("timed out")


@pytest.mark.parametrize("system", [False, True])
def test_an_address_that_swallows_packets_leaves_time_for_the_next(monkeypatch, listener, system):
    port = listener.getsockname()[1]
    answering(monkeypatch, (*TCP, ("127.0.0.1", 1)), (*TCP, ("127.0.0.1", port)))
    monkeypatch.setattr(Slow, "system", system)
    monkeypatch.setattr(Slow, "given", [])
    monkeypatch.setattr(socket, "socket", Slow)
    with dial(Options(host="db.example"), deadline()) as sock:
        assert sock.getpeername() == ("127.0.0.1", port)
    assert Slow.given[0] <= 2.5 < Slow.given[1]


def test_no_address_answers(monkeypatch, refusing):
    answering(monkeypatch, *[(*TCP, ("127.0.0.1", refusing))] * 3)
    cannot(Options(host="db.example"), "refused")


def test_silent_addresses(monkeypatch):
    answering(monkeypatch, *[(*TCP, ("127.0.0.1", 1))] * 2)
    monkeypatch.setattr(socket, "socket", Slow)
    cannot(Options(host="db.example"), "no answer within connect_timeout=5 s")


def test_interrupted_while_dialling(monkeypatch):
    made = []

    class Interrupted(socket.socket):
        def connect(self, address):
            made.append(self)
            raise KeyboardInterrupt

    monkeypatch.setattr(socket, "socket", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        dial(Options(), deadline())
    assert made[0].fileno() == -1


# -- sockets


@pytest.mark.parametrize("on", [True, False])
def test_socket_options(listener, on):
    options = Options(port=listener.getsockname()[1], tcp_nodelay=on, tcp_keepalive=on)
    with dial(options, deadline()) as sock:
        assert bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is on
        assert bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is on


def test_bind_address(listener):
    options = Options(port=listener.getsockname()[1], bind_address="127.0.0.1")
    with dial(options, deadline()) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"


def test_a_bind_address_of_another_machine(listener):
    # 192.0.2.0/24 is kept for documentation: no machine has it
    options = Options(port=listener.getsockname()[1], bind_address="192.0.2.1")
    cannot(options, "Can't connect")


def test_a_unix_socket(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        with dial(Options(unix_socket=path), deadline()) as sock:
            assert sock.family == socket.AF_UNIX


def test_a_unix_socket_that_is_not_there(tmp_path):
    path = str(tmp_path / "s")
    error = cannot(Options(unix_socket=path), "No such file", number=CR.CR_CONNECTION_ERROR)
    assert path in error.message


def test_a_unix_socket_path_that_is_too_long():
    cannot(Options(unix_socket="/x" * 200), "too long", number=CR.CR_CONNECTION_ERROR)
