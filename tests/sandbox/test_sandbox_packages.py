from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import subprocess
import tarfile

import pytest

from pymy.sandbox import deb
from pymy.sandbox.debian import Index, Package, Suite, adopt, parse_package
from pymy.sandbox.errors import SandboxError
from pymy.sandbox.sources import Source


def entry(name: str, version: str = "1.0-1", depends: str = "") -> str:
    return (
        f"Package: {name}\nVersion: {version}\nInstalled-Size: 3\n"
        + (f"Depends: {depends}\n" if depends else "")
        + f"Description: text\n with a line\n .\nFilename: pool/{name}_{version}_amd64.deb\n"
        + f"Size: 7\nSHA256: {hashlib.sha256(b'content').hexdigest()}\n"
    )


INDEX = Index(
    "\n".join(
        (
            entry("server-core-extra"),
            entry(
                "server-core", "2:9.7.4-2", "libone (>= 1.2), libtwo:any | libthree, perl, debconf"
            ),
            entry("libone", depends="libc6 (>= 2.36), liberty-perl, lib-common, zlib1g"),
            entry("libtwo", depends="libone, libvirtual"),
            entry("libthree"),
            entry("libc6"),
            entry("liberty-perl"),
            entry("lib-common"),
            entry("zlib1g"),
            entry("perl"),
        )
    )
)


def test_a_stanza_becomes_a_package():
    package = INDEX.get("server-core")
    assert package is not None
    assert package.version == "2:9.7.4-2"
    assert package.size == 7
    assert package.depends == ("libone", "libtwo", "perl", "debconf")
    assert package.basename == "server-core_2:9.7.4-2_amd64.deb"


def test_a_name_is_not_found_by_its_beginning():
    assert INDEX.get("server") is None


def test_closure_follows_libraries_only():
    names = [package.name for package in INDEX.closure(["server-core"])]
    assert names == ["libc6", "libone", "libtwo", "server-core", "zlib1g"]


def test_a_missing_root_is_an_error():
    with pytest.raises(SandboxError, match="no package other-core"):
        INDEX.closure(["other-core"])


def test_a_broken_stanza_is_named():
    with pytest.raises(SandboxError, match="broken entry for x"):
        parse_package({"package": "x", "version": "1", "filename": "f", "size": "many"})


def package(content: bytes, version: str = "1:1.0-1") -> Package:
    digest = hashlib.sha256(content).hexdigest()
    return Package("libone", version, "pool/libone_1.0-1_amd64.deb", len(content), digest, ())


@pytest.fixture
def folders(tmp_path):
    for name in ("incoming", "debs"):
        (tmp_path / name).mkdir()
    return tmp_path / "incoming", tmp_path / "debs"


def test_a_whole_download_moves_into_the_cache(folders):
    incoming, debs = folders
    (incoming / "libone_1%3a1.0-1_amd64.deb").write_bytes(b"content")
    assert adopt(incoming, package(b"content"), debs)
    assert (debs / "libone_1.0-1_amd64.deb").read_bytes() == b"content"
    assert not any(incoming.iterdir())


@pytest.mark.parametrize("came", [b"CONTENT", b"cont", b"", None])
def test_a_checksum_mismatch_is_refused(folders, came):
    incoming, debs = folders
    if came is not None:
        (incoming / "libone_1%3a1.0-1_amd64.deb").write_bytes(came)
    assert not adopt(incoming, package(b"content"), debs)
    assert not any(debs.iterdir())


# -- a stand-in for apt-get ---------------------------------------------------------------


@pytest.fixture
def apt(tmp_path, cache, monkeypatch):
    """Put a given shell script in apt-get's place and a made-up archive in the machine's."""
    archive = Source("http://mirror.example/debian", ("bookworm",), ("main",))
    monkeypatch.setattr("pymy.sandbox.debian.debian_archive", lambda: archive)
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")

    def write(script: str) -> None:
        for name, text in (("apt-get", script), ("apt-config", "echo \"ARCH='amd64'\"")):
            (tools / name).write_text(f"#!/bin/sh\n{text}\n")
            (tools / name).chmod(0o755)

    return write


def test_an_unreachable_mirror_names_the_command(apt):
    # apt-get update succeeds with a warning when nothing could be fetched.
    apt("echo 'W: Failed to fetch x  Could not resolve host' >&2")
    with (
        Suite("bookworm", "mariadb", lambda text: None) as suite,
        pytest.raises(SandboxError, match="Could not resolve") as error,
    ):
        suite.index()
    assert "apt-get install mariadb-server" in str(error.value)
    assert "python -m pymy sandbox fetch mariadb" in str(error.value)


def test_a_download_is_checked_and_reported(apt, cache):
    apt(
        "echo dlstatus:1:50.1:x; echo dlstatus:1:100:x;"
        "printf content > 'libone_1%3a1.0-1_amd64.deb'"
    )
    said: list[str] = []
    with Suite("bookworm", "mariadb", said.append) as suite:
        (path,) = suite.download([package(b"content")], "libone 1.0-1")
    assert path.read_bytes() == b"content"
    assert said == [
        "Fetching libone 1.0-1 (1 packages, 0 MB) ... 50 %",
        "Fetching libone 1.0-1 (1 packages, 0 MB) ... 100 %",
    ]
    assert [p.name for p in cache.iterdir()] == ["debs"]


def test_a_cached_package_is_not_fetched_again(apt, cache):
    apt("exit 1")
    (cache / "debs").mkdir(parents=True)
    (cache / "debs" / "libone_1.0-1_amd64.deb").write_bytes(b"content")
    with Suite("bookworm", "mariadb", lambda text: None) as suite:
        assert len(suite.download([package(b"content")], "libone")) == 1


def test_an_interrupted_download_is_taken_up(apt, cache):
    apt("exit 1")
    incoming = cache / "debs" / "incoming.mariadb"
    incoming.mkdir(parents=True)
    (incoming / "libone_1%3a1.0-1_amd64.deb").write_bytes(b"content")
    with Suite("bookworm", "mariadb", lambda text: None) as suite:
        (path,) = suite.download([package(b"content")], "libone")
    assert path.read_bytes() == b"content"


def test_a_forged_download_is_thrown_away(apt, cache):
    apt("printf CONTENT > 'libone_1%3a1.0-1_amd64.deb'")
    with (
        Suite("bookworm", "mariadb", lambda text: None) as suite,
        pytest.raises(SandboxError, match="checksum mismatch"),
    ):
        suite.download([package(b"content")], "libone")
    assert list((cache / "debs").iterdir()) == []


# -- packages ------------------------------------------------------------------------------


def make_deb(*files: tuple[tarfile.TarInfo, bytes], compression: str = "xz") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compression}") as tar:
        for info, content in files:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    name = f"data.tar.{compression}"
    parts = (("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd"), (name, data.getvalue()))
    out = b"!<arch>\n"
    for member, content in parts:
        out += f"{member:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        out += content + b"\n" * (len(content) % 2)
    return out


def file(name: str, mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode = mode
    return info


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("compression", ["xz", "gz"])
def test_unpack_keeps_what_a_server_needs(tmp_path, compression):
    path = tmp_path / "one.deb"
    path.write_bytes(
        make_deb(
            (file("./usr/sbin/mysqld", 0o4755), b"program"),
            (file("./usr/lib/x/libone.so.1.2"), b"library"),
            (link("./usr/lib/x/libone.so.1", "libone.so.1.2"), b""),
            (link("./usr/lib/x/same.so", "./usr/lib/x/libone.so.1.2", tarfile.LNKTYPE), b""),
            (link("./usr/lib/x/out.so", "/etc/passwd"), b""),
            (link("./usr/lib/x/up.so", "../../../../etc/passwd"), b""),
            (file("./usr/share/doc/one/README"), b"text"),
            (file("./etc/one.conf"), b"text"),
            compression=compression,
        )
    )
    prefix = tmp_path / "prefix"
    deb.unpack(path, prefix)
    program = prefix / "usr/sbin/mysqld"
    assert program.read_bytes() == b"program"
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    assert (prefix / "usr/lib/x/libone.so.1").read_bytes() == b"library"
    assert (prefix / "usr/lib/x/same.so").read_bytes() == b"library"
    assert sorted(p.name for p in prefix.rglob("*") if not p.is_dir()) == [
        "libone.so.1",
        "libone.so.1.2",
        "mysqld",
        "same.so",
    ]


def test_unpack_refuses_a_path_through_a_link(tmp_path):
    (tmp_path / "prefix" / "usr").mkdir(parents=True)
    (tmp_path / "prefix" / "usr" / "lib").symlink_to(tmp_path)
    path = tmp_path / "one.deb"
    path.write_bytes(make_deb((file("./usr/lib/evil"), b"x")))
    with pytest.raises(SandboxError, match="outside its folder"):
        deb.unpack(path, tmp_path / "prefix")
    assert not (tmp_path / "evil").exists()


def test_unpack_leaves_dotted_names_alone(tmp_path):
    path = tmp_path / "one.deb"
    path.write_bytes(make_deb((file("./usr/lib/../../../evil"), b"x")))
    deb.unpack(path, tmp_path / "prefix")
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("content", [b"", b"nothing like it", b"!<arch>\n" + b"x" * 60])
def test_unpack_refuses_what_is_no_package(tmp_path, content):
    path = tmp_path / "one.deb"
    path.write_bytes(content)
    with pytest.raises(SandboxError):
        deb.unpack(path, tmp_path / "prefix")


def test_unpack_refuses_a_cut_package(tmp_path):
    path = tmp_path / "one.deb"
    whole = make_deb((file("./usr/lib/a"), os.urandom(5000)))
    path.write_bytes(whole[:-3000])
    with pytest.raises(SandboxError):
        deb.unpack(path, tmp_path / "prefix")


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not installed")
def test_a_package_packed_with_zstd_goes_through_dpkg(tmp_path):
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    control = "Package: one\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n"
    (tree / "DEBIAN" / "control").write_text(control)
    (tree / "usr" / "lib").mkdir(parents=True)
    (tree / "usr" / "lib" / "libone.so").write_bytes(b"library")
    path = tmp_path / "one.deb"
    subprocess.run(
        ["dpkg-deb", "-Zzstd", "--build", tree, path], check=True, stdout=subprocess.DEVNULL
    )
    assert b"data.tar.zst" in path.read_bytes()
    deb.unpack(path, tmp_path / "prefix")
    assert (tmp_path / "prefix/usr/lib/libone.so").read_bytes() == b"library"


def test_without_dpkg_such_a_package_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    path = tmp_path / "one.deb"
    path.write_bytes(make_deb((file("./usr/lib/a"), b"x")).replace(b"data.tar.xz", b"data.tar.zz"))
    with pytest.raises(SandboxError, match="install dpkg"):
        deb.unpack(path, tmp_path / "prefix")
