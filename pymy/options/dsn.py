"""Options as text: URLs such as `mysql://user:password@host:3306/database?charset=utf8mb4#SQL`.

Schemes are mysql, mariadb, and both with `+pymy`. User, password, host, database, values and the
SQL after `#` are percent-decoded. An IPv6 address stands in brackets. A parameter without a value
is on. A path of several parts is a socket's path with the database last; `?socket=/path` says the
same.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from ..constants import CR
from ..err import ProgrammingError

SCHEMES = frozenset({"mysql", "mariadb", "mysql+pymy", "mariadb+pymy"})

# What a URL and keywords may say instead of a field's name.
ALIASES = {
    "db": "database",
    "passwd": "password",
    "cursor_cls": "cursorclass",
    "socket": "unix_socket",
    "init_sql": "init_command",
    "client_flags": "client_flag",
    "server_public_key_path": "server_public_key",
}

# Options that are True or False.
SWITCHES = (
    "tcp_keepalive",
    "tcp_nodelay",
    "pipelining",
    "use_unicode",
    "allow_cleartext_password",
    "permit_expired_password",
    "allow_public_key_retrieval",
    "multi_statements",
    "client_found_rows",
    "interactive",
    "ignore_space",
    "deprecate_eof",
    "json",
    "binary_prefix",
    "defer_connect",
)

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_NONE = frozenset({"none", "null", "default"})
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def bad_option(message: str) -> ProgrammingError:
    """Return the error of an option that cannot be used."""
    return ProgrammingError(CR.CR_BAD_OPTION, message, sent=False)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean ...?" with the nearest known names, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3)
    return f" Did you mean {' or '.join(close)}?" if close else ""


# Parsers raise ValueError with what was expected; the caller adds which option it was for.


def _text(text: str) -> str:
    return text


def _flag(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("true or false")


def _flag_or_none(text: str) -> bool | None:
    if text.lower() in _NONE:
        return None
    try:
        return _flag(text)
    except ValueError:
        raise ValueError("true, false or none") from None


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError("a whole number")
    return int(text)


def _seconds(text: str) -> float | None:
    if text.lower() in _NONE:
        return None
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text):
        raise ValueError("seconds, such as 2.5, or none")
    return float(text)


def _size(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,12})([kmg]?)b?", text.lower())
    if found is None:
        raise ValueError("bytes, such as 1048576 or 16M")
    return int(found[1]) * _UNITS[found[2]]


def _size_or_none(text: str) -> int | None:
    return None if text.lower() in _NONE else _size(text)


def _mapping(text: str) -> dict[str, Any]:
    if text.startswith("{"):
        try:
            parsed = json.loads(text)
        except ValueError:
            raise ValueError('a JSON object such as {"name": "value"}') from None
        if isinstance(parsed, dict):
            return parsed
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError("name=value pairs with commas between them, or a JSON object")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _attributes(text: str) -> dict[str, Any] | bool:
    return False if text.lower() in _FALSE else _mapping(text)


def _compress(text: str) -> str | bool:
    return text.lower() if text.lower() in {"zlib", "zstd"} else _flag(text)


def _ssl(text: str) -> Any:
    if text.startswith("{"):
        return _mapping(text)
    return _flag(text) if text.lower() in _TRUE | _FALSE else text


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def _folders(text: str) -> bool | list[str]:
    if text.lower() in _TRUE | _FALSE:
        return _flag(text)
    return [folder for folder in text.split(os.pathsep) if folder]


PARSERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(
        [
            "user",
            "password",
            "password2",
            "password3",
            "host",
            "unix_socket",
            "database",
            "bind_address",
            "charset",
            "collation",
            "sql_mode",
            "init_command",
            "ssl_mode",
            "ssl_ca",
            "ssl_capath",
            "ssl_cert",
            "ssl_key",
            "ssl_key_password",
            "ssl_cipher",
            "ssl_server_hostname",
            "server_public_key",
            "program_name",
            "paramstyle",
            "zero_dates",
            "on_long_column",
            "time_zone",
            "prepare",
            "client_flag",
            "read_default_file",
            "read_default_group",
        ],
        _text,
    ),
    **dict.fromkeys(
        [
            *SWITCHES,
            "ssl_disabled",
            "ssl_verify_cert",
            "named_pipe",
            "ssl_verify_identity",
        ],
        _flag,
    ),
    **dict.fromkeys(
        ["port", "compress_level", "prepare_threshold", "statement_cache_size"], _number
    ),
    **dict.fromkeys(
        ["connect_timeout", "read_timeout", "write_timeout", "cancel_timeout"], _seconds
    ),
    "max_allowed_packet": _size,
    "max_column_length": _size_or_none,
    "autocommit": _flag_or_none,
    "session_variables": _mapping,
    "connection_attributes": _attributes,
    "compress": _compress,
    "ssl": _ssl,
    "restricted_auth": _names,
    "local_infile": _folders,
}


def may_stand_alone(name: str) -> bool:
    """Tell whether an option without a value means that it is on."""
    return PARSERS[name] in (_flag, _flag_or_none, _compress, _ssl, _folders)


def parse_text(name: str, text: str, place: str) -> Any:
    """Return the value of an option written as text; `name` is a key of PARSERS.

    place: where it was written, for the message of the ProgrammingError.
    """
    try:
        return PARSERS[name](text)
    except ValueError as error:
        raise bad_option(f"{place}: {name} must be {error}.") from None


def _decode(text: str, what: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise bad_option(f"URL: the {what} is not UTF-8 after percent-decoding.") from None


def _address(authority: str) -> dict[str, Any]:
    """Return host and port of what stands between @ and the path."""
    if authority.startswith("["):
        host, closed, rest = authority[1:].partition("]")
        if not closed:
            raise bad_option("URL: an IPv6 address starts with [ but has no ].")
        if rest and not rest.startswith(":"):
            raise bad_option("URL: after the ] of an IPv6 address only :port may follow.")
        port = rest[1:]
    else:
        host, _, port = authority.partition(":")
        if ":" in port:
            raise bad_option(
                "URL: too many colons before the path. Write an IPv6 address in brackets, and "
                "special characters of user and password as %XX."
            )
    found: dict[str, Any] = {}
    if port:
        # A password with an unescaped / ends up here, so the text is not shown.
        if not re.fullmatch(r"[0-9]{1,5}", port):
            raise bad_option(
                "URL: the port is not a number. Special characters of user and password must be "
                "written as %XX."
            )
        found["port"] = int(port)
    host = _decode(host, "host")
    if host.startswith("/"):
        found["unix_socket"] = host
    elif host:
        found["host"] = host
    return found


def _misplaced_at() -> ProgrammingError:
    # A password with an unescaped /, ? or # goes on here, so nothing of the text is shown.
    return bad_option(
        "URL: there is an @ behind the host's place. Special characters of user and password must "
        "be written as %XX (/ as %2F, ? as %3F, # as %23), and so must an @ that belongs there "
        "(%40)."
    )


def parse_dsn(url: str) -> dict[str, Any]:
    """Return the keywords that a URL stands for.

    Raises ProgrammingError for another scheme, an unknown parameter (with the nearest known ones)
    and a value of the wrong form. The password is in no message.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in SCHEMES:
        # A mistyped URL may have its password here; only what looks like a scheme is shown.
        shown = f", not {scheme}://" if separator and re.fullmatch(r"[\w+.-]{1,30}", scheme) else ""
        raise bad_option(f"A URL starts with mysql:// or mariadb://{shown}.")

    rest, has_sql, sql = rest.partition("#")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    login, at, authority = authority.rpartition("@")

    if "@" in path or "@" in sql:
        raise _misplaced_at()
    found = _address(authority)
    if at:
        user, has_password, password = login.partition(":")
        if user:
            found["user"] = _decode(user, "user")
        if has_password:
            found["password"] = _decode(password, "password")

    socket, _, database = path.rpartition("/")
    if socket:
        if found.get("host", "localhost") not in {"localhost", "127.0.0.1"}:
            raise bad_option(
                "URL: the path is database or socket/database; a socket needs localhost."
            )
        found["unix_socket"] = "/" + _decode(socket, "socket")
    if database:
        found["database"] = _decode(database, "database")
    if has_sql and sql:
        found["init_command"] = _decode(sql, "initial SQL")

    for item in filter(None, query.split("&")):
        key, has_value, text = item.partition("=")
        key = _decode(key, "parameter name")
        if "@" in query and parameter_name(key) not in PARSERS:
            raise _misplaced_at()
        take_parameter(found, key, _decode(text, f"value of {key}") if has_value else None)
    return found


def parameter_name(key: str) -> str:
    """Return the option that a parameter of a URL means, which may not exist."""
    name = key.replace("-", "_")
    return ALIASES.get(name, name)


def take_parameter(found: dict[str, Any], key: str, text: str | None) -> None:
    """Add a URL's parameter to the options found so far; None is a parameter without a value.

    Raises ProgrammingError for an unknown one, one that was found before and a wrong value.
    """
    name = parameter_name(key)
    if name not in PARSERS:
        raise bad_option(f"URL: unknown parameter {key!r}.{suggestion(name, [*PARSERS, *ALIASES])}")
    if name in found:
        raise bad_option(f"URL: {name} is given twice.")
    if text is None and not may_stand_alone(name):
        raise bad_option(f"URL: {name} needs a value.")
    found[name] = parse_text(name, "true" if text is None else text, "URL")
