"""The login dialogue, the first statements, and logging in again."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from line import Line, new_session, ready_session
from login_talk import COMPRESSIONS, SETUP, Login, credentials, native, options
from serverside import ALL_CAPABILITIES, NONCE, error, framed, greeting, ok, packets

from pymy import err
from pymy.constants import CLIENT, ER
from pymy.protocol import handshake
from pymy.protocol.auth import AuthContext
from pymy.protocol.handshake import connect
from pymy.protocol.login import MOST_TURNS
from pymy.protocol.needs import Need
from pymy.protocol.packets import parse_greeting
from pymy.protocol.session import Session
from pymy.protocol.setup import names_clause
from pymy.protocol.state import State
from pymy.protocol.wire import Reader

# the dialogue


def switch(plugin: bytes, data: bytes = b"", first: int = 0xFE) -> bytes:
    return bytes([first]) + plugin + b"\0" + data


OTHER = bytes(range(97, 117))


def test_p24_a_switch_brings_a_new_nonce() -> None:
    login = Login(
        framed(switch(b"mysql_native_password", OTHER + b"\0"), 2), framed(ok(), 4), SETUP
    )
    assert login.error is None
    assert login.sent()[1] == native(b"secret", OTHER)


def test_p25_the_request_for_an_old_password() -> None:
    login = Login(framed(b"\xfe", 2))
    assert login.error is not None
    assert "mysql_old_password" in login.error.message
    assert "ALTER USER" in login.error.message
    assert len(login.sent()) == 1


@pytest.mark.parametrize("cached", [True, False])
def test_p26_p38_caching_sha2(cached: bool) -> None:
    """3 = the cache knew the account: OK follows without another word of ours."""
    hello = greeting(plugin=b"caching_sha2_password\0")
    if cached:
        login = Login(packets(b"\x01\x03", ok(), start=2), SETUP, hello=hello)
        assert login.error is None
        assert len(login.sent()) == 2  # the second is SET NAMES
    else:
        login = Login(framed(b"\x01\x04", 2), framed(ok(), 4), SETUP, hello=hello, local=True)
        assert login.error is None
        assert login.sent()[1] == b"secret\0"
    assert login.response()["plugin"] == b"caching_sha2_password"
    assert len(login.response()["auth"]) == 32


def test_p27_p28_nothing_in_clear_over_plain_tcp() -> None:
    hello = greeting(plugin=b"caching_sha2_password\0")
    login = Login(framed(b"\x01\x04", 2), hello=hello)
    assert login.error is not None
    assert b"secret" not in login.line.sent
    login = Login(framed(switch(b"mysql_clear_password"), 2), allow_cleartext_password=True)
    assert login.error is not None
    assert b"secret" not in login.line.sent


def test_p26_the_plugin_is_done_but_the_server_asks() -> None:
    hello = greeting(plugin=b"caching_sha2_password\0")
    login = Login(packets(b"\x01\x03", b"\x01\x03", start=2), hello=hello)
    assert login.error is not None
    assert "more questions than caching_sha2_password knows" in login.error.message


def test_p41_factors() -> None:
    hello = greeting(capabilities=0xFFFFFFFF & ~CLIENT.SSL)
    second = framed(switch(b"mysql_native_password", OTHER + b"\0", first=2), 2)
    third = framed(switch(b"mysql_native_password", NONCE + b"\0", first=2), 4)
    login = Login(
        second, third, framed(ok(), 6), SETUP, hello=hello, passwords=(b"one", b"two", b"three"),
        password2="two", password3="three",
    )  # fmt: skip
    assert login.error is None
    assert login.response()["auth"] == native(b"one", NONCE)
    assert login.sent()[1] == native(b"two", OTHER)
    assert login.sent()[2] == native(b"three", NONCE)


def test_p41_a_factor_without_a_password() -> None:
    hello = greeting(capabilities=0xFFFFFFFF & ~CLIENT.SSL)
    second = framed(switch(b"mysql_native_password", OTHER + b"\0", first=2), 2)
    login = Login(second, hello=hello, passwords=(b"one",), password2="two")
    assert login.error is not None
    assert "factor 2: give password2=" in login.error.message


def test_p41_a_factor_that_was_not_agreed_on() -> None:
    """It is nothing but data for a plugin that has said everything."""
    factor = switch(b"mysql_native_password", OTHER, first=2)
    login = Login(packets(factor, factor, start=2))
    assert isinstance(login.error, err.ProtocolError)
    assert len(login.sent()) == 1


@pytest.mark.parametrize(
    ("errno", "text"),
    [(1045, "Access denied"), (1524, "Plugin 'mysql_native_password' is not loaded")],
)
def test_p38_refused(errno: int, text: str) -> None:
    login = Login(framed(error(errno, text, "28000"), 2))
    assert login.error is not None
    assert (login.error.errno, login.error.message) == (errno, text)


def test_an_unknown_default_plugin_is_no_reason_to_stop() -> None:
    hello = greeting(plugin=b"authentication_windows\0")
    login = Login(framed(ok(), 2), SETUP, hello=hello)
    assert login.error is None
    assert login.response()["plugin"] == b"mysql_native_password"


def test_no_plugin_name_at_all() -> None:
    hello = greeting(capabilities=ALL_CAPABILITIES & ~CLIENT.PLUGIN_AUTH, plugin=b"")
    login = Login(framed(ok(), 2), SETUP, hello=hello)
    assert login.error is None
    assert login.response()["auth"] == native(b"secret", NONCE)


def test_restricted_plugins() -> None:
    allowed = {"restricted_auth": frozenset({"caching_sha2_password"})}
    login = Login(framed(switch(b"mysql_native_password", OTHER), 2), **allowed)
    assert login.error is not None
    assert "restricted_auth does not list" in login.error.message
    # nothing of the password goes out for a default that is not allowed
    assert login.response()["auth"] == b""
    asked = Login(framed(b"\x01hm", 2), **allowed)
    assert isinstance(asked.error, err.ProtocolError)


def test_a_server_that_asks_for_ever() -> None:
    """A dialogue has an end, whatever the server thinks of next."""
    again = [
        framed(switch(b"mysql_native_password", OTHER), 2 + 2 * turn)
        for turn in range(MOST_TURNS + 1)
    ]
    login = Login(*again)
    assert isinstance(login.error, err.ProtocolError)
    assert "questions in one login" in login.error.message


def test_answers_that_come_before_they_are_due() -> None:
    """What was to be sent is sent all the same, and never behind the login."""
    hello = framed(greeting(capabilities=ALL_CAPABILITIES & ~CLIENT.SSL), 0)
    session = new_session()
    turn = hello + framed(switch(b"mysql_native_password", OTHER), 2) + framed(ok(), 4)
    line = Line(session, [turn, SETUP])
    line.run(connect(session, options(), credentials()))
    assert session.state is State.READY
    assert line.needs[:3] == [Need.READ, Need.WRITE, Need.WRITE]
    session = new_session()
    line = Line(session, [turn + framed(ok(), 1), SETUP])
    with pytest.raises(err.ProtocolError, match="nobody asked for"):
        line.run(connect(session, options(), credentials()))
    assert b"SET NAMES" not in line.sent


def test_a_plugin_that_raises() -> None:
    def plugin(ctx: AuthContext) -> Any:
        raise LookupError("no ticket")
        yield b""

    login = Login(hello=greeting(plugin=b"mine\0"), auth_plugin_map={"mine": plugin})
    assert login.error is not None
    assert "no ticket" in login.error.message
    assert isinstance(login.error.__cause__, LookupError)


def test_an_error_cut_short() -> None:
    login = Login(framed(b"\xff", 2))
    assert isinstance(login.error, err.ProtocolError)
    assert "secret" not in str(login.error)


# the first statements


def test_setup_statement() -> None:
    login = Login(
        framed(ok(), 2), SETUP, framed(ok()), autocommit=True, sql_mode="A'B\\C",
        session_variables={"wait_timeout": 10, "time_zone": "+00:00"},
        init_command="SET @a = 1", collation="utf8mb4_bin", charset="utf8mb4",
    )  # fmt: skip
    assert login.error is None
    statements = [payload[-len(payload) + 3 :] for payload in login.sent()[1:]]
    assert statements[0].endswith(
        b"SET NAMES utf8mb4 COLLATE utf8mb4_bin, autocommit=1, sql_mode='A''B\\\\C', "
        b"@@session.wait_timeout=10, @@session.time_zone='+00:00'"
    )
    assert statements[1].endswith(b"SET @a = 1")


@pytest.mark.parametrize(("status", "wanted", "shown"), [
    (2, False, b"autocommit=0"), (2, True, b"autocommit=1"), (0, True, b"autocommit=1"),
    (0, False, b"autocommit=0"), (2, None, b""),
])  # fmt: skip
def test_autocommit_is_set_whatever_the_status_says(
    status: int, wanted: bool | None, shown: bytes
) -> None:
    login = Login(framed(ok(status=status), 2), SETUP, autocommit=wanted)
    statement = login.sent()[1]
    assert (b"autocommit" in statement) == bool(shown)
    assert shown in statement


def test_no_backslashes_where_they_escape_nothing() -> None:
    login = Login(framed(ok(status=0x0200), 2), SETUP, sql_mode="A\\B")
    assert b"sql_mode='A\\B'" in login.sent()[1]


@pytest.mark.parametrize(
    ("charset", "collation", "match"),
    [("klingon", None, "Unknown charset 'klingon'"), ("utf8mb4", "a; drop", "not a collation's")],
)
def test_names_that_are_none(charset: str, collation: str | None, match: str) -> None:
    with pytest.raises(err.ProgrammingError, match=match):
        names_clause(charset, collation)


@pytest.mark.parametrize("permit", [True, False])
def test_expired_passwords(permit: bool) -> None:
    session = new_session()
    refusal = framed(error(ER.MUST_CHANGE_PASSWORD, "must reset", "HY000"))
    line = Line(session, [framed(greeting(), 0), framed(ok(), 2), refusal])
    made = connect(session, options(permit_expired_password=permit), credentials())
    if permit:
        line.run(made)
    else:
        with pytest.raises(err.Error, match="must reset"):
            line.run(made)
    assert session.state is (State.READY if permit else State.BROKEN)


def test_an_init_command_that_fails() -> None:
    session = new_session()
    line = Line(
        session, [framed(greeting(), 0), framed(ok(), 2), SETUP, framed(error(1064, "syntax"))]
    )
    with pytest.raises(err.ProgrammingError, match="syntax"):
        line.run(connect(session, options(init_command="nonsense"), credentials()))


# logging in again


def agreed_session(**more: Any) -> Session:
    capabilities = CLIENT.PLUGIN_AUTH | CLIENT.CONNECT_ATTRS | CLIENT.SESSION_TRACK
    return ready_session(
        more.pop("capabilities", capabilities), greeting=parse_greeting(greeting()), **more
    )


def test_p24_p34_change_user() -> None:
    session = agreed_session(variables={"a": "1"}, schema="old")
    line = Line(session, [framed(switch(b"mysql_native_password", OTHER)), framed(ok(), 3), SETUP])
    chosen = options(user="other", database="new", charset="latin1")
    line.run(handshake.change_user(session, chosen, credentials(b"pw", attributes={"a": "b"})))
    reader = Reader(bytes(line.sent), 4)
    assert reader.take(1) == b"\x11"
    assert reader.until_nul() == b"other"
    assert reader.take(reader.integer(1)) == native(b"pw", NONCE)
    assert reader.until_nul() == b"new"
    assert reader.integer(2) == 45
    assert reader.until_nul() == b"mysql_native_password"
    assert reader.lenenc_bytes() == b"\x01a\x01b"
    assert reader.take(4)[3] == 2
    assert reader.take(20) == native(b"pw", OTHER)
    assert (session.variables, session.schema, session.state) == ({}, "new", State.READY)


def test_change_user_without_plugins_and_attributes() -> None:
    session = agreed_session(capabilities=0)
    line = Line(session, [framed(ok()), SETUP])
    line.run(handshake.change_user(session, options(), credentials()))
    first = line.sent[4 : 4 + line.sent[0]]
    assert first.endswith(native(b"secret", NONCE) + b"\0" + struct.pack("<H", 45))


@pytest.mark.parametrize("answer", [error(1045, "denied", "28000"), b"\xfe", b"\x05odd"])
def test_p25_a_failed_change_of_user_ends_the_connection(answer: bytes) -> None:
    session = agreed_session()
    line = Line(session, [framed(answer)])
    with pytest.raises(err.OperationalError) as caught:
        line.run(handshake.change_user(session, options(), credentials()))
    assert caught.value.fatal
    assert session.state is State.BROKEN


# compression


@pytest.mark.parametrize("name", ["zlib", "zstd"])
def test_p125_p127_compression_starts_behind_the_ok(name: str) -> None:
    login = Login(framed(ok(), 2), b"\x0b\0\0\x01\0\0\0" + framed(ok()), compress=name)
    assert login.error is None
    assert login.session.compression is not None
    assert login.response()["rest"] == (b"\x03" if name == "zstd" else b"")
    hello = greeting(capabilities=ALL_CAPABILITIES & ~COMPRESSIONS)
    plain = Login(framed(ok(), 2), SETUP, hello=hello, compress=name)
    assert plain.error is None
    assert plain.session.compression is None


def test_the_level_of_zstd_is_told() -> None:
    login = Login(
        framed(ok(), 2), b"\x0b\0\0\x01\0\0\0" + framed(ok()), compress="zstd", compress_level=19
    )
    assert login.response()["rest"] == b"\x13"


def test_bytes_between_login_and_compression() -> None:
    login = Login(framed(ok(), 2) + b"x", compress="zlib")
    assert login.error is not None
    assert "between its login answer and compression" in login.error.message
