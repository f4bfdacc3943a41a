"""Transactions of all transports: bookkeeping, and the conversations that keep it true."""

from __future__ import annotations

from . import err
from .basecommands import BaseCommands
from .constants import CR, ER
from .protocol.needs import Conversation
from .protocol.transactions import (
    Branch,
    Phase,
    Xid,
    make_xid,
    run,
    start_statements,
    xa_commit,
    xa_prepare,
    xa_recover,
    xa_rollback,
    xa_start,
)


def misused(advice: str) -> err.ProgrammingError:
    return err.ProgrammingError(CR.CR_BAD_PARAMETER, advice, sent=False)


class BaseTransactional(BaseCommands):
    """What a connection knows of its transaction."""

    # what every connection starts with; made anew, never changed, where it counts
    _blocks: tuple[BaseTransaction, ...] = ()
    _branch: Branch | None = None

    def _forget_transaction(self) -> None:
        self._blocks = ()
        self._branch = None
        self._session.begun = False

    def _ends_by_itself(self) -> bool:
        """Tell whether the end of the open transaction is a block's or XA's, not a statement's."""
        blocks = self._blocks
        return self._branch is not None or (bool(blocks) and blocks[0]._savepoint is None)

    def _outside_blocks(self, method: str) -> None:
        if self._blocks:
            raise misused(
                f"{method}() is not possible within transaction(): the block's end decides, an "
                "exception that leaves it rolls back"
            )

    def _ending(self, statement: str) -> Conversation[None]:
        """BEGIN, COMMIT or ROLLBACK; none of them is possible within a block or XA."""
        verb = statement.lower()
        self._outside_blocks(verb)
        if self._branch is not None:
            raise misused(f"{verb}() is not possible within tpc_begin(): use tpc_{verb}()")
        # cut off in the middle, nobody would know whether a transaction is open
        self._session.indivisible = True
        yield from run(self._session, statement)
        self._session.begun = statement == "BEGIN"

    def _switching(self, autocommit: bool) -> Conversation[None]:
        self._outside_blocks("autocommit")
        session = self._session
        if not session.autocommit_known or self.get_autocommit() != autocommit:
            yield from run(session, f"SET AUTOCOMMIT={int(autocommit)}")
            session.autocommit_known = True
            session.autocommit_due = False
        self._remember(autocommit=autocommit)

    def _xa_starting(self, xid: Xid) -> Conversation[None]:
        self._outside_blocks("tpc_begin")
        if self._branch is not None or self.in_transaction:
            raise misused("tpc_begin() within a transaction: commit() or rollback() first")
        self._branch = yield from xa_start(self._session, make_xid(*xid))

    def _xa_preparing(self) -> Conversation[None]:
        yield from xa_prepare(self._session, self._chosen_branch(None, "prepare"))

    def _xa_committing(self, xid: Xid | None) -> Conversation[None]:
        yield from self._xa_ending(xid, "commit")

    def _xa_rolling_back(self, xid: Xid | None) -> Conversation[None]:
        yield from self._xa_ending(xid, "rollback")

    def _xa_ending(self, xid: Xid | None, verb: str) -> Conversation[None]:
        branch = self._chosen_branch(xid, verb)
        end = xa_commit if verb == "commit" else xa_rollback
        try:
            yield from end(self._session, branch)
        except err.Error as exc:
            if exc.errno != ER.XAER_NOTA:
                raise
            self._forget_branch(branch)
            raise
        self._forget_branch(branch)

    def _forget_branch(self, branch: Branch) -> None:
        if branch is self._branch:
            self._branch = None

    def _recovering(self) -> Conversation[list[Xid]]:
        return (yield from xa_recover(self._session))

    def _chosen_branch(self, xid: Xid | None, verb: str) -> Branch:
        """Return this connection's own branch, by its xid too; any other xid is a recovered one."""
        self._outside_blocks(f"tpc_{verb}")
        own = self._branch
        if xid is not None:
            chosen = make_xid(*xid)
            return own if own is not None and own.xid == chosen else Branch(chosen, Phase.PREPARED)
        if own is None:
            raise misused(f"tpc_{verb}() needs a transaction of tpc_begin(), or an xid")
        return own


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
        self._rollbacks = 0

    def _entering(self) -> Conversation[None]:
        connection = self._connection
        session = connection._session
        session.indivisible = True
        blocks = connection._blocks
        if self in blocks:
            raise misused("This block is entered already: call transaction() for each block")
        if connection._branch is not None:
            raise misused("transaction() is not possible within tpc_begin()")
        if blocks and blocks[0]._is_undone():
            raise _undone()
        if session.status_guessed:
            yield from run(session, "DO 0")  # its answer has the status
        if not blocks and not connection.in_transaction:
            self._savepoint = None
            yield from run(session, *self._start)
        elif not blocks and not session.begun:
            raise misused(
                "A transaction is open already: an earlier statement began it, since autocommit is "
                "off. commit() or rollback() first, or connect with autocommit=True"
            )
        elif self._has_traits:
            raise misused(
                "A transaction is open, so transaction() is a savepoint and takes no isolation or "
                "read_only: commit() or rollback() first"
            )
        else:
            self._savepoint = f"pymy_{len(blocks)}"
            yield from run(session, f"SAVEPOINT {self._savepoint}")
        self._rollbacks = session.rollbacks
        connection._blocks = (*blocks, self)

    def _leaving(self, failed: bool) -> Conversation[None]:
        connection = self._connection
        connection._session.indivisible = True
        blocks = connection._blocks
        if self not in blocks:
            # reset(), change_user() or a reconnect ended the transaction, or an outer block did:
            # whatever is open now is not this block's to end
            if failed:
                return
            raise misused(
                "The transaction of this block ended before the block did: its session began anew "
                "within it, or an outer block was left first. Run the block again"
            )
        at = blocks.index(self)
        connection._blocks = blocks[:at]
        in_order = self is blocks[-1]
        undone = blocks[0]._is_undone()
        if undone:
            yield from self._clearing(outermost=at == 0)
        elif failed or not in_order:
            yield from self._rolling_back()
        else:
            end = f"RELEASE SAVEPOINT {self._savepoint}" if self._savepoint else "COMMIT"
            yield from run(connection._session, end)
        if undone and not failed:
            raise _undone()
        if not in_order and not failed:
            raise misused(
                "This block was left before a block within it, so it was rolled back: leave the "
                "inner one first"
            )

    def _clearing(self, outermost: bool) -> Conversation[None]:
        """End what was begun since the server rolled the block's transaction back.

        Within an outer block a transaction stays open, so that what that block still does can be
        rolled back by its end, in autocommit too.
        """
        yield from run(self._connection._session, "ROLLBACK" if outermost else "ROLLBACK AND CHAIN")

    def _rolling_back(self) -> Conversation[None]:
        session = self._connection._session
        if self._savepoint is None:
            yield from run(session, "ROLLBACK")
            return
        try:
            yield from run(
                session,
                f"ROLLBACK TO SAVEPOINT {self._savepoint}",
                f"RELEASE SAVEPOINT {self._savepoint}",
            )
        except err.Error as exc:
            # A statement that commits by itself, such as CREATE TABLE, took the savepoint with it.
            if exc.errno != ER.SP_DOES_NOT_EXIST:
                raise

    def _is_undone(self) -> bool:
        """Tell whether the server has rolled the transaction back since this block began."""
        return self._connection._session.rollbacks != self._rollbacks

    def _is_moot(self, failed: bool) -> bool:
        """Tell whether the link is lost and the block failed: the server rolls back by itself."""
        return failed and not self._connection.open


def _undone() -> err.OperationalError:
    return err.OperationalError(
        ER.LOCK_DEADLOCK,
        "The server rolled this transaction back, at an error that was caught within the block: "
        "run the whole block again",
        sqlstate="40001",
    )
