"""A short part of Django's own suite; ``tox -e django`` runs more of it, beside mysqlclient."""

from __future__ import annotations

import subprocess
import sys

import django
import pytest
from engine import ENGINE, ROOT

from pymy.sandbox import Server

LABELS = ["basic", "transactions", "backends.mysql", "raw_query"]

pytestmark = pytest.mark.skipif(ENGINE != "pymy.django", reason="runs by itself")


@pytest.fixture(scope="module")
def suite():
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import django_suite
    finally:
        sys.path.remove(str(ROOT / "tools"))
    return django_suite


@pytest.mark.live
@pytest.mark.parametrize("name", ["pymy", "plain"])
def test_part_of_djangos_suite(suite, name):
    try:
        tests = suite.source(sys.executable, django.__version__)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"pip cannot fetch Django's source archive: {error}")
    with Server("mariadb", options=suite.OPTIONS["mariadb"]) as server:
        record = suite.run(sys.executable, tests, suite.DRIVERS[name], server, LABELS, parallel=1)
    # compares with mysqlclient's spelling of literals
    known = {"backends.mysql.test_schema.SchemaEditorTests.test_quote_value"}
    assert {*record["failed"]} <= known and record["tests"] > 200
