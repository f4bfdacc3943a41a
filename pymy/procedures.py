"""Calls of stored procedures: their results, and what comes back in OUT and INOUT parameters."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from . import err
from .constants import CR, FLAG
from .protocol.needs import Conversation
from .protocol.query import next_result, query, values_of_any_length
from .protocol.result import Result
from .protocol.session import Session
from .protocol.state import RESULTS
from .sql import LiteralContext, escape_id
from .typesets import BINARY as BINARY_STRING
from .typesets import STRING

if TYPE_CHECKING:
    from .base import BaseConnection


class Call:
    """A CALL in text, whose arguments go through user variables."""

    def __init__(self, procname: str, args: Sequence[Any], context: LiteralContext) -> None:
        self.args = args
        self.context = context
        plain = re.sub(r"\W+", "_", procname)
        self.names = ",".join([f"@_{plain}_{number}" for number in range(len(args))])
        self.literals = [context.write(value) for value in args]
        self.text = f"CALL {escape_id(procname, context=context)}({self.names})"

    @property
    def setting(self) -> str:
        names = self.names.split(",")
        pairs = zip(names, self.literals, strict=True)
        return "SET " + ",".join([f"{name}={literal}" for name, literal in pairs])

    def reading(self, connection: BaseConnection) -> Conversation[Sequence[Any]]:
        """Read the variables; returns the arguments with what is another value now.

        User variables have few types: what went as a date or a bool comes as text or a number, so
        values are told apart as the server was told them.
        """
        text = connection._encode(f"SELECT {self.names}")
        session = connection._session
        with values_of_any_length(session):
            result = yield from query(session, text, attributes=connection.query_attributes)
        if not result.rows or len(result.rows[0]) != len(self.args):
            raise err.ProtocolError(
                CR.CR_MALFORMED_PACKET, "The server did not give the parameters back"
            )
        values = [
            before if self._is_same(before, literal, after) else after
            for before, literal, after in zip(self.args, self.literals, result.rows[0], strict=True)
        ]
        if all(one is other for one, other in zip(self.args, values, strict=True)):
            return self.args
        return values if isinstance(self.args, list) else tuple(values)

    def _is_same(self, before: Any, literal: str, after: Any) -> bool:
        if isinstance(before, _NUMBERS) and isinstance(after, _NUMBERS):
            return bool(before == after)
        try:
            return self.context.write(after) == literal
        except (TypeError, ValueError, err.Error):  # made by a converter of the program
            return False


_NUMBERS = (int, float, Decimal)
_STRINGS = STRING | BINARY_STRING
BINARY = int(FLAG.BINARY)


def out_params(connection: BaseConnection, result: Result) -> tuple[Any, ...] | None:
    """Return the row of a prepared CALL's parameters.

    MySQL says of all strings that they are binary, by their charset, and sends text in the
    parameter's own: it is text where the flag for binary ones lacks and it is the connection's.
    """
    if not result.rows:
        return None
    row: tuple[Any, ...] = result.rows[0]
    if connection.is_mariadb or not connection.options.use_unicode:
        return row
    return tuple(
        _text(value, connection.encoding)
        if isinstance(value, bytes) and column.type_code in _STRINGS and not column.flags & BINARY
        else value
        for value, column in zip(row, result.columns, strict=True)
    )


def _text(value: bytes, encoding: str) -> str | bytes:
    try:
        return value.decode(encoding)
    except UnicodeDecodeError:
        return value


def read_ahead(session: Session) -> Conversation[deque[Result | err.Error]]:
    """Read what results are left; an error among them is told when it is its turn."""
    found: deque[Result | err.Error] = deque()
    while session.state is RESULTS:
        try:
            result = yield from next_result(session)
        except err.Error as exc:
            if not session.usable() or session.abandoned:
                raise
            found.append(exc)
        else:
            assert result is not None
            found.append(result)
    return found
