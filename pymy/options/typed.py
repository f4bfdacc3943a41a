"""The keywords of ``connect()`` and of pools for type checkers; ``Options`` tells what they mean.

``cursorclass`` and ``row_factory`` stand in the signatures themselves: they decide what a row is.
"""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from . import Certificate, Password, SSLMode, StrPath


class ConnectOptions(TypedDict, total=False):
    """All keywords but those two, with PyMySQL's, mysqlclient's and aiomysql's names for them."""

    # who
    user: str | None
    password: Password | None
    passwd: Password | None
    password2: Password | None
    password3: Password | None

    # where
    host: str | None
    port: int
    unix_socket: str | None
    socket: str | None
    database: str | None
    db: str | None
    bind_address: str | None
    tcp_keepalive: bool
    tcp_nodelay: bool
    connect_timeout: float | None
    read_timeout: float | None
    write_timeout: float | None
    on_cancel: Literal["kill", "drain", "close"]
    cancel_timeout: float
    pipelining: bool
    concurrent: Literal["queue", "error"]

    # the session
    charset: str
    collation: str | None
    use_unicode: bool | None
    sql_mode: str | None
    init_command: str | None
    init_sql: str | None
    session_variables: Mapping[str, str | int]
    autocommit: bool | None

    # TLS
    ssl: bool | str | Mapping[str, Any] | ssl_module.SSLContext | None
    ssl_mode: SSLMode | str
    ssl_context: ssl_module.SSLContext | None
    ssl_ca: Certificate | None
    ssl_capath: StrPath | None
    ssl_cert: StrPath | None
    ssl_key: StrPath | None
    ssl_key_password: str | bytes | None
    ssl_cipher: str | None
    ssl_server_hostname: str | None
    ssl_disabled: bool | None
    ssl_verify_cert: bool | None
    ssl_verify_identity: bool | None

    # login
    allow_cleartext_password: bool
    allow_public_key_retrieval: bool
    server_public_key: str | bytes | StrPath | None
    server_public_key_path: StrPath | None
    permit_expired_password: bool
    auth_plugin: str | None
    auth_plugin_map: Mapping[str, Any] | None
    restricted_auth: Iterable[str] | None

    # the protocol
    client_flag: int
    client_flags: int
    client_flag_off: int
    multi_statements: bool
    client_found_rows: bool
    interactive: bool
    ignore_space: bool
    deprecate_eof: bool
    compress: bool | Literal["zlib", "zstd"] | None
    compress_level: int | None
    local_infile: bool | Callable[[bytes], Any] | Sequence[StrPath]
    max_allowed_packet: int
    program_name: str | None
    connection_attributes: Mapping[str, str] | Literal[False] | None

    # prepared statements
    prepare: Literal["auto", "always", "never"]
    prepare_threshold: int
    statement_cache_size: int

    # values and rows
    conv: Mapping[Any, Any] | None
    cursor_cls: type[Any]
    paramstyle: Literal["pyformat", "qmark", "named"]
    time_zone: str | tzinfo | None
    zero_dates: Literal["str", "none", "raise"]
    json: bool
    max_column_length: int | None
    on_long_column: Literal["raise", "null"]
    binary_prefix: bool
    progress: Callable[..., Any] | None
    defer_connect: bool
    read_default_file: str | None
    read_default_group: str | Sequence[str] | None
    named_pipe: Literal[False] | None
    echo: bool
    loop: Any


class PoolOptions(ConnectOptions, total=False):
    """Those of a pool's connections, and its own; ``pymy.Pool`` tells what they mean."""

    min_size: int
    max_size: int
    max_waiting: int | None
    acquire_timeout: float | None
    idle_order: Literal["lifo", "fifo"]
    idle_timeout: float | None
    max_lifetime: float | None
    max_lifetime_jitter: float
    max_uses: int | None
    validate_after: float | None
    reset_on_release: bool
    retry_interval: float
    retry_queries: int
    leak_timeout: float | None
    on_connect: Callable[[Any], Any] | None
    on_acquire: Callable[[Any], Any] | None
    on_wait: Callable[[], Any] | None
    on_release: Callable[[Any], Any] | None


class CreatePoolOptions(PoolOptions, total=False):
    """... with aiomysql's names for some, as ``pymy.aio.create_pool`` takes them."""

    minsize: int | None
    maxsize: int | None
    pool_recycle: float
