"""Plugins that hand the password over, users' own plugins, and hostile servers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from auth_talk import LONG, NONCE, NONCE32, SALT, context, pem, refused, talk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymy import err
from pymy.constants import CR
from pymy.protocol.auth import PLUGINS, AuthContext, find_plugin, signed

# mysql_clear_password


@pytest.mark.parametrize("link", ["tls", "local"])
def test_clear(link: str) -> None:
    ctx = context(allow_cleartext=True, **{link: True})
    assert talk("mysql_clear_password", ctx, b"?") == [b"secret\0", b"done"]


@pytest.mark.parametrize("name", ["mysql_clear_password", "dialog"])
def test_clear_is_gated(name: str) -> None:
    refused("connect by TLS", name, context(nonce=b"\x04Password: ", allow_cleartext=True))
    refused("connect by TLS", name, context(nonce=b"\x04Password: "))
    refused("allow_cleartext_password=True", name, context(nonce=b"\x04Password: ", tls=True))
    refused("allow_cleartext_password=True", name, context(nonce=b"\x04Password: ", local=True))


# dialog


class Handler:
    """PyMySQL's interface: made with something that has user and password."""

    def __init__(self, connection: Any) -> None:
        self.user = connection.user

    def prompt(self, echo: bool, text: bytes) -> bytes:
        return f"{self.user} {echo} {text.decode()}".encode()


def ask(echo: bool, text: bytes) -> str:
    return f"me {echo} {text.decode()}"


SECURE: dict[str, Any] = {"tls": True, "allow_cleartext": True}


@pytest.mark.parametrize("text", [b"Password: ", b"", b"Welcome!\npassword:", b"Kerberos PIN"])
def test_dialog_answers_the_first_password_question(text: bytes) -> None:
    replies = talk("dialog", context(nonce=b"\x04" + text, **SECURE))
    assert replies == [b"secret\0"]


def test_dialog_last_question() -> None:
    assert talk("dialog", context(nonce=b"\x05Password: ", **SECURE), b"?") == [
        b"secret\0",
        b"done",
    ]


def test_dialog_password_unasked() -> None:
    # The server keeps the password for PAM's first question if that is for a password ...
    ctx = context(nonce=b"", **SECURE)
    assert talk("dialog", ctx) == [b"secret\0"]
    refused("'One-time code: '", "dialog", ctx, b"\x04One-time code: ")
    # ... else drops it and asks for it in time.
    replies = talk("dialog", ctx, b"\x02Name?", b"\x05PIN", plugins={"dialog": ask})
    assert replies == [b"secret\0", b"me True Name?\0", b"me False PIN\0"]
    assert talk("dialog", ctx, b"\x05Password: ", b"?") == [b"secret\0", b"secret\0", b"done"]


def test_dialog_no_password_unasked() -> None:
    # An empty answer makes the server ask its question.
    ctx = context(b"", b"", tls=True)
    replies = talk("dialog", ctx, b"\x04Password: ", plugins={"dialog": ask})
    assert replies == [b"\0", b"me False Password: \0"]


def test_dialog_without_password_or_handler() -> None:
    assert talk("dialog", context(b"", b"\x04Password: ", **SECURE)) == [b"\0"]


@pytest.mark.parametrize("handler", [Handler, Handler(SimpleNamespace(user="me")), ask])
@pytest.mark.parametrize("key", ["dialog", b"dialog"])
def test_dialog_handler(handler: Any, key: Any) -> None:
    replies = talk(
        "dialog",
        context(nonce=b"\x02Your name?", tls=True),
        b"\x04Password: ",
        b"\x04New password: ",
        b"\x03Really?",
        b"?",
        plugins={key: handler},
    )
    assert replies == [
        b"me True Your name?\0",
        b"secret\0",
        b"me False New password: \0",
        b"me True Really?\0",
        b"done",
    ]


def test_dialog_handler_is_asked_when_there_is_no_password() -> None:
    ctx = context(b"", b"\x04Password: ", tls=True)
    assert talk("dialog", ctx, plugins={"dialog": ask}) == [b"me False Password: \0"]


def test_dialog_handler_needs_a_secure_link_too() -> None:
    refused("TLS", "dialog", context(nonce=b"\x04PIN"), plugins={"dialog": ask})


@pytest.mark.parametrize("question", [b"\x02Your name?", b"\x04One-time code: ", b"\x02\xff\xfe"])
def test_dialog_question_nobody_answers(question: bytes) -> None:
    first = context(nonce=b"\x04Password: ", **SECURE)
    refused("auth_plugin_map={'dialog': handler}", "dialog", first, question)


@pytest.mark.parametrize("packet", [b"\0", b"\x01x", b"\x06x", b"\x08", b"\xfex", b"\xff"])
def test_dialog_packet_that_is_no_question(packet: bytes) -> None:
    refused("no question", "dialog", context(nonce=packet, **SECURE))
    refused("no question", "dialog", context(nonce=b"\x04Password: ", **SECURE), packet)
    refused("no question", "dialog", context(nonce=b"", **SECURE), packet)
    refused("no question", "dialog", context(nonce=b"", **SECURE), b"")


@pytest.mark.parametrize("answer", [None, 17])
def test_dialog_handler_answers_rubbish(answer: Any) -> None:
    ctx = context(nonce=b"\x02?", tls=True)
    with pytest.raises(err.InterfaceError, match=type(answer).__name__):
        talk("dialog", ctx, plugins={"dialog": lambda echo, text: answer})


def test_dialog_handler_without_prompt() -> None:
    with pytest.raises(err.InterfaceError, match="prompt"):
        talk("dialog", context(nonce=b"\x02?", tls=True), plugins={"dialog": SimpleNamespace()})


# find_plugin


def test_plugins_are_found() -> None:
    for name, plugin in PLUGINS.items():
        assert find_plugin(name) is plugin
        assert find_plugin(name, {}, restricted=[name]) is plugin


def test_own_generator_function() -> None:
    def echo(ctx: AuthContext) -> Any:
        packet = yield ctx.nonce
        yield packet

    for name in ("my_plugin", "dialog", "mysql_native_password", "mysql_old_password"):
        assert find_plugin(name, {name: echo}) is echo
    assert talk("my_plugin", context(), b"two", plugins={b"my_plugin": echo}) == [NONCE, b"two"]


@pytest.mark.parametrize("own", [Handler, 17])
def test_own_plugin_of_another_kind(own: Any) -> None:
    with pytest.raises(err.InterfaceError, match="generator function"):
        find_plugin("authentication_windows_client", {"authentication_windows_client": own})


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("mysql_old_password", "ALTER USER"),
        ("auth_gssapi_client", r"auth_plugin_map=\{'auth_gssapi_client': plugin\}"),
        ("", "auth_plugin_map"),
        ("\0\n\udcff" * 10, "auth_plugin_map"),
    ],
)
def test_unknown_plugin(name: str, advice: str) -> None:
    with pytest.raises(err.OperationalError, match=advice) as caught:
        find_plugin(name)
    assert caught.value.errno == CR.CR_AUTH_PLUGIN_CANNOT_LOAD
    assert caught.value.fatal
    assert "\n" not in str(caught.value)


def test_name_of_a_hostile_server_is_cut() -> None:
    with pytest.raises(err.OperationalError) as caught:
        find_plugin("x" * 1_000_000)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("own", [None, {"mysql_clear_password": ask}])
def test_restricted(own: Any) -> None:
    with pytest.raises(err.OperationalError, match="restricted_auth"):
        find_plugin("mysql_clear_password", own, restricted={"caching_sha2_password"})


# Hostile bytes: a reply or one pymy error, whatever comes


def _packets() -> st.SearchStrategy[bytes]:
    prefixes = [b"", b"\x03", b"\x04", b"P", b"P\0" + SALT[1:], b"\x02", b"\x05", b"-----BEGIN "]
    whole = [b"\x03", b"\x04", b"P\0" + SALT, b"\x04Password: ", b"\x02?", pem()]
    return st.one_of(
        st.binary(max_size=64),
        st.sampled_from(whole),
        st.builds(bytes.__add__, st.sampled_from(prefixes), st.binary(max_size=40)),
        st.builds(_mutate, st.sampled_from(whole), st.integers(0, 1 << 30), st.integers(1, 255)),
    )


def _mutate(data: bytes, where: int, how: int) -> bytes:
    at = where % len(data)
    return data[:at] + bytes([data[at] ^ how]) + data[at + 1 :]


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(PLUGINS)),
    nonce=st.one_of(st.sampled_from([NONCE, NONCE32, b"\x04Password: "]), _packets()),
    password=st.sampled_from([b"", b"secret", LONG, b"x" * 300]),
    tls=st.booleans(),
    local=st.booleans(),
    trusting=st.booleans(),
    packets=st.lists(_packets(), max_size=4),
)
def test_hostile_server(
    name: str,
    nonce: bytes,
    password: bytes,
    tls: bool,
    local: bool,
    trusting: bool,
    packets: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signed, "MAX_FACTOR", 1)
    ctx = context(
        password,
        nonce,
        tls=tls,
        local=local,
        allow_public_key_retrieval=trusting,
        allow_cleartext=trusting,
    )
    try:
        replies = talk(name, ctx, *packets)
    except err.Error as error:
        assert error.fatal
        assert "secret" not in str(error)
    else:
        assert all(reply is None or len(reply) <= 2048 for reply in replies)
        if not (tls or local) and password:
            assert not any(reply and password in reply for reply in replies)
