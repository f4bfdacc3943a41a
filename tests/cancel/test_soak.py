"""The soak of tools/soak.py, a few hundred cancels long."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "soak.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("soak_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", [1, 2])
def test_a_few_hundred_cancels(tool, server, dsn, seed):
    run = tool.soak(dsn, seconds=60, seed=seed, cancels=400)
    assert run.wrong == []
    assert {name: run.counts[name] for name in tool.NOTHING} == dict.fromkeys(tool.NOTHING, 0)
    assert run.counts["cancelled"] >= 400
    assert run.counts["finished"] > 0
    assert run.counts["inserts reported"] > 0
