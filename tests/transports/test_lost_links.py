"""Links that end at a bad moment: the reason is told, and nothing half-read is used again."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading

import pytest
from scripted import (
    LIMIT,
    Server,
    close,
    do,
    end,
    err,
    expect,
    greet,
    half_close,
    head,
    hung_up,
    login,
    ok,
    query,
    reset,
    row,
    rows,
    send_raw,
    silence,
    wait,
)
from server_packets import (
    MORE_RESULTS,
    PING,
    QUERY,
    QUIT,
    framed,
    number,
    ok_packet,
    text,
)

import pymy
from pymy import cursors
from pymy.constants import CR

SQL = "select"
HEAD = head(number("a"))


def asked(*steps):
    return (greet(), login(), query(SQL), *steps)


def lost(call, match=None):
    with pytest.raises(pymy.OperationalError, match=match) as caught:
        call()
    assert caught.value.fatal
    return caught.value


# -- while idle


@pytest.mark.parametrize("sequence", [0, 1, 5])
@pytest.mark.parametrize("last", [close, reset, half_close])
def test_an_error_while_idle_is_the_reason_of_the_next_command(sequence, last):
    """Servers say why they close an idle connection, and nobody is reading then (P15)."""
    said = threading.Event()
    words = "The client was disconnected by the server because of inactivity"
    with Server(
        greet(), login(), err(4031, words, sequence=sequence), last(), do(said.set)
    ) as server:
        conn = server.connect()
        assert said.wait(LIMIT)
        error = lost(lambda: conn.execute(SQL), "because of inactivity")
        assert error.errno == 4031
        assert error.retry is pymy.Retry.CONNECTION
        assert not conn.open


@pytest.mark.parametrize("last", [close, reset, half_close])
def test_closed_while_idle(last):
    closed = threading.Event()
    with Server(greet(), login(), last(), do(closed.set)) as server:
        conn = server.connect()
        assert closed.wait(LIMIT)
        assert lost(lambda: conn.execute(SQL)).errno == CR.CR_SERVER_LOST
        assert not conn.open
        with pytest.raises(pymy.InterfaceError, match="lost earlier") as caught:
            conn.execute(SQL)
        assert caught.value.errno == CR.CR_SERVER_GONE_ERROR
        conn.close()


def test_ping_reconnects_after_a_loss():
    closed = threading.Event()
    with Server(greet(), login(), close(), do(closed.set)).then(
        greet(), login(), expect(PING), ok()
    ) as server:
        conn = server.connect()
        assert closed.wait(LIMIT)
        conn.ping(reconnect=True)
        assert conn.open
        conn.ping()


def test_ping_that_cannot_reconnect_leaves_it_closed():
    closed = threading.Event()
    with Server(greet(), login(), close(), do(closed.set)) as server:
        conn = server.connect()
        assert closed.wait(LIMIT)
        lost(lambda: conn.ping(reconnect=True), "Can't connect")
        assert not conn.open
        with pytest.raises(pymy.InterfaceError):
            conn.execute(SQL)


# -- while a result is read


@pytest.mark.parametrize("last", [close, reset, half_close])
@pytest.mark.parametrize("cursor", [cursors.Cursor, cursors.SSCursor])
def test_lost_in_the_middle_of_rows(last, cursor):
    with Server(*asked(HEAD, row(1), send_raw(framed(text(2), 99)[:4]), last())) as server:
        made = server.connect().cursor(cursor)

        def fetch():
            made.execute(SQL)
            made.fetchall()

        assert lost(fetch).errno == CR.CR_SERVER_LOST
        assert not server._connections[0].open
        made.close()


def test_rows_read_before_the_loss_are_kept():
    read = threading.Event()
    with Server(*asked(HEAD, row(1), wait(read), close())) as server:
        cursor = server.connect().cursor(cursors.SSCursor)
        cursor.execute(SQL)
        assert cursor.fetchone() == (1,)
        read.set()
        lost(cursor.fetchone, "closed the connection")


# -- while a statement is written

LARGE = "select '" + "x" * (12 << 20) + "'"


def read_some(peer):
    """Read less than what was sent, as a server does that gives up on it."""
    peer.receive(1 << 16, "the beginning of a large statement")


@pytest.mark.parametrize("last", [close, reset])
def test_the_reason_of_a_broken_write(last):
    """A server that will not take a packet of this size says so and hangs up (P19, P20)."""
    words = "Got a packet bigger than 'max_allowed_packet' bytes"
    with Server(
        greet(), login(), read_some, err(1153, words, "08S01", sequence=1), last()
    ) as server:
        conn = server.connect()
        conn._session.server_limit = 1 << 30  # asked for earlier
        error = lost(lambda: conn.execute(LARGE), "max_allowed_packet")
        assert error.errno == 1153
        assert not conn.open


def test_a_broken_write_without_a_reason():
    with Server(greet(), login(), read_some, close()) as server:
        conn = server.connect()
        conn._session.server_limit = 1 << 30  # asked for earlier
        assert lost(lambda: conn.execute(LARGE)).errno == CR.CR_SERVER_LOST
        assert not conn.open


def test_write_timeout():
    """More than any socket buffer holds, and nobody reads."""
    with Server(greet(), login(), silence()) as server:
        conn = server.connect(write_timeout=0.2)
        conn._session.server_limit = 1 << 30  # asked for earlier
        lost(lambda: conn.execute("select '" + "x" * (15 << 20) + "'"), r"write_timeout=0\.2")
        assert not conn.open


# -- time-outs


@pytest.mark.parametrize("cursor", [cursors.Cursor, cursors.SSCursor])
def test_read_timeout_in_mid_row(cursor):
    with Server(*asked(HEAD, row(1), send_raw(framed(text(2), 4)[:5]), hung_up())) as server:
        conn = server.connect(read_timeout=0.2, on_cancel="close")
        made = conn.cursor(cursor)

        def fetch():
            made.execute(SQL)
            made.fetchall()

        assert lost(fetch, r"read_timeout=0\.2").errno == CR.CR_SERVER_LOST
        assert not conn.open


def test_timeout_of_one_call():
    with Server(*asked(HEAD, row(1), hung_up())) as server:
        conn = server.connect(on_cancel="close")
        lost(lambda: conn.execute(SQL, timeout=0.2), r" timeout=0\.2")
        assert not conn.open


def test_timeout_of_one_call_holds_for_drips():
    """A server that says a little now and then does not stretch it."""

    def drip(peer):
        while not peer.over.wait(0.02):
            try:
                row(1)(peer)
            except OSError:
                return

    with Server(*asked(HEAD, drip)) as server:
        conn = server.connect(on_cancel="close")
        lost(lambda: conn.execute(SQL, timeout=0.2), r" timeout=0\.2")


def flood(packet):
    """Send packets without an end, as fast as they are taken."""

    def run(peer):
        try:
            while True:
                peer.send(*[packet] * 1024)
        except OSError:
            return

    return run


def test_timeout_of_one_call_holds_for_floods():
    """There is always something to receive, so that nothing is ever waited for."""
    with Server(*asked(HEAD, flood(text("1")))) as server:
        conn = server.connect(on_cancel="close")
        lost(lambda: conn.execute(SQL, timeout=0.2), r" timeout=0\.2")


def test_connect_timeout_holds_for_floods():
    more = ok_packet(MORE_RESULTS)
    with Server(greet(), login(), query("do 1"), flood(more)) as server:
        lost(
            lambda: server.connect(init_command="do 1", connect_timeout=0.3),
            r" connect_timeout=0\.3",
        )


def test_timeout_of_one_call_does_not_outlive_it():
    with Server(*asked(ok()), query("slow"), wait(slow := threading.Event()), ok()) as server:
        conn = server.connect()
        conn.execute(SQL, timeout=0.05)
        threading.Timer(0.2, slow.set).start()
        conn.execute("slow")


@pytest.mark.only("blocking,nonblocking", "it puts a socket of its own in")
@pytest.mark.parametrize("option", [{}, {"read_timeout": 5.0}])
def test_keepalive_that_gives_up(option):
    """ETIMEDOUT of the system is a TimeoutError of Python, without any time-out of ours."""

    class Dead(socket.socket):
        def recv_into(self, *args):
            raise OSError(errno.ETIMEDOUT, "Connection timed out")

    with Server(*asked(silence())) as server:
        conn = server.connect(**{"read_timeout": None} | option)
        conn._transport.sock = Dead(fileno=conn._transport.sock.detach())
        lost(lambda: conn.execute(SQL), "Connection timed out")
        assert not conn.open


# -- Ctrl-C


def interrupt():
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


@pytest.fixture
def sigint():
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.only("blocking", "elsewhere it is the loop that a signal interrupts")
@pytest.mark.usefixtures("sigint")
@pytest.mark.parametrize("cursor", [cursors.Cursor, cursors.SSCursor])
def test_keyboard_interrupt_while_waiting_for_rows(cursor):
    """The rest of the answer would be taken for the next statement's: the link must go (P96)."""
    with Server(*asked(HEAD, row(1), send_raw(b"\x02"), do(interrupt), hung_up())) as server:
        conn = server.connect(on_cancel="close")
        made = conn.cursor(cursor)
        with pytest.raises(KeyboardInterrupt):
            made.execute(SQL)
            made.fetchall()
        assert not conn.open
        assert conn._sock.fileno() == -1
        with pytest.raises(pymy.InterfaceError, match="interrupted"):
            conn.execute("select 2")
        made.close()
        conn.close()


@pytest.mark.usefixtures("sigint")
def test_keyboard_interrupt_while_connecting():
    with Server(greet(), do(interrupt), silence()) as server:
        with pytest.raises(KeyboardInterrupt):
            server.connect()
        assert not server._connections[0].open


def test_a_signal_that_raises_nothing_does_no_harm():
    """Python goes on with an interrupted system call by itself (PEP 475)."""
    came = []
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: came.append(number))
    try:
        with Server(
            *asked(HEAD, do(lambda: os.kill(os.getpid(), signal.SIGUSR1)), row(1), end())
        ) as server:
            assert server.connect().execute(SQL).fetchall() == ((1,),)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert came


# -- close()


@pytest.mark.only("blocking,nonblocking", "closing twice is harmless there")
def test_close_says_goodbye():
    with Server(greet(), login(), expect(QUIT), hung_up()) as server:
        conn = server.connect()
        conn.close()
        assert not conn.open
        with pytest.raises(pymy.Error, match="Already closed"):
            conn.close()
        with pytest.raises(pymy.InterfaceError, match="closed"):
            conn.execute(SQL)


def test_close_with_rows_on_the_line():
    with Server(*asked(HEAD, row(1), expect(QUIT), hung_up())) as server:
        conn = server.connect()
        cursor = conn.cursor(cursors.SSCursor)
        cursor.execute(SQL)
        conn.close()
        cursor.close()


@pytest.mark.only("blocking,nonblocking", "it fills the socket by hand")
def test_close_when_the_server_does_not_read():
    """COM_QUIT has no room in the socket's buffer: the program must be let go all the same."""
    with Server(greet(), login(), silence()) as server:
        conn = server.connect()
        conn._sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                conn._sock.send(bytes(1 << 20))
        conn._transport._set = 0.0
        conn.close()
        assert not conn.open


def test_close_of_a_link_that_is_gone():
    closed = threading.Event()
    with Server(greet(), login(), reset(), do(closed.set)) as server:
        conn = server.connect()
        assert closed.wait(LIMIT)
        conn.close()
        assert not conn.open


def test_abort_says_nothing():
    with Server(greet(), login(), hung_up()) as server:
        conn = server.connect()
        conn.abort()
        conn.abort()
        assert not conn.open


def test_a_statement_after_a_loss_reaches_nobody():
    """The socket of a lost connection is closed, its number may be another file's by now."""
    with Server(*asked(HEAD, close())).then(
        greet(), login(), query("x"), rows(["a"], [])
    ) as server:
        conn = server.connect()
        lost(lambda: conn.execute(SQL))
        other = server.connect()
        with pytest.raises(pymy.InterfaceError):
            conn.execute("to nobody")
        assert other.execute("x").fetchall() == ()
    assert b"to nobody" not in server.heard
    assert QUERY in server.heard
