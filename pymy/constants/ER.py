"""Error numbers of both servers by name, without the ER_ in front, and the way back to the symbol.

The servers share numbers up to about 1880; above, one number means different things. A name that
both have under different numbers (eight do) is here with MySQL's; `number()` finds MariaDB's.
The table is loaded when a name or a symbol is first asked for.

Source: https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
https://mariadb.com/kb/en/mariadb-error-code-reference/
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

ERROR_FIRST = 1000

if TYPE_CHECKING:
    from ._errors import *  # noqa: F403
else:

    def __getattr__(name: str) -> int | list[str]:
        if name == "__all__":
            return __dir__()
        if not name.startswith("_"):
            globals().update(_names())
            if name in globals():
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({"ERROR_FIRST", "number", "symbol", *_names()})


@cache
def _names() -> dict[str, int]:
    from . import _errors

    return {name: value for name, value in vars(_errors).items() if type(value) is int}


@cache
def _tables() -> tuple[dict[int, str], dict[int, str]]:
    from . import _errors

    mysql: dict[int, str] = {}
    for name, errno in _names().items():
        symbol = name if name in _errors._BARE else f"ER_{name}"
        if _errors._MARIADB.get(errno) != symbol:
            mysql[errno] = symbol
    # A number that only one server has means the same wherever it turns up, e.g. behind a proxy.
    return _errors._MARIADB | mysql, mysql | _errors._MARIADB


@cache
def _numbers(mariadb: bool) -> dict[str, int]:
    return {name: errno for errno, name in _tables()[mariadb].items()}


def symbol(errno: int, mariadb: bool = False) -> str:
    """Return the server's symbol of an error number, e.g. "ER_DUP_ENTRY"; "" when it has none."""
    return _tables()[mariadb].get(errno, "")


def number(symbol: str, mariadb: bool = False) -> int:
    """Return the error number of a symbol, with or without ER_; 0 when there is none."""
    numbers = _numbers(mariadb)
    return numbers.get(symbol) or numbers.get(f"ER_{symbol}", 0)
