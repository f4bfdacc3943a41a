"""The owner's end of a supervised process."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

from .errors import SandboxError

SUPERVISOR = Path(__file__).with_name("supervisor.py")

# The host's library search path and server settings must not leak into a server that brings its
# own.
PRIVATE = ("LD_LIBRARY_PATH", "LD_PRELOAD", "MYSQL_", "MARIADB_", "NOTIFY_SOCKET", "LISTEN_")


def environment() -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(PRIVATE)}
    return {**kept, "LC_ALL": "C"}


class Process:
    """Run a program under a supervisor that does not let it outlive this process.

    Nothing runs before start(); from the beginning, though, the supervisor will remove `folder` at
    the end, however that comes.
    """

    _running: weakref.WeakSet[Process] = weakref.WeakSet()

    def __init__(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        stdin: Path | None = None,
        folder: Path | None = None,
        grace: float = 10.0,
    ) -> None:
        self.log = log
        self.pid: int | None = None
        self.exit_code: int | None = None
        self._pending = b""
        self._lock = threading.RLock()
        spec = {
            "argv": [os.fspath(part) for part in argv],
            "stdin": stdin and os.fspath(stdin),
            "log": os.fspath(log),
            "folder": folder and os.fspath(folder),
            "owner": os.getpid(),
            "grace": grace,
            "env": environment(),
        }
        # A session of its own: Ctrl-C in the owner's terminal must reach the owner only.
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", SUPERVISOR, json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
            cwd="/",
        )
        self._running.add(self)
        self._finalizer = weakref.finalize(self, _release, self._supervisor, os.getpid(), folder)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} pid={self.pid} exit_code={self.exit_code}>"

    def poll(self, timeout: float = 0.0) -> bool:
        """Hear the supervisor for up to `timeout` seconds; True while the program runs."""
        with self._lock:
            pipe = self._supervisor.stdout
            if self.exit_code is not None or pipe is None or pipe.closed:
                return False
            ready = select.poll()  # select.select() cannot take descriptors above 1023
            ready.register(pipe, select.POLLIN)
            if ready.poll(timeout * 1000):
                piece = os.read(pipe.fileno(), 512)
                if not piece:
                    self.exit_code = -9
                *lines, self._pending = (self._pending + piece).split(b"\n")
                for line in lines:
                    word, _, number = line.partition(b" ")
                    if word == b"pid":
                        self.pid, self.exit_code = int(number), None
                    elif word == b"exit":
                        self.exit_code = int(number)
            return self.exit_code is None

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the program to end; True when it has."""
        deadline = time.monotonic() + timeout
        while self.poll(max(0.0, min(1.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                return False
        return True

    def send(self, word: str) -> None:
        pipe = self._supervisor.stdin
        if pipe is None or pipe.closed:
            raise SandboxError("this process was stopped, or belongs to the parent of this fork")
        try:
            pipe.write(word.encode() + b"\n")
        except BrokenPipeError:
            self.exit_code = -9

    def start(self) -> None:
        with self._lock:
            self.pid = self.exit_code = None
            self.send("start")

    def close(self) -> None:
        """Kill the program and wait for it and its supervisor; in a forked child only let go."""
        with self._lock:
            self._finalizer()
            self._running.discard(self)
            if self.exit_code is None:
                self.exit_code = -9

    @classmethod
    def _after_fork(cls) -> None:
        for process in list(cls._running):
            process._finalizer.detach()
            process._lock = threading.RLock()
            _let_go(process._supervisor)
            # Not this process's child: Popen must neither wait for it nor complain about it.
            process._supervisor.returncode = 0
        cls._running.clear()


def _let_go(supervisor: subprocess.Popen[bytes]) -> None:
    for pipe in (supervisor.stdin, supervisor.stdout):
        if pipe:
            pipe.close()


def _release(supervisor: subprocess.Popen[bytes], owner: int, folder: Path | None) -> None:
    _let_go(supervisor)
    if os.getpid() == owner:
        try:
            supervisor.wait(30)
        except subprocess.TimeoutExpired:  # the kernel takes the server down with it
            supervisor.kill()
            supervisor.wait()
        if folder:  # still there when the supervisor itself was killed
            shutil.rmtree(folder, ignore_errors=True)


os.register_at_fork(after_in_child=Process._after_fork)


def tail(path: Path, lines: int = 20) -> str:
    """Read the last lines of a log, at most 64 KiB of them."""
    return "\n".join(_read_end(path)[-lines:])


def last_words(path: Path, lines: int = 20) -> str:
    """Read a failed server's last lines, errors from before them included.

    MySQL 5.6 goes on with forty lines about an orderly shutdown after the one that matters.
    """
    every = _read_end(path)
    errors = [line for line in every[:-lines] if "[ERROR]" in line]
    return "\n".join([*errors[-5:], *every[-lines:]])


def _read_end(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 65536))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
