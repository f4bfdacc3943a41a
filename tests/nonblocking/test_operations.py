"""What an operation promises: mixing, refusing, spurious wake-ups, aborting, time-outs."""

from __future__ import annotations

import gc
import os
import threading
import time
import warnings
from collections.abc import Callable
from itertools import cycle
from typing import Any

import pytest
from driving import check, drive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from working import alive, pauses, prepare, stream

import pymy
from pymy import nonblocking
from pymy.constants import CR
from pymy.cursors import SSCursor
from pymy.nonblocking import Wait
from pymy.stepping import Pause, Stepping


@pytest.fixture
def opened(url):
    """Connect without waiting; what is open at the end is closed."""
    made = []

    def open_(**options: Any) -> pymy.Connection:
        made.append(drive(nonblocking.connect(url, **options)))
        return made[-1]

    yield open_
    for each in made:
        each.abort()


def test_the_numbers_of_wait():
    assert [each.value for each in Wait] == [1, 2, 4, 8]


def test_connecting(opened, url):
    conn = opened()
    assert type(conn) is pymy.Connection
    assert conn.ssl is ("REQUIRED" in url)
    assert not conn.options.defer_connect
    alive(conn)


def test_connecting_with_wrong_options():
    with pytest.raises(TypeError, match="no_such_option"):
        nonblocking.connect("mysql://u@localhost", no_such_option=1)


def test_a_login_that_fails(server, dsn):
    with pytest.raises(pymy.OperationalError, match="denied") as caught:
        drive(nonblocking.connect(dsn, user="nobody-there", password="x"))
    assert caught.value.errno == 1045


def test_done_without_waiting(conn):
    cursor = conn.cursor(SSCursor)
    cursor.execute("select 1 union select 2")
    assert cursor.fetchone() == (1,)
    operation = cursor.start_fetchone()
    assert operation.done
    assert operation.result() == (2,)
    assert operation.cont() == operation.wants == Wait(0)
    assert operation.timeout is None
    assert operation.fileno() == -1
    operation.abort()
    assert operation.result() == (2,)
    alive(conn)


def test_blocking_and_not_in_turn(opened):
    conn = opened()
    cursor = conn.cursor(SSCursor)
    for number in range(5):
        drive(cursor.start_execute("select %s union select 'more'", (number,)))
        assert cursor.fetchone() == (str(number),)
        assert drive(cursor.start_fetchall()) == [("more",)]
        alive(conn)


def test_the_socket_blocks_again_afterwards(conn):
    operation = conn.start_query("select sleep(0.1)")
    assert not conn._sock.getblocking()
    drive(operation)
    assert conn._sock.getblocking()


def test_the_timeouts_of_blocking_calls_hold_afterwards(connect):
    conn = connect(read_timeout=1.0)
    drive(conn.start_query("select 1"))
    with pytest.raises(pymy.OperationalError, match="read_timeout=1 s"):
        conn.query("select sleep(30)")


def test_a_second_operation_is_refused(conn):
    operation = conn.start_query("select sleep(0.2)")
    cursor = conn.cursor()
    for call in (
        conn.commit,
        conn.start_commit,
        conn.start_connect,
        conn.ping,
        lambda: conn.ping(True),
        lambda: cursor.execute("select 1"),
        lambda: cursor.start_execute("select 1"),
        lambda: conn.transaction().__enter__(),
    ):
        with pytest.raises(pymy.InterfaceError, match=r"start_query\(\) is pending") as caught:
            call()
        assert caught.value.errno == CR.CR_CONNECTION_BUSY
        assert not caught.value.fatal
        assert not caught.value.sent
    with pytest.raises(pymy.InterfaceError, match="not done"):
        operation.result()
    assert drive(operation) == 1
    alive(conn)


def test_calls_of_a_connection_that_connects(dsn):
    operation = nonblocking.connect(dsn)
    conn = operation._connection
    if not operation.done:
        with pytest.raises(pymy.InterfaceError, match=r"connect\(\) is pending"):
            conn.connect()
    drive(operation).close()


@pytest.mark.parametrize("how", ["close", "abort", "with"])
def test_closing_in_the_middle(connect, how):
    """It is the one way to end early, so it is allowed."""
    conn = connect()
    operation = conn.start_query("select sleep(30)")
    if how == "with":
        with pytest.raises(ZeroDivisionError), conn:
            raise ZeroDivisionError
    else:
        getattr(conn, how)()
    assert not conn.open
    assert operation.done
    with pytest.raises(pymy.OperationalError, match=r"start_query\(\) was aborted") as caught:
        operation.result()
    assert caught.value.errno == CR.CR_CANCELED
    assert caught.value.fatal
    drive(conn.start_connect())
    alive(conn)


@pytest.mark.parametrize("keep", ["the connection", "nothing"])
def test_an_operation_that_is_dropped(dsn, keep):
    conn = pymy.connect(dsn)
    sock = conn._sock
    operation = conn.start_query("select sleep(30)")
    if keep == "nothing":
        del conn
    with pytest.warns(ResourceWarning, match=r"start_query\(\).* was dropped unfinished"):
        del operation
        gc.collect()
    assert sock.fileno() == -1
    if keep == "the connection":
        conn.connect()
        alive(conn)
        conn.close()


def test_what_is_done_is_dropped_in_silence(conn):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        operation = conn.start_query("select 1")
        drive(operation)
        del operation
        gc.collect()
    alive(conn)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system knows no fork")
@pytest.mark.parametrize("child", ["continues", "aborts", "drops"])
def test_a_child_process_leaves_its_parents_operation_alone(conn, child):
    operation = conn.start_query("select sleep(0.3)")
    pid = os.fork()
    if not pid:  # no assertion reaches pytest from here
        good = False
        with warnings.catch_warnings(record=True) as caught:
            if child == "continues":
                good = not operation.cont() and operation.done
                try:
                    operation.result()
                except pymy.InterfaceError as error:
                    good = good and error.errno == CR.CR_FORKED_CONNECTION
            elif child == "aborts":
                operation.abort()
                good = operation.done
            else:
                del operation
                good = gc.collect() >= 0
        os._exit(0 if good and not caught else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert drive(operation) == 1
    alive(conn)


# -- spurious wake-ups

MASKS = st.lists(st.integers(0, 15).map(Wait), min_size=1, max_size=8)
COUNTS = st.lists(st.integers(0, 3), min_size=1, max_size=5)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(masks=MASKS, counts=COUNTS, size=st.sampled_from([1, 100_000, 3_000_000]))
def test_wake_ups_without_a_reason(url, masks, counts, size):
    # what is drawn must not depend on how often this run waits
    next_mask, next_count = cycle(masks), cycle(counts)

    def disturb(operation):
        for _ in range(next(next_count)):
            if not operation.done:
                check(operation)
                operation.cont(next(next_mask))

    conn = drive(nonblocking.connect(url, read_timeout=20), disturb)
    try:
        drive(conn.start_query("create temporary table t (a longtext)"), disturb)
        cursor = conn.cursor(SSCursor)
        text = "x" * size
        drive(cursor.start_execute("insert into t values (%s)", (text,), timeout=20), disturb)
        drive(cursor.start_execute("select a, 1 from t"), disturb)
        assert drive(cursor.start_fetchall(), disturb) == [(text, 1)]
        drive(cursor.start_close(), disturb)
        drive(conn.start_commit(), disturb)
        alive(conn)
    finally:
        if conn.open:
            drive(conn.start_close(), disturb)


# -- aborting


@pytest.fixture
def halting(monkeypatch):
    """Pause once at each read, write and connect, however fast the server is."""

    def first_a_pause(step):
        def steps(self, *args):
            yield Pause(None, Wait(0), time.monotonic() + 0.001)
            return (yield from step(self, *args))

        return steps

    for name in ("_receive", "_send", "_start_tls", "connect"):
        monkeypatch.setattr(Stepping, name, first_a_pause(getattr(Stepping, name)))


LARGE = "x" * 8_000_000


WORK: dict[str, Callable[[pymy.Connection], nonblocking.Operation[Any]]] = {
    "query": lambda conn: conn.start_query("select sleep(0.01)"),
    "much out": lambda conn: conn.start_execute("select length(%s)", (LARGE,)),
    "much in": lambda conn: conn.start_execute("select repeat('x', 8000000)"),
    "reset": lambda conn: conn.start_reset(),
    "change_user": lambda conn: conn.start_change_user(),
    "kill the rest": lambda conn: stream(conn).start_close(),
}


def abort_at(operation, number):
    """Abort at that pause; False when it was done before."""
    left = number

    def stop(operation):
        nonlocal left
        left -= 1
        if left < 0:
            operation.abort()

    try:
        drive(operation, stop)
    except pymy.OperationalError as error:
        assert error.errno == CR.CR_CANCELED
    return left < 0


@pytest.mark.parametrize("name", WORK)
def test_abort_at_each_pause(connect, url, halting, name):
    conn = connect(url)
    if "rest" in name:
        prepare(conn)
    usual = pauses(WORK[name](conn))
    assert usual
    for number in range(0, usual, usual // 12 + 1):
        operation = WORK[name](conn)
        sock = conn._sock
        if abort_at(operation, number):
            assert not conn.open
            assert sock.fileno() == -1
            with pytest.raises(pymy.InterfaceError, match="closed"):
                conn.ping()
            drive(conn.start_connect())
        alive(conn)


def test_abort_of_connecting_at_each_pause(url, halting):
    operation = nonblocking.connect(url)
    conn = operation._connection
    usual = pauses(operation)
    assert usual > 3
    conn.close()
    for number in range(usual):
        operation = conn.start_connect()
        abort_at(operation, number)
        if conn.open:
            conn.close()
        assert conn._sock is None
    drive(conn.start_connect())
    alive(conn)
    conn.close()


def test_abort_from_another_thread(conn):
    operation = conn.start_query("select sleep(30)")
    thread = threading.Thread(target=operation.abort)
    thread.start()
    thread.join()
    assert operation.done
    assert not conn.open
