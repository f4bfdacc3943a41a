"""What is measured: the tables, and what each driver is asked to do with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

# Actions whose time goes into many small exchanges, and is given per exchange.
EXCHANGES = ("ask", "connect", "parallel", "borrow")


@dataclass(frozen=True)
class Workload:
    """One line of the tables.

    ``action`` is what the driver does: "fetch" ``count`` rows with its default cursor, "stream"
    them with its unbuffered one, "insert" them; or ``count`` times "ask" a question, "connect" and
    close, "borrow" a connection from a pool; or ask in "parallel", so often in all.

    ``reset``: pymy's pool resets a session on its release, as it does by default.
    """

    name: str
    title: str
    action: str
    count: int
    sql: str = ""
    keyed: bool = False
    reset: bool = False

    @property
    def round_trips(self) -> bool:
        return self.action in EXCHANGES


MIXED = """
    n + 0 as id, n * 4000000000 as big, n % 2 as flag, n / 7e0 as ratio,
    cast(n / 100 as decimal(12, 2)) as price, concat('name of item ', n) as name,
    if(n % 10, concat('a longer remark about item number ', n), null) as remark,
    cast(date_add('2001-01-01', interval n % 9000 day) as date) as day,
    cast(date_add('2001-01-01', interval n second) as datetime) as created,
    unhex(lpad(hex(n * 2654435761), 32, '9')) as digest"""

TABLES = {
    "mixed": (100_000, MIXED),
    "ints": (300_000, ", ".join(f"n * {7**k} as i{k}" for k in range(5))),
    "strings": (
        200_000,
        "concat('name ', n) as name, concat('user.', n, '@example.com') as mail,"
        " concat('No. ', n, ' Grünauer Straße, Köln') as street",
    ),
    "wide": (
        10_000,
        ", ".join(
            f"n + {k} as i{k}, concat('text {k} of ', n) as s{k}, if(n % 3, n, null) as o{k},"
            f" n / {k + 3}e0 as f{k}, n * {k} as j{k},"
            f" cast(date_add('2001-01-01', interval n * {k + 1} second) as datetime) as t{k}"
            for k in range(10)
        ),
    ),
}

POINT_SELECT = "select id, name, price, created from mixed where id = %s"

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("mixed", "100k rows x 10 mixed columns", "fetch", 100_000, "select * from mixed"),
        Workload("ints", "300k rows x 5 integers", "fetch", 300_000, "select * from ints"),
        Workload("strings", "200k rows x 3 strings", "fetch", 200_000, "select * from strings"),
        Workload("wide", "10k rows x 60 columns", "fetch", 10_000, "select * from wide"),
        Workload("select1", "SELECT 1", "ask", 4_000, "select 1"),
        Workload("point", "point select by key", "ask", 4_000, POINT_SELECT, keyed=True),
        Workload(
            "insert",
            "executemany, 20k rows x 4",
            "insert",
            20_000,
            "insert into target (a, b, c, d) values (%s, %s, %s, %s)",
        ),
        Workload("connect", "connect and close", "connect", 300),
        Workload(
            "parallel", "point select, 32 connections", "parallel", 6_400, POINT_SELECT, keyed=True
        ),
        Workload("pool", "pool: SELECT 1, pymy rolls back", "borrow", 2_000, "select 1"),
        Workload("reset", "pool: SELECT 1, pymy resets", "borrow", 2_000, "select 1", reset=True),
        Workload("bare", "pool: nothing, pymy rolls back", "borrow", 2_000),
        Workload("bare-reset", "pool: nothing, pymy resets", "borrow", 2_000, reset=True),
        Workload("stream", "1M rows x 3 streamed", "stream", 1_000_000, "select * from streamed"),
    )
}


def scaled(workload: Workload, divisor: int) -> Workload:
    """The same workload with less to do; its title says so."""
    if divisor == 1:
        return workload
    count = workload.count // divisor
    sql = workload.sql
    if workload.action in ("fetch", "stream"):
        sql += f" limit {count}"
    return replace(workload, count=count, sql=sql, title=f"{workload.title} (1/{divisor})")


def setup_statements() -> Iterator[str]:
    """Statements that make the tables, for every MySQL and MariaDB: no sequence, no CTE."""
    yield "create table digit (d int)"
    yield "insert into digit values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)"
    yield "create table number (n int primary key)"
    sources = ", ".join(f"digit d{k}" for k in range(6))
    total = " + ".join(f"d{k}.d * {10**k}" for k in range(6))
    yield f"insert into number select {total} + 1 from {sources}"
    for name, (count, columns) in TABLES.items():
        yield f"create table {name} as select {columns} from number where n <= {count} order by n"
    yield "alter table mixed add primary key (id)"
    yield (
        "create table streamed as select n, concat('streamed row ', n) as name, n / 7e0 as ratio"
        " from number"
    )
    yield (
        "create table target (id int auto_increment primary key,"
        " a int, b varchar(100), c double, d datetime)"
    )


def rows_to_insert(count: int) -> list[tuple[Any, ...]]:
    start = datetime(2001, 1, 1)
    return [
        (n, f"it's the name of item {n}", n / 7, start + timedelta(seconds=n)) for n in range(count)
    ]


def keys(count: int) -> list[tuple[int]]:
    """Existing keys of ``mixed`` in an order that is neither sorted nor random."""
    return [(n * 7919 % TABLES["mixed"][0] + 1,) for n in range(count)]
