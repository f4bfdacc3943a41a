"""What a server may ask for during the login, and what it does not get (P26-P28, P40)."""

from __future__ import annotations

import logging

import pytest
from scripted import (
    PASSWORD,
    USER,
    ScriptError,
    Server,
    Step,
    close,
    expect,
    greet,
    hung_up,
    login,
    query,
    request_file,
    response,
    send,
    silence,
    take,
    welcome,
)
from server_packets import CHANGE_USER, NONCE, OFFERS, PLUGIN_AUTH, QUERY, err_packet, ok_packet

import pymy
from pymy.constants import CR

SWITCH = b"\xfe"
NATIVE = b"mysql_native_password\0"


def switch_to(plugin: str, data: bytes = NONCE + b"\0") -> Step:
    return send(SWITCH + plugin.encode() + b"\0" + data)


def refused(server, match=None, kind=pymy.OperationalError, **options):
    with pytest.raises(kind, match=match) as caught:
        server.connect(**options)
    assert caught.value.fatal
    assert PASSWORD not in str(caught.value)
    assert not server._connections[-1].open
    return caught.value


def secret(server):
    return PASSWORD.encode() in server.heard


@pytest.mark.parametrize("plugin", ["mysql_clear_password", "dialog"])
@pytest.mark.parametrize("options", [{}, {"allow_cleartext_password": True}])
def test_no_password_in_clear_over_tcp(plugin, options):
    """Whatever the program allows: a rogue server asks, and so does somebody on the way (P28)."""
    with Server(greet(), response(), switch_to(plugin, b""), hung_up()) as server:
        error = refused(server, plugin, **options)
        assert error.errno == CR.CR_AUTH_PLUGIN_ERR
        assert "TLS" in error.message
    assert not secret(server)


def test_a_clear_password_as_default_plugin():
    """The greeting's plugin is only a proposal: another one goes out, never the password."""
    with Server(
        greet(plugin="mysql_clear_password"), response(), switch_to("mysql_clear_password"),
        hung_up(),
    ) as server:  # fmt: skip
        refused(server, "mysql_clear_password", allow_cleartext_password=True)
    assert not secret(server)


def test_a_clear_password_needs_consent_on_a_unix_socket_too():
    script = greet(), response(), switch_to("mysql_clear_password", b"")
    with Server(*script, hung_up(), unix=True) as server:
        refused(server, "allow_cleartext_password=True")
    assert not secret(server)
    with Server(*script, take(PASSWORD.encode() + b"\0"), welcome(), unix=True) as server:
        assert server.connect(allow_cleartext_password=True).open


def test_full_authentication_over_tcp_is_refused():
    with Server(
        greet(plugin="caching_sha2_password"), response(), send(b"\x01\x04"), hung_up()
    ) as server:
        refused(server, "allow_public_key_retrieval")
    assert not secret(server)


def test_an_rsa_key_is_asked_for_on_demand_only():
    with Server(
        greet(plugin="caching_sha2_password"), response(), send(b"\x01\x04"), take(b"\x02"),
        send(b"\x01no key at all"), hung_up(),
    ) as server:  # fmt: skip
        refused(server, "not an RSA key", allow_public_key_retrieval=True)
    assert not secret(server)


def test_a_cached_password_needs_no_key():
    with Server(
        greet(plugin="caching_sha2_password"), response(), send(b"\x01\x03"), welcome()
    ) as server:
        assert server.connect().open


@pytest.mark.parametrize(
    ("packet", "match"),
    [
        (SWITCH + b"authentication_kerberos_client\0", "authentication_kerberos_client"),
        (SWITCH + b"mysql_old_password\0" + NONCE, "mysql_old_password"),
        (SWITCH, "mysql_old_password"),
        (SWITCH + b"\xff\xfe\0" + NONCE, "plugin"),
        (SWITCH + NATIVE + b"short", "nonce"),
        (SWITCH + NATIVE, "nonce"),
        (SWITCH + NATIVE + b"x" * 60_000, "nonce"),
        (b"\x01", "more questions"),
        (b"\x02" + NATIVE + NONCE, "more questions"),
        (b"\x03what?", "more questions"),
        (b"\x00", "shorter than its own lengths"),
        (b"\xff", "without a number"),
        (b"\xff\x10", "without a number"),
    ],
)
def test_odd_packets(packet, match):
    # twice, because what comes first might be the packet that a plugin still waits for
    with Server(greet(), response(), send(packet, packet), hung_up()) as server:
        refused(server, match)
    assert not secret(server)


def test_an_unknown_default_plugin_lets_the_server_switch():
    with Server(
        greet(plugin="auth_of_tomorrow"), response(), switch_to("mysql_native_password"),
        any_answer(20), welcome(),
    ) as server:  # fmt: skip
        assert server.connect().open


def any_answer(size: int) -> Step:
    def run(peer):
        assert len(peer.read("an answer")) == size

    return run


def test_restricted_auth():
    with Server(greet(), response(), switch_to("client_ed25519"), hung_up()) as server:
        refused(server, "restricted_auth", restricted_auth=["mysql_native_password"])


def test_endless_switching_is_bounded():
    """Each turn costs a hash, with parsec half a second: an impostor must not choose how many."""

    def switch_for_ever(peer):
        for _ in range(1000):
            peer.send(SWITCH + NATIVE + NONCE + b"\0")
            if not peer.read("an answer, or the end"):
                return
        raise AssertionError("1000 switches and no end")

    with Server(greet(), response(), until_left(switch_for_ever)) as server:
        refused(server, "questions in one login", connect_timeout=None)


def until_left(act) -> Step:
    """Follow ``act`` until the client hangs up, which it must."""

    def run(peer):
        try:
            act(peer)
        except (ScriptError, OSError) as exc:
            if "hung up" not in str(exc) and not isinstance(exc, ConnectionError):
                raise

    return run


def test_a_server_without_plugins():
    with Server(greet(offers=OFFERS & ~PLUGIN_AUTH), login()) as server:
        assert server.connect().open


@pytest.mark.parametrize("local_infile", [False, True])
def test_a_file_request_instead_of_a_login_answer(local_infile, tmp_path):
    path = tmp_path / "private"
    path.write_bytes(b"private bytes")
    with Server(greet(), response(), *[request_file(bytes(path))] * 2, hung_up()) as server:
        refused(server, local_infile=local_infile)
    assert b"private bytes" not in server.heard


def test_two_answers_at_once():
    """An OK behind an ERR must not revive the connection."""
    with Server(
        greet(), response(), send(err_packet(1045, "Access denied", "28000"), ok_packet()),
        hung_up(),
    ) as server:  # fmt: skip
        refused(server, "Access denied")


def test_a_lost_link_in_the_middle_of_the_login():
    with Server(greet(plugin="caching_sha2_password"), response(), send(b"\x01\x03"), close()) as s:
        assert refused(s, "closed the connection").errno == CR.CR_SERVER_LOST


def test_change_user_is_no_way_around():
    """COM_CHANGE_USER starts a login of its own, with the same rules."""
    change = expect(CHANGE_USER, AnyBytes())
    with Server(
        greet(), login(), change, switch_to("mysql_clear_password", b""), hung_up()
    ) as server:
        conn = server.connect(allow_cleartext_password=True)
        with pytest.raises(pymy.OperationalError, match="mysql_clear_password"):
            conn.change_user("bob", PASSWORD)
        assert not conn.open
        assert conn.user == USER
    assert not secret(server)


class AnyBytes(bytes):
    __hash__ = bytes.__hash__

    def __eq__(self, other):
        return True


# -- what the program's own secrets show up in


def test_a_password_callable_is_called_once_per_connection():
    calls = []

    def password():
        calls.append(1)
        return PASSWORD

    script = greet(), response(), switch_to("mysql_native_password"), any_answer(20), welcome()
    with Server(*script).then(*script) as server:
        conn = server.connect(password=password)
        assert len(calls) == 1
        conn.close()
        conn.connect()
        assert len(calls) == 2


def test_a_password_callable_that_raises_sends_nothing():
    def password():
        raise LookupError("the vault is closed")

    with Server(greet(), login(), silence()) as server:
        with pytest.raises(LookupError, match="vault"):
            server.connect(password=password)
        server.connect()
        assert len(server.peers) == 1


def test_secrets_in_no_error_repr_or_log(caplog):
    caplog.set_level(logging.DEBUG)
    with Server(
        greet(), login(), query("bad"), send(err_packet(1064, "syntax")), expect(QUERY, "bad2"),
        close(),
    ) as server:  # fmt: skip
        conn = server.connect()
        errors = []
        for statement in ("bad", "bad2", "bad3"):
            with pytest.raises(pymy.Error) as caught:
                conn.execute(statement)
            errors.append(caught.value)
    shown = [repr(conn), repr(conn.options), repr(conn._session), str(conn)]
    for error in errors:
        shown += [str(error), repr(error), repr(error.__dict__), repr(error.__cause__)]
    assert PASSWORD not in "".join(shown)
    assert PASSWORD not in caplog.text
