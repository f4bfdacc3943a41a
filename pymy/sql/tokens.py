"""Cut SQL text into tokens, as far as a client must understand it.

One compiled pattern per SQL mode. Every quantifier that could give characters back is possessive,
so time is linear in the text, whatever it holds. A string, identifier or comment that never ends
goes on to the end.

Source: https://dev.mysql.com/doc/refman/8.4/en/string-literals.html
https://dev.mysql.com/doc/refman/8.4/en/comments.html
https://dev.mysql.com/doc/refman/8.4/en/sql-mode.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, NamedTuple, cast

Kind = Literal["space", "comment", "string", "identifier", "placeholder", "word", "symbol"]


class Token(NamedTuple):
    """One piece of SQL: `sql[token.start:token.end] == token.text`."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        """Offset of the first character after the token."""
        return self.start + len(self.text)


_SPACE = r"[\t-\r ]++"
# "--" opens a comment only before a blank, a control character or the end: "5--1" is arithmetic.
_DASHES = r"--(?=[\x00-\x20\x7f]|\Z)"
_LINE_COMMENT = rf"#[^\n]*+|{_DASHES}[^\n]*+"
_BLOCK_COMMENT = r"/\*(?:[^*]++|\*(?!/))*+(?:\*/)?"
# What /*! and MariaDB's /*M! hold is executed; here the marks alone are comments.
_EXECUTABLE_MARKS = r"/\*M?!\d*+|\*/"
_NAMED = r":(?<![0-9A-Za-z_:]:)[A-Za-z_\x80-\U0010ffff][0-9A-Za-z_\x80-\U0010ffff]*+"
_WORD = r"[0-9A-Za-z_$\x80-\U0010ffff]++"


def _quoted(quote: str, no_backslash_escapes: bool, end: str = "?") -> str:
    """end: of the closing quote's rule; default: it may be missing."""
    if no_backslash_escapes:
        return rf"{quote}(?:[^{quote}]++|{quote}{quote})*+{quote}{end}"
    return rf"{quote}(?:[^{quote}\\]++|{quote}{quote}|\\.?)*+{quote}{end}"


def _strings(ansi_quotes: bool, no_backslash_escapes: bool, end: str = "?") -> str:
    single = _quoted("'", no_backslash_escapes, end)
    return single if ansi_quotes else single + "|" + _quoted('"', no_backslash_escapes, end)


def _identifiers(ansi_quotes: bool, end: str = "?") -> str:
    backticked = _quoted("`", True, end)
    return backticked + "|" + _quoted('"', True, end) if ansi_quotes else backticked


@lru_cache(maxsize=8)
def _pattern(ansi_quotes: bool, no_backslash_escapes: bool, executable: bool) -> re.Pattern[str]:
    comments = f"{_LINE_COMMENT}|{_BLOCK_COMMENT}"
    if executable:
        comments = f"{_EXECUTABLE_MARKS}|{comments}"
    kinds = {
        "space": _SPACE,
        "word": _WORD,
        "string": _strings(ansi_quotes, no_backslash_escapes),
        "identifier": _identifiers(ansi_quotes),
        "comment": comments,
        "placeholder": rf"\?++|{_NAMED}",
        "symbol": ".",
    }
    return re.compile("|".join(f"(?P<{kind}>{rule})" for kind, rule in kinds.items()), re.DOTALL)


@lru_cache(maxsize=16)
def placeholder_pattern(
    placeholder: Literal["?", ":"], ansi_quotes: bool, no_backslash_escapes: bool
) -> re.Pattern[str]:
    """Return a pattern that finds placeholders, and whatever may hide one, by first character."""
    # Each alternative begins with a literal character: `re` then skips plain text fast.
    rules = [
        _strings(ansi_quotes, no_backslash_escapes),
        _identifiers(ansi_quotes),
        _LINE_COMMENT,
        _BLOCK_COMMENT,
        r"\?++" if placeholder == "?" else _NAMED,
    ]
    return re.compile("|".join(rules), re.DOTALL)


class StatementPatterns(NamedTuple):
    """What a script's statement is found by; each matches nothing that is not whole.

    Text may end anywhere, in the middle of a token too: it is matched as far as more of it cannot
    change what it is.
    """

    before: re.Pattern[str]
    """Blanks and comments in front of a statement, which no server executes."""
    body: re.Pattern[str]
    """A statement, up to its delimiter, to a line DELIMITER ; or to the token that is not whole."""


DELIMITER_BACK = r"[ \t]*+(?i:delimiter)[ \t]++;[ \t\r]*+"


@lru_cache(maxsize=64)
def statement_patterns(
    delimiter: str, ansi_quotes: bool, no_backslash_escapes: bool, last: bool
) -> StatementPatterns:
    """Return the patterns of a SQL mode and a delimiter; ``last`` when no more text will come."""
    line_end = r"(?:\n|\Z)" if last else r"\n"
    line = rf"(?:#|{_DASHES})[^\n]*+(?={line_end})"
    inner = r"/\*(?:[^*]++|\*(?!/))*+\*/"
    block = rf"(?!/\*M?!){inner}"
    # mariadb-dump begins with it: the client shall run no commands of the system. pymy has none.
    sandbox = r"/\*M!999999\\-[^*]*+\*/"
    # the next character tells whether a quote closes or is the first of two
    end = "" if last else "(?=.)"
    strings = _strings(ansi_quotes, no_backslash_escapes, end)
    quoted = f"{strings}|{_identifiers(ansi_quotes, end)}"
    # As many characters as tell what one of them begins: "--" and a blank, or the delimiter.
    ahead = "" if last else f"(?={'.' * max(3, len(delimiter))})"
    alone = rf"{ahead}(?!/\*|{_DASHES})"
    executed = rf"/\*M?!(?:[^'\"`#\-/*]++|{quoted}|{line}|{inner}|{alone}[-/]|\*(?!/))*+\*/"
    # The delimiter comes before all else: it may be "--" or "#".
    first = re.escape(delimiter[0])
    other = rf"(?:(?!{first})|{ahead}(?!{re.escape(delimiter)}))"
    single = r"\-/" if delimiter[0] in "'\"`#-/" else rf"\-/{first}"
    tokens = f"{quoted}|{line}|{block}|{executed}|{alone}[{single}]"
    plain = rf"[^'\"`#\-/{first}]++"
    if delimiter != ";":
        # mysqldump hides the delimiter behind a routine that ends in a comment; its next line is
        # DELIMITER ;
        plain = rf"[^\n'\"`#\-/{first}]++|\n(?=[^\n]*+{line_end})(?!{DELIMITER_BACK}{line_end})"
    return StatementPatterns(
        re.compile(f"(?:{_SPACE}|{other}(?:{line}|{block}|{sandbox}))*+", re.DOTALL),
        re.compile(rf"(?:{plain}|{other}(?:{tokens}))*+", re.DOTALL),
    )


def other_modes(sql: str, ansi_quotes: bool, no_backslash_escapes: bool) -> list[tuple[bool, bool]]:
    """Return the SQL modes, as arguments of the above, in which strings of `sql` may end elsewhere.

    What is believed of the mode may be wrong: a status is not sent anew after a trigger, a function
    or a procedure has set sql_mode, and a hostile server sends what it likes.
    """
    if "\\" not in sql:
        return []
    modes = [(False, False), (False, True)]
    if '"' in sql:
        modes.append((True, False))  # a backslash means nothing in "identifiers"
    # without backslash escapes, strings and identifiers end alike
    believed = (ansi_quotes and not no_backslash_escapes, no_backslash_escapes)
    return [mode for mode in modes if mode != believed]


def tokenize(
    sql: str,
    *,
    ansi_quotes: bool = False,
    no_backslash_escapes: bool = False,
    executable_comments: bool = False,
) -> Iterator[Token]:
    """Yield the tokens of `sql`; joined, their texts are `sql` again.

    Nothing goes over the wire. Never raises: text that never closes its quote or comment is one
    token.

    ansi_quotes: "..." is an identifier; default False, a string.
    no_backslash_escapes: a backslash in a string is a plain character; default False.
    executable_comments: cut the inside of `/*! ... */` into tokens too, since the server executes
        it; default False, such a comment is one token.
    Kinds: space, comment, string, identifier (quoted), placeholder (`?`, a run of `??`, `:name`),
    word (keywords, plain names, numbers), symbol (any other character).

    Source: https://dev.mysql.com/doc/refman/8.4/en/language-structure.html
    """
    pattern = _pattern(bool(ansi_quotes), bool(no_backslash_escapes), executable_comments)
    for match in pattern.finditer(sql):
        yield Token(cast(Kind, match.lastgroup), match.group(), match.start())


_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


def _unescape(match: re.Match[str]) -> str:
    char = match.group(1)
    # \% and \_ keep their backslash: they mean something to LIKE only.
    return match.group() if char in "%_" else _ESCAPED.get(char, char)


def unquote(text: str, *, no_backslash_escapes: bool = False) -> str:
    """Return the value of a string token, or the name in a quoted identifier.

    text: with its quotes, as `tokenize` gives it.
    no_backslash_escapes: as for `tokenize`; pass True for identifiers, where a backslash is never
        special.
    """
    quote = text[0]
    inside = re.compile(
        _quoted(quote, no_backslash_escapes).removesuffix(quote + "?").join("()"), re.DOTALL
    ).match(text)
    body = inside.group(1)[1:] if inside else text[1:]
    if no_backslash_escapes or "\\" not in body:
        return body.replace(quote * 2, quote)
    # One pass over both: \\'' must not be read as \' followed by '.
    both = re.compile(rf"\\(.)|{quote}({quote})", re.DOTALL)
    return both.sub(lambda m: quote if m.group(2) else _unescape(m), body)
