"""LOAD DATA LOCAL INFILE: the server asks for a file of this machine.

::

    0xFB file name -> content in packets, an empty packet -> OK | ERR

The server chooses the name it asks for, after whatever statement it likes (P90): the file is sent
only when the connection allows files and the statement itself names this one. ``load_rows`` has a
name of its own, which is good for one statement.

Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_local_infile_request.html
    https://mariadb.com/docs/server/reference/clientserver-protocol/2-text-protocol/com_query#local-infile-response
"""

from __future__ import annotations

from pymy import err
from pymy.constants import CLIENT, CR
from pymy.protocol.needs import Conversation, Need
from pymy.protocol.packets import Ok, parse_ok
from pymy.protocol.session import Session
from pymy.protocol.state import State
from pymy.protocol.wire import malformed
from pymy.sql import infile_names

# An empty packet ends the file, so no piece may fill a packet and bring the empty trailer along.
PIECE = 1 << 20


def send_file(session: Session, name: bytes) -> Conversation[Ok]:
    """Send the file the server asks for, or an empty one and then the reason why not.

    When the handler raises in the middle, the rest is not sent: the server keeps what it has got
    unless the transaction is rolled back (P92). The connection stays usable.
    """
    if session.followed:  # it would take the commands behind this one for the file
        raise malformed("a request for a file where none can be sent", name)
    answered = False
    own, session.own_file = session.own_file, b""
    failure: Exception | None = _refusal(session, name, own)
    if failure is None:
        session.file_name = name
        if name != own:
            session.pieces = None
        session.indivisible = True
        try:
            while not (answered := _answered(session)) and (piece := (yield Need.FILE)):
                for at in range(0, len(piece), PIECE):
                    session.put(bytes(piece[at : at + PIECE]))
                    yield Need.WRITE
        except Exception as exc:
            if session.state is not State.BUSY:  # the link went, not the handler
                raise
            failure = session.not_ours = exc
        finally:
            session.pieces = None
    session.put(b"")
    yield Need.WRITE  # before an answer that may be there already
    if answered:
        session.trust_next()  # it was given before the server saw the last pieces
    packet = yield from session.read()
    if packet[0] == 0xFF:
        error = session.error(packet)
        raise error if failure is None else failure
    if packet[0] != 0x00:
        raise malformed("neither OK nor an error after a file", packet)
    ok = parse_ok(packet, session.capabilities)
    if failure is not None:
        session.rest(ok)
        raise failure
    return ok


def _answered(session: Session) -> bool:
    """Tell whether the server, having enough, answers before the end of the file (P94)."""
    # progress reports come in the middle too, and mean that it goes on reading
    return bool(session.held) and not session.capabilities & CLIENT.PROGRESS


def _refusal(session: Session, name: bytes, own: bytes) -> err.Error | None:
    shown = name[:200].decode("utf-8", "replace")
    if not session.files_allowed and not (own and name == own):
        return err.OperationalError(
            CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED,
            f"The server asks for the local file {shown!r}, but local files are switched off. "
            "If this LOAD DATA LOCAL is yours, connect with local_infile=[folders] or a handler",
        )
    # surrogates keep bytes apart that "replace" would make equal
    statement = session.statement.decode("utf-8", "surrogateescape")
    if name.decode("utf-8", "surrogateescape") not in infile_names(
        statement, no_backslash_escapes=session.statement_plain_backslashes
    ):
        return err.OperationalError(
            CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED,
            f"The server asks for the local file {shown!r}, which the statement does not name. "
            "Nothing was sent. Do not trust this server",
        )
    return None
