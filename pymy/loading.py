"""``load_rows``: rows of a program into a table, by LOAD DATA LOCAL or INSERT, all or none.

::

    SELECT columns ... LIMIT 0                  what the columns hold
    SET sql_notes=0, ...                        in one write with the next
    START TRANSACTION | SAVEPOINT
    LOAD DATA LOCAL INFILE, the rows as a file  refused: INSERT ... VALUES of many rows
    [SHOW WARNINGS]                             LOCAL makes warnings of the rows' errors
    COMMIT | RELEASE SAVEPOINT                  or back to the start
    SET sql_notes=...                           as it was, in one write with that

Notes say that digits were rounded. They would fill the list of warnings, which holds
max_error_count, and what does not fit would not be seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import err
from .constants import CLIENT, CR
from .fields import FORMAT, Field, Plainer, line_writer
from .manyrows import Counted, Room, at_number, at_row, named
from .protocol.needs import FILE, Conversation
from .protocol.packets import Ok
from .protocol.pipelining import MOST, query_command, run_together, takes_several
from .protocol.query import ask_limit, discard, query, servers_values
from .protocol.session import Session
from .protocol.setup import autocommit
from .sql import encode, escape_id, row_formatter

if TYPE_CHECKING:
    from .base import BaseConnection

# The file's name; nobody opens it.
OWN_FILE = "pymy:load_rows"
# Bytes of the file that go out at once, and of an INSERT.
PIECE = 64 * 1024
STATEMENT = 256 * 1024
SAVEPOINT = "pymy_load_rows"
# The user variables are NULL again at the end.
QUIET = (
    "SET @_pymy_notes=@@sql_notes,@_pymy_errors=@@max_error_count,sql_notes=0,max_error_count=64"
)
AS_BEFORE = (
    "SET sql_notes=@_pymy_notes,max_error_count=@_pymy_errors,@_pymy_notes=NULL,@_pymy_errors=NULL"
)
# The server's side, or its options, take no local files; nothing was asked for.
_REFUSED = frozenset({1148, 3948, 3950, 4166})

Progress = Callable[[int], object]
# Makes what serves Need.FILE, for the transport at hand.
Feed = Callable[["Pieces"], Iterator[bytes] | AsyncIterator[bytes]]


class Pieces(Counted):
    """Puts written rows together into pieces of bounded size.

    write: makes the bytes of a row, of its values in order. A piece is ``head``, rows with
    ``between`` between them.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        write: Callable[[Any], bytes],
        progress: Progress | None,
        limit: int,
        head: bytes = b"",
        between: bytes = b"",
    ) -> None:
        super().__init__()
        self.names = names
        self.write = write
        self.progress = progress
        self.limit = limit
        self.head = head
        self.between = between
        self.ended = False
        self._held: list[bytes] = []
        self._size = len(head)

    def add(self, row: Any) -> Iterable[bytes]:
        """Take a row; gives a piece when this one does not fit into it any more."""
        try:
            written = self.write(self._values(row))
        except Exception as exc:
            at_row(exc, self.taken)
            raise
        full: Iterable[bytes] = ()
        size = len(written) + len(self.between)
        if self._held and self._size + size > self.limit:
            full = self._going(self._rest())
        self.taken += 1
        self._held.append(written)
        self._size += size
        return full

    def end(self) -> Iterator[bytes]:
        """Give the piece that has begun, nothing when there are no rows in it."""
        self.ended = True
        return self._going(self._rest())

    def _values(self, row: Any) -> Any:
        if isinstance(row, Mapping):
            lacks = [name for name in self.names if name not in row]
            if lacks:
                raise err.ProgrammingError(
                    CR.CR_BAD_PARAMETER,
                    f"a row has no {lacks[0]!r}: give each row all of {', '.join(self.names)}, or "
                    "name fewer columns=",
                    sent=False,
                )
            row = [row[name] for name in self.names]
        elif not isinstance(row, (tuple, list)):
            if isinstance(row, (str, bytes, set, frozenset)) or not isinstance(row, Iterable):
                raise TypeError(f"a row is a tuple, list or dict, not {type(row).__name__}")
            row = tuple(row)
        if len(row) != len(self.names):
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                f"a row has {len(row)} values, there are {len(self.names)} columns",
                sent=False,
            )
        return row

    def _rest(self) -> bytes:
        held, self._held, self._size = self._held, [], len(self.head)
        self.sent = range(self.taken - len(held), self.taken)
        return self.head + self.between.join(held) if held else b""

    def _going(self, piece: bytes) -> Iterator[bytes]:
        """Give a piece, and say how far it is when that has gone out."""
        yield piece
        if self.progress is not None and self.sent:
            self.progress(self.sent.stop)


def feed(rows: Iterable[Any], pieces: Pieces) -> Iterator[bytes]:
    """Yield the pieces of rows."""
    for row in rows:
        yield from pieces.add(row)
    yield from pieces.end()


async def feed_async(
    rows: Iterable[Any] | AsyncIterable[Any], pieces: Pieces
) -> AsyncIterator[bytes]:
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            for piece in pieces.add(row):
                yield piece
        rows = ()
    for piece in feed(rows, pieces):
        yield piece


def check_rows(rows: Any, *kinds: Any) -> None:
    """Refuse what cannot be iterated, before anything is sent."""
    if not isinstance(rows, kinds) or isinstance(rows, (str, bytes, Mapping)):
        raise TypeError(
            f"rows are an iterable of tuples, lists or dicts, not {type(rows).__name__}; "
            "pymy.aio takes async iterables too"
        )


def loading(
    connection: BaseConnection,
    table: str,
    columns: Iterable[str] | None,
    progress: Progress | None,
    source: Feed,
) -> Conversation[int]:
    """Load rows, all or none; returns their number."""
    session = connection._session
    yield from discard(session)
    # nobody could say what became of a part of it; without the connection nothing of it is left
    session.indivisible = True
    into = escape_id(table, context=connection._context)
    names = None if columns is None else _names(columns)
    fields = yield from _fields(connection, into, names)
    call = _Call(
        connection, into, fields, names or tuple(field.column for field in fields), progress, source
    )
    if autocommit(session) and not connection.in_transaction:
        begin, commit, undo = "START TRANSACTION", "COMMIT", ["ROLLBACK"]
    else:
        back = f"ROLLBACK TO SAVEPOINT {SAVEPOINT}"
        begin, commit = f"SAVEPOINT {SAVEPOINT}", f"RELEASE SAVEPOINT {SAVEPOINT}"
        undo = [back, commit]
    as_before = ",".join([AS_BEFORE, *(f"{field.variable}=NULL" for field in call.set_by)])
    try:
        yield from _together(session, QUIET, begin)
        loaded = yield from call.run()
        yield from _together(session, commit, as_before)
    except Exception:
        if session.usable():
            with suppress(err.Error):  # a deadlock has undone it already
                yield from _together(session, *undo, as_before)
        raise
    return loaded


def _together(session: Session, *texts: str) -> Conversation[None]:
    """Run all of them, and raise the first error."""
    commands = [query_command(session, text.encode()) for text in texts]
    most = MOST if takes_several(session) else 1
    yield from run_together(session, commands, session.ways, most=most)
    for command in commands:
        if command.error is not None:
            raise command.error


def _names(columns: Iterable[str]) -> tuple[str, ...]:
    names = () if isinstance(columns, (str, bytes)) else tuple(columns)
    if not names:
        raise err.ProgrammingError(
            CR.CR_BAD_PARAMETER,
            f"columns={columns!r} is no list of names: pass names, or None for all columns",
            sent=False,
        )
    return names


def _fields(
    connection: BaseConnection, into: str, names: tuple[str, ...] | None
) -> Conversation[list[Field]]:
    context, session = connection._context, connection._session
    chosen = "*" if names is None else escape_id(names, qualified=False, context=context)
    text = encode(f"SELECT {chosen} FROM {into} LIMIT 0", connection.encoding)
    with servers_values(session):
        result = yield from query(session, text)
    plain = Plainer(context)
    return [Field(column, number, plain) for number, column in enumerate(result.columns)]


class _Call:
    """One call of ``load_rows``, behind what it asked first."""

    def __init__(
        self,
        connection: BaseConnection,
        into: str,
        fields: list[Field],
        names: tuple[str, ...],
        progress: Progress | None,
        source: Feed,
    ) -> None:
        self.connection = connection
        self.session = connection._session
        self.into = into
        self.fields = fields
        self.set_by = [field for field in fields if field.setting]
        self.names = names
        self.progress = progress
        self.source = source
        self.asked = False  # the server did, for the rows

    def run(self) -> Conversation[int]:
        if self.session.capabilities & CLIENT.LOCAL_FILES:
            try:
                return (yield from self._by_file())
            except err.Error as exc:
                # the same error may come when the rows are used up, of a trigger's making
                if exc.errno not in _REFUSED or self.asked or not self.session.usable():
                    raise
        return (yield from self._by_inserts())

    def _by_file(self) -> Conversation[int]:
        session = self.session
        write = line_writer(self.fields)
        pieces = Pieces(self.names, write, self.progress, PIECE)
        targets = ",".join(field.target for field in self.fields)
        settings = ",".join(field.setting for field in self.set_by)
        text = f"LOAD DATA LOCAL INFILE '{OWN_FILE}' INTO TABLE {self.into} {FORMAT} ({targets})"
        if settings:
            text += f" SET {settings}"
        session.pieces, session.own_file = self.source(pieces), OWN_FILE.encode()
        try:
            result = yield from query(session, encode(text, self.connection.encoding))
        finally:
            self.asked = not session.own_file
            session.own_file, session.pieces = b"", None
        if not pieces.ended:
            raise err.ProtocolError(
                CR.CR_MALFORMED_PACKET, "The server said that it loaded rows it did not ask for"
            )
        yield from self._check(result.ok, pieces.taken, 0)
        return pieces.taken

    def _by_inserts(self) -> Conversation[int]:
        session, connection = self.session, self.connection
        context, encoding = connection._context, connection.encoding
        values = row_formatter(f"({','.join(['%s'] * len(self.names))})", context)
        names = ",".join(field.name for field in self.fields)
        head = encode(f"INSERT INTO {self.into} ({names}) VALUES ", encoding)
        yield from ask_limit(session)

        def write(row: Any) -> bytes:
            for field, value in zip(self.fields, row, strict=True):
                field[type(value)](value)  # refuses what the file would not take either
            return encode(values(row), encoding)

        pieces = Pieces(
            self.names,
            write,
            self.progress,
            Room(connection, STATEMENT).left(),
            head,
            b",",
        )
        session.pieces = self.source(pieces)
        while statement := (yield FILE):
            try:
                result = yield from query(session, statement)
            except err.Error as exc:
                yield from named(session, pieces, "INSERT", exc)
                raise
            yield from self._check(result.ok, len(pieces.sent), pieces.sent.start)
        return pieces.taken

    def _check(self, ok: Ok, rows: int, start: int) -> Conversation[None]:
        """Raise the first warning, or that rows are missing."""
        if ok.affected_rows == rows and not ok.warning_count:
            return
        with servers_values(self.session):
            found = (yield from query(self.session, b"SHOW WARNINGS")).rows
        for level, number, message in found:
            if level != "Note":
                error = err.from_server(int(number), None, message, mariadb=self.session.mariadb)
                at = at_number(message)
                if at is not None and 0 < at <= rows:
                    at_row(error, start + at - 1)
                raise error
        if ok.warning_count > len(found):
            raise err.DataError(
                CR.CR_UNKNOWN_ERROR,
                f"The server has {ok.warning_count} warnings and lists {len(found)}: load fewer "
                "rows at once, or use executemany()",
            )
        if ok.affected_rows < rows:
            raise err.IntegrityError(
                CR.CR_UNKNOWN_ERROR,
                f"The server took {ok.affected_rows} of {rows} rows and does not say why: look for "
                "duplicates, or use executemany()",
            )
