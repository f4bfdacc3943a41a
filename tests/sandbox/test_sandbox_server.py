"""The life of a server, shown with a stand-in that takes the same flags."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pymy.sandbox import SandboxError, Server, cli
from pymy.sandbox.process import last_words, tail


def test_a_server_runs_and_leaves_nothing(fake_server, gone):
    with Server("mysql", program=fake_server, tls=False) as server:
        pid, folder = server.pid, server.folder
        assert server.version == "9.9.9-fake"
        assert server.is_running()
        assert stat.S_ISSOCK(Path(server.unix_socket).stat().st_mode)
        assert server.dsn == f"mysql://root@localhost/test?unix_socket={folder}/sock"
        login = f"root:{server.tcp_password}@127.0.0.1:{server.port}"
        assert server.tcp_dsn == f"mysql://{login}/test?allow_public_key_retrieval=true"
        assert server.tcp_dsn_for("a/b").startswith(f"mysql://{login}/a%2Fb?")
        assert server.dsn_for("a/b").startswith("mysql://root@localhost/a%2Fb?")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "init.sql").stat().st_mode) == 0o600
        assert server.tcp_password in (folder / "init.sql").read_text()
        assert server.tcp_password not in repr(server)
        assert server.files.is_dir()
        assert (folder / "data" / "table").exists()
        assert not (folder / "data" / "auto.cnf").exists()
        assert server.ca is server.client_cert is None
        assert not server.is_mariadb
    assert gone(pid, folder)
    assert "ready" in server.log_tail()
    assert not server.is_running()
    with pytest.raises(SandboxError, match="not running"):
        server.dsn  # noqa: B018


def test_our_flags_come_first_and_the_users_win(fake_server):
    with Server(
        "mysql", program=fake_server, port=13001, plugins=["one"], options=["--port=2", "--x"]
    ) as server:
        line = server.log_tail()
    assert line.index("--port=13001") < line.index("--plugin-load-add=one") < line.index("--port=2")
    assert "--bind-address=127.0.0.1" in line
    assert "--no-defaults" in line


def test_every_server_has_a_password_of_its_own_over_tcp():
    passwords = {Server("mysql").tcp_password for _ in range(3)}
    assert len(passwords) == 3 and min(map(len, passwords)) >= 22


def test_start_and_stop_twice_are_harmless(fake_server):
    server = Server("mysql", program=fake_server, tls=False)
    server.stop()
    pid = server.start().pid
    assert server.start().pid == pid
    server.stop()
    server.stop()
    assert "stopped" in repr(server)


def test_no_child_is_left_behind(fake_server):
    server = Server("mysql", program=fake_server, tls=False).start()
    supervisor = server._process._supervisor.pid
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(supervisor, 0)


@pytest.mark.parametrize("kill", [False, True])
def test_restart_keeps_data_port_and_socket(fake_server, kill):
    with Server("mysql", program=fake_server, tls=False) as server:
        before = server.pid, server.dsn, server.tcp_dsn
        (server.datadir / "row").touch()
        server.restart(kill=kill)
        assert (server.dsn, server.tcp_dsn) == before[1:]
        assert server.pid != before[0]
        assert (server.datadir / "row").exists()


def test_a_server_that_dies_is_noticed_and_can_be_restarted(fake_server, eventually):
    with Server("mysql", program=fake_server, tls=False) as server:
        os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not server.is_running())
        assert "ready" in server.log_tail()
        server.restart()
        assert server.is_running()


def test_a_failed_start_shows_the_logs_end(fake_server, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server = Server("mysql", program=fake_server, tls=False, options=["--fail"])
    with pytest.raises(SandboxError) as error:
        server.start()
    text = str(error.value)
    assert text.startswith("MySQL (mysql) did not start")
    assert text.endswith("[ERROR] unknown variable fail")
    assert "line 49" in text and "line 10\n" not in text
    assert "unknown variable" in server.log_tail()
    assert not list(tmp_path.glob("pymy-*"))


def test_a_failed_first_datadir_shows_the_logs_end_and_is_not_cached(fake_server, tmp_path, cache):
    (tmp_path / "refuse-init").touch()
    with pytest.raises(SandboxError, match="no room for a datadir"):
        Server("mysql", program=fake_server).start()
    assert list((cache / "datadirs").iterdir()) == []
    (tmp_path / "refuse-init").unlink()
    with Server("mysql", program=fake_server, tls=False) as server:
        assert server.is_running()


def test_a_silent_server_is_given_up(fake_server, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server = Server(
        "mysql", program=fake_server, tls=False, options=["--silent"], start_timeout=0.1
    )
    with pytest.raises(SandboxError, match=r"did not answer within 0\.1 s"):
        server.start()
    assert not list(tmp_path.glob("pymy-*"))


def test_a_port_lost_to_somebody_else_is_chosen_anew(fake_server):
    with Server("mysql", program=fake_server, tls=False, options=["--busy-port"]) as server:
        assert server.is_running()


def test_a_port_asked_for_is_not_changed(fake_server):
    server = Server("mysql", program=fake_server, tls=False, port=13002, options=["--busy-port"])
    with pytest.raises(SandboxError, match="Address already in use"):
        server.start()


def test_a_long_temporary_folder_does_not_break_the_socket(fake_server, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with Server("mysql", program=fake_server, tls=False) as server:
        assert server.is_running()


# -- no server survives its owner --------------------------------------------------------

OWNER = """
import os, sys, time
from pymy.sandbox import Server
server = Server("mysql", program=sys.argv[1], tls=False).start()
def report():
    print(server.pid, server._process._supervisor.pid, server.folder, flush=True)
"""


def own(
    body: str, program: Path, environment: dict[str, str]
) -> tuple[subprocess.Popen[str], int, int, Path]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER + body, program], env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert owner.stdout is not None
    pid, supervisor, folder = owner.stdout.readline().split()
    assert Path(f"/proc/{pid}").exists() and Path(folder).exists()
    return owner, int(pid), int(supervisor), Path(folder)


ENDINGS = {
    "sleeps": "report(); time.sleep(600)",
    "has-forked": "os.fork() or (sys.stdin.read(), os._exit(0)); report(); time.sleep(600)",
    "started-in-a-thread": """
import threading
server.stop()
thread = threading.Thread(target=server.start); thread.start(); thread.join()
report(); time.sleep(600)
""",
}


@pytest.mark.parametrize("body", ENDINGS.values(), ids=ENDINGS)
def test_a_killed_owner_takes_its_server_along(fake_server, project_path, gone, body):
    owner, pid, _, folder = own(body, fake_server, project_path)
    with owner:
        owner.kill()
        owner.wait()
        assert gone(pid, folder)


def test_a_killed_supervisor_takes_the_server_along(fake_server, project_path, gone):
    body = "report(); sys.stdin.readline(); server.stop(); server.stop()"
    owner, pid, supervisor, folder = own(body, fake_server, project_path)
    with owner:
        os.kill(supervisor, signal.SIGKILL)
        owner.communicate("\n")
        assert owner.returncode == 0
        assert gone(pid, folder)


@pytest.mark.parametrize(
    "ending",
    ["", "sys.exit(3)", "raise SystemExit", "os._exit(0)", "os.abort()", "del server", "1 / 0"],
)
def test_an_owner_that_forgets_to_stop(fake_server, project_path, gone, ending):
    body = f"report(); sys.stdin.readline(); {ending}"
    owner, pid, _, folder = own(body, fake_server, {**project_path, "PYTHONWARNINGS": "error"})
    with owner:
        owner.communicate("\n")
        assert gone(pid, folder)


def test_a_forked_child_does_not_stop_the_parents_server(fake_server):
    with Server("mysql", program=fake_server, tls=False) as server:
        child = os.fork()
        if child == 0:
            try:
                server.stop()
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert server.is_running()


# -- TLS ---------------------------------------------------------------------------------


def test_the_certificates_hold_under_strict_verification(fake_server):
    """A TLS handshake in memory, both sides verifying."""
    with Server("mysql", program=fake_server) as server:
        assert f"--ssl-cert={server.server_cert}" in server.log_tail()
        assert stat.S_IMODE(Path(server.server_key).stat().st_mode) == 0o600
        ours = ssl.create_default_context(cafile=server.ca)
        ours.verify_flags |= ssl.VERIFY_X509_STRICT
        ours.load_cert_chain(server.client_cert, server.client_key)
        theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=server.ca)
        theirs.verify_mode = ssl.CERT_REQUIRED
        theirs.load_cert_chain(server.server_cert, server.server_key)
    for name in ("localhost", "127.0.0.1", "::1"):
        handshake(ours, theirs, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(ours, theirs, "other.example")


def handshake(ours: ssl.SSLContext, theirs: ssl.SSLContext, name: str) -> None:
    down, up = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        ours.wrap_bio(down, up, server_hostname=name),
        theirs.wrap_bio(up, down, server_side=True),
    ]
    while sides:
        for side in list(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                pass


# -- the rest ----------------------------------------------------------------------------


def test_an_early_error_is_not_lost_among_later_lines(tmp_path):
    path = tmp_path / "log"
    path.write_text("[Note] a\n[ERROR] why\n" + "[Note] bye\n" * 40)
    assert last_words(path, 3) == "[ERROR] why\n[Note] bye\n[Note] bye\n[Note] bye"
    path.write_text("[ERROR] why\n")
    assert last_words(path, 3) == "[ERROR] why"


def test_tail_is_short_and_forgiving(tmp_path):
    path = tmp_path / "log"
    assert tail(path) == ""
    path.write_bytes(
        b"x" * 100_000 + b"\n" + b"".join(b"line %d\n" % n for n in range(30)) + b"\xff"
    )
    assert tail(path, 2) == "line 29\n\ufffd"


def test_importing_the_plugin_is_light(project_path):
    """pytest loads it in every run, so it adds itself and nothing more to pymy and pytest."""
    code = (
        "import sys, pymy, pytest; before = set(sys.modules); import pymy.sandbox.pytest_plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], env=project_path, capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["pymy.sandbox", "pymy.sandbox.pytest_plugin"]


def test_importing_the_server_takes_nothing_of_the_driver(project_path):
    code = (
        "import sys, pymy; before = set(sys.modules); from pymy.sandbox import Server;"
        "print(*sorted(set(sys.modules) - before))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], env=project_path, capture_output=True, text=True, check=True
    )
    names = answer.stdout.split()
    assert "pymy.sandbox.server" in names
    assert not [n for n in names if n.startswith("pymy.") and not n.startswith("pymy.sandbox")]
    assert not {"cryptography", "pymysql", "pytest"} & set(names)


def test_the_packages_names():
    from pymy import sandbox

    assert set(sandbox.__all__) <= set(dir(sandbox))
    assert sandbox.fetch.__module__ == "pymy.sandbox.install"
    with pytest.raises(AttributeError, match="no attribute 'Sever'"):
        sandbox.Sever  # noqa: B018


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_command_prints_urls_and_stops_on_a_signal(fake_server, project_path, number, gone):
    code = "import sys; from pymy.sandbox.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "mysql", "--program", fake_server, "--no-tls"]
    with subprocess.Popen(
        command, env=project_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        socket_url, tcp_url = process.stdout.readline(), process.stdout.readline()
        folder = Path(socket_url.strip().partition("unix_socket=")[2]).parent
        assert folder.exists()
        assert re.match(r"mysql://root:[\w-]{22}@127\.0\.0\.1:\d+/test", tcp_url)
        told = [process.stderr.readline() for _ in range(3)]
        pid = int(told[-1].partition("pid ")[2].partition(",")[0])
        assert told[0].startswith("Preparing a database folder for MySQL 9.9.9")
        process.send_signal(number)
        assert process.wait() == 0
        assert gone(pid, folder)


def test_the_command_reports_a_failed_server(fake_server, capsys):
    arguments = ["mysql", "--program", str(fake_server), "--no-tls", "--quiet", "--option=--fail"]
    assert cli.main(arguments) == 1
    assert "unknown variable fail" in capsys.readouterr().err


def test_help_and_wrong_commands(capsys):
    assert cli.main(["--help"]) == 0
    assert "mariadb11" in capsys.readouterr().out
    assert cli.main(["fetch", "--help"]) == 0
    assert "--refresh" in capsys.readouterr().out
    assert cli.main(["oracle"]) == 2
    assert cli.main(["fetch"]) == 2


def test_ports_are_really_free():
    from pymy.sandbox.server import free_port

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free_port()))
