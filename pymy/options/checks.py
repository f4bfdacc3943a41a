"""Type and range of every option, with messages that say what to write instead."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from datetime import tzinfo
from operator import attrgetter
from typing import TYPE_CHECKING

from .. import charset as charsets
from ..constants import CLIENT
from ..times import zone
from .dsn import SWITCHES, bad_option, suggestion

if TYPE_CHECKING:
    from . import Options

_PASSWORDS = ("password", "password2", "password3")
_TIMEOUTS = ("connect_timeout", "read_timeout", "write_timeout", "cancel_timeout")

_Types = tuple[tuple[type, ...], str]  # what a value may be, and that in words
_NONE = type(None)
_TEXT: _Types = ((str,), "text")
_TEXT_OR_NONE: _Types = ((str, _NONE), "text or None")
_INT: _Types = ((int,), "an int")
_SECONDS: _Types = ((int, float, _NONE), "a number of seconds or None")
_PATH: _Types = ((str, os.PathLike, _NONE), "a path")
_MAPPING: _Types = ((Mapping,), "a mapping")
_TYPES: dict[str, _Types] = {
    "user": _TEXT,
    "host": _TEXT,
    "charset": _TEXT,
    "paramstyle": _TEXT,
    "zero_dates": _TEXT,
    "prepare": _TEXT,
    "prepare_threshold": _INT,
    "statement_cache_size": _INT,
    "unix_socket": _TEXT_OR_NONE,
    "database": _TEXT_OR_NONE,
    "bind_address": _TEXT_OR_NONE,
    "collation": _TEXT_OR_NONE,
    "sql_mode": _TEXT_OR_NONE,
    "init_command": _TEXT_OR_NONE,
    "ssl_cipher": _TEXT_OR_NONE,
    "ssl_server_hostname": _TEXT_OR_NONE,
    "program_name": _TEXT_OR_NONE,
    "compress": _TEXT_OR_NONE,
    "time_zone": ((str, tzinfo, _NONE), "the name of a zone, a tzinfo or None"),
    "port": _INT,
    "client_flag": _INT,
    "client_flag_off": _INT,
    "max_allowed_packet": _INT,
    "max_column_length": ((int, _NONE), "a number of bytes or None"),
    "on_long_column": _TEXT,
    **dict.fromkeys(_TIMEOUTS, _SECONDS),
    **dict.fromkeys(SWITCHES, ((bool,), "True or False")),
    "ssl_capath": _PATH,
    "ssl_cert": _PATH,
    "ssl_key": _PATH,
    "ssl_ca": ((str, bytes, os.PathLike, _NONE), "a path, PEM text or DER bytes"),
    "ssl_key_password": ((str, bytes, _NONE), "text or bytes"),
    "server_public_key": ((bytes, _NONE), "PEM bytes"),
    "autocommit": ((bool, _NONE), "True, False or None"),
    "session_variables": _MAPPING,
    "auth_plugin_map": _MAPPING,
    "conv": ((Mapping, _NONE), "a mapping of types to converters"),
    "cursorclass": ((type, _NONE), "a class"),
    "restricted_auth": ((frozenset, _NONE), "a set of plugin names"),
}
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "paramstyle": ("pyformat", "qmark", "named"),
    "zero_dates": ("str", "none", "raise"),
    "on_long_column": ("raise", "null"),
    "on_cancel": ("kill", "drain", "close"),
    "prepare": ("auto", "always", "never"),
    "concurrent": ("queue", "error"),
    "compress": ("zlib", "zstd", None),
}
_OWN_OPTIONS = {
    "names": "charset",
    "character_set_client": "charset",
    "character_set_connection": "charset",
    "character_set_results": "charset",
    "collation_connection": "collation",
    "sql_mode": "sql_mode",
    "autocommit": "autocommit",
}
_LEVELS = {"zlib": 9, "zstd": 22}
_SURROGATE = "has half a surrogate pair, which is no character: it was decoded by another charset"
MAX_TIMEOUT = 31_536_000  # a year, as in PyMySQL
MAX_PACKET = 1 << 30  # the servers' own bound


_values = attrgetter(*_TYPES)


def _type(name: str, value: object, wanted: str) -> TypeError:
    # The value itself may be a secret.
    return TypeError(f"{name} is {wanted}, not {type(value).__name__}")


def _check_types(options: Options) -> None:
    for value, (name, (types, wanted)) in zip(_values(options), _TYPES.items(), strict=True):
        if type(value) not in types and not (
            isinstance(value, types) and not isinstance(value, bool)
        ):
            raise _type(name, value, wanted)
    for name in _PASSWORDS:
        value = getattr(options, name)
        if not callable(value):
            if not isinstance(value, str | bytes):
                raise _type(name, value, "text, bytes or a callable that returns them")
            encode_password(value)
    attributes = options.connection_attributes
    if attributes is not None and attributes is not False and not isinstance(attributes, Mapping):
        raise _type("connection_attributes", attributes, "a mapping, None or False")
    for key, value in (attributes or {}).items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise _type("connection_attributes", value, "a mapping of text to text")
    infile = options.local_infile
    listed = isinstance(infile, Sequence) and not isinstance(infile, str | bytes)
    if not (isinstance(infile, bool) or callable(infile) or listed):
        raise _type("local_infile", infile, "True, False, a handler or a list of folders")


def _check_address(options: Options) -> None:
    if not 1 <= options.port <= 65535:
        raise bad_option(f"port is between 1 and 65535, not {options.port}.")
    if options.unix_socket is None and not options.host:
        raise bad_option("Give host or unix_socket.")
    # A socket of the abstract namespace starts with NUL; in the middle of any name it ends it.
    for name in ("user", "host", "database", "ssl_server_hostname"):
        value = getattr(options, name) or ""
        if "\0" in value:
            raise bad_option(f"{name} has a NUL character.")
        if not _is_unicode(value):
            raise bad_option(f"{name} {_SURROGATE}.")


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def encode_password(value: object) -> bytes:
    """Return a password, or what a password function returned, as it goes to the server.

    ProgrammingError, without the password in it, for what is neither text nor bytes, and for text
    with half a surrogate pair.
    """
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if not isinstance(value, str):
        raise bad_option(
            f"A password is text or bytes, and so is what its function returns; "
            f"not {type(value).__name__}."
        )
    if not _is_unicode(value):
        raise bad_option(f"The password {_SURROGATE}; give it as bytes.")
    return value.encode()


def _check_limits(options: Options) -> None:
    for name in _TIMEOUTS:
        value = getattr(options, name)
        if value is not None and not 0 < value <= MAX_TIMEOUT:
            raise bad_option(
                f"{name} is more than 0 and at most {MAX_TIMEOUT} seconds, "
                f"or None for no limit; not {value}."
            )
    if not 1024 <= options.max_allowed_packet <= MAX_PACKET:
        raise bad_option(f"max_allowed_packet is between 1024 and {MAX_PACKET} bytes.")
    longest = options.max_column_length
    if longest is not None and not 1 <= longest <= MAX_PACKET:
        raise bad_option(f"max_column_length is between 1 and {MAX_PACKET} bytes, or None.")
    if not 1 <= options.prepare_threshold <= 1_000_000:
        raise bad_option("prepare_threshold is between 1 and 1000000.")
    if not 0 <= options.statement_cache_size <= 16382:  # a server's usual max_prepared_stmt_count
        raise bad_option("statement_cache_size is between 0 and 16382 statements.")
    level = options.compress_level
    if level is not None:
        if not isinstance(level, int) or isinstance(level, bool):
            raise _type("compress_level", level, "an int or None")
        if options.compress is None:
            raise bad_option("compress_level needs compress='zlib' or compress='zstd'.")
        if not 1 <= level <= _LEVELS[options.compress]:
            raise bad_option(
                f"compress_level of {options.compress} is 1 to {_LEVELS[options.compress]}."
            )
    if not 0 <= options.client_flag < 1 << 64 or options.client_flag & CLIENT.COMPRESS:
        raise bad_option("client_flag has 64 bits, and compression is the option compress.")


def _check_charset(options: Options) -> None:
    charset = charsets.charset_by_name(options.charset)
    if charset is None:
        raise bad_option(
            f"charset {options.charset!r} is unknown."
            f"{suggestion(options.charset.lower(), charsets.charset_names())}"
        )
    if not charset.for_clients:
        raise bad_option(f"charset {options.charset} cannot carry statements; use utf8mb4.")
    if options.collation is None:
        return
    if not charsets.is_collation_name(options.collation):
        raise bad_option("collation has characters that no collation's name has.")
    known = charsets.collation_by_name(options.collation)
    # An unknown one may be newer than this table: the server decides.
    if known is not None and known.name != charset.name:
        raise bad_option(
            f"collation {options.collation} belongs to charset {known.name}, not {charset.name}."
        )


def check_session_variable(name: object) -> None:
    """Raise ProgrammingError for what is no variable's name, or is an option of its own."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name):
        raise bad_option(f"session_variables: {name!r} is not a variable's name.")
    # pymy would not know of it, and write literals for another charset or mode.
    if option := _OWN_OPTIONS.get(name.lower()):
        raise bad_option(f"session_variables: {name} is set by the option {option}=.")


def _check_session_variables(options: Options) -> None:
    for name, value in options.session_variables.items():
        check_session_variable(name)
        if not isinstance(value, str | int):
            raise _type(f"session_variables[{name!r}]", value, "text or an int")


def _check_tls(options: Options) -> None:
    from . import SSLMode

    if not isinstance(options.ssl_mode, SSLMode):
        raise _type("ssl_mode", options.ssl_mode, "an SSLMode")
    if options.ssl_key is not None and options.ssl_cert is None:
        raise bad_option("ssl_key needs ssl_cert, the certificate it belongs to.")
    if options.ssl_context is not None:
        for name in ("ssl_ca", "ssl_capath", "ssl_cert", "ssl_key", "ssl_cipher"):
            if getattr(options, name) is not None:
                raise bad_option(
                    f"{name} has no effect on an SSL context of your own; load it there."
                )


def _check_row_factory(factory: object) -> None:
    rows = isinstance(factory, type) and (
        issubclass(factory, (tuple, list, Mapping)) or is_dataclass(factory)
    )
    if factory is not None and (rows or not callable(factory)):
        raise TypeError(
            "row_factory is a function that takes the columns and returns what makes a row: "
            "pymy.rows.dict_row, or pymy.rows.dataclass_row(Item)"
        )


def check(options: Options) -> None:
    """Raise TypeError or ProgrammingError for the first option that cannot be used."""
    _check_types(options)
    _check_row_factory(options.row_factory)
    for name, choices in _CHOICES.items():
        if getattr(options, name) not in choices:
            raise bad_option(f"{name} is one of {', '.join(map(repr, choices))}.")
    _check_address(options)
    _check_limits(options)
    _check_charset(options)
    _check_session_variables(options)
    try:
        zone(options.time_zone)
    except ValueError as error:
        raise bad_option(f"time_zone: {error}.") from None
    _check_tls(options)
