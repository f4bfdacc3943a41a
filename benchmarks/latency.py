"""What a pipeline saves where the server is far: statements through a relay that takes its time.

    python benchmarks/latency.py [--server mariadb] [--server mysql] [--latency 5] [--count 200]

Prints the time of each way of running them, and how many round trips that is; a round trip is what
one ``SELECT 1`` takes through the relay.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from relay import Relay

import pymy
from pymy.sandbox import Server


def least(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(kind: str, latency: float, count: int, rounds: int) -> None:
    with Server(kind) as server, Relay((server.host, server.port), latency) as relay:
        conn = pymy.connect(server.tcp_dsn, port=relay.port, autocommit=True)
        conn.query("create temporary table t (id int primary key, n int) engine=innodb")
        conn.cursor().executemany("insert into t values (%s, 0)", [(n,) for n in range(count)])
        find, change = "select n from t where id = %s", "update t set n = n + 1 where id = %s"
        statement = conn.prepare("select n from t where id = ?")
        trip = least(lambda: conn.execute("select 1").fetchone(), 5 * rounds)
        print(f"\n{kind} {conn.server_version}: a round trip takes {1e3 * trip:.2f} ms")

        def pipeline(sql: object) -> None:
            with conn.pipeline() as p:
                for number in range(count):
                    p.execute(sql, (number,))  # type: ignore[call-overload]

        def each(sql: str) -> None:
            for number in range(count):
                conn.execute(sql, (number,))

        def many() -> None:
            conn.cursor().executemany(change, [(n,) for n in range(count)])

        for name, work in (
            (f"{count} selects, one by one", lambda: each(find)),
            (f"{count} selects in a pipeline", lambda: pipeline(find)),
            (f"{count} prepared selects in a pipeline", lambda: pipeline(statement)),
            (f"{count} updates in a pipeline", lambda: pipeline(change)),
            (f"executemany of {count} updates", many),
        ):
            turns = relay.turns
            took = least(work, rounds)
            turns = (relay.turns - turns) // rounds
            print(f"{name:40} {1e3 * took:9.2f} ms {took / trip:8.2f} round trips ({turns} sent)")
        conn.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--server", action="append", help="flavour, default mariadb and mysql")
    parser.add_argument("--latency", type=float, default=5.0, help="milliseconds, there and back")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    for kind in given.server or ("mariadb", "mysql"):
        measure(kind, given.latency / 1e3, given.count, given.rounds)


if __name__ == "__main__":
    main()
