"""Recorded conversations: how they are kept and replayed."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from line import RESTING, Line, new_session
from scenarios import FILE, SCENARIOS, Scenario, outcomes

from pymy import err
from pymy.protocol.buffers import LARGE, SMALL
from pymy.protocol.needs import Conversation
from pymy.protocol.result import Result
from pymy.protocol.state import State

FOLDER = Path(__file__).with_name("golden")


@dataclass
class Recording:
    """One scenario on one server. ``turns`` are the server's, split where the client spoke."""

    server: str
    scenario: str
    version: str
    client: bytes
    turns: list[bytes]
    outcomes: list[str]

    @property
    def name(self) -> str:
        return f"{self.scenario}@{self.server}"

    def steps(self) -> Scenario:
        return next(each for each in SCENARIOS if each.name == self.scenario)

    def as_json(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario,
            "version": self.version,
            "client": pack(self.client),
            "turns": [pack(turn) for turn in self.turns],
            "outcomes": self.outcomes,
        }


def pack(data: bytes) -> str:
    """Text for JSON; long pieces are compressed first."""
    packed = zlib.compress(data, 9)
    return "z" + b64encode(packed).decode() if len(packed) < len(data) else b64encode(data).decode()


def unpack(text: str) -> bytes:
    return zlib.decompress(b64decode(text[1:])) if text[:1] == "z" else b64decode(text)


def save(server: str, recordings: list[Recording]) -> None:
    text = json.dumps([each.as_json() for each in recordings], indent=1)
    (FOLDER / f"{server}.json").write_text(text + "\n", "utf-8")


@cache
def load() -> list[Recording]:
    return [
        Recording(
            path.stem, each["scenario"], each["version"], unpack(each["client"]),
            [unpack(turn) for turn in each["turns"]], each["outcomes"],
        )
        for path in sorted(FOLDER.glob("*.json"))
        for each in json.loads(path.read_text("utf-8"))
    ]  # fmt: skip


@dataclass
class Replay:
    client: bytes
    outcomes: list[str]
    errors: list[err.Error]
    state: State


def replay(
    recording: Recording, turns: list[bytes] | None = None, chunk: int | None = None
) -> Replay:
    """Play a recording, or something made of it, and check what must hold whatever it says.

    Only ``pymy.Error`` comes out, raised by who found the fault and not for a crash; the state
    agrees with it; the line ends; memory and rows are bounded by the bytes that came.
    """
    scenario = recording.steps()
    session = new_session(local=not scenario.tcp)
    line = Line(
        session, recording.turns if turns is None else turns, chunk=chunk,
        files=[FILE[:5], FILE[5:]],
    )  # fmt: skip
    rows = 0

    def run(conversation: Conversation[Any]) -> Any:
        nonlocal rows
        value = line.run(conversation)
        rows += len(value.rows) if isinstance(value, Result) else 0
        return value

    shown: list[str] = []
    errors: list[err.Error] = []
    for text, failed in outcomes(scenario, session, run):
        assert session.state in RESTING, session.state
        shown.append(text)
        if failed is not None:
            errors.append(failed)
            assert failed.fatal == (session.state in (State.BROKEN, State.CLOSED)), failed
            assert "makes no sense" not in failed.message, failed.__cause__
    if session.compression is None:
        # a buffer doubles when it is full, and keeps at least half of it free
        assert len(session.inbox.data) <= max(4 * line.fed, LARGE, SMALL)
        assert 5 * rows <= line.fed
    return Replay(bytes(line.sent), shown, errors, session.state)


def seeds() -> list[bytes]:
    """The recordings as inputs of ``play_input``."""
    return [
        bytes([number, 0]) + b"".join(recording.turns) for number, recording in enumerate(load())
    ]


def play_input(data: bytes) -> None:
    """Play what a fuzzer made: which recording, size of the receives, all the server says."""
    if len(data) < 2:
        return
    recording = load()[data[0] % len(load())]
    rest = data[2:]
    turns = []
    for turn in recording.turns[:-1]:
        turns.append(rest[: len(turn)])
        rest = rest[len(turn) :]
    replay(recording, [*turns, rest], data[1] or None)
