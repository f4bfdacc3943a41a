"""What a set of rows begins with: the number of its columns and their definitions.

::

    lenenc count [, 1 whether definitions follow: CACHE_METADATA], definitions, [EOF]

Definitions that came before are not parsed again. MariaDB does not even send those that are the
last it sent for a prepared statement.

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/result-set-packets
"""

from __future__ import annotations

from collections.abc import Iterable

from pymy.constants import CLIENT
from pymy.protocol.binaryrows import binary_decoder_for
from pymy.protocol.columns import Column, parse_column
from pymy.protocol.needs import Conversation
from pymy.protocol.packets import is_terminator, parse_eof
from pymy.protocol.result import Head
from pymy.protocol.rows import decoder_for
from pymy.protocol.session import Session
from pymy.protocol.wire import Reader, malformed

DEPRECATE_EOF = int(CLIENT.DEPRECATE_EOF)
# What a connection remembers of earlier results' metadata: repeated statements parse no columns.
HEADS_KEPT = 64
HEAD_BYTES_KEPT = 64 * 1024
# What both servers allow in one result.
MOST_COLUMNS = 4096


def known_head(session: Session, packet: bytes) -> Head | None:
    """Skip column definitions that an earlier result had too; None when they are new."""
    if packet[0] > 250 or not session.capabilities & DEPRECATE_EOF:
        return None
    framed = arrived_head(session, packet[0])
    heads = session.binary_heads if session.binary else session.heads
    known: Head | None = heads.get(framed)
    if known is not None:
        session.inbox.start += len(framed)
        session.sequence = (session.sequence + packet[0]) & 0xFF
    return known


def read_head(session: Session, packet: bytes) -> Conversation[Head]:
    """Read the column definitions; the same ones as in an earlier result are not parsed again."""
    count = column_count(packet)
    framed = arrived_head(session, count)
    heads = session.binary_heads if session.binary else session.heads
    known: Head | None = heads.get(framed)
    if known is not None:
        session.inbox.start += len(framed)
        session.sequence = (session.sequence + count) & 0xFF
    definitions = []
    for _ in range(0 if known is not None else count):
        definition = session.take()
        if definition is None:
            definition = yield from session.read()
        if definition[0] == 0xFF:
            raise session.error(definition)
        definitions.append(definition)
    yield from _end_of_head(session)
    if known is not None:
        return known
    head = new_head(session, parse_columns(session, definitions))
    if framed:
        while len(heads) >= HEADS_KEPT:
            heads.pop(next(iter(heads)))
        heads[framed] = head
    return head


def column_count(packet: bytes) -> int:
    """Parse the first packet of a set; what stands behind the count is the caller's."""
    count = Reader(packet).lenenc()
    if not count:
        raise malformed("a result set without columns", packet)
    if count > MOST_COLUMNS:
        raise malformed(f"a result set of {count} columns", packet)
    return count


def _end_of_head(session: Session) -> Conversation[None]:
    if session.deprecate_eof:
        return
    end = yield from session.read()
    if end[0] == 0xFF:
        raise session.error(end)
    if not is_terminator(end, deprecate_eof=False):
        raise malformed("no end behind the column definitions", end)
    session.accept(parse_eof(end))


def parse_columns(session: Session, definitions: Iterable[bytes]) -> tuple[Column, ...]:
    encoding = session.decoding.encoding
    return tuple(parse_column(each, session.capabilities, encoding) for each in definitions)


def new_head(session: Session, columns: tuple[Column, ...]) -> Head:
    choose = binary_decoder_for if session.binary else decoder_for
    return Head(
        columns, choose(columns, session.decoding, session.checks_sequence), session.decoding
    )


def kept_head(session: Session, packet: bytes) -> Conversation[Head]:
    """Return the columns that MariaDB sent last for a statement: it does not repeat them (X27).

    They came with the answer to its COM_STMT_PREPARE or with an earlier result.
    """
    count = column_count(packet)
    prepared = session.executed
    if prepared is None:
        raise malformed("a result set without the definitions of its columns", packet)
    head: Head | None = prepared.head
    if head is None:
        head = new_head(session, parse_columns(session, prepared.definitions))
    elif head.decoding is not session.decoding:
        head = new_head(session, head.columns)
    if len(head.columns) != count:
        raise malformed(f"{count} columns, which were {len(head.columns)} before", packet)
    prepared.head = head
    yield from _end_of_head(session)
    return head


def arrived_head(session: Session, count: int) -> bytes:
    """Return the packets of ``count`` column definitions, nothing unless all are in the inbox.

    They are the key under which their parsed form is kept; sequence ids are part of it, so what was
    in order once is in order again.
    """
    inbox = session.inbox
    data, start, end = inbox.data, inbox.start, inbox.end
    if end - start < 4 or data[start + 3] != session.sequence or session.joining:
        return b""
    at = start
    for _ in range(count):
        if end - at < 4:
            return b""
        at += 4 + (data[at] | data[at + 1] << 8 | data[at + 2] << 16)
    if at > end or at - start > HEAD_BYTES_KEPT:
        return b""
    return bytes(inbox.view[start:at])
