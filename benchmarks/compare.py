"""Compare pymy with the other drivers: one command, tables out. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import peers
import report
from cores import cores, kept_awake, pin
from drivers import DRIVERS, Driver
from workloads import WORKLOADS, Workload, scaled, setup_statements

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Seconds for one run of one workload; a driver that takes longer is left out of that line.
PATIENCE = 300


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Compare pymy's client CPU, wall time and memory with other drivers."
    )
    parser.add_argument(
        "--server",
        action="append",
        choices=("mariadb", "mariadb11", "mysql", "mysql56"),
        help="server to measure against, can be given again (default: mariadb)",
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="measured rounds, the minimum counts (default: 5)"
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="WORKLOAD",
        choices=tuple(WORKLOADS),
        help=f"workload to run, can be given again: {', '.join(WORKLOADS)}",
    )
    parser.add_argument(
        "--driver",
        action="append",
        choices=tuple(DRIVERS),
        help=f"driver to run, can be given again: {', '.join(DRIVERS)}",
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, two rounds")
    parser.add_argument(
        "--checkout",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="measure another checkout of pymy too, such as before=../pymy-before",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement")
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="write the tables; between the marks compare.py:begin and :end if FILE has them",
    )
    chosen = parser.parse_args()
    chosen.server = chosen.server or ["mariadb"]
    return chosen


class Child:
    """One driver in a process of its own, for one workload."""

    def __init__(self, driver: str, path: Path, address: dict[str, Any], core: int | None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, HERE / "child.py", driver, json.dumps(address)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **peers.runtime_settings(), "PYTHONPATH": os.fspath(path)},
        )
        if core is not None:
            os.sched_setaffinity(self.process.pid, {core})
        try:
            self.answer()
        except BaseException:
            self.kill()
            raise

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            raise RuntimeError(f"no answer in {PATIENCE} s")
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def run(self, workload: Workload) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(dataclasses.asdict(workload)) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def close(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.communicate(timeout=10)
        if self.process.returncode is None:
            self.kill()


class Comparison:
    """Runs workloads against one server, each driver in its turn in every round."""

    def __init__(self, server: Any, drivers: dict[str, tuple[Driver, Path]], rounds: int) -> None:
        self.server = server
        self.drivers = drivers
        self.rounds = rounds
        self.address = {
            "user": server.user,
            "password": server.password,
            "database": server.database,
            "unix_socket": server.unix_socket,
        }

    def setup(self) -> None:
        import pymysql

        connection = pymysql.connect(**self.address, autocommit=True)
        with connection, connection.cursor() as cursor:
            for statement in setup_statements():
                cursor.execute(statement)

    def measure(self, workload: Workload) -> dict[str, list[dict[str, Any]] | str]:
        """Return what each round took by driver, or the reason why a driver cannot do it."""
        client, server = cores(workload)
        pin(self.server.pid, server)
        results: dict[str, list[dict[str, Any]] | str] = {}
        children: dict[str, Child] = {}
        with contextlib.ExitStack() as stack:
            for turn in range(self.rounds + 1):
                for name, (driver, path) in self.drivers.items():
                    if not driver.does(workload.action) or isinstance(results.get(name), str):
                        continue
                    try:
                        if name not in children:
                            child = Child(driver.name, path, self.address, client)
                            children[name] = child
                            stack.callback(child.close)
                        answer = children[name].run(workload)
                    except (RuntimeError, OSError) as error:
                        results[name] = f"failed: {error}"
                        if name in children:
                            children[name].kill()
                        continue
                    if turn:  # the first is for warming up
                        results.setdefault(name, []).append(answer)  # type: ignore[union-attr]
        return results


def chosen_drivers(
    options: argparse.Namespace,
) -> tuple[dict[str, tuple[Driver, Path]], dict[str, str]]:
    names = options.driver or list(DRIVERS)
    missing = peers.install([DRIVERS[name] for name in names], say)
    for name, reason in missing.items():
        say(f"{name} is left out, {reason}")
    drivers = {name: (DRIVERS[name], ROOT) for name in names if name not in missing}
    for checkout in options.checkout:
        name, equals, folder = checkout.partition("=")
        if not equals or not (Path(folder) / "pymy").is_dir():
            raise SystemExit(
                f"--checkout takes NAME=FOLDER of a checkout of pymy, not {checkout!r}"
            )
        for ours in ("pymy", "pymy.aio"):
            if ours in drivers:
                drivers[ours.replace("pymy", name)] = (DRIVERS[ours], Path(folder).resolve())
    return drivers, missing


def measure_all(comparison: Comparison, workloads: list[Workload]) -> dict[str, Any]:
    say("Making the tables")
    comparison.setup()
    results = []
    for workload in workloads:
        say(f"Measuring {workload.title}")
        result = comparison.measure(workload)
        results.append({"workload": dataclasses.asdict(workload), "drivers": result})
    server = comparison.server
    family = "MariaDB" if server.is_mariadb else "MySQL"
    return {"title": f"{family} {server.version}", "results": results}


def main() -> None:
    options = arguments()
    peers.enter_environment(say)
    sys.path.insert(0, os.fspath(ROOT))
    from pymy.sandbox import SandboxError, Server
    from pymy.version import __version__

    drivers, missing = chosen_drivers(options)
    import pymysql

    chosen = [WORKLOADS[name] for name in options.only or WORKLOADS]
    workloads = [scaled(workload, 10 if options.quick else 1) for workload in chosen]
    rounds = 2 if options.quick else options.rounds
    record: dict[str, Any] = {
        "machine": report.machine(),
        "rounds": rounds,
        "command": " ".join(["python benchmarks/compare.py", *sys.argv[1:]]),
        "versions": {"pymy": __version__, **peers.versions(drivers)},
        "worlds": {
            world: [name for name, (driver, _) in drivers.items() if driver.world == world]
            for world in ("blocking", "asyncio")
        },
        "missing": missing,
        "servers": [],
    }
    for flavour in options.server:
        try:
            with Server(flavour, progress=say) as server, kept_awake():
                record["servers"].append(
                    measure_all(Comparison(server, drivers, rounds), workloads)
                )
        except (SandboxError, pymysql.Error) as error:
            # what was measured on another server is not lost
            say(f"{flavour} is left out: {error}")
            record["missing"][flavour] = f"not measured: {error}"
    text = report.markdown(record)
    print(text)
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    if options.markdown:
        report.write_between_marks(options.markdown, text)


if __name__ == "__main__":
    main()
