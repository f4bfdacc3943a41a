"""From the greeting to a connection that is ready."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from hashlib import sha1
from typing import Any

import pytest
from line import Line, new_session, ready_session
from serverside import ALL_CAPABILITIES, NONCE, error, framed, greeting, ok, packets

from pymy import err
from pymy.constants import CLIENT, CR, ER
from pymy.options import Options, SSLMode
from pymy.protocol import handshake
from pymy.protocol.auth import AuthContext
from pymy.protocol.handshake import ATTRIBUTES_LIMIT, Credentials, connect
from pymy.protocol.login import MOST_TURNS
from pymy.protocol.needs import Need
from pymy.protocol.packets import parse_greeting
from pymy.protocol.session import Session
from pymy.protocol.setup import names_clause
from pymy.protocol.state import State
from pymy.protocol.wire import Reader

PLAIN = {"user": "me", "ssl_mode": SSLMode.DISABLED}
SETUP = framed(ok())
COMPRESSIONS = CLIENT.COMPRESS | CLIENT.ZSTD_COMPRESSION_ALGORITHM


def options(**more: Any) -> Options:
    return Options(**(PLAIN | more))


def credentials(*passwords: bytes, attributes: Mapping[str, str] | None = None) -> Credentials:
    return Credentials(passwords or (b"secret",), attributes or {})


def native(password: bytes, nonce: bytes) -> bytes:
    inner = sha1(password).digest()
    mask = sha1(nonce + sha1(inner).digest()).digest()
    return bytes(a ^ b for a, b in zip(inner, mask, strict=True))


class Login:
    """One connect against a script, and what came of it."""

    def __init__(
        self,
        *server: bytes,
        hello: bytes | None = None,
        passwords: tuple[bytes, ...] = (b"secret",),
        attributes: Mapping[str, str] | None = None,
        local: bool = False,
        tls: Any = None,
        **more: Any,
    ) -> None:
        self.session = new_session(local=local)
        first = framed(greeting() if hello is None else hello, 0)
        self.line = Line(self.session, [first, *server], tls=tls)
        self.error: err.Error | None = None
        made = connect(self.session, options(**more), Credentials(passwords, attributes or {}))
        try:
            self.line.run(made)
        except err.Error as exc:
            self.error = exc
            assert exc.fatal
            assert self.session.state is State.BROKEN

    def sent(self) -> list[bytes]:
        """The payloads that went out."""
        data, payloads = bytes(self.line.sent), []
        while data:
            size = int.from_bytes(data[:3], "little")
            payloads.append(data[4 : 4 + size])
            data = data[4 + size :]
        return payloads

    def response(self) -> dict[str, Any]:
        """HandshakeResponse41, taken apart."""
        return taken_apart(self.sent()[0], self.session.capabilities)


def taken_apart(packet: bytes, agreed: int) -> dict[str, Any]:
    reader = Reader(packet)
    found: dict[str, Any] = dict(
        zip(("flags", "largest", "collation"), (reader.integer(n) for n in (4, 4, 1)), strict=True)
    )
    assert not any(reader.take(19))
    found["flags"] |= reader.integer(4) << 32
    found["user"] = reader.until_nul()
    lenenc = agreed & CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA
    found["auth"] = reader.lenenc_bytes() if lenenc else reader.take(reader.integer(1))
    if agreed & CLIENT.CONNECT_WITH_DB:
        found["database"] = reader.until_nul()
    if agreed & CLIENT.PLUGIN_AUTH:
        found["plugin"] = reader.until_nul()
    if agreed & CLIENT.CONNECT_ATTRS:
        found["attributes"] = reader.lenenc_bytes()
    found["rest"] = reader.rest()
    return found


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
        ({"local_infile": True}, CLIENT.LOCAL_FILES),
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
def test_p33_p91_p121_flags_follow_options(given: dict[str, Any], flag: int) -> None:
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


@pytest.mark.parametrize(
    ("charset", "collation_id"), [("utf8mb4", 45), ("latin1", 8), ("gbk", 28), ("gb18030", 248)]
)
def test_p36_p37_collation_ids(charset: str, collation_id: int) -> None:
    login = Login(framed(ok(), 2), SETUP, charset=charset)
    assert login.response()["collation"] == collation_id
    assert f"SET NAMES {charset}".encode() in login.sent()[1]


def test_p36_collations_above_255(monkeypatch: pytest.MonkeyPatch) -> None:
    from pymy.charset import Charset

    big = Charset(2304, "utf8mb4", "utf8mb4_uca1400_ai_ci")
    monkeypatch.setattr(handshake, "charset_named", lambda name: big)
    login = Login(framed(ok(), 2), SETUP, collation="utf8mb4_uca1400_ai_ci")
    assert login.response()["collation"] == handshake.FALLBACK_COLLATION_ID
    assert b"SET NAMES utf8mb4 COLLATE utf8mb4_uca1400_ai_ci" in login.sent()[1]


def test_a_nul_in_a_name() -> None:
    with pytest.raises(err.ProgrammingError, match="holds a NUL"):
        handshake.text(new_session(), "a\0b")


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


def test_p19_the_server_says_nothing_secret_back() -> None:
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
        b"SET NAMES utf8mb4 COLLATE utf8mb4_bin, sql_mode='A''B\\\\C', "
        b"@@session.wait_timeout=10, @@session.time_zone='+00:00'"
    )
    assert statements[1].endswith(b"SET @a = 1")


@pytest.mark.parametrize(("status", "wanted", "shown"), [
    (2, False, b"autocommit=0"), (0, True, b"autocommit=1"), (0, False, b""), (2, None, b""),
])  # fmt: skip
def test_autocommit_is_set_only_when_it_differs(
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


def test_a_variable_that_is_none() -> None:
    session = new_session()
    line = Line(session, [framed(greeting(), 0), framed(ok(), 2)])
    chosen = options()
    object.__setattr__(chosen, "session_variables", {"a; drop": 1})
    with pytest.raises(err.ProgrammingError, match="is not a variable's name"):
        line.run(connect(session, chosen, credentials()))


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
    assert session.state is State.READY


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
    line = Line(
        session, [framed(switch(b"mysql_native_password", OTHER)), framed(ok(), 3), SETUP]
    )
    chosen = options(user="other", database="new", charset="latin1")
    line.run(handshake.change_user(session, chosen, credentials(b"pw", attributes={"a": "b"})))
    reader = Reader(bytes(line.sent), 4)
    assert reader.take(1) == b"\x11"
    assert reader.until_nul() == b"other"
    assert reader.take(reader.integer(1)) == native(b"pw", NONCE)
    assert reader.until_nul() == b"new"
    assert reader.integer(2) == 8
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


def test_reset() -> None:
    session = agreed_session(variables={"a": "1"}, schema="old")
    line = Line(session, [framed(ok()), SETUP])
    line.run(handshake.reset(session, options(database="shop"), credentials()))
    assert line.sent.startswith(framed(b"\x1f", 0))
    assert (session.variables, session.schema, session.state) == ({}, "shop", State.READY)


def test_reset_on_servers_without_it() -> None:
    session = agreed_session()
    line = Line(
        session, [framed(error(ER.UNKNOWN_COM_ERROR, "unknown command")), framed(ok()), SETUP]
    )
    line.run(handshake.reset(session, options(), credentials()))
    assert line.sent[5:].startswith(bytes(line.sent[5:8]) + b"\0\x11me\0")


@pytest.mark.parametrize(
    ("answer", "state"), [(error(1053, "bye"), State.BROKEN), (error(1064), State.READY),
                          (b"\xfe\0\0\0\0", State.BROKEN)],
)  # fmt: skip
def test_reset_that_fails(answer: bytes, state: State) -> None:
    session = agreed_session()
    line = Line(session, [framed(answer)])
    with pytest.raises(err.Error):
        line.run(handshake.reset(session, options(), credentials()))
    assert session.state is state


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
