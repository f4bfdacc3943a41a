"""From the greeting to a connection that is ready."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from line import Line, new_session
from login_talk import COMPRESSIONS, SETUP, Login, credentials, native, options, taken_apart
from serverside import ALL_CAPABILITIES, NONCE, error, framed, greeting, ok

from pymy import err
from pymy.constants import CLIENT, CR
from pymy.options import SSLMode
from pymy.protocol import handshake
from pymy.protocol.auth import AuthContext
from pymy.protocol.handshake import ATTRIBUTES_LIMIT, Credentials, connect
from pymy.protocol.needs import Need
from pymy.protocol.packets import parse_greeting
from pymy.protocol.state import State
from pymy.protocol.wire import Reader


def test_login() -> None:
    login = Login(framed(ok(), 2), SETUP, database="shop")
    assert login.error is None
    assert login.session.state is State.READY
    assert login.session.schema == "shop"
    found = login.response()
    assert found["flags"] == login.session.capabilities
    assert (found["user"], found["database"]) == (b"me", b"shop")
    assert (found["plugin"], found["auth"]) == (
        b"mysql_native_password", native(b"secret", NONCE),
    )  # fmt: skip
    assert found["rest"] == b""
    assert b"SET NAMES utf8mb4" in login.sent()[1]
    assert "secret" not in repr(Credentials((b"secret",), {}))


# greetings


@pytest.mark.parametrize(
    ("version", "mariadb", "numbers"),
    [
        (b"9.7.0", False, (9, 7, 0)),
        (b"8.0.36-28.1-azure", False, (8, 0, 36)),
        (b"5.5.5-10.6.12-MariaDB-log", True, (10, 6, 12)),
        (b"11.8.2-MariaDB", True, (11, 8, 2)),
        (b"5.5.5-10.2.0-proxy", True, (10, 2, 0)),
        (b"5.6.24.1.2", False, (5, 6, 24, 1)),
        (b"", False, ()),
        (b"unknown", False, ()),
        (b"9" * 100, False, (999999999,)),
    ],
)
def test_p39_versions(version: bytes, mariadb: bool, numbers: tuple[int, ...]) -> None:
    parsed = parse_greeting(greeting(version))
    assert (parsed.is_mariadb, parsed.version) == (mariadb, numbers)


@pytest.mark.parametrize("plugin", [b"mysql_native_password\0", b"mysql_native_password"])
@pytest.mark.parametrize(("nonce", "length"), [(NONCE + b"\0", 21), (NONCE, 21), (NONCE, 0)])
def test_p23_nonce_and_plugin_name(plugin: bytes, nonce: bytes, length: int) -> None:
    if nonce == NONCE:
        plugin = b""  # without the NUL nothing can follow
    parsed = parse_greeting(greeting(plugin=plugin, nonce=nonce, nonce_length=length))
    assert parsed.nonce == NONCE
    assert parsed.auth_plugin == plugin.rstrip(b"\0").decode()
    assert NONCE.decode() not in repr(parsed)


def test_p23_a_longer_nonce() -> None:
    nonce = bytes(range(65, 97))
    assert parse_greeting(greeting(nonce=nonce + b"\0", nonce_length=33)).nonce == nonce


def test_a_greeting_without_upper_half() -> None:
    short = greeting()[: 1 + len(b"9.7.0") + 1 + 4 + 8 + 1 + 2]
    parsed = parse_greeting(short)
    assert (parsed.auth_plugin, parsed.charset_id, len(parsed.nonce)) == ("", 0, 8)
    assert parsed.capabilities <= 0xFFFF


def test_a_greeting_without_plugins() -> None:
    capabilities = ALL_CAPABILITIES & ~(CLIENT.PLUGIN_AUTH | CLIENT.SECURE_CONNECTION)
    parsed = parse_greeting(greeting(capabilities=capabilities))
    assert (parsed.nonce, parsed.auth_plugin) == (NONCE[:8], "")


def test_mariadbs_capabilities() -> None:
    extended = CLIENT.PROGRESS >> 32 | CLIENT.EXTENDED_METADATA >> 32
    parsed = parse_greeting(greeting(b"11.8.2-MariaDB", extended=extended))
    assert parsed.capabilities >> 32 == extended
    # MySQL has filler there
    packet = bytearray(greeting())
    packet[packet.index(NONCE[8:]) - 1] = 0xFF
    assert parse_greeting(bytes(packet)).capabilities >> 32 == 0


def test_greetings_cut_short() -> None:
    whole = greeting()
    for size in range(1, 44):
        try:
            parse_greeting(whole[:size])
        except err.ProtocolError:
            continue
        assert size == 22 or size >= 38  # what lacks is optional, or missed by the plugin


@pytest.mark.parametrize("sqlstate", [None, "08004"])
@pytest.mark.parametrize("number", [0, 1])
def test_p12_p22_an_error_in_place_of_the_greeting(sqlstate: str | None, number: int) -> None:
    session = new_session()
    line = Line(session, [framed(error(1040, "Too many connections", sqlstate), number)])
    with pytest.raises(err.OperationalError, match="Too many connections") as caught:
        line.run(connect(session, options(), credentials()))
    assert (caught.value.errno, caught.value.fatal, caught.value.sent) == (1040, True, False)
    assert caught.value.retry.name == "CONNECTION"
    assert session.state is State.BROKEN


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\x15\x03\x03\x00\x02\x02\x46",
        b"220 mail.example.org ESMTP\r\n",
        b"+OK ready\r\n",
    ],
)
@pytest.mark.parametrize("chunk", [None, 1])
def test_p13_no_mysql_server(data: bytes, chunk: int | None) -> None:
    session = new_session()
    line = Line(session, [data], chunk=chunk)
    with pytest.raises(err.ProtocolError, match="check that host and port are those") as caught:
        line.run(connect(session, options(), credentials()))
    assert repr(data[:4])[2:-1] in caught.value.message
    assert not line.sent
    assert line.fed <= 4 or chunk is None


@pytest.mark.parametrize("protocol", [9, 11, 0, 254])
def test_p14_other_protocols(protocol: int) -> None:
    login = Login(hello=greeting(protocol=protocol))
    assert isinstance(login.error, err.ProtocolError)
    assert f"protocol version {protocol}" in login.error.message


def test_p14_before_4_1() -> None:
    login = Login(hello=greeting(capabilities=ALL_CAPABILITIES & ~CLIENT.PROTOCOL_41))
    assert isinstance(login.error, err.NotSupportedError)
    assert not login.line.sent


# capabilities


@pytest.mark.parametrize("missing", [1 << bit for bit in range(32) if bit not in (9,)])
def test_p32_only_what_the_server_has(missing: int) -> None:
    hello = greeting(capabilities=ALL_CAPABILITIES & ~missing)
    login = Login(
        framed(ok(), 2), SETUP, hello=hello, database="shop", local_infile=True,
        multi_statements=True, client_found_rows=True, interactive=True, ignore_space=True,
        client_flag=0xFFFFFFFF & ~COMPRESSIONS, ssl_mode=SSLMode.DISABLED,
    )  # fmt: skip
    if missing == CLIENT.SECURE_CONNECTION:
        assert login.error is not None  # no login that pymy knows fits eight bytes
        return
    assert login.error is None
    assert not login.response()["flags"] & missing


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        ({"deprecate_eof": True}, CLIENT.DEPRECATE_EOF),
        ({"database": "shop"}, CLIENT.CONNECT_WITH_DB),
        ({"multi_statements": True}, CLIENT.MULTI_STATEMENTS),
        ({"client_found_rows": True}, CLIENT.FOUND_ROWS),
        ({"interactive": True}, CLIENT.INTERACTIVE),
        ({"ignore_space": True}, CLIENT.IGNORE_SPACE),
        ({"permit_expired_password": True}, CLIENT.HANDLE_EXPIRED_PASSWORDS),
        ({"connection_attributes": None}, CLIENT.CONNECT_ATTRS),
        ({"progress": print}, CLIENT.PROGRESS),
        ({"compress": "zlib"}, CLIENT.COMPRESS),
        ({"compress": "zstd"}, CLIENT.ZSTD_COMPRESSION_ALGORITHM),
        ({"password2": "x"}, CLIENT.MULTI_FACTOR_AUTHENTICATION),
        ({"password3": "x"}, CLIENT.MULTI_FACTOR_AUTHENTICATION),
        ({"ssl_mode": SSLMode.PREFERRED}, CLIENT.SSL),
        ({"client_flag": int(CLIENT.NO_SCHEMA)}, CLIENT.NO_SCHEMA),
    ],
)
def test_p33_p121_flags_follow_options(given: dict[str, Any], flag: int) -> None:
    """Each is set when asked for and only then; both compressions never together."""
    everything = parse_greeting(greeting(capabilities=0xFFFFFFFF))
    object.__setattr__(everything, "capabilities", (1 << 40) - 1)
    off = {"deprecate_eof": False, "connection_attributes": False}
    asked = handshake.choose_capabilities(options(**(off | given)), everything)
    assert asked & flag
    assert not handshake.choose_capabilities(options(**off), everything) & flag
    denied = options(**(off | given), client_flag_off=flag)
    assert not handshake.choose_capabilities(denied, everything) & flag
    assert asked & COMPRESSIONS != COMPRESSIONS


def test_flags_that_users_cannot_set() -> None:
    everything = parse_greeting(greeting(capabilities=0xFFFFFFFF))
    for flag in (CLIENT.SSL, CLIENT.CAPABILITY_EXTENSION, CLIENT.OPTIONAL_RESULTSET_METADATA):
        asked = handshake.choose_capabilities(options(client_flag=int(flag)), everything)
        assert not asked & flag
    needed = options(client_flag_off=int(CLIENT.PROTOCOL_41))
    assert handshake.choose_capabilities(needed, everything) & CLIENT.PROTOCOL_41


# TLS


def test_tls() -> None:
    """SSLRequest holds nothing but flags; everything else follows when TLS is up (P30)."""
    before: list[bytes] = []
    login = Login(
        framed(ok(), 3), SETUP, ssl_mode=SSLMode.REQUIRED, database="shop",
        tls=lambda: before.append(bytes(login_line().sent)),
    )  # fmt: skip
    assert login.error is None
    assert login.session.tls
    request, response = login.sent()[:2]
    assert before == [framed(request, 1)]
    assert len(request) == 32
    assert response[:32] == request
    assert taken_apart(response, login.session.capabilities)["user"] == b"me"
    assert login.line.needs.index(Need.TLS) == 2


_last: list[Line] = []


def login_line() -> Line:
    return _last[-1]


@pytest.fixture(autouse=True)
def remember_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets a ``tls=`` callback see what was sent before it."""
    original = Line.__init__

    def init(self: Line, *args: Any, **more: Any) -> None:
        original(self, *args, **more)
        _last.append(self)

    monkeypatch.setattr(Line, "__init__", init)
    yield
    _last.clear()


@pytest.mark.parametrize("mode", [SSLMode.REQUIRED, SSLMode.VERIFY_CA, SSLMode.VERIFY_IDENTITY])
def test_p30_tls_that_is_not_offered(mode: SSLMode) -> None:
    login = Login(hello=greeting(capabilities=ALL_CAPABILITIES & ~CLIENT.SSL), ssl_mode=mode)
    assert login.error is not None
    assert login.error.errno == CR.CR_SSL_CONNECTION_ERROR
    assert not login.line.sent
    assert not login.error.sent


def test_tls_preferred_goes_without() -> None:
    hello = greeting(capabilities=ALL_CAPABILITIES & ~CLIENT.SSL)
    login = Login(framed(ok(), 2), SETUP, hello=hello, ssl_mode=SSLMode.PREFERRED)
    assert login.error is None
    assert not login.session.tls


@pytest.mark.parametrize("mode", [SSLMode.PREFERRED, SSLMode.REQUIRED])
@pytest.mark.parametrize("injected", [b"\0", framed(ok(), 2), framed(error(1064), 2)])
def test_p29_p30_plaintext_before_tls(mode: SSLMode, injected: bytes) -> None:
    session = new_session()
    line = Line(session, [framed(greeting(), 0) + injected])
    with pytest.raises(err.OperationalError, match="plaintext behind its greeting") as caught:
        line.run(connect(session, options(ssl_mode=mode), credentials()))
    assert caught.value.errno == CR.CR_SSL_CONNECTION_ERROR
    assert not line.sent
    assert session.state is State.BROKEN


def test_plaintext_while_tls_starts() -> None:
    """Received by a transport that reads ahead: it must not be taken for what came within TLS."""
    session = new_session()
    session.start(connect(session, options(ssl_mode=SSLMode.REQUIRED), credentials()))
    for data in (framed(greeting(), 0), framed(ok(), 2)):
        session.space()[: len(data)] = data
        session.filled(len(data))
    assert session.sent(36) is Need.TLS
    session.resume()
    with pytest.raises(err.OperationalError, match="plaintext behind its greeting"):
        session.result()
    assert (session.tls, session.state) == (False, State.BROKEN)
    assert not session.output()


def test_tls_that_fails() -> None:
    session = new_session()
    session.start(connect(session, options(ssl_mode=SSLMode.REQUIRED), credentials()))
    data = framed(greeting(), 0)
    session.space()[: len(data)] = data
    session.filled(len(data))
    assert session.sent(36) is Need.TLS
    session.lost("bad certificate", errno=CR.CR_SSL_CONNECTION_ERROR)
    with pytest.raises(err.OperationalError, match="bad certificate"):
        session.result()
    assert not session.tls


# the response


def test_p34_attributes() -> None:
    attributes = {"_client_name": "pymy", "\u00e9": "\u20ac"}
    login = Login(framed(ok(), 2), SETUP, attributes=attributes)
    assert login.response()["attributes"] == (
        b"\x0c_client_name\x04pymy" + b"\x02\xc3\xa9\x03\xe2\x82\xac"
    )
    off = Login(framed(ok(), 2), SETUP, attributes=attributes, connection_attributes=False)
    assert "attributes" not in off.response()


def test_p34_attributes_have_a_limit() -> None:
    fits = handshake.attribute_list({"n": "x" * (ATTRIBUTES_LIMIT - 5)})
    assert len(fits) == ATTRIBUTES_LIMIT + 3
    with pytest.raises(err.ProgrammingError, match="shorten them"):
        handshake.attribute_list({"n": "x" * (ATTRIBUTES_LIMIT - 4)})
    long = handshake.attribute_list({"n": "\u00e9" * 200})
    assert Reader(long).lenenc() == len(long) - 3 == 2 + 3 + 400


@pytest.mark.parametrize("size", [250, 251, 255, 256, 70_000])
@pytest.mark.parametrize("lenenc", [True, False])
def test_p35_long_answers(size: int, lenenc: bool) -> None:
    flags = ALL_CAPABILITIES & ~(0 if lenenc else CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA)

    def plugin(ctx: AuthContext) -> Any:
        yield b"a" * size

    login = Login(
        framed(ok(), 2), SETUP, hello=greeting(capabilities=flags, plugin=b"mine\0"),
        auth_plugin_map={"mine": plugin},
    )  # fmt: skip
    if size > 255 and not lenenc:
        assert isinstance(login.error, err.NotSupportedError)
        assert not login.line.sent
    else:
        assert login.response()["auth"] == b"a" * size


@pytest.mark.parametrize("charset", ["utf8mb4", "latin1", "gbk", "binary"])
@pytest.mark.parametrize("collation", [None, "utf8mb4_uca1400_ai_ci"])
def test_p36_p37_names_are_in_utf8(charset: str, collation: str | None) -> None:
    """Whatever the charset, and a collation's id may be too large; SET NAMES has the last word."""
    more = {"charset": charset} | ({"collation": collation} if charset == "utf8mb4" else {})
    login = Login(framed(ok(), 2), SETUP, user="caf\u00e9", database="d\u00e9", **more)
    found = login.response()
    assert (found["collation"], found["user"]) == (45, "caf\u00e9".encode())
    assert found["database"] == "d\u00e9".encode()
    assert f"SET NAMES {charset}".encode() in login.sent()[1]


def test_a_nul_in_a_name() -> None:
    with pytest.raises(err.ProgrammingError, match="holds a NUL"):
        handshake.text(new_session(), "a\0b")
