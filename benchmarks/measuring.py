"""What a child measures: CPU, wall time, memory."""

from __future__ import annotations

import contextlib
import gc
import time
from pathlib import Path

from workloads import Workload

STATUS = Path("/proc/self/status")


class Clock:
    """Takes CPU (user and system, all threads) and wall time, in seconds."""

    def __enter__(self) -> Clock:
        gc.collect()
        self.wall = time.perf_counter()
        self.cpu = time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu = time.process_time() - self.cpu
        self.wall = time.perf_counter() - self.wall


def check(workload: Workload, rows: int) -> None:
    if rows != workload.count:
        raise RuntimeError(f"{workload.name}: {rows} rows instead of {workload.count}")


def check_answer(workload: Workload, row: object) -> None:
    if row is None:
        raise RuntimeError(f"{workload.name}: no row")


def memory(field: str) -> int:
    """Bytes of "VmRSS" (now) or "VmHWM" (peak); 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in STATUS.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0]) * 1024
    return 0
