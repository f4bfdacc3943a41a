"""Real servers, asked with as little of the protocol as will do: the driver's faults stay out."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import pymy
from pymy.sandbox import SandboxError, Server, cli

pytestmark = pytest.mark.live

SSL, SECURE = 0x800, 0x8000
# PROTOCOL_41, CONNECT_WITH_DB, SECURE_CONNECTION, PLUGIN_AUTH
CLIENT = 0x200 | 0x8 | SECURE | 0x80000
FLAVOURS = os.environ.get("PYMY_TEST_SERVERS", "mariadb,mysql").replace(",", " ").split()


@pytest.fixture(scope="module", params=FLAVOURS)
def server(request):
    with Server(request.param) as server:
        yield server


def packet(sock: socket.socket) -> bytes:
    header = sock.recv(4, socket.MSG_WAITALL)
    size = int.from_bytes(header[:3], "little")
    body = b""
    while len(body) < size:
        body += sock.recv(size - len(body))
    return body


def capabilities(greeting: bytes) -> int:
    after = greeting.index(b"\0", 1) + 1 + 4 + 8 + 1  # version, thread id, scramble, filler
    low, _, _, high = struct.unpack_from("<HBHH", greeting, after)
    return low | high << 16


def log_in(address: str | tuple[str, int]) -> bytes:
    """Log in as root without a password; return the server's answer to it."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as sock:
        sock.settimeout(30)
        sock.connect(address)
        plugin = packet(sock).rstrip(b"\0").rpartition(b"\0")[2]
        body = struct.pack("<IIB23x", CLIENT, 1 << 24, 45)
        body += b"root\0" + b"\0" + b"test\0" + plugin + b"\0"
        sock.sendall(len(body).to_bytes(3, "little") + b"\1" + body)
        answer = packet(sock)
        if (
            answer[:1] == b"\xfe"
        ):  # AuthSwitchRequest: an empty password is an empty answer there too
            sock.sendall(b"\0\0\0\3")
            answer = packet(sock)
        return answer


def test_root_has_a_password_over_tcp_only(server):
    assert log_in(server.unix_socket)[0] == 0
    assert b"Access denied" in log_in((server.host, server.port))
    for ssl_mode in ("preferred", "disabled"):
        with pymy.connect(server.tcp_dsn, ssl_mode=ssl_mode) as conn:
            name, grants = (
                conn.execute("select current_user()").fetchone(),
                conn.execute("show grants").fetchall(),
            )
        assert name == ("root@127.0.0.1",)
        assert any("WITH GRANT OPTION" in grant for (grant,) in grants)


def test_statements_write_and_read_in_one_folder_only(server, tmp_path):
    tmp_path.chmod(0o777)
    with pymy.connect(server.dsn) as conn:
        inside, plugins = server.files / "x", conn.execute("select @@plugin_dir").fetchone()[0]
        conn.execute("select 'a' into dumpfile %s", (str(inside),))
        assert inside.read_text() == "a"
        assert conn.execute("select load_file(%s)", (str(inside),)).fetchone() == (b"a",)
        for outside in (tmp_path / "x", server.datadir / "x", Path(plugins) / "pymy_x.so"):
            with pytest.raises(pymy.Error, match="secure-file-priv"):
                conn.execute("select 'a' into dumpfile %s", (str(outside),))
            assert not outside.exists()
        (tmp_path / "y").write_text("secret")
        assert conn.execute("select load_file(%s)", (str(tmp_path / "y"),)).fetchone() == (None,)


def test_tls_with_the_servers_own_authority(server):
    if server.ca is None:
        pytest.skip(f"{server.flavour} has no TLS a modern client accepts")
    with pymy.connect(server.tcp_dsn, ssl="verify_identity", ssl_ca=server.ca) as conn:
        assert conn.ssl


def test_no_tls_when_not_wanted(server):
    with Server(server.flavour, tls=False) as plain, socket.socket(socket.AF_UNIX) as sock:
        sock.connect(plain.unix_socket)
        assert capabilities(packet(sock)) & SSL == 0
        assert (
            capabilities(b"\n1\0" + b"\0" * 13 + b"\0\x08" + b"\0" * 5) & SSL
        )  # the reading itself


def test_only_this_machine_can_connect(server):
    listening = {
        line.split()[1]
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/{server.pid}/net/{name}").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{server.port:04X}") and line.split()[3] == "0A"
    }
    assert listening == {f"0100007F:{server.port:04X}"}


def test_version_and_family(server):
    assert server.is_mariadb == ("MariaDB" in server.version)
    assert not server.version.startswith("5.5.5-")
    assert int(server.version.split(".")[0]) >= (10 if server.is_mariadb else 5)


def test_a_binary_log_when_asked_for(server):
    with Server(server.flavour, binlog=True) as other:
        assert list(other.datadir.glob("*.000001"))
    assert not list(server.datadir.glob("binlog.*"))


def test_an_unknown_option_shows_the_servers_own_words(server):
    with pytest.raises(SandboxError, match="no-such-thing"):
        Server(server.flavour, options=["--no-such-thing=1"]).start()


@pytest.mark.parametrize("kill", [False, True])
def test_restart(server, kill):
    with Server(server.flavour) as other:
        before = other.pid
        other.restart(kill=kill)
        assert other.pid != before
        pymy.connect(other.tcp_dsn).close()


def test_a_killed_owner_takes_the_server_along(server, project_path, gone):
    code = (
        "import sys, time; from pymy.sandbox import Server; server = Server(sys.argv[1]).start()\n"
        "print(server.pid, server.folder, flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, server.flavour],
        env=project_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        pid, folder = owner.stdout.readline().split()
        assert Path(f"/proc/{pid}").exists() and Path(folder).exists()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert gone(int(pid), Path(folder))


def test_many_at_once(server):
    code = (
        "import sys; from pymy.sandbox import Server\n"
        "with Server(sys.argv[1]) as server: print(server.port)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(next(iter(pymy.__path__))).parent)}
    owners = [
        subprocess.Popen(
            [sys.executable, "-c", code, server.flavour],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    ports = [owner.communicate()[0] for owner in owners]
    assert [owner.returncode for owner in owners] == [0] * 4
    assert len(set(ports)) == 4


def test_the_pytest_fixtures(server, tmp_path, project_path):
    if not hasattr(pymy, "connect"):
        pytest.skip("pymy has no connect() yet")
    (tmp_path / "test_user.py").write_text(
        textwrap.dedent(
            """
            import pymy

            seen = []

            def test_one(pymy_dsn, pymy_server):
                with pymy.connect(pymy_dsn) as connection, connection.cursor() as cursor:
                    cursor.execute("CREATE TABLE t (a INT)")
                seen.append(pymy_dsn)

            def test_two(pymy_dsn):
                with pymy.connect(pymy_dsn) as connection, connection.cursor() as cursor:
                    cursor.execute("SHOW TABLES")
                    assert len(cursor.fetchall()) == 0
                assert pymy_dsn not in seen and len(seen) == 1
            """
        )
    )
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "pymy.sandbox.pytest_plugin", tmp_path],
        env={**project_path, "PYMY_SERVER": server.flavour, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout
    assert "2 passed" in answer.stdout


def test_an_account_and_a_database_of_ones_own(server):
    account, database = "a:s'%:/", "a`shop"
    *_, url = cli.urls(server, account, database)
    with pymy.connect(url) as conn:
        assert conn.execute("select database()").fetchone() == (database,)
        conn.execute("create table t (a int)")
    with pymy.connect(server.dsn) as admin:
        admin.execute("drop database `a``shop`")
        for host in ("localhost", "127.0.0.1", "%"):
            admin.execute("drop user a@%s", (host,))
