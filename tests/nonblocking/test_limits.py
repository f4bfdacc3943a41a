"""Time-outs, kills, files, many connections at once, and servers that do not answer."""

from __future__ import annotations

import socket
import time

import pytest
from driving import drive, drive_all
from working import alive, pauses, prepare, stream

import pymy
from pymy import nonblocking
from pymy.constants import CR
from pymy.nonblocking import Wait
from pymy.stepping import NAP, TURN

# -- killing over a second connection


def test_much_of_an_unread_result_is_killed(connect, url):
    conn = connect(url)
    prepare(conn)
    numbers = {conn.fileno()}
    for _ in range(10):  # nothing needs to be waited for when the server is fast
        drive(stream(conn).start_close(), lambda operation: numbers.add(operation.fileno()))
        if len(numbers) > 1:
            break
    assert len(numbers) > 1, "no second connection was waited for"
    alive(conn)


@pytest.mark.parametrize("policy", ["kill", "drain"])
def test_a_time_out_leaves_the_statement_to_on_cancel(connect, url, policy):
    conn = connect(url, on_cancel=policy, cancel_timeout=10)
    seconds = 30 if policy == "kill" else 0.3
    operation = conn.cursor().start_execute(f"select sleep({seconds})", timeout=0.1)
    assert operation.wants & Wait.TIMEOUT
    with pytest.raises(pymy.OperationalError, match=r"timeout=0\.1 s") as caught:
        drive(operation)
    assert caught.value.errno == CR.CR_QUERY_TIMEOUT
    assert conn.open
    alive(conn)


def test_read_timeout(connect, url):
    conn = connect(url, read_timeout=1.0)
    operation = conn.start_query("select sleep(30)")
    with pytest.raises(pymy.OperationalError, match="read_timeout=1 s") as caught:
        drive(operation)
    assert caught.value.errno == CR.CR_QUERY_TIMEOUT
    alive(conn)


def test_a_time_out_closes(connect, url):
    conn = connect(url, on_cancel="close")
    with pytest.raises(pymy.OperationalError, match=r"timeout=0\.1 s") as caught:
        drive(conn.cursor().start_execute("select sleep(30)", timeout=0.1))
    assert caught.value.fatal
    assert not conn.open


def test_draining_in_vain_closes(connect, url):
    conn = connect(url, on_cancel="drain", cancel_timeout=0.2)
    with pytest.raises(pymy.OperationalError, match=r"timeout=0\.1 s"):
        drive(conn.cursor().start_execute("select sleep(30)", timeout=0.1))
    with pytest.raises(pymy.InterfaceError, match=r"cancel_timeout=0\.2"):
        drive(conn.start_ping())
    assert not conn.open


def test_behind_a_blocking_call_that_timed_out(connect, url):
    conn = connect(url)
    for _ in range(3):
        with pytest.raises(pymy.OperationalError, match=r"timeout=0\.05 s"):
            conn.execute("select sleep(30)", timeout=0.05)
        assert drive(conn.start_execute("select 'next'")).fetchone() == ("next",)


# -- files


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_a_local_file(connect, url, set_global, tmp_path, size):
    set_global("local_infile", 1)
    path = tmp_path / "data"
    path.write_text("".join(f"{number}\n" for number in range(size // 10)))
    conn = connect(url, local_infile=[str(tmp_path)])
    conn.query("create table f (a int)")
    sql = f"load data local infile '{path}' into table f"
    assert drive(conn.start_query(sql)) == size // 10
    conn.commit()
    with pytest.raises(pymy.Error):
        drive(conn.start_query("load data local infile '/nowhere/file' into table f"))
    alive(conn)


# -- fairness


def test_a_fast_server_does_not_keep_the_loop(conn):
    count = pauses(conn.start_query(f"select {', '.join(['repeat(1, 4000000)'] * 5)}"))
    assert count >= 20_000_000 // (2 * TURN)


# -- many


def test_a_hundred_connections(url):
    operations = drive_all(nonblocking.connect(url) for _ in range(100))
    try:
        cursors = [conn.cursor() for conn in operations]
        drive_all(
            cursor.start_execute("select %s, sleep(0.1), connection_id()", (number,))
            for number, cursor in enumerate(cursors)
        )
        rows = [cursor.fetchone() for cursor in cursors]
        assert [row[0] for row in rows] == list(range(100))
        assert len({row[2] for row in rows}) == 100
        drive_all(conn.start_close() for conn in operations)
    finally:
        for conn in operations:
            conn.abort()


# -- names, addresses, and servers that do not answer


@pytest.fixture
def silent():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made.getsockname()[1]


@pytest.fixture
def refusing():
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        yield made.getsockname()[1]


def test_a_resolver(tcp_dsn, server, refusing):
    asked = []

    def resolver(host, port):
        asked.append((host, port))
        inet = socket.AF_INET
        return [(inet, ("127.0.0.1", refusing)), (inet, (server.host, server.port))]

    url = tcp_dsn.replace(f"@{server.host}:{server.port}", "@db.example:33")
    url += ("&" if "?" in url else "?") + "ssl_mode=DISABLED"
    conn = drive(nonblocking.connect(url, resolver=resolver, allow_public_key_retrieval=True))
    assert asked == [("db.example", 33)]
    conn.close()
    drive(conn.start_connect())
    assert len(asked) == 2
    conn.close()


@pytest.mark.parametrize(
    ("resolver", "reason"),
    [
        (lambda host, port: [], "no address"),
        (lambda host, port: (_ for _ in ()).throw(OSError("no such name")), "no such name"),
    ],
)
def test_a_resolver_that_finds_nothing(resolver, reason):
    with pytest.raises(pymy.OperationalError, match=f"'db.example'.*{reason}") as caught:
        drive(nonblocking.connect("mysql://u@db.example", resolver=resolver))
    assert caught.value.errno == CR.CR_CONN_HOST_ERROR


def test_nobody_listens(refusing):
    with pytest.raises(pymy.OperationalError, match="refused"):
        drive(nonblocking.connect(f"mysql://u@127.0.0.1:{refusing}"))


def test_a_server_that_says_nothing(silent):
    operation = nonblocking.connect(f"mysql://u@127.0.0.1:{silent}", connect_timeout=0.1)
    with pytest.raises(pymy.OperationalError, match=r"connect_timeout=0\.1"):
        drive(operation)


def test_time_is_looked_at_whatever_is_reported(silent):
    operation = nonblocking.connect(f"mysql://u@127.0.0.1:{silent}", connect_timeout=1.0)
    operation.cont(Wait.TIMEOUT)
    assert not operation.done
    assert 0 < operation.timeout <= 1.0
    time.sleep(1.01)
    assert operation.cont(Wait.READ) == Wait(0)
    with pytest.raises(pymy.OperationalError, match="connect_timeout=1 s"):
        operation.result()


def test_a_connection_that_is_not_made(monkeypatch):
    """An address that swallows packets, and another behind it."""
    tried = []

    class Slow(socket.socket):
        def connect_ex(self, address):
            tried.append(address)
            return 115  # EINPROGRESS

    monkeypatch.setattr(socket, "socket", Slow)
    addresses = [(socket.AF_INET, ("192.0.2.1", 1)), (socket.AF_INET, ("192.0.2.2", 1))]
    operation = nonblocking.connect(
        "mysql://u@db.example", connect_timeout=0.2, resolver=lambda host, port: addresses
    )
    assert operation.wants == Wait.WRITE | Wait.TIMEOUT
    assert operation.timeout <= 0.1
    with pytest.raises(pymy.OperationalError, match=r"no answer within connect_timeout=0\.2"):
        while not operation.done:
            time.sleep(operation.timeout)
            operation.cont()
        operation.result()
    assert set(tried) == {("192.0.2.1", 1), ("192.0.2.2", 1)}


def test_a_unix_socket_whose_queue_is_full(tmp_path):
    path = str(tmp_path / "s")
    clients = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        while True:
            clients.append(socket.socket(socket.AF_UNIX))
            clients[-1].setblocking(False)
            if clients[-1].connect_ex(path):
                break
        operation = nonblocking.connect("mysql://u@x", unix_socket=path, connect_timeout=0.3)
        assert operation.wants == Wait.TIMEOUT
        assert operation.fileno() == -1
        assert operation.timeout <= NAP
        with pytest.raises(pymy.OperationalError, match=r"connect_timeout=0\.3"):
            drive(operation)
        # there is room again: it connects, and nobody greets it
        operation = nonblocking.connect("mysql://u@x", unix_socket=path, connect_timeout=10)
        while operation.fileno() < 0:
            listener.accept()[0].close()
            time.sleep(operation.timeout)
            operation.cont()
        assert operation.wants & Wait.READ
        operation.abort()
        for client in clients:
            client.close()
