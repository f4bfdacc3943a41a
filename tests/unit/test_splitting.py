"""Scripts cut into statements, in whatever pieces they come."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pymy import sql
from pymy.err import ProgrammingError
from pymy.sql import Splitter, split_script

MODES = [
    {},
    {"no_backslash_escapes": True},
    {"ansi_quotes": True},
    {"ansi_quotes": True, "no_backslash_escapes": True},
]


def texts(script, **modes):
    return [each.text.strip() for each in split_script([script], **modes)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", []),
        (" \n\t", []),
        ("select 1", ["select 1"]),
        ("select 1;select 2;", ["select 1", "select 2"]),
        (";;; ;\n;", []),
        ("select ';', \"a;b\", `c;d`; x", ["select ';', \"a;b\", `c;d`", "x"]),
        (r"select 'it\'s;', 'it''s;'; x", [r"select 'it\'s;', 'it''s;'", "x"]),
        ("-- it's; \"\n# don't;\n/* `; */ select 1;", ["select 1"]),
        ("select 1 -- it's;\n; x", ["select 1 -- it's;", "x"]),
        ("select 1 # it's;\n; x", ["select 1 # it's;", "x"]),
        ("select 1 /* it's; */ + 1; x", ["select 1 /* it's; */ + 1", "x"]),
        ("select 5--1; x", ["select 5--1", "x"]),
        ("select 4/2-1*-1; x", ["select 4/2-1*-1", "x"]),
        ("select 1;--", ["select 1"]),
        ("select 1;-- end", ["select 1"]),
        ("select 1;/**/", ["select 1"]),
        ("/* only */; -- comments\n;", []),
        ("/*! select 1 */; x", ["/*! select 1 */", "x"]),
        ("/*!50003 a; b */; x", ["/*!50003 a; b */", "x"]),
        ("/*M!100100 a; b */; x", ["/*M!100100 a; b */", "x"]),
        ("/*!50003 select '*/;' */; x", ["/*!50003 select '*/;' */", "x"]),
        ("/*!50003 a /* it's; */ b -- it's */\n; */; x", None),
        ("/*+ hint */ select 1", ["select 1"]),
        ("select /*+ hint; */ 1; x", ["select /*+ hint; */ 1", "x"]),
        ("/*M!999999\\- enable the sandbox mode */ \nselect 1;", ["select 1"]),
        ("\ufeffselect 1;", ["select 1"]),
        ("\xef\xbb\xbfselect 1;", ["select 1"]),
        ("\ufeff", []),
        ("select 1;\r\n\r\nselect 'a\r\n;';\r\n", ["select 1", "select 'a\r\n;'"]),
        ("select '\0;';\0x;", ["select '\0;'", "\0x"]),
    ],
)
def test_statements(script, expected):
    if expected is None:
        expected = [script.removesuffix("; x"), "x"]
    assert texts(script) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("DELIMITER //\na; b//\nDELIMITER ;\nc;", ["a; b", "c"]),
        ("delimiter $$\na $ ; $$delimiter ;\nc;", ["a $ ;", "c"]),
        ("Delimiter ;;\na; b;;\nc;; ;;\ndelimiter ;", ["a; b", "c"]),
        ("DELIMITER //\r\na;\r\nb\r\n//\r\nDELIMITER ;\r\nc;", ["a;\r\nb", "c"]),
        ("  \t delimiter\t//  what comes behind\na;//", ["a;"]),
        ("select 1; delimiter //\na;//", ["select 1", "a;"]),
        ("-- x\n/* y */ delimiter //\na;//", ["a;"]),
        ("delimiter '//'\na;//", ["a;"]),
        ("delimiter //\nselect '//', `//`, \"//\" // x", ["select '//', `//`, \"//\"", "x"]),
        ("delimiter //\na /* // */ -- //\n# //\nb // c", ["a /* // */ -- //\n# //\nb", "c"]),
        ("delimiter ;;\na;;;b;;", ["a", ";b"]),
        ("delimiter go\nselect 1 go select 2", ["select 1", "select 2"]),
        ("delimiter --\na - b -- c--", ["a - b", "c"]),
        ("delimiter #\na # c#", ["a", "c"]),
        ("delimiter /*\na /* c; /*", ["a", "c;"]),
        ("delimiter |\na || b", ["a", "b"]),
        ("delimiter ^]\na ^ ] ^] b", ["a ^ ]", "b"]),
        ("delimiter ö\na ö b", ["a", "b"]),
        ("select 'x\ndelimiter //\n'; select 2", ["select 'x\ndelimiter //\n'", "select 2"]),
        ("/*\ndelimiter //\n*/ select 1; select 2", ["select 1", "select 2"]),
        ("-- delimiter //\nselect 1; select 2", ["select 1", "select 2"]),
        ("select a,\ndelimiter from t; x", ["select a,\ndelimiter from t", "x"]),
        ("delimiters; x", ["delimiters", "x"]),
        ("delimiter //", []),
        ("delimiter //\na; -- b //\n Delimiter ; \r\nc; d", ["a; -- b //", "c", "d"]),
        ("delimiter //\na # b //\nDELIMITER ;", ["a # b //"]),
        ("delimiter //\na\ndelimiter ;c\n//", ["a\ndelimiter ;c"]),
        ("delimiter //\na '\ndelimiter ;\n'//", ["a '\ndelimiter ;\n'"]),
        ("delimiter //\na /*\ndelimiter ;\n*/b//", ["a /*\ndelimiter ;\n*/b"]),
        ("a\ndelimiter ;\nb", ["a\ndelimiter", "b"]),
    ],
)
def test_delimiters(script, expected):
    assert texts(script) == expected


def test_backslashes_by_mode():
    assert texts(r"select 'a\'; x'; y") == [r"select 'a\'; x'", "y"]
    assert texts(r"select 'a\'; x", no_backslash_escapes=True) == [r"select 'a\'", "x"]
    assert texts(r'select "a\"; x"; y') == [r'select "a\"; x"', "y"]
    assert texts(r'select "a\"; x', ansi_quotes=True) == [r'select "a\"', "x"]
    assert texts(r"select `a\`; x") == [r"select `a\`", "x"]


def test_a_mode_may_change_between_statements():
    splitter = Splitter()
    splitter.feed(r"select 'a\'; b'; select 'a\'; b; ")
    splitter.feed("")
    assert splitter.take().text == r"select 'a\'; b'"
    assert splitter.take(no_backslash_escapes=True).text == r"select 'a\'"
    assert splitter.take().text == "b"
    assert splitter.take() is None


def test_lines_and_sizes():
    script = "-- one\nselect 1; select\n2;\r\n/* four\n\n*/ select 'x\ny';\n\ndelimiter //\nlast"
    found = [(each.line, script[: each.end]) for each in split_script([script])]
    assert found == [
        (2, "-- one\nselect 1;"),
        (2, "-- one\nselect 1; select\n2;"),
        (6, script[: script.index("\n\ndelimiter")]),
        (10, script),
    ]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("select 1;\nselect 'a\n;", "Line 2 of the script: the string that begins there never"),
        ('select 1;\nselect\n"a\n;', "Line 3 of the script: the string that begins there never"),
        ("select `a;\n", "Line 1 of the script: the name that begins there never"),
        ("select 1;\n\n/* a;\n", "Line 3 of the script: the comment that begins there never"),
        ("select 1 /* a;\n", "Line 1 of the script: the comment that begins there never"),
        ("/*!50003 a 'b;\n", "Line 1 of the script: the comment that begins there never"),
        ("select 'a\\'", "Line 1 of the script: the string"),
        ("select 'a''", "Line 1 of the script: the string"),
        ("select 'a\\", "Line 1 of the script: the string"),
        ("\ndelimiter\nx", "Line 2 of the script: DELIMITER lacks what it shall be"),
        ("delimiter  ", "Line 1 of the script: DELIMITER lacks what it shall be"),
        ("delimiter \\g\n", "Line 1 of the script: a delimiter cannot hold a backslash"),
        ("\xff\xfes\0e\0l\0", "Line 1 of the script: the script is in UTF-16"),
        ("\x1f\x8b\x08", "Line 1 of the script: the script is compressed"),
    ],
)
def test_what_cannot_be_split(script, message):
    with pytest.raises(ProgrammingError, match=re.escape(message)) as caught:
        list(split_script([script]))
    assert f"Line {caught.value.line} " in message
    with pytest.raises(ProgrammingError, match=re.escape(message)):
        list(split_script(script))


def test_what_comes_before_an_unended_string_is_given():
    found = split_script(["select 1; select 'a"])
    assert next(found).text == "select 1"
    with pytest.raises(ProgrammingError, match="never ends"):
        next(found)


FRAGMENTS = st.one_of(
    st.sampled_from(
        [
            *"'\"`;/*-#\\\n\r $x0",
            ";;", "$$", "//", "--", "-- ", "/*", "*/", "/*!", "/*!50003 ", "/*M!", "/*+", "''",
            "\\'", "\ufeff", "\0", "delimiter", "DELIMITER ", "\ndelimiter //\n", "delimiter ;\n",
            "delimiter $$\n", "\ndelimiter ;\n", "delimiter --\n", "delimiter #\n",
            "select 1", "it's", '"q;q"',
            "'s;s'", "/* c;c */", "-- l;l\n", "# l;l\n", "/*M!999999\\- enable */", "é", "😀",
        ]
    ),
    st.text(max_size=4),
)  # fmt: skip
SCRIPTS = st.lists(FRAGMENTS, max_size=25).map("".join)


def outcome(pieces, modes):
    """The statements, and the error if there is one."""
    found = []
    try:
        for each in split_script(pieces, **modes):
            found.append(each)
    except ProgrammingError as exc:
        found.append(str(exc))
    return found


def cut(script, places):
    places = sorted({place % (len(script) + 1) for place in places} | {0, len(script)})
    return [script[start:stop] for start, stop in itertools.pairwise(places)]


@given(SCRIPTS, st.lists(st.integers(0, 1000), max_size=12), st.sampled_from(MODES))
@example("select 5--", [9], {})
@example("select 1; delimiter //\nselect ';'//", [14, 15, 20, 22], {})
def test_pieces_make_no_difference(script, places, modes):
    whole = outcome([script], modes)
    assert outcome(cut(script, places), modes) == whole
    assert outcome(script, modes) == whole


@given(SCRIPTS, st.sampled_from(MODES))
def test_the_tokenizer_agrees(script, modes):
    """Where no DELIMITER and no executed comment stands, a statement is what lies between ;"""
    if re.search(r"(?i)delimiter|/\*M?!|^\ufeff|^\xef\xbb\xbf", script):
        return
    expected: list[list[sql.Token]] = [[]]
    for token in sql.tokenize(script, **modes):
        if token.text == ";":
            expected.append([])
        elif expected[-1] or token.kind not in ("space", "comment"):
            expected[-1].append(token)
    wanted = ["".join(token.text for token in tokens) for tokens in expected if tokens]
    found = outcome([script], modes)
    if found and isinstance(found[-1], str):  # a quote or comment that never ends
        assert [each.text for each in found[:-1]] == wanted[: len(found) - 1]
        assert len(wanted) - (len(found) - 1) in (0, 1)
    else:
        assert [each.text for each in found] == wanted


def test_a_large_statement_is_looked_at_a_few_times_only():
    splitter = Splitter()
    splitter.feed("select '")
    joins = 0
    for _ in range(1000):
        splitter.feed("x" * 10_000)
        before = splitter.held
        assert splitter.take() is None
        joins += splitter.held != before
    assert splitter.held > 5_000_000
    assert joins < 20
    splitter.feed("';")
    splitter.feed("")
    assert len(splitter.take().text) == 10_000_009


def test_comments_are_not_held():
    splitter = Splitter()
    for _ in range(1000):
        splitter.feed("-- " + "x" * 997 + "\n")
        assert splitter.take() is None
        assert splitter.held < 2000
