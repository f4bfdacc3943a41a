"""Tokens and placeholders."""

from __future__ import annotations

import itertools
import re
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymy import sql
from pymy.constants import CR
from pymy.err import ProgrammingError
from pymy.sql import LiteralContext, Raw, interpolate, placeholders, tokens

DEFAULT = LiteralContext()
NO_BACKSLASH = LiteralContext(no_backslash_escapes=True)
ANSI = LiteralContext(ansi_quotes=True)

MODES = [
    dict(zip(("ansi_quotes", "no_backslash_escapes", "executable_comments"), values, strict=True))
    for values in itertools.product((False, True), repeat=3)
]
SQL_TEXT = st.text(alphabet="'\"`\\#-/*!;?:@%sab1M \n(),.\x00é", max_size=30)


def kinds(text, **modes):
    return [
        (token.kind, token.text) for token in sql.tokenize(text, **modes) if token.kind != "space"
    ]


# Tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'a''b'", [("string", "'a''b'")]),
        (r"'a\'b'", [("string", r"'a\'b'")]),
        (r"'a\\'b", [("string", r"'a\\'"), ("word", "b")]),
        ('"a""b"', [("string", '"a""b"')]),
        ("`a``b`c", [("identifier", "`a``b`"), ("word", "c")]),
        ("'open \\", [("string", "'open \\")]),
        ("`open", [("identifier", "`open")]),
        ("/* open *", [("comment", "/* open *")]),
        ("/**/x", [("comment", "/**/"), ("word", "x")]),
        ("/* a */ b */", [("comment", "/* a */"), ("word", "b"), ("symbol", "*"), ("symbol", "/")]),
        ("/*!40101 a */", [("comment", "/*!40101 a */")]),
        ("# a 'b\nc", [("comment", "# a 'b"), ("word", "c")]),
        ("-- a 'b\nc", [("comment", "-- a 'b"), ("word", "c")]),
        ("--", [("comment", "--")]),
        ("--\x01a", [("comment", "--\x01a")]),
        ("5--1", [("word", "5"), ("symbol", "-"), ("symbol", "-"), ("word", "1")]),
        ("5--\u00a01", [("word", "5"), ("symbol", "-"), ("symbol", "-"), ("word", "\u00a01")]),
        ("?,??", [("placeholder", "?"), ("symbol", ","), ("placeholder", "??")]),
        (":a,:é_1", [("placeholder", ":a"), ("symbol", ","), ("placeholder", ":é_1")]),
        (
            "@a:=1",
            [("symbol", "@"), ("word", "a"), ("symbol", ":"), ("symbol", "="), ("word", "1")],
        ),
        ("::a", [("symbol", ":"), ("symbol", ":"), ("word", "a")]),
        ("l:begin", [("word", "l"), ("symbol", ":"), ("word", "begin")]),
        (":1", [("symbol", ":"), ("word", "1")]),
        ("a$_é1", [("word", "a$_é1")]),
        ("", []),
    ],
)
def test_tokens(text, expected):
    assert kinds(text) == expected


def test_tokens_by_mode():
    assert kinds('"a\\"', ansi_quotes=True) == [("identifier", '"a\\"')]
    assert kinds("'a\\'b", no_backslash_escapes=True) == [("string", "'a\\'"), ("word", "b")]
    assert kinds("/*!8 a*/ /*M! b*/ /*c*/", executable_comments=True) == [
        ("comment", "/*!8"),
        ("word", "a"),
        ("comment", "*/"),
        ("comment", "/*M!"),
        ("word", "b"),
        ("comment", "*/"),
        ("comment", "/*c*/"),
    ]


@given(SQL_TEXT, st.sampled_from(MODES))
def test_tokens_are_the_whole_text(text, modes):
    position = 0
    for token in sql.tokenize(text, **modes):
        assert token.start == position
        position = token.end
        assert text[token.start : token.end] == token.text != ""
    assert position == len(text)


@pytest.mark.parametrize("modes", MODES, ids=str)
def test_every_repeat_in_the_patterns_is_possessive(modes):
    # Linear by construction: a repeat that never gives back is tried once from each place.
    # Private, but named so since 3.11.
    import re._constants as sre
    import re._parser as parser

    def repeats(node):
        if isinstance(node, parser.SubPattern | list | tuple):
            for item in node:
                yield from repeats(item)
            if len(node) == 2 and node[0] in (sre.MAX_REPEAT, sre.MIN_REPEAT) and node[1][1] > 1:
                yield node[0]

    ansi_quotes, no_backslash_escapes = modes["ansi_quotes"], modes["no_backslash_escapes"]
    patterns = [tokens._pattern(*modes.values())]
    patterns += [tokens.placeholder_pattern(c, ansi_quotes, no_backslash_escapes) for c in "?:"]
    for delimiter, last in ((";", False), (";", True), ("//", False), ("--", True)):
        patterns += tokens.statement_patterns(delimiter, ansi_quotes, no_backslash_escapes, last)
    assert list(repeats(parser.parse("(?:(a+)b)*c"))) == [sre.MAX_REPEAT, sre.MAX_REPEAT]
    for pattern in patterns:
        assert list(repeats(parser.parse(pattern.pattern, pattern.flags))) == []


@pytest.mark.parametrize(
    "piece", ["'", '"', "`", "\\", "'\\", "/*", "/*!", "*/", "--", "#", "?", ":a", "("]
)
def test_hostile_text_gives_no_more_tokens_than_characters(piece):
    text = "LOAD " + piece * 3000
    assert len(list(sql.tokenize(text))) <= len(text)
    assert sql.infile_names(text) == []
    assert sql.split_values("insert into t values " + text, paramstyle="qmark") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"'a\0\b\n\r\t\Z\\\'\"\x\%\_'", "a\0\b\n\r\t\x1a\\'\"x\\%\\_"),
        ("'a''b'", "a'b"),
        (r"'\\''x'", "\\'x"),
        (r"'\'''x'", "''x"),
        ("'open", "open"),
        ("'open''", "open'"),
        ("'open\\", "open\\"),
        ('"a""\'"', "a\"'"),
    ],
)
def test_unquote(text, value):
    assert sql.unquote(text) == value


# Placeholders ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("a %s %%", None, "a %s %%"),
        ("a %%", (), "a %"),
        ("a %%", {}, "a %"),
        ("a", {"x": 1}, "a"),
        ("%s,%s", (1, "x"), "1,'x'"),
        ("%s,%s", [None, b"A"], "NULL,_binary X'41'"),
        ("%s", 5, "5"),
        ("%s", "it's", "'it''s'"),
        ("in %s", ([1, 2],), "in (1,2)"),
        ("(a,b) in %s", ([(1, "a"), (2, "b")],), "(a,b) in ((1,'a'),(2,'b'))"),
        (
            "insert into t values %s",
            ([(1, "a"), (2, "b")],),
            "insert into t values (1,'a'),(2,'b')",
        ),
        ("replace t value\n%s", (((1, "a"),),), "replace t value\n(1,'a')"),
        ("values %s, %s", ((1, 2), 3), "values (1,2), 3"),
        ("my_values %s", ([(1,)],), "my_values ((1))"),
        ("%(a)s %(b)s %(a)s %%", {"a": 1, "b": "%s", "c": object()}, "1 '%s' 1 %"),
        ("%(a)s", MappingProxyType({"a": 1}), "1"),
        ("%(a b)s", {"a b": 1}, "1"),
        ("'%s' -- %s", (1, 2), "'1' -- 2"),
        ("set %s", (sql.assignments({"a": 1}),), "set `a` = 1"),
        ("%s", ("%s %(a)s %%",), "'%s %(a)s %%'"),
    ],
)
def test_pyformat(text, args, expected):
    assert interpolate(text, args, context=DEFAULT) == expected
    if args is not None:
        assert sql.row_formatter(text, DEFAULT)(args) == expected


@pytest.mark.parametrize(
    ("text", "args", "message"),
    [
        ("%s %s", (1,), "2 placeholders, the call gives 1 value$"),
        ("%s", (1, 2), "1 placeholder, the call gives 2 values"),
        ("a", (1,), "0 placeholders"),
        ("a", "x", "0 placeholders, the call gives 1 value: they are written %s or"),
        ("%s", {"a": 1}, "without a name"),
        ("%(a)s", (1,), "names its parameters .a.: pass a dict"),
        ("%(a)s", 1, "pass a dict"),
        ("%(a)s %(b)s %(b)s", {"a": 1}, "no value given for b$"),
        ("%(a)s %s", (1,), "mixes"),
        ("like 'a%' and %s", (1,), r"\"%' and %s\" at offset 7 .* %% for a percent"),
        ("%d", (1,), "'%d' at offset 0 is not a placeholder"),
        ("%5s", (1,), "write %s"),
        ("%(a)d", {"a": 1}, "not a placeholder"),
        ("100%", (), "'%' at offset 3"),
        ("% s", (1,), "not a placeholder"),
    ],
)
def test_pyformat_errors(text, args, message):
    for write in (interpolate, lambda text, args: sql.row_formatter(text)(args)):
        with pytest.raises(ProgrammingError) as caught:
            write(text, args)
        assert re.search(message, caught.value.message)
        assert caught.value.errno == CR.CR_BAD_PARAMETER
        assert caught.value.sent is False


def test_defaults_of_a_mapping_count_as_with_percent():
    class Defaults(dict):
        def __missing__(self, key):
            return key

    assert interpolate("%(a)s", Defaults(), context=DEFAULT) == "'a'"


def test_bytes_cannot_take_parameters():
    with pytest.raises(TypeError, match="not bytes"):
        interpolate(b"%s", (1,), context=DEFAULT)
    assert interpolate(b"%s", None, context=DEFAULT) == b"%s"


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("? + ?", (1, "x"), "1 + 'x'"),
        ("??", (1, 2), "12"),
        ("% %s ?", (1,), "% %s 1"),
        ("'?' \"?\" `?` /*?*/ # ?\n ?", (1,), "'?' \"?\" `?` /*?*/ # ?\n 1"),
        ("? -- ?", (1,), "1 -- ?"),
        ("5--?", (1,), "5--1"),
        ("'\\n\\\\?' ? \"\\%\"", (1,), "'\\n\\\\?' 1 \"\\%\""),
        ("in ?", ([1, 2],), "in (1,2)"),
        ("values ?", ([(1, 2), (3, 4)],), "values (1,2),(3,4)"),
        ("? '?", (1,), "1 '?"),
        ("select 1", (), "select 1"),
        ("?", 5, "5"),
    ],
)
def test_qmark(text, args, expected):
    assert interpolate(text, args, paramstyle="qmark", context=DEFAULT) == expected
    assert sql.row_formatter(text, DEFAULT, "qmark")(args) == expected


@pytest.mark.parametrize("context", [DEFAULT, NO_BACKSLASH, ANSI])
@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("select 'what\\'s up?', ?, 'that\\'s'", 18),
        ("'\\' ?", 4),
        ("'a\\' '?", 6),
        ('"\\" ?', 4),
        ("'\\'' \"\\\" ?", 9),
    ],
)
def test_placeholders_that_depend_on_the_mode(context, text, offset):
    """A server says the wrong mode after a trigger that sets it."""
    message = f"at offset {offset} is within a string depends"
    with pytest.raises(ProgrammingError, match=message):
        interpolate(text, (1,), paramstyle="qmark", context=context)
    with pytest.raises(ProgrammingError, match=r"the : at offset \d+ is within a string depends"):
        interpolate(
            text.replace("up?", "up ?").replace("?", ":a"),
            {"a": 1},
            paramstyle="named",
            context=context,
        )
    with pytest.raises(ProgrammingError, match=message):
        sql.row_formatter(text, context, "qmark")
    with pytest.raises(ProgrammingError, match=message):
        sql.format(text, [1], context=context)


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        (":a + :b + :a", {"a": 1, "b": "x"}, "1 + 'x' + 1"),
        ("@v := :a, ':a', a::b, x:y", {"a": 1}, "@v := 1, ':a', a::b, x:y"),
        ("%s :a %", {"a": 1}, "%s 1 %"),
        ("values :r", {"r": [(1,), (2,)]}, "values (1),(2)"),
        ("a", {}, "a"),
    ],
)
def test_named(text, args, expected):
    assert interpolate(text, args, paramstyle="named", context=DEFAULT) == expected
    assert sql.row_formatter(text, DEFAULT, "named")(args) == expected


@pytest.mark.parametrize(
    ("style", "text", "args", "message"),
    [
        ("qmark", "? ?", (1,), "2 placeholders, the call gives 1 value"),
        ("qmark", "'?'", (1,), "0 placeholders"),
        ("qmark", "?", {"a": 1}, "without a name"),
        ("qmark", "a", {"a": 1}, "without a name"),
        ("named", ":a", {}, "no value given for a"),
        ("named", ":a", {"a": 1, "b": 2, "c": 3}, "no :b, no :c"),
        ("named", ":a", (1,), "names its parameters"),
        ("numeric", ":1", (1,), "use pyformat, qmark or named"),
    ],
)
def test_token_style_errors(style, text, args, message):
    with pytest.raises(ProgrammingError, match=message):
        interpolate(text, args, paramstyle=style, context=DEFAULT)


def test_long_statements_are_not_kept():
    for text, style in (("%s" + " " * 9000, "pyformat"), ("?" + " " * 9000, "qmark")):
        before = placeholders._pyformat.cache_info(), placeholders._tokenized.cache_info()
        assert interpolate(text, (1,), paramstyle=style, context=DEFAULT).rstrip() == "1"
        assert before == (placeholders._pyformat.cache_info(), placeholders._tokenized.cache_info())


@pytest.mark.parametrize(
    ("before", "value", "expected"),
    [
        ("_binary ", b"a'", "_binary X'6127'"),
        ("_binary\t\t", b"a", "_binary X'61'"),
        ("a, _BINARY\n", b"a", "a, _binary X'61'"),
        ("_binary ", bytes(2000), "_binary'\\0\\0"),
        ("_binary ", "a'", "_binary 'a'''"),
        ("_binary ", None, "_binary NULL"),
        ("`_binary` ", b"a", "`_binary` _binary X'61'"),
        ("not_binary ", b"a", "not_binary _binary X'61'"),
        ("blob default ", b"a", "blob default X'61'"),
        ("blob DEFAULT (", bytearray(b"a"), "blob DEFAULT (X'61'"),
        ("default ", bytes(2000), "default X'0000"),
        ("default ", "a", "default 'a'"),
        ("is_default ", b"a", "is_default _binary X'61'"),
    ],
)
@pytest.mark.parametrize("style", ["pyformat", "qmark", "named"])
def test_introducers_of_bytes(style, before, value, expected):
    mark, args = {
        "pyformat": ("%s", (value,)),
        "qmark": ("?", (value,)),
        "named": (":v", {"v": value}),
    }[style]
    written = interpolate(before + mark, args, paramstyle=style, context=DEFAULT)
    assert written.startswith(expected) and written.lower().count(
        "_binary"
    ) == expected.lower().count("_binary")
    each = placeholders.row_formatter(before + mark, DEFAULT, style)
    assert each(args) == written


@given(st.lists(st.text() | st.integers() | st.none() | st.binary(), max_size=4), st.booleans())
def test_all_styles_give_the_same_statement(values, mode):
    context = LiteralContext(no_backslash_escapes=mode)
    names = [f"p{i}" for i in range(len(values))]
    expected = "select " + ", ".join(sql.literal(value, context) for value in values)
    named = dict(zip(names, values, strict=True))
    for style, marks, args in (
        ("pyformat", ["%s"] * len(values), values),
        ("qmark", ["?"] * len(values), tuple(values)),
        ("pyformat", [f"%({name})s" for name in names], named),
        ("named", [f":{name}" for name in names], named),
    ):
        text = "select " + ", ".join(marks)
        assert interpolate(text, args, paramstyle=style, context=context) == expected


# format() -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        (
            "select ?? from ?? where id = ?",
            ["a", "db.t", "x'"],
            "select `a` from `db`.`t` where id = 'x'''",
        ),
        ("??", [["a", "t.b"]], "`a`, `t`.`b`"),
        ("in (?)", [[1, "a"]], "in (1, 'a')"),
        ("values ?", [[[1, 2], [3, 4]]], "values (1,2), (3,4)"),
        ("??? ????", [], "??? ????"),
        ("'?' ?", [1], "'?' 1"),
        ("?", "David", "'David'"),
        ("?", [Raw("now()")], "now()"),
        ("100% ?", [1], "100% 1"),
        ("a", [], "a"),
    ],
)
def test_format(text, values, expected):
    assert sql.format(text, values) == expected


def test_format_follows_the_mode():
    assert sql.format("?", ["it's"], context=NO_BACKSLASH) == "'it''s'"
    assert sql.format('"?" ?', [1], context=ANSI) == '"?" 1'


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("?", [], "1 placeholder, the call gives 0 values"),
        ("a", [1], "0 placeholders"),
        ("?", [[]], "empty"),
    ],
)
def test_format_errors(text, values, message):
    with pytest.raises(ProgrammingError, match=message):
        sql.format(text, values)


@given(SQL_TEXT)
def test_no_text_breaks_the_parsers(text):
    sql.infile_names("load data local infile " + text)
    sql.split_values("insert into t values (%s" + text)
    for style, args in (("qmark", (1,)), ("named", {"a": 1}), ("pyformat", (1,))):
        try:
            interpolate(text, args, paramstyle=style, context=DEFAULT)
        except ProgrammingError as error:
            assert error.message
