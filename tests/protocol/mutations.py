"""Ways to damage what a server said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from golden import Recording

# What a length, a header or a status can be at its most inconvenient.
RAW = [
    b"\xff\xff\xff", b"\xfb", b"\xfc\xff\xff", b"\xfd\xff\xff\xff", b"\xfe" + b"\xff" * 8,
    b"\xff\x10\x04#08004bye", b"\xff\xff\xff\x01\x01\x02\0\0\0\0", b"\x07\0\0\x01\0\0\0\x0a\0\0\0",
    b"\x05\0\0\x02\xfe\0\0\x02\0", b"\0\0\0\x01", b"\x01\0\0\x01\x01", b"\x0a\0\0\x01\xfba.txt",
]  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """One damage: what (``kind`` modulo the number of kinds), where, how much, by which bytes."""

    kind: int
    at: int
    length: int = 0
    data: bytes = b""
    other: int = 0


def apply(
    turns: list[bytes], changes: Sequence[Mutation], recordings: Sequence[Recording]
) -> list[bytes]:
    """Return damaged turns; ``at`` counts through all of them."""
    turns = list(turns)
    for change in changes:
        at, number = change.at % max(1, sum(map(len, turns))), 0
        while number < len(turns) - 1 and at >= len(turns[number]):
            at -= len(turns[number])
            number += 1
        turns[number] = _damaged(turns[number], at, change, recordings)
    return turns


def _damaged(turn: bytes, at: int, change: Mutation, recordings: Sequence[Recording]) -> bytes:
    before, behind = turn[:at], turn[at:]
    length, data = change.length, change.data
    match change.kind % 7:
        case 0:  # flip bits of one byte
            return before + bytes(byte ^ (length & 0xFF or 1) for byte in behind[:1]) + behind[1:]
        case 1:
            return before + data + behind
        case 2:
            return before + behind[length:]
        case 3:
            return before + behind[:length] + behind
        case 4:
            return before
        case 5:
            return before + data + behind[len(data) :]
        case _:  # go on as another recording does
            other = b"".join(recordings[change.other % len(recordings)].turns)
            return before + other[at : at + 4 * length]
