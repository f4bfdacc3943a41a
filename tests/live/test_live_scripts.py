"""Scripts on real servers: dumps go round, errors tell where, memory stays flat."""

from __future__ import annotations

import gzip
import io
import itertools
import uuid

import dumps
import pytest

import pymy
from pymy.constants import CR, ER


@pytest.fixture
def another_db(server):
    """A second empty database; ask for it before connections, which may hold locks in it."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    with pymy.connect(server.dsn, read_timeout=60) as admin:
        admin.query(f"create database {name}")
        yield name
        admin.query(f"drop database {name}")


@pytest.mark.only("blocking,asyncio", "dumping takes its time")
@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--hex-blob",),
        ("--skip-extended-insert", "--complete-insert"),
        ("--skip-opt", "--create-options", "--set-charset"),
    ],
    ids=lambda flags: flags[0] if flags else "plain",
)
def test_dumps_go_round(server, db, another_db, conn, connect, tmp_path, flags):
    dumps.command(server)  # skips where there is no such program
    conn.run_script([dumps.SCHEMA])
    dumps.fill(conn, 3000)
    path = dumps.dump(server, db, tmp_path / "dump.sql", *dumps.WHOLE, *flags)
    if conn.is_mariadb:
        assert path.read_bytes().startswith(b"/*M!999999\\- enable the sandbox mode */")
    if flags != ("--hex-blob",):
        with pytest.raises(UnicodeDecodeError):
            path.read_text("utf-8")
    sizes = []
    copy = connect(server.dsn_for(another_db), autocommit=True)
    done = copy.run_script(str(path), progress=lambda so_far: sizes.append(so_far.size))
    assert dumps.checksums(copy) == dumps.checksums(conn)
    # behind the last statement, mysqldump and mariadb-dump say when they ended
    assert sizes == sorted(sizes) and path.stat().st_size - 100 < done.size == sizes[-1]
    assert len(sizes) == done.statements > 30
    assert done.rows == 3000 * 4


@pytest.mark.only("blocking", "what differs is what is read")
def test_a_routine_that_ends_in_a_comment(server, db, another_db, conn, connect, tmp_path):
    """mysqldump puts the delimiter into the comment, where it is none."""
    conn.run_script(
        ["delimiter //\ncreate function f() returns int deterministic return 1 -- it's\n//"]
    )
    path = dumps.dump(server, db, tmp_path / "dump.sql", *dumps.WHOLE)
    copy = connect(server.dsn_for(another_db))
    copy.run_script(path)
    assert copy.execute("select f()").fetchone() == (1,)


@pytest.mark.only("blocking", "what differs is how the file is read")
def test_dumps_come_in_many_ways(server, db, another_db, conn, connect, tmp_path):
    dumps.command(server)  # skips where there is no such program
    conn.run_script([dumps.SCHEMA])
    dumps.fill(conn, 200)
    path = dumps.dump(
        server, db, tmp_path / "dump.sql", *dumps.WHOLE, "--hex-blob", "--add-drop-table"
    )
    expected = dumps.checksums(conn)
    content = path.read_bytes()
    packed = tmp_path / "dump.gz"
    packed.write_bytes(gzip.compress(content))
    copy = connect(server.dsn_for(another_db), autocommit=True)
    drop = f"drop database {another_db}; create database {another_db}; use {another_db}"
    pieces = itertools.cycle((1, 7, 4096, 3))

    def cut():
        rest = memoryview(content)
        while rest:
            size = next(pieces)
            yield rest[:size]
            rest = rest[size:]

    with path.open("rb") as binary, path.open(encoding="utf-8", newline="") as text:
        for script in (path, packed, binary, text, io.BytesIO(content), cut(), [content]):
            copy.run_script([drop])
            copy.run_script(script)
            assert dumps.checksums(copy) == expected


def test_results_are_dropped_and_counted(conn):
    done = conn.run_script(
        [
            "create table t (a int, b varchar(3)); insert into t values (1, 'a'), (2, 'b');\n"
            "select * from t; update t set b = 'c'; select cast('x' as signed);\n"
            "delimiter //\ncreate procedure p() begin select 1; select repeat('x', 3000000);\n"
            "insert into t values (3, 'd'); end//\n call p()//\n"
        ]
    )
    assert done == (7, 5, 1, done.size)
    assert conn.execute("select count(*) from t").fetchone() == (3,)


def test_a_failed_statement_tells_its_line(conn):
    conn.query("create table t (a int primary key)")
    script = "insert into t values (1);\n\n-- x\ninsert into t\nvalues (2), (1);\nselect 1"
    with pytest.raises(pymy.IntegrityError) as caught:
        conn.run_script([script])
    error = caught.value
    assert (error.errno, error.line) == (ER.DUP_ENTRY, 4)
    assert error.statement == "insert into t values (2), (1)"
    assert error.message.endswith("(in line 4 of the script: insert into t values (2), (1))")
    assert error.sent and not error.fatal
    assert conn.execute("select a from t").fetchall() == ((1,),)


def test_what_an_error_shows_is_short_and_printable(conn):
    script = b"select 'a\xff\x1b\0', '" + "é".encode() * 400 + b"' from nowhere"
    with pytest.raises(pymy.Error) as caught:
        conn.run_script([script])
    shown = caught.value.statement
    assert shown.startswith("select 'a\ufffd\ufffd\ufffd', 'éé") and shown.endswith("...")
    assert len(shown) < 210 and shown.removesuffix("...").isprintable()


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (["insert into t values (1);\nselect 'a"], 2),
        (["insert into t values (1);\n/* a"], 2),
        (["insert into t values (1);\ndelimiter\n"], 2),
        (["insert into t values (1);\nse", "lect 1 from nowhere"], 2),
        (["insert into t values (1);\n\0 select 1"], 2),
    ],
)
def test_the_connection_is_usable_after_an_error(conn, script, line):
    conn.query("create table t (a int)")
    with pytest.raises(pymy.ProgrammingError) as caught:
        conn.run_script(script)
    assert caught.value.line == line
    assert conn.execute("select a from t").fetchall() == ((1,),)


def test_a_statement_above_the_limit_is_not_read_to_its_end(connect):
    conn = connect(max_allowed_packet=2_000_000)
    conn.query("create table t (a longtext)")
    read = 0

    def script():
        nonlocal read
        yield "insert into t values ('a');\ninsert into t values ('"
        for _ in range(1000):
            read += 1
            yield "x" * 100_000
        yield "');"

    with pytest.raises(pymy.OperationalError) as caught:
        conn.run_script(script())
    assert caught.value.errno == CR.CR_NET_PACKET_TOO_LARGE
    assert caught.value.line == 2
    assert "max_allowed_packet" in caught.value.message
    # the statement before it has run: to run the script again is another thing
    assert caught.value.sent
    assert read < 60
    assert conn.execute("select count(*) from t").fetchone() == (1,)


def test_the_servers_limit_counts_too(connect, set_global):
    set_global("max_allowed_packet", 2 * 1024 * 1024)
    conn = connect()
    with pytest.raises(pymy.OperationalError) as caught:
        conn.run_script(["select 1;\n\nselect length('" + "x" * 3_000_000 + "')"])
    assert (caught.value.errno, caught.value.line) == (CR.CR_NET_PACKET_TOO_LARGE, 3)
    assert conn.run_script(["select length('" + "x" * 1_500_000 + "')"]).statements == 1


def test_the_sql_mode_is_the_sessions(conn):
    script = r"""
        create table t (a varchar(20));
        insert into t values ('a\';b');
        set @before = @@sql_mode;
        set sql_mode = concat(@@sql_mode, ',NO_BACKSLASH_ESCAPES');
        insert into t values ('c\'); insert into t values (';d\');
        set sql_mode = concat(@before, ',ANSI_QUOTES');
        insert into t ("a") values ('e'); create table "x\" (a int); drop table "x\";
        set sql_mode = @before;
        insert into t values ('\';f');
    """
    conn.run_script([script])
    assert [a for (a,) in conn.execute("select a from t").fetchall()] == [
        "a';b", "c\\", ";d\\", "e", "';f",
    ]  # fmt: skip


def test_text_is_encoded_as_the_connection_says(connect):
    for charset in ("utf8mb4", "latin1"):
        conn = connect(charset=charset)
        conn.run_script(["set @a = 'é;'; "])
        assert conn.execute("select hex(convert(@a using utf8mb4))").fetchone() == ("C3A93B",)
        with pytest.raises(pymy.DataError) as caught:
            conn.run_script(["select 1;\nselect '\ud800'"])
        assert caught.value.line == 2


def test_charsets_with_quotes_in_their_characters(connect):
    """0x5c and 0x27 are bytes of characters there: text can be split, bytes cannot."""
    conn = connect(charset="gbk")
    conn.run_script(["set @a = '縗', @b = ';'"])  # 0xbf5c
    assert conn.execute("select hex(@a), @b").fetchone() == ("BF5C", ";")
    with pytest.raises(pymy.NotSupportedError) as caught:
        conn.run_script([b"select 1;\nset @a = '\xbf\x5c', @b = ';'"])
    assert (caught.value.errno, caught.value.line) == (CR.CR_UNSAFE_CHARSET, 2)


def test_a_script_that_changes_the_charset(conn, needs):
    needs("session tracking")
    for script in ("set names gbk; select 'é'", "set names gbk; select 'é'".encode()):
        with pytest.raises(pymy.NotSupportedError):
            conn.run_script([script])
        conn.query("set names utf8mb4")


def test_local_files_stay_off(conn, connect, tmp_path):
    path = tmp_path / "rows"
    path.write_text("1\n2\n")
    script = f"create table if not exists t (a int);\nload data local infile '{path}' into table t;"
    with pytest.raises(pymy.OperationalError) as caught:
        conn.run_script([script])
    assert caught.value.line == 2
    assert conn.execute("select count(*) from t").fetchone() == (0,)
    assert connect(local_infile=[tmp_path]).run_script([script]).rows == 2


def test_what_the_program_raises_comes_out(conn):
    conn.query("create table t (a int)")

    class Own(Exception):
        pass

    def broken():
        yield "insert into t values (1);"
        raise Own

    def refuse(done):
        raise Own

    def lost(done):
        raise pymy.OperationalError(CR.CR_SERVER_LOST, "of another connection", fatal=True)

    for script, progress, error in (
        (broken(), None, Own),
        (["insert into t values (2); insert into t values (3)"], refuse, Own),
        (["insert into t values (4)"], lost, pymy.OperationalError),
        (["insert into t values (5); select '", b"'"], None, TypeError),
        ([5], None, TypeError),
        (5, None, TypeError),
        (b"select 1", None, TypeError),
        ("/nowhere/at/all.sql", None, pymy.OperationalError),
    ):
        with pytest.raises(error):
            conn.run_script(script, progress=progress)
        conn.ping()
    assert conn.execute("select a from t").fetchall() == ((1,), (2,), (4,), (5,))


def test_a_broken_gzip_file(conn, tmp_path):
    path = tmp_path / "script.sql.gz"
    path.write_bytes(gzip.compress(b"select 1;" * 1000)[:-20])
    with pytest.raises(pymy.OperationalError, match=r"script\.sql\.gz' cannot be read"):
        conn.run_script(path)
    with path.open("rb") as file, pytest.raises(pymy.ProgrammingError, match=r"gzip\.open"):
        conn.run_script(file)
    conn.ping()
