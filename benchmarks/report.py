"""Tables out of measurements."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workloads import EXCHANGES

BEGIN, END = "<!-- compare.py:begin -->", "<!-- compare.py:end -->"
MEBIBYTE = 1 << 20
NOTHING = "-"
# Whose share of the others' times is given.
OURS = {"blocking": "pymy", "asyncio": "pymy.aio"}
FLOORS = (
    ("blocking: sendall, recv_into", "floor", "pymy"),
    ("asyncio: BufferedProtocol, awaited by a task", "asyncio floor", "pymy.aio"),
    ("asyncio: BufferedProtocol, callbacks alone", "callback floor", "pymy.aio"),
)


def machine() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def markdown(record: dict[str, Any]) -> str:
    parts = [header(record)]
    for server in record["servers"]:
        parts.append(f"### {server['title']}")
        for title, key in (("Client CPU", "cpu"), ("Wall time", "wall")):
            for world, names in record["worlds"].items():
                names = [name for name in names if name != "callback floor"]
                rows = [
                    [result["workload"]["title"], *times(result, names, key, OURS[world])]
                    for result in server["results"]
                    if any(name in result["drivers"] for name in names)
                ]
                if rows:
                    parts.append(table([f"{title}, {world}", *names], rows))
        parts += [floors(result) for result in server["results"] if has_floors(result)]
        names = [name for names in record["worlds"].values() for name in names]
        names = [name for name in names if not name.endswith("floor")]
        streams = [
            [result["workload"]["title"], *(growth(result, name) for name in names)]
            for result in server["results"]
            if result["workload"]["action"] == "stream"
        ]
        if streams:
            parts.append(table(["Memory added at the peak", *names], streams))
        if notes := failures(server):
            parts.append(notes)
    return "\n\n".join(parts) + "\n"


def header(record: dict[str, Any]) -> str:
    machine, versions = record["machine"], record["versions"]
    lines = [
        f"Made by `{record['command']}`: {record['rounds']} rounds, the least of each.",
        f"{machine['python']}, {machine['system']}, {machine['cores']} cores of {machine['cpu']};",
        ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "In brackets: pymy's share of that driver's time, pymy.aio's among those of asyncio, below",
        "1 when pymy takes less. A floor is what the bare exchange of pymy's bytes takes.",
    ]
    lines += [f"{name}: {reason}." for name, reason in record["missing"].items()]
    return "\n".join(lines)


def times(result: dict[str, Any], names: list[str], key: str, our_name: str) -> list[str]:
    """Cells of a line: milliseconds, or microseconds an exchange, with pymy's share."""
    best = {name: least(result, name, key) for name in names}
    ours = best.get(our_name)
    cells = []
    for name in names:
        taken = best[name]
        shared = ours is not None and taken and name != our_name
        share = f" ({ours / taken:.2f})" if shared and ours is not None and taken else ""
        cells.append(NOTHING if taken is None else figures(result, taken) + share)
    return cells


def figures(result: dict[str, Any], seconds: float) -> str:
    workload = result["workload"]
    per, unit = 1e3, "ms"
    if workload["action"] in EXCHANGES:
        per, unit = 1e6 / workload["count"], "µs"
    value = seconds * per
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def has_floors(result: dict[str, Any]) -> bool:
    """Tell whether it is SELECT 1 with a floor and pymy beside it."""
    return result["workload"]["name"] == "select1" and any(
        least(result, floor, "cpu") and least(result, ours, "cpu") for _, floor, ours in FLOORS
    )


def floors(result: dict[str, Any]) -> str:
    """What pymy takes above each floor, and how much of it is asyncio's share."""
    title = result["workload"]["title"]
    rows = []
    first: float | None = None
    for way, floor, ours in FLOORS:
        bare, whole = least(result, floor, "cpu"), least(result, ours, "cpu")
        if bare is None or whole is None:
            continue
        above = whole - bare
        first = above if floor == "floor" else first
        times = f"{above / first:.2f}" if first and floor != "floor" else NOTHING
        rows.append([way, *(figures(result, each) for each in (bare, whole, above)), times])
    return table([f"{title}, client CPU", "floor", "pymy", "above it", "times blocking"], rows)


def growth(result: dict[str, Any], name: str) -> str:
    return measured(
        result, name, lambda rounds: f"{max(r['growth'] for r in rounds) / MEBIBYTE:.1f} MiB"
    )


def least(result: dict[str, Any], name: str, key: str) -> float | None:
    rounds = result["drivers"].get(name)
    if not isinstance(rounds, list) or not rounds:
        return None
    return float(min(r[key] for r in rounds))


def measured(result: dict[str, Any], name: str, show: Callable[[list[dict[str, Any]]], str]) -> str:
    rounds = result["drivers"].get(name)
    return show(rounds) if isinstance(rounds, list) and rounds else NOTHING


def failures(server: dict[str, Any]) -> str:
    """One line for each driver and reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for result in server["results"]:
        for name, outcome in result["drivers"].items():
            if isinstance(outcome, str):
                reasons.setdefault((name, outcome), []).append(result["workload"]["name"])
    return "\n".join(
        f"- {name} {outcome} ({', '.join(workloads)})"
        for (name, outcome), workloads in reasons.items()
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]

    def line(cells: list[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "| " + " | ".join(["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])]) + " |"
    return "\n".join([line(head), rule, *(line(row) for row in rows)])


def write_between_marks(path: Path, text: str) -> None:
    """Put the tables between the marks of an existing page, else write a page of the tables."""
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    path.write_text(
        f"{before}{begin}\n\n{text}\n{end}{after}" if begin and end else text, encoding="utf-8"
    )
