"""load_rows(): rows as the file of a LOAD DATA LOCAL, and as INSERTs where that is refused."""

from __future__ import annotations

import array
import asyncio
import datetime
import decimal
import enum
import itertools
import tracemalloc
import uuid

import pytest

import pymy
import pymy.aio
from pymy.constants import CR, ER
from pymy.sql import Raw

ROWS = [(n, f"row {n}") for n in range(1000)]


@pytest.fixture(params=["file", "inserts"])
def way(request, set_global):
    """Whether the server takes local files; the outcome must not hang on it."""
    set_global("local_infile", request.param == "file")
    return request.param


@pytest.fixture
def table(connect, way):
    conn = connect(autocommit=True)
    conn.query("create table t (a int primary key, b varchar(30)) engine=innodb charset utf8mb4")
    return conn


def content(conn, sql="select * from t order by a"):
    return list(conn.execute(sql).fetchall())


def failing(conn, rows, kind, **options):
    with pytest.raises(kind) as caught:
        conn.load_rows("t", rows, **options)
    assert conn.open
    return caught.value


def test_rows(table, way):
    before = int(table.execute("show session status like 'Com_load'").fetchone()[1])
    assert table.load_rows("t", ROWS) == 1000
    assert content(table) == ROWS
    after = int(table.execute("show session status like 'Com_load'").fetchone()[1])
    # MySQL counts the one it refuses
    assert after - before == 1 if way == "file" else after - before <= 1
    assert not table.in_transaction


def test_columns_and_dicts(table):
    assert table.load_rows("t", [("x", 1), ["y", 2]], ["b", "a"]) == 2
    assert table.load_rows("t", [{"a": 3, "b": "z", "c": "not meant"}], ["a", "b"]) == 1
    assert table.load_rows("t", [{"b": "w", "a": 4}]) == 1
    assert table.load_rows("t", (range(n, n + 1) for n in (5, 6)), ("a",)) == 2
    assert content(table) == [(1, "x"), (2, "y"), (3, "z"), (4, "w"), (5, None), (6, None)]


def test_names_are_quoted(table, db):
    table.query("create table `odd ``name%s` (`a``b` int, `select` binary(2), `c.d%%` text)")
    rows = [(1, b"\xff\x00", "x")]
    assert table.load_rows(f"{db}.odd `name%s", rows) == 1
    assert table.load_rows("odd `name%s", [("x", 2, b"ab")], ["c.d%%", "a`b", "select"]) == 1
    found = table.execute("select * from `odd ``name%%s` order by 1", ()).fetchall()
    assert found == ((1, b"\xff\x00", "x"), (2, b"ab", "x"))


def test_no_rows(table):
    assert table.load_rows("t", []) == 0
    assert table.load_rows("t", iter(())) == 0
    assert content(table) == []


TEXTS = [
    None, "", " ",
    "a\tb", "a\nb", "a\r\nb", "a\0b", "back\\slash", "\\", "\\N", "N", "NULL", "'", '"',
    "it''s", "\\t", "\x1a", "ä", "\U0001f600", "trailing\\", "\ttab", ",;|", "%s", "--", "\x08",
]  # fmt: skip


@pytest.mark.parametrize("mode", ["", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES,STRICT_ALL_TABLES"])
def test_texts(table, mode):
    table.query(f"set session sql_mode='{mode}'")
    table.load_rows("t", list(enumerate(TEXTS)))
    assert content(table) == list(enumerate(TEXTS))


def test_one_column(table):
    table.query("create table one (a varchar(9))")
    assert table.load_rows("one", [("",), (None,), ("x",), ("",)]) == 4
    assert content(table, "select a, count(*) from one group by a order by a") == [
        (None, 1), ("", 2), ("x", 1),
    ]  # fmt: skip


class Colour(enum.Enum):
    RED = "red"


ALL_BYTES = bytes(range(256))
TYPED = [
    ("tinyint", [None, 1, -128, True, False]),
    ("bigint unsigned", [0, 2**64 - 1]),
    ("double", [1.5, -0.0, 1e300, 5e-324, 3]),
    ("decimal(40,10)", [decimal.Decimal("12345678901234567890.0123456789"), 1, decimal.Decimal(0)]),
    ("varchar(50) charset latin1", ["ä", b"plain"]),
    ("varchar(50) charset utf8mb4", ["\U0001f600", "ä".encode(), uuid.UUID(int=5), Colour.RED]),
    ("varbinary(300)", [ALL_BYTES, b"", None, bytearray(b"x"), memoryview(b"y"), "text"]),
    ("blob", [ALL_BYTES, b"", None, "ä"]),
    ("binary(3)", [b"abc", b"\0\t\n"]),
    ("date", [datetime.date(2024, 2, 29), "2024-01-01", None]),
    ("datetime(6)", [datetime.datetime(2024, 2, 29, 1, 2, 3, 456), datetime.datetime(1, 1, 1)]),
    ("time(6)", [datetime.timedelta(hours=-30, microseconds=5), datetime.time(1, 2, 3)]),
    ("year", [2024, 1901]),
    ("bit(8)", [b"\xa5", 5, True, None, 0]),
    ("bit(64)", [2**64 - 1, b"\x01\x00\x00\x00\x00\x00\x00\x09"]),
    ("enum('x','y')", ["x", "y", None]),
    ("set('x','y')", ["x,y", "", None]),
    ("json", ['{"a": "b\\\\n\\u00e4"}', "[1]", None]),
    ("point", [b"\0" * 4 + b"\1\1" + b"\0" * 19, None]),
]


@pytest.mark.parametrize(("kind", "values"), TYPED, ids=[kind for kind, _ in TYPED])
def test_values_are_those_of_parameters(table, needs, kind, values):
    if kind == "json":
        needs("json")
    for name in ("loaded", "executed"):
        table.query(f"create table {name} (n int primary key, v {kind})")
    rows = list(enumerate(values))
    assert table.load_rows("loaded", rows) == len(rows)
    for row in rows:
        table.execute("insert into executed values (%s, %s)", row)
    loaded = content(table, "select * from loaded order by n")
    assert loaded == content(table, "select * from executed order by n")
    assert [v is None for _, v in loaded] == [v is None for v in values]


@pytest.mark.parametrize(
    ("feature", "kind", "value"),
    [
        ("uuid", "uuid", uuid.UUID(int=77)),
        ("inet6", "inet6", "::1"),
        ("vector", "vector(2)", array.array("f", [1.5, 2.5])),
    ],
)
def test_types_of_some_servers(table, needs, feature, kind, value):
    needs(feature)
    table.query(f"create table s (v {kind})")
    assert table.load_rows("s", [(value,), (None,)]) == 2
    assert table.execute("select count(v), count(*) from s").fetchone() == (1, 2)
    table.query("create table p like s")
    table.execute("insert into p values (%s)", (value,))
    assert content(table, "select * from p")[0] in content(table, "select * from s")


@pytest.mark.parametrize("charset", ["latin1", "utf8mb3", "gbk"])
def test_other_charsets(connect, table, charset):
    conn = connect(charset=charset, autocommit=True)
    conn.query("create table c (a text charset utf8mb4, b blob)")
    assert conn.load_rows("c", [("plain", b"\xff")]) == 1
    assert table.execute("select * from c").fetchall() == (("plain", b"\xff"),)


def test_converters_of_ones_own(connect, table):
    conn = connect(autocommit=True, conv={**pymy.converters.conversions, 3: str, 8: str})
    assert conn.load_rows("t", ROWS) == 1000


# what does not fit


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ((6, object()), TypeError),
        ((6, [1, 2]), TypeError),
        ((6, {"a": 1}), TypeError),
        ((6, Raw("now()")), TypeError),
        ((float("nan"), "x"), pymy.DataError),
        ((6, "\ud800"), pymy.DataError),
        ((6,), pymy.ProgrammingError),
        ((6, "x", 1), pymy.ProgrammingError),
        ({"a": 6}, pymy.ProgrammingError),
        (5, TypeError),
        ("ab", TypeError),
        ((6, "x" * 31), pymy.DataError),
        (("five", "x"), pymy.DataError),
        ((2**40, "x"), pymy.DataError),
    ],
)
@pytest.mark.parametrize("mode", ["STRICT_TRANS_TABLES", ""])
def test_a_row_that_does_not_fit(table, row, kind, mode):
    """Nothing is adjusted, whatever the SQL mode, and nothing of the others stays."""
    table.query(f"set session sql_mode='{mode}'")
    rows = [row if n == 5 else (n + 1, "x") for n in range(9000)]
    error = failing(table, rows, kind)
    assert error.row_index == 5
    assert content(table) == []
    assert table.load_rows("t", ROWS) == 1000


def test_duplicates(table, kind, way):
    table.query("insert into t values (7, 'was there')")
    error = failing(table, ROWS, pymy.IntegrityError)
    if kind == "mysql56" and way == "file":  # it skips them without a word
        assert "took 999 of 1000 rows" in error.message
    else:
        assert error.errno == ER.DUP_ENTRY
    assert content(table) == [(7, "was there")]


def test_null_that_may_not_be(table):
    table.query("alter table t modify b varchar(30) not null")
    error = failing(table, [(1, "x"), (2, None)], (pymy.DataError, pymy.IntegrityError))
    assert error.row_index in (1, None)
    assert content(table) == []


def test_foreign_keys(table):
    table.query("create table child (a int, foreign key (a) references t (a)) engine=innodb")
    table.load_rows("t", [(1, "x")])
    with pytest.raises(pymy.IntegrityError):
        table.load_rows("child", [(1,), (2,)])
    assert content(table, "select * from child") == []
    assert table.load_rows("child", [(1,), (None,)]) == 2


def test_notes_are_no_errors(table):
    table.query("create table d (v decimal(5,2))")
    assert table.load_rows("d", [(decimal.Decimal("1.23456"),)]) == 1


VARIABLES = "@_pymy_notes, @_pymy_errors, @_pymy_3, @_pymy_row"


@pytest.mark.parametrize("mode", ["STRICT_TRANS_TABLES", ""])
@pytest.mark.parametrize("most", [0, 64])
def test_what_is_behind_more_notes_than_the_server_lists(connect, table, kind, way, mode, most):
    conn = connect(autocommit=True)
    conn.query(f"set sql_mode='{mode}', max_error_count={most}")
    conn.query(
        "create table d (a int primary key, v decimal(5,2), c varchar(3), b blob) engine=innodb"
    )
    rows = [(n, decimal.Decimal("1.23456"), "abc", b"last") for n in range(200)]
    assert conn.load_rows("d", rows) == 200
    conn.query("delete from d")
    with pytest.raises(pymy.DataError) as caught:
        conn.load_rows("d", [*rows, (200, 1, "too long", b"")])
    assert caught.value.errno in (ER.DATA_TOO_LONG, ER.WARN_DATA_TRUNCATED)
    assert caught.value.row_index == 200
    with pytest.raises(pymy.IntegrityError) as caught:
        conn.load_rows("d", [*rows, (7, 1, "abc", b"")])
    if kind != "mysql56" or way != "file":
        assert caught.value.errno == ER.DUP_ENTRY
    assert content(conn, "select * from d") == []
    # the session is left as it was
    assert content(conn, f"select @@sql_notes, @@max_error_count, {VARIABLES}") == [
        (1, most, None, None, None, None)
    ]


def test_rows_that_lack_a_name_say_so(table):
    error = failing(table, [{"a": 1, "b": "x"}, {"a": 2}], pymy.ProgrammingError)
    assert "a row has no 'b'" in error.message
    assert str(failing(table, [5], TypeError)) == "a row is a tuple, list or dict, not int"


@pytest.mark.parametrize("table_name", ["nowhere", "no.where"])
def test_no_such_table(table, table_name):
    with pytest.raises(pymy.Error) as caught:
        table.load_rows(table_name, ROWS)
    assert caught.value.errno in (ER.NO_SUCH_TABLE, ER.BAD_DB_ERROR)
    assert not table.in_transaction


@pytest.mark.parametrize("columns", [["a", "nope"], [], "ab"])
def test_columns_that_cannot_be(table, columns):
    failing(table, ROWS, pymy.Error, columns=columns)
    assert content(table) == []


@pytest.mark.parametrize("rows", [None, 5, "ab", b"ab", {"a": 1}])
def test_what_are_no_rows(table, rows):
    failing(table, rows, TypeError)


# transactions


def test_within_a_transaction(table):
    table.begin()
    table.query("insert into t values (5000, 'before')")
    assert table.load_rows("t", ROWS[:10]) == 10
    failing(table, ROWS, pymy.IntegrityError)
    assert len(content(table)) == 11
    assert table.in_transaction
    table.rollback()
    assert content(table) == []


def test_with_autocommit_off(connect, table):
    conn = connect(autocommit=False)
    assert conn.load_rows("t", ROWS[:10]) == 10
    failing(conn, ROWS, pymy.IntegrityError)
    assert len(content(conn)) == 10
    assert content(table) == []
    conn.commit()
    assert len(content(table)) == 10


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_source_that_raises(connect, table, autocommit):
    conn = connect(autocommit=autocommit)

    def rows():
        yield from ((n, "x" * 20) for n in range(10_000))
        raise ZeroDivisionError("midway")

    failing(conn, rows(), ZeroDivisionError)
    assert content(conn) == []
    assert conn.load_rows("t", ROWS) == 1000
    conn.commit()
    assert content(table) == ROWS


def test_a_source_that_uses_the_connection(table, transport):
    def rows():
        yield (1, "x")
        table.query("select 1")

    async def awaited():
        yield (1, "x")
        await table._inner.query("select 1")

    async def streamed():
        async for row in table._inner.stream("select 1, 'x'"):
            yield row

    sources = [awaited, streamed] if transport.loop is not None else [rows]
    for source in sources:
        error = failing(table, source(), pymy.InterfaceError)
        assert error.errno == CR.CR_CONNECTION_BUSY
        assert "their source cannot use it" in str(error)
        assert content(table) == []
    assert table.load_rows("t", ROWS[:3]) == 3


def test_progress(table):
    seen = []
    assert (
        table.load_rows("t", ((n, "x" * 30) for n in range(20_000)), progress=seen.append) == 20_000
    )
    assert seen == sorted(set(seen))
    assert seen[-1] == 20_000
    assert len(seen) > 2


def test_progress_that_raises(table):
    def progress(count):
        raise LookupError("enough")

    failing(table, ROWS, LookupError, progress=progress)
    assert content(table) == []


def test_flat_memory(table):
    rows = ((n, f"row {n}") for n in range(50_000))
    tracemalloc.start()
    try:
        assert table.load_rows("t", rows) == 50_000
        # all of them together take more than twice as much
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.only("asyncio", "an async iterable needs asyncio")
def test_async_rows(table):
    async def rows(fails=False):
        for n in range(10_000):
            yield (n, "x" * 30)
        if fails:
            raise ZeroDivisionError("midway")

    assert table.load_rows("t", rows()) == 10_000
    table.query("delete from t")
    failing(table, rows(True), ZeroDivisionError)
    assert content(table) == []


@pytest.mark.only("blocking,nonblocking", "asyncio takes them")
def test_async_rows_need_asyncio(table):
    async def rows():
        yield (1, "x")

    with pytest.raises(TypeError, match="async iterables"):
        table.load_rows("t", rows())


# files remain refused


def test_local_files_stay_off(table, tmp_path):
    (tmp_path / "secret").write_text("1\tx\n")
    table.load_rows("t", ROWS)
    for name in (str(tmp_path / "secret"), "pymy:load_rows"):
        with pytest.raises(pymy.Error) as caught:
            table.execute(f"load data local infile '{name}' into table t")
        refusals = {CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED, 1148, 3948, 4166}
        assert caught.value.errno in refusals
    assert len(content(table)) == 1000


def test_files_that_are_allowed_go_on(connect, table, way, tmp_path):
    path = tmp_path / "rows"
    path.write_text("5000\tfrom a file\n")
    conn = connect(local_infile=[tmp_path], autocommit=True)
    assert conn.load_rows("t", ROWS) == 1000
    if way == "file":
        assert conn.execute(f"load data local infile '{path}' into table t").rowcount == 1
        assert content(conn)[-1] == (5000, "from a file")
    assert conn.load_rows("t", [(6000, "x")]) == 1


def test_cancelled_in_the_middle(run, dsn, server):
    """The connection is closed, and the server rolls back."""

    async def endless():
        for n in itertools.count():
            yield (n, "x" * 30)
            if n > 10_000:
                await asyncio.sleep(0.01)

    async def main():
        conn = await pymy.aio.connect(dsn, autocommit=True)
        await conn.query("create table t (a int primary key, b varchar(30)) engine=innodb")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(conn.load_rows("t", endless()), 0.5)
        assert not conn.open
        async with pymy.aio.connect(dsn) as other:
            await other.query("set session lock_wait_timeout=30")
            cursor = await other.execute("select count(*) from t for update")
            assert await cursor.fetchone() == (0,)

    run(main())


def test_a_set_has_no_order(table):
    with pytest.raises(TypeError, match="a row is a tuple, list or dict, not set"):
        table.load_rows("t", [{1, 2}], columns=["a", "b"])
