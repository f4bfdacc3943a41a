"""Programs and libraries that others wrote for PyMySQL, mysqlclient or aiomysql.

Each test file is one of them. It is skipped, and says so, where the program is not installed:
``tox -e ecosystem`` installs them all, ``tox -e ecosystem-pony`` one in an environment of its own.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from types import ModuleType
from typing import Any

import pytest

DRIVERS = ("pymysql", "aiomysql", "MySQLdb", "_mysql")


def program(name: str, stand_in: Callable[[], None], distribution: str | None = None) -> Any:
    """Import a program over pymy, or skip the file that asks.

    stand_in: what makes the driver's name give pymy, a program's own first line. The file has it as
        STAND_IN, for what is imported later.
    """
    distribution = distribution or name
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        pytest.skip(
            f"{distribution} is not installed: tox -e ecosystem brings it", allow_module_level=True
        )
    with standing_in(stand_in):
        return importlib.import_module(name)


@contextmanager
def standing_in(stand_in: Callable[[], None]) -> Iterator[None]:
    """Let pymy stand in, and the drivers themselves come back for the tests of other files."""
    theirs = _take_drivers()
    stand_in()
    try:
        yield
    finally:
        _take_drivers()
        sys.modules.update(theirs)


def _take_drivers() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in DRIVERS]
    return {name: sys.modules.pop(name) for name in names}
