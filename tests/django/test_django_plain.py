"""The plain way: Django's own MySQL backend, served by ``pymy.install_as_MySQLdb()``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pymy.sandbox import Server

HERE = Path(__file__).parent


def test_models_and_transactions(server):
    if not isinstance(server, Server):
        pytest.skip("runs pytest once more, which starts servers of its own")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    tests = [HERE / "test_django_models.py", HERE / "test_django_transactions.py"]
    done = subprocess.run(
        [*command, *map(str, tests)],
        env={
            **{key: value for key, value in os.environ.items() if "XDIST" not in key},
            "PYMY_DJANGO_ENGINE": "django.db.backends.mysql",
            "PYMY_TEST_SERVERS": server.flavour,
        },
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
