"""Standing in for mysqlclient (``import MySQLdb``) and PyMySQL."""

from __future__ import annotations

import importlib
import sys

_SUBMODULES = (
    "connections", "constants", "constants.CLIENT", "constants.CR", "constants.ER",
    "constants.FIELD_TYPE", "constants.FLAG", "converters", "cursors", "times",
)  # fmt: skip


def install_as_MySQLdb() -> None:
    """Make ``import MySQLdb`` and its submodules give pymy, for programs written for mysqlclient.

    Call it before they are imported. Nothing is sent.
    """
    root = __name__.rpartition(".")[0]
    package = sys.modules[root]
    for name in ("MySQLdb", "_mysql", "MySQLdb._mysql"):
        sys.modules[name] = package
    for name in _SUBMODULES:
        sys.modules[f"MySQLdb.{name}"] = importlib.import_module(f"{root}.{name}")
    sys.modules["MySQLdb._exceptions"] = importlib.import_module(f"{root}.err")
