"""``executemany``: one statement and many rows, in as few round trips as the server allows.

==========  =========================================================================
way         for what
==========  =========================================================================
rewritten   INSERT and REPLACE ... VALUES: statements of many rows
bulk        MariaDB's COM_STMT_BULK_EXECUTE: INSERT, REPLACE, UPDATE, DELETE
joined      the same on MySQL, and CALL: many statements in a text
each        everything else: one statement a row
==========  =========================================================================

20,000 rows of 4 columns into MariaDB take the same time rewritten and in bulk; rewriting costs this
side half the CPU time, so it goes first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from . import err
from .autoprepare import Sent, kept, parametrized
from .joining import joining
from .protocol.bulk import (
    Batch,
    Tally,
    Written,
    execute_batch,
    execute_each,
    execute_one,
    indicated,
    is_bulk,
)
from .protocol.joining import execute_joined
from .protocol.needs import Conversation
from .protocol.query import ask_limit, discard, query, servers_values
from .protocol.result import Result
from .protocol.session import Session
from .protocol.state import READY
from .protocol.statementcache import SPACE, limits
from .protocol.statements import Prepared
from .sql import SplitValues, Template, batches, encode, in_order, row_formatter, split_values

if TYPE_CHECKING:
    from .base import BaseConnection
    from .basecursor import BaseCursor

# What goes out before the server is asked how much it takes at once: every server takes this.
CAUTIOUS = 64 * 1024
# What goes out at once afterwards.
MOST = 1024000
# Batches of one row, one behind the other, that are not worth being in bulk.
LONELY = 3
# SQLSTATE classes of errors that one row's values are the reason of.
_OF_A_ROW = frozenset({"22", "23"})
_AT_ROW = re.compile(r" at row (\d{1,9})\Z")
_BULK = re.compile(rf"{SPACE}(?:INSERT|REPLACE|UPDATE|DELETE)\b", re.IGNORECASE | re.DOTALL)
_INSERTS = re.compile(rf"{SPACE}(?:INSERT|REPLACE)\b", re.IGNORECASE | re.DOTALL)
_RETURNING = re.compile(r"\bRETURNING\b", re.IGNORECASE)


class Counted:
    """Rows that are counted, so that an error can name its own."""

    def __init__(self) -> None:
        self.taken = 0
        #: The rows of the command that was sent last.
        self.sent = range(0)
        #: What their source raised, which is not about any of them.
        self.failure: BaseException | None = None

    def place(self, exc: err.Error) -> None:
        """Give an error the range of its rows, and the index if there is only one."""
        exc.row_range = self.sent or None
        if len(self.sent) == 1:
            at_row(exc, self.sent[0])


class Rows(Counted):
    """The caller's rows."""

    def __init__(self, args: Iterable[Any]) -> None:
        super().__init__()
        self._rows = iter(args)
        self._back: list[Any] = []
        self.ended = False

    def __iter__(self) -> Rows:
        return self

    def __next__(self) -> Any:
        if self._back:
            row = self._back.pop()
        else:
            try:
                row = next(self._rows)
            except StopIteration:
                self.ended = True
                raise
            except Exception as exc:
                self.failure = exc
                raise
        self.taken += 1
        return row

    def put_back(self, rows: Sequence[Any]) -> None:
        """Give rows again, those that were taken last."""
        self._back += reversed(rows)
        self.taken -= len(rows)
        self.ended = False


@contextmanager
def counting(session: Session, rows: Counted) -> Iterator[None]:
    """Have a time-out, which is raised while the call's own steps rest, find the rows."""
    session.counted = rows
    try:
        yield
    finally:
        session.counted = None


def named(session: Session, rows: Counted, sql: str, exc: err.Error) -> Conversation[None]:
    """Give an error the index of its row, as far as that is known.

    A statement that inserts many rows counts them in its words, and MariaDB 10.7 and later tells
    also of those that have no such words. What runs row by row has failed in "row 1" always.
    """
    sent = rows.sent
    if exc is rows.failure:
        session.not_ours = exc  # of another connection perhaps: it says nothing of this one
        return
    if exc.row_index is not None or not sent:
        return
    rows.place(exc)
    number = 0
    if len(sent) > 1 and _INSERTS.match(sql) is not None:
        told = at_number(exc.message)
        if told is not None:
            number = told
        elif (exc.sqlstate or "")[:2] in _OF_A_ROW and _tells_rows(session):
            with suppress(err.Error, ValueError, TypeError), servers_values(session):
                yield from query(session, b"GET DIAGNOSTICS CONDITION 1 @_pymy_row=ROW_NUMBER")
                row = yield from query(session, b"SELECT @_pymy_row,@_pymy_row:=NULL")
                number = int(row.rows[0][0])
    if 0 < number <= len(sent):
        at_row(exc, sent[number - 1])


def _tells_rows(session: Session) -> bool:
    greeting = session.greeting
    return (
        session.mariadb
        and session.state is READY
        and not session.abandoned
        and greeting is not None
        and greeting.version >= (10, 7)
    )


def at_number(message: str) -> int | None:
    """Return which row of its statement a server's text names, counted from 1."""
    found = _AT_ROW.search(message)
    return None if found is None else int(found[1])


def at_row(exc: Exception, index: int) -> None:
    """Give an exception the index of its row."""
    exc.row_index = index  # type: ignore[attr-defined]
    exc.add_note(f"in row {index} (row_index, counted from 0)")


def choose(
    connection: BaseConnection, sql: str, *, results: bool = False
) -> SplitValues | Template | None:
    """Choose the way: cut for rewriting, or a text to prepare for bulk, or None for each by itself.

    results: what each row did is asked for, which only bulk tells of many at once.
    """
    context, style = connection._context, connection._options.paramstyle
    if not results:
        split = split_values(sql, paramstyle=style, context=context)
        if split is not None:
            return split
    if not is_bulk(connection._session, units=results):
        return None
    if _BULK.match(sql) is None or _RETURNING.search(sql) is not None:
        return None
    found = parametrized(connection, sql, mode="auto")
    return found if found is not None and found.size and not limits(found.text) else None


class Room:
    """How much goes out at once.

    Both sides have a max_allowed_packet. The server is asked for its own when there is more to send
    than what each server takes.
    """

    def __init__(self, connection: BaseConnection, most: int = MOST) -> None:
        self.session: Session = connection._session
        self.most = min(most, connection._options.max_allowed_packet - 1)

    def left(self) -> int:
        """Return the bytes that the next statement may have."""
        limit = self.session.server_limit
        return min(self.most, CAUTIOUS if limit is None else limit - 1)

    def learn(self, rows: Rows) -> Conversation[None]:
        """Take note that what was sent has run, and see whether the rest may go in larger parts."""
        rows.sent = range(rows.sent.stop, rows.sent.stop)
        if self.session.server_limit is None and not rows.ended and self.most > CAUTIOUS:
            yield from ask_limit(self.session)

    def in_bulk(
        self,
        prepared: Prepared,
        rows: Rows,
        write: Callable[[Any], list[Written]],
        tally: Tally,
        note: Callable[[Any], None] = lambda row: None,
    ) -> Conversation[None]:
        """Run a statement with many rows at once, as far as that goes.

        What is left in ``rows`` then cannot go in bulk: a single row, one that cannot be written,
        all where the server refuses the statement; or it gains nothing, as types alternate.
        """
        lonely = 0
        for batch, held in self._batches(rows, write):
            lonely = lonely + 1 if len(held) == 1 else 0
            if lonely > LONELY or (rows.ended and rows.taken == 1):
                return rows.put_back(held)
            rows.sent = range(rows.taken - len(held), rows.taken)
            note(held[-1])
            if not (yield from execute_batch(self.session, prepared, batch, tally)):
                return rows.put_back(held)
            yield from self.learn(rows)

    def _batches(
        self, rows: Rows, write: Callable[[Any], list[Written]]
    ) -> Iterator[tuple[Batch, list[Any]]]:
        while True:
            batch, held = Batch(self.left()), list[Any]()
            for row in rows:
                try:
                    fits = batch.takes(write(row))
                except (TypeError, ValueError, err.Error):
                    fits = False  # who sends it by itself says what is wrong, or has a form for it
                if not fits:
                    rows.put_back([row])
                    break
                held.append(kept(row))
            if not held:
                return
            yield batch, held


class ManyRows:
    """One call of ``executemany``."""

    def __init__(
        self, cursor: BaseCursor[Any, Any], connection: BaseConnection, sql: str, tally: Tally
    ) -> None:
        self.cursor = cursor
        self.connection = connection
        self.session: Session = connection._session
        self.sql = sql
        self.tally = tally
        self._room = Room(connection, cursor.max_stmt_length)
        self._prepared: Prepared | None = None
        self._row: Any = None  # the one written last

    def run(self, rows: Rows) -> Conversation[None]:
        way = choose(self.connection, self.sql, results=self.tally.results is not None)
        self.tally.gather = isinstance(way, SplitValues) or (
            _BULK.match(self.sql) is not None and _RETURNING.search(self.sql) is not None
        )
        try:
            if isinstance(way, SplitValues):
                yield from self._rewritten(rows, way)
            else:
                if way is not None:
                    yield from self._bulk(rows, way)
                joins = joining(self.connection, self.sql)
                if joins is not None:
                    yield from self._joined(rows, joins)
                else:
                    yield from self._each(rows)
        except err.Error as exc:
            yield from named(self.session, rows, self.sql, exc)
            raise
        finally:
            if self._prepared is not None:  # only now: it clears what is known of an error
                self._prepared.close()

    def _rewritten(self, rows: Rows, split: SplitValues) -> Conversation[None]:
        session, connection = self.session, self.connection
        written = self._written(rows, split.row)
        for statement in batches(split.prefix, written, split.suffix, self._room.left):
            # the row that did not fit is taken already
            rows.sent = range(rows.sent.stop, rows.taken - (not rows.ended))
            self._note(statement)
            yield from execute_one(
                session, statement, self.tally, attributes=connection.query_attributes
            )
            yield from self._room.learn(rows)

    def _bulk(self, rows: Rows, found: Template) -> Conversation[None]:
        connection = self.connection
        style = connection._options.paramstyle
        self._prepared = prepared = Prepared(connection._encode(found.text), describe=False)

        def write(row: Any) -> list[Written]:
            return indicated(in_order(found, row, style), connection._context)

        def note(row: Any) -> None:
            self.cursor._sent = Sent(connection, self.sql, row)

        yield from self._room.in_bulk(prepared, rows, write, self.tally, note)

    def _joined(self, rows: Rows, joins: Callable[[Any], bool]) -> Conversation[None]:
        done = rows.taken
        unwritten: Exception | None = None

        def statements() -> Iterator[tuple[bytes, bool]]:
            nonlocal unwritten
            try:
                for statement in self._written(rows, self.sql):
                    self._note(statement)
                    yield statement, joins(self._row)
            except Exception as exc:
                if exc is rows.failure:
                    raise
                unwritten = exc  # the end of them: those before it run

        def took(result: Result) -> None:
            nonlocal done
            self.tally.add(result)
            done += 1

        def failed(statement: bytes) -> None:
            self._note(statement)
            going(1)

        def going(count: int) -> None:
            rows.sent = range(done, done + count)

        yield from execute_joined(self.session, statements(), took, failed, going)
        if unwritten is not None:
            self.session.not_ours = unwritten
            raise unwritten

    def _each(self, rows: Rows) -> Conversation[None]:
        yield from execute_each(
            self.session,
            self._noted(rows),
            self.tally,
            attributes=self.connection.query_attributes,
        )

    def _noted(self, rows: Rows) -> Iterator[bytes]:
        for statement in self._written(rows, self.sql):
            rows.sent = range(rows.taken - 1, rows.taken)
            self._note(statement)
            yield statement

    def _note(self, statement: bytes) -> None:
        # bytes written raw are surrogates in text
        self.cursor._sent = statement.decode(self.connection.encoding, "surrogateescape")

    def _written(self, rows: Rows, sql: str) -> Iterator[bytes]:
        """Write each row; the SQL mode may change by what runs in between."""
        connection = self.connection
        style, encoding = connection._options.paramstyle, connection.encoding
        context = connection._context
        write = row_formatter(sql, context, style)
        for row in rows:
            if connection._context is not context:
                context = connection._context
                write = row_formatter(sql, context, style)
            try:
                text = encode(write(row), encoding)
            except Exception as exc:
                at_row(exc, rows.taken - 1)
                raise
            self._row = row
            yield text


def executing_many(
    cursor: BaseCursor[Any, Any],
    connection: BaseConnection,
    sql: str | bytes,
    args: Iterable[Any],
    results: bool,
) -> Conversation[Tally]:
    """Run a statement for each row; the tally has no result when there are none."""
    yield from discard(connection._session)
    if not isinstance(sql, str):
        sql = bytes(sql).decode(connection.encoding)
    rows = Rows(args)
    tally = Tally([] if results else None)
    cursor.results = tally.results
    first = list(islice(rows, 1))
    if first:
        rows.put_back(first)
        with counting(connection._session, rows):
            yield from ManyRows(cursor, connection, sql, tally).run(rows)
    return tally
