"""A folder of the user's that keeps packages, unpacked servers and datadir templates.

Everything in it can be deleted at any time; it is made again. Several processes may use it at
once: whoever makes an entry holds a lock, builds it under a temporary name and renames it, so an
entry is either whole or absent.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import SandboxError

Progress = Callable[[str], None]


def quiet(text: str) -> None:
    """Say nothing."""


def cache_dir() -> Path:
    """Name the cache folder: `$PYMY_CACHE`, else `$XDG_CACHE_HOME/pymy`, else `~/.cache/pymy`."""
    if chosen := os.environ.get("PYMY_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():
        return Path(base) / "pymy"
    return Path.home() / ".cache" / "pymy"


def make_folder(*parts: str) -> Path:
    folder = cache_dir().joinpath(*parts)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SandboxError(
            f"cannot create the cache folder {folder}: {error.strerror}. "
            "Set PYMY_CACHE to a folder this user can write."
        ) from None
    return folder


@contextmanager
def locked(name: str, progress: Progress = quiet) -> Iterator[None]:
    """Hold the lock `name` of the cache; the kernel frees it when the holder dies."""
    path = make_folder("locks") / f"{name}.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SandboxError(
            f"cannot lock {path}: {error.strerror}. Set PYMY_CACHE to a folder of your own."
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"Waiting for another process that prepares {name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def building(target: Path) -> Iterator[Path]:
    """Give an empty folder that becomes `target` when the block ends well, else vanishes.

    Call it with the entry's lock held: leftovers of a killed builder are removed here.
    """
    for leftover in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield folder
        if target.exists():
            shutil.rmtree(target)
        folder.chmod(0o755)
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_atomically(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(name).replace(path)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
