"""From the greeting to a connection that is ready: capabilities, TLS, login, first statements.

::

    server                                client
    HandshakeV10 (or ERR)
                                          SSLRequest, then TLS            when wanted and offered
                                          HandshakeResponse41
    AuthSwitchRequest | AuthMoreData | AuthNextFactor                     any number of turns
                                          what the plugin answers
    OK | ERR
                                          SET NAMES ... (one statement), init_command

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/1-connecting/connection
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pymy import err
from pymy.constants import CLIENT, COMMAND, CR, ER
from pymy.options import Options, SSLMode
from pymy.protocol.commands import init_db, set_option
from pymy.protocol.compression import COMPRESSIONS
from pymy.protocol.framing import MAX_PACKET
from pymy.protocol.login import Login
from pymy.protocol.needs import Conversation, Need
from pymy.protocol.packets import Greeting, Ok, parse_greeting
from pymy.protocol.query import begin, discard, query
from pymy.protocol.roles import bring_back
from pymy.protocol.session import Session
from pymy.protocol.setup import setup_statement
from pymy.protocol.state import State
from pymy.protocol.wire import lenenc_bytes

LARGEST_GREETING = 1 << 16
# Session changes may come along with the last packet of a login; nothing needs more.
LARGEST_OF_LOGIN = 1 << 20
# 65,535 bytes is what MySQL's performance schema takes at most (P34).
ATTRIBUTES_LIMIT = 65_535
# utf8mb4_general_ci: names go out in UTF-8 whatever the charset, and one byte has no room for the
# ids of many collations (P36). SET NAMES chooses the real one.
COLLATION_ID = 45
# What client_flag= may switch on: nothing whose packets pymy would then not understand.
USERS_FLAGS = (
    CLIENT.FOUND_ROWS | CLIENT.NO_SCHEMA | CLIENT.ODBC | CLIENT.IGNORE_SPACE | CLIENT.INTERACTIVE
    | CLIENT.IGNORE_SIGPIPE | CLIENT.RESERVED | CLIENT.MULTI_STATEMENTS
    | CLIENT.HANDLE_EXPIRED_PASSWORDS | CLIENT.REMEMBER_OPTIONS
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the outside gives a login: one password a factor, and attributes of this process."""

    passwords: Sequence[bytes]
    attributes: Mapping[str, str]

    def __repr__(self) -> str:
        return "Credentials(***)"


def connect(session: Session, options: Options, credentials: Credentials) -> Conversation[None]:
    """Do the whole handshake and the first statements; the session is READY afterwards."""
    session.indivisible = True
    greeting = yield from read_greeting(session)
    session.capabilities = choose_capabilities(options, greeting)
    session.multi_statements = multi_statements(session)
    if session.capabilities & CLIENT.SSL:
        yield from upgrade_to_tls(session, options)
    login = Login(session, options, credentials.passwords)
    first = login.begin(greeting.auth_plugin, greeting.nonce)
    session.put(handshake_response(session, options, credentials, first, login.plugin_name))
    yield Need.WRITE
    session.accept((yield from login.converse()))
    if options.compress and session.capabilities & (
        CLIENT.COMPRESS | CLIENT.ZSTD_COMPRESSION_ALGORITHM
    ):
        session.start_compression(COMPRESSIONS[options.compress](options.compress_level))
    session.largest_packet = MAX_PACKET
    session.move(State.READY)
    session.schema = options.database
    yield from setup(session, options)


def read_greeting(session: Session) -> Conversation[Greeting]:
    session.largest_packet = LARGEST_GREETING
    greeting = parse_greeting((yield from session.read()))
    session.largest_packet = LARGEST_OF_LOGIN
    session.greeting = greeting
    session.mariadb = greeting.is_mariadb
    session.status = greeting.status
    if not greeting.capabilities & CLIENT.PROTOCOL_41:
        raise err.NotSupportedError(
            CR.CR_VERSION_ERROR,
            f"Server {greeting.server_version!r} speaks the protocol from before MySQL 4.1; "
            "pymy needs a newer server",
            fatal=True,
        )
    return greeting


def choose_capabilities(options: Options, greeting: Greeting) -> int:
    """Return what both sides have: only flags the server announced are sent (P32)."""
    wanted = (
        CLIENT.LONG_PASSWORD | CLIENT.LONG_FLAG | CLIENT.PROTOCOL_41 | CLIENT.TRANSACTIONS
        | CLIENT.SECURE_CONNECTION | CLIENT.MULTI_RESULTS | CLIENT.PS_MULTI_RESULTS
        | CLIENT.PLUGIN_AUTH | CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA | CLIENT.SESSION_TRACK
        | CLIENT.QUERY_ATTRIBUTES | CLIENT.EXTENDED_METADATA | CLIENT.CACHE_METADATA
    )  # fmt: skip
    if options.password2 or options.password3:
        wanted |= CLIENT.MULTI_FACTOR_AUTHENTICATION
    for asked, flag in (
        (options.deprecate_eof, CLIENT.DEPRECATE_EOF),
        (options.database, CLIENT.CONNECT_WITH_DB),
        (options.local_infile, CLIENT.LOCAL_FILES),
        (options.multi_statements, CLIENT.MULTI_STATEMENTS),
        (options.client_found_rows, CLIENT.FOUND_ROWS),
        (options.interactive, CLIENT.INTERACTIVE),
        (options.ignore_space, CLIENT.IGNORE_SPACE),
        (options.permit_expired_password, CLIENT.HANDLE_EXPIRED_PASSWORDS),
        (options.connection_attributes is not False, CLIENT.CONNECT_ATTRS),
        (options.progress, CLIENT.PROGRESS),
        (options.compress == "zlib", CLIENT.COMPRESS),
        (options.compress == "zstd", CLIENT.ZSTD_COMPRESSION_ALGORITHM),
        (options.ssl_mode is not SSLMode.DISABLED, CLIENT.SSL),
    ):
        if asked:
            wanted |= flag
    # A user's flags come on top, but never those whose consequences pymy could not follow.
    wanted |= options.client_flag & USERS_FLAGS
    wanted &= ~options.client_flag_off
    wanted |= CLIENT.PROTOCOL_41 | CLIENT.SECURE_CONNECTION
    agreed = wanted & greeting.capabilities
    if options.ssl_mode >= SSLMode.REQUIRED and not agreed & CLIENT.SSL:
        raise err.OperationalError(
            CR.CR_SSL_CONNECTION_ERROR,
            f"ssl={options.ssl_mode.name.lower()!r} was asked for but the server offers no TLS. "
            "Nothing was sent. Switch TLS on at the server, or connect with ssl='preferred'",
            fatal=True,
        )
    return agreed


def handshake_head(session: Session, options: Options) -> bytes:
    """Build what SSLRequest and HandshakeResponse41 have in common.

    4 capabilities, 4 largest packet, 1 collation id, 19 filler, 4 MariaDB's capabilities 32..63.
    """
    return struct.pack(
        "<IIB19xI",
        session.capabilities & 0xFFFFFFFF,
        options.max_allowed_packet,
        COLLATION_ID,
        session.capabilities >> 32,
    )


def upgrade_to_tls(session: Session, options: Options) -> Conversation[None]:
    refuse_plaintext(session)
    session.put(handshake_head(session, options))
    yield Need.TLS
    refuse_plaintext(session)  # the client speaks first within TLS
    session.tls = True


def refuse_plaintext(session: Session) -> None:
    if session.inbox.start != session.inbox.end:
        raise err.OperationalError(
            CR.CR_SSL_CONNECTION_ERROR,
            "The server, or somebody on the way, sent plaintext behind its greeting although TLS "
            "was about to start. Nothing secret was sent; check the network",
            fatal=True,
        )


def handshake_response(
    session: Session, options: Options, credentials: Credentials, auth: bytes, plugin: str
) -> bytes:
    """Build HandshakeResponse41: the head, user, auth answer, schema, plugin name, attributes."""
    agreed = session.capabilities
    parts = [handshake_head(session, options), text(session, options.user) + b"\0"]
    if agreed & CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA:
        parts.append(lenenc_bytes(auth))
    else:
        parts.append(short_bytes(auth))
    if agreed & CLIENT.CONNECT_WITH_DB:
        parts.append(text(session, options.database or "") + b"\0")
    if agreed & CLIENT.PLUGIN_AUTH:
        parts.append(plugin.encode("ascii", "replace") + b"\0")
    if agreed & CLIENT.CONNECT_ATTRS:
        parts.append(attribute_list(credentials.attributes))
    if agreed & CLIENT.ZSTD_COMPRESSION_ALGORITHM:
        level = options.compress_level
        parts.append(bytes([3 if level is None else level]))
    return b"".join(parts)


def short_bytes(auth: bytes) -> bytes:
    if len(auth) > 255:
        raise err.NotSupportedError(
            CR.CR_AUTH_PLUGIN_ERR,
            f"The login answer has {len(auth)} bytes and this server takes 255",
            fatal=True,
        )
    return bytes([len(auth)]) + auth


def text(session: Session, value: str) -> bytes:
    """Encode a name; a NUL would end it early and move what follows into the next field."""
    if "\0" in value:
        raise err.ProgrammingError(
            CR.CR_BAD_PARAMETER, f"{value!r} holds a NUL, which no user or schema name can"
        )
    return value.encode("utf-8")


def attribute_list(attributes: Mapping[str, str]) -> bytes:
    return _attribute_list(tuple(attributes.items()))


@lru_cache(8)  # connections of one program have the same
def _attribute_list(attributes: tuple[tuple[str, str], ...]) -> bytes:
    pairs = b"".join(lenenc_bytes(text.encode()) for pair in attributes for text in pair)
    if len(pairs) > ATTRIBUTES_LIMIT:
        raise err.ProgrammingError(
            CR.CR_BAD_PARAMETER,
            f"connection_attributes hold more than {ATTRIBUTES_LIMIT} bytes; shorten them",
        )
    return lenenc_bytes(pairs)


def setup(
    session: Session, options: Options, schema: bytes | None = None, *, roles: bool = False
) -> Conversation[None]:
    """Bring a fresh session to what the options ask for: one statement, then ``init_command``.

    roles: whether the session may have others than the login gave it.
    """
    try:
        statement = setup_statement(session, options)
        yield from query(session, statement.encode("utf-8"))
        session.autocommit_known = options.autocommit is not None
        if session.multi_statements != multi_statements(session):
            yield from set_option(session, multi_statements(session))
        if roles:
            yield from bring_back(session)
        if schema is not None:
            yield from init_db(session, schema)
        if options.init_command:
            yield from query(session, options.init_command.encode("utf-8"), stream=True)
            yield from discard(session)
    except err.Error as exc:
        if not is_expired(exc, options):
            exc.fatal = True  # half set up, with a charset or schema that nobody knows
            raise


def multi_statements(session: Session) -> bool:
    """Tell what the login asked for; only COM_SET_OPTION changes it, neither reset nor login do."""
    return bool(session.capabilities & CLIENT.MULTI_STATEMENTS)


def is_expired(error: err.Error, options: Options) -> bool:
    """Tell a permitted error: with an expired password all but SET PASSWORD gives 1820."""
    return options.permit_expired_password and error.errno == ER.MUST_CHANGE_PASSWORD


def change_user(session: Session, options: Options, credentials: Credentials) -> Conversation[None]:
    """Log in anew on the same link; whatever goes wrong ends the connection.

    COM_CHANGE_USER: user, 1 length + auth answer, schema, 2 collation id, plugin name, attributes.

    Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_change_user.html
        https://mariadb.com/docs/server/reference/clientserver-protocol/2-text-protocol/com_change_user
    """
    assert session.greeting is not None
    session.indivisible = True
    if session.mariadb and session.greeting.version >= (10, 0, 5):
        try:  # else a user without a default role would have the one of the user before
            yield from query(session, b"SET ROLE NONE")
        except err.Error as exc:
            if not is_expired(exc, options):
                exc.fatal = True
                raise
    yield from begin(session)
    login = Login(session, options, credentials.passwords)
    auth = login.begin(session.greeting.auth_plugin, session.greeting.nonce)
    parts = [
        text(session, options.user) + b"\0",
        short_bytes(auth),
        text(session, options.database or "") + b"\0",
        struct.pack("<H", COLLATION_ID),
    ]
    if session.capabilities & CLIENT.PLUGIN_AUTH:
        parts.append(login.plugin_name.encode("ascii", "replace") + b"\0")
    if session.capabilities & CLIENT.CONNECT_ATTRS:
        parts.append(attribute_list(credentials.attributes))
    session.command(COMMAND.COM_CHANGE_USER, b"".join(parts))
    ok = yield from login.converse()
    forget(session, options)
    session.set_role = None
    session.rest(ok)
    yield from setup(session, options)


def forget(session: Session, options: Options) -> None:
    """Drop what is known of the session that just ended."""
    session.variables.clear()
    session.forget_statements()
    session.schema = options.database
    session.last_ok = Ok()
