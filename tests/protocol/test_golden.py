"""Conversations recorded from real servers, replayed whole, in pieces and cut off."""

from __future__ import annotations

from itertools import accumulate

import pytest
from golden import Recording, load, replay
from scenarios import SCENARIOS

from pymy import err
from pymy.constants import CR
from pymy.protocol.state import State

RECORDINGS = load()
each_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda each: each.name)


def test_every_scenario_is_recorded() -> None:
    wanted = {f"{each.name}@{server}" for each in SCENARIOS for server in each.servers}
    assert wanted == {recording.name for recording in RECORDINGS}


@each_recording
@pytest.mark.parametrize("chunk", [None, 1, 2, 3, 7, 64])
def test_replay(recording: Recording, chunk: int | None) -> None:
    """P16: the size of the receives changes nothing, neither the outcome nor what is sent."""
    played = replay(recording, chunk=chunk)
    assert played.outcomes == recording.outcomes
    assert played.client == recording.client


@each_recording
def test_cut_at_every_offset(recording: Recording) -> None:
    """Whatever was read whole is as recorded; the first thing that was not is one lost link."""
    for offset in range(sum(map(len, recording.turns))):
        played = replay(recording, cut(recording.turns, offset))
        *before, last = played.outcomes
        assert before == recording.outcomes[: len(before)]
        assert recording.client.startswith(played.client)
        if last != recording.outcomes[len(before)]:
            assert played.state is State.BROKEN
            assert isinstance(played.errors[-1], err.OperationalError)
            assert played.errors[-1].errno == CR.CR_SERVER_LOST
        else:
            # the refusal of a login, or a goodbye, behind which nothing is missed
            assert len(played.outcomes) == len(recording.outcomes)


def cut(turns: list[bytes], offset: int) -> list[bytes]:
    ends = accumulate(map(len, turns))
    return [
        turn[: max(0, len(turn) - max(0, end - offset))]
        for turn, end in zip(turns, ends, strict=True)
    ]
