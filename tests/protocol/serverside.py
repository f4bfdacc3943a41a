"""What a server would send: packets built by hand, for tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from pymy.constants import CLIENT, FIELD_TYPE
from pymy.protocol.wire import lenenc, lenenc_bytes

MORE = 8
AUTOCOMMIT = 2
NONCE = bytes(range(33, 53))
ALL_CAPABILITIES = 0xFFFFFFFF & ~CLIENT.MULTI_FACTOR_AUTHENTICATION


def framed(payload: bytes, number: int = 1) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([number & 0xFF]) + payload


def packets(*payloads: bytes, start: int = 1) -> bytes:
    return b"".join(framed(payload, start + at) for at, payload in enumerate(payloads))


def ok(
    affected: int = 0,
    insert_id: int = 0,
    status: int = AUTOCOMMIT,
    warnings: int = 0,
    tail: bytes = b"",
    header: int = 0,
) -> bytes:
    """``header=0xFE`` makes it the end of rows with DEPRECATE_EOF."""
    return (
        bytes([header]) + lenenc(affected) + lenenc(insert_id)
        + struct.pack("<HH", status, warnings) + tail
    )  # fmt: skip


def end(status: int = AUTOCOMMIT, warnings: int = 0, **more: int) -> bytes:
    return ok(status=status, warnings=warnings, header=0xFE, **more)


def eof(status: int = AUTOCOMMIT, warnings: int = 0) -> bytes:
    return struct.pack("<BHH", 0xFE, warnings, status)


def error(errno: int, text: str = "bad", sqlstate: str | None = "HY000") -> bytes:
    mark = b"" if sqlstate is None else b"#" + sqlstate.encode()
    return b"\xff" + struct.pack("<H", errno) + mark + text.encode()


def progress(stage: int = 1, stages: int = 2, share: int = 50_000, info: bytes = b"x") -> bytes:
    return (
        b"\xff\xff\xff\x01" + bytes([stage, stages]) + share.to_bytes(3, "little")
        + lenenc_bytes(info)
    )  # fmt: skip


def column(
    name: str = "a",
    type_code: int = FIELD_TYPE.LONG,
    charset: int = 63,
    *,
    flags: int = 0,
    length: int = 11,
    decimals: int = 0,
    extended: bytes | None = None,
    tail: bytes = b"",
) -> bytes:
    parts = [lenenc_bytes(text) for text in (b"def", b"db", b"t", b"t")]
    parts += [lenenc_bytes(name.encode()), lenenc_bytes(name.encode())]
    if extended is not None:
        parts.append(lenenc_bytes(extended))
    fixed = struct.pack("<HIBHBxx", charset, length, type_code, flags, decimals)
    return b"".join(parts) + bytes([len(fixed)]) + fixed + tail


def row(*values: bytes | None) -> bytes:
    return b"".join(b"\xfb" if value is None else lenenc_bytes(value) for value in values)


def result_set(
    columns: Sequence[bytes],
    rows: Sequence[bytes] = (),
    *,
    status: int = AUTOCOMMIT,
    deprecate_eof: bool = False,
    start: int = 1,
) -> bytes:
    """A whole set, numbered from ``start``."""
    head = [lenenc(len(columns)), *columns]
    if deprecate_eof:
        return packets(*head, *rows, end(status), start=start)
    return packets(*head, eof(status & ~MORE), *rows, eof(status), start=start)


def greeting(
    version: bytes = b"9.7.0",
    capabilities: int = ALL_CAPABILITIES,
    plugin: bytes = b"mysql_native_password\0",
    *,
    nonce: bytes = NONCE + b"\0",
    nonce_length: int = 21,
    protocol: int = 10,
    extended: int = 0,
    thread_id: int = 7,
) -> bytes:
    if extended:
        capabilities &= ~CLIENT.LONG_PASSWORD
    return (
        bytes([protocol]) + version + b"\0" + struct.pack("<I", thread_id) + nonce[:8] + b"\0"
        + struct.pack("<HBHHB", capabilities & 0xFFFF, 45, 2, capabilities >> 16, nonce_length)
        + bytes(6) + struct.pack("<I", extended) + nonce[8:] + plugin
    )  # fmt: skip
