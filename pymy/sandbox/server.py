"""A throw-away MariaDB or MySQL server for tests, demos and docs."""

from __future__ import annotations

import os
import random
import secrets
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from .cache import Progress, quiet
from .certificates import Certificates, certificate_paths, make_certificates
from .datadir import copy_template, template
from .errors import SandboxError
from .flavours import Flavour, Program, flavour_named, tcp_accounts
from .install import program_for
from .process import Process, last_words, tail
from .reporting import printer


class Server:
    """Start a server of its own kind, with its own data, that ends with this process.

    Use it as a context manager, or call start() and stop(). The first start of a flavour may fetch
    packages into the user's cache; later ones need no network. The server listens on a unix socket
    that only this user can reach, where root has no password, and on 127.0.0.1, where root has
    `tcp_password`. There is an empty database `test`.

    Args:
        flavour: "mariadb" (the machine's own, else 10.11), "mariadb11", "mysql" or "mysql56".
        tls: make certificates and offer TLS; False offers none. mysql56 has no usable TLS.
        binlog: write a row-based binary log with full metadata, on MySQL with GTIDs. Default False.
        port: TCP port on 127.0.0.1; a free one by default.
        plugins: server plugins to load at the start, such as "auth_socket", added to those the
            flavour loads by itself.
        options: further server flags, such as "--max-connections=5"; they win over the sandbox's
            own.
        program: path of a mysqld or mariadbd to use for this flavour instead.
        start_timeout: seconds until a server that does not answer counts as failed, default 60.
        progress: called with a line of text when something takes long; verbose=True prints these
            to stderr.

    Raises:
        SandboxError: the server cannot be had or does not start; the text holds the end of its own
            log.
    """

    user = "root"
    password = ""
    """Of root over the unix socket."""
    database = "test"
    host = "127.0.0.1"

    def __init__(
        self,
        flavour: str = "mariadb",
        *,
        tls: bool = True,
        binlog: bool = False,
        port: int | None = None,
        plugins: Sequence[str] = (),
        options: Sequence[str] = (),
        program: str | os.PathLike[str] | None = None,
        start_timeout: float = 60.0,
        progress: Progress | None = None,
        verbose: bool = False,
    ) -> None:
        self._flavour: Flavour = flavour_named(flavour)
        self.flavour = self._flavour.name
        self.tls = tls and self._flavour.tls
        self.binlog = binlog
        self.plugins = tuple(name if name.endswith(".so") else f"{name}.so" for name in plugins)
        self.options = (options,) if isinstance(options, str) else tuple(options)
        self.start_timeout = start_timeout
        self._wanted_port = port
        self._program = program
        self._progress: Progress = progress or (printer() if verbose else quiet)
        self._process: Process | None = None
        self._folder: Path | None = None
        self._certificates: Certificates | None = None
        self._last_log = ""
        self.port = port or 0
        self.tcp_password = secrets.token_urlsafe(16)
        """Of root over TCP: every user of the machine can reach the port."""
        self.version = ""

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> Server:
        """Start the server and wait until it greets; returns itself. Does nothing when it runs."""
        if self._process is not None:
            return self
        program = program_for(self._flavour, self._program, self._progress)
        source = template(self._flavour, program, self._progress)
        self._progress(f"Starting {self._flavour.title} {program.version}")
        attempts = 1 if self._wanted_port else 5
        for attempt in range(attempts):
            self.port = self._wanted_port or free_port()
            try:
                self._launch(program, source)
                break
            except SandboxError as error:
                # Between choosing a port and binding it somebody else may have taken it.
                if attempt + 1 == attempts or "Bind on TCP/IP port" not in str(error):
                    raise
        return self

    def stop(self) -> None:
        """Stop the server, remove its folder and return when both are gone."""
        process, self._process = self._process, None
        if process is not None:
            self._last_log = tail(process.log, 200)
            process.close()
        self._folder = self._certificates = None

    def restart(self, *, kill: bool = False) -> None:
        """Stop the server and remove its folder; both are gone when this returns."""
        process = self._running()
        process.send("kill" if kill else "stop")
        if not process.wait(30):
            raise SandboxError(f"{self!r} did not stop in 30 seconds")
        process.start()
        self._await_greeting(process)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = f"{self.version} pid={self.pid} port={self.port}" if self._process else "stopped"
        return f"<pymy.sandbox.Server {self.flavour} {state}>"

    # -- what a client needs -------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The server's temporary folder."""
        self._running()
        assert self._folder is not None
        return self._folder

    @property
    def unix_socket(self) -> str:
        return os.fspath(self.folder / "sock")

    @property
    def dsn(self) -> str:
        """URL over the unix socket."""
        return self.dsn_for(self.database)

    @property
    def tcp_dsn(self) -> str:
        """URL over TCP, with the password."""
        return self.tcp_dsn_for(self.database)

    def tcp_dsn_for(self, database: str) -> str:
        """Write the URL over TCP for another database."""
        self._running()
        login, name = f"{self.user}:{self.tcp_password}", quote(database, safe="")
        # Only this machine can answer at that address, so its key may be taken on trust.
        query = "?allow_public_key_retrieval=true" if self._flavour.sha2 else ""
        return f"mysql://{login}@{self.host}:{self.port}/{name}{query}"

    def dsn_for(self, database: str) -> str:
        """Write the URL over the unix socket for another database."""
        name, path = quote(database, safe=""), quote(self.unix_socket)
        return f"mysql://{self.user}@localhost/{name}?unix_socket={path}"

    @property
    def is_mariadb(self) -> bool:
        return self._flavour.is_mariadb

    @property
    def pid(self) -> int:
        pid = self._running().pid
        assert pid is not None
        return pid

    @property
    def ca(self) -> str | None:
        """Path of the authority's certificate, None without TLS."""
        return os.fspath(self._certificates.ca) if self._certificates else None

    @property
    def server_cert(self) -> str | None:
        return os.fspath(self._certificates.server_cert) if self._certificates else None

    @property
    def server_key(self) -> str | None:
        return os.fspath(self._certificates.server_key) if self._certificates else None

    @property
    def client_cert(self) -> str | None:
        return os.fspath(self._certificates.client_cert) if self._certificates else None

    @property
    def client_key(self) -> str | None:
        return os.fspath(self._certificates.client_key) if self._certificates else None

    @property
    def datadir(self) -> Path:
        return self.folder / "data"

    @property
    def files(self) -> Path:
        """The only folder that INTO OUTFILE, LOAD DATA INFILE and LOAD_FILE() may use."""
        return self.folder / "files"

    def load_time_zones(self, *names: str) -> None:
        """Let CONVERT_TZ() and SET time_zone know these zones; all take ten seconds.

        A server starts without any. Names are zoneinfo's, such as "Europe/Berlin"; "UTC" is one.
        """
        import zoneinfo

        import pymy

        from .timezones import load_time_zones

        with pymy.connect(self.dsn) as connection:
            load_time_zones(connection, names or sorted(zoneinfo.available_timezones()))

    def is_running(self) -> bool:
        """Tell whether the server process lives."""
        return self._process is not None and self._process.poll()

    def log_tail(self, lines: int = 20) -> str:
        """Read the last lines of the server's log, also after it stopped."""
        text = tail(self._process.log, lines) if self._process else self._last_log
        return "\n".join(text.splitlines()[-lines:])

    # -- inside --------------------------------------------------------------------------------

    def _running(self) -> Process:
        if self._process is None:
            raise SandboxError("the server is not running: call start() or use `with`")
        return self._process

    def _launch(self, program: Program, source: Path) -> None:
        self._folder = folder = short_folder(self.flavour)
        # The certificates' flags name files that are made while the supervisor starts.
        self._certificates = certificate_paths(folder) if self.tls else None
        self._process = process = Process(
            [*program.argv, *program.base_flags(), *self._flavour.flags(program), *self._flags()],
            log=folder / "server.log",
            folder=folder,
        )
        try:
            (folder / "tmp").mkdir()
            (folder / "files").mkdir()
            init = folder / "init.sql"
            init.touch(0o600)
            init.write_text(tcp_accounts(self._flavour, self.tcp_password))
            copy_template(source, folder / "data")
            if self._certificates:
                make_certificates(self._certificates)
            process.start()
            self._await_greeting(process)
        except BaseException:
            self.stop()
            raise

    def _flags(self) -> list[str]:
        flags = [
            f"--datadir={self._folder}/data",
            f"--tmpdir={self._folder}/tmp",
            f"--socket={self._folder}/sock",
            f"--pid-file={self._folder}/pid",
            f"--secure-file-priv={self._folder}/files",
            f"--init-file={self._folder}/init.sql",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
        ]
        if made := self._certificates:
            flags += [
                f"--ssl-ca={made.ca}",
                f"--ssl-cert={made.server_cert}",
                f"--ssl-key={made.server_key}",
            ]
        elif self._flavour.tls:
            # Both newer servers would make certificates of their own.
            flags.append("--skip-ssl" if self.is_mariadb else "--tls-version=")
        if self.binlog:
            flags += self._flavour.binlog
        flags += [f"--plugin-load-add={name}" for name in self.plugins]
        return [*flags, *self.options]

    def _await_greeting(self, process: Process) -> None:
        deadline = time.monotonic() + self.start_timeout
        pause = 0.005
        while process.poll(pause):
            if version := greeting(os.fspath(self.folder / "sock")):
                self.version = version
                return
            if time.monotonic() > deadline:
                break
            pause = min(pause * 1.5, 0.1)
        why = (
            f"did not answer within {self.start_timeout:g} s"
            if process.exit_code is None
            else "did not start"
        )
        raise SandboxError(
            f"{self._flavour.title} ({self.flavour}) {why}; its log ends:\n"
            f"{last_words(process.log)}"
        )


def greeting(path: str) -> str | None:
    """Ask for the version a server greets with; None while it does not greet.

    HandshakeV10: 3 bytes length, sequence id, 0x0a, version up to NUL.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(path)
            packet = connection.recv(512)
        except OSError:
            return None
    if packet[4:5] != b"\n":
        return None
    # MariaDB before 11 puts 5.5.5- in front, for the sake of old replicas.
    return packet[5:].split(b"\0")[0].decode("ascii", "replace").removeprefix("5.5.5-")


def free_port() -> int:
    """Choose a port below the kernel's range for outgoing connections, which could take it."""
    choose = random.SystemRandom()
    for _ in range(200):
        port = choose.randrange(13000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind((Server.host, port))
            except OSError:
                continue
            return port
    raise SandboxError("no free TCP port between 13000 and 32000 on 127.0.0.1")


def short_folder(flavour: str) -> Path:
    """Make a temporary folder whose sockets fit into sun_path (108 bytes)."""
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder)) > 70 and os.access("/tmp", os.W_OK):
        folder = "/tmp"
    return Path(tempfile.mkdtemp(prefix=f"pymy-{flavour}-", dir=folder))
