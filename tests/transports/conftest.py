from __future__ import annotations

import signal

import pytest
import scripted


@pytest.fixture(autouse=True)
def driver(transport, monkeypatch):
    """Run each test over each kind of transport."""
    monkeypatch.setattr(scripted, "driver", transport)
    return transport


@pytest.fixture(autouse=True)
def bound():
    """End a test that hangs all the same, in a loop or a lock, after half a minute."""

    def give_up(number, frame):
        raise AssertionError("the test hangs")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)
