"""A database with what dumps are hard about, and programs that dump it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from pymy.sandbox import SandboxError, Server, client_command

PROGRAMS = {"mariadb": "mariadb-dump", "mariadb11": "mariadb-dump", "mysql": "mysqldump"}
WHOLE = ("--routines", "--events", "--triggers", "--single-transaction", "--no-tablespaces")

SCHEMA = r"""
create table text_ (id int primary key, t text, `a``b;c` varchar(50) default 'x;''y')
    charset utf8mb4 comment = 'it''s; -- "a" /* comment */';
create table binary_ (id int primary key, b longblob, c varbinary(300), d bit(9));
create table other (
    id int auto_increment primary key, n decimal(20, 5), f double, d date, e datetime(6), t time(3),
    s set('a', 'b;', 'c''d')
);
create table made (n int, g int generated always as (n * 2) stored, `v;` int as (n * 3));
insert into made (n) values (1), (2);
create table log (id int auto_increment primary key, what varchar(100));
create view v as select id, 'it''s; // ;;' as q, t from text_ where t <> ';';
delimiter //
create trigger tr after insert on text_ for each row
begin
    -- it's; a comment
    /* another; one */
    if new.id > 0 then
        insert into log (what) values (concat('new;; // ', new.id, "'"));
    end if;
end//
create procedure p(in n int)
begin
    declare s varchar(20) default ';;//';
    select s, n; # it's
end//
create function f(n int) returns int deterministic
return n / 2 -- 1
- 1//
create event ev on schedule every 1 day disable do
begin
    delete from log where id < 0; delete from log where what = 'a;b';
end//
delimiter ;
"""
ODD = [
    "",
    "it's",
    '"',
    "\\",
    "\\'",
    ";",
    "\n;\r\n--\n",
    "/*",
    "*/",
    "`",
    "é 😀 漢",
    "\0\x1a\t",
    "//",
    ";;",
]
EVERY_BYTE = bytes(range(256))


def fill(conn: Any, rows: int) -> None:
    text = [(n, f"{ODD[n % len(ODD)]} {n} {'abc ' * (n % 90)}") for n in range(rows)]
    conn.cursor().executemany("insert into text_ (id, t) values (%s, %s)", text)
    values = [
        (
            n,
            EVERY_BYTE[n % 256 :] + EVERY_BYTE * (n % 3),
            EVERY_BYTE[: n % 257],
            bytes((n % 2, n % 256)),
        )
        for n in range(rows)
    ]
    conn.cursor().executemany("insert into binary_ values (%s, %s, %s, %s)", values)
    conn.cursor().executemany(
        "insert into other (n, f, d, e, t, s) values (%s, %s, %s, %s, %s, %s)",
        [
            (
                f"{n}.{n:05}"[:12],
                n / 7,
                "2024-02-29",
                "2024-02-29 01:02:03.000456",
                "-12:00:01.5",
                "b;,c'd",
            )
            for n in range(1, rows)
        ],
    )
    conn.commit()


def checksums(conn: Any) -> list[tuple[Any, ...]]:
    """What a database holds: its rows' checksums, and the texts of all that is no table."""
    # not made: MariaDB's checksum of an unchanged table with a generated column changes
    tables = ("text_", "binary_", "other", "log")
    names = ", ".join(tables)
    found = [
        (name.partition(".")[2], value) for name, value in conn.execute(f"checksum table {names}")
    ]
    assert len(found) == 4 and all(value for _, value in found)
    found += conn.execute("select * from made order by n").fetchall()
    for query in (
        "select trigger_name, action_statement from information_schema.triggers "
        "where trigger_schema = database() order by 1",
        "select routine_name, routine_type, routine_definition from information_schema.routines "
        "where routine_schema = database() order by 1",
        "select event_name, event_definition, status from information_schema.events "
        "where event_schema = database() order by 1",
        "select column_name, column_type, column_default, generation_expression "
        "from information_schema.columns where table_schema = database() order by 1, 2, table_name",
    ):
        part = conn.execute(query).fetchall()
        assert part
        found += part
    found += conn.execute("select * from v order by id").fetchall()
    found += conn.execute("select f(9)").fetchall()
    return found


def command(server: Any) -> tuple[str, ...]:
    """Tell how to dump a database of this server; skips where that cannot be."""
    if not isinstance(server, Server) or server.flavour not in PROGRAMS:
        pytest.skip("no dump program is known for this server")
    try:
        argv = client_command(server.flavour, PROGRAMS[server.flavour])
    except SandboxError as error:
        pytest.skip(f"{PROGRAMS[server.flavour]} cannot be had: {error}")
    return (*argv, "--no-defaults", f"--socket={server.unix_socket}", "--user=root")


def dump(server: Any, database: str, path: Path, *flags: str) -> Path:
    argv = command(server)
    with path.open("wb") as out:
        done = subprocess.run(
            [*argv, *flags, database], stdout=out, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 0, done.stderr
    return path
