"""What may come in place of a greeting, or not come at all (P5, P12-P14, P16, P22, P42)."""

from __future__ import annotations

import re

import pytest
from scripted import (
    LIMIT,
    PASSWORD,
    USER,
    Server,
    close,
    dribble,
    err,
    greet,
    hung_up,
    login,
    ok,
    query,
    reset,
    response,
    send_raw,
    silence,
)
from server_packets import (
    LONG_PASSWORD,
    MARIADB,
    OFFERS,
    PROTOCOL_41,
    SECURE_CONNECTION,
    framed,
    greeting,
)

import pymy
from pymy.constants import CR, ER

SOON = 0.2  # seconds; the scripted server stays silent for much longer


def refused(server, errno=None, match=None, **options):
    """Fail to connect, and check what every such error has in common."""
    with pytest.raises(pymy.OperationalError, match=match) as caught:
        server.connect(**options)
    error = caught.value
    assert error.fatal
    assert PASSWORD not in f"{error} {error!r} {error.__cause__!r}"
    if errno is not None:
        assert error.errno == errno
    conn = server._connections[-1]
    assert not conn.open
    assert conn._sock is None or conn._sock.fileno() == -1
    return error


def test_a_greeting_that_never_comes():
    with Server(hung_up()) as server:
        error = refused(server, CR.CR_SERVER_LOST, f"connect_timeout={SOON}", connect_timeout=SOON)
        assert not error.sent


def test_a_greeting_byte_by_byte():
    with Server(dribble(framed(greeting(), 0)), login()) as server:
        assert server.connect().open


def test_a_greeting_that_stops_half_way():
    half = framed(greeting(), 0)[:30]
    with Server(send_raw(half), hung_up()) as server:
        refused(server, CR.CR_SERVER_LOST, "connect_timeout", connect_timeout=SOON)


def test_a_greeting_cut_by_the_end_of_the_connection():
    with Server(send_raw(framed(greeting(), 0)[:30]), close()) as server:
        refused(server, CR.CR_SERVER_LOST, "closed the connection")


def test_silence_behind_the_greeting():
    with Server(greet(), response(), hung_up()) as server:
        refused(server, CR.CR_SERVER_LOST, "connect_timeout", connect_timeout=SOON)


def test_silence_behind_the_login():
    """The first statements are part of the connect, so of its timeout."""
    with Server(greet(), response(), ok(), query(re.compile("SET NAMES .*")), hung_up()) as server:
        refused(server, CR.CR_SERVER_LOST, "connect_timeout", connect_timeout=SOON)


def test_a_failing_init_command_closes():
    with Server(
        greet(), login(), query("set x"), err(1193, "Unknown system variable 'x'"), hung_up()
    ) as server:
        with pytest.raises(pymy.OperationalError, match="Unknown system variable"):
            server.connect(init_command="set x")
        assert not server._connections[-1].open


@pytest.mark.parametrize("sequence", [0, 1])
@pytest.mark.parametrize("sqlstate", [None, "08004"])
def test_too_many_connections(sequence, sqlstate):
    with Server(err(1040, "Too many connections", sqlstate, sequence=sequence), close()) as server:
        error = refused(server, ER.CON_COUNT_ERROR, "Too many connections")
        assert error.sqlstate == sqlstate
        assert error.retry is pymy.Retry.CONNECTION
        assert not error.sent


def test_a_blocked_host_is_told_why():
    with Server(err(1129, "Host 'h' is blocked", None), close()) as server:
        refused(server, 1129, "is blocked")


@pytest.mark.parametrize(
    "banner",
    [
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x0a",
        b"220 mail.example ESMTP\r\n",
        b"-ERR unknown command\r\n",
    ],
    ids=["http", "ssh", "tls", "smtp", "redis"],
)
def test_another_protocol(banner):
    with Server(send_raw(banner), hung_up()) as server:
        error = refused(server, CR.CR_MALFORMED_PACKET, "check that host and port")
        assert repr(banner[:4])[2:-1] in error.message


@pytest.mark.parametrize("protocol", [9, 11, 0])
def test_another_protocol_version(protocol):
    with Server(greet(protocol=protocol), hung_up()) as server:
        refused(server, CR.CR_VERSION_ERROR, f"version {protocol}")


def test_a_server_from_before_41():
    with Server(greet(offers=OFFERS & ~PROTOCOL_41), hung_up()) as server:
        with pytest.raises(pymy.NotSupportedError, match=r"before MySQL 4\.1") as caught:
            server.connect()
        assert caught.value.fatal


@pytest.mark.parametrize("last", [close, reset])
def test_closed_right_after_accept(last):
    """What a load balancer without a live backend does."""
    with Server(last()) as server:
        error = refused(server)  # an RST may still overtake connect() itself
        assert error.errno in (CR.CR_SERVER_LOST, CR.CR_CONN_HOST_ERROR)
        assert not error.sent


def test_a_greeting_with_a_wrong_number():
    with Server(greet(sequence=3), hung_up()) as server:
        refused(server, CR.CR_COMMANDS_OUT_OF_SYNC, "out of order")


@pytest.mark.parametrize("size", [1, 5, 20, 40])
def test_a_greeting_shorter_than_its_fields(size):
    with Server(send_raw(framed(greeting()[:size], 0)), hung_up()) as server:
        refused(server, connect_timeout=LIMIT)


def test_a_greeting_whose_version_never_ends():
    with Server(send_raw(b"\xff\xff\x00\x00\x0a" + b"5" * 65534), hung_up()) as server:
        refused(server, CR.CR_MALFORMED_PACKET)


def test_mariadb_is_known_by_its_greeting():
    with Server(greet(MARIADB, offers=OFFERS & ~LONG_PASSWORD), login()) as server:
        conn = server.connect()
        assert conn.is_mariadb
        assert conn.server_version == "10.11.6-MariaDB"


def test_only_offered_capabilities_are_asked_for():
    offers = PROTOCOL_41 | SECURE_CONNECTION | LONG_PASSWORD
    with Server(greet(offers=offers), login()) as server:
        conn = server.connect(local_infile=True, client_found_rows=True, compress=True)
        assert server.peers[0].capabilities == offers
        assert conn.client_flag == offers


def test_access_denied():
    with Server(
        greet(), response(), err(1045, f"Access denied for user '{USER}'", "28000"), hung_up()
    ) as server:
        refused(server, ER.ACCESS_DENIED_ERROR, "Access denied")


def test_connecting_again_after_a_refusal():
    with Server(close()).then(greet(), login(), silence()) as server:
        refused(server)
        conn = server._connections[-1]
        conn.connect()
        assert conn.open
