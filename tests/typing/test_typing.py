"""A type checker accepts what must pass and reports what must fail, line by line."""

from __future__ import annotations

import inspect
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


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, int]]:
    """Where mypy finds errors, as (file, line)."""
    found = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "mypy",
                "--strict",
                "--no-error-summary",
                "--hide-error-context",
            ),
            *("--cache-dir", tmp_path_factory.mktemp("mypy")),
            *(HERE / "good.py", HERE / "bad.py"),
        ],
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 1, found.stdout + found.stderr
    places = (line.split(":")[:3] for line in found.stdout.splitlines() if ": error: " in line)
    return {(Path(name).name, int(line)) for name, line, *_ in places}


def test_what_must_pass(reported: set[tuple[str, int]]) -> None:
    assert {place for place in reported if place[0] != "bad.py"} == set()


def test_what_must_fail(reported: set[tuple[str, int]]) -> None:
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
