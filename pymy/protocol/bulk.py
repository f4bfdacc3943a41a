"""Many statements for one call: one after the other, or many rows in one COM_STMT_BULK_EXECUTE.

::

    0xFA, 4 statement id, 2 flags, for each parameter 2 type,
    for each row and parameter 1 indicator [and the value]  -> OK | ERR | rows: id, affected rows

MariaDB only. It runs INSERT and REPLACE of a batch as one statement, all else row by row.

Source: https://mariadb.com/docs/server/reference/clientserver-protocol/3-binary-protocol-prepared-statements/com_stmt_bulk_execute
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pymy import err
from pymy.constants import CLIENT, COMMAND
from pymy.protocol.attributes import Attributes
from pymy.protocol.needs import Conversation
from pymy.protocol.params import NULL, VAR_STRING, LongData, NoParameter, bind
from pymy.protocol.query import (
    LARGE_STATEMENT,
    begin,
    check_size,
    discard,
    query,
    read_result,
    servers_values,
)
from pymy.protocol.result import Result
from pymy.protocol.session import Session
from pymy.protocol.statementcache import TEXT_REMAINS
from pymy.protocol.statements import Prepared, check_count, prepare
from pymy.protocol.wire import malformed
from pymy.sql import LiteralContext, Raw

COM_STMT_BULK_EXECUTE = int(COMMAND.COM_STMT_BULK_EXECUTE)
STMT_BULK_OPERATIONS = int(CLIENT.STMT_BULK_OPERATIONS)
BULK_UNIT_RESULTS = int(CLIENT.BULK_UNIT_RESULTS)
SEND_UNIT_RESULTS, SEND_TYPES_TO_SERVER = 64, 128
VALUE, IS_NULL = b"\0", b"\1"
# What MariaDB's grammar takes in place of a value, and bulk as an indicator.
INDICATORS = {"DEFAULT": b"\2", "IGNORE": b"\3"}
_HEAD = struct.Struct("<IH")
# To PREPARE, and to a statement that is prepared and cannot be bulk; nothing has run.
_UNSUPPORTED = 1295
# UNKNOWN_STMT_HANDLER, NEED_REPREPARE: as numbers, since ER is a large table
_FORGOTTEN = frozenset({1243, 1615})
# The SQLSTATE of these; a SIGNAL of a trigger, behind rows that have run, has one of its own.
GENUINE = "HY000"


class RowResult(NamedTuple):
    """What one row of an ``executemany`` did."""

    insert_id: int
    """The AUTO_INCREMENT value it generated, 0 if none, or with RETURNING: it is in the rows."""
    affected_rows: int


class Tally:
    """What the statements of one call did: the last result, and the affected rows of all.

    results: what each row did, when that is asked for.
    gather: give the last result the rows of all (RETURNING in several statements).
    """

    def __init__(self, results: list[RowResult] | None = None, *, gather: bool = False) -> None:
        self.result: Result | None = None
        self.affected = 0
        self.results = results
        self.gather = gather

    def add(self, result: Result) -> None:
        previous, self.result = self.result, result
        affected = 0 if result.is_out_params else max(result.affected_rows, 0)
        if self.gather and previous is not None:
            previous.rows += result.rows
            result.rows = previous.rows
        self.affected += affected
        if self.results is not None:
            self.results.append(RowResult(result.insert_id, affected))

    def add_units(self, result: Result) -> None:
        """Take the rows of unit results, and an OK in their place."""
        assert self.results is not None
        if any(tuple(map(type, row)) != (int, int) for row in result.rows):
            raise malformed("no results of single rows", repr(result.rows[:1]).encode())
        units = [RowResult(*row) for row in result.rows]
        self.results += units
        last = max((unit.insert_id for unit in units), default=0)
        affected = sum(unit.affected_rows for unit in units)
        self.affected += affected
        self.result = Result(ok=result.ok._replace(affected_rows=affected, last_insert_id=last))


def execute_one(
    session: Session, statement: bytes, tally: Tally, *, attributes: Attributes | None = None
) -> Conversation[None]:
    """Run a statement and count what it did."""
    tally.add((yield from query(session, statement, attributes=attributes)))
    yield from discard(session)


def execute_each(
    session: Session,
    statements: Iterator[bytes],
    tally: Tally,
    *,
    attributes: Attributes | None = None,
) -> Conversation[None]:
    """Run each statement and count what it did.

    What the iterator raises (a value that cannot be written) comes out between two statements: the
    earlier ones have run, the connection is usable.
    """
    for statement in statements:
        yield from execute_one(session, statement, tally, attributes=attributes)


def is_bulk(session: Session, *, units: bool = False) -> bool:
    """Tell whether the server takes many rows at once, and answers for each of them (units)."""
    wanted = STMT_BULK_OPERATIONS | (BULK_UNIT_RESULTS if units else 0)
    return session.capabilities & wanted == wanted


# A parameter's type, its indicator and value.
Written = tuple[int, bytes]


def indicated(values: Sequence[Any], context: LiteralContext) -> list[Written]:
    """Write the values of one row; NoParameter for what goes by itself only, long data too."""
    try:
        return _indicated(values, context)
    except NoParameter:
        return [_keyword(value) or _indicated((value,), context)[0] for value in values]


def _indicated(values: Sequence[Any], context: LiteralContext) -> list[Written]:
    found = []
    for code, piece in bind(values, context):
        if isinstance(piece, LongData):
            raise NoParameter("what is read in pieces is no part of a batch")
        found.append((code, IS_NULL if piece is None else VALUE + piece))
    return found


def _keyword(value: Any) -> Written | None:
    indicator = INDICATORS.get(value.sql.strip().upper()) if isinstance(value, Raw) else None
    return None if indicator is None else (NULL, indicator)


class Batch:
    """Rows of one COM_STMT_BULK_EXECUTE: of the same types, and no more than ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.codes: list[int] = []
        self.rows: list[bytes] = []
        self.size = 0

    def takes(self, row: Sequence[Written]) -> bool:
        """Add a row, False if it has to go into another batch; the first one always fits.

        A column's type is that of its first value that is not NULL.
        """
        codes = [code for code, _ in row]
        if not self.rows:
            self.codes, self.size = codes, _HEAD.size + 2 * len(row)
        elif codes != self.codes:
            codes = [
                old if new == NULL else new for old, new in zip(self.codes, codes, strict=True)
            ]
            if any(old not in (new, NULL) for old, new in zip(self.codes, codes, strict=True)):
                return False
        written = b"".join([piece for _, piece in row])
        if self.rows and self.size + len(written) >= self.limit:
            return False
        self.codes = codes
        self.rows.append(written)
        self.size += len(written)
        return True

    def payload(self, number: int, flags: int) -> bytes:
        """Build the command; the type of what is NULL everywhere says nothing."""
        types = [
            (VAR_STRING if code == NULL else code).to_bytes(2, "little") for code in self.codes
        ]
        return b"".join((_HEAD.pack(number, flags), *types, *self.rows))


def execute_batch(
    session: Session, prepared: Prepared, batch: Batch, tally: Tally
) -> Conversation[bool]:
    """Run a statement with the rows of a batch; False when it cannot be bulk, and nothing has run.

    An error leaves nothing of an INSERT or REPLACE in a transactional table; of other statements,
    the rows before have run.
    """
    renewed = not prepared.lives(session)
    if renewed and not (yield from _prepared(session, prepared)):
        return False
    check_count(prepared, len(batch.codes))
    try:
        yield from _execute_batch(session, prepared, batch, tally)
    except err.Error as exc:
        if exc.sqlstate != GENUINE:
            raise
        if exc.errno == _UNSUPPORTED:
            prepared.bulk = False
            return False
        if renewed or exc.errno not in _FORGOTTEN or not session.usable() or session.abandoned:
            raise
        prepared.close()  # by a proxy, say; nothing has run (P79)
        return (yield from execute_batch(session, prepared, batch, tally))
    return True


def _prepared(session: Session, prepared: Prepared) -> Conversation[bool]:
    try:
        yield from prepare(session, prepared)
    except err.Error as exc:
        if exc.errno not in TEXT_REMAINS or not session.usable():
            raise
        return False
    return True


def _execute_batch(
    session: Session, prepared: Prepared, batch: Batch, tally: Tally
) -> Conversation[None]:
    units = tally.results is not None
    flags = SEND_TYPES_TO_SERVER | (SEND_UNIT_RESULTS if units else 0)
    payload = batch.payload(prepared.number, flags)
    if len(payload) > LARGE_STATEMENT or len(payload) >= session.largest_command:
        yield from check_size(session, len(payload))
    yield from begin(session)
    session.binary = True
    if not units:  # whose columns are the server's own, and come each time
        session.executed = prepared
    session.keep_statement(prepared.text)
    session.command(COM_STMT_BULK_EXECUTE, payload)
    with servers_values(session):
        result = yield from read_result(session, stream=False)
    if units:
        tally.add_units(result)
    else:
        tally.add(result)
    yield from discard(session)
