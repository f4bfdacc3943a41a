"""The statements of a script, one COM_QUERY each; rows in the answers are dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from pymy import err
from pymy.constants import CR, SERVER_STATUS
from pymy.protocol.attributes import Attributes
from pymy.protocol.needs import Conversation
from pymy.protocol.query import (
    LARGE_STATEMENT,
    check_size,
    discard,
    discard_rows,
    next_result,
    query,
)
from pymy.protocol.result import Result
from pymy.protocol.session import Session
from pymy.sql import LiteralContext, Splitter, Statement, encode

T = TypeVar("T")

# What an error shows of its statement.
SHOWN = 200
# Where a statement that changes the SQL mode says so.
MODE_CHANGE = 4096
ANSI_QUOTES = int(SERVER_STATUS.SERVER_STATUS_ANSI_QUOTES)


class ScriptResult(NamedTuple):
    """What a script has done, so far or at its end."""

    statements: int = 0
    """Statements executed."""
    rows: int = 0
    """Rows they changed."""
    warnings: int = 0
    """Warnings they gave."""
    size: int = 0
    """Length of the script up to the last of them, in bytes, or in characters of a text."""


def run_script(
    session: Session,
    pieces: Iterator[str | bytes],
    context: Callable[[], LiteralContext],
    *,
    progress: Callable[[ScriptResult], object] | None = None,
    attributes: Attributes | None = None,
) -> Conversation[ScriptResult]:
    """Run statement after statement until one fails; the error tells which.

    One at a time: in front of each, the session's SQL mode tells how it is to be read.
    """
    yield from discard(session)
    script = Script(session, pieces)
    done = ScriptResult()
    ansi_quotes = yield from has_ansi_quotes(session)
    while True:
        now = context()
        statement = None
        try:
            statement = script.splitter.take(
                ansi_quotes=ansi_quotes, no_backslash_escapes=now.no_backslash_escapes
            )
            if statement is not None:
                sql = script.encoded(statement, now)
                result = yield from query(session, sql, stream=True, attributes=attributes)
                done = yield from finish(session, result, done)
                if session.mariadb or "sql_mode" in statement.text[:MODE_CHANGE].lower():
                    ansi_quotes = yield from has_ansi_quotes(session)
            elif script.splitter.ended:
                return done
            elif script.splitter.held > LARGE_STATEMENT:
                yield from check_size(session, script.splitter.held)
        except err.Error as exc:
            script.locate(exc, statement)
            raise
        if statement is None:
            script.read()
            continue
        done = done._replace(statements=done.statements + 1, size=statement.end)
        if progress is not None:
            users(session, progress, done)


def has_ansi_quotes(session: Session) -> Conversation[bool]:
    """Tell whether "..." is a name now: MariaDB's answers say so, MySQL must be asked."""
    if session.mariadb:
        return bool(session.status & ANSI_QUOTES)
    result = yield from query(session, b"SELECT @@sql_mode")
    return "ANSI_QUOTES" in str(result.rows)


def finish(session: Session, result: Result | None, done: ScriptResult) -> Conversation[Any]:
    """Read a statement's results to their end, however long: what it does is wanted, not they."""
    rows, warnings = done.rows, done.warnings
    while result is not None:
        if result.unread:
            yield from discard_rows(session)
        rows += max(result.affected_rows, 0)
        warnings += result.warning_count
        result = yield from next_result(session, stream=True)
    return done._replace(rows=rows, warnings=warnings)


def users(session: Session, function: Callable[..., T], *args: Any) -> T:
    """Call the user's own code; what it raises says nothing of this connection."""
    try:
        return function(*args)
    except Exception as exc:
        session.not_ours = exc
        raise


class Script:
    """A script's pieces on their way to the splitter, and its statements as bytes again."""

    def __init__(self, session: Session, pieces: Iterator[str | bytes]) -> None:
        self.session = session
        self.pieces = pieces
        self.splitter = Splitter()
        self.is_text: bool | None = None

    def read(self) -> None:
        piece = users(self.session, next, self.pieces, "" if self.is_text else b"")
        if self.is_text is None:
            self.is_text = isinstance(piece, str)
        if not isinstance(piece, str if self.is_text else (bytes, bytearray, memoryview)):
            kind = "str" if self.is_text else "bytes"
            raise TypeError(f"the pieces of a script are {kind} so far, not {type(piece).__name__}")
        # one character for each byte: what is between quotes need not be text
        self.splitter.feed(piece if isinstance(piece, str) else str(piece, "latin-1"))

    def encoded(self, statement: Statement, context: LiteralContext) -> bytes:
        # text of a connection in such a character set is encoded in it after it was cut
        guarded = context.multibyte_unsafe if self.is_text else context.guarded
        if guarded and not statement.text.isascii():
            raise err.NotSupportedError(
                CR.CR_UNSAFE_CHARSET,
                "The script cannot be cut safely in the character set that the session has here, "
                "where a character may hold the byte of a quote or a backslash: use utf8mb4, or "
                "connect with that character set and open the script as text",
            )
        if self.is_text:
            return encode(statement.text, context.encoding)
        return statement.text.encode("latin-1")

    def locate(self, exc: err.Error, statement: Statement | None) -> None:
        """Put into an error which statement it is of."""
        if exc.line is not None:
            return
        if statement is None:
            exc.line = self.splitter.line
            place = f"in line {exc.line} of the script"
        else:
            text = statement.text[:SHOWN]
            if not self.is_text:
                text = text.encode("latin-1").decode("utf-8", "replace")
            shown = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
            exc.line = statement.line
            exc.statement = shown + "..." * (len(statement.text) > SHOWN)
            place = f"in line {exc.line} of the script: {exc.statement}"
        exc.args = (exc.errno, f"{exc.message} ({place})")
