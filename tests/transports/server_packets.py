"""Packets as servers send them, built by hand.

Nothing here comes from pymy.protocol, so that the two cannot share a mistake.
"""

from __future__ import annotations

import struct
from typing import Any

NONCE = b"abcdefghijklmnopqrst"
THREAD_ID = 7

QUIT, INIT_DB, QUERY, STATISTICS, PING = 1, 2, 3, 9, 14
CHANGE_USER, SET_OPTION, RESET_CONNECTION = 17, 27, 31

LONG_PASSWORD, CONNECT_WITH_DB, COMPRESS, LOCAL_FILES = 1, 1 << 3, 1 << 5, 1 << 7
PROTOCOL_41, SSL, SECURE_CONNECTION = 1 << 9, 1 << 11, 1 << 15
MULTI_STATEMENTS, MULTI_RESULTS, PLUGIN_AUTH = 1 << 16, 1 << 17, 1 << 19
CONNECT_ATTRS, LENENC_AUTH, SESSION_TRACK, DEPRECATE_EOF = 1 << 20, 1 << 21, 1 << 23, 1 << 24
PROGRESS = 1 << 32

OFFERS = (
    LONG_PASSWORD | 1 << 2 | CONNECT_WITH_DB | LOCAL_FILES | PROTOCOL_41 | 1 << 13
    | SECURE_CONNECTION | MULTI_STATEMENTS | MULTI_RESULTS | PLUGIN_AUTH | CONNECT_ATTRS
    | LENENC_AUTH | DEPRECATE_EOF
)  # fmt: skip

AUTOCOMMIT, MORE_RESULTS = 2, 8
MARIADB = "5.5.5-10.11.6-MariaDB"


def lenenc(number: int) -> bytes:
    if number < 251:
        return struct.pack("<B", number)
    if number < 65536:
        return struct.pack("<BH", 252, number)
    if number < 1 << 24:
        return b"\xfd" + struct.pack("<I", number)[:3]
    return struct.pack("<BQ", 254, number)


def text(value: Any) -> bytes:
    """A value of the text protocol: its length and its bytes, or NULL."""
    if value is None:
        return b"\xfb"
    data = value if isinstance(value, bytes) else str(value).encode()
    return lenenc(len(data)) + data


def framed(payload: bytes, sequence: int) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([sequence & 255]) + payload


def err_packet(errno: int, message: str, sqlstate: str | None = "HY000") -> bytes:
    state = b"" if sqlstate is None else b"#" + sqlstate.encode()
    return b"\xff" + struct.pack("<H", errno) + state + message.encode()


def ok_packet(status: int = AUTOCOMMIT, affected: int = 0, header: int = 0) -> bytes:
    return bytes([header]) + lenenc(affected) + b"\0" + struct.pack("<HH", status, 0)


def column(name: str, type_code: int = 253, table: str = "t", charset: int = 45) -> bytes:
    names = b"".join(text(part) for part in ("def", "db", table, table, name, name))
    return names + b"\x0c" + struct.pack("<HIBHBxx", charset, 400, type_code, 0, 0)


def number(name: str) -> bytes:
    return column(name, 3, charset=63)


def greeting(
    version: str = "8.4.0-scripted", *, plugin: str = "mysql_native_password",
    offers: int = OFFERS, nonce: bytes = NONCE, protocol: int = 10, thread_id: int = THREAD_ID,
) -> bytes:  # fmt: skip
    return (
        bytes([protocol]) + version.encode() + b"\0" + struct.pack("<I", thread_id)
        + nonce[:8] + b"\0" + struct.pack("<HBHH", offers & 65535, 45, 2, offers >> 16 & 65535)
        + bytes([len(nonce) + 1]) + bytes(6) + struct.pack("<I", offers >> 32)
        + nonce[8:] + b"\0" + plugin.encode() + b"\0"
    )  # fmt: skip
