"""SQLAlchemy's own suite for dialects, in a pytest of its own: its plugin takes over the whole run.

``make test`` runs it on MariaDB, ``tox -e sqlalchemy,sqlalchemy20`` on every chosen server with the
newest SQLAlchemy and with 2.0. With ``--write-docs`` (and without -n) the totals go into
docs/compatibility.md. What the suite skips, and why, is in suite/requirements.py.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import pymy
from pymy.sandbox import Server

SUITE = Path(__file__).parent / "suite"
PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
EVERYWHERE = os.environ.get("PYMY_TEST_SUITES") == "all"


@pytest.fixture
def suite_url(server: Any, kind: str, url: sa.URL) -> Iterator[sa.URL]:
    """The test's database, and the two further schemas that the suite asks for by name."""
    if not isinstance(server, Server):
        pytest.skip("the suite would use schemas of a given server")
    if kind == "mysql56":
        pytest.skip("SQLAlchemy's suite is written for MySQL 8 and MariaDB 10")
    if not EVERYWHERE and kind != "mariadb":
        pytest.skip("tox -e sqlalchemy runs the suite on every server")
    schemas = ("test_schema", "test_schema_2")
    with pymy.connect(server.dsn) as admin:
        for name in schemas:
            admin.execute(f"create database {name} character set utf8mb4")
        yield url
        for name in schemas:
            admin.execute(f"drop database {name}")


@pytest.mark.parametrize("driver", ["pymy", "pymy_async"])
def test_suite(
    request: pytest.FixtureRequest, server: Any, suite_url: sa.URL, tmp_path: Path, driver: str
) -> None:
    scheme = f"{'mariadb' if server.is_mariadb else 'mysql'}+{driver}"
    url = suite_url.set(drivername=scheme).render_as_string(hide_password=False)
    report = tmp_path / "report.xml"
    # what this pytest was told is not meant for that one
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    options = ["-c", "setup.cfg", "--confcutdir=.", "-q", "--tb=short", "-p", "no:cacheprovider"]
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", "--dburi", url],
        cwd=SUITE,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout[-20000:]
    run = next(ET.parse(report).iter("testsuite"))
    total, skipped = int(run.attrib["tests"]), int(run.attrib["skipped"])
    assert total - skipped > 1000
    if request.config.getoption("--write-docs"):
        write(f"`{scheme}`", title(server), [total - skipped, skipped])


def title(server: Any) -> str:
    version = ".".join(re.findall(r"\d+", server.version)[:2])
    return f"{'MariaDB' if server.is_mariadb else 'MySQL'} {version}"


# -- the section of the page


INTRODUCTION = """\
## SQLAlchemy

SQLAlchemy's suite for dialects that are not its own; no test fails. What is skipped the server
lacks, or SQLAlchemy's code for it: [the reasons](../tests/sqlalchemy/suite/requirements.py).

    tox -e sqlalchemy,sqlalchemy20 -- --write-docs

| dialect | server | SQLAlchemy | passed | skipped |
| --- | --- | --- | --- | --- |
"""


def write(dialect: str, server: str, counts: list[int]) -> None:
    """Put a row into the page's section, in place of an older one of the same kind."""
    release = ".".join(sa.__version__.split(".")[:2])
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Compatibility\n"
    before, _, section = text.partition("## SQLAlchemy\n")
    section, heading, after = section.partition("\n## ")
    rows = {}
    for line in re.findall(r"^\| `.*$", section, re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0], cells[1], cells[2].rpartition(".")[0]] = cells
    rows[dialect, server, release] = [dialect, server, sa.__version__, *map(str, counts)]
    table = "".join(f"| {' | '.join(rows[key])} |\n" for key in sorted(rows))
    page = before.rstrip("\n") + "\n\n" + INTRODUCTION + table + heading + after
    PAGE.write_text(page, encoding="utf-8")
