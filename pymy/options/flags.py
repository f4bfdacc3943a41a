"""The `client_flag` option: numbers as in PyMySQL, or text such as "-FOUND_ROWS,IGNORE_SPACE"."""

from __future__ import annotations

from typing import Any

from ..constants import CLIENT
from .dsn import bad_option, suggestion

# Flags that are options of their own.
_FIELDS = {
    CLIENT.MULTI_STATEMENTS: "multi_statements",
    CLIENT.FOUND_ROWS: "client_found_rows",
    CLIENT.INTERACTIVE: "interactive",
    CLIENT.IGNORE_SPACE: "ignore_space",
}
# Flags that change what bytes mean; they follow from other options, never from client_flag.
_MANAGED = {
    CLIENT.COMPRESS: "compress='zlib'",
    CLIENT.ZSTD_COMPRESSION_ALGORITHM: "compress='zstd'",
    CLIENT.SSL: "ssl_mode",
    CLIENT.LOCAL_FILES: "local_infile",
    CLIENT.CONNECT_WITH_DB: "database",
    CLIENT.CAPABILITY_EXTENSION: "another version",
    CLIENT.COM_MULTI: "another version",
}
_MANAGED_MASK = sum(_MANAGED)
# Without these there is no conversation pymy can have.
_NEEDED = CLIENT.PROTOCOL_41 | CLIENT.SECURE_CONNECTION | CLIENT.PLUGIN_AUTH | CLIENT.LONG_PASSWORD


def parse(text: str) -> tuple[int, int]:
    """Return the bits that a list of names turns on and off; `-NAME` is off, `NAME` and `+NAME` on.

    Raises ProgrammingError for a name that does not exist or that only another option may set.
    """
    on = off = 0
    for word in text.replace("|", ",").split(","):
        word = word.strip().upper()
        name = word.lstrip("+-").removeprefix("CLIENT_")
        if not name:
            continue
        flag = CLIENT.Capability.__members__.get(name)
        if flag is None:
            raise bad_option(
                f"client_flag: there is no flag {name}."
                f"{suggestion(name, CLIENT.Capability.__members__)}"
            )
        if word.startswith("-"):
            if flag & _NEEDED:
                raise bad_option(f"client_flag: pymy cannot work without {name}.")
            off |= flag
        elif flag in _MANAGED:
            raise bad_option(f"client_flag: {name} cannot be set here; see {_MANAGED[flag]}.")
        else:
            on |= flag
    if on & off:
        raise bad_option("client_flag: the same flag is both on and off.")
    return int(on), int(off)


def resolve(options: dict[str, Any]) -> None:
    """Make client_flag, client_flag_off and the options that are flags say the same, in place."""
    given = options.get("client_flag", 0)
    if isinstance(given, str):
        on, off = (int(given, 0), 0) if given.isdigit() else parse(given)
    elif isinstance(given, int):
        on, off = int(given), 0
    else:
        raise TypeError(f"client_flag is an int or text, not {type(given).__name__}")
    if on < 0 or on >= 1 << 64:
        raise bad_option("client_flag has 64 bits.")
    # PyMySQL's users add bits it ignores, so numbers are not as strict as names.
    on &= ~_MANAGED_MASK
    off |= options.get("client_flag_off", 0)
    for bit, name in _FIELDS.items():
        if off & bit:
            options[name] = False
        elif on & bit or options.get(name):
            options[name] = True
            on |= bit
    if off & CLIENT.DEPRECATE_EOF:
        options["deprecate_eof"] = False
    options["client_flag"] = on
    options["client_flag_off"] = off
