"""``with conn.transaction():`` for the blocking connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .protocol.transactions import run, start

if TYPE_CHECKING:
    from .connections import Connection


class Transaction:
    """A transaction as a context manager; inside another one it is a savepoint.

    Entering sends START TRANSACTION (or SAVEPOINT), leaving sends COMMIT (or RELEASE SAVEPOINT);
    an exception in the block sends ROLLBACK (or ROLLBACK TO SAVEPOINT) and goes on. One round trip
    each.
    """

    def __init__(
        self,
        connection: Connection,
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
