"""Recorded bytes, damaged: only pymy.Error comes out, and every conversation ends.

What must hold is checked in ``golden.replay``. ``tests/fuzz/fuzz_session.py`` does the same for
hours, guided by coverage.
"""

from __future__ import annotations

import pytest
from golden import Recording, load, play_input, replay, seeds
from hypothesis import given, settings
from hypothesis import strategies as st
from line import ask, ready_session
from mutations import RAW, Mutation, apply

from pymy import err
from pymy.constants import CLIENT
from pymy.protocol.query import discard, query
from pymy.protocol.state import State

RECORDINGS = load()
SMALL_ONES = [each for each in RECORDINGS if sum(map(len, each.turns)) < 1200]

# What ``tests/fuzz/fuzz_session.py`` found, as it wrote it.
FINDINGS: list[bytes] = []

mutations = st.lists(
    st.builds(
        Mutation,
        kind=st.integers(0, 255),
        at=st.integers(0, 4000),
        length=st.integers(0, 300),
        data=st.binary(max_size=12) | st.sampled_from(RAW),
        other=st.integers(0, len(RECORDINGS) - 1),
    ),
    min_size=1,
    max_size=4,
)


@given(
    recording=st.sampled_from(RECORDINGS),
    changes=mutations,
    chunk=st.none() | st.integers(1, 200),
)
@settings(max_examples=1500, deadline=None)
def test_mutated_recordings(
    recording: Recording, changes: list[Mutation], chunk: int | None
) -> None:
    replay(recording, apply(recording.turns, changes, RECORDINGS), chunk)


@pytest.mark.parametrize("recording", SMALL_ONES, ids=lambda each: each.name)
@pytest.mark.parametrize("value", [0x00, 0xFF, 0xFB, 0xFE])
def test_every_byte_replaced(recording: Recording, value: int) -> None:
    """The four bytes that mean most, each at every second place."""
    for number, turn in enumerate(recording.turns):
        for at in range(value % 2, len(turn), 2):
            turns = list(recording.turns)
            turns[number] = turn[:at] + bytes([value]) + turn[at + 1 :]
            replay(recording, turns)


def test_inputs_of_the_fuzzer() -> None:
    for data in [b"", b"\0", b"\0\0", b"\xff\x01" + b"\xff" * 50, *seeds(), *FINDINGS]:
        play_input(data)


@given(
    data=st.lists(st.binary(min_size=1, max_size=40), max_size=12),
    capabilities=st.sampled_from(
        [0, CLIENT.DEPRECATE_EOF, CLIENT.DEPRECATE_EOF | CLIENT.SESSION_TRACK | CLIENT.PROGRESS]
    ),
    stream=st.booleans(),
)
@settings(max_examples=500, deadline=None)
def test_packets_of_anything(data: list[bytes], capabilities: int, stream: bool) -> None:
    """Well-framed nonsense, which reaches further than damaged frames."""
    turn = b"".join(
        len(payload).to_bytes(3, "little") + bytes([number & 0xFF]) + payload
        for number, payload in enumerate(data, 1)
    )
    session = ready_session(capabilities, files_allowed=True)
    for conversation in (query(session, b"select", stream=stream), discard(session)):
        try:
            ask(session, conversation, turn)
        except err.Error as exc:
            assert "makes no sense" not in exc.message
            break
        turn = b""
    assert session.state is not State.BUSY
