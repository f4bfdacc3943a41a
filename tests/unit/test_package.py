"""The package as a whole: what is in it, what it says about itself, what must not be in it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import pymy
from pymy import cursors, rows
from pymy.options import FIELDS

ROOT = Path(__file__).resolve().parent.parent.parent
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(pymy.__path__, "pymy.")
    if module.name != "pymy.__main__"
)
# Made by tools, never tracked; only looked at where git cannot tell.
MADE = {"build", "dist", "__pycache__"}

# The patterns do not match themselves: their dots and groups see to it.
ELSEWHERE = re.compile(
    r"""
      \b (?: pypi | pythonhosted | npmjs | debian | ubuntu | conda ) \. (?: org | net | com | io )
    | \b (?: dev | repo | archive | downloads | mirrors? | cdn ) \. (?: mysql | mariadb ) \. \w+ /
      (?! doc | get )
    | (?<! [\w.~/] ) / (?: root | work | home/\w+ | opt/(?:wheels|pypi) ) (?: / | \b )
    | /\.(?:pyenv)/
    """,
    re.VERBOSE,
)


def tracked() -> list[Path]:
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
        paths = [ROOT / name for name in names.decode().split("\0") if name]
    else:
        paths = [
            path
            for path in ROOT.rglob("*")
            if not any(
                part in MADE or part.endswith(".egg-info") or (part[0] == "." and part != ".ci")
                for part in path.relative_to(ROOT).parts
            )
        ]
    return [path for path in paths if path.is_file()]


def test_no_registry_no_mirror_no_path_of_one_machine() -> None:
    found = []
    for path in tracked():
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if match := ELSEWHERE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]}")
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "https://pypi" + ".org/simple", "deb.debian" + ".org", "registry.npmjs" + ".org",
        "https://downloads.mysql" + ".com/archives/", "/ro" + "ot/x", "cd /wo" + "rk/main",
    ],
)  # fmt: skip
def test_the_patterns_find_what_they_are_for(text: str) -> None:
    assert ELSEWHERE.search(text)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__ or name.startswith("pymy.constants"), f"{name} has no docstring"


def test_importing_pymy_stays_light() -> None:
    """What only some programs need is imported when they need it."""
    code = "import sys, pymy; print(*sorted(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    loaded = set(answer.stdout.split())
    assert "pymy.protocol.session" in loaded, answer.stderr
    heavy = {"pymy.sandbox", "pytest", "asyncio", "cryptography", "zstandard", "subprocess"}
    assert not loaded & heavy


def test_version() -> None:
    assert pymy.VERSION_STRING == pymy.get_client_info() == pymy.__version__
    assert ".".join(map(str, pymy.VERSION[:3])) == pymy.__version__
    assert pymy.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def public(owner: Any) -> dict[str, Any]:
    return {
        f"{owner.__name__}.{name}": value
        for name, value in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_") and value.__module__.startswith("pymy")
    }


PUBLIC = {
    name: value
    for name in pymy.__all__
    if (inspect.isclass(value := getattr(pymy, name)) or inspect.isfunction(value))
    and value.__module__.startswith("pymy")
} | {
    name: value
    for owner in (pymy.Connection, cursors.Cursor, cursors.SSCursor, rows)
    for name, value in public(owner).items()
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_say_what_they_do(name: str) -> None:
    first = (inspect.getdoc(PUBLIC[name]) or "").partition("\n\n")[0]
    assert re.match(r"[A-Z`\"].*\.", first, re.DOTALL), f"{name} needs a docstring: {first!r}"


def test_every_option_is_in_the_manual() -> None:
    manual = (ROOT / "docs" / "connecting.md").read_text(encoding="utf-8")
    assert [name for name in FIELDS if f"`{name}`" not in manual] == []


def test_every_option_of_the_manual_exists() -> None:
    manual = (ROOT / "docs" / "connecting.md").read_text(encoding="utf-8")
    _, _, tables = manual.partition("## Options\n")
    tables, _, _ = tables.partition("## Option files")
    for row in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \*? ?\|", tables, re.MULTILINE):
        named = re.findall(r"`(\w+)`", row)
        modes = {mode.name.lower() for mode in pymy.SSLMode}
        assert [name for name in named if name not in FIELDS and name not in modes] == []


def test_wheel(tmp_path: Path) -> None:
    try:
        found = tuple(map(int, metadata.version("setuptools").split(".")[:2]))
    except metadata.PackageNotFoundError:
        found = (0, 0)
    if found < (70, 1):
        pytest.skip("building needs setuptools 70.1 or later, which the extra `test` brings")
    source = tmp_path / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "pymy", source / "pymy", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps"]
    # Isolation would fetch setuptools anew; the extra "test" brings it.
    command += ["--no-build-isolation", "--no-index", "-w", str(tmp_path), str(source)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr

    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"pymy-{pymy.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "pymy.sandbox.pytest_plugin" in archive.read(entry_points).decode()
    assert "pymy/py.typed" in names
    files = {name.replace(".", "/") for name in MODULES}
    assert {name for name in files if not {f"{name}.py", f"{name}/__init__.py"} & names} == set()
    assert {name.split("/")[0] for name in names} == {"pymy", f"pymy-{pymy.__version__}.dist-info"}
