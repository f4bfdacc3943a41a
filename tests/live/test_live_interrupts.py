"""Timeouts, Ctrl-C, forks and threads: nothing half-read is taken for another's answer."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings

import pytest

import pymy
from pymy.constants import CR
from pymy.cursors import SSCursor


def alive(conn):
    assert conn.execute("select 'alive'").fetchone() == ("alive",)


def gone(conn):
    assert not conn.open
    with pytest.raises(pymy.InterfaceError, match="lost earlier") as caught:
        conn.execute("select 1")
    assert caught.value.sent is False


def test_read_timeout(connect):
    conn = connect(read_timeout=0.2)
    alive(conn)
    with pytest.raises(pymy.OperationalError, match=r"read_timeout=0\.2") as caught:
        conn.execute("select sleep(30)")
    assert caught.value.errno == CR.CR_QUERY_TIMEOUT
    assert not caught.value.fatal
    assert caught.value.sent
    alive(conn)


def test_timeout_of_one_call(connect):
    conn = connect()
    conn.execute("select 1", timeout=30)
    with pytest.raises(pymy.OperationalError, match=r"timeout=0\.2") as caught:
        conn.cursor().execute("select sleep(30)", timeout=0.2)
    assert not caught.value.fatal
    alive(conn)


def test_shorter_of_two_timeouts(connect):
    conn = connect(read_timeout=0.2)
    with pytest.raises(pymy.OperationalError, match="read_timeout"):
        conn.cursor().execute("select sleep(30)", timeout=20)
    conn = connect(read_timeout=20)
    with pytest.raises(pymy.OperationalError, match=r" timeout=0\.2"):
        conn.cursor().execute("select sleep(30)", timeout=0.2)


def test_timeout_does_not_outlive_its_call(connect):
    conn = connect()
    conn.cursor().execute("select 1", timeout=0.5)
    assert conn.execute("select sleep(0.7)").fetchone() == (0,)


def test_write_timeout(connect, server, set_global):
    # a stopped server reads nothing: the socket's buffers fill up
    set_global("max_allowed_packet", 1 << 30)
    conn = connect(write_timeout=0.3, max_allowed_packet=1 << 30)
    pid = getattr(server, "pid", None)
    if pid is None:
        pytest.skip("a given server cannot be stopped")
    text = "x" * (40 << 20)
    conn.execute("select length(%s)", ("x" * (2 << 20),))  # the server's own limit is known now
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(pymy.OperationalError, match="write_timeout") as caught:
            conn.execute("select length(%s)", (text,))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert caught.value.fatal
    gone(conn)


@pytest.fixture
def ctrl_c_when_sleeping(until_sleeping):
    """From a thread: interrupt the main thread once its connection runs its statement."""
    threads = []

    def start(conn):
        def work():
            until_sleeping(conn)
            # the server may have the statement before its sender waits: cut off there, it closes
            time.sleep(0.1)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


@pytest.fixture
def on_sigint():
    """Put another handler in the place of Python's."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda handler: signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGINT, before)


@pytest.mark.only("blocking", "elsewhere a signal is the event loop's business")
def test_ctrl_c(connect, ctrl_c_when_sleeping):
    conn = connect()
    ctrl_c_when_sleeping(conn)
    with pytest.raises(KeyboardInterrupt):
        conn.execute("select sleep(30)")
    alive(conn)


@pytest.mark.only("blocking", "elsewhere a signal is the event loop's business")
def test_ctrl_c_in_a_transaction(connect, ctrl_c_when_sleeping):
    conn = connect()
    ctrl_c_when_sleeping(conn)
    with pytest.raises(KeyboardInterrupt), conn.transaction():
        conn.execute("select sleep(30)")
    assert not conn.in_transaction
    alive(conn)


@pytest.mark.only("blocking", "elsewhere a signal is the event loop's business")
def test_exception_of_a_signal_handler(connect, on_sigint, ctrl_c_when_sleeping):
    class Alarm(Exception):
        pass

    def handler(number, frame):
        raise Alarm

    conn = connect()
    on_sigint(handler)
    ctrl_c_when_sleeping(conn)
    with pytest.raises(Alarm):
        conn.execute("select sleep(30)")
    alive(conn)


@pytest.mark.only("blocking,nonblocking", "in asyncio a signal is the event loop's business")
def test_signal_whose_handler_returns(connect, on_sigint, ctrl_c_when_sleeping):
    # PEP 475: the read goes on
    conn = connect()
    heard = []
    on_sigint(lambda number, frame: heard.append(number))
    ctrl_c_when_sleeping(conn)
    assert conn.execute("select sleep(1)").fetchone() == (0,)
    assert heard == [signal.SIGINT]
    alive(conn)


def _in_child(work):
    """Run in a forked child; return what it writes."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads; this child only uses the connection
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, work().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return text


def test_fork(connect):
    conn = connect()

    def child():
        try:
            conn.execute("select 1")
        except pymy.InterfaceError as error:
            conn.close()  # closes the child's copy of the socket, without a goodbye
            return str(error)
        return "worked"

    assert "belongs to the parent process" in _in_child(child)
    alive(conn)


def test_fork_and_end_of_the_child(connect):
    conn = connect()

    def child():
        nonlocal conn
        conn = None  # __del__ in the child must not say goodbye for the parent
        return "dropped"

    kept = conn
    assert _in_child(child) == "dropped"
    alive(kept)


def test_fork_and_connect_anew(connect, dsn):
    conn = connect()

    def child():
        with pymy.connect(dsn) as own:
            own.execute("select 1")
        conn.abort()
        conn.connect()
        return conn.execute("select 'anew'").fetchone()[0]

    assert _in_child(child) == "anew"
    alive(conn)


def test_two_threads(connect, until_sleeping):
    conn = connect()
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(conn.execute("select sleep(1)").fetchone())
    )
    thread.start()
    until_sleeping(conn)
    with pytest.raises(pymy.InterfaceError, match="busy") as caught:
        conn.execute("select 2")
    thread.join()
    assert caught.value.errno == CR.CR_CONNECTION_BUSY
    assert caught.value.sent is False
    assert answers == [(0,)]
    alive(conn)


def test_one_thread_after_another(connect):
    conn = connect()
    thread = threading.Thread(target=alive, args=(conn,))
    thread.start()
    thread.join()
    alive(conn)


def test_connections_of_many_threads(connect):
    failures = []

    def work():
        try:
            with connect() as conn:
                for n in range(50):
                    assert conn.execute("select %s", (n,)).fetchone() == (n,)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_abort(connect):
    conn = connect()
    conn.abort()
    assert not conn.open
    conn.abort()
    with pytest.raises(pymy.InterfaceError):
        conn.query("select 1")


def test_interrupted_stream(connect):
    conn = connect(read_timeout=0.3)
    with conn.cursor(SSCursor) as cursor, pytest.raises(pymy.OperationalError) as caught:
        cursor.execute("select repeat('x', 100), sleep(0) union all select 1, sleep(30)")
        cursor.fetchall()
    assert not caught.value.fatal
    alive(conn)
