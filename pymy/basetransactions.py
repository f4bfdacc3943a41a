"""Transactions of all transports: bookkeeping, and the conversations that keep it true."""

from __future__ import annotations

from . import err
from .base import BaseConnection
from .constants import CR, ER
from .protocol.needs import Conversation
from .protocol.transactions import (
    Xid,
    make_xid,
    run,
    start_statements,
    xa_commit,
    xa_prepare,
    xa_recover,
    xa_rollback,
)


class BaseTransactional(BaseConnection):
    """What a connection knows of its transaction."""

    _transaction_depth = 0
    _begun = False
    _xid: Xid | None = None
    _xid_prepared = False

    def _forget_transaction(self) -> None:
        self._transaction_depth = 0
        self._begun = False
        self._xid = None

    def _ending(self, statement: str) -> Conversation[None]:
        """BEGIN, COMMIT or ROLLBACK; none of them is possible within XA."""
        if self._xid is not None:
            verb = statement.lower()
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                f"{verb}() is not possible within tpc_begin(): use tpc_{verb}()",
                sent=False,
            )
        yield from run(self._session, statement)
        self._begun = statement == "BEGIN"

    def _switching(self, autocommit: bool) -> Conversation[None]:
        session = self._session
        if not session.autocommit_known or self.get_autocommit() != autocommit:
            yield from run(session, f"SET AUTOCOMMIT={int(autocommit)}")
            session.autocommit_known = True

    def _xa_starting(self, xid: Xid) -> Conversation[None]:
        if self._xid is not None or self.in_transaction:
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                "tpc_begin() within a transaction: commit() or rollback() first",
                sent=False,
            )
        chosen = make_xid(*xid)
        yield from run(self._session, f"XA START {chosen.sql()}")
        self._xid, self._xid_prepared = chosen, False

    def _xa_preparing(self) -> Conversation[None]:
        yield from xa_prepare(self._session, self._open_xid("prepare"))
        self._xid_prepared = True

    def _xa_committing(self, xid: Xid | None) -> Conversation[None]:
        chosen, prepared = self._chosen_xid(xid, "commit")
        yield from xa_commit(self._session, chosen, prepared=prepared)
        self._xid = self._xid if xid is not None else None

    def _xa_rolling_back(self, xid: Xid | None) -> Conversation[None]:
        chosen, prepared = self._chosen_xid(xid, "rollback")
        yield from xa_rollback(self._session, chosen, prepared=prepared)
        self._xid = self._xid if xid is not None else None

    def _recovering(self) -> Conversation[list[Xid]]:
        return (yield from xa_recover(self._session))

    def _chosen_xid(self, xid: Xid | None, verb: str) -> tuple[Xid, bool]:
        if xid is not None:
            return make_xid(*xid), True
        return self._open_xid(verb), self._xid_prepared

    def _open_xid(self, verb: str) -> Xid:
        if self._xid is None:
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                f"tpc_{verb}() needs a transaction of tpc_begin(), or an xid",
                sent=False,
            )
        return self._xid


class BaseTransaction:
    """A block that is a transaction, or a savepoint where one is open already."""

    def __init__(
        self,
        connection: BaseTransactional,
        isolation: str | None,
        read_only: bool | None,
        consistent_snapshot: bool,
    ) -> None:
        self._connection = connection
        self._has_traits = isolation is not None or read_only is not None or consistent_snapshot
        self._start = start_statements(isolation, read_only, consistent_snapshot)
        self._savepoint: str | None = None

    def _entering(self) -> Conversation[None]:
        connection = self._connection
        connection._session.indivisible = True
        if connection._xid is not None:
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER, "transaction() is not possible within tpc_begin()", sent=False
            )
        if not connection._transaction_depth and not connection.in_transaction:
            self._savepoint = None
            yield from run(connection._session, *self._start)
        elif not connection._transaction_depth and not connection._begun:
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                "A transaction is open already: an earlier statement began it, since autocommit is "
                "off. commit() or rollback() first, or connect with autocommit=True",
                sent=False,
            )
        elif self._has_traits:
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER,
                "A transaction is open, so transaction() is a savepoint and takes no isolation or "
                "read_only: commit() or rollback() first",
                sent=False,
            )
        else:
            self._savepoint = f"pymy_{connection._transaction_depth}"
            yield from run(connection._session, f"SAVEPOINT {self._savepoint}")
        connection._transaction_depth += 1

    def _leaving(self, failed: bool) -> Conversation[None]:
        connection = self._connection
        session = connection._session
        session.indivisible = True
        connection._transaction_depth -= 1
        if not failed:
            end = f"RELEASE SAVEPOINT {self._savepoint}" if self._savepoint else "COMMIT"
            yield from run(session, end)
        elif self._savepoint is None:
            yield from run(session, "ROLLBACK")
        else:
            try:
                yield from run(
                    session,
                    f"ROLLBACK TO SAVEPOINT {self._savepoint}",
                    f"RELEASE SAVEPOINT {self._savepoint}",
                )
            except err.Error as exc:
                # A deadlock rolled the whole transaction back, savepoint included (P119); errors
                # carry no status that would have told.
                if exc.errno != ER.SP_DOES_NOT_EXIST:
                    raise

    def _is_moot(self, failed: bool) -> bool:
        """Tell whether the link is lost and the block failed: the server rolls back by itself."""
        return failed and not self._connection.open
