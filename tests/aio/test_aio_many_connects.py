"""Hundreds of connects at once on a machine that has other things to do (A35)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter

import pytest

import pymy
import pymy.aio

CONNECTS = 500
DEADLINE = 30.0


@pytest.fixture
def busy_machine():
    """Two processes that burn whatever cores they get."""
    burners = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"]) for _ in range(2)
    ]
    yield
    for each in burners:
        each.kill()
        each.wait()


async def rush(dsn):
    """Open them all, hold them until the last one is through, then count what became of them."""
    opened = []
    outcomes: Counter[str] = Counter()

    async def one():
        conn = pymy.aio.Connection(dsn, connect_timeout=DEADLINE)
        try:
            await conn.connect()
        except pymy.OperationalError as error:
            assert not conn.open
            outcomes[error.code or str(error.errno)] += 1
        else:
            opened.append(conn)
            outcomes["connected"] += 1

    async with asyncio.timeout(DEADLINE + 20):
        await asyncio.gather(*(one() for _ in range(CONNECTS)))
    async for row in opened[-1].execute("select 'alive'"):
        assert row == ("alive",)
    for conn in opened:
        conn.close()
    return outcomes


# by their deadline, or at once where the system has no room for another caller
REFUSED = {"CR_SERVER_LOST", "CR_CONN_HOST_ERROR", "CR_CONNECTION_ERROR"}


@pytest.fixture(params=["unix socket", "TCP"])
def dsn_of(request):
    return lambda server: server.dsn if request.param == "unix socket" else server.tcp_dsn


@pytest.mark.usefixtures("busy_machine")
def test_room_for_all(extra_server, dsn_of, run):
    outcomes = run(rush(dsn_of(extra_server("--max-connections=1000"))))
    assert sum(outcomes.values()) == CONNECTS
    assert set(outcomes) <= {"connected"} | REFUSED
    assert outcomes["connected"] > CONNECTS / 2


@pytest.mark.usefixtures("busy_machine")
def test_room_for_some(extra_server, dsn_of, run):
    outcomes = run(rush(dsn_of(extra_server("--max-connections=100"))))
    assert sum(outcomes.values()) == CONNECTS
    assert set(outcomes) <= {"connected", "ER_CON_COUNT_ERROR"} | REFUSED
    assert outcomes["ER_CON_COUNT_ERROR"] > 0
    assert 90 <= outcomes["connected"] <= 101  # the server keeps one more for an administrator
