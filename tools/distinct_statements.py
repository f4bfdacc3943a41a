"""Execute distinct statements through one connection and count what the server keeps of them.

    python tools/distinct_statements.py mariadb mysql --statements 100000

Each text is another one, prepared (``prepare="always"``) and executed once. After every one a
second connection reads the server's ``Prepared_stmt_count``; it may be the size of the cache and
one more. Exit status 1 if it was ever above, or if an answer was not the statement's own.
"""

from __future__ import annotations

import argparse
import sys

import pymy
from pymy.sandbox import Server

COUNT = "show global status like 'Prepared_stmt_count'"


def most_kept(dsn: str, statements: int, size: int) -> int:
    with (
        pymy.connect(dsn, prepare="always", statement_cache_size=size) as conn,
        pymy.connect(dsn) as watch,
    ):
        most = 0
        for number in range(statements):
            if conn.execute(f"select {number}").fetchone() != (number,):
                sys.exit(f"statement {number} was answered with another one's rows")
            most = max(most, int(watch.execute(COUNT).fetchone()[1]))
        return most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server", nargs="+")
    parser.add_argument("--statements", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=100, help="statement_cache_size")
    given = parser.parse_args()
    exceeded = False
    for flavour in given.server:
        with Server(flavour) as server:
            most = most_kept(server.dsn, given.statements, given.size)
        print(
            f"{flavour}: {given.statements} statements, cache of {given.size}, "
            f"Prepared_stmt_count at most {most}"
        )
        exceeded = exceeded or most > given.size + 1
    sys.exit(exceeded)


if __name__ == "__main__":
    main()
