"""A virtual environment with the other drivers, kept in the user's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path

from drivers import DRIVERS, Driver

Progress = Callable[[str], None]

# What pymy itself needs (setup.cfg); pymy is taken from its checkout, not installed.
REQUIREMENTS = ("cryptography",)


def cache_folder() -> Path:
    """Name the folder, by the same rules as pymy.sandbox, which cannot be imported yet."""
    if chosen := os.environ.get("PYMY_CACHE"):
        return Path(chosen).absolute() / "benchmarks"
    base = os.environ.get("XDG_CACHE_HOME")
    caches = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return caches / "pymy" / "benchmarks"


def environment() -> Path:
    return cache_folder() / f"python{sys.version_info[0]}.{sys.version_info[1]}"


def enter_environment(progress: Progress) -> None:
    """Go on as the environment's Python, which is made when there is none."""
    folder = environment()
    if Path(sys.prefix).resolve() == folder.resolve():
        return
    python = folder / "bin" / "python"
    if not python.exists():
        progress(f"Making a virtual environment in {folder}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    os.execv(python, [os.fspath(python), *sys.argv])


def install(drivers: Iterable[Driver], progress: Progress) -> dict[str, str]:
    """Install what is missing; returns for each driver that cannot be had the reason."""
    for requirement in (*REQUIREMENTS, "PyMySQL"):  # PyMySQL also makes the tables
        if version_of(requirement) is None and (reason := pip(requirement, {}, progress)):
            raise SystemExit(f"pip cannot install {requirement}: {reason}")
    missing = {}
    for driver in drivers:
        if driver.requirement is None or version_of(driver.distribution) is not None:
            continue
        settings = connector_c(progress) if driver.needs_connector_c else {}
        if reason := pip(driver.requirement, settings, progress):
            missing[driver.name] = f"not installed: {reason}"
    return missing


def version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def pip(requirement: str, settings: dict[str, str], progress: Progress) -> str:
    """Install; returns "" or pip's own words for why not."""
    progress(f"Installing {requirement}")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", requirement],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if not done.returncode:
        return ""
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    telling = [line for line in lines if "rror:" in line or "not found" in line]
    return (telling or lines or [f"pip failed with status {done.returncode}"])[0][:160]


def connector_c(progress: Progress) -> dict[str, str]:
    """Settings with which mysqlclient and mariadb find MariaDB's C library.

    None are needed where it is installed. Where it is not and the system is Debian's, its packages
    are unpacked into the cache, which needs no root.
    """
    if shutil.which("mariadb_config"):
        return {}
    folder = cache_folder() / "connector-c"
    if not folder.exists():
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            return {}
        progress("Unpacking libmariadb-dev")
        cache_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_folder()) as name:
            work = Path(name)
            done = subprocess.run(
                ["apt-get", "download", "libmariadb-dev", "libmariadb3"],
                cwd=work,
                capture_output=True,
                check=False,
            )
            if done.returncode:
                return {}
            for package in work.glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", package, work / "root"], check=True)
            (work / "root").rename(folder)
    config = folder / "usr" / "bin" / "mariadb_config"
    library = next(folder.glob("usr/lib/*/libmariadb.so")).parent
    include = folder / "usr" / "include" / "mariadb"
    return {
        "MARIADB_CONFIG": os.fspath(config),
        "MYSQLCLIENT_CFLAGS": f"-I{include}",
        "MYSQLCLIENT_LDFLAGS": f"-L{library} -lmariadb",
        "LDFLAGS": f"-Wl,-rpath,{library}",
        # built against this library, so neither taken from nor left in pip's cache
        "PIP_NO_CACHE_DIR": "1",
    }


def runtime_settings() -> dict[str, str]:
    """Settings for a child: where an unpacked C library keeps its authentication plugins."""
    for plugins in cache_folder().glob("connector-c/usr/lib/*/libmariadb3/plugin"):
        return {"MARIADB_PLUGIN_DIR": os.fspath(plugins)}
    return {}


def versions(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        if name in DRIVERS and (version := version_of(DRIVERS[name].distribution)):
            found[name] = version
    return found
