"""Django's own tests with pymy and with mysqlclient on the same servers, side by side.

    tox -e django                                  all of it, into docs/compatibility.md
    python tools/django_suite.py --servers mysql --labels basic transactions

Django comes as the source archive of PyPI, which holds its tests. Each driver has a virtual
environment of its own in the user's cache. Fails when a test fails with pymy that does not fail
with mysqlclient on the same server; which those are is found by running both.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from peers import cache_folder, connector_c, runtime_settings  # noqa: E402

from pymy.sandbox import Server  # noqa: E402

LABELS = (
    "backends", "basic", "bulk_create", "datatypes", "db_functions", "expressions", "inspectdb",
    "introspection", "migrations", "model_fields", "queries", "raw_query", "schema",
    "select_for_update", "timezones", "transactions",
)  # fmt: skip

# More than the sandbox gives its servers: the suite makes two thousand tables.
OPTIONS = {
    "mariadb": ("--innodb-buffer-pool-size=256M", "--innodb-log-file-size=128M"),
    "mysql": ("--innodb-buffer-pool-size=256M", "--innodb-redo-log-capacity=256M"),
}

DOCUMENT = ROOT / "docs" / "compatibility.md"
HEAD = "# Compatibility\n\nWhat other people's test suites say of pymy.\n"


@dataclass(frozen=True)
class Driver:
    """What Django's MySQL backend stands on."""

    title: str
    engine: str
    setup: str = ""
    requirements: tuple[str, ...] = ("cryptography",)
    native: bool = False


DRIVERS = {
    "pymy": Driver("`pymy.django`", "pymy.django"),
    "plain": Driver(
        "`install_as_MySQLdb()`",
        "django.db.backends.mysql",
        "import pymy\npymy.install_as_MySQLdb()\n",
    ),
    "mysqlclient": Driver(
        "mysqlclient", "django.db.backends.mysql", requirements=("mysqlclient",), native=True
    ),
}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def folder() -> Path:
    found = cache_folder().parent / "django"
    found.mkdir(parents=True, exist_ok=True)
    return found


def newest_python() -> str:
    """Name the newest Python of the machine: each Django leaves old ones behind."""
    for minor in range(20, sys.version_info[1], -1):
        found = shutil.which(f"python3.{minor}")
        # a shim may stand for a version that is not switched on
        if found and not subprocess.run([found, "-c", ""], capture_output=True).returncode:
            return found
    return sys.executable


def environment(python: str, requirement: str, driver: Driver) -> str:
    """Make a virtual environment with Django and a driver; returns its Python."""
    words = re.sub(r"[^\w.]+", "-", f"{Path(python).name}-{requirement}-{driver.requirements[0]}")
    home = folder() / words.lower()
    inner = home / "bin" / "python"
    if not inner.exists():
        say(f"Making a virtual environment in {home}")
        subprocess.run([python, "-m", "venv", "--clear", home], check=True)
    settings = connector_c(say) if driver.native else {}
    subprocess.run(
        [inner, "-m", "pip", "install", "--quiet", "--upgrade", requirement, "tblib", "tzdata",
         *driver.requirements],
        env={**os.environ, **settings},
        check=True,
    )  # fmt: skip
    return os.fspath(inner)


def ask(python: str, expression: str, module: str) -> str:
    done = subprocess.run(
        [python, "-c", f"import {module}; print({expression})"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def source(python: str, version: str) -> Path:
    """Fetch Django's source archive by pip; returns its folder of tests."""
    home = folder() / f"django-{version}"
    if not home.exists():
        with tempfile.TemporaryDirectory(dir=folder()) as name:
            subprocess.run(
                [python, "-m", "pip", "download", "--quiet", "--no-binary", ":all:", "--no-deps",
                 f"django=={version}", "--dest", name],
                check=True,
            )  # fmt: skip
            (archive,) = Path(name).glob("*.tar.gz")
            with tarfile.open(archive) as tar:
                tar.extractall(name, filter="data")
            (unpacked,) = (path for path in Path(name).iterdir() if path.is_dir())
            unpacked.rename(home)
    return home / "tests"


def settings(driver: Driver, server: Server) -> str:
    def database(name: str) -> dict[str, Any]:
        return {
            "ENGINE": driver.engine,
            "NAME": name,
            "USER": server.user,
            "HOST": server.unix_socket,
            "TEST": {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_general_ci"},
        }

    databases = {"default": database("suite"), "other": database("suite_other")}
    return (
        # Django's own settings for its tests, which change with its versions
        "from test_sqlite import *\n"
        f"DATABASES = {databases!r}\n"
        "TEST_RUNNER = 'django_suite_runner.Recorder'\n"
    )


def run(
    python: str, tests: Path, driver: Driver, server: Server, labels: Sequence[str], parallel: int
) -> dict[str, Any]:
    """Run labels of Django's suite; returns what the runner recorded."""
    with tempfile.TemporaryDirectory() as name:
        record = Path(name) / "record.json"
        (Path(name) / "django_suite_settings.py").write_text(settings(driver, server))
        if driver.setup:
            # not in the settings: some tests start programs with settings of their own
            (Path(name) / "MySQLdb.py").write_text(driver.setup)
        paths = [name, ROOT / "tools", *([ROOT] if not driver.native else [])]
        subprocess.run(
            [python, "runtests.py", "--settings=django_suite_settings", "--noinput",
             f"--parallel={parallel}", *labels],
            cwd=tests,
            env={
                **os.environ,
                **(runtime_settings() if driver.native else {}),
                "PYTHONPATH": os.pathsep.join(map(str, paths)),
                "DJANGO_SUITE_RECORD": str(record),
            },
            stdout=sys.stderr,
            check=False,
        )  # fmt: skip
        if not record.exists():
            raise SystemExit(f"Django's runner came to no result with {driver.title}")
        found: dict[str, Any] = json.loads(record.read_text())
        return found


def only_here(records: dict[str, Any], name: str) -> list[str]:
    """Return the tests that fail with a driver and not with mysqlclient."""
    return sorted({*records[name]["failed"]} - {*records["mysqlclient"]["failed"]})


def section(results: list[dict[str, Any]], labels: Sequence[str]) -> str:
    lines = [
        "## Django",
        "",
        *textwrap.wrap(
            "Django's own tests, from its source archive: "
            + ", ".join(f"`{label}`" for label in labels)
            + ". The drivers run on the same server, one after the other. `expected` are the tests "
            "that Django itself marks as failing; the last column counts those that fail with a "
            "driver and not with mysqlclient.",
            100,
        ),
        "",
        "| Django | server | driver | tests | passed | skipped | expected | failed | only here |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for result in results:
        for name, record in result["records"].items():
            failed = len(record["failed"])
            passed = record["tests"] - record["skipped"] - record["expected"] - failed
            counts = [record["tests"], passed, record["skipped"], record["expected"], failed]
            last = "" if name == "mysqlclient" else str(len(only_here(result["records"], name)))
            title = DRIVERS[name].title
            if name == "mysqlclient":
                title += f" {result['mysqlclient']}"
            lines.append(
                f"| {result['django']} | {result['server']} | {title} | "
                + " | ".join(map(str, counts))
                + f" | {last} |"
            )
    shared = sorted({each for r in results for each in r["records"]["mysqlclient"]["failed"]})
    if shared:
        lines += ["", "With mysqlclient these fail:", ""]
        for each in shared:
            where = [r["server"] for r in results if each in r["records"]["mysqlclient"]["failed"]]
            lines.append(f"- `{each}` ({', '.join(dict.fromkeys(where))})")
    for name in ("pymy", "plain"):
        own: dict[str, list[str]] = {}
        for r in results:
            for each in only_here(r["records"], name) if name in r["records"] else ():
                own.setdefault(each, []).append(f"{r['django']} on {r['server']}")
        if own:
            lines += ["", f"Only with {DRIVERS[name].title}:", ""]
            lines += [f"- `{each}` ({', '.join(where)})" for each, where in own.items()]
    lines += [
        "",
        "`pymy.django` skips one test more: `backends.mysql.test_schema` imports mysqlclient and",
        "compares with its spelling of literals. With `install_as_MySQLdb()` that one fails.",
        "",
        "```console",
        "$ tox -e django",
        "```",
        "",
    ]
    return "\n".join(lines)


def write(text: str) -> None:
    """Put the section into the page, in place of the one that is there."""
    page = DOCUMENT.read_text() if DOCUMENT.exists() else HEAD
    before, _, rest = page.partition("## Django\n")
    behind = re.search(r"^## ", rest, re.MULTILINE)
    after = rest[behind.start() :] if behind else ""
    parts = [before.rstrip("\n") + "\n", text.rstrip("\n") + "\n", after.rstrip("\n") + "\n"]
    DOCUMENT.write_text("\n".join(part for part in parts if part.strip()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--django", nargs="+", default=["django~=5.2.0", "django"])
    parser.add_argument("--servers", nargs="+", default=["mariadb", "mysql"])
    parser.add_argument("--drivers", nargs="+", default=[*DRIVERS], choices=DRIVERS)
    parser.add_argument("--labels", nargs="+", default=[*LABELS])
    # Django copies databases by mysqldump for mysqlclient, which not every machine has
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="into docs/compatibility.md")
    given = parser.parse_args()
    results = []
    for requirement in given.django:
        python = sys.executable if "=" in requirement else newest_python()
        inner = {name: environment(python, requirement, DRIVERS[name]) for name in given.drivers}
        first = next(iter(inner.values()))
        version = ask(first, "django.__version__", "django")
        if any(result["django"] == version for result in results):
            raise SystemExit(
                f"{python} gets no newer Django than {version}: put a newer Python on PATH, or "
                "leave that one out by --django 'django~=5.2.0'"
            )
        tests = source(first, version)
        for flavour in given.servers:
            with Server(flavour, options=OPTIONS.get(flavour, ())) as server:
                server.load_time_zones()
                kind = "MariaDB" if server.is_mariadb else "MySQL"
                title = f"{kind} {re.match(r'[0-9.]+', server.version)[0]}"  # type: ignore[index]
                result: dict[str, Any] = {"django": version, "server": title, "records": {}}
                for name, python_ in inner.items():
                    say(f"Django {version}, {title}, {name}")
                    record = run(
                        python_, tests, DRIVERS[name], server, given.labels, given.parallel
                    )
                    result["records"][name] = record
                    say(json.dumps({**result, "records": {name: record}}))
            if "mysqlclient" in inner:
                result["mysqlclient"] = ask(
                    inner["mysqlclient"], "m.version('mysqlclient')", "importlib.metadata as m"
                )
            results.append(result)
    if "mysqlclient" not in given.drivers:
        return any(record["failed"] for r in results for record in r["records"].values())
    text = section(results, given.labels)
    if given.write:
        write(text)
    print(text)
    return any("pymy" in r["records"] and only_here(r["records"], "pymy") for r in results)


if __name__ == "__main__":
    sys.exit(main())
