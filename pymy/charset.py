"""Character sets and collations of both servers, and the Python codecs that match them.

The table is parsed when it is first asked for.

Source: https://dev.mysql.com/doc/refman/en/charset-charsets.html
https://mariadb.com/kb/en/supported-character-sets-and-collations/
"""

from __future__ import annotations

import re
from functools import cache

BINARY_ID = 63

# Charsets that Python knows under another name. MySQL's latin1 is Windows', its euckr is UHC.
# Compared with CONVERT() of MySQL 9.7 and MariaDB 11.8 for every byte and pair of bytes: apart from
# a handful of vendor characters the only loss is eucjpms, of which Python has no more than ujis.
_CODECS = {
    "utf8mb3": "utf8",
    "utf8mb4": "utf8",
    "latin1": "cp1252",
    "latin2": "iso8859_2",
    "latin5": "iso8859_9",
    "latin7": "iso8859_13",
    "greek": "iso8859_7",
    "hebrew": "iso8859_8",
    "hp8": "hp_roman8",
    "koi8r": "koi8_r",
    "koi8u": "koi8_u",
    "macce": "mac_latin2",
    "macroman": "mac_roman",
    "tis620": "tis_620",
    "sjis": "shift_jis",
    "ujis": "euc_jp",
    "eucjpms": "euc_jp",
    "euckr": "cp949",
    "ucs2": "utf_16_be",
    "utf16": "utf_16_be",
    "utf16le": "utf_16_le",
    "utf32": "utf_32_be",
    "binary": "latin1",
}
# Python has no codec for these; ASCII is what they have in common with everything.
_WITHOUT_CODEC = frozenset({"armscii8", "dec8", "geostd8", "keybcs2", "swe7"})
# The server refuses them as character_set_client: a NUL byte would end a statement.
_NOT_FOR_CLIENTS = frozenset({"ucs2", "utf16", "utf16le", "utf32"})


class Charset:
    """A collation with its character set; servers name both by the collation's `id`."""

    __slots__ = ("collation", "encoding", "id", "is_default", "name")

    def __init__(self, id: int, name: str, collation: str, is_default: bool = False) -> None:
        self.id = id
        self.name = name
        self.collation = collation
        self.is_default = is_default
        self.encoding = "ascii" if name in _WITHOUT_CODEC else _CODECS.get(name, name)
        """Python codec for text in this charset."""

    def __repr__(self) -> str:
        return f"Charset(id={self.id}, name={self.name!r}, collation={self.collation!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Charset):
            return NotImplemented
        return (self.id, self.collation) == (other.id, other.collation)

    def __hash__(self) -> int:
        return hash((self.id, self.collation))

    @property
    def is_binary(self) -> bool:
        """True for the charset of bytes that are not text."""
        return self.id == BINARY_ID

    @property
    def for_clients(self) -> bool:
        """True when statements can be sent in it: the server allows it and Python has its codec."""
        return self.name not in _NOT_FOR_CLIENTS | _WITHOUT_CODEC


class Charsets:
    """Table of collations, by id, by charset and by collation name."""

    def __init__(self) -> None:
        self._by_id: dict[int, Charset] = {}
        self._by_name: dict[str, Charset] = {}
        self._by_collation: dict[str, Charset] = {}
        self._mariadb: dict[str, Charset] = {}

    def add(self, charset: Charset) -> None:
        """Add a collation; a default one also becomes what its charset's name stands for."""
        self._by_id[charset.id] = charset
        # Where two ids have one name, MySQL has the lower and MariaDB the higher.
        self._by_collation.setdefault(charset.collation, charset)
        self._mariadb[charset.collation] = charset
        if charset.is_default:
            self._by_name[charset.name] = charset

    def alias_mariadb(self, id: int, collation: str) -> None:
        """Add the name that only MariaDB uses for an id."""
        charset = Charset(id, self._by_id[id].name, collation)
        self._by_collation[collation] = self._mariadb[collation] = charset

    def by_id(self, id: int) -> Charset:
        """Return the collation with that id; KeyError when neither server has it."""
        return self._by_id[id]

    def by_name(self, name: str) -> Charset | None:
        """Return a charset's default collation; "utf8" means utf8mb4. None when unknown."""
        name = name.lower()
        return self._by_name.get("utf8mb4" if name == "utf8" else name)

    def by_collation(self, name: str, mariadb: bool = False) -> Charset | None:
        """Return the collation of that name, as MySQL or MariaDB numbers it, or None."""
        return (self._mariadb if mariadb else self._by_collation).get(name.lower())


@cache
def _charsets() -> Charsets:
    from . import _collations

    table = Charsets()
    rows: list[Charset] = []
    for paragraph in _collations.PLAIN.split("\n\n"):
        name, *words = paragraph.split() or [""]
        for word in words:
            number, _, suffix = word.partition(":")
            default = suffix.startswith("*")
            suffix = suffix.removeprefix("*")
            collation = name if suffix == name else f"{name}_{suffix}"
            rows.append(Charset(int(number), name, collation, default))
    for word in _collations.UCA1400.split():
        offset, _, suffix = word.partition(":")
        for name, base in _collations.UCA1400_BASES.items():
            rows.append(Charset(base + int(offset), name, f"{name}_{suffix}"))
    for row in sorted(rows, key=lambda row: row.id):
        table.add(row)
    for ident, collation in _collations.MARIADB_NAMES.items():
        table.alias_mariadb(ident, collation)
    return table


def charset_by_id(id: int) -> Charset:
    """Return the collation with that id; KeyError when neither server has it."""
    return _charsets().by_id(id)


def charset_by_name(name: str) -> Charset | None:
    """Return a charset's default collation; "utf8" means utf8mb4. None when unknown.

    For utf8mb4 that is id 45, which every server knows, not the server's own default.
    """
    return _charsets().by_name(name)


def collation_by_name(name: str, mariadb: bool = False) -> Charset | None:
    """Return the collation of that name, with the id that kind of server uses, or None."""
    return _charsets().by_collation(name, mariadb)


def charset_names() -> list[str]:
    """Return the names of all character sets."""
    return sorted(_charsets()._by_name)


def is_collation_name(name: str) -> bool:
    """Tell whether a name can be sent in SET NAMES ... COLLATE as it is."""
    return re.fullmatch(r"[A-Za-z0-9_]{1,64}", name) is not None
