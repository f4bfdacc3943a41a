"""Which core the client and the server run on, and what keeps a core from falling asleep."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from workloads import Workload

# Runs when nothing else wants the core (SCHED_IDLE), and ends with the process that started it.
SPINNER = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


def cores(workload: Workload) -> tuple[int | None, int | None]:
    """Choose the cores of client and server: two for data, one and the same for round trips.

    Waking up a process on another core costs the one that wakes; on the same core a round trip
    costs each side its own work.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None, None
    available = sorted(os.sched_getaffinity(0))
    client = available[-1]
    return client, client if workload.round_trips else available[0]


def pin(pid: int, core: int | None) -> None:
    """Pin all threads there are; threads made later inherit it from the one that makes them."""
    if core is not None:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), {core})


@contextlib.contextmanager
def kept_awake() -> Iterator[None]:
    """Keep both cores busy with work that yields to any other.

    A virtual machine's idle core goes to sleep, and its waking would be counted as the driver's.
    """
    spinners = []
    try:
        if hasattr(os, "SCHED_IDLE"):
            available = sorted(os.sched_getaffinity(0))
            for core in {available[0], available[-1]}:
                command = [sys.executable, "-c", SPINNER, str(core)]
                spinners.append(subprocess.Popen(command))
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
