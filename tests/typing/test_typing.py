"""A type checker accepts what must pass and reports what must fail, line by line."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pymy.aio import create_pool
from pymy.basepool import BasePool
from pymy.options.keywords import KEYWORDS
from pymy.options.typed import ConnectOptions, CreatePoolOptions, PoolOptions

HERE = Path(__file__).parent
IN_SIGNATURES = {"row_factory", "cursorclass"}


FILES = [HERE / "good.py", HERE / "bad.py"]
Places = set[tuple[str, int]]


def run(*command: object) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", *map(str, command), *FILES],
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return ended.stdout


def by_mypy(cache: Path) -> Places:
    lines = run("mypy", "--strict", "--no-error-summary", "--cache-dir", cache).splitlines()
    places = (line.split(":")[:2] for line in lines if ": error: " in line)
    return {(Path(name).name, int(line)) for name, line in places}


def by_pyright(cache: Path) -> Places:
    found = json.loads(run("pyright", "--pythonpath", sys.executable, "--outputjson"))[
        "generalDiagnostics"
    ]
    return {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in found}


@pytest.fixture(scope="module", params=[by_mypy, by_pyright])
def reported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Places:
    """Where a type checker finds errors, as (file, line)."""
    found: Places = request.param(tmp_path_factory.mktemp("cache"))
    return found


def test_what_must_pass(reported: Places) -> None:
    assert {place for place in reported if place[0] != "bad.py"} == set()


def test_what_must_fail(reported: Places) -> None:
    lines = (HERE / "bad.py").read_text(encoding="utf-8").splitlines()
    wanted = {number for number, line in enumerate(lines, 1) if line.endswith("# error")}
    assert wanted
    assert {line for name, line in reported if name == "bad.py"} == wanted


def test_every_keyword_has_a_type() -> None:
    assert set(ConnectOptions.__annotations__) == KEYWORDS - IN_SIGNATURES


@pytest.mark.parametrize(
    ("function", "typed", "beyond"),
    [(BasePool, PoolOptions, ConnectOptions), (create_pool, CreatePoolOptions, PoolOptions)],
)
def test_every_keyword_of_a_pool_has_a_type(function: Any, typed: Any, beyond: Any) -> None:
    named = set(inspect.signature(function).parameters) - {"dsn", "options"}
    assert set(typed.__annotations__) == named | set(beyond.__annotations__)
