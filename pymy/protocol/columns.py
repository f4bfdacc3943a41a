"""Column definitions."""

from __future__ import annotations

from dataclasses import dataclass

from pymy.charset import charset_by_id
from pymy.constants import CLIENT, FIELD_TYPE, FLAG
from pymy.protocol.wire import Reader, malformed, readable

BINARY_CHARSET = 63
_DECIMAL_TYPES = (FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL)


@dataclass(slots=True, frozen=True)
class Column:
    """What the server says about one column of a result.

    ``length`` is the display length in bytes, ``type_code`` one of FIELD_TYPE, ``flags`` of FLAG.
    ``extended_type`` and ``extended_format`` are MariaDB's ("uuid", "inet6", "json" ...).
    """

    schema: str
    table: str
    org_table: str
    name: str
    org_name: str
    charset_id: int
    length: int
    type_code: int
    flags: int
    decimals: int
    extended_type: str = ""
    extended_format: str = ""

    @property
    def is_binary(self) -> bool:
        return self.charset_id == BINARY_CHARSET

    @property
    def null_ok(self) -> bool:
        return not self.flags & FLAG.NOT_NULL

    @property
    def char_length(self) -> int:
        """Return the length in characters where the server counts bytes."""
        if self.type_code == FIELD_TYPE.VAR_STRING or self.type_code == FIELD_TYPE.STRING:
            try:
                charset = charset_by_id(self.charset_id).name
            except KeyError:
                return self.length
            return self.length // _BYTES_PER_CHARACTER.get(charset, 1)
        return self.length

    def description(self) -> tuple[str, int, None, int, int, int, bool]:
        """Return the column as the seven items of PEP 249's ``cursor.description``."""
        length = self.char_length
        return (self.name, self.type_code, None, length, length, self.decimals, self.null_ok)


_BYTES_PER_CHARACTER = {
    "utf8mb4": 4, "utf8mb3": 3, "utf8": 3, "gbk": 2, "sjis": 2, "cp932": 2, "big5": 2,
    "euckr": 2, "gb2312": 2, "gb18030": 4, "ujis": 3, "eucjpms": 3, "ucs2": 2, "utf16": 4,
    "utf16le": 4, "utf32": 4,
}  # fmt: skip


def parse_column(packet: bytes, capabilities: int, encoding: str = "utf-8") -> Column:
    """Parse ColumnDefinition41; bytes behind its end are ignored (P17).

    encoding: codec of character_set_results, which names come in too.

    lenenc catalog, schema, table, org_table, name, org_name; with MariaDB's EXTENDED_METADATA a
    lenenc block of (1 kind, lenenc text); lenenc 0x0C; 2 charset, 4 length, 1 type, 2 flags,
    1 decimals.

    Sources: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
        https://mariadb.com/docs/server/reference/clientserver-protocol/4-server-response-packets/result-set-packets
    """
    reader = Reader(packet)
    reader.lenenc_bytes()
    schema, table, org_table, name, org_name = [
        readable(reader.lenenc_bytes(), encoding) for _ in range(5)
    ]
    extended_type = extended_format = ""
    if capabilities & CLIENT.EXTENDED_METADATA:
        block = Reader(reader.lenenc_bytes())
        while block.left():
            kind = block.integer(1)
            text = block.lenenc_bytes().decode("utf-8", "replace")
            if kind == 0:
                extended_type = text
            elif kind == 1:
                extended_format = text
    if reader.lenenc() < 0x0C:
        raise malformed("a column definition without its fixed part", packet)
    return Column(
        schema, table, org_table, name, org_name,
        reader.integer(2), reader.integer(4), reader.integer(1), reader.integer(2),
        reader.integer(1), extended_type, extended_format,
    )  # fmt: skip
