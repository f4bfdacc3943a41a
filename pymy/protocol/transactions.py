"""Transactions, savepoints and XA as conversations, and the SQL they consist of."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from pymy import err
from pymy.constants import CR, ER, SERVER_STATUS
from pymy.protocol.needs import Conversation
from pymy.protocol.pipelining import Command, query_command
from pymy.protocol.query import query, read_result, servers_values
from pymy.protocol.result import Result
from pymy.protocol.session import Session
from pymy.protocol.wire import malformed

ISOLATION_LEVELS = frozenset(
    {"READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"}
)


class Xid(NamedTuple):
    """A global transaction's id: gtrid and bqual take 64 bytes each at most."""

    format_id: int
    global_transaction_id: str
    branch_qualifier: str

    def sql(self) -> str:
        """Write the id in hexadecimal, which no quote or backslash can leave."""
        return f"X'{_hex(self[1])}',X'{_hex(self[2])}',{self.format_id}"


def _hex(part: str) -> str:
    return part.encode("utf-8", "surrogateescape").hex()


def make_xid(format_id: int, global_transaction_id: str, branch_qualifier: str) -> Xid:
    if not 0 <= format_id <= 0x7FFFFFFF:
        raise err.ProgrammingError(
            CR.CR_BAD_PARAMETER, f"format_id {format_id} is not between 0 and 2147483647"
        )
    for part in (global_transaction_id, branch_qualifier):
        if len(part.encode("utf-8", "surrogateescape")) > 64:
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER, "the parts of an XA id take 64 bytes each at most"
            )
    return Xid(format_id, global_transaction_id, branch_qualifier)


def run(session: Session, statement: str, *more: str) -> Conversation[Result]:
    """Run statements one after the other; the result is the last one's."""
    result = yield from query(session, statement.encode("utf-8"))
    for each in more:
        result = yield from query(session, each.encode("utf-8"))
    return result


def hold_open(session: Session) -> Command:
    """Have what follows a deadlock begin a transaction, not be committed statement by statement.

    The server rolls the transaction back and goes on with the commands behind, which are on their
    way already. Switched off within a transaction autocommit commits nothing.
    """

    def answer() -> Conversation[Result]:
        result = yield from read_result(session, False)
        session.autocommit_due = True
        return result

    command = query_command(session, b"SET autocommit=0")
    command.answer = answer
    return command


def start_statements(
    isolation: str | None, read_only: bool | None, consistent_snapshot: bool
) -> list[str]:
    """Build SET TRANSACTION (for the next transaction only) and START TRANSACTION."""
    statements = []
    if isolation is not None:
        level = " ".join(isolation.upper().replace("-", " ").replace("_", " ").split())
        if level not in ISOLATION_LEVELS:
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                f"isolation {isolation!r} is none of {', '.join(sorted(ISOLATION_LEVELS))}",
            )
        statements.append(f"SET TRANSACTION ISOLATION LEVEL {level}")
    traits = []
    if consistent_snapshot:
        traits.append("WITH CONSISTENT SNAPSHOT")
    if read_only is not None:
        traits.append("READ ONLY" if read_only else "READ WRITE")
    statements.append(" ".join(("START TRANSACTION", ", ".join(traits))).strip())
    return statements


class Phase(Enum):
    """How far an XA transaction has come; each is reached from the one before."""

    ACTIVE = "active"
    IDLE = "idle"
    PREPARED = "prepared"


class Branch:
    """An XA transaction and its phase, kept true statement by statement."""

    __slots__ = ("phase", "xid")

    def __init__(self, xid: Xid, phase: Phase = Phase.ACTIVE) -> None:
        self.xid = xid
        self.phase = phase


# What XA END says of a branch that a deadlock or a time-out rolled back; only XA ROLLBACK is left.
# XAER_RMFAIL, XA_RBROLLBACK, XA_RBTIMEOUT, XA_RBDEADLOCK: as numbers, since ER is a large table
_ROLLBACK_ONLY = frozenset({1399, 1402, 1613, 1614})

_AUTOCOMMIT_OR_TRANSACTION = int(
    SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT | SERVER_STATUS.SERVER_STATUS_IN_TRANS
)


def xa_start(session: Session, xid: Xid) -> Conversation[Branch]:
    yield from run(session, f"XA START {xid.sql()}")
    return Branch(xid)


def _xa_end(session: Session, branch: Branch) -> Conversation[None]:
    if branch.phase is Phase.ACTIVE:
        yield from run(session, f"XA END {branch.xid.sql()}")
        branch.phase = Phase.IDLE


def xa_prepare(session: Session, branch: Branch) -> Conversation[None]:
    yield from _xa_end(session, branch)
    yield from run(session, f"XA PREPARE {branch.xid.sql()}")
    branch.phase = Phase.PREPARED


def xa_commit(session: Session, branch: Branch) -> Conversation[None]:
    """Commit a prepared transaction, or an open one in one phase."""
    yield from _xa_end(session, branch)
    one_phase = "" if branch.phase is Phase.PREPARED else " ONE PHASE"
    yield from _run_outside(session, f"XA COMMIT {branch.xid.sql()}{one_phase}")


def xa_rollback(session: Session, branch: Branch) -> Conversation[None]:
    """Roll back in any phase, also what the server has rolled back already."""
    try:
        yield from _xa_end(session, branch)
    except err.Error as exc:
        if exc.errno not in _ROLLBACK_ONLY:
            raise
    try:
        yield from _run_outside(session, f"XA ROLLBACK {branch.xid.sql()}")
    except err.Error as exc:
        # before XA PREPARE nobody else could have ended it: it went with a failed commit
        if exc.errno != ER.XAER_NOTA or branch.phase is Phase.PREPARED:
            raise


def _run_outside(session: Session, statement: str) -> Conversation[None]:
    """Run the end of a branch, which MariaDB refuses for another session's with autocommit off."""
    try:
        yield from run(session, statement)
        return
    except err.Error as exc:
        if exc.errno != ER.XAER_OUTSIDE or session.status & _AUTOCOMMIT_OR_TRANSACTION:
            raise
    session.indivisible = True  # or autocommit would stay on
    yield from run(session, "SET AUTOCOMMIT=1")
    try:
        yield from run(session, statement)
    except err.Error:
        if session.usable():
            yield from run(session, "SET AUTOCOMMIT=0")
        raise
    yield from run(session, "SET AUTOCOMMIT=0")


def xa_recover(session: Session) -> Conversation[list[Xid]]:
    """List the prepared transactions; XA RECOVER gives lengths and both parts in one string."""
    assert session.greeting is not None
    # Without it MySQL sends the parts as text, which not every id is; 5.6 and MariaDB lack it.
    converts = not session.mariadb and session.greeting.version >= (5, 7, 5)
    convert = " CONVERT XID" if converts else ""
    with servers_values(session):
        result = yield from query(session, f"XA RECOVER{convert}".encode())
    try:
        return [_recovered(converts, *row) for row in result.rows]
    except (TypeError, ValueError, AttributeError):
        raise malformed("a list of prepared transactions that is none") from None


def _recovered(
    converted: bool, format_id: int, gtrid_length: int, bqual_length: int, data: str | bytes
) -> Xid:
    raw = _xid_bytes(data, converted)
    gtrid, bqual = raw[:gtrid_length], raw[gtrid_length : gtrid_length + bqual_length]
    return Xid(
        format_id,
        gtrid.decode("utf-8", "surrogateescape"),
        bqual.decode("utf-8", "surrogateescape"),
    )


def _xid_bytes(data: str | bytes, converted: bool) -> bytes:
    raw = data if isinstance(data, bytes) else data.encode("utf-8")
    # MySQL's CONVERT XID writes 0x...
    return bytes.fromhex(raw[2:].decode("ascii")) if converted else raw
