"""What a client must know of a statement: the row of an INSERT, the files of a LOAD DATA LOCAL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..err import ProgrammingError
from .literals import LiteralContext, encode
from .placeholders import ParamStyle, template
from .tokens import Token, other_modes, tokenize, unquote


class SplitValues(NamedTuple):
    """An INSERT cut for `batches`: `prefix` + rows made of `row` + `suffix`."""

    prefix: str
    row: str
    suffix: str


_MODIFIERS = frozenset({"LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE"})
_BEHIND_ROW = frozenset({"AS", "ON", "RETURNING"})


class _Walk:
    """The tokens of a statement that mean something, read one after the other."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self.tokens = [token for token in tokens if token.kind not in ("space", "comment")]
        self.at = 0

    def peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def word(self, *choices: str) -> bool:
        token = self.peek()
        found = token is not None and token.kind == "word" and token.text.upper() in choices
        self.at += found
        return found

    def symbol(self, char: str) -> bool:
        token = self.peek()
        found = token is not None and token.text == char
        self.at += found
        return found

    def name(self) -> bool:
        token = self.peek()
        found = token is not None and token.kind in ("word", "identifier")
        self.at += found
        return found

    def parentheses(self) -> bool:
        """Pass `( ... )`; False without moving when it is not there or does not end."""
        start, depth = self.at, 0
        while token := self.peek():
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if depth == 0:
                break
            self.at += 1
        if depth or self.at == start:
            self.at = start
            return False
        self.at += 1
        return True


def split_values(
    sql: str, *, paramstyle: ParamStyle = "pyformat", context: LiteralContext | None = None
) -> SplitValues | None:
    """Cut `INSERT ... VALUES (row) ...` into what is before, the row and what is behind.

    REPLACE too; behind may be AS, ON DUPLICATE KEY UPDATE and RETURNING.
    prefix and suffix come as they are to be sent (`%%` undone), row with its placeholders; a last
    `;` is dropped. None when the statement is something else: INSERT ... SELECT or SET, several
    rows, no placeholder in the row or one outside of it, more statements behind, or the row would
    be another in another SQL mode. Such a statement is run once per row of parameters.

    Source: https://dev.mysql.com/doc/refman/8.4/en/insert.html https://mariadb.com/kb/en/insert/
    """
    context = context or LiteralContext()
    modes = (context.ansi_quotes, context.no_backslash_escapes)
    cuts = _cuts(sql, *modes)
    if cuts is None or any(_cuts(sql, *other) != cuts for other in other_modes(sql, *modes)):
        return None
    start, row_end, end = cuts
    return _checked(sql[:start], sql[start:row_end], sql[row_end:end], paramstyle, context)


def _cuts(sql: str, ansi_quotes: bool, no_backslash_escapes: bool) -> tuple[int, int, int] | None:
    """Return where the row begins, where it ends and where the statement ends."""
    walk = _Walk(tokenize(sql, ansi_quotes=ansi_quotes, no_backslash_escapes=no_backslash_escapes))
    if not walk.word("INSERT", "REPLACE"):
        return None
    while walk.word(*_MODIFIERS):
        pass
    walk.word("INTO")
    if not walk.name():
        return None
    while walk.symbol("."):
        if not walk.name():
            return None
    if walk.word("PARTITION") and not walk.parentheses():
        return None
    walk.parentheses()
    if not walk.word("VALUES", "VALUE"):
        return None
    first = walk.peek()
    if first is None or not walk.parentheses():
        return None
    row_end = walk.tokens[walk.at - 1].end
    token = walk.peek()
    if token and token.text != ";" and token.text.upper() not in _BEHIND_ROW:
        return None
    while (token := walk.peek()) and token.text != ";":
        walk.at += 1
    end = token.start if token else len(sql)
    if token and walk.at + 1 < len(walk.tokens):
        return None
    return first.start, row_end, end


def _checked(
    prefix: str, row: str, suffix: str, paramstyle: ParamStyle, context: LiteralContext
) -> SplitValues | None:
    try:
        before, inside, behind = (
            template(sql, paramstyle, context) for sql in (prefix, row, suffix)
        )
    except ProgrammingError:
        # A lone percent sign: running the statement as a whole tells where.
        return None
    if before.size or behind.size or not inside.size:
        return None
    return SplitValues(before.text % (), row, behind.text % ())


def batches(
    prefix: str,
    rows: Iterable[str | bytes],
    suffix: str,
    max_bytes: int | Callable[[], int],
    *,
    encoding: str = "utf-8",
) -> Iterator[bytes]:
    """Yield statements `prefix` row, row ... `suffix` of bounded size, taking rows as they come.

    A row that does not fit even alone makes a statement alone; the server then says what it allows.
    At most one statement and one row are held. No rows, no statements. DataError for a character
    that `encoding` lacks.

    max_bytes: of the statement, one less than what the packet may hold since COM_QUERY takes a
        byte; a function is asked anew for each statement.
    """
    head, tail = encode(prefix, encoding), encode(suffix, encoding)
    batch: list[bytes] = []
    limit = max_bytes if callable(max_bytes) else lambda: max_bytes
    free = limit() - len(head) - len(tail)
    for item in rows:
        row = encode(item, encoding) if isinstance(item, str) else item
        size = len(row) + 1
        # The first row has no comma.
        if size > free + 1 and batch:
            yield b"".join((head, b",".join(batch), tail))
            batch.clear()
            free = limit() - len(head) - len(tail)
        batch.append(row)
        free -= size
    if batch:
        yield b"".join((head, b",".join(batch), tail))


def infile_names(
    sql: str, *, ansi_quotes: bool = False, no_backslash_escapes: bool = False
) -> list[str]:
    """Return the files that the `LOAD DATA|XML LOCAL INFILE` statements in `sql` name, in order.

    A server may ask for any file in answer to any query: only what is listed here was asked for by
    the program. Looks into all statements of the text, and into `/*! */` comments, which servers
    execute. A name that in another SQL mode would be within another string is not listed.

    Source: https://dev.mysql.com/doc/refman/8.4/en/load-data.html
    """
    found = _files(sql, ansi_quotes, no_backslash_escapes)
    for modes in other_modes(sql, ansi_quotes, no_backslash_escapes) if found else ():
        there = {(token.start, token.text) for token in _files(sql, *modes)}
        found = [token for token in found if (token.start, token.text) in there]
    return [
        unquote(token.text, no_backslash_escapes=no_backslash_escapes)
        for token in found
        if token.kind == "string"
    ]


def _files(sql: str, ansi_quotes: bool, no_backslash_escapes: bool) -> list[Token]:
    walk = _Walk(
        tokenize(
            sql,
            ansi_quotes=ansi_quotes,
            no_backslash_escapes=no_backslash_escapes,
            executable_comments=True,
        )
    )
    found = []
    while token := walk.peek():
        if not (walk.word("LOAD") and walk.word("DATA", "XML")):
            walk.at += walk.peek() is token
            continue
        walk.word("LOW_PRIORITY", "CONCURRENT")
        if walk.word("LOCAL") and walk.word("INFILE"):
            token = walk.peek()
            if token and token.kind in ("string", "identifier"):
                found.append(token)
    return found


def has_several(sql: str, *, no_backslash_escapes: bool = False) -> bool:
    """Tell whether something follows the first semicolon of a text."""
    tokens = tokenize(sql, no_backslash_escapes=no_backslash_escapes)
    walk = _Walk(tokens)
    while walk.peek() and not walk.symbol(";"):
        walk.at += 1
    return walk.peek() is not None
