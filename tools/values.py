"""Send a large value to a server from a stream and stream it back, in little memory.

    python tools/values.py mariadb --megabytes 512
    python tools/values.py mysql --megabytes 512

Prints for blocking code and asyncio, plain and over TLS, how fast it went each way, how much memory
the process took on top, and whether what came back is what was sent; exit status 1 if it is not,
or if the memory is above --most MiB.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pymy
import pymy.aio
from pymy.sandbox import Server

# A value in InnoDB takes part of its log: a tenth at most, or a server says no.
OPTIONS = {
    "mariadb": ["--max-allowed-packet=1G", "--innodb-log-file-size=6G"],
    "mysql": ["--max-allowed-packet=1G", "--innodb-redo-log-capacity=12G"],
}
PIECE = 1 << 18
INSERT = "insert into t (b) values (%s)"
SELECT = "select b from t"


def peak(*, again: bool = False) -> float:
    """The most memory this process had so far, in MiB; ``again`` counts from now on."""
    if again:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


class Source:
    """A value that is made as it is read, and the digest of what was read."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.digest = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        noise = random.Random(7).randbytes(2 * PIECE)
        while self.left:
            start = self.left // PIECE % PIECE
            piece = noise[start : start + min(PIECE, self.left)]
            self.left -= len(piece)
            self.digest.update(piece)
            yield piece

    async def later(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def blocking(dsn: str, size: int, options: dict[str, Any]) -> tuple[float, float, bool]:
    with pymy.connect(dsn, autocommit=True, max_allowed_packet=1 << 30, **options) as conn:
        conn.execute("truncate t")
        source, got = Source(size), hashlib.sha256()
        started = time.perf_counter()
        conn.execute(INSERT, (iter(source),))
        sent = time.perf_counter()
        with conn.stream_value(SELECT) as value:
            while piece := value.read(PIECE):
                got.update(piece)
        ended = time.perf_counter()
    return sent - started, ended - sent, got.digest() == source.digest.digest()


async def awaited(dsn: str, size: int, options: dict[str, Any]) -> tuple[float, float, bool]:
    connect = pymy.aio.connect(dsn, autocommit=True, max_allowed_packet=1 << 30, **options)
    async with connect as conn:
        await conn.execute("truncate t")
        source, got = Source(size), hashlib.sha256()
        started = time.perf_counter()
        await conn.execute(INSERT, (source.later(),))
        sent = time.perf_counter()
        async with await conn.stream_value(SELECT) as value:
            async for piece in value:
                got.update(piece)
        ended = time.perf_counter()
    return sent - started, ended - sent, got.digest() == source.digest.digest()


def measure(dsn: str, way: str, link: str, megabytes: int, most: float) -> int:
    """The child's part: a process of its own, whose memory is that of one way."""
    options: dict[str, Any] = {"ssl_mode": "required" if link == "TLS" else "disabled"}
    if link in ("zlib", "zstd"):
        options["compress"] = link

    def run(size: int) -> tuple[float, float, bool]:
        if way == "asyncio":
            return asyncio.run(awaited(dsn, size, options))
        return blocking(dsn, size, options)

    run(1_000_000)
    before = peak(again=True)
    size = megabytes << 20
    out, back, same = run(size)
    growth = peak() - before
    print(
        f"| {way} | {link} | {size / 1e6 / out:.0f} MB/s | {size / 1e6 / back:.0f} MB/s "
        f"| {growth:.1f} MiB | {'equal' if same else 'DIFFERENT'} |",
        flush=True,
    )
    return int(not same or growth > most)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("flavour", choices=OPTIONS)
    parser.add_argument("--megabytes", type=int, default=512, help="MiB of the value")
    parser.add_argument("--most", type=float, default=20.0, help="MiB of memory")
    parser.add_argument("--links", nargs="*", default=["plain", "TLS"], help="also zlib, zstd")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return measure(*given.child, given.megabytes, given.most)
    failed = 0
    with Server(given.flavour, options=OPTIONS[given.flavour]) as server:
        with pymy.connect(server.dsn) as conn:
            conn.execute("create table t (id int auto_increment primary key, b longblob)")
        print(f"{server.version}, a value of {given.megabytes} MiB:")
        for way in ("blocking", "asyncio"):
            for link in given.links:
                numbers = [f"--megabytes={given.megabytes}", f"--most={given.most}"]
                child = [given.flavour, *numbers, "--child", server.tcp_dsn, way, link]
                failed += subprocess.run([sys.executable, __file__, *child]).returncode
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
