"""A server of forty lines: the sandbox's own work is tested without a database or a network."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FAKE_SERVER = """\
#!{python} -IS
import os, socket, sys, time
flags = dict(a[2:].partition("=")[::2] for a in sys.argv[1:])
if "version" in flags:
    print("fake  Ver 9.9.9-fake for Linux")
    sys.exit()
if "initialize-insecure" in flags:
    if os.path.exists({folder!r} + "/refuse-init"):
        print("[ERROR] no room for a datadir", file=sys.stderr)
        sys.exit(1)
    open(flags["datadir"] + "/auto.cnf", "w").close()
    open(flags["datadir"] + "/table", "w").close()
    sys.exit()
if "fail" in flags:
    for number in range(50):
        print("[Note] line", number, file=sys.stderr)
    print("[ERROR] unknown variable fail", file=sys.stderr)
    sys.exit(7)
if "busy-port" in flags and not os.path.exists({folder!r} + "/second-try"):
    open({folder!r} + "/second-try", "w").close()
    print("Can't start server: Bind on TCP/IP port: Address already in use", file=sys.stderr)
    sys.exit(1)
if "silent" in flags:
    time.sleep(600)
if os.path.exists(flags["socket"]):
    os.unlink(flags["socket"])
listener = socket.socket(socket.AF_UNIX)
listener.bind(flags["socket"])
listener.listen()
print("ready", sys.argv, file=sys.stderr, flush=True)
while True:
    client = listener.accept()[0]
    client.sendall(b"J\\0\\0\\0\\n5.5.5-9.9.9-fake\\0")
    client.close()
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache that replaces the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("PYMY_CACHE", str(folder))
    return folder


@pytest.fixture
def fake_server(tmp_path: Path, cache: Path) -> Path:
    """Path of a program that takes MySQL's flags and greets like a server."""
    for folder in ("bin", "share/english", "lib/plugin"):
        (tmp_path / folder).mkdir(parents=True)
    program = tmp_path / "bin" / "mysqld"
    program.write_text(FAKE_SERVER.format(python=sys.executable, folder=str(tmp_path)))
    program.chmod(0o755)
    return program


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], bool]:
    def wait(condition: Callable[[], bool]) -> bool:
        """Wait for something other processes do; half a minute only on a machine in trouble."""
        deadline = time.monotonic() + 30
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    return wait


@pytest.fixture
def gone(eventually: Callable[[Callable[[], bool]], bool]) -> Callable[[int, Path], bool]:
    """Wait until a server's process and its folder are no more."""

    def alive(pid: int) -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state not in "ZX"  # a zombie is gone: its new parent has only not looked yet

    return lambda pid, folder: eventually(lambda: not alive(pid) and not folder.exists())


@pytest.fixture
def project_path() -> Iterator[dict[str, str]]:
    """An environment in which a child process imports this pymy."""
    import pymy.sandbox

    root = Path(pymy.sandbox.__file__).parents[2]
    yield {**os.environ, "PYTHONPATH": str(root)}
