"""Everything one connection is made with: keywords, URL and option files become one Options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from enum import IntEnum
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import ssl

Password = str | bytes | Callable[[], str | bytes]
StrPath = str | PathLike[str]
# PEM text, DER bytes, or the path of a file with one of them.
Certificate = str | bytes | PathLike[str]

# Written out because a password in any of these must never reach a log.
SECRETS = frozenset({"password", "password2", "password3", "ssl_key_password"})


class SSLMode(IntEnum):
    """How much TLS a connection asks for; each mode includes the promises of those before it."""

    DISABLED = 0
    """No TLS even when the server offers it."""
    PREFERRED = 1
    """TLS when the server offers it; its certificate is not checked."""
    REQUIRED = 2
    """TLS or no connection; the certificate is not checked."""
    VERIFY_CA = 3
    """The certificate must lead to a trusted authority."""
    VERIFY_IDENTITY = 4
    """The certificate must also be made out for the host."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Options:
    """Settings of a connection, checked and complete; a pool or a reconnect uses them again.

    `Options.from_keywords()` takes what users write; this constructor takes only what is listed
    here. Times are in seconds, sizes in bytes. Raises ProgrammingError for a value out of its range
    and TypeError for one of the wrong type.
    """

    # Who
    user: str = ""
    password: Password = field(default="", repr=False)
    """Text goes out as UTF-8. A callable is asked once per physical connection, for tokens."""
    password2: Password = field(default="", repr=False)
    """Second factor of a MySQL multi-factor account."""
    password3: Password = field(default="", repr=False)
    """Third factor."""

    # Where
    host: str = "127.0.0.1"
    """Name or address; "localhost" means TCP. Unused with `unix_socket`."""
    port: int = 3306
    """1-65535."""
    unix_socket: str | None = None
    database: str | None = None
    bind_address: str | None = None
    """Local address to connect from."""
    tcp_keepalive: bool = True
    tcp_nodelay: bool = True
    connect_timeout: float | None = 10.0
    """Seconds over DNS, TCP, TLS, login and first statements together, up to 31536000, or None."""
    read_timeout: float | None = None
    """Seconds that one wait for the server may last; None: no limit."""
    write_timeout: float | None = None
    """Seconds that one wait to send may last; None: no limit."""
    on_cancel: Literal["kill", "drain", "close"] = "kill"
    """What becomes of a statement nobody waits for any more, after a time-out or a cancelled task:
    stopped by KILL QUERY from a second connection, read to its end, or lost with its connection."""
    cancel_timeout: float = 2.0
    """Seconds that this may take before the connection is closed after all."""
    pipelining: bool = True
    """False: one command at a time, for proxies that lose what comes behind the first."""
    concurrent: Literal["queue", "error"] = "queue"
    """What a second task on a busy asyncio connection does: wait in line, or fail."""

    # The session
    charset: str = "utf8mb4"
    collation: str | None = None
    """None: the server's own default for the charset."""
    use_unicode: bool = True
    """False: text columns come as bytes."""
    sql_mode: str | None = None
    init_command: str | None = None
    """SQL run after login and again after each reset."""
    session_variables: Mapping[str, str | int] = field(default_factory=dict)
    """Sent as one SET after login and again after each reset."""
    autocommit: bool | None = False
    """None keeps the server's setting."""

    # TLS
    ssl_mode: SSLMode = SSLMode.PREFERRED
    ssl_context: ssl.SSLContext | None = None
    """Used as it is instead of the fields below."""
    ssl_ca: Certificate | None = None
    ssl_capath: StrPath | None = None
    ssl_cert: StrPath | None = None
    ssl_key: StrPath | None = None
    ssl_key_password: str | bytes | None = field(default=None, repr=False)
    ssl_cipher: str | None = None
    """OpenSSL's cipher list, for TLS 1.2 and older."""
    ssl_server_hostname: str | None = None
    """Name to send as SNI and to check instead of `host`."""

    # Login
    allow_cleartext_password: bool = False
    """Let a server on TLS or a unix socket have the password itself (PAM, LDAP)."""
    allow_public_key_retrieval: bool = False
    """Encrypt the password with a key that an unverified server sends."""
    server_public_key: bytes | None = None
    """The server's RSA key, PEM."""
    permit_expired_password: bool = False
    """Enter the sandbox mode in which only a new password can be set."""
    auth_plugin_map: Mapping[str, Any] = field(default_factory=dict)
    """Name of an authentication plugin to the class that handles it."""
    restricted_auth: frozenset[str] | None = None
    """The only plugins the server may ask for; None: all that pymy has."""

    # The protocol
    client_flag: int = 0
    """Capability bits to ask for on top of pymy's own choice."""
    client_flag_off: int = 0
    """Capability bits never to ask for."""
    multi_statements: bool = False
    client_found_rows: bool = False
    """Count rows that matched, not rows that changed."""
    interactive: bool = False
    """interactive_timeout applies instead of wait_timeout."""
    ignore_space: bool = False
    deprecate_eof: bool = True
    compress: Literal["zlib", "zstd"] | None = None
    compress_level: int | None = None
    """zlib 1-9, zstd 1-22; None: the algorithm's usual one."""
    local_infile: bool | Callable[[bytes], Any] | Sequence[StrPath] = False
    """Handler of LOAD DATA LOCAL, or the folders it may read from."""
    max_allowed_packet: int = 1 << 30
    """Largest command in bytes, 1024 to 1 GiB; the server has a limit of its own."""
    program_name: str | None = None
    connection_attributes: Mapping[str, str] | Literal[False] | None = None
    """Added to pymy's own; False sends none at all."""

    # Prepared statements
    prepare: Literal["auto", "always", "never"] = "never"
    """Which statements of cursors are prepared by themselves: those executed often or with large
    answers, all that can be, or none."""
    prepare_threshold: int = 5
    """With "auto": the execution of a text by which it is prepared, 1 to 1000000."""
    statement_cache_size: int = 100
    """How many of them one connection keeps prepared, 0 to 16382."""

    # Values and rows
    conv: Mapping[Any, Any] | None = None
    cursorclass: type[Any] | None = None
    row_factory: Any = None
    paramstyle: Literal["pyformat", "qmark", "named"] = "pyformat"
    zero_dates: Literal["str", "none", "raise"] = "str"
    time_zone: str | tzinfo | None = None
    """Zone in which datetimes that have one are written, without it: "UTC", "+02:00", a name such
    as "Europe/Vienna", or a tzinfo. None refuses them. The session's own stays as it is."""
    json: bool = False
    """Decode JSON columns to objects; otherwise they are text."""
    max_column_length: int | None = None
    """Longest value of a text, binary or JSON column in bytes, 1 to 1 GiB; None: any."""
    on_long_column: Literal["raise", "null"] = "raise"
    """What a longer one is: DataError, or None."""
    binary_prefix: bool = False
    """Write bytes as _binary'...' in literals."""
    progress: Callable[..., Any] | None = None
    """Called with MariaDB's progress reports."""
    defer_connect: bool = False

    @classmethod
    def from_keywords(cls, dsn: str | None = None, /, **given: Any) -> Options:
        """Build options from what `connect()` was given: a URL, keywords and what option files say.

        dsn: `mysql://user:password@host:port/database?name=value#INITIAL SQL`; see
        `pymy.options.dsn`.
        given: the fields of this class and PyMySQL's and mysqlclient's names for them. A keyword
        overrides the URL, the URL overrides `read_default_file`.
        Raises TypeError for an unknown keyword or a value of the wrong type, ProgrammingError for
        a bad value or URL, NotSupportedError for `named_pipe`. Nothing is connected.
        """
        from .keywords import gather

        return cls(**gather(dsn, given)[0])

    @property
    def where(self) -> str:
        """The server's address, as errors give it."""
        if self.unix_socket is not None:
            return f"socket {self.unix_socket!r}"
        return f"{self.host!r}, port {self.port}"

    def replace(self, **changes: Any) -> Options:
        """Return a copy with some fields changed, checked again.

        An `ssl_mode` that is the default for the present kind of address (PREFERRED for TCP,
        DISABLED for a unix socket) follows when the kind changes and no mode is given.
        """
        if "unix_socket" in changes and "ssl_mode" not in changes:
            mode = default_ssl_mode(changes["unix_socket"])
            if self.ssl_mode is default_ssl_mode(self.unix_socket):
                changes["ssl_mode"] = mode
        return dataclasses.replace(self, **changes)

    def __post_init__(self) -> None:
        from .checks import check

        check(self)

    def __repr__(self) -> str:
        parts = []
        for spec in dataclasses.fields(self):
            value = getattr(self, spec.name)
            default = (
                spec.default_factory()
                if spec.default_factory is not dataclasses.MISSING
                else spec.default
            )
            if value is default or value == default:
                continue
            secret = spec.name in SECRETS or (spec.name == "ssl_key" and "PRIVATE" in str(value))
            parts.append(f"{spec.name}={'***' if secret else repr(value)}")
        return f"Options({', '.join(parts)})"


def default_ssl_mode(unix_socket: str | None) -> SSLMode:
    """Return the mode used when none was asked for: the peer of a unix socket is this machine."""
    return SSLMode.PREFERRED if unix_socket is None else SSLMode.DISABLED


_POSITIONS = ("host", "user", "password", "database", "port", "unix_socket")


def from_call(
    dsn: str | None,
    positional: Sequence[Any],
    named: Mapping[str, Any],
    *,
    elsewhere: bool = False,
) -> Options:
    """Build options from the arguments of `connect()`: a URL, or values by mysqlclient's order.

    elsewhere: what is named is another server's, and so is its option file: its address and login
        are left out.
    """
    values = (dsn, elsewhere, *positional, *named.values())
    types = tuple(map(type, values))
    if not _PLAIN.issuperset(types):
        return _from_call(dsn, positional, named, elsewhere)[0]
    key = (values, types, tuple(named))
    options = _known.get(key)
    if options is None:
        options, lasts = _from_call(dsn, positional, named, elsewhere)
        if lasts:
            if len(_known) >= 8:
                _known.clear()
            _known[key] = options
    return options


# Types whose values stay what they were when they were checked.
_PLAIN = frozenset({str, bytes, int, float, bool, type(None), type, SSLMode})
# A program that connects often asks for the same each time.
_known: dict[tuple[Any, ...], Options] = {}


def _from_call(
    dsn: str | None, positional: Sequence[Any], named: Mapping[str, Any], elsewhere: bool
) -> tuple[Options, bool]:
    from .keywords import gather, without_address

    if elsewhere:
        named = without_address(named)
    if dsn is None or "://" not in dsn:
        if dsn is not None or positional:
            positional = (dsn, *positional)
        dsn = None
    if len(positional) > len(_POSITIONS):
        raise TypeError(f"connect() takes {len(_POSITIONS)} values by position at most")
    given = dict(zip(_POSITIONS, positional, strict=False))
    twice = sorted(given.keys() & named.keys())
    if twice:
        raise TypeError(f"connect() got {twice[0]!r} by position and by keyword")
    gathered, lasts = gather(dsn, {**named, **given}, elsewhere=elsewhere)
    options = Options(**gathered)
    # a URL's mappings are one object, which a program may change
    return options, lasts and not (options.session_variables or options.connection_attributes)


FIELDS = {spec.name: spec for spec in dataclasses.fields(Options)}
