"""Results: one for each answer of a statement."""

from __future__ import annotations

from typing import Any

from pymy.protocol.columns import Column
from pymy.protocol.kinds import Decoding
from pymy.protocol.packets import MORE_RESULTS, OUT_PARAMS, Ok, SessionChange
from pymy.protocol.rows import Row, RowDecoder

Description = tuple[tuple[str, int, None, int, int, int, bool], ...]


class Head:
    """The metadata of a result set: its columns and what is derived from them, made once."""

    __slots__ = ("columns", "decoder", "decoding", "description")

    def __init__(
        self, columns: tuple[Column, ...], decoder: RowDecoder, decoding: Decoding
    ) -> None:
        self.columns = columns
        self.decoder = decoder
        self.decoding = decoding
        self.description: Description = tuple(column.description() for column in columns)


_NO_OK = Ok()


class Result:
    """One answer: an OK, or a set of rows.

    ``rows`` holds the rows read so far; while ``unread`` is true more of them wait on the line.
    The attribute names are PyMySQL's (``affected_rows``, ``insert_id``, ``server_status``,
    ``warning_count``, ``message``, ``has_next``, ``fields``, ``description``).
    """

    __slots__ = ("failure", "head", "head_ended", "ok", "rows", "streamed", "unread")

    def __init__(self, head: Head | None = None, ok: Ok | None = None) -> None:
        self.head = head
        self.ok = ok if ok is not None else _NO_OK
        self.rows: list[Row] = []
        self.unread = ok is None
        self.head_ended = False
        self.failure: Exception | None = None
        self.streamed = False

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.head.columns if self.head is not None else ()

    @property
    def fields(self) -> tuple[Column, ...]:
        return self.columns

    @property
    def description(self) -> Description | None:
        return self.head.description if self.head is not None else None

    @property
    def field_count(self) -> int:
        return len(self.columns)

    @property
    def affected_rows(self) -> int:
        """Return rows changed, or for a whole set of rows their number; -1 for a stream of rows.

        The server's 2**64 - 1 ("unknown") is -1 too.
        """
        if self.head is not None:
            return -1 if self.streamed else len(self.rows)
        return self.ok.affected_rows if self.ok.affected_rows != 0xFFFFFFFFFFFFFFFF else -1

    @property
    def insert_id(self) -> int:
        return self.ok.last_insert_id

    @property
    def server_status(self) -> int:
        return self.ok.status

    @property
    def warning_count(self) -> int:
        return self.ok.warning_count

    @property
    def message(self) -> str:
        return self.ok.info

    @property
    def session_changes(self) -> tuple[SessionChange, ...]:
        return self.ok.session_changes

    @property
    def has_next(self) -> bool:
        """Tell whether the statement has more results."""
        return bool(self.ok.status & MORE_RESULTS) and not self.unread

    @property
    def is_out_params(self) -> bool:
        """Tell whether this is the row of a prepared CALL's OUT and INOUT parameters (P86)."""
        return self.head is not None and bool(self.ok.status & OUT_PARAMS) and not self.streamed

    @property
    def unbuffered_active(self) -> bool:
        return self.unread

    def __repr__(self) -> str:
        kind = f"{self.field_count} columns" if self.head is not None else "no columns"
        return f"<Result {kind}, {len(self.rows)} rows{', more unread' if self.unread else ''}>"

    def __iter__(self) -> Any:
        return iter(self.rows)
