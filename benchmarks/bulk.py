"""A million rows of a generator into a table: by executemany, and by load_rows.

    python benchmarks/bulk.py [--server mariadb] [--rows 1000000]

Starts a server through `pymy.sandbox`. Each way has a process of its own, so that its peak memory,
which Linux tells, is its own. Prints the rate and how much memory grew while the rows went; counts
and sums them afterwards. Status 1 when they are not all there, or memory grew by 30 MB or more.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from measuring import memory

import pymy
from pymy.sandbox import Server

MEGABYTES_ALLOWED = 30
TABLE = "create table {} (a int, b varchar(40), c double, d datetime) engine=innodb"
WARM_UP = 2000
START = datetime(2024, 1, 1)


def rows(count: int) -> Iterator[tuple[Any, ...]]:
    for n in range(count):
        yield n, f"some text {n}", n * 0.5, START + timedelta(seconds=n)


def executemany(conn: pymy.Connection, table: str, count: int) -> None:
    conn.cursor().executemany(f"insert into {table} values (%s, %s, %s, %s)", rows(count))
    conn.commit()


def load_rows(conn: pymy.Connection, table: str, count: int) -> None:
    conn.load_rows(table, rows(count))
    conn.commit()


WAYS: dict[str, Callable[[pymy.Connection, str, int], None]] = {
    "executemany": executemany,
    "load_rows": load_rows,
}


def measure(dsn: str, way: str, count: int) -> tuple[float, float, bool]:
    """Return seconds, growth of memory in MB, and whether all rows are there."""
    with pymy.connect(dsn) as conn:
        for table in ("few", "many"):
            conn.query(f"drop table if exists {table}")
            conn.query(TABLE.format(table))
        WAYS[way](conn, "few", min(count, WARM_UP))  # what is imported late is not counted
        before, started = memory("VmHWM"), time.perf_counter()
        WAYS[way](conn, "many", count)
        seconds, grown = time.perf_counter() - started, (memory("VmHWM") - before) / 1e6
        found = conn.execute(
            "select count(*), count(distinct a), sum(a), sum(c), count(b), max(d) from many"
        ).fetchone()
        last = START + timedelta(seconds=count - 1)
        total = count * (count - 1) // 2
        return seconds, grown, found == (count, count, total, total / 2, count, last)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--server", action="append", help="default: mariadb and mysql")
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    fine = True
    for flavour in given.server or ["mariadb", "mysql"]:
        with Server(flavour) as server:
            for way in WAYS:
                fresh = multiprocessing.get_context("spawn")
                with ProcessPoolExecutor(1, fresh) as process:
                    seconds, grown, there = process.submit(
                        measure, server.dsn, way, given.rows
                    ).result()
                fine = fine and there and grown < MEGABYTES_ALLOWED
                print(
                    f"{flavour} {server.version}, {way}: {given.rows:,} rows in {seconds:.1f} s, "
                    f"{given.rows / seconds:,.0f} a second; memory grew by {grown:.1f} MB; "
                    f"{'all are there' if there else 'NOT ALL ARE THERE'}",
                    flush=True,
                )
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
