"""Standing in for other drivers, for programs and libraries that import them by name."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

_CONSTANTS = ("constants.CLIENT", "constants.CR", "constants.ER", "constants.FIELD_TYPE",
              "constants.FLAG")  # fmt: skip
_SHARED = ("connections", "constants", *_CONSTANTS, "converters", "cursors", "times")

# Every module of theirs that programs import, and the one of pymy that has its names. All at once:
# Python would look for one that is missing here in pymy's folder, and make a second copy of it.
_MYSQLDB = {name: name for name in _SHARED} | {
    "_exceptions": "err",
    "_mysql": "",
    "release": "version",
}
_PYMYSQL = {
    name: name
    for name in (
        *_SHARED, "charset", "constants.COMMAND", "constants.SERVER_STATUS", "err", "optionfile",
        "protocol",
    )
}  # fmt: skip
_AIOMYSQL = {"connection": "aio.connections", "cursors": "aio.cursors", "pool": "aio.pool"}


def _stand_in(name: str, home: str, modules: dict[str, str]) -> None:
    sys.modules[name] = package = _own(home)
    for theirs, ours in modules.items():
        sys.modules[f"{name}.{theirs}"] = module = _own(ours)
        if "." not in theirs:
            vars(package).setdefault(theirs, module)  # as after an import of the submodule


def _own(name: str) -> ModuleType:
    return importlib.import_module(f"{__package__}.{name}" if name else str(__package__))


def install_as_MySQLdb() -> None:
    """Make ``import MySQLdb`` and its submodules give pymy, for programs written for mysqlclient.

    Call it before they are imported. Nothing is sent.
    """
    _stand_in("MySQLdb", "", _MYSQLDB)
    sys.modules["_mysql"] = sys.modules["MySQLdb"]


def install_as_pymysql() -> None:
    """Make ``import pymysql`` and its submodules give pymy, for libraries that import PyMySQL.

    Call it before they are imported. A program of your own needs only ``import pymy as pymysql``.
    Nothing is sent.
    """
    _stand_in("pymysql", "", _PYMYSQL)


def install_as_aiomysql() -> None:
    """Make ``import aiomysql`` give ``pymy.aio``, and ``import pymysql`` give pymy.

    aiomysql stands on PyMySQL, and libraries import its errors from there. Call it before they are
    imported. Nothing is sent.
    """
    install_as_pymysql()
    _stand_in("aiomysql", "aio", _AIOMYSQL)
