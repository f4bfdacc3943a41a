"""The process between an owner and its server: when the owner goes, so does the server.

Run by path with the standard library only (`python -I -S supervisor.py SPEC`), so that it starts
in some ten milliseconds. SPEC is
JSON: argv, stdin, log, folder, owner, grace, env. On its standard input it takes `start`, `stop`
    (SIGTERM, SIGKILL after `grace` seconds) and `kill`; end of file means the owner is gone or
    done: the server is killed and the folder removed, there is nothing in it to save. On its
    standard output it says `pid N` and `exit N`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """In the server, before exec: have the kernel kill it when this supervisor dies."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def tell(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(1, text.encode())


class Supervisor:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.server: subprocess.Popen[bytes] | None = None
        self.deadline = float("inf")

    def start(self) -> None:
        if self.server:
            return
        stdin = Path(self.spec.get("stdin") or os.devnull)
        log_file = Path(self.spec["log"])
        try:
            with stdin.open("rb") as source, log_file.open("ab") as log:
                self.server = subprocess.Popen(
                    self.spec["argv"],
                    stdin=source,
                    stdout=log,
                    stderr=log,
                    env=self.spec["env"],
                    preexec_fn=die_with_parent,
                )
        except OSError as error:
            with log_file.open("a") as log_text:
                log_text.write(f"{self.spec['argv'][0]}: {error.strerror}\n")
            tell("exit 127\n")
        else:
            tell(f"pid {self.server.pid}\n")

    def stop(self, number: signal.Signals) -> None:
        if self.server:
            self.server.send_signal(number)
            self.deadline = time.monotonic() + self.spec["grace"]

    def reap(self) -> None:
        if self.server and self.server.poll() is not None:
            tell(f"exit {self.server.returncode}\n")
            self.server, self.deadline = None, float("inf")

    def serve(self) -> None:
        wake, waker = os.pipe()
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        asked_to_go = False

        def note(number: int, frame: object) -> None:
            nonlocal asked_to_go
            asked_to_go = asked_to_go or number == signal.SIGTERM

        signal.signal(signal.SIGCHLD, note)
        signal.signal(signal.SIGTERM, note)
        pending = b""
        while not asked_to_go:
            # A child that the owner forked may hold a copy of the pipe, so look at the parent as
            # well.
            ready = select.select([0, wake], [], [], 0.5)[0]
            if os.getppid() != self.spec["owner"]:
                return
            if wake in ready:
                os.read(wake, 512)
            self.reap()
            if time.monotonic() > self.deadline:
                self.stop(signal.SIGKILL)
            if 0 in ready:
                piece = os.read(0, 512)
                if not piece:
                    return
                *words, pending = (pending + piece).split(b"\n")
                for word in words:
                    if word == b"start":
                        self.start()
                    elif word in (b"stop", b"kill"):
                        self.stop(signal.SIGTERM if word == b"stop" else signal.SIGKILL)

    def clean_up(self) -> None:
        if self.server:
            self.server.kill()
            self.server.wait()
        if folder := self.spec.get("folder"):
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    supervisor = Supervisor(json.loads(sys.argv[1]))
    try:
        supervisor.serve()
    finally:
        supervisor.clean_up()


if __name__ == "__main__":
    main()
