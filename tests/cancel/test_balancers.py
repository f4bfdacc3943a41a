"""Where a second connection leads elsewhere: a stranger's statement of the same number goes on."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import uuid
from pathlib import Path

import pytest

import pymy
from pymy.sandbox import Server


class Balancer:
    """Passes on what comes to a port of this machine, to the server that ``to`` is then."""

    def __init__(self, to):
        self.to = to
        self._stack = contextlib.ExitStack()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._threads = []

    def __enter__(self):
        self._start(self._accept)
        return self

    def __exit__(self, *exc_info):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self._stack.close()
        for thread in self._threads:
            thread.join()

    def _start(self, target, *args):
        self._threads.append(threading.Thread(target=target, args=args))
        self._threads[-1].start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.to.unix_socket)
                for sock in (client, server):
                    self._stack.callback(sock.close)
                    self._stack.callback(hang_up, sock)
                self._start(self._pass_on, client, server)
                self._start(self._pass_on, server, client)

    @staticmethod
    def _pass_on(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        hang_up(target)


def hang_up(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def two(server):
    """Two servers of the same flavour."""
    if not isinstance(server, Server):
        pytest.skip("a given server has no second one")
    with Server(server.flavour) as one, Server(server.flavour) as other:
        yield one, other


class Stranger:
    """Runs a statement on another server, on a connection with the number of ours."""

    def __init__(self, server, connect_ours):
        self.ours = connect_ours()
        self.conn = pymy.connect(server.dsn)
        while self.conn.thread_id() < self.ours.thread_id():
            self.conn.close()
            self.conn = pymy.connect(server.dsn)
        while self.ours.thread_id() < self.conn.thread_id():
            self.ours.close()
            self.ours = connect_ours()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        with contextlib.suppress(pymy.Error):
            self.rows = self.conn.execute("select sleep(2), 'stranger'").fetchall()

    def __enter__(self):
        self.rows = ()
        self._thread.start()
        time.sleep(0.2)  # it should run before ours is stopped
        return self

    def __exit__(self, *exc_info):
        self._thread.join()
        self.conn.close()


def times_out(conn, sql):
    with pytest.raises(pymy.OperationalError, match="timeout=") as caught:
        conn.execute(sql, timeout=0.3)
    assert not caught.value.fatal


def test_a_balancer_leads_to_another_server(connect, two):
    one, other = two
    with Balancer(one) as balancer:
        url = f"mysql://{one.user}@127.0.0.1:{balancer.port}/"
        with Stranger(other, lambda: connect(url, cancel_timeout=20)) as stranger:
            balancer.to = other
            times_out(stranger.ours, "select sleep(1.5)")
            assert stranger.ours.execute("select 7").fetchall() == ((7,),)
        assert stranger.rows == ((0, "stranger"),)
        stranger.ours.close()


def test_a_proxy_that_hides_the_port(connect, two):
    one, _ = two
    word = uuid.uuid4().hex
    with Balancer(one) as balancer:
        conn = connect(f"mysql://{one.user}@127.0.0.1:{balancer.port}/", cancel_timeout=20)
        times_out(conn, f"select sleep(60) /* {word} \N{GRINNING FACE} */ ;")
        assert conn.execute("select 7").fetchall() == ((7,),)
        conn.close()


def test_a_socket_whose_path_the_server_knows_otherwise(connect, two):
    """A container's, mounted elsewhere: its own path leads to another server here."""
    one, other = two
    path = Path(one.unix_socket)
    mounted = path.with_name("mounted")
    path.rename(mounted)
    path.symlink_to(other.unix_socket)
    try:
        url = f"mysql://{one.user}@localhost/?unix_socket={mounted}"
        with Stranger(other, lambda: connect(url, cancel_timeout=20)) as stranger:
            times_out(stranger.ours, "select sleep(60)")
            assert stranger.ours.execute("select 7").fetchall() == ((7,),)
        assert stranger.rows == ((0, "stranger"),)
        stranger.ours.close()
    finally:
        path.unlink()
        mounted.rename(path)
