"""The rule that holds the house up: the core does no I/O."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pymy.protocol

FOLDER = Path(pymy.protocol.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
FORBIDDEN = {
    "asyncio", "concurrent", "fcntl", "multiprocessing", "os", "pathlib", "select", "selectors",
    "shutil", "signal", "socket", "socketserver", "ssl", "subprocess", "tempfile", "threading",
    "time", "urllib",
}  # fmt: skip
# Rooms of pymy that do I/O themselves.
FORBIDDEN_ROOMS = {
    "aio", "connections", "cursors", "dialling", "localfiles", "nonblocking", "optionfile", "pool",
    "sandbox", "stepping", "tls", "transport", "waiting",
}  # fmt: skip


def imports(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append(node.module or "")
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found += [each.value for each in node.args if isinstance(each, ast.Constant)]
    return found


def calls(tree: ast.AST) -> set[str]:
    return {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def offences(source: str) -> set[str]:
    tree = ast.parse(source)
    found = {name for name in imports(tree) if name.split(".")[0] in FORBIDDEN}
    found |= {
        name
        for name in imports(tree)
        if name.startswith("pymy.") and name.split(".")[1] in FORBIDDEN_ROOMS
    }
    return found | (calls(tree) & {"open", "input", "print"})


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_the_core_does_no_io(path: Path) -> None:
    assert offences(path.read_text("utf-8")) == set()


@pytest.mark.parametrize(
    "source",
    [
        "import socket", "import os.path", "from time import sleep", "from pymy import transport",
        "def f():\n  import ssl", "open('x')", "importlib.import_module('select')",
        "from pymy.localfiles import LocalFiles",
    ],
)  # fmt: skip
def test_the_rule_sees_offences(source: str) -> None:
    assert offences(source)


def test_all_of_the_core_is_looked_at() -> None:
    assert {"session.py", "framing.py", "query.py"} <= {path.name for path in FILES}
