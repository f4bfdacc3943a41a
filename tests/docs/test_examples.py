"""The programs of examples/ run on every server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from doc_blocks import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def needs_trio(path: Path) -> None:
    if path.stem.endswith("_trio"):
        pytest.importorskip("trio", reason="trio is not installed")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path, dsn: str) -> None:
    needs_trio(path)
    answer = subprocess.run(
        [sys.executable, "-W", "error", str(path), dsn],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_without_a_server(path: Path) -> None:
    needs_trio(path)
    url = "mysql://app@localhost/shop?unix_socket=/nowhere/sock"
    answer = subprocess.run(
        [sys.executable, str(path), url],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith("Can't connect to MySQL server on socket '/nowhere/sock'")
