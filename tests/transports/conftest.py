from __future__ import annotations

import pytest
import scripted
from bounded import within


@pytest.fixture(autouse=True)
def driver(transport, monkeypatch):
    """Run each test over each kind of transport."""
    monkeypatch.setattr(scripted, "driver", transport)
    return transport


@pytest.fixture(autouse=True)
def bound():
    with within(30):
        yield
