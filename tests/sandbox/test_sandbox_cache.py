from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pymy.sandbox import install
from pymy.sandbox.cache import building, cache_dir, locked, make_folder
from pymy.sandbox.errors import SandboxError
from pymy.sandbox.flavours import FLAVOURS, flavour_named


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("PYMY_CACHE", str(tmp_path / "chosen"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_dir() == tmp_path / "chosen"
    monkeypatch.delenv("PYMY_CACHE")
    assert cache_dir() == tmp_path / "xdg" / "pymy"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the XDG specification: to be ignored
    assert cache_dir() == tmp_path / "home" / ".cache" / "pymy"


def test_a_cache_that_cannot_be_made_names_the_way_out(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PYMY_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(SandboxError, match="PYMY_CACHE"):
        make_folder("debs")


def test_an_entry_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "entry"
    with pytest.raises(ZeroDivisionError), building(target) as folder:
        (folder / "half").touch()
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".entry.killed").mkdir()
    with building(target) as folder:
        (folder / "whole").touch()
    assert list(tmp_path.rglob("*")) == [target, target / "whole"]


def test_the_lock_holds_against_other_processes(cache, project_path):
    code = (
        "from pymy.sandbox.cache import locked\n"
        "with locked('entry', lambda text: print(text, flush=True)): print('mine', flush=True)"
    )
    with locked("entry"):
        other = subprocess.Popen(
            [sys.executable, "-c", code], env=project_path, stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "Waiting for another process that prepares entry\n"
    assert other.communicate()[0] == "mine\n"
    assert other.returncode == 0


def test_a_cached_server_needs_no_network(cache, monkeypatch):
    def forbidden(*arguments):
        raise AssertionError("fetched although cached")

    monkeypatch.setattr(install, "fetch_debian", forbidden)
    prefix = cache / "servers" / f"mysql-9.9.9-1-r{install.RECIPE}"
    prefix.mkdir(parents=True)
    (prefix / "pymy.json").write_text('{"version": "9.9.9-1"}')
    (cache / "servers" / "mysql.current").write_text(prefix.name)
    assert install.fetch("mysql") == prefix


def test_refresh_asks_for_the_current_version(cache, monkeypatch):
    versions = iter(("9.7.4-2", "9.7.5-1"))

    def fetch_debian(flavour, progress):
        target = install.target_folder(flavour, next(versions))
        target.mkdir()
        (target / "pymy.json").write_text("{}")
        return target

    monkeypatch.setattr(install, "fetch_debian", fetch_debian)
    first = install.fetch("mysql")
    assert install.fetch("mysql") == first
    second = install.fetch("mysql", refresh=True)
    assert second.name == f"mysql-9.7.5-1-r{install.RECIPE}"
    assert install.fetch("mysql") == second


def test_without_npm_the_way_out_is_named(cache, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SandboxError, match="apt-get install npm"):
        install.fetch("mysql56")


def test_flavours_and_aliases():
    assert flavour_named("mariadb10") is FLAVOURS["mariadb"]
    with pytest.raises(SandboxError, match="mariadb, mariadb11, mysql, mysql56"):
        flavour_named("postgres")


def test_a_program_that_is_no_server_is_refused():
    with pytest.raises(SandboxError, match="does not look like a server"):
        install.installed_program(Path("/bin/echo"))
