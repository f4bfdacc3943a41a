"""Transactions of the blocking connection."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

from . import err
from .basetransactions import BaseTransaction, BaseTransactional
from .nonblocking import startable
from .protocol.needs import Conversation
from .protocol.transactions import Xid, make_xid

T = TypeVar("T")


class Transaction(BaseTransaction):
    """A transaction as a context manager; within an open one it is a savepoint.

    Entering sends START TRANSACTION (or SAVEPOINT), leaving sends COMMIT (or RELEASE SAVEPOINT);
    an exception in the block sends ROLLBACK (or ROLLBACK TO SAVEPOINT) and goes on. One round trip
    each.

    Entering and leaving raise OperationalError 1213 with ``retry`` TRANSACTION when the server has
    rolled the transaction back and the block caught that error; nothing is committed then. They
    raise ProgrammingError for a block that is entered twice, or left after ``reset()``,
    ``change_user()`` or a reconnect within it, when nothing is sent, or left before one within it,
    when it is rolled back. An exception that leaves the block goes before these.
    """

    _connection: Transactional

    def __enter__(self) -> Transaction:
        self._connection._run(self._entering())
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *rest: object) -> None:
        failed = exc_type is not None
        if not self._is_moot(failed):
            try:
                self._connection._run(self._leaving(failed))
            except err.Error:
                # the clean-up behind a stopped statement may have closed it just now
                if not self._is_moot(failed):
                    raise


class Transactional(BaseTransactional):
    """The transaction methods of a blocking connection; one round trip a statement.

    Within a block of ``transaction()`` all but ``transaction()`` itself, ``xid()`` and
    ``tpc_recover()`` raise ProgrammingError and send nothing: the block's end decides.
    """

    @abstractmethod
    def _run(self, conversation: Conversation[T], timeout: float | None = None) -> T: ...

    def begin(self) -> None:
        """Start a transaction (BEGIN); one that is open is committed by it, as the server does."""
        self._run(self._ending("BEGIN"))

    def commit(self) -> None:
        """Commit the open transaction; harmless when there is none."""
        self._run(self._ending("COMMIT"))

    def rollback(self) -> None:
        """Roll the open transaction back; harmless when there is none."""
        self._run(self._ending("ROLLBACK"))

    def autocommit(self, value: bool) -> None:
        """Switch autocommit, if it is not so already; switching it on commits what is open.

        A reconnect keeps it.
        """
        self._run(self._switching(bool(value)))

    def transaction(
        self,
        isolation: str | None = None,
        *,
        read_only: bool | None = None,
        consistent_snapshot: bool = False,
    ) -> Transaction:
        """Make a context manager that commits at its end and rolls back on an exception.

        Within another ``transaction()``, or after ``begin()``, it is a savepoint, and the outer
        transaction's end decides. A transaction that an earlier statement began, as any statement
        does with autocommit off, is a ProgrammingError: the block would commit more than its own
        work, or less.

        isolation: "read uncommitted", "read committed", "repeatable read" or "serializable"; None
            leaves the session's.
        read_only: True or False for START TRANSACTION READ ONLY or READ WRITE.
        consistent_snapshot: True takes the snapshot now, not at the first read.
        """
        return Transaction(self, isolation, read_only, consistent_snapshot)

    def xid(self, format_id: int, global_transaction_id: str, branch_qualifier: str) -> Xid:
        """Make the id of a distributed transaction. Nothing is sent."""
        return make_xid(format_id, global_transaction_id, branch_qualifier)

    def tpc_begin(self, xid: Xid) -> None:
        """Start a two-phase transaction (XA START)."""
        self._run(self._xa_starting(xid))

    def tpc_prepare(self) -> None:
        """Do the first phase (XA END, XA PREPARE): afterwards a commit can only fail to arrive."""
        self._run(self._xa_preparing())

    def tpc_commit(self, xid: Xid | None = None) -> None:
        """Commit what ``tpc_begin`` started, in one phase if not prepared, or a recovered xid.

        After an error, ``tpc_rollback()`` ends the transaction.
        """
        self._run(self._xa_committing(xid))

    def tpc_rollback(self, xid: Xid | None = None) -> None:
        """Roll back what ``tpc_begin`` started, also after a deadlock, or a recovered xid."""
        self._run(self._xa_rolling_back(xid))

    def tpc_recover(self) -> list[Xid]:
        """List the prepared transactions of the server, of all clients (XA RECOVER)."""
        return self._run(self._recovering())

    # -- the same without waiting, see pymy.nonblocking

    start_begin = startable(begin)
    start_commit = startable(commit)
    start_rollback = startable(rollback)
    start_autocommit = startable(autocommit)
    start_tpc_begin = startable(tpc_begin)
    start_tpc_prepare = startable(tpc_prepare)
    start_tpc_commit = startable(tpc_commit)
    start_tpc_rollback = startable(tpc_rollback)
    start_tpc_recover = startable(tpc_recover)
