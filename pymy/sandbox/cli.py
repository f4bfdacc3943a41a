"""`python -m pymy sandbox`: a server for as long as the command runs."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from urllib.parse import quote

from ..connections import Connection
from .errors import SandboxError
from .flavours import ALIASES, FLAVOURS, flavour_named
from .install import fetch, prefix_program
from .reporting import printer
from .server import Server

PROG = "python -m pymy sandbox"


def names() -> list[str]:
    return [*FLAVOURS, *ALIASES]


def server_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROG,
        description="Start a throw-away server, print its URLs, stop it with Ctrl-C.",
        epilog=f"`{PROG} fetch FLAVOUR` only downloads, into $PYMY_CACHE or ~/.cache/pymy.",
    )
    parser.add_argument(
        "flavour",
        nargs="?",
        default="mariadb",
        choices=names(),
        metavar="FLAVOUR",
        help="mariadb (default: the machine's own, else 10.11), mariadb11, mysql (9.x), mysql56",
    )
    parser.add_argument("--port", type=int, help="TCP port on 127.0.0.1 (default: a free one)")
    parser.add_argument(
        "--user", metavar="NAME:PASSWORD", help="make an account with all rights on --database"
    )
    parser.add_argument("--database", help="make a database (default: test, which is there)")
    parser.add_argument("--no-tls", dest="tls", action="store_false", help="offer no TLS")
    parser.add_argument("--binlog", action="store_true", help="write a binary log")
    parser.add_argument(
        "--option",
        dest="options",
        action="append",
        default=[],
        metavar="--FLAG=VALUE",
        help="a flag for the server, as --option=--max-connections=5; may be repeated",
    )
    parser.add_argument("--program", metavar="PATH", help="use this mysqld or mariadbd")
    parser.add_argument("--quiet", action="store_true", help="print the URLs only")
    return parser


def fetch_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{PROG} fetch",
        description="Download and unpack a server into the cache; no root needed.",
    )
    parser.add_argument(
        "flavours", nargs="+", choices=names(), metavar="FLAVOUR", help=", ".join(FLAVOURS)
    )
    parser.add_argument(
        "--refresh", action="store_true", help="take the current version even if one is cached"
    )
    parser.add_argument("--quiet", action="store_true", help="print the folders only")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 when all went well, 1 for a failed server, 2 for a wrong command."""
    try:
        if argv and argv[0] == "fetch":
            return run_fetch(fetch_parser().parse_args(argv[1:]))
        return run_server(server_parser().parse_args(argv))
    except SandboxError as error:
        print(f"{PROG}: {error}", file=sys.stderr)
        return 1
    except SystemExit as leaving:  # argparse: --help, or a wrong command line
        return leaving.code if isinstance(leaving.code, int) else 2
    except KeyboardInterrupt:
        return 130


def run_fetch(arguments: argparse.Namespace) -> int:
    for name in arguments.flavours:
        progress = (lambda text: None) if arguments.quiet else printer()
        folder = fetch(name, refresh=arguments.refresh, progress=progress)
        progress(f"{name}: {prefix_program(flavour_named(name), folder).version} is ready")
        print(folder, flush=True)
    return 0


def urls(server: Server, account: str | None, database: str | None) -> list[str]:
    """Make the account and the database that were asked for; return the server's URLs."""
    name = database or server.database
    if database is not None or account is not None:
        with Connection(server.dsn) as conn:
            place = conn.escape_id(name, qualified=False)
            conn.execute(f"create database if not exists {place}")
            if account is not None:
                user, _, password = account.partition(":")
                for host in ("localhost", "127.0.0.1", "%"):
                    conn.execute("create user %s@%s identified by %s", (user, host, password))
                    conn.execute(f"grant all on {place}.* to %s@%s", (user, host))
    found = [server.dsn_for(name), server.tcp_dsn_for(name)]
    if account is not None:
        login = ":".join(quote(part, safe="") for part in account.split(":", 1))
        found.append(f"mysql://{login}@{server.host}:{server.port}/{quote(name, safe='')}")
    return found


def run_server(arguments: argparse.Namespace) -> int:
    leave = threading.Event()

    def ask_to_leave(number: int, frame: object) -> None:
        leave.set()

    with Server(
        arguments.flavour,
        port=arguments.port,
        tls=arguments.tls,
        binlog=arguments.binlog,
        options=arguments.options,
        program=arguments.program,
        verbose=not arguments.quiet,
    ) as server:
        # From here on a signal ends the wait; before, Ctrl-C interrupts the start.
        before = {
            n: signal.signal(n, ask_to_leave)
            for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            for url in urls(server, arguments.user, arguments.database):
                print(url, flush=True)
            if not arguments.quiet:
                tls = f"CA certificate {server.ca}" if server.ca else "no TLS"
                print(
                    f"{server.version}, pid {server.pid}, {tls}. Ctrl-C stops it.",
                    file=sys.stderr,
                    flush=True,
                )
            while not leave.wait(0.3):
                if not server.is_running():
                    raise SandboxError(
                        f"the server ended by itself; its log ends:\n{server.log_tail()}"
                    )
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return 0
