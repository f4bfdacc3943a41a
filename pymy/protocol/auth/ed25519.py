"""Ed25519 signatures whose secret may have any length.

MariaDB's ed25519 plugin hashes the password itself where RFC 8032 hashes a seed of 32 bytes, so
libraries that insist on 32 bytes cannot be used. For a secret of 32 bytes this is plain Ed25519.

Every multiplication does the same 64 additions by the same formula, without branches on secret
bits. Beyond that nothing is constant in time: Python's integers and table look-ups are not, and
secrets stay in memory until collected. An observer on the same machine may learn from that; one on
the network sees a difference of microseconds in one signature per login.

Source: https://www.rfc-editor.org/rfc/rfc8032
"""

from __future__ import annotations

from functools import cache
from hashlib import sha512
from typing import TypeAlias

# Extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z.
_Point: TypeAlias = tuple[int, int, int, int]

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ZERO: _Point = (0, 1, 1, 0)
_BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_BASE_Y = 4 * pow(5, -1, _P) % _P
_BASE: _Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)


def sign(secret: bytes, message: bytes) -> bytes:
    """Return the 64-byte signature of the message under a secret of any length."""
    scalar, prefix = _expand(secret)
    r = _number(prefix + message)
    commitment = _encode(_times_base(r))
    challenge = _number(commitment + _encode(_times_base(scalar)) + message)
    return commitment + ((r + challenge * scalar) % _ORDER).to_bytes(32, "little")


def public_key(secret: bytes) -> bytes:
    """Return the 32-byte public key of a secret of any length."""
    return _encode(_times_base(_expand(secret)[0]))


def _expand(secret: bytes) -> tuple[int, bytes]:
    digest = sha512(secret).digest()
    scalar = int.from_bytes(digest[:32], "little")
    return scalar & ((1 << 254) - 8) | (1 << 254), digest[32:]


def _number(data: bytes) -> int:
    return int.from_bytes(sha512(data).digest(), "little") % _ORDER


def _add(a: _Point, b: _Point) -> _Point:
    # Complete on this curve: right for doubling and for the neutral point too.
    ax, ay, az, at = a
    bx, by, bz, bt = b
    u = (ay - ax) * (by - bx) % _P
    v = (ay + ax) * (by + bx) % _P
    w = 2 * _D * at * bt % _P
    z = 2 * az * bz % _P
    e, f, g, h = v - u, z - w, z + w, v + u
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


@cache
def _windows() -> tuple[tuple[_Point, ...], ...]:
    """Return n * 16**i * base at [i][n]; made at first use, in a few milliseconds."""
    rows = []
    unit = _BASE
    for _ in range(64):
        row = [_ZERO]
        for _ in range(16):
            row.append(_add(row[-1], unit))
        unit = row.pop()
        rows.append(tuple(row))
    return tuple(rows)


def _times_base(scalar: int) -> _Point:
    total = _ZERO
    for row in _windows():
        total = _add(total, row[scalar & 15])
        scalar >>= 4
    return total


def _encode(point: _Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")
