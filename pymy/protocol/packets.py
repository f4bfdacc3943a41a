"""Parsers of the packets that end or precede an answer: greeting, OK, EOF, ERR."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from pymy import err
from pymy.constants import CLIENT, CR, SERVER_STATUS
from pymy.protocol.wire import Reader, malformed, readable

# More than any server has variables; an entry of three bytes takes a hundred as an object.
MOST_CHANGES = 10_000
MORE_RESULTS = int(SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS)
OUT_PARAMS = int(SERVER_STATUS.SERVER_PS_OUT_PARAMS)
SESSION_STATE_CHANGED = int(SERVER_STATUS.SERVER_SESSION_STATE_CHANGED)
# Errors 1040 and 1129 come before capabilities are known, so without a SQLSTATE (P12).
SQLSTATE_MARK = ord("#")
PROGRESS_REPORT = 0xFFFF


@dataclass(slots=True, frozen=True)
class Greeting:
    """HandshakeV10, the server's first packet.

    ===========  =====================================================
    bytes        field
    ===========  =====================================================
    1            protocol version, 10
    to NUL       server version
    4            thread id
    8            nonce, first part
    1            filler
    2            capabilities, lower half
    1            collation id, lower byte
    2            status flags
    2            capabilities, upper half
    1            length of the whole nonce, its NUL included
    6            filler
    4            MariaDB: capabilities 32..63; MySQL: filler
    max(13, -8)  nonce, second part
    to NUL       name of the default authentication plugin (NUL may lack)
    ===========  =====================================================

    Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
        https://mariadb.com/docs/server/reference/clientserver-protocol/1-connecting/connection
    """

    server_version: str
    thread_id: int
    nonce: bytes = field(repr=False)
    capabilities: int
    charset_id: int
    status: int
    auth_plugin: str

    @property
    def is_mariadb(self) -> bool:
        """Tell MariaDB by its name, or by the "5.5.5-" it puts before 10 (P39)."""
        return "mariadb" in self.server_version.lower() or self.server_version.startswith("5.5.5-")

    @property
    def version(self) -> tuple[int, ...]:
        """Return the version as numbers, without the "5.5.5-" that MariaDB puts before 10 (P39)."""
        text = self.server_version.removeprefix("5.5.5-")
        found = re.match(r"\d+(?:\.\d+)*", text)
        return tuple(int(part[:9]) for part in found[0].split(".")[:4]) if found else ()


def parse_greeting(packet: bytes) -> Greeting:
    if packet[0] == 0xFF:
        raise parse_err(packet)
    if packet[0] != 10:
        raise err.ProtocolError(
            CR.CR_VERSION_ERROR,
            f"The server greets with protocol version {packet[0]}, pymy speaks 10 (MySQL 4.1 and "
            f"later, every MariaDB); the packet starts with {packet[:16]!r}. Check host and port",
        )
    reader = Reader(packet, 1)
    server_version = reader.until_nul().decode("utf-8", "replace")
    thread_id = reader.integer(4)
    nonce = reader.take(8)
    reader.take(1)
    capabilities = reader.integer(2)
    charset_id = status = 0
    auth_plugin = ""
    if reader.left():
        charset_id = reader.integer(1)
        status = reader.integer(2)
        capabilities |= reader.integer(2) << 16
        nonce_length = reader.integer(1)
        reader.take(6)
        extended = reader.integer(4)
        if not capabilities & CLIENT.LONG_PASSWORD:
            # MariaDB clears this bit and uses the last four filler bytes
            capabilities |= extended << 32
        if capabilities & CLIENT.SECURE_CONNECTION:
            second = reader.take(min(max(13, nonce_length - 8), reader.left()))
            nonce += second[:-1] if second[-1:] == b"\0" else second
        if capabilities & CLIENT.PLUGIN_AUTH:
            auth_plugin = reader.until_nul().decode("ascii", "replace")
    return Greeting(server_version, thread_id, nonce, capabilities, charset_id, status, auth_plugin)


class SessionChange(NamedTuple):
    """One entry of an OK packet's session tracking; ``kind`` is one of the ``TRACK_`` numbers."""

    kind: int
    name: str
    value: str


TRACK_SYSTEM_VARIABLE, TRACK_SCHEMA, TRACK_STATE_CHANGE, TRACK_GTIDS = 0, 1, 2, 3
TRACK_TRANSACTION_CHARACTERISTICS, TRACK_TRANSACTION_STATE = 4, 5


class Ok(NamedTuple):
    """What a statement without rows answers, and what ends every set of rows."""

    affected_rows: int = 0
    last_insert_id: int = 0
    status: int = 0
    warning_count: int = 0
    info: str = ""
    session_changes: tuple[SessionChange, ...] = ()


def parse_ok(packet: bytes, capabilities: int) -> Ok:
    """Parse OK_Packet, header 0x00 or, where it ends rows, 0xFE.

    lenenc affected rows, lenenc last insert id, 2 status, 2 warnings; with SESSION_TRACK a lenenc
    info text and, if status says so, lenenc session changes; without it the info text is the rest.

    Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
        https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/ok_packet
    """
    if len(packet) == 7 and packet[1] < 0xFB and packet[2] < 0xFB:
        return Ok(packet[1], packet[2], packet[3] | packet[4] << 8, packet[5] | packet[6] << 8)
    reader = Reader(packet, 1)
    affected_rows = reader.lenenc()
    last_insert_id = reader.lenenc()
    status = reader.integer(2)
    warning_count = reader.integer(2)
    changes: tuple[SessionChange, ...] = ()
    if not capabilities & CLIENT.SESSION_TRACK:
        info = reader.rest()
        # MySQL 5.6 documents bare text and sends a lenenc string
        if info[:1] and info[0] == len(info) - 1:
            info = info[1:]
    elif reader.left():
        info = reader.lenenc_bytes()
        if status & SESSION_STATE_CHANGED and reader.left():
            changes = tuple(_session_changes(Reader(reader.lenenc_bytes())))
    else:
        info = b""
    return Ok(
        affected_rows,
        last_insert_id,
        status,
        warning_count,
        info.decode("utf-8", "replace"),
        changes,
    )


def _session_changes(reader: Reader) -> list[SessionChange]:
    changes: list[SessionChange] = []
    while reader.left():
        if len(changes) > MOST_CHANGES:
            raise malformed(f"more than {MOST_CHANGES} session changes in one answer")
        kind = reader.integer(1)
        entry = Reader(reader.lenenc_bytes())
        if kind == TRACK_SYSTEM_VARIABLE:
            # MariaDB may put several pairs into one entry
            texts = [text.decode("utf-8", "replace") for text in entry.strings()]
            if len(texts) % 2:
                raise malformed("a system variable without its value")
            pairs = zip(texts[::2], texts[1::2], strict=True)
            changes += [SessionChange(kind, name, value) for name, value in pairs]
        elif kind <= TRACK_TRANSACTION_STATE:
            if kind == TRACK_GTIDS:
                entry.take(1)  # encoding specification, always 0
            # a state change has no length of its own, unlike the others
            bare = kind == TRACK_STATE_CHANGE
            text = (entry.rest() if bare else entry.lenenc_bytes()).decode("utf-8", "replace")
            changes.append(SessionChange(kind, "", text))
        # other kinds are skipped by their length (P128)
    return changes


def parse_eof(packet: bytes) -> Ok:
    """Parse EOF_Packet: 0xFE, 2 warnings, 2 status; both may be absent (pre-4.1 form)."""
    if len(packet) < 5:
        return Ok()
    return Ok(0, 0, packet[3] | packet[4] << 8, packet[1] | packet[2] << 8)


def is_terminator(packet: bytes, deprecate_eof: bool) -> bool:
    """Tell the end of rows from a row that starts with 0xFE, a length of 8 bytes (P7, P8)."""
    return packet[0] == 0xFE and len(packet) < (0xFFFFFF if deprecate_eof else 9)


def parse_terminator(packet: bytes, capabilities: int) -> Ok:
    """Parse what ends rows: OK with DEPRECATE_EOF, else EOF; a proxy may mix them up (P9)."""
    if len(packet) <= 5 or not capabilities & CLIENT.DEPRECATE_EOF:
        return parse_eof(packet)
    return parse_ok(packet, capabilities)


def parse_err(packet: bytes, *, mariadb: bool = False, encoding: str = "utf-8") -> err.Error:
    """Parse ERR_Packet: 0xFF, 2 number, optionally "#" and 5 SQLSTATE, text."""
    if len(packet) < 3:
        raise malformed("an error packet without a number", packet)
    number = packet[1] | packet[2] << 8
    sqlstate = None
    text = packet[3:]
    if len(packet) >= 9 and packet[3] == SQLSTATE_MARK:
        sqlstate = packet[4:9].decode("ascii", "replace")
        text = packet[9:]
    return err.from_server(number, sqlstate, readable(text, encoding), mariadb=mariadb)


class Progress(NamedTuple):
    """A progress report of MariaDB (ALTER TABLE, LOAD DATA ...): stage of stages, and its share."""

    stage: int
    max_stage: int
    percent: float
    info: str


def parse_progress(packet: bytes) -> Progress:
    """Parse MariaDB's progress report, an ERR_Packet numbered 0xFFFF.

    0xFF, 2 0xFFFF, 1 count of strings, 1 stage, 1 stages, 3 progress in 1/1000 %, lenenc info.

    Source: https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/err_packet
    """
    reader = Reader(packet, 4)
    stage, max_stage, share = reader.integer(1), reader.integer(1), reader.integer(3)
    info = reader.lenenc_bytes().decode("utf-8", "replace")
    return Progress(stage, max_stage, share / 1000, info)


def is_progress(packet: bytes) -> bool:
    return packet[:3] == b"\xff\xff\xff" and packet[3:4] != b"#"
