"""Connections used from two threads or over a fork, and objects that were never whole."""

from __future__ import annotations

import gc
import os
import threading
import warnings

import pytest
from scripted import (
    LIMIT,
    PASSWORD,
    Server,
    do,
    expect,
    greet,
    hung_up,
    listen_to_the_end,
    login,
    ok,
    query,
    rows,
    silence,
    wait,
)
from server_packets import PING, QUIT

import pymy
from pymy import cursors


class Call(threading.Thread):
    """A call in another thread, with what became of it."""

    def __init__(self, function, *args):
        super().__init__(daemon=True)
        self.function, self.args = function, args
        self.error = self.outcome = None
        self.start()

    def run(self):
        try:
            self.outcome = self.function(*self.args)
        except BaseException as exc:
            self.error = exc

    def end(self):
        self.join(LIMIT)
        assert not self.is_alive(), "the other thread still waits"
        return self


def test_two_threads_on_one_connection():
    """The second is turned away at once, the first gets its answer."""
    came, answer = threading.Event(), threading.Event()
    with Server(
        greet(), login(), query("first"), do(came.set), wait(answer), rows(["a"], [(1,)]),
        expect(PING), ok(),
    ) as server:  # fmt: skip
        conn = server.connect()
        first = Call(conn.execute, "first")
        assert came.wait(LIMIT)
        for use in (lambda: conn.execute("second"), conn.ping, conn.commit):
            with pytest.raises(pymy.InterfaceError, match="connection is busy") as got:
                use()
            assert not got.value.sent
            assert not got.value.fatal
        answer.set()
        assert first.end().outcome.fetchall() == (("1",),)
        conn.ping()


@pytest.mark.parametrize("end", ["close", "abort"])
def test_closing_from_another_thread_wakes_a_reader(end):
    """close(2) alone would leave it waiting for ever (P115)."""
    came = threading.Event()
    with Server(greet(), login(), query("slow"), do(came.set), hung_up()) as server:
        conn = server.connect(read_timeout=None)
        reader = Call(conn.execute, "slow")
        assert came.wait(LIMIT)
        getattr(conn, end)()
        assert isinstance(reader.end().error, pymy.OperationalError)
        assert not conn.open


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_process_leaves_its_parents_connection_alone():
    """Neither statements nor COM_QUIT nor a shutdown of the shared socket may come from it."""
    with Server(greet(), login(), expect(PING), ok(), expect(QUIT), hung_up()) as server:
        conn = server.connect()
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            told = []
            for use in (conn.ping, lambda: conn.execute("select 1"), conn.close):
                try:
                    use()
                    told.append("done")
                except BaseException as exc:
                    told.append(f"{type(exc).__name__} {exc}")
            os.write(writer, "\n".join(told).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            told = pipe.read().splitlines()
        assert os.waitpid(child, 0)[1] == 0
        assert len(told) == 3
        assert all("InterfaceError" in line and "fork" in line for line in told[:2])
        assert told[2] == "done"
        conn.ping()
        conn.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_process_can_connect_anew():
    with Server(greet(), login(), expect(PING), ok()).then(
        greet(), login(), expect(PING), ok(), listen_to_the_end()
    ) as server:
        conn = server.connect()
        child = os.fork()
        if not child:
            status = 1
            try:
                conn.abort()
                conn.connect()
                conn.ping()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        conn.ping()


def test_an_unclosed_connection_is_reported():
    with Server(greet(), login(), hung_up()) as server:
        conn = pymy.connect(**server.options())
        with pytest.warns(ResourceWarning, match="unclosed") as caught:
            del conn
            gc.collect()
        assert PASSWORD not in str(caught[0].message)


def test_half_made_objects_go_quietly():
    """__del__ of what __init__ never finished must not raise, nor warn of what was never open."""
    with warnings.catch_warnings(), Server(silence()) as server:
        warnings.simplefilter("error")
        pymy.Connection.__new__(pymy.Connection).__del__()
        for options in ({"port": "x"}, {"no_such_option": 1}, {"charset": "klingon"}):
            with pytest.raises((pymy.Error, TypeError, ValueError)):
                pymy.Connection(**options)
        pymy.Connection(defer_connect=True).__del__()
        with pytest.raises(pymy.OperationalError):
            pymy.connect(**server.options(connect_timeout=0.05))
        gc.collect()


def test_before_connect(driver):
    conn = driver.Connection(defer_connect=True)
    for use in (conn.ping, lambda: conn.execute("select 1")):
        with pytest.raises(pymy.InterfaceError) as caught:
            use()
        assert not caught.value.sent
    assert not conn.open
    assert conn.server_version == ""


@pytest.mark.only("blocking,nonblocking", "the event loop owns the socket there")
def test_fileno_before_connect(driver):
    with pytest.raises(pymy.InterfaceError) as caught:
        driver.Connection(defer_connect=True).fileno()
    assert not caught.value.sent


def test_connecting_twice():
    with Server(greet(), login(), expect(PING), ok()) as server:
        conn = server.connect()
        with pytest.raises(pymy.InterfaceError, match="open already"):
            conn.connect()
        conn.ping()


@pytest.mark.parametrize("cursor", [cursors.Cursor, cursors.SSCursor])
def test_a_closed_cursor(cursor):
    with Server(greet(), login(), expect(PING), ok()) as server:
        conn = server.connect()
        made = conn.cursor(cursor)
        made.close()
        made.close()
        for use in (lambda: made.execute("x"), made.fetchone, made.fetchall, made.nextset):
            with pytest.raises(pymy.ProgrammingError, match="closed"):
                use()
        conn.ping()


def test_leaving_a_block_closes():
    with Server(greet(), login(), expect(QUIT), hung_up()) as server:
        with server.connect() as conn:
            assert conn.open
        assert not conn.open


def test_leaving_a_block_by_an_error_does_not_hide_it():
    with Server(greet(), login(), query("x"), hung_up()) as server:
        with (
            pytest.raises(pymy.OperationalError, match="timed out"),
            server.connect(on_cancel="close") as conn,
        ):
            conn.execute("x", timeout=0.1)
        assert not conn.open
