"""What pymy does, in a minute.

    python examples/quickstart.py                                 starts a MariaDB of its own
    python examples/quickstart.py mysql://user:password@host/db   uses yours

On a server of yours it makes one table and one procedure, named pymy_quickstart..., and drops them.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import pymy
import pymy.sandbox
from pymy import rows
from pymy.sandbox.reporting import printer


def say(text: str) -> None:
    print(f"- {text}", flush=True)


def memory() -> float:
    """Return the memory this process holds now, in MB."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux: the most it has held so far
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return pages * resource.getpagesize() / 1e6


def clean(conn: pymy.Connection) -> None:
    conn.execute("drop table if exists pymy_quickstart")
    conn.execute("drop procedure if exists pymy_quickstart_prices")


def insert(conn: pymy.Connection) -> None:
    conn.execute(
        "create table pymy_quickstart ("
        " id int primary key, name varchar(100) not null, price decimal(8, 2) not null)"
    )
    say("Created a table: id, name, price.")

    items = ((number, f"item {number}", number % 500) for number in range(1, 10_001))
    started = time.perf_counter()
    with conn.cursor() as cur:
        count = cur.executemany("insert into pymy_quickstart values (%s, %s, %s)", items)
    conn.commit()
    milliseconds = (time.perf_counter() - started) * 1000
    say(f"Inserted {count:,} rows with one executemany() in {milliseconds:.0f} ms.")


def query(conn: pymy.Connection) -> None:
    cur = conn.execute(
        "select id, name, price from pymy_quickstart where name = %s or id in %s",
        ("item 7", [1, 2, 3]),
    )
    say(f"Asked with parameters, a list among them; rows are tuples: {cur.fetchone()}")

    with conn.cursor(row_factory=rows.dict_row) as cur:
        cur.execute("select id, name from pymy_quickstart where id = %(id)s", {"id": 42})
        say(f"The same as dicts: {cur.fetchone()}")


def fail(conn: pymy.Connection) -> None:
    try:
        conn.execute("insert into pymy_quickstart values (%s, %s, %s)", (1, "again", 0))
    except pymy.IntegrityError as error:
        say(f"A second item 1 is refused: IntegrityError {error.errno} {error.code}.")

    conn.rollback()  # the statements so far began a transaction; a block begins one of its own

    try:
        with conn.transaction():
            gone = conn.execute("delete from pymy_quickstart where id > 100").rowcount
            raise RuntimeError("changed my mind")
    except RuntimeError:
        left = conn.execute("select count(*) from pymy_quickstart").fetchone()[0]
        say(f"Deleted {gone:,} rows, raised an exception: rolled back, {left:,} rows are there.")


def call(conn: pymy.Connection) -> None:
    conn.execute(
        "create procedure pymy_quickstart_prices(in below int) begin"
        " select count(*) from pymy_quickstart where price < below;"
        " select max(price) from pymy_quickstart where price < below;"
        " end"
    )
    with conn.cursor() as cur:
        cur.callproc("pymy_quickstart_prices", (100,))
        (count,) = cur.fetchone()
        cur.nextset()
        (highest,) = cur.fetchone()
    say(f"Called a procedure with two results: {count:,} items below 100, the dearest {highest}.")


def stream(conn: pymy.Connection) -> None:
    many = (
        "select a.id, concat(b.name, repeat('.', 80)), a.price"
        " from pymy_quickstart a join pymy_quickstart b on b.id <= 20"
    )
    before = most = memory()
    started = time.perf_counter()
    for count, _row in enumerate(conn.stream(many), 1):
        if count % 5000 == 0:
            most = max(most, memory())
    seconds = time.perf_counter() - started
    start = memory()
    held = conn.execute(many)
    say(
        f"Streamed {count:,} rows in {seconds:.1f} s with {most - before:.1f} MB more memory; "
        f"a cursor that holds all {held.rowcount:,} takes {memory() - start:.0f} MB."
    )


def tour(dsn: str) -> None:
    with pymy.connect(dsn) as conn:
        family = "MariaDB" if conn.is_mariadb else "MySQL"
        say(f"Connected by URL to {family} {conn.server_version}.")
        if conn.db is None:
            sys.exit("The URL names no database to work in: mysql://user:password@host/DATABASE")
        clean(conn)
        try:
            for step in (insert, query, fail, call, stream):
                step(conn)
        finally:
            if conn.open:
                clean(conn)


def main() -> None:
    if len(sys.argv) > 1:
        try:
            tour(sys.argv[1])
        except pymy.OperationalError as error:
            sys.exit(error.message)
        return
    print("Getting a MariaDB server: the one installed here, else from the Debian archive.")
    with pymy.sandbox.Server("mariadb", progress=printer(sys.stdout)) as server:
        tour(server.dsn)
    say("Stopped the server; nothing is left but its cached files.")


if __name__ == "__main__":
    main()
