"""`python -m pymy import`: run a script or a dump against a server."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from . import Connection, err
from .protocol.scripts import ScriptResult
from .scriptfiles import unpacked

PROG = "python -m pymy import"
BAR = 30
# Seconds between two looks at the bar: a script may have a million statements.
REFRESH = 0.1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=PROG,
        description="Run the statements of a script or a dump, which may be a gzip file.",
        epilog="Exit status: 0 all was run, 1 something failed, 2 wrong options, 130 interrupted.",
    )
    made.add_argument("script", metavar="FILE", help="file to run, - for the standard input")
    made.add_argument("--dsn", metavar="URL", help="mysql://user@host:port/database?option=value")
    made.add_argument(
        "--defaults-file", metavar="FILE", help="option file (my.cnf), its groups client and pymy"
    )
    made.add_argument("--host", help="default 127.0.0.1")
    made.add_argument("--port", type=int, help="default 3306")
    made.add_argument("--socket", metavar="PATH", help="unix socket")
    made.add_argument("--user")
    made.add_argument("--database")
    made.add_argument(
        "--password", action="store_true", help="ask for it; it can be given in an option file too"
    )
    made.add_argument(
        "--local-infile",
        metavar="FOLDER",
        action="append",
        help="let LOAD DATA LOCAL send files of this folder; may be repeated",
    )
    made.add_argument("--quiet", action="store_true", help="print errors only")
    return made


def options(given: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of `connect()`."""
    found = {
        "read_default_file": given.defaults_file,
        "host": given.host,
        "port": given.port,
        "unix_socket": given.socket,
        "user": given.user,
        "database": given.database,
        "local_infile": given.local_infile,
        "password": getpass.getpass() if given.password else None,
    }
    # as the servers' own programs have it, for which scripts are written
    settings = {"autocommit": True, "multi_statements": True, "program_name": "pymy import"}
    return settings | {name: value for name, value in found.items() if value is not None}


class Bar:
    """How far it is, on stderr: a bar on a terminal, where the size is known."""

    def __init__(self, name: str, file: Any, stream: IO[str]) -> None:
        self.name = name
        self.file = file
        self.stream = stream
        self.started = self.shown = time.monotonic()
        self.width = 0
        try:
            self.whole = os.fstat(file.fileno()).st_size if file.seekable() else 0
        except OSError:
            self.whole = 0

    def __call__(self, done: ScriptResult) -> None:
        now = time.monotonic()
        if now - self.shown >= REFRESH:
            self.shown = now
            # of a gzip file, what was read of it; the script itself is longer
            part = min(self.file.tell() / self.whole, 1.0) if self.whole else 0.0
            bar = "#" * int(part * BAR)
            percent = f"[{bar:<{BAR}}] {part:4.0%} " if self.whole else ""
            self.write(f"{percent}{done.size / 1e6:.1f} MB, {done.statements} statements")

    def write(self, text: str) -> None:
        line = f"{self.name} {text}"
        self.stream.write(f"\r{line:<{self.width}}")
        self.stream.flush()
        self.width = len(line)

    def clear(self) -> None:
        if self.width:
            self.stream.write(f"\r{'':<{self.width}}\r")
            self.width = 0

    def end(self, done: ScriptResult) -> None:
        self.clear()
        self.stream.write(
            f"{self.name}: {done.statements} statements, {done.rows} rows, "
            f"{done.warnings} warnings, {time.monotonic() - self.started:.1f} s\n"
        )


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 when all went well, 1 when something failed, 2 for a wrong command."""
    try:
        given = parser().parse_args(argv)
    except SystemExit as leaving:  # --help, or a wrong command line
        return leaving.code if isinstance(leaving.code, int) else 2
    name = "stdin" if given.script == "-" else Path(given.script).name
    try:
        conn = Connection(given.dsn, defer_connect=True, **options(given))
    except (TypeError, err.Error) as exc:
        return fail(f"{exc.args[-1]}", 2)
    except EOFError:
        return fail("no password was given: an option file can hold it, see --defaults-file", 2)
    try:
        run(conn, given, name)
    except err.Error as exc:
        return fail(f"{name}: error {exc.errno}: {exc.message}", 1)
    except (OSError, EOFError) as exc:
        return fail(f"{name}: {exc}", 1)
    except KeyboardInterrupt:
        return fail(f"{name}: interrupted", 130)
    return 0


def run(conn: Connection[Any], given: argparse.Namespace, name: str) -> None:
    with ExitStack() as stack:
        file: Any = sys.stdin.buffer
        if given.script != "-":
            file = stack.enter_context(Path(given.script).open("rb"))
        stack.enter_context(conn).connect()
        bar = Bar(name, file, sys.stderr)
        stack.callback(bar.clear)
        shown = sys.stderr.isatty() and not given.quiet
        done = conn.run_script(unpacked(file), progress=bar if shown else None)
        if not given.quiet:
            bar.end(done)


def fail(text: str, status: int) -> int:
    print(f"{PROG}: {text}", file=sys.stderr)
    return status
