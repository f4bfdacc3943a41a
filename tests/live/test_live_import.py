"""`python -m pymy import`, run as a program."""

from __future__ import annotations

import gzip
import io
import os
import pty
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

import pymy
from pymy import importing
from pymy.__main__ import main
from pymy.protocol.scripts import ScriptResult

SCRIPT = """create table t (a int);
insert into t values (1), (2);
select 1; delimiter //
select 1; select 2//"""


def run(*arguments, stdin=None, **options):
    return subprocess.run(
        [sys.executable, "-m", "pymy", "import", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=60,
        **options,
    )


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.sql"
    path.write_text(SCRIPT)
    return path


def rows(dsn):
    with pymy.connect(dsn) as conn:
        return conn.execute("select a from t").fetchall()


def test_a_file(dsn, script):
    done = run(script, "--dsn", dsn)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.startswith(b"script.sql: 4 statements, 2 rows, 0 warnings, ")
    assert rows(dsn) == ((1,), (2,))  # committed, as by the servers' own programs


def test_a_gzip_file_and_standard_input(dsn, tmp_path):
    path = tmp_path / "any.name"
    path.write_bytes(gzip.compress(b"create table t (a int);"))
    assert run(path, "--dsn", dsn, "--quiet").stderr == b""
    for content in (b"insert into t values (1)", gzip.compress(b"insert into t values (2)")):
        done = run("-", "--dsn", dsn, stdin=content)
        assert done.stderr.startswith(b"stdin: 1 statements, 1 rows")
        assert done.returncode == 0
    assert rows(dsn) == ((1,), (2,))


def test_an_option_file(server, dsn, db, script, tmp_path):
    where = urlsplit(dsn)
    options = tmp_path / "my.cnf"
    options.write_text(
        f"[client]\nuser={server.user}\nsocket={server.unix_socket}\n"
        if getattr(server, "unix_socket", None)
        else f"[client]\nuser={where.username}\npassword={where.password}\nhost={where.hostname}\n"
        f"port={where.port or 3306}\n"
    )
    done = run(script, "--defaults-file", options, "--database", db)
    assert done.returncode == 0, done.stderr
    assert rows(dsn) == ((1,), (2,))


def test_failures(dsn, script, tmp_path):
    assert run(script, "--dsn", dsn).returncode == 0
    done = run(script, "--dsn", dsn)
    assert done.returncode == 1
    assert b"script.sql: error 1050: " in done.stderr
    assert b"(in line 1 of the script: create table t (a int))" in done.stderr
    assert b"Traceback" not in done.stderr
    packed = tmp_path / "cut.gz"
    packed.write_bytes(gzip.compress(b"select 1;" * 1000)[:-9])
    for arguments, status, said in (
        (("/nowhere.sql", "--dsn", dsn), 1, b"No such file"),
        ((tmp_path, "--dsn", dsn), 1, b"Is a directory"),
        ((packed, "--dsn", dsn), 1, b"cut.gz: "),
        ((script, "--socket", "/nowhere"), 1, b"error 2002"),
        ((script, "--dsn", "http://x"), 2, b"http"),
        ((script, "--dsn", dsn, "--port", "x"), 2, b"--port"),
        ((script, "--dsn", dsn, "--password=secret"), 2, b"--password"),
        ((), 2, b"FILE"),
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (status, b""), done
        assert said in done.stderr and b"Traceback" not in done.stderr


def test_local_files_only_from_folders_that_are_named(dsn, tmp_path):
    (tmp_path / "rows").write_text("1\n2\n")
    script = (
        "create table if not exists t (a int);"
        f"load data local infile '{tmp_path}/rows' into table t"
    )
    assert run("-", "--dsn", dsn, stdin=script.encode()).returncode == 1
    assert run("-", "--dsn", dsn, "--local-infile", tmp_path, stdin=script.encode()).returncode == 0
    assert rows(dsn) == ((1,), (2,))


def test_ctrl_c(dsn, running):
    with subprocess.Popen(
        [sys.executable, "-m", "pymy", "import", "-", "--dsn", dsn],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(b"select sleep(60) /* import_ctrl_c */")
        process.stdin.close()
        deadline = time.monotonic() + 30
        while not running("import_ctrl_c") and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert b"interrupted" in said and b"Traceback" not in said


def test_on_a_terminal(account, server, db, dsn, script):
    """The password is asked for on the terminal, and a bar is drawn there."""
    user = account("by 'secret'")
    where = ["--socket", server.unix_socket, "--user", user, "--database", db, "--password"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "pymy", "import", str(script), *where])
    said = b""
    try:
        while b"Password:" not in said:
            said += os.read(terminal, 1000)
        os.write(terminal, b"secret\n")
        while b"4 statements" not in said:
            said += os.read(terminal, 1000)
    finally:
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, said
    assert b"secret" not in said


def test_the_bar(tmp_path, monkeypatch):
    path = tmp_path / "dump.sql"
    path.write_bytes(b"x" * 1000)
    monkeypatch.setattr(importing, "REFRESH", 0)
    out = io.StringIO()
    with path.open("rb") as file:
        bar = importing.Bar("dump.sql", file, out)
        file.read(500)
        bar(ScriptResult(statements=3, size=500_000))
        bar(ScriptResult(statements=4, size=4))
        bar.end(ScriptResult(4, 3, 2, 4))
    first, second, cleared, last = out.getvalue().split("\r")[1:]
    assert first == "dump.sql [###############               ]  50% 0.5 MB, 3 statements"
    assert len(second) == len(first) == len(cleared)
    assert last.startswith("dump.sql: 4 statements, 3 rows, 2 warnings, ")


def test_help(capsys):
    assert main(["import", "--help"]) == 0
    assert "--defaults-file" in capsys.readouterr().out
