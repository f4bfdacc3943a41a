"""Which texts a cursor prepares, and what is kept of them."""

from __future__ import annotations

import pytest
from line import ready_session

from pymy.protocol.query import SETTING
from pymy.protocol.statementcache import (
    TEXTS_KEPT,
    Entry,
    StatementCache,
    limits,
    preparable,
)
from pymy.protocol.statements import Prepared
from pymy.sql import DEFAULT_CONTEXT, template


def chosen(sql: str, *, mode: str = "always", mariadb: bool = True) -> bool:
    found = template(sql, "qmark", DEFAULT_CONTEXT)
    return preparable(found._replace(text=sql), found.size, mode=mode, mariadb=mariadb)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from t where a = ?", "  /* why */ SELECT 1", "-- why\nselect a from t",
        "(select 1)",
        "insert into t values (?, ?)", "update t set a = ?", "delete from t where a = ?",
        "replace into t (a) values (?)", "with x as (select 1) select * from x",
        "select a from t where a = ? order by b limit ?", "select a from t order by b",
        "select a from t group by a having count(*) > ?",
    ],
)  # fmt: skip
def test_prepared(sql):
    assert chosen(sql)
    assert chosen(sql, mariadb=False)
    assert chosen(sql, mode="auto")
    assert chosen(sql, mode="auto", mariadb=False) is ("?" not in sql)


@pytest.mark.parametrize(
    "sql",
    [
        "show tables", "set a = 1", "call p(?)", "create table t (a int)", "begin", "", "selectx",
        "select @a", "select @@sql_mode", "select found_rows()", "select ROW_COUNT ()",
        "select a from t order by ?", "select a from t group by a, ?", "/*! set a = 1 */ select 1",
        "load data local infile 'x' into table t", "explain select 1", "select 1 into @a",
        "select a from t where b in (select c from d order by ? limit 1)", "insert into t values ?",
        "select a from t\norder by\n?",
    ],
)  # fmt: skip
def test_left_as_text(sql):
    assert not chosen(sql)


@pytest.mark.parametrize(
    "sql", ["select ?", "insert into t select ?, a from b", "select a, f(?) x"]
)
def test_selected_parameters(sql):
    assert chosen(sql)
    assert not chosen(sql, mode="auto")
    assert not chosen(sql, mariadb=False)


def test_limits():
    assert limits("select a from t where b = ? limit ?, ?") == (1, 2)
    assert limits("select a from t limit ? offset ?") == (0, 1)
    assert limits("select a from t limit 5, ?") == (0,)
    assert limits("select a from limits where a = ?") == ()


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        (b"set sql_mode = ''", True), (b" \n/* a */ -- b\n SET names utf8", True),
        (b"use other", True),
        (b"select 1; set a = 1", True), (b"/*!40101 SET NAMES utf8 */", True), (b"#x\nuse b", True),
        (b"update t set a = 1", False), (b"select 'set'", False), (b"settle", False),
        (b" " * 100_000 + b"x", False), (b"/**/" * 30_000 + b"x", False), (b"", False),
    ],
    ids=range(12),
)  # fmt: skip
def test_what_changes_settings(sql, found):
    assert bool(SETTING.search(sql)) is found


def prepared(session, number):
    statement = Prepared(b"x")
    statement.number, statement.session = number, session
    return statement


def test_the_last_used_are_kept():
    session = ready_session()
    cache = StatementCache("always", 3, 5)
    for number in range(5):
        entry = cache.add((number,), Entry(template("select 1", "qmark", DEFAULT_CONTEXT)))
        cache.use((number,), entry)
        entry.prepared = prepared(session, number)
        cache.use((0,), cache.entries[0,])
    assert session.doomed == [1, 2]
    assert list(cache.live) == [(3,), (4,), (0,)]
    cache.clear()
    assert sorted(session.doomed) == [0, 1, 2, 3, 4]
    assert not cache.entries


def test_texts_are_forgotten_before_statements():
    session = ready_session()
    cache = StatementCache("auto", 2, 5)
    entry = cache.add(("kept",), Entry(template("select 1", "qmark", DEFAULT_CONTEXT)))
    cache.use(("kept",), entry)
    entry.prepared = prepared(session, 1)
    for number in range(3 * TEXTS_KEPT):
        cache.add((number,), Entry(None))
    assert len(cache.entries) == TEXTS_KEPT + 2
    assert cache.find(("kept",)) is entry
    assert not session.doomed


def test_when_it_is_time():
    cache = StatementCache("auto", 2, 3)
    entry = Entry(template("select 1", "qmark", DEFAULT_CONTEXT))
    assert not cache.is_due(entry)
    entry.count = 2
    assert cache.is_due(entry)
    entry.count, entry.large = 0, True
    assert cache.is_due(entry)
    assert not StatementCache("always", 0, 3).is_due(entry)
    assert not StatementCache("always", 2, 3).is_due(Entry(None))
