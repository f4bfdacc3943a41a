"""Transactions of the asyncio connection. What they do is told in ``pymy.transactions``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Coroutine
from typing import Any, TypeVar

from .. import err
from ..basetransactions import BaseTransaction, BaseTransactional
from ..protocol.needs import Conversation
from ..protocol.transactions import Xid, make_xid

T = TypeVar("T")


class Transaction(BaseTransaction):
    """A transaction as a context manager; within an open one it is a savepoint."""

    _connection: Transactional

    async def __aenter__(self) -> Transaction:
        await self._connection._run(self._entering())
        return self

    async def __aexit__(self, exc_type: type[BaseException] | None, *rest: object) -> None:
        failed = exc_type is not None
        if not self._is_moot(failed):
            try:
                await self._connection._run(self._leaving(failed))
            except err.Error:
                # the clean-up behind a cancelled statement may have closed it just now
                if not self._is_moot(failed):
                    raise
            finally:
                if self in self._connection._blocks:
                    # cancelled in line for its turn: nobody else would end the transaction
                    self._connection.abort()


class Transactional(BaseTransactional):
    """The transaction methods of an asyncio connection; one round trip a statement."""

    @abstractmethod
    def abort(self) -> None: ...

    @abstractmethod
    def _run(
        self, conversation: Conversation[T], timeout: float | None = None
    ) -> Coroutine[Any, Any, T]: ...

    async def begin(self) -> None:
        """Start a transaction (BEGIN); one that is open is committed by it, as the server does."""
        await self._run(self._ending("BEGIN"))

    async def commit(self) -> None:
        """Commit the open transaction; harmless when there is none."""
        await self._run(self._ending("COMMIT"))

    async def rollback(self) -> None:
        """Roll the open transaction back; harmless when there is none."""
        await self._run(self._ending("ROLLBACK"))

    async def autocommit(self, value: bool) -> None:
        """Switch autocommit, if it is not so already; switching it on commits what is open."""
        await self._run(self._switching(bool(value)))

    def transaction(
        self,
        isolation: str | None = None,
        *,
        read_only: bool | None = None,
        consistent_snapshot: bool = False,
    ) -> Transaction:
        """Make a context manager that commits at its end and rolls back on an exception."""
        return Transaction(self, isolation, read_only, consistent_snapshot)

    def xid(self, format_id: int, global_transaction_id: str, branch_qualifier: str) -> Xid:
        """Make the id of a distributed transaction. Nothing is sent."""
        return make_xid(format_id, global_transaction_id, branch_qualifier)

    async def tpc_begin(self, xid: Xid) -> None:
        """Start a two-phase transaction (XA START)."""
        await self._run(self._xa_starting(xid))

    async def tpc_prepare(self) -> None:
        """Do the first phase (XA END, XA PREPARE): afterwards a commit can only fail to arrive."""
        await self._run(self._xa_preparing())

    async def tpc_commit(self, xid: Xid | None = None) -> None:
        """Commit what ``tpc_begin`` started, in one phase if not prepared, or a recovered xid."""
        await self._run(self._xa_committing(xid))

    async def tpc_rollback(self, xid: Xid | None = None) -> None:
        """Roll back what ``tpc_begin`` started, also after a deadlock, or a recovered xid."""
        await self._run(self._xa_rolling_back(xid))

    async def tpc_recover(self) -> list[Xid]:
        """List the prepared transactions of the server, of all clients (XA RECOVER)."""
        return await self._run(self._recovering())
