"""What the documents show is what happens.

Every Python block runs as it stands, those of a document one after the other. The server of the
documents is reached as ``mysql://app:secret@db.example/shop``; its certificates lie in the working
folder.
"""

from __future__ import annotations

import gc
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from doc_blocks import DOCUMENTS, ROOT, Block, blocks, run

import pymy
from pymy.sandbox import Server

HOST, PORT, DATABASE = "db.example", 3306, "shop"

PYTHON = {
    path: [block for block in blocks(path) if block.language == "python"] for path in DOCUMENTS
}
RUN = [path for path in DOCUMENTS if any(block.reason is None for block in PYTHON[path])]


_STARTS = re.compile(r'\bServer\("(\w+)"')


@pytest.fixture
def shop(server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty database and an account, under the names the documents use."""
    if not isinstance(server, Server):
        pytest.skip("the documents' database and account would replace those of a given server")
    if server.flavour == "mysql56":
        pytest.skip("the documents use JSON and TLS, which MySQL 5.6 lacks")
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **hints: Any) -> Any:
        if (host, port) == (HOST, PORT):
            host, port = server.host, server.port
        return look_up(host, port, *args, **hints)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.chdir(tmp_path)
    for name, path in {
        "ca.pem": server.ca,
        "client.pem": server.client_cert,
        "client.key": server.client_key,
    }.items():
        if path is not None:
            shutil.copy(path, tmp_path / name)
    with pymy.connect(server.dsn) as conn:
        for statement in (
            f"drop database if exists {DATABASE}",
            f"create database {DATABASE}",
            "drop user if exists app",
            "create user app identified by 'secret'",
            "grant all on *.* to app with grant option",
        ):
            conn.execute(statement)
        yield
        for statement in (f"drop database if exists {DATABASE}", "drop user if exists app"):
            conn.execute(statement)


@pytest.fixture
def stand_ins_end() -> Iterator[None]:
    """Give other tests the drivers back for which a document puts pymy."""

    def drivers() -> dict[str, ModuleType]:
        names = {"MySQLdb", "_mysql", "pymysql", "aiomysql"}
        return {name: each for name, each in sys.modules.items() if name.split(".")[0] in names}

    before = drivers()
    yield
    for name in drivers():
        del sys.modules[name]
    sys.modules.update(before)


@pytest.mark.live
@pytest.mark.parametrize("path", RUN, ids=lambda path: path.stem)
def test_python_blocks(
    path: Path, server: Any, shop: None, stand_ins_end: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = {name for block in PYTHON[path] for name in _STARTS.findall(block.text)}
    if started and server.flavour not in started:
        pytest.skip(f"{path.name} starts {', '.join(started)} itself, which was not chosen")
    # A module of its own: dataclasses look theirs up by name.
    document = ModuleType(f"document_{path.stem}")
    monkeypatch.setitem(sys.modules, document.__name__, document)
    namespace = vars(document)
    namespace["pymy"] = pymy
    try:
        for block in PYTHON[path]:
            if block.reason is None:
                run(block, namespace)
    finally:
        for value in list(namespace.values()):
            if isinstance(value, pymy.Connection) and value.open:
                value.close()
        namespace.clear()
        gc.collect()


def test_few_blocks_are_not_run() -> None:
    left_out = [block for path in DOCUMENTS for block in PYTHON[path] if block.reason is not None]
    assert [(block.path.name, block.reason) for block in left_out] == []


def test_readme_starts_with_five_lines() -> None:
    first = next(block for block in blocks(ROOT / "README.md") if block.language == "python")
    assert len(first.text.splitlines()) == 5


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def shell_blocks() -> list[Block]:
    return [
        block
        for path in (*DOCUMENTS, ROOT / "CONTRIBUTING.md")
        for block in blocks(path)
        if block.language in ("console", "sh", "shell", "bash")
    ]


def test_shell_blocks_name_targets_that_exist() -> None:
    named = {
        word
        for block in shell_blocks()
        for line in block.text.splitlines()
        if (command := re.match(r"\$ (?:[A-Z_]+=\S+ )*make\b(.*)", line))
        for word in shlex.split(command[1], comments=True)
        if "=" not in word and not word.startswith("-")
    }
    assert named and named <= targets()


def test_shell_blocks_name_modules_that_exist() -> None:
    from pymy.__main__ import USAGE

    commands = {
        found
        for block in shell_blocks()
        for found in re.findall(r"python -m pymy (\w+)", block.text)
    }
    assert commands and all(f"python -m pymy {command}" in USAGE for command in commands)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        if "://" in link:
            continue
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), f"{path.name} links to {link}"
        if anchor:
            heads = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, f"{path.name} links to {link}"
