"""Statements cut for batches, file names of LOAD DATA LOCAL."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymy import sql
from pymy.err import ProgrammingError
from pymy.sql import LiteralContext

DEFAULT = LiteralContext()
NO_BACKSLASH = LiteralContext(no_backslash_escapes=True)


@pytest.mark.parametrize(
    ("prefix", "row", "suffix"),
    [
        ("insert into t (a, b) values ", "(%s, %s)", ""),
        ("INSERT t VALUES", "(%s)", ""),
        ("REPLACE LOW_PRIORITY INTO `d b`.t VALUE ", "(%s)", " "),
        (
            "insert ignore into a.b.c values ",
            "( %s, now(), (1 + %s), ')' )",
            " on duplicate key update a = values(a)",
        ),
        ("/* x */ insert /* ( */ into t -- values (\n(a) values ", "(%s -- )\n)", " -- done"),
        ("insert into t values ", "(%s, 1)", " as new(a, b) on duplicate key update a = new.a"),
        ("insert into t partition (p0, p1) (a) values ", "(%s)", " returning id"),
        ("insert into t () values ", "(%(a)s, %(b)s)", ""),
        ("insert into `values` values ", "(%s)", ""),
    ],
)
def test_split_values(prefix, row, suffix):
    whole = prefix + row + suffix
    assert sql.split_values(whole) == (prefix, row, suffix)
    if "--" not in suffix:
        assert sql.split_values(whole + "; -- end") == (prefix, row, suffix)


def test_split_values_undoes_doubled_percent_signs_outside_the_row():
    assert sql.split_values("insert into t /* %% */ values (%s, '%%') as a -- %%") == (
        "insert into t /* % */ values ",
        "(%s, '%%')",
        " as a -- %",
    )
    assert sql.split_values("insert into `%` values (?)", paramstyle="qmark") == (
        "insert into `%` values ",
        "(?)",
        "",
    )
    assert sql.split_values("insert into t values (:a)", paramstyle="named").row == "(:a)"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "select %s",
        "insert into",
        "insert into t set a = %s",
        "insert into t select %s",
        "insert into t (a) select values (%s)",
        "insert into t values (1)",
        "insert into t values (%s), (%s)",
        "insert into t values %s",
        "insert into t values row(%s)",
        "insert into t values (%s",
        "insert into t. values (%s)",
        "insert into t.(a) values (%s)",
        "insert into (a) values (%s)",
        "insert into t partition p0 values (%s)",
        "insert into t values (%s) on duplicate key update a = %s",
        "insert into t /* %s */ values (%s)",
        "insert into t /* % */ values (%s)",
        "insert into t values (%s); select 1",
        "insert into t values (%s) as a; select 1",
        "insert into t values (%s) union select 1",
        "with x as (select 1) insert into t values (%s)",
    ],
)
def test_split_values_leaves_other_statements(text):
    assert sql.split_values(text) is None


def test_split_values_leaves_a_row_that_depends_on_the_mode():
    for context in (DEFAULT, NO_BACKSLASH):
        text = r"insert into t values (?, '\'), (')"
        assert sql.split_values(text, paramstyle="qmark", context=context) is None
        text = r"insert into t values (%s, '\%%a\\')"
        assert sql.split_values(text, context=context) == (text[:21], text[21:], "")


def test_batches_bound_the_size():
    rows = ["(1)", b"(22)", "(3)", "(éé)", "(" + "x" * 50 + ")", "(6)"]
    made = list(sql.batches("V ", rows, " S", 12))
    assert made == [
        b"V (1),(22) S",
        b"V (3) S",
        "V (éé) S".encode(),
        b"V (" + b"x" * 50 + b") S",
        b"V (6) S",
    ]
    assert list(sql.batches("V ", [], " S", 12)) == []


def test_batches_take_rows_as_they_come():
    taken = []

    def rows():
        for number in range(6):
            taken.append(number)
            yield f"({number})"

    made = sql.batches("", rows(), "", 7)
    assert next(made) == b"(0),(1)"
    assert taken == [0, 1, 2]


@given(st.lists(st.binary(max_size=9), max_size=20), st.integers(1, 40))
def test_batches_lose_nothing(rows, limit):
    rows = [b"(" + row.replace(b",", b".") + b")" for row in rows]
    made = list(sql.batches("<", rows, ">", limit))
    assert [row for text in made for row in text[1:-1].split(b",")] == rows
    for text, behind in itertools.pairwise(made):
        first = behind[1:-1].split(b",")[0]
        assert len(text) + 1 + len(first) > limit
    assert all(len(text) <= limit or text.count(b",") == 0 for text in made)


def test_executemany_in_parts():
    parts = sql.split_values("insert into t values (%s, %s) returning a")
    write = sql.row_formatter(parts.row, DEFAULT)
    rows = [(1, "a"), [2, None]]
    assert list(sql.batches(parts.prefix, map(write, rows), parts.suffix, 1000)) == [
        b"insert into t values (1, 'a'),(2, NULL) returning a"
    ]
    with pytest.raises(ProgrammingError, match="2 placeholders, the call gives 1 value"):
        write((1,))


# LOAD DATA LOCAL ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("LOAD DATA LOCAL INFILE '/a b' INTO TABLE t", ["/a b"]),
        ("load data concurrent local infile 'x' into table t", ["x"]),
        ('load xml low_priority local infile "x" into table t', ["x"]),
        ("select 1; load data /* c */ local -- 'y'\n infile 'it''s\\n' into table t", ["it's\n"]),
        ("/*!40000 load data local infile 'x' */ into table t", ["x"]),
        ("load data /*! local */ infile 'x'", ["x"]),
        ("load data local infile 'x'; load data local infile 'y'", ["x", "y"]),
        ("load load data local infile 'x'", ["x"]),
        ("load data infile 'x'", []),
        ("select 'load data local infile ''x'''", []),
        ("/* load data local infile 'x' */ select 1", []),
        ("-- load data local infile 'x'", []),
        ("load data local infile x", []),
        ("load data local infile", []),
        ("load", []),
        ("", []),
    ],
)
def test_infile_names(text, names):
    assert sql.infile_names(text) == names


def test_infile_names_by_mode():
    assert sql.infile_names("load data local infile 'a\\\\b'") == ["a\\b"]
    assert sql.infile_names("load data local infile 'a\\b'", no_backslash_escapes=True) == ["a\\b"]
    assert sql.infile_names('load data local infile "x"', ansi_quotes=True) == []


@pytest.mark.parametrize(
    "text",
    [
        # a text of somebody else, written in the mode that the server then denies
        "select 'a\\' load data local infile \\'/etc/passwd\\' '",
        "load data local infile 'x\\' into table t set a = 'y'",
        "select 'a\\', ' load data local infile \\'x' -- '",
        'select "a\\" load data local infile \\"x" -- "',
    ],
)
def test_infile_names_in_one_mode_only_are_none(text):
    for mode in (False, True):
        assert sql.infile_names(text, no_backslash_escapes=mode) == []


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("select 1", False),
        ("select 1;", False),
        ("select ';' /* ; */ -- ;", False),
        ("select 1; -- nothing", False),
        ("select 1; select 2", True),
        (";;", True),
    ],
)
def test_has_several(text: str, several: bool) -> None:
    assert sql.has_several(text) is several
