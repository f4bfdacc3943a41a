"""Dump a large database with the server's own program, import it with pymy, compare.

    python tools/roundtrip.py mariadb --megabytes 200
    python tools/roundtrip.py mysql --megabytes 200 --flag=--hex-blob

Prints the size of the dump, how fast it was split alone and imported, how much memory the import
took on top, and whether the tables' checksums are equal; exit status 1 if they are not.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pymy
from pymy.sandbox import Server, client_command
from pymy.scriptfiles import pieces
from pymy.sql import split_script

PROGRAMS = {"mariadb": "mariadb-dump", "mariadb11": "mariadb-dump", "mysql": "mysqldump"}
TABLES = """
create table a (id int auto_increment primary key, t varchar(200), d datetime, n decimal(12, 3))
    charset utf8mb4;
create table b (id int auto_increment primary key, b varbinary(300), f double);
delimiter //
create procedure p() begin select 1; select ';//'; end//
create trigger tr before insert on a for each row begin set new.n = new.n; end//
"""
BYTES = bytes(range(256))


def fill(conn: Any, megabytes: int) -> None:
    """Insert rows whose dump has about that size."""
    for start in range(0, megabytes * 3400, 5000):
        numbers = range(start, start + 5000)
        conn.cursor().executemany(
            "insert into a (t, d, n) values (%s, '2024-02-29 01:02:03', %s)",
            [(f"it's row {n}; é 😀 \\ {'text ' * (n % 20)}", n / 8) for n in numbers],
        )
        conn.cursor().executemany(
            "insert into b (b, f) values (%s, %s)",
            [(BYTES[n % 256 :] + BYTES[: n % 40], n / 7) for n in numbers],
        )


def peak() -> float:
    """The most memory this process had so far, in MiB; getrusage() would count its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def import_(dsn: str, path: str) -> None:
    """The child's part: a process of its own, whose memory is the import's."""
    with pymy.connect(dsn, autocommit=True) as conn:
        before = peak()
        started = time.perf_counter()
        done = conn.run_script(path)
        seconds = time.perf_counter() - started
        growth = peak() - before
    print(f"{done}\nimported: {seconds:.1f} s, {done.size / 1e6 / seconds:.0f} MB/s")
    print(f"memory: {growth:.1f} MiB more than before")


def split(path: Path) -> None:
    started = time.perf_counter()
    texts = (str(piece, "latin-1") for piece in pieces(path))  # type: ignore[arg-type]
    count = sum(1 for _ in split_script(texts))
    seconds = time.perf_counter() - started
    size = path.stat().st_size / 1e6
    print(f"split alone: {count} statements, {seconds:.1f} s, {size / seconds:.0f} MB/s")


def checksums(conn: Any, database: str) -> list[int]:
    return [row[1] for row in conn.execute(f"checksum table {database}.a, {database}.b")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("flavour", choices=PROGRAMS)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--flag", action="append", default=[], help="for the dump program")
    parser.add_argument("--import", dest="child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        import_(*given.child.split(" "))
        return 0
    argv = client_command(given.flavour, PROGRAMS[given.flavour], progress=print)
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(given.flavour) as server,
        pymy.connect(server.dsn, autocommit=True) as conn,
    ):
        conn.run_script([TABLES])
        fill(conn, given.megabytes)
        path = Path(folder) / "dump.sql"
        where = ["--no-defaults", f"--socket={server.unix_socket}", "--user=root", "--routines"]
        with path.open("wb") as out:
            subprocess.run(
                [*argv, *where, "--no-tablespaces", *given.flag, "test"], stdout=out, check=True
            )
        print(f"{server.version}: dump of {path.stat().st_size / 1e6:.0f} MB")
        split(path)
        conn.query("create database copy")
        child = [sys.executable, __file__, given.flavour, "--import"]
        subprocess.run([*child, f"{server.dsn_for('copy')} {os.fspath(path)}"], check=True)
        one, other = checksums(conn, "test"), checksums(conn, "copy")
    print(f"checksums: {one} {other} {'equal' if one == other else 'DIFFERENT'}")
    return int(one != other)


if __name__ == "__main__":
    sys.exit(main())
