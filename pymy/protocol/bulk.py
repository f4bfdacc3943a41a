"""Many statements for one call."""

from __future__ import annotations

from collections.abc import Iterator

from pymy.protocol.needs import Conversation
from pymy.protocol.query import discard, query
from pymy.protocol.result import Result
from pymy.protocol.session import Session


def execute_each(
    session: Session, statements: Iterator[bytes]
) -> Conversation[tuple[Result | None, int]]:
    """Run each statement; returns the last result, None if there was none, and the affected rows.

    What the iterator raises (a value that cannot be written) comes out between two statements: the
    earlier ones have run, the connection is usable.
    """
    result: Result | None = None
    total = 0
    for statement in statements:
        result = yield from query(session, statement)
        total += max(result.affected_rows, 0)
        yield from discard(session)
    return result, total
