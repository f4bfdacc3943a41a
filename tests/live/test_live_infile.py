"""LOAD DATA LOCAL INFILE: who may send which file."""

from __future__ import annotations

import io

import pytest

import pymy
from pymy.constants import CR

LOAD = "load data local infile %s into table t character set utf8mb4 (a, b)"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("".join(f"{n}\trow ä {n}\n" for n in range(1000)), encoding="utf-8")
    return path


@pytest.fixture
def loader(connect):
    def make(policy):
        conn = connect(local_infile=policy, multi_statements=True)
        conn.query("create table t (a int, b varchar(20)) charset utf8mb4")
        return conn

    return make


def count(conn):
    return conn.execute("select count(*) from t").fetchone()[0]


def refused(conn, path):
    with pytest.raises(pymy.OperationalError) as caught:
        conn.execute(LOAD, (str(path),))
    assert caught.value.errno == CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED
    assert not caught.value.fatal
    assert count(conn) == 0


def test_allowed_folder(loader, file):
    conn = loader([file.parent])
    assert conn.execute(LOAD, (str(file),)).rowcount == 1000
    assert conn.execute("select * from t where a = 999").fetchone() == (999, "row ä 999")


def test_allowed_file(loader, file):
    assert loader([str(file)]).execute(LOAD, (str(file),)).rowcount == 1000


def test_true_allows_all(loader, file):
    assert loader(True).execute(LOAD, (str(file),)).rowcount == 1000


def test_off(loader, file):
    conn = loader(False)
    with pytest.raises(pymy.Error) as caught:
        conn.execute(LOAD, (str(file),))
    assert not caught.value.fatal
    assert count(conn) == 0


def test_another_folder(loader, file, tmp_path):
    (tmp_path / "open").mkdir()
    refused(loader([tmp_path / "open"]), file)


def test_dots_do_not_escape(loader, file, tmp_path):
    (tmp_path / "open").mkdir()
    refused(loader([tmp_path / "open"]), tmp_path / "open" / ".." / file.name)


def test_links_do_not_escape(loader, file, tmp_path):
    allowed = tmp_path / "open"
    allowed.mkdir()
    (allowed / "link.tsv").symlink_to(file)
    refused(loader([allowed]), allowed / "link.tsv")


def test_name_that_only_starts_alike(loader, file, tmp_path):
    allowed = tmp_path / "open"
    allowed.mkdir()
    other = tmp_path / "open-not"
    other.mkdir()
    (other / "rows.tsv").write_text("1\tx\n")
    refused(loader([allowed]), other / "rows.tsv")


def test_missing_file(loader, tmp_path):
    conn = loader([tmp_path])
    with pytest.raises((OSError, pymy.OperationalError)):
        conn.execute(LOAD, (str(tmp_path / "none"),))
    assert count(conn) == 0


def test_empty_file(loader, tmp_path):
    (tmp_path / "empty").touch()
    assert loader([tmp_path]).execute(LOAD, (str(tmp_path / "empty"),)).rowcount == 0


def test_large_file(loader, tmp_path):
    path = tmp_path / "large"
    path.write_text("1\tabcdefghijklmnopqrs\n" * 1_000_000)  # 22 MB: many packets
    assert loader([tmp_path]).execute(LOAD, (str(path),)).rowcount == 1_000_000


@pytest.mark.parametrize(
    "source",
    [
        lambda name: io.BytesIO(b"1\ta\n2\tb\n"),
        lambda name: [b"1\t", b"", b"a\n2", b"\tb\n"],
        lambda name: iter([b"1\ta\n2\tb\n"]),
        lambda name: (piece for piece in (bytearray(b"1\ta\n"), memoryview(b"2\tb\n"))),
    ],
    ids=["file", "list", "iterator", "generator"],
)
def test_handler(loader, source):
    names = []

    def handler(name):
        names.append(name)
        return source(name)

    conn = loader(handler)
    assert conn.execute(LOAD, ("no file: ä",)).rowcount == 2
    assert names == ["no file: ä".encode()]
    assert conn.execute("select * from t order by a").fetchall() == ((1, "a"), (2, "b"))


def test_handler_refuses(loader):
    refused(loader(lambda name: None), "anything")


def test_handler_raises_before(loader):
    def handler(name):
        raise LookupError("no such upload")

    conn = loader(handler)
    with pytest.raises(LookupError, match="no such upload"):
        conn.execute(LOAD, ("x",))
    assert count(conn) == 0


def test_handler_raises_midway(loader):
    def rows():
        yield b"1\ta\n" * 100_000
        raise ZeroDivisionError("midway")

    conn = loader(lambda name: rows())
    with pytest.raises(ZeroDivisionError, match="midway"):
        conn.execute(LOAD, ("x",))
    conn.rollback()
    assert count(conn) == 0


def test_handler_gives_text(loader):
    conn = loader(lambda name: io.StringIO("1\ta\n"))
    with pytest.raises(TypeError, match="binary mode"):
        conn.execute(LOAD, ("x",))
    conn.rollback()
    assert count(conn) == 0


def test_handlers_file_is_closed(loader):
    file = io.BytesIO(b"1\ta\n")
    loader(lambda name: file).execute(LOAD, ("x",))
    assert file.closed


def test_error_after_the_file(loader, file):
    conn = loader([file.parent])
    conn.query("create unique index u on t (b)")
    conn.query("insert into t values (1, 'row ä 5')")
    conn.commit()
    with pytest.raises(pymy.Error) as caught:
        # LOCAL turns duplicates into warnings; a column that is not there stays an error
        conn.execute("load data local infile %s into table t (a, nothing)", (str(file),))
    assert not caught.value.fatal
    assert count(conn) == 1


def test_warnings(loader, file):
    conn = loader([file.parent])
    file.write_bytes(b"1\ta\nnot a number\tb\n")
    cursor = conn.execute(LOAD, (str(file),))
    assert cursor.warning_count == 1
    assert conn._result.message == "Records: 2  Deleted: 0  Skipped: 0  Warnings: 1"


def test_between_other_statements(loader, file):
    conn = loader([file.parent])
    cursor = conn.execute(f"select 1; {LOAD}; select 2", (str(file),))
    assert cursor.fetchone() == (1,)
    assert cursor.nextset() is True
    assert cursor.rowcount == 1000
    assert cursor.nextset() is True
    assert cursor.fetchone() == (2,)


@pytest.mark.parametrize("compress", ["zlib"])
def test_compressed(connect, file, compress):
    conn = connect(local_infile=[file.parent], compress=compress)
    conn.query("create table t (a int, b varchar(20))")
    assert conn.execute(LOAD, (str(file),)).rowcount == 1000
