"""Transactions of the blocking connection."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

from . import err
from .base import BaseConnection
from .constants import CR
from .protocol import transactions
from .protocol.needs import Conversation
from .protocol.transactions import Xid, make_xid, run, start

T = TypeVar("T")


class Transaction:
    """A transaction as a context manager; inside another one it is a savepoint.

    Entering sends START TRANSACTION (or SAVEPOINT), leaving sends COMMIT (or RELEASE SAVEPOINT);
    an exception in the block sends ROLLBACK (or ROLLBACK TO SAVEPOINT) and goes on. One round trip
    each.
    """

    def __init__(
        self,
        connection: Transactional,
        isolation: str | None,
        read_only: bool | None,
        consistent_snapshot: bool,
    ) -> None:
        self._connection = connection
        self._traits = (isolation, read_only, consistent_snapshot)
        self._savepoint: str | None = None

    def __enter__(self) -> Transaction:
        connection = self._connection
        connection._no_xa("begin")
        self._savepoint = connection._enter_transaction(*self._traits)
        if self._savepoint is None:
            connection._run(start(connection._session, *self._traits), None)
        else:
            self._send(f"SAVEPOINT {self._savepoint}")
        connection._transaction_depth += 1
        return self

    def _send(self, *statements: str) -> None:
        self._connection._run(run(self._connection._session, *statements), None)

    def __exit__(self, exc_type: type[BaseException] | None, *rest: object) -> None:
        connection = self._connection
        connection._transaction_depth -= 1
        if not connection.open:
            return  # the server rolls back what a lost link leaves behind
        if exc_type is None:
            self._send(f"RELEASE SAVEPOINT {self._savepoint}" if self._savepoint else "COMMIT")
        elif self._savepoint is None:
            self._send("ROLLBACK")
        elif connection.in_transaction:
            self._send(
                f"ROLLBACK TO SAVEPOINT {self._savepoint}", f"RELEASE SAVEPOINT {self._savepoint}"
            )
        # else a deadlock rolled the whole transaction back, savepoint included (P119)


class Transactional(BaseConnection):
    """The transaction methods of a blocking connection; one round trip a statement."""

    _transaction_depth = 0

    @abstractmethod
    def _run(self, conversation: Conversation[T], timeout: float | None = None) -> T: ...

    def begin(self) -> None:
        """Start a transaction (BEGIN): one round trip, like the other methods here."""
        self._no_xa("begin")
        self._run(transactions.run(self._session, "BEGIN"))

    def commit(self) -> None:
        """Commit the open transaction; harmless when there is none."""
        self._no_xa("commit")
        self._run(transactions.run(self._session, "COMMIT"))

    def rollback(self) -> None:
        """Roll the open transaction back; harmless when there is none."""
        self._no_xa("rollback")
        self._run(transactions.run(self._session, "ROLLBACK"))

    def autocommit(self, value: bool) -> None:
        """Switch autocommit; nothing is sent when the server has it so already."""
        if self.get_autocommit() != bool(value):
            self._run(transactions.run(self._session, f"SET AUTOCOMMIT={int(bool(value))}"))

    def transaction(
        self,
        isolation: str | None = None,
        *,
        read_only: bool | None = None,
        consistent_snapshot: bool = False,
    ) -> Transaction:
        """Make a context manager that commits at its end and rolls back on an exception.

        Within an open transaction (another ``transaction()``, or statements before it with
        autocommit off) it is a savepoint: what came before is neither committed by entering nor by
        leaving it, and the outer transaction's end decides.

        isolation: "read uncommitted", "read committed", "repeatable read" or "serializable"; None
            leaves the session's.
        read_only: True or False for START TRANSACTION READ ONLY or READ WRITE.
        """
        return Transaction(self, isolation, read_only, consistent_snapshot)

    def _enter_transaction(
        self, isolation: str | None, read_only: bool | None, consistent_snapshot: bool
    ) -> str | None:
        """Return the savepoint to set, None where a transaction must be started."""
        if not self._transaction_depth and not self.in_transaction:
            return None
        if isolation is not None or read_only is not None or consistent_snapshot:
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                "A transaction is open, so transaction() is a savepoint and takes no isolation or "
                "read_only: commit() or rollback() first",
                sent=False,
            )
        return f"pymy_{self._transaction_depth}"

    def xid(self, format_id: int, global_transaction_id: str, branch_qualifier: str) -> Xid:
        """Make the id of a distributed transaction. Nothing is sent."""
        return make_xid(format_id, global_transaction_id, branch_qualifier)

    def tpc_begin(self, xid: Xid) -> None:
        """Start a two-phase transaction (XA START)."""
        self._no_xa("begin")
        if self.in_transaction:
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                "tpc_begin() within a transaction: commit() or rollback() first",
                sent=False,
            )
        self._run(transactions.run(self._session, f"XA START {make_xid(*xid).sql()}"))
        self._xid, self._xid_prepared = make_xid(*xid), False

    def tpc_prepare(self) -> None:
        """Do the first phase (XA END, XA PREPARE): afterwards a commit can only fail to arrive."""
        self._run(transactions.xa_prepare(self._session, self._open_xid("prepare")))
        self._xid_prepared = True

    def tpc_commit(self, xid: Xid | None = None) -> None:
        """Commit what ``tpc_begin`` started, in one phase if not prepared, or a recovered xid."""
        chosen, prepared = self._ending(xid, "commit")
        self._run(transactions.xa_commit(self._session, chosen, prepared=prepared))
        self._forget_xid(xid)

    def tpc_rollback(self, xid: Xid | None = None) -> None:
        """Roll back what ``tpc_begin`` started; or a recovered ``xid``."""
        chosen, prepared = self._ending(xid, "rollback")
        self._run(transactions.xa_rollback(self._session, chosen, prepared=prepared))
        self._forget_xid(xid)

    def _ending(self, xid: Xid | None, verb: str) -> tuple[Xid, bool]:
        if xid is not None:
            return make_xid(*xid), True
        return self._open_xid(verb), self._xid_prepared

    def _forget_xid(self, xid: Xid | None) -> None:
        if xid is None:
            self._xid = None

    def tpc_recover(self) -> list[Xid]:
        """List the prepared transactions of the server, of all clients (XA RECOVER)."""
        return self._run(transactions.xa_recover(self._session))
