"""TLS that is missing, broken or tampered with: nothing secret may go out (P29-P31)."""

from __future__ import annotations

import ssl
import threading

import pytest
from certificates import authority, stranger, tls
from scripted import (
    LIMIT,
    PASSWORD,
    USER,
    Server,
    close,
    do,
    err,
    expect,
    greet,
    hung_up,
    listen_to_the_end,
    login,
    ok,
    query,
    response,
    send,
    send_raw,
    silence,
    ssl_request,
    start_tls,
    take,
    welcome,
)
from server_packets import OFFERS, PING, SSL, err_packet, framed, greeting, ok_packet

import pymy
from pymy.constants import CR

OFFERS_TLS = OFFERS | SSL
STRICT = ["required", "verify_ca", "verify_identity"]


def refused(server, match=None, **options):
    """Fail to connect without a word about who wanted to."""
    with pytest.raises(pymy.OperationalError, match=match) as caught:
        server.connect(**options)
    assert caught.value.errno == CR.CR_SSL_CONNECTION_ERROR
    assert caught.value.fatal
    assert USER.encode() not in server.heard
    assert PASSWORD.encode() not in server.heard
    assert not server._connections[-1].open
    return caught.value


@pytest.mark.parametrize("mode", STRICT)
def test_stripped_tls_ends_a_connection_that_asked_for_it(mode):
    with Server(greet(), hung_up()) as server:
        error = refused(server, "offers no TLS", ssl=mode)
        assert not error.sent
    assert server.heard == b""


@pytest.mark.parametrize("mode", ["preferred", "disabled"])
def test_without_tls_where_none_was_asked_for(mode):
    with Server(greet(), login()) as server:
        assert not server.connect(ssl=mode).ssl


def test_offered_tls_is_used():
    with Server(greet(offers=OFFERS_TLS), start_tls(tls()), login(), expect(PING), ok()) as server:
        conn = server.connect()
        conn.ping()
        assert conn.ssl
        assert USER.encode() not in server.heard


def test_offered_tls_is_not_used_when_disabled():
    with Server(greet(offers=OFFERS_TLS), login()) as server:
        assert not server.connect(ssl="disabled").ssl


@pytest.mark.parametrize("mode", ["preferred", *STRICT])
def test_plaintext_injected_behind_the_greeting(mode):
    """Bytes that came before TLS must not be taken for the server's first ones within it."""
    injected = framed(greeting(offers=OFFERS_TLS), 0) + framed(ok_packet(), 2)
    with Server(send_raw(injected), hung_up()) as server:
        refused(server, "plaintext behind its greeting", ssl=mode, ssl_ca=authority())
    assert server.heard == b""


@pytest.mark.parametrize(
    "answer",
    [framed(ok_packet(), 2), framed(err_packet(1045, "Access denied"), 2), b"HTTP/1.1 400 Bad\r\n"],
    ids=["ok", "err", "http"],
)
def test_plaintext_instead_of_tls(answer):
    """An ERR before TLS is up is anybody's text: it is not reported as the server's (P29)."""
    with Server(
        greet(offers=OFFERS_TLS), ssl_request(), send_raw(answer), listen_to_the_end()
    ) as server:
        refused(server, "TLS could not start", ssl="required")


def test_hanging_up_instead_of_tls():
    with Server(greet(offers=OFFERS_TLS), ssl_request(), close()) as server:
        refused(server, "TLS could not start", ssl="required")


def test_silence_instead_of_tls():
    with Server(greet(offers=OFFERS_TLS), ssl_request(), listen_to_the_end()) as server:
        with pytest.raises(pymy.OperationalError, match=r"connect_timeout=0\.2") as caught:
            server.connect(connect_timeout=0.2)
        assert caught.value.fatal
        assert USER.encode() not in server.heard


@pytest.mark.parametrize("mode", ["verify_ca", "verify_identity"])
def test_a_certificate_of_a_stranger(mode):
    with Server(greet(offers=OFFERS_TLS), start_tls(tls(), refused=True)) as server:
        refused(server, "certificate verify failed", ssl=mode, ssl_ca=stranger())


def test_a_certificate_for_another_host():
    with Server(
        greet(offers=OFFERS_TLS), start_tls(tls("db.example", "10.0.0.1"), refused=True)
    ) as server:
        refused(server, "IP address mismatch", ssl="verify_identity", ssl_ca=authority())


def test_verify_ca_does_not_look_at_the_host():
    with Server(greet(offers=OFFERS_TLS), start_tls(tls("db.example")), login()) as server:
        assert server.connect(ssl="verify_ca", ssl_ca=authority()).ssl


@pytest.mark.parametrize("options", [{}, {"ssl_server_hostname": "db.example"}])
def test_the_right_certificate(options):
    hosts = (options.get("ssl_server_hostname", "127.0.0.1"),)
    with Server(greet(offers=OFFERS_TLS), start_tls(tls(*hosts)), login()) as server:
        assert server.connect(ssl="verify_identity", ssl_ca=authority(), **options).ssl


def test_an_unusable_ssl_ca_is_named(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("not a certificate")
    with Server(greet(offers=OFFERS_TLS), ssl_request(), hung_up()) as server:
        refused(server, "^.*ssl_ca", ssl="verify_ca", ssl_ca=str(path))


def test_own_context():
    context = ssl.create_default_context(cadata=authority())
    with Server(greet(offers=OFFERS_TLS), start_tls(tls()), login()) as server:
        assert server.connect(ssl=context).ssl


def test_the_password_in_clear_goes_out_within_tls_only():
    with Server(
        greet(offers=OFFERS_TLS, plugin="mysql_clear_password"),
        start_tls(tls()), login(),
    ) as server:  # fmt: skip
        assert server.connect(allow_cleartext_password=True).ssl
    assert PASSWORD.encode() not in server.heard


def test_full_authentication_within_tls():
    with Server(
        greet(offers=OFFERS_TLS, plugin="caching_sha2_password"), start_tls(tls()), response(),
        send(b"\x01\x04"), take(PASSWORD.encode() + b"\0"), welcome(),
    ) as server:  # fmt: skip
        assert server.connect().open
    assert PASSWORD.encode() not in server.heard


# -- links that end within TLS


def test_an_error_while_idle_within_tls():
    said = threading.Event()
    with Server(
        greet(offers=OFFERS_TLS), start_tls(tls()), login(),
        err(4031, "disconnected because of inactivity"), close(), do(said.set),
    ) as server:  # fmt: skip
        conn = server.connect()
        assert said.wait(LIMIT)
        with pytest.raises(pymy.OperationalError, match="because of inactivity"):
            conn.ping()
        assert not conn.open


def test_the_reason_of_a_broken_write_within_tls():
    def read_some(peer):
        peer.receive(1 << 16, "the beginning of a large statement")

    with Server(
        greet(offers=OFFERS_TLS), start_tls(tls()), login(), read_some,
        err(1153, "bigger than 'max_allowed_packet'", sequence=1), close(),
    ) as server:  # fmt: skip
        conn = server.connect()
        conn._session.server_limit = 1 << 30  # asked for earlier
        with pytest.raises(pymy.OperationalError, match="max_allowed_packet"):
            conn.execute("select '" + "x" * (12 << 20) + "'")
        assert not conn.open


def test_closing_from_another_thread_wakes_a_reader_within_tls():
    came = threading.Event()
    errors = []

    def read(conn):
        try:
            conn.execute("slow")
        except pymy.Error as exc:
            errors.append(exc)

    with Server(
        greet(offers=OFFERS_TLS), start_tls(tls()), login(), query("slow"), do(came.set), silence()
    ) as server:
        conn = server.connect(read_timeout=None)
        reader = threading.Thread(target=read, args=(conn,), daemon=True)
        reader.start()
        assert came.wait(LIMIT)
        conn.close()
        reader.join(LIMIT)
        assert not reader.is_alive()
        assert [type(each) for each in errors] == [pymy.OperationalError]


def test_read_timeout_within_tls():
    with Server(
        greet(offers=OFFERS_TLS), start_tls(tls()), login(), query("slow"), silence()
    ) as server:
        conn = server.connect(read_timeout=0.2, on_cancel="close")
        with pytest.raises(pymy.OperationalError, match=r"read_timeout=0\.2"):
            conn.execute("slow")
        assert not conn.open
