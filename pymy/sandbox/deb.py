"""Unpack Debian packages: an ar archive around a tar of files, see deb(5)."""

from __future__ import annotations

import io
import lzma
import os
import posixpath
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import SandboxError

WANTED = (
    "lib/",
    "lib64/",
    "usr/lib/",
    "usr/lib64/",
    "usr/sbin/",
    "usr/share/mysql/",
    "usr/share/mariadb/",
)
UNWANTED = ("/mysql-test/", "/gconv/", "/perl-base/", "/perl/", "/systemd/", "/galera/")


def members(deb: IO[bytes]) -> Iterator[tuple[str, int]]:
    """Walk an ar archive; at each step the file stands at the member's first byte.

    Header: name 16, mtime 12, uid 6, gid 6, mode 8, size 10, magic 2 (`\\x60\\n`); bodies are
        padded to even offsets.
    """
    if deb.read(8) != b"!<arch>\n":
        raise SandboxError("not a Debian package: no ar magic")
    while header := deb.read(60):
        if len(header) < 60 or header[58:] != b"`\n" or not header[48:58].strip().isdigit():
            raise SandboxError("broken Debian package: bad ar header")
        size, start = int(header[48:58]), deb.tell()
        yield header[:16].decode("ascii", "replace").strip().rstrip("/"), size
        deb.seek(start + size + size % 2)


@contextmanager
def data_tar(path: Path) -> Iterator[tarfile.TarFile]:
    with path.open("rb") as deb:
        for name, size in members(deb):
            if name in ("data.tar.xz", "data.tar.gz", "data.tar"):
                content = io.BytesIO(deb.read(size))
                with tarfile.open(fileobj=content, mode="r:*") as tar:
                    yield tar
                return
    # zstd is not in Python's library before 3.14.
    if not shutil.which("dpkg-deb"):
        raise SandboxError(f"{path.name} is packed in a way only dpkg-deb can read: install dpkg")
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE) as dpkg,
        tarfile.open(fileobj=dpkg.stdout, mode="r|") as tar,
    ):
        yield tar
    if dpkg.returncode:
        raise SandboxError(f"dpkg-deb could not read {path.name}")


def unpack(path: Path, prefix: Path, programs: bool = False) -> None:
    """Put the files a running server needs under `prefix`; nothing lands outside it.

    programs: those of /usr/bin, too.
    """
    wanted = (*WANTED, "usr/bin/") if programs else WANTED
    try:
        with data_tar(path) as tar:
            for member in tar:
                extract(tar, member, prefix, wanted)
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise SandboxError(f"{path.name} cannot be unpacked: {error}") from error


def extract(
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    prefix: Path,
    wanted: tuple[str, ...] = WANTED,
) -> None:
    name = posixpath.normpath(member.name)
    if not name.startswith(wanted) or any(part in f"/{name}" for part in UNWANTED):
        return
    if member.isreg():
        write_file(tar, member, prefix, name)
    elif member.issym():
        # Absolute links would lead out of the prefix into the machine's own files.
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
        if not member.linkname.startswith("/") and not inside.startswith(".."):
            place(prefix, name).symlink_to(member.linkname)
    elif member.islnk():
        source = prefix / posixpath.normpath(member.linkname)
        if not source.resolve().is_relative_to(prefix.resolve()):
            raise SandboxError(f"a package links to a file outside its folder: {member.name}")
        os.link(source, place(prefix, name))


def place(prefix: Path, name: str) -> Path:
    """Make room for the file `name` below `prefix`, refusing any other place."""
    target = prefix / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if ".." in Path(name).parts or not target.parent.resolve().is_relative_to(prefix.resolve()):
        raise SandboxError(f"a package holds a file outside its folder: {name}")
    target.unlink(missing_ok=True)
    return target


def write_file(tar: tarfile.TarFile, member: tarfile.TarInfo, prefix: Path, name: str) -> None:
    content = tar.extractfile(member)
    assert content is not None
    target = place(prefix, name)
    with target.open("wb") as out:
        shutil.copyfileobj(content, out, 1 << 20)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)
