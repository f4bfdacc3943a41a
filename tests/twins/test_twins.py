"""Both worlds have the same names, parameters, defaults and first words; the table says where not.

And neither knows the protocol: exchanges are written once, in pymy/protocol/.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import pymy
import pymy.aio
import pymy.aio.transactions
import pymy.cursors
import pymy.transactions

ROOT = Path(pymy.__file__).parent
PAIRS = {
    "Connection": (pymy.Connection, pymy.aio.Connection),
    "Transaction": (pymy.transactions.Transaction, pymy.aio.transactions.Transaction),
    "Statement": (pymy.Statement, pymy.aio.Statement),
    "Pipeline": (pymy.Pipeline, pymy.aio.Pipeline),
    "ValueStream": (pymy.ValueStream, pymy.aio.ValueStream),
    "Cursor": (pymy.cursors.Cursor, pymy.aio.Cursor),
    "DictCursor": (pymy.cursors.DictCursor, pymy.aio.DictCursor),
    "SSCursor": (pymy.cursors.SSCursor, pymy.aio.SSCursor),
    "SSDictCursor": (pymy.cursors.SSDictCursor, pymy.aio.SSDictCursor),
    "FetchCursor": (pymy.cursors.FetchCursor, pymy.aio.FetchCursor),
}
if hasattr(pymy, "Pool") and hasattr(pymy.aio, "Pool"):
    PAIRS["Pool"] = (pymy.Pool, pymy.aio.Pool)

# Names that one world has alone.
ALONE = {
    "Connection.fileno": "the event loop owns the socket",
    "Connection.ensure_closed": "close() cannot say goodbye without awaiting",
    "Connection.closed": "aiomysql's name",
    "Connection.get_transaction_status": "aiomysql's name",
    **{
        f"{cls}.closed": "aiomysql's name"
        for cls in ("Cursor", "DictCursor", "FetchCursor", "SSCursor", "SSDictCursor")
    },
    **{
        f"ValueStream.{name}": "of io.RawIOBase"
        for name in (
            "fileno",
            "flush",
            "isatty",
            "readable",
            "readall",
            "readline",
            "readlines",
            "seek",
            "seekable",
            "tell",
            "truncate",
            "writable",
            "write",
            "writelines",
        )
    },
    "Pool.minsize": "aiomysql's name",
    "Pool.maxsize": "aiomysql's name",
    "Pool.freesize": "aiomysql's name",
    "Pool.wait_closed": "aiomysql's name",
}
# Names whose parameters or first line differ.
DIFFERENT = {
    "ValueStream.closed": "that of io.RawIOBase",
    "Connection.close": "needs no running loop, so it says no goodbye; closing twice is harmless",
    "Pool.connection": "speaks of `async with`",
}
# start_...() of pymy.nonblocking is a way of waiting of its own.
STARTS = re.compile(r"start_\w+")


def public(cls: type) -> dict[str, Any]:
    return {
        name: inspect.getattr_static(cls, name)
        for name in dir(cls)
        if not name.startswith("_") and not STARTS.fullmatch(name)
    }


def first_line(value: Any) -> str:
    return (inspect.getdoc(value) or "").partition("\n")[0]


def parameters(value: Any) -> list[tuple[str, Any, Any]]:
    signature = inspect.signature(getattr(value, "__func__", value))
    return [(each.name, each.kind, each.default) for each in signature.parameters.values()]


@pytest.mark.parametrize("name", PAIRS)
def test_names(name: str) -> None:
    blocking, awaiting = map(public, PAIRS[name])
    alone = {f"{name}.{each}" for each in blocking.keys() ^ awaiting.keys()}
    assert alone == {each for each in ALONE if each.split(".")[0] == name}


@pytest.mark.parametrize("name", PAIRS)
def test_parameters_and_first_lines(name: str) -> None:
    blocking, awaiting = map(public, PAIRS[name])
    differ = []
    for each in sorted(blocking.keys() & awaiting.keys()):
        one, other = blocking[each], awaiting[each]
        if one is other:
            continue
        same = first_line(one) == first_line(other)
        if callable(one):
            same = same and parameters(one) == parameters(other)
        if not same:
            differ.append(f"{name}.{each}")
    assert differ == [each for each in DIFFERENT if each.split(".")[0] == name]


@pytest.mark.parametrize("name", PAIRS)
def test_iterating(name: str) -> None:
    """What pymy iterates over here it does there, and leaves it to no base of Python's own."""
    one, other = PAIRS[name]
    for here, there in [("__iter__", "__aiter__"), ("__next__", "__anext__")]:
        assert hasattr(one, here) == hasattr(other, there)
    assert is_ours(one, "__next__") == is_ours(other, "__anext__")


def is_ours(cls: type, name: str) -> bool:
    owner = next((base for base in cls.__mro__ if name in vars(base)), object)
    return owner.__module__.startswith("pymy.")


@pytest.mark.parametrize("name", PAIRS)
def test_constructors(name: str) -> None:
    one, other = PAIRS[name]
    assert parameters(one.__init__) == parameters(other.__init__)


def test_calls_that_wait_are_awaited() -> None:
    """What talks to the server here is a coroutine there, and the other way round."""
    plain = {
        name
        for name, value in public(pymy.aio.Connection).items()
        if inspect.isfunction(value) and not inspect.iscoroutinefunction(value)
    }
    shared = {name for name in dir(pymy.base.BaseConnection) if not name.startswith("_")}
    assert plain - shared == {
        "abort", "close", "cursor", "execute", "get_transaction_status", "is_alive", "pipeline",
        "stream", "transaction", "xid",
    }  # fmt: skip


# -- no protocol outside of pymy/protocol

SHELLS = [
    *sorted((ROOT / "aio").glob("*.py")),
    *(
        ROOT / f"{name}.py"
        for name in (
            "connections",
            "cursors",
            "pipelines",
            "transactions",
            "values",
            "nonblocking",
            "stepping",
        )
    ),
]
PACKETS = re.compile(
    r"\b(COM_\w+|COMMAND\b|0x(?:00|fb|fc|fd|fe|ff)\b|sequence|lenenc\w*|packet\w*|payload|"
    r"parse_\w+|Handshake\w*|AuthSwitch\w*|struct)\b",
    re.IGNORECASE,
)


def code(text: str) -> str:
    """Drop docstrings and comments, which may name what is sent."""
    text = re.sub(r'"""(?:.|\n)*?"""', "", text)
    return re.sub(r"#.*", "", text)


@pytest.mark.parametrize("path", SHELLS, ids=lambda path: path.stem)
def test_shells_know_no_packets(path: Path) -> None:
    found = {each.group() for each in PACKETS.finditer(code(path.read_text(encoding="utf-8")))}
    assert not found - {"handshake"}  # a module of conversations


def test_the_search_finds_something() -> None:
    text = (ROOT / "protocol" / "query.py").read_text(encoding="utf-8")
    assert {"COM_QUERY", "packet", "parse_ok"} <= set(PACKETS.findall(code(text)))
