"""Unbuffered results closed early: little is drained, much is killed from the side (P97-P100)."""

from __future__ import annotations

import errno
import socket
import threading

import pytest
from scripted import (
    USER,
    Server,
    close,
    do,
    end,
    err,
    expect,
    greet,
    head,
    listen_to_the_end,
    login,
    ok,
    processes,
    query,
    response,
    row,
    rows,
    silence,
    wait,
)
from server_packets import PING, QUIT, THREAD_ID, number

import pymy
from pymy import cursors
from pymy.constants import CR
from pymy.protocol.query import DRAIN_SECONDS

SQL = "select much"
HEAD = head(number("a"), "b")
FILLING = "x" * 10_000
KILL = f"KILL QUERY {THREAD_ID}"
INTERRUPTED = 1317, "Query execution was interrupted", "70100"


def asked(*steps):
    return (greet(), login(), query(SQL), HEAD, *steps)


def much(rows=600):
    """About 6 MB of rows: more than is drained, whatever has arrived already."""

    def run(peer):
        for place in range(rows):
            row(place, FILLING)(peer)

    return run


def much_until_hung_up(peer):
    """More than is drained, to a client that leaves in the middle of it."""
    try:
        much()(peer)
    except OSError:
        return
    listen_to_the_end(peer)


def flood(until):
    """Rows without end, until the statement is killed."""

    def run(peer):
        place = 0
        while not until.is_set():
            row(place, FILLING)(peer)
            place += 1

    return run


def side(killed, *answer):
    seen = answer or (processes(),)
    return (greet(), login(), *seen, query(KILL), do(killed.set), ok(), expect(QUIT))


def streaming(server, **options):
    cursor = server.connect(**options).cursor(cursors.SSCursor)
    cursor.execute(SQL)
    assert cursor.fetchone() == (0, FILLING)
    return cursor


AFTERWARDS = (query("next"), rows([number("a")], [(5,)]), expect(PING), ok())


def works(conn):
    assert conn.execute("next").fetchall() == ((5,),)
    conn.ping()


def test_little_is_drained_without_a_second_connection(monkeypatch):
    """Nor does a DO SLEEP(0) go out, which no kill made necessary."""
    more = threading.Event()
    with Server(*asked(row(0, FILLING), wait(more), much(20), end()), *AFTERWARDS) as server:
        cursor = streaming(server)
        conn = cursor.connection
        monkeypatch.setattr(socket.socket, "connect", None)
        more.set()
        cursor.close()
        works(conn)


def test_much_is_killed():
    killed = threading.Event()
    with Server(*asked(flood(killed), err(*INTERRUPTED)), *AFTERWARDS).then(
        *side(killed)
    ) as server:
        cursor = streaming(server, init_command=None)
        conn = cursor.connection
        cursor.close()
        works(conn)


def test_a_kill_that_comes_late_must_not_hit_the_next_statement():
    """The server takes it for whatever runs then: something harmless has to (P98)."""
    killed = threading.Event()
    with Server(
        *asked(much(), wait(killed), end()), query("DO SLEEP(0)"), err(*INTERRUPTED), *AFTERWARDS
    ).then(*side(killed)) as server:
        cursor = streaming(server)
        conn = cursor.connection
        cursor.close()
        works(conn)


def test_a_kill_that_hit_nothing():
    killed = threading.Event()
    with Server(*asked(much(), wait(killed), end()), query("DO SLEEP(0)"), ok(), *AFTERWARDS).then(
        *side(killed)
    ) as server:
        cursor = streaming(server)
        conn = cursor.connection
        cursor.close()
        works(conn)


@pytest.mark.parametrize(
    "side",
    [
        None,
        [close()],
        [err(1040, "Too many connections", None)],
        [greet(), response(), err(1045, "Access denied", "28000")],
        [greet(), login(), processes(), query(KILL), err(1094, f"Unknown thread id: {THREAD_ID}")],
        [greet(), login(), processes(), query(KILL), close()],
    ],
    ids=["refused", "hangs up", "too many", "denied", "unknown thread", "lost"],
)
def test_without_a_second_connection_it_is_closed(side):
    """The rest may take hours; nobody reads it behind the program's back."""
    with Server(*asked(much_until_hung_up)) as server:
        if side is not None:
            server.then(*side)
        given_up(streaming(server))


def test_a_second_connection_that_stalls_is_bounded():
    """By connect_timeout, and then the connection is closed."""
    with Server(*asked(much_until_hung_up)).then(greet(), silence()) as server:
        given_up(streaming(server, connect_timeout=0.3))


def given_up(cursor):
    conn = cursor.connection
    with pytest.raises(pymy.OperationalError, match="could not be stopped"):
        cursor.close()
    assert not conn.open


def test_the_kill_takes_none_of_the_sessions_settings():
    """The side connection must not run the init_command a second time."""
    killed = threading.Event()
    with Server(
        greet(), login(), query("set @a = 1"), ok(), query(SQL), HEAD, flood(killed),
        err(*INTERRUPTED), *AFTERWARDS,
    ).then(
        *side(killed)
    ) as server:  # fmt: skip
        cursor = streaming(server, init_command="set @a = 1")
        conn = cursor.connection
        cursor.close()
        works(conn)


@pytest.mark.only("blocking,asyncio,nonblocking", "uvloop looks names up without Python")
def test_the_kill_goes_to_the_same_server(monkeypatch):
    """A name of several servers: elsewhere the number is somebody else's statement (P99)."""
    killed = threading.Event()
    with (
        Server(*asked(flood(killed), err(*INTERRUPTED)), *AFTERWARDS).then(*side(killed)) as first,
        Server(silence()) as second,
    ):
        answers = [first.port]

        def getaddrinfo(host, port, *args, **hints):
            where = ("127.0.0.1", answers[-1])
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        cursor = first.connect(host="db.example").cursor(cursors.SSCursor)
        cursor.execute(SQL)
        conn = cursor.connection
        answers.append(second.port)
        cursor.close()
        works(conn)
        assert not second.peers
        with socket.create_connection(("127.0.0.1", second.port)):
            pass  # its script is due once


def test_the_kill_goes_through_the_same_unix_socket():
    killed = threading.Event()
    with Server(*asked(flood(killed), err(*INTERRUPTED)), *AFTERWARDS, unix=True).then(
        *side(killed)
    ) as server:
        cursor = streaming(server)
        conn = cursor.connection
        cursor.close()
        works(conn)


def test_leaving_a_stream_early():
    killed = threading.Event()
    with Server(*asked(flood(killed), err(*INTERRUPTED)), *AFTERWARDS).then(
        *side(killed)
    ) as server:
        conn = server.connect()
        stream = conn.stream(SQL)
        for values in stream:
            assert values == (0, FILLING)
            break
        stream.close()
        works(conn)


@pytest.mark.only("blocking,nonblocking", "the loop hears of the loss first")
def test_a_link_that_is_lost_while_the_rest_is_read():
    with Server(*asked(row(0, FILLING), much(20), close())) as server:
        cursor = streaming(server)
        conn = cursor.connection
        with pytest.raises(pymy.OperationalError, match="closed the connection"):
            cursor.close()
        assert not conn.open
        cursor.close()


@pytest.mark.only("blocking,nonblocking", "asyncio has two timers for it, of which one is first")
def test_a_timeout_as_long_as_the_patience():
    """It ends the call, and is not taken for the moment to kill."""
    with Server(*asked(row(0, FILLING), silence())) as server:
        cursor = streaming(server, on_cancel="drain")
        with pytest.raises(pymy.OperationalError, match=r"timeout=0\.1") as caught:
            cursor.execute("next", timeout=DRAIN_SECONDS)
        assert caught.value.errno == CR.CR_QUERY_TIMEOUT


@pytest.mark.only("blocking,nonblocking", "the loop hears of the loss first")
def test_a_link_that_was_reset_has_no_peer(monkeypatch):
    """What it received before can be read all the same, so this is where it shows."""
    left = threading.Event()
    with Server(*asked(row(0, FILLING), wait(left))) as server:
        cursor = streaming(server)

        def getpeername(self):
            raise OSError(errno.ENOTCONN, "not connected")

        with monkeypatch.context() as patched:
            patched.setattr(socket.socket, "getpeername", getpeername, raising=False)
            given_up(cursor)
        left.set()


ELSEWHERE = "balancer:1234"
HERE = (THREAD_ID, USER, ELSEWHERE, SQL)


@pytest.mark.parametrize(
    ("there", "text"),
    [
        ([HERE], "select\n much ;"),
        ([(1, "root", "localhost", None), HERE], "select 1; select much"),
        ([(*HERE[:3], "select 'h\xe9?', a")], "select 'h\xe9\N{GRINNING FACE}', a"),
        ([(*HERE[:3], "select " + "a" * 2000)], "select " + "a" * 100_000),
    ],
    ids=["it alone", "one of several", "what the server replaced", "long"],
)
def test_behind_a_proxy_the_text_tells_whose_statement_it_is(there, text):
    killed = threading.Event()
    with Server(
        greet(), login(), query(text), HEAD, flood(killed), err(*INTERRUPTED), *AFTERWARDS
    ).then(*side(killed, processes(*there), processes(*there, full=True))) as server:
        cursor = server.connect().cursor(cursors.SSCursor)
        cursor.execute(text)
        conn = cursor.connection
        cursor.close()
        works(conn)


OTHERS = {
    "nobody": [(1, USER, "localhost", SQL)],
    "another user": [HERE, (8, "bob", ELSEWHERE, SQL)],
    "another statement": [(*HERE[:3], "select much more")],
    "a part of it": [(*HERE[:3], "select")],
    "no statement": [(*HERE[:3], None)],
    "nothing to compare": [(*HERE[:3], "\xe9")],
}


@pytest.mark.parametrize("there", OTHERS)
def test_a_strangers_statement_is_not_killed(there):
    """Behind a balancer the second connection may reach another server, whose numbers are the same
    (P99)."""
    rows = OTHERS[there]
    target = THREAD_ID if there != "another user" else 8
    script = [processes(*rows), *([processes(*rows, full=True)] if there != "nobody" else [])]
    with Server(greet(thread_id=target), login(), query(SQL), HEAD, much_until_hung_up).then(
        greet(), login(), *script, expect(QUIT)
    ) as server:
        given_up(streaming(server))


def test_a_proxy_that_counts_for_itself():
    """Its numbers are none of the server's: what that says of them is about somebody else."""
    rows = [(THREAD_ID, USER, ELSEWHERE, SQL)]
    with Server(*asked(much_until_hung_up)).then(
        greet(thread_id=99), login(), processes(*rows), expect(QUIT)
    ) as server:
        given_up(streaming(server))
