"""Text that would be SQL, where the server says another SQL mode than the one it reads in.

Procedures, triggers and SET STATEMENT restore sql_mode, but the status of their answer tells the
mode as it was inside.
"""

from __future__ import annotations

import pytest

import pymy
from pymy import sql

TEXTS = [
    "\\' or 1=1 -- ",
    "\\\\' or 1=1 -- ",
    "' or 1=1 -- ",
    "\\",
    "'",
    "\\'",
    "'\\",
    '\\" or 1=1 -- ',
    "\0\n\r\x1a\\Z'",
    "ä\\'ö",
]


class Safe(str):
    """As a template engine's: its operators escape for HTML."""

    def __str__(self):
        return "' or 1=1 -- "

    def replace(self, *args):
        return "' or 1=1 -- "

    def __contains__(self, item):
        return False


@pytest.fixture(params=["default", "NO_BACKSLASH_ESCAPES"])
def true_mode(request):
    return request.param


@pytest.fixture(params=["procedure", "trigger", "set statement", "the truth"])
def lied_to(request, connect, true_mode, server):
    """A connection that was told the other mode than the one it is in, and what it is in."""
    real, other = ("", "NO_BACKSLASH_ESCAPES")
    if true_mode == other:
        real, other = other, real
    conn = connect(sql_mode=real, autocommit=True)
    if request.param == "procedure":
        conn.query(f"create procedure p() set session sql_mode = '{other}'")
        conn.query("call p()")
    elif request.param == "trigger":
        conn.query("create table inbox (id int)")
        conn.query(
            "create trigger tg before insert on inbox for each row "
            f"set session sql_mode = '{other}'"
        )
        conn.query("insert into inbox values (1)")
    elif request.param == "set statement":
        if not server.is_mariadb:
            pytest.skip("SET STATEMENT is MariaDB's")
        conn.query(f"set statement sql_mode = '{other}' for do 1")
    return conn


def rows_of(conn, value):
    """What comes back from a search that must find nothing but the text."""
    return conn.execute(
        "select 'found' from (select 'no such text' as name) t where name = %s "
        "union all select 'end'",
        (value,),
    ).fetchall()


def test_the_lie_is_told(connect):
    """What the tests below rest on; when it fails the server has become honest."""
    conn = connect()
    conn.query("create procedure p() set session sql_mode = 'NO_BACKSLASH_ESCAPES'")
    conn.query("call p()")
    assert conn._session.no_backslash_escapes
    assert conn.execute("select @@sql_mode like '%NO_BACKSLASH%'").fetchone() == (0,)
    conn = connect()
    assert conn.execute("select length('\\\\')").fetchone() == (1,)


@pytest.mark.parametrize("text", TEXTS)
def test_strings(lied_to, text):
    assert rows_of(lied_to, text) == (("end",),)
    assert rows_of(lied_to, Safe(text)) == (("end",),)
    assert rows_of(lied_to, text * 2) == (("end",),)
    lists = lied_to.execute("select 'no' in %s", ([text, "b"],)).fetchone()
    assert lists == (0,)


@pytest.mark.parametrize("text", TEXTS)
def test_long_bytes(lied_to, text):
    data = text.encode() * 100 + b"x" * 600
    for value in (data, data + b"\\", data + b"'", bytearray(data), memoryview(data)):
        assert rows_of(lied_to, value) == (("end",),)


@pytest.mark.parametrize("text", TEXTS)
def test_encoders_registered_for_another_type(lied_to, text):
    """PyMySQL's idiom for a subclass."""
    lied_to.encoders[Safe] = lied_to.encoders[str]
    assert rows_of(lied_to, Safe(text)) == (("end",),)


@pytest.mark.parametrize("text", TEXTS)
def test_values_that_write_lists(lied_to, text):
    lied_to.query("create table t (id int, a text, b text)")
    lied_to.query("insert into t values (1, 'a', 'b'), (2, 'a', 'b')")
    lied_to.execute("update t set %s where id = %s", (sql.assignments({"a": text}), 1))
    assert lied_to.execute("select a, b from t where id = 2").fetchone() == ("a", "b")
    lied_to.cursor().executemany("insert into t values (%s, %s, 'c')", [(3, text), (4, text)])
    assert lied_to.execute("select id, b from t where id > 2 order by id").fetchall() == (
        (3, "c"),
        (4, "c"),
    )


@pytest.mark.parametrize("text", TEXTS)
def test_values_are_right_when_the_server_told_the_truth(connect, true_mode, text):
    conn = connect(sql_mode="" if true_mode == "default" else true_mode)
    long = text * 300
    for value in (text, long, text.encode(), long.encode()):
        assert conn.execute("select %s", (value,)).fetchone() == (value,)
    assert conn.execute("select %s", (Safe(text),)).fetchone() == (str.__str__(Safe(text)),)


@pytest.mark.parametrize("text", TEXTS)
def test_values_are_right_when_a_lie_said_that_backslashes_mean_nothing(lied_to, text):
    """What is written then reads alike in both modes."""
    if not lied_to._session.no_backslash_escapes:
        pytest.skip("the connection believes in backslashes: doubled ones may come back")
    assert lied_to.execute("select %s", (text,)).fetchone() == (text,)


def test_the_hexadecimal_form_is_a_string_like_others(connect):
    """Compared with a column, its collation gives way; it is text, not a number and not bytes."""
    conn = connect(sql_mode="NO_BACKSLASH_ESCAPES", collation="utf8mb4_unicode_ci")
    conn.query(
        "create table t (bin varchar(20) collate utf8mb4_bin, ci varchar(20) character set latin1)"
    )
    conn.execute("insert into t values (%s, %s)", ("A\\b", "A\\b"))
    row = "select count(*) from t where "
    assert conn.execute(row + "bin = %s", ("a\\b",)).fetchone() == (0,)
    assert conn.execute(row + "ci = %s", ("a\\b",)).fetchone() == (1,)
    assert conn.execute(row + "bin like %s escape '|'", ("A\\%",)).fetchone() == (1,)
    assert conn.execute("select concat(%s, %s)", ("\\", "x")).fetchone() == ("\\x",)


def test_placeholders_are_not_looked_for_by_what_the_server_says(lied_to):
    options = lied_to._options.replace(paramstyle="qmark")
    lied_to._options = options
    with pytest.raises(pymy.ProgrammingError, match="depends on the SQL mode"):
        lied_to.execute("select 'what\\'s up?', ?, 'that\\'s'", (", (select @@version) -- ",))
    row = lied_to.execute("select 'what''s up?', ?, '\\\\'", ("a",)).fetchone()
    assert row[:2] == ("what's up?", "a")


def test_connections_of_other_charsets(connect):
    for charset in ("latin1", "gbk"):
        conn = connect(sql_mode="NO_BACKSLASH_ESCAPES", charset=charset)
        for text in ("\\", "\\' or 1=1 -- "):
            assert conn.execute("select %s", (text,)).fetchone() == (text,)


@pytest.mark.parametrize("sql_mode", ["NO_BACKSLASH_ESCAPES", ""])
def test_characters_that_utf8mb3_lacks(connect, sql_mode):
    conn = connect(sql_mode=sql_mode, charset="utf8mb3")
    conn.query("create table t (a varchar(20) character set utf8mb4)")
    for text in ("\\😀", "\\ä", "😀'", "ä'"):
        conn.execute("insert into t values (%s)", (text,))
        assert conn.execute("select hex(a) from t").fetchone() == (text.encode().hex().upper(),)
        conn.query("delete from t")
    with (
        conn.prepare("insert into t values (?)") as statement,
        pytest.raises(pymy.DataError, match=r"utf8mb3.* has no .*offset 1 .*use utf8mb4"),
    ):
        statement.execute(("x😀",))
    assert conn.execute("select count(*) from t").fetchone() == (0,)


def test_a_tenants_trigger_shows_no_other_database(server, connect, db, account):
    """The whole attack: a trigger of one tenant, then its search text."""
    admin = connect(autocommit=True)
    admin.query("create table secret (v varchar(50))")
    admin.query("insert into secret values ('card 4111')")
    admin.query("create table inbox (id int)")
    admin.query(
        "create trigger tg before insert on inbox for each row "
        "set session sql_mode = 'NO_BACKSLASH_ESCAPES'"
    )
    app = connect(autocommit=True)
    app.execute("insert into inbox values (%s)", (1,))
    found = app.execute(
        "select name from (select 'x' as name) u where name = %s",
        ("\\' union select v from secret -- ",),
    ).fetchall()
    assert found == ()
    with pytest.raises(pymy.NotSupportedError):
        app._context.escape_string("\\")
