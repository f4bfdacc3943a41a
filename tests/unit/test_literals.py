"""Literals as a connection writes them: SQL modes, character sets, registered and foreign types."""

from __future__ import annotations

import dataclasses
import datetime as dt
import numbers
import pathlib
import uuid
from collections import UserDict, namedtuple
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymy import converters, sql
from pymy.err import DataError, NotSupportedError, ProgrammingError
from pymy.sql import LiteralContext, Raw, literal

DEFAULT = LiteralContext()
NO_BACKSLASH = LiteralContext(no_backslash_escapes=True)


class Text(str):
    def __str__(self):
        return "other"


class Word(str, Enum):  # noqa: UP042 - prints otherwise than StrEnum
    YES = "y"


class Bits(Flag):
    TWO = 2


Pair = namedtuple("Pair", "a b")


class Date(dt.datetime):
    def isoformat(self, *args):
        raise AssertionError("prints its own way")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("it's", "'it''s'"),
        ('say "x"', "'say \\\"x\\\"'"),
        ("\0\n\r\x1a\\", "'\\0\\n\\r\\Z\\\\'"),
        ("tab\t%_é", "'tab\t%_é'"),
        (Text("abc"), "'abc'"),
        (Text("a'c"), "'a''c'"),
        (Word.YES, "'y'"),
        (Bits.TWO, "2"),
        (Pair(1, "x"), "(1,'x')"),
        ([[1, 2], [3, 4]], "((1,2),(3,4))"),
        (Raw("now(6)"), "now(6)"),
        (Raw(str(Raw("null"))), "null"),
        (Fraction(1, 4), "0.25e0"),
        (Date(2024, 1, 2), "'2024-01-02 00:00:00'"),
        (sql.assignments({"a`b": 1, "c": None}), "`a``b` = 1, `c` = NULL"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_literal(value, text):
    assert literal(value, DEFAULT) == text
    assert sql.escape(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("it's", "'it''s'"),
        ('a"\n\0', "'a\"\n\0'"),
        ("a'\\é", "_utf8mb4 X'61275cc3a9'"),
        (b"'\\", "_binary X'275c'"),
        (["'"], "('''')"),
    ],
)
def test_literal_without_backslash_escapes(value, text):
    assert literal(value, NO_BACKSLASH) == text


def read(sql_text, mode):
    """Return the value of a string literal as a server in this mode reads it."""
    *introducer, token, behind = sql.tokenize(sql_text + ";", no_backslash_escapes=mode)
    assert (token.kind, behind.text) == ("string", ";")
    if [token.text for token in introducer] == ["_utf8mb4", " ", "X"]:
        return bytes.fromhex(token.text[1:-1]).decode()
    assert introducer == []
    return sql.unquote(token.text, no_backslash_escapes=mode)


@given(st.text(st.characters(codec="utf-8")), st.booleans())
def test_string_literal_is_one_token_with_the_same_value(text, mode):
    assert read(literal(text, LiteralContext(no_backslash_escapes=mode)), mode) == text


@given(st.text(st.sampled_from("\\'\"\0\n%aé"), max_size=8), st.booleans(), st.booleans())
def test_string_literal_ends_where_it_should_whatever_the_servers_mode(text, believed, true):
    value = read(literal(text, LiteralContext(no_backslash_escapes=believed)), true)
    assert believed == true or "\\" in value or value == text
    if believed:
        assert value == text


@given(st.binary(max_size=20), st.booleans(), st.booleans())
def test_long_bytes_end_where_they_should_whatever_the_servers_mode(data, believed, true):
    data = data * 2 + b"\\'\\" * (len(data) % 2) + b"'" * 600
    text = literal(data, LiteralContext(no_backslash_escapes=believed))
    tokens = list(sql.tokenize(text + ";", no_backslash_escapes=true))
    assert [t.kind for t in tokens if t.text not in ("X", " ")] == ["word", "string", "symbol"]
    if believed == true and " X" not in text:
        value = sql.unquote(tokens[1].text, no_backslash_escapes=true)
        assert value.encode("ascii", "surrogateescape") == data


@given(st.text(alphabet="'\\\"`\0\n%a", max_size=8), st.booleans())
def test_string_literal_of_awkward_characters(text, mode):
    test_string_literal_is_one_token_with_the_same_value.hypothesis.inner_test(text, mode)


@given(st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8"), min_size=1))
def test_escape_id_is_one_token_with_the_same_value(name):
    (token,) = sql.tokenize(sql.escape_id(name, qualified=False))
    assert token.kind == "identifier"
    assert sql.unquote(token.text, no_backslash_escapes=True) == name


@dataclasses.dataclass
class Row:
    a: int = 1


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (object(), "register"),
        (Row(), "register"),
        (pathlib.PurePosixPath("/x"), "PurePosixPath"),
        (iter([1]), "list_iterator"),
        (1j, "complex"),
        ({"a": 1}, "json.dumps"),
        (UserDict(a=1), "assignments"),
        ([1, {"a": 1}], "dict cannot"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_unknown_types_are_refused(value, advice):
    with pytest.raises(TypeError, match=advice):
        literal(value, DEFAULT)


@pytest.mark.parametrize("value", [[], (), set(), [[1], []]])
def test_empty_sequence_is_refused(value):
    with pytest.raises(ProgrammingError, match="empty sequence"):
        literal(value, DEFAULT)


class NotATime(dt.datetime):
    def __ne__(self, other):
        return True


def test_datetimes():
    aware = dt.datetime(2024, 1, 2, 23, tzinfo=dt.UTC)
    with pytest.raises(DataError, match="time zone"):
        literal(aware, DEFAULT)
    zoned = LiteralContext(time_zone=dt.timezone(dt.timedelta(hours=2)))
    assert literal(aware, zoned) == "'2024-01-03 01:00:00'"
    assert literal(aware.replace(tzinfo=None), zoned) == "'2024-01-02 23:00:00'"
    # also where the program writes datetimes by a function of its own
    own = {dt.datetime: lambda value, mapping: f"TIMESTAMP '{value}'"}
    typed = dataclasses.replace(zoned, encoders={**zoned.encoders, **own})
    assert literal(aware, typed) == "TIMESTAMP '2024-01-03 01:00:00'"
    with pytest.raises(DataError, match="not a date"):
        literal(NotATime(2024, 1, 1), DEFAULT)


@pytest.mark.parametrize(
    ("encoding", "unsafe"),
    [
        *((name, True) for name in ("big5", "cp932", "gbk", "gb18030", "sjis", "ujis")),
        *((name, False) for name in ("utf8", "cp1252", "euckr", "gb2312", "koi8_r", "cp1251")),
    ],
)
def test_multibyte_unsafe(encoding, unsafe):
    context = LiteralContext(encoding=encoding)
    assert context.guarded is unsafe
    assert dataclasses.replace(DEFAULT, encoding=encoding).guarded is unsafe
    assert literal("it's", context) == "'it''s'"
    assert literal(b"\x95\x5c", context) == "_binary X'955c'"
    if unsafe:
        with pytest.raises(NotSupportedError, match="utf8mb4"):
            literal(["\xa5"], context)
    else:
        assert literal("é", context) == "'é'"


def test_safe_codecs_never_write_a_special_byte_for_another_character():
    for encoding in (
        "utf-8",
        "cp1252",
        "euc_kr",
        "gb2312",
        "koi8_r",
        "cp1251",
        "iso8859-7",
        "tis-620",
    ):
        for code in range(128, 0x10000):
            data = chr(code).encode(encoding, "ignore") if not 0xD800 <= code < 0xE000 else b""
            assert not set(data) & set(b"\\'\"`\0"), (encoding, hex(code))


def test_multibyte_unsafe_can_be_set():
    with pytest.raises(NotSupportedError):
        literal("é", LiteralContext(multibyte_unsafe=True))


@pytest.mark.parametrize(
    "context", [LiteralContext(multibyte_unsafe=True), LiteralContext(encoding="gbk")]
)
def test_unsafe_charsets_refuse_names_and_write_bytes_in_hexadecimal(context):
    for write in (
        lambda: sql.escape_id("é", context=context),
        lambda: sql.escape_id(["a", "t.é"], context=context),
        lambda: sql.format("select ??", ["é"], context=context),
        lambda: literal(sql.assignments({"é": 1}), context),
    ):
        with pytest.raises(NotSupportedError, match="utf8mb4"):
            write()
    assert sql.escape_id("a`b", context=context) == "`a``b`"
    assert literal(b"'" * 600, context) == f"_binary X'{'27' * 600}'"


# Registered types ------------------------------------------------------------------------------


class Point:
    pass


class Spot(Point):
    pass


def test_registered_encoders():
    encoders = {
        **converters.conversions,
        Point: lambda value, mapping: f"POINT{mapping is encoders}",
    }
    context = LiteralContext(encoders=encoders)
    assert literal(Point(), context) == "POINTTrue"
    assert literal([Spot()], context) == "(POINTTrue)"
    encoders[str] = lambda value, mapping: "S"
    assert literal("x", context) == "S"
    assert literal(Text("x"), LiteralContext(encoders={Text: lambda value, mapping: "T"})) == "T"
    assert literal({"a": 1}, LiteralContext(encoders={dict: lambda value, mapping: "J"})) == "J"


class Safe(str):
    """A string of a template engine: every operator escapes once more, or gives it away."""

    def __str__(self):
        return "' or 1=1 -- "

    def __contains__(self, item):
        return False

    def __add__(self, other):
        return "oops"

    __radd__ = __mod__ = __format__ = __add__

    def replace(self, *args):
        return "oops"

    translate = encode = isascii = split = replace


class Amount(Decimal):
    def __str__(self):
        return "1 or 1=1"

    __format__ = __repr__ = __str__

    def is_finite(self):
        return True

    def adjusted(self):
        return "1 or 1=1"


class Id(uuid.UUID):
    def __str__(self):
        return "' or 1=1 -- "


class Data(bytes):
    def hex(self):
        return "' or 1=1 -- "


class Span(dt.timedelta):
    def __neg__(self):
        return "oops"

    __abs__ = __neg__
    days = seconds = "' or 1=1 -- "


@pytest.mark.parametrize("mode", [False, True])
@pytest.mark.parametrize(
    ("value", "base"),
    [
        (Safe("it's"), "it's"),
        (Safe("\\' or 1=1 -- "), "\\' or 1=1 -- "),
        (Amount("1E+5"), Decimal("1E+5")),
        (Id(int=1), uuid.UUID(int=1)),
        (Data(b"x"), b"x"),
        (Data(b"x" * 600), b"x" * 600),
        (Span(seconds=-5), dt.timedelta(seconds=-5)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_subclasses_have_no_word_in_it(value, base, mode):
    context = LiteralContext(no_backslash_escapes=mode)
    assert literal(value, context) == literal(base, context)
    assert type(literal(value, context)) is str
    assert sql.interpolate(Safe("select %s"), [value], context=context) == sql.interpolate(
        "select %s", [base], context=context
    )
    assert converters.escape_item(value) == converters.escape_item(base)


class Sub(str):
    pass


@pytest.mark.parametrize("value", ["\\' or 1=1 -- ", "x"])
@pytest.mark.parametrize("mode", [False, True])
def test_built_in_encoders_of_another_type_know_the_mode(value, mode):
    """PyMySQL's idiom: conn.encoders[Sub] = conn.encoders[str]."""
    for encoder in (converters.encoders[str], converters.escape_unicode):
        context = LiteralContext(
            no_backslash_escapes=mode,
            encoders={**converters.conversions, Sub: encoder, pathlib.PurePath: encoder},
        )
        assert literal(Sub(value), context) == literal(value, context)
        assert literal(pathlib.PurePosixPath(value), context) == literal(value, context)


def test_built_in_encoders_of_another_type_know_the_charset():
    context = LiteralContext(
        encoding="gbk", encoders={**converters.conversions, Sub: converters.escape_str}
    )
    with pytest.raises(NotSupportedError):
        literal(Sub("縗"), context)
    with pytest.raises(NotSupportedError):
        literal([Sub("é")], context)


def test_the_hexadecimal_form_names_the_connections_charset():
    context = LiteralContext(no_backslash_escapes=True, encoding="cp1252", charset="latin1")
    assert literal("\\é", context) == "_latin1 X'5ce9'"
    with pytest.raises(DataError, match="utf8mb4"):
        literal("\\中", context)


def test_escape_string():
    assert DEFAULT.escape_string("a'\\\"") == "a''\\\\\\\""
    assert NO_BACKSLASH.escape_string("a'\"") == "a''\""
    with pytest.raises(NotSupportedError, match="parameter"):
        NO_BACKSLASH.escape_string("a\\")
    with pytest.raises(NotSupportedError):
        LiteralContext(encoding="gbk").escape_string("é")


@pytest.mark.parametrize("context", [DEFAULT, NO_BACKSLASH], ids=["default", "no backslash"])
@pytest.mark.parametrize("text", ["a\udcff", "\ud800", "\\\udc5c"])
def test_half_a_character_is_refused_beside_long_bytes_too(text, context):
    with pytest.raises(DataError, match="replace it"):
        sql.interpolate("select %s, %s", (b"\xff" * 600, text), context=context)
    with pytest.raises(DataError, match="replace it"):
        sql.escape_id(text, context=context)


@pytest.mark.parametrize("value", [10**5000, [1, -(10**5000)]], ids=["int", "list"])
def test_integers_python_does_not_print(value):
    for write in (
        literal,
        converters.escape_item,
        lambda value: sql.interpolate("select %s", (value,)),
        lambda value: sql.interpolate("insert into t values %s", ([[value]],)),
        lambda value: sql.row_formatter("(%s)")((value,)),
    ):
        with pytest.raises(DataError, match="digits"):
            write(value)


def test_other_errors_of_encoders_are_left_alone():
    def fail(value, mapping):
        raise ValueError("mine")

    context = LiteralContext(encoders={Point: fail})
    for write in (context.write, lambda value: sql.interpolate("%s", (value,), context=context)):
        with pytest.raises(ValueError, match="mine"):
            write(Point())


def test_registering_later_counts_until_the_first_use(monkeypatch):
    context = LiteralContext(encoders=dict(converters.conversions))
    with pytest.raises(TypeError, match=r"encoders\[Point\]"):
        literal(Point(), context)
    monkeypatch.setitem(converters.encoders, Point, lambda value, mapping: "P")
    assert literal(Point(), context) == "P"


class Own:
    def __init__(self, text):
        self.text = text

    def __mysql_literal__(self, context):
        return self.text


def test_own_literal():
    assert literal(Own("x(1)"), DEFAULT) == "x(1)"
    with pytest.raises(TypeError, match="must return str"):
        literal(Own(5), DEFAULT)


@numbers.Integral.register
class Whole:
    def __int__(self):
        return 7


@numbers.Real.register
class Long:
    """A float wider than Python's, as numpy.longdouble: item() has nothing simpler to give."""

    dtype = None

    def item(self):
        return self

    def __float__(self):
        return 0.5


@pytest.mark.parametrize(("value", "text"), [(Whole(), "7"), (Long(), "0.5e0")])
def test_registered_numbers(value, text):
    assert literal(value, DEFAULT) == text


def test_sequence_encoder_serves_other_types():
    context = LiteralContext(encoders={range: converters.escape_sequence})
    assert literal(range(3), context) == "(0,1,2)"


# Numbers of other libraries, in numpy's manner -------------------------------------------------


class DType:
    def __init__(self, kind):
        self.kind = kind


class Scalar:
    ndim = 0

    def __init__(self, item, kind="i"):
        self._item = item
        self._kind = kind

    @property
    def dtype(self):
        return DType(self._kind)

    def item(self):
        return self._item


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Scalar(5), "5"),
        (Scalar(True, "b"), "1"),
        (Scalar(None, "M"), "NULL"),
        (Scalar(dt.datetime(2024, 1, 1), "M"), "'2024-01-01 00:00:00'"),
    ],
)
def test_foreign_scalars(value, text):
    assert literal(value, DEFAULT) == text


def test_foreign_scalars_that_lose_something_are_refused():
    array = Scalar(1)
    array.ndim = 1
    itself = Scalar(None)
    itself._item = itself
    for value in (array, itself, Scalar(1, "M"), Scalar(1, "m")):
        with pytest.raises(TypeError, match="Scalar cannot"):
            literal(value, DEFAULT)


# Names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a", "`a`"),
        ("a`b", "`a``b`"),
        ("db.t", "`db`.`t`"),
        (["a", "t.b"], "`a`, `t`.`b`"),
        ("a b\\", "`a b\\`"),
    ],
)
def test_escape_id(name, text):
    assert sql.escape_id(name) == text


def test_escape_id_unqualified():
    assert sql.escape_id("db.t", qualified=False) == "`db.t`"


@pytest.mark.parametrize("name", ["", "a.", ".a", "a\0b", []])
def test_escape_id_refuses(name):
    with pytest.raises(ProgrammingError, match="name"):
        sql.escape_id(name)


def test_assignments():
    assert str(sql.assignments({"a": "it's"})) == "`a` = 'it''s'"
    assert literal(sql.assignments({"a": "it's"}), NO_BACKSLASH) == "`a` = 'it''s'"
    with pytest.raises(ProgrammingError, match="empty"):
        str(sql.assignments({}))


def test_encode():
    assert sql.encode("é", "cp1252") == b"\xe9"
    with pytest.raises(DataError, match=r"offset 1.*utf8mb4"):
        sql.encode("a中", "cp1252")
    with pytest.raises(DataError, match="replace it"):
        sql.encode("\ud800", "utf-8")


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text()
        | st.binary()
        | st.dates()
        | st.just(Decimal(1)),
        lambda inner: st.lists(inner, min_size=1, max_size=3),
    )
)
def test_contexts_agree_with_the_public_registry(value):
    assert literal(value, DEFAULT) == converters.escape_item(value)
