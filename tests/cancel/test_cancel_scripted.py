"""Moments of a cancel that a real server does not come to by itself, over every transport."""

from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest
import scripted
from scripted import (
    LIMIT,
    Server,
    close,
    do,
    end,
    err,
    expect,
    greet,
    head,
    hung_up,
    listen_to_the_end,
    login,
    ok,
    processes,
    query,
    request_file,
    row,
    rows,
    send_raw,
    silence,
    wait,
)
from server_packets import PING, QUIT, THREAD_ID, number

import pymy
from pymy import cursors
from pymy.constants import CR

SQL = "select slow"
HEAD = head(number("a"))
KILL = f"KILL QUERY {THREAD_ID}"
INTERRUPTED = 1317, "Query execution was interrupted", "70100"
AFTERWARDS = (query("next"), rows([number("a")], [(5,)]), expect(PING), ok())


@pytest.fixture(autouse=True)
def driver(transport, monkeypatch):
    monkeypatch.setattr(scripted, "driver", transport)


@pytest.fixture(autouse=True)
def no_threads_are_left(driver):
    """What was started to clean up has ended with the test."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        # asyncio's own pool for names stays with its loop
        if not thread.name.startswith("asyncio_"):
            thread.join(LIMIT)
            assert not thread.is_alive(), thread


def works(conn):
    assert conn.execute("next").fetchall() == ((5,),)
    conn.ping()


def times_out(conn, *args):
    with pytest.raises(pymy.OperationalError, match=r"timeout=0\.1") as caught:
        conn.cursor(*args).execute(SQL, timeout=0.1)
    return caught.value


def unsent(conn):
    with pytest.raises(pymy.OperationalError, match=r"timeout=0\.1") as caught:
        conn.execute("unsent", timeout=0.1)
    error = caught.value
    assert (error.errno, error.sent, error.fatal) == (CR.CR_QUERY_TIMEOUT, False, False)
    assert conn.open


def side(*steps):
    return (greet(), login(), processes(), query(KILL), *steps)


@pytest.mark.parametrize(
    "sent",
    [(), (HEAD,), (HEAD, row(1)), (HEAD, row(1), send_raw(b"\x02"))],
    ids=["nothing", "columns", "a row", "half a row"],
)
def test_at_each_place_of_an_answer(sent):
    killed = threading.Event()

    def rest(peer):
        if sent and sent[-1].__name__.startswith("send_raw"):
            peer.sock.sendall(b"\0\0" + bytes([peer.sequence]) + b"\x011")
            peer.sequence += 1

    with Server(
        greet(), login(), query(SQL), *sent, wait(killed), rest, err(*INTERRUPTED), *AFTERWARDS
    ).then(*side(do(killed.set), ok(), expect(QUIT))) as server:
        conn = server.connect()
        error = times_out(conn)
        assert error.errno == CR.CR_QUERY_TIMEOUT
        assert error.sent
        works(conn)


def test_a_late_kill_hits_nothing_of_the_program():
    """The statement ended by itself; the kill stops something harmless (P98)."""
    killed = threading.Event()
    with Server(
        greet(), login(), query(SQL), wait(killed), rows([number("a")], [(1,)]),
        query("DO SLEEP(0)"), err(*INTERRUPTED), *AFTERWARDS,
    ).then(*side(do(killed.set), ok(), expect(QUIT))) as server:  # fmt: skip
        conn = server.connect()
        times_out(conn)
        works(conn)


def test_the_next_call_may_come_late():
    """What the server said in the meantime is here: time that nobody waited does not count."""
    killed = threading.Event()
    with Server(
        greet(), login(), query(SQL), wait(killed), err(*INTERRUPTED), *AFTERWARDS
    ).then(*side(do(killed.set), ok(), expect(QUIT))) as server:  # fmt: skip
        conn = server.connect(cancel_timeout=1.5)
        times_out(conn)
        time.sleep(2.0)
        works(conn)


def test_a_kill_that_never_answers():
    """``cancel_timeout`` bounds it, and the connection is closed."""
    with Server(greet(), login(), query(SQL), hung_up()).then(*side(silence())) as server:
        conn = server.connect(cancel_timeout=0.3)
        times_out(conn)
        with pytest.raises(pymy.InterfaceError) as caught:
            conn.execute("next")
        assert caught.value.sent is False
        assert not conn.open


def test_a_kill_that_may_still_arrive():
    """The statement ended by itself, but what the kill hits then would be another's."""
    go_on = threading.Event()
    with Server(
        greet(), login(), query(SQL), wait(go_on), rows([number("a")], [(1,)]), hung_up()
    ).then(*side(do(go_on.set), close)) as server:
        conn = server.connect()
        times_out(conn)
        with pytest.raises(pymy.InterfaceError) as caught:
            conn.execute("next")
        assert caught.value.sent is False
        assert not conn.open


def test_a_server_that_ignores_the_kill():
    with Server(greet(), login(), query(SQL), hung_up()).then(*side(ok(), expect(QUIT))) as server:
        conn = server.connect(cancel_timeout=0.3)
        times_out(conn)
        with pytest.raises(pymy.InterfaceError):
            conn.execute("next")
        assert not conn.open


def test_the_settling_statement_stalls():
    killed = threading.Event()
    with Server(
        greet(), login(), query(SQL), wait(killed), rows([number("a")], [(1,)]),
        query("DO SLEEP(0)"), hung_up(),
    ).then(*side(do(killed.set), ok(), expect(QUIT))) as server:  # fmt: skip
        conn = server.connect(cancel_timeout=0.5)
        times_out(conn)
        with pytest.raises(pymy.InterfaceError):
            conn.execute("next")
        assert not conn.open


def test_drain():
    go_on = threading.Event()
    with Server(
        greet(), login(), query(SQL), wait(go_on), rows([number("a")], [(1,)]), *AFTERWARDS
    ) as server:
        conn = server.connect(on_cancel="drain")
        times_out(conn)
        go_on.set()
        works(conn)


def test_the_next_call_is_over_first():
    """Nothing of it was sent; it leaves the rest of the clean-up to the call behind it."""
    go_on = threading.Event()
    with Server(
        greet(), login(), query(SQL), wait(go_on), rows([number("a")], [(1,)]), *AFTERWARDS
    ) as server:
        conn = server.connect(on_cancel="drain")
        times_out(conn)
        for _ in range(2):
            unsent(conn)
        go_on.set()
        works(conn)


@pytest.mark.only("blocking,asyncio,uvloop", "in steps the first call itself sends the kill")
def test_the_next_call_is_over_while_the_kill_goes_out():
    go_on = threading.Event()
    with Server(greet(), login(), query(SQL), wait(go_on), err(*INTERRUPTED), *AFTERWARDS).then(
        greet(), login(), processes(), query(KILL), wait(go_on), ok(), expect(QUIT)
    ) as server:
        conn = server.connect(cancel_timeout=LIMIT)
        times_out(conn)
        unsent(conn)
        go_on.set()
        works(conn)


def test_the_next_call_is_over_while_the_line_settles():
    killed, go_on = threading.Event(), threading.Event()
    with Server(
        greet(), login(), query(SQL), wait(killed), rows([number("a")], [(1,)]),
        query("DO SLEEP(0)"), wait(go_on), ok(), *AFTERWARDS,
    ).then(*side(do(killed.set), ok(), expect(QUIT))) as server:  # fmt: skip
        conn = server.connect(cancel_timeout=LIMIT)
        times_out(conn)
        assert killed.wait(LIMIT)
        for _ in range(2):
            unsent(conn)
        go_on.set()
        works(conn)


def test_short_calls_do_not_put_off_the_end_of_the_clean_up():
    with Server(greet(), login(), query(SQL), hung_up()) as server:
        conn = server.connect(on_cancel="drain", cancel_timeout=0.5)
        times_out(conn)
        for _ in range(100):
            with pytest.raises(pymy.Error) as caught:
                conn.execute("next", timeout=0.1)
            assert caught.value.sent is False
            if not conn.open:
                break
        assert not conn.open


def test_a_command_that_was_not_sent_yet_is_not_sent_later():
    """It was given up while it read what an earlier text left behind."""
    go_on = threading.Event()
    with Server(
        greet(), login(), query(SQL), rows([number("a")], [(1,)], status=2 | 8), wait(go_on),
        rows([number("a")], [(2,)]), *AFTERWARDS,
    ) as server:  # fmt: skip
        conn = server.connect(on_cancel="drain", read_timeout=0.2)
        assert conn.execute(SQL).fetchall() == ((1,),)
        with pytest.raises(pymy.OperationalError, match="read_timeout"):
            conn.ping()
        go_on.set()
        works(conn)


@pytest.mark.only("blocking,nonblocking", "asyncio takes any command off the caller's hands")
def test_a_server_that_takes_no_more(monkeypatch):
    """A command of which not a byte was taken is no reason to give the link up."""
    with Server(greet(), login(), *AFTERWARDS) as server:
        conn = server.connect()
        sends = []

        def send(self, data):
            sends.append(data)
            raise TimeoutError if self.gettimeout() else BlockingIOError

        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "send", send, raising=False)
            unsent(conn)
        assert sends
        works(conn)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_no_time_at_all(seconds):
    with Server(greet(), login(), *AFTERWARDS) as server:
        conn = server.connect()
        with pytest.raises(pymy.ProgrammingError, match="timeout="):
            conn.execute(SQL, timeout=seconds)
        works(conn)


def test_close():
    with Server(greet(), login(), query(SQL), hung_up()) as server:
        conn = server.connect(on_cancel="close")
        with pytest.raises(pymy.OperationalError, match=r"timed out, timeout=0\.1") as caught:
            conn.execute(SQL, timeout=0.1)
        assert caught.value.errno == CR.CR_SERVER_LOST
        assert caught.value.fatal
        assert not conn.open


def test_the_server_hangs_up_instead():
    killed = threading.Event()
    with Server(greet(), login(), query(SQL), wait(killed), scripted.close()).then(
        *side(do(killed.set), ok(), expect(QUIT))
    ) as server:
        conn = server.connect()
        times_out(conn)
        with pytest.raises(pymy.Error) as caught:
            conn.execute("next")
        assert caught.value.fatal
        assert not conn.open


def test_executemany_sends_nothing_more():
    killed = threading.Event()
    with Server(
        greet(), login(), query("update 1"), ok(affected=1), query("update 2"), wait(killed),
        ok(affected=1), query("DO SLEEP(0)"), ok(), *AFTERWARDS,
    ).then(*side(do(killed.set), ok(), expect(QUIT))) as server:  # fmt: skip
        conn = server.connect(read_timeout=0.2, pipelining=False)
        with pytest.raises(pymy.OperationalError, match="read_timeout"):
            conn.cursor().executemany("update %s", [(1,), (2,), (3,), (4,)])
        works(conn)
    assert b"update 3" not in server.heard


def test_more_statements_of_one_text():
    killed = threading.Event()
    with Server(
        greet(), login(), query(SQL), rows([number("a")], [(1,)], status=2 | 8), HEAD,
        wait(killed), err(*INTERRUPTED), *AFTERWARDS,
    ).then(*side(do(killed.set), ok(), expect(QUIT))) as server:  # fmt: skip
        conn = server.connect(read_timeout=0.2)
        cursor = conn.execute(SQL)
        assert cursor.fetchall() == ((1,),)
        with pytest.raises(pymy.OperationalError, match="read_timeout"):
            cursor.nextset()
        works(conn)


@pytest.mark.parametrize("answer", [(err(*INTERRUPTED),), (row(3), end())], ids=["stopped", "late"])
def test_a_stream(answer):
    """Later rows are gone, and that is told."""
    killed = threading.Event()
    settled = () if len(answer) == 1 else (query("DO SLEEP(0)"), ok())
    with Server(
        greet(), login(), query(SQL), HEAD, row(1), wait(killed), *answer, *settled, *AFTERWARDS
    ).then(*side(do(killed.set), ok(), expect(QUIT))) as server:
        conn = server.connect(read_timeout=0.2)
        cursor = conn.cursor(cursors.SSCursor)
        cursor.execute(SQL)
        assert cursor.fetchone() == (1,)
        with pytest.raises(pymy.OperationalError, match="read_timeout"):
            cursor.fetchall()
        conn.execute("next")
        # the rest came whole, or its lack is told
        try:
            assert list(cursor.fetchall()) == [(3,)]
            assert len(answer) == 2
        except pymy.Error as error:
            assert error.errno in (1317, CR.CR_FETCH_CANCELED)
        conn.ping()


def test_within_local_infile():
    """The end of the file would load half of it: the link is closed in its middle."""
    asked = threading.Event()

    def pieces(name):
        yield b"1\n"
        asked.set()

    with Server(
        greet(), login(), query("load data local infile 'x' into table t"), request_file(b"x"),
        listen_to_the_end(),
    ) as server:  # fmt: skip
        conn = server.connect(local_infile=pieces)
        with pytest.raises(pymy.OperationalError, match=r"timeout=0\.2"):
            conn.execute("load data local infile 'x' into table t", timeout=0.2)
        assert asked.is_set()
        assert not conn.open


@pytest.mark.parametrize("call", ["reset", "change_user"])
def test_within_a_login(call):
    with Server(greet(), login(), listen_to_the_end()) as server:
        conn = server.connect(read_timeout=0.2)
        with pytest.raises(pymy.OperationalError, match="read_timeout") as caught:
            getattr(conn, call)()
        assert caught.value.fatal
        assert not conn.open


def test_where_a_transaction_starts():
    with Server(greet(), login(), query("START TRANSACTION"), hung_up()) as server:
        conn = server.connect(read_timeout=0.2, autocommit=True)
        with pytest.raises(pymy.OperationalError, match="read_timeout"), conn.transaction():
            pytest.fail("the block must not run")
        assert not conn.open


@pytest.mark.parametrize("call", ["begin", "commit", "rollback"])
def test_where_a_transaction_starts_or_ends(call):
    with Server(greet(), login(), query(call.upper()), hung_up()) as server:
        conn = server.connect(read_timeout=0.2)
        with pytest.raises(pymy.OperationalError, match="read_timeout") as caught:
            getattr(conn, call)()
        assert caught.value.fatal
        assert not conn.open


def test_the_charset_is_the_servers_also_when_nobody_waited():
    go_on = threading.Event()
    with Server(
        greet(), login(), query("SET NAMES latin1"), wait(go_on), ok(), *AFTERWARDS
    ) as server:
        conn = server.connect(on_cancel="drain", read_timeout=0.2)
        with pytest.raises(pymy.OperationalError, match="read_timeout"):
            conn.set_character_set("latin1")
        assert conn.charset == "utf8mb4"
        go_on.set()
        works(conn)
        assert (conn.charset, conn.encoding) == ("latin1", "cp1252")


def test_a_block_is_left_by_its_own_error():
    """That the link was lost behind a time-out does not hide it."""
    with Server(
        greet(), login(), query("START TRANSACTION"), ok(status=3), query(SQL), hung_up()
    ).then(*side(ok(), expect(QUIT))) as server:
        conn = server.connect(cancel_timeout=0.2)
        with pytest.raises(pymy.OperationalError) as caught, conn.transaction():
            conn.execute(SQL, timeout=0.1)
        assert caught.value.errno == CR.CR_QUERY_TIMEOUT
        assert not conn.open


def test_a_server_that_is_another_one_costs_the_kill_only():
    go_on = threading.Event()
    there = (THREAD_ID, scripted.USER, "balancer:1", "select other")
    with Server(
        greet(), login(), query(SQL), wait(go_on), rows([number("a")], [(1,)]), *AFTERWARDS
    ).then(
        greet(), login(), processes(there), processes(there, full=True), expect(QUIT)
    ) as server:  # fmt: skip
        conn = server.connect()
        times_out(conn)
        go_on.set()
        works(conn)


def test_a_password_function_that_fails_costs_the_kill_only():
    go_on = threading.Event()
    passwords = iter([scripted.PASSWORD])
    with Server(
        greet(), login(), query(SQL), wait(go_on), rows([number("a")], [(1,)]), *AFTERWARDS
    ).then(listen_to_the_end()) as server:
        conn = server.connect(password=lambda: next(passwords))
        times_out(conn)
        go_on.set()
        works(conn)


@pytest.mark.only("blocking", "only there a thread kills")
def test_no_thread_can_be_started(monkeypatch):
    """The answer is drained, as without a second connection."""
    go_on = threading.Event()

    def start(self):
        raise RuntimeError("can't start new thread")

    with Server(
        greet(), login(), query(SQL), wait(go_on), rows([number("a")], [(1,)]), *AFTERWARDS
    ) as server:
        conn = server.connect()
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            error = times_out(conn)
        assert error.errno == CR.CR_QUERY_TIMEOUT
        go_on.set()
        works(conn)


def test_close_does_not_wait_for_the_clean_up():
    with Server(greet(), login(), query(SQL), listen_to_the_end()).then(
        *side(ok(), expect(QUIT))
    ) as server:
        conn = server.connect()
        times_out(conn)
        conn.close()
        assert not conn.open
        for thread in threading.enumerate():  # the kill goes its way behind the caller
            if thread.name == "pymy-kill":
                thread.join(10)


@pytest.mark.only("asyncio,uvloop", "tasks are asyncio's")
def test_a_timeout_in_line(transport):
    """The call behind another task's waits no longer than that."""
    go_on = threading.Event()
    with Server(
        greet(), login(), query(SQL), wait(go_on), rows([number("a")], [(1,)]), *AFTERWARDS
    ) as server:
        conn = server.connect(concurrent="queue")

        async def main(inner):
            first = asyncio.create_task(inner.execute(SQL))
            await asyncio.sleep(0)
            with pytest.raises(pymy.OperationalError) as caught:
                await inner.execute("unsent", timeout=0.1)
            assert (caught.value.errno, caught.value.sent) == (CR.CR_QUERY_TIMEOUT, False)
            go_on.set()
            await first

        transport.run(main(conn._inner))
        works(conn)


@pytest.mark.only("asyncio,uvloop", "tasks are asyncio's")
def test_a_task_cancelled_twice(transport):
    """The second cancel hits whoever waits for the clean-up; that goes on."""
    killed, go_on = threading.Event(), threading.Event()
    with Server(greet(), login(), query(SQL), wait(go_on), err(*INTERRUPTED), *AFTERWARDS).then(
        *side(do(killed.set), ok(), expect(QUIT))
    ) as server:
        conn = server.connect()

        async def main(inner):
            for _ in range(2):
                task = asyncio.create_task(inner.execute(SQL))
                await asyncio.sleep(0.05)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

        transport.run(main(conn._inner))
        go_on.set()
        works(conn)
