"""Servers that do not answer, met by asyncio; tests/unit/test_transport.py has the other ways."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

import pymy
import pymy.aio
from pymy.aio import dialling


@pytest.fixture
def swallowing():
    """An address whose queue is full, so that it drops what would connect to it."""
    with contextlib.ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = open_sockets.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()


def answering(monkeypatch, *addresses):
    async def resolve(host, port, seconds):
        return [(socket.AF_INET, address) for address in addresses]

    monkeypatch.setattr(dialling, "_resolve", resolve)


def test_an_address_that_swallows_packets_leaves_time_for_the_next(
    run, monkeypatch, swallowing, tcp_dsn
):
    options = pymy.Options.from_keywords(tcp_dsn)
    answering(monkeypatch, swallowing, (options.host, options.port))

    async def main():
        async with pymy.aio.connect(tcp_dsn, host="db.example", connect_timeout=4) as conn:
            assert (await (await conn.execute("select 1")).fetchone()) == (1,)

    run(main())


def test_addresses_that_swallow_packets(run, monkeypatch, swallowing):
    answering(monkeypatch, swallowing, swallowing)

    async def main():
        with pytest.raises(pymy.OperationalError, match=r"within connect_timeout=0\.4 s") as caught:
            await pymy.aio.connect("mysql://u@db.example", connect_timeout=0.4)
        assert not caught.value.sent

    run(main())


def test_a_host_that_is_none(run):
    async def main():
        with pytest.raises(pymy.OperationalError, match="not a host name"):
            await pymy.aio.connect(host="a" * 64 + ".example", user="u")

    run(main())


def test_a_unix_socket_whose_queue_is_full(run, tmp_path):
    path = str(tmp_path / "s")
    clients = []

    async def main():
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(0)
        while True:
            clients.append(socket.socket(socket.AF_UNIX))
            clients[-1].setblocking(False)
            if clients[-1].connect_ex(path):
                break
        with pytest.raises(pymy.OperationalError, match=r"connect_timeout=0\.2"):
            await pymy.aio.connect(unix_socket=path, user="u", connect_timeout=0.2)
        task = asyncio.create_task(pymy.aio.connect(unix_socket=path, user="u")._connected())
        await asyncio.sleep(0.05)
        for _ in range(2):  # the one that filled the queue, then the task's
            link, _ = await asyncio.to_thread(listener.accept)
            link.close()
        listener.close()
        with pytest.raises(pymy.OperationalError, match="No greeting from socket"):
            await task
        for client in clients:
            client.close()

    run(main())
