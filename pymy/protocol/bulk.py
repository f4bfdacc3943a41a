"""Many statements for one call."""

from __future__ import annotations

from collections.abc import Iterator

from pymy.protocol.attributes import Attributes
from pymy.protocol.needs import Conversation
from pymy.protocol.query import discard, query
from pymy.protocol.result import Result
from pymy.protocol.session import Session


def execute_each(
    session: Session,
    statements: Iterator[bytes],
    *,
    attributes: Attributes | None = None,
    gather: bool = False,
) -> Conversation[tuple[Result | None, int]]:
    """Run each statement; returns the last result, None if there was none, and the affected rows.

    gather: give the last result the rows of all (INSERT ... RETURNING in several statements).

    What the iterator raises (a value that cannot be written) comes out between two statements: the
    earlier ones have run, the connection is usable.
    """
    result: Result | None = None
    total = 0
    for statement in statements:
        previous, result = result, (yield from query(session, statement, attributes=attributes))
        if gather and previous is not None:
            result.rows = previous.rows + result.rows
        total += max(result.affected_rows if result.head is None else len(result.rows), 0)
        yield from discard(session)
    return result, total
