"""Character sets of the connection, and the SQL modes that change how literals are written."""

from __future__ import annotations

import pytest

import pymy
from pymy.sql import Raw

NASTY = "quote ' double \" backslash \\ percent % newline \n nul \0 return \r ctrl-z \x1a `"


def same(conn, value):
    assert conn.execute("select %s", (value,)).fetchone() == (value,)


def test_utf8mb4(conn):
    same(conn, "Grüße, 日本語, 😀👩‍👩‍👧")
    conn.query("create table t (s varchar(40)) charset utf8mb4")
    conn.execute("insert into t values (%s)", ("😀 ünïcode",))
    assert conn.execute("select s from t where s = '😀 ünïcode'").fetchone() == ("😀 ünïcode",)


def test_utf8_is_utf8mb4(connect):
    conn = connect(charset="utf8")
    assert conn.execute("select @@character_set_client").fetchone() == ("utf8mb4",)
    same(conn, "😀")


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("latin1", "äöü ß €"),
        ("latin2", "łőš"),
        ("koi8r", "Привет"),
        ("cp1251", "Привет"),
        ("greek", "Ωμέγα"),
        ("hebrew", "שלום"),
        ("ascii", "plain"),
        ("utf8mb3", "日本語"),
        ("tis620", "สวัสดี"),
        ("latin5", "şğı"),
        ("macroman", "äöü"),
    ],
)
def test_single_byte_and_others(connect, charset, text):
    conn = connect(charset=charset)
    (results,) = conn.execute("select @@character_set_results").fetchone()
    assert results in (charset, charset.replace("utf8mb3", "utf8"))
    same(conn, text)
    same(conn, NASTY.encode(conn.encoding, "ignore").decode(conn.encoding))
    conn.query(f"create table t (s varchar(200)) charset {charset}")
    conn.cursor().executemany("insert into t values (%s)", [(text,), (NASTY,)])
    assert conn.execute("select s from t").fetchall() == ((text,), (NASTY,))


def test_columns_of_other_charsets_arrive_in_the_connections(connect):
    conn = connect()
    conn.query("create table t (a varchar(9) charset latin1, b varchar(9) charset gbk)")
    conn.execute("insert into t values ('äß', '汉字')")
    assert conn.execute("select * from t").fetchone() == ("äß", "汉字")
    # what the charset lacks becomes a question mark at the server
    assert connect(charset="latin1", autocommit=None) is not None
    conn.commit()
    assert connect(charset="latin1").execute("select * from t").fetchone() == ("äß", "??")


@pytest.mark.parametrize("charset", ["gbk", "sjis", "big5", "cp932"])
def test_unsafe_interpolation_is_refused(connect, charset):
    conn = connect(charset=charset)
    word = {"gbk": "汉字", "sjis": "表", "big5": "功", "cp932": "表"}[charset]
    with pytest.raises(pymy.NotSupportedError, match="utf8mb4") as caught:
        conn.execute("select %s", (word,))
    assert caught.value.sent is False
    with pytest.raises(pymy.NotSupportedError):
        conn.cursor().executemany("insert into t values (%s)", [(word,)])
    same(conn, "plain ' ascii \\")
    # a literal in the statement itself is the program's own
    conn.query(f"create table t (s varchar(9)) charset {charset}")
    assert conn.execute("select %s", (Raw("0x" + word.encode(conn.encoding).hex()),)).rowcount == 1


@pytest.mark.parametrize("charset", ["gbk", "sjis", "big5", "cp932"])
def test_multibyte_text_comes_back(connect, charset):
    word = {"gbk": "汉字", "sjis": "日本", "big5": "漢字", "cp932": "日本"}[charset]
    setup = connect(autocommit=True)
    setup.query(f"create table t (s varchar(9)) charset {charset}")
    setup.execute("insert into t values (%s)", (word,))
    assert connect(charset=charset).execute("select s from t").fetchone() == (word,)


def test_text_that_the_charset_lacks(connect):
    conn = connect(charset="latin1")
    with pytest.raises(pymy.DataError, match="utf8mb4") as caught:
        conn.execute("select %s", ("日本",))
    assert caught.value.sent is False
    same(conn, "ä")


@pytest.mark.parametrize(
    "mode", ["", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES", "ANSI"]
)
def test_modes(connect, mode):
    conn = connect(sql_mode=mode)
    same(conn, NASTY)
    same(conn, NASTY.encode())
    same(conn, "\\")
    same(conn, "\\' or 1=1 -- ")
    assert conn.execute("select %(a)s, '%%'", {"a": "\\"}).fetchone() == ("\\", "%")
    conn.query("create table t (s text)")
    conn.cursor().executemany("insert into t values (%s)", [(NASTY,), ("\\",), ("'",)])
    assert conn.execute("select s from t").fetchall() == ((NASTY,), ("\\",), ("'",))


def test_mode_changed_on_the_way(conn):
    conn.query("set sql_mode = 'NO_BACKSLASH_ESCAPES'")
    same(conn, NASTY)
    assert conn.escape("\\'") == "_utf8mb4 X'5c27'"
    conn.query("set sql_mode = ''")
    same(conn, NASTY)
    assert conn.escape("\\'") == "'\\\\'''"


def test_placeholder_in_double_quotes(connect):
    plain = connect(sql_mode="")
    assert plain.execute('select "a%%sb", %s', (1,)).fetchone() == ("a%sb", 1)
    ansi = connect(sql_mode="ANSI_QUOTES")
    ansi.query('create table t ("a b" int)')
    ansi.execute('insert into t ("a b") values (%s)', (1,))
    assert ansi.execute('select "a b" from t where "a b" = %s', (1,)).fetchone() == (1,)


def test_qmark_and_named(connect):
    qmark = connect(paramstyle="qmark")
    assert qmark.execute(
        "select ?, '?', `a?`.`1` from (select 2 as `1`) `a?` -- ?", ("x",)
    ).fetchone() == ("x", "?", 2)
    named = connect(paramstyle="named")
    assert named.execute("select :a, ':b', :a", {"a": 1}).fetchone() == (1, ":b", 1)


def test_set_character_set(conn):
    conn.set_character_set("latin1", "latin1_german2_ci")
    assert conn.execute("select @@collation_connection").fetchone() == ("latin1_german2_ci",)
    assert (conn.charset, conn.collation, conn.encoding) == (
        "latin1",
        "latin1_german2_ci",
        "cp1252",
    )
    same(conn, "äöü")
    conn.set_charset("utf8mb4")
    same(conn, "😀")
    with pytest.raises(pymy.ProgrammingError):
        conn.set_character_set("klingon")
    same(conn, "😀")


def test_binary_is_never_recoded(connect):
    everything = bytes(range(256))
    for charset in ("latin1", "gbk", "utf8mb4"):
        same(connect(charset=charset), everything)


def test_bytes_statement(conn):
    assert conn.execute("select 'ä'".encode()).fetchone() == ("ä",)
    assert conn.execute(b"select %s", ("ä",)).fetchone() == ("ä",)


def test_bytes_as_number_or_text(conn):
    # _binary keeps X'31' from being the number 49
    assert conn.execute("select %s + 0", (b"31",)).fetchone() == (31,)
    assert conn.execute("select %s = 'abc'", (b"abc",)).fetchone() == (1,)
