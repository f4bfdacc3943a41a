"""The process that holds one driver: runs workloads on request and reports what they cost.

Not for use by hand: compare.py starts it, sends one JSON object a line and reads one back.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from drivers import DRIVERS, Driver
from measuring import memory
from workloads import Workload


def runner_for(driver: Driver, address: dict[str, Any]) -> Any:
    # One at a time: asyncio loads the system's OpenSSL, with which mysql-connector, whose wheel
    # brings its own, cannot be loaded any more.
    if driver.floor:
        import floors

        return getattr(floors, driver.floor)(address)
    if driver.asynchronous:
        from awaiting import Awaiting

        return Awaiting(driver, address)
    from blocking import Blocking

    return Blocking(driver, address)


def answer(**values: object) -> None:
    print(json.dumps(values), flush=True)


def main() -> None:
    name, address = sys.argv[1], json.loads(sys.argv[2])
    try:
        runner = runner_for(DRIVERS[name], address)
        # A fresh process inherits its parent's peak; 5 resets it to what it uses now.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        idle = memory("VmRSS")
        answer(ready=True)
        for line in sys.stdin:
            clock = runner.run(Workload(**json.loads(line)))
            answer(cpu=clock.cpu, wall=clock.wall, growth=memory("VmHWM") - idle)
        runner.close()
    except Exception as error:
        answer(error=f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main()
