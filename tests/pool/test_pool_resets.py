"""How a connection is made ready for its next user, and in how many writes."""

from __future__ import annotations

import asyncio

import pytest
from scripted import Server, err, expect, greet, listen_to_the_end, ok, query, response, step
from server_packets import CHANGE_USER, INIT_DB, QUERY, RESET_CONNECTION, ok_packet

import pymy
from pymy.aio import Pool as TaskPool
from pymy.pool import Pool
from pymy.protocol.session import Session

NAMES = "SET NAMES utf8mb4, autocommit=0"


@step
def login(peer):
    """Let the client in, whose first statement is NAMES."""
    greet()(peer)
    response()(peer)
    ok()(peer)
    query(NAMES)(peer)
    ok()(peer)


@step
def changes_user(peer):
    assert peer.read("COM_CHANGE_USER")[0] == CHANGE_USER


@step
def commands(peer, *wanted):
    """Read all of these before the first answer; then answer them in one go."""
    answers = b""
    for code, content in wanted:
        expect(code, content)(peer)
        packet = ok_packet()
        answers += len(packet).to_bytes(3, "little") + b"\1" + packet
    peer.sock.sendall(answers)


RESET = [(RESET_CONNECTION, b""), (QUERY, NAMES), (INIT_DB, "shop")]


def release_in_threads(options, times=1):
    pool = Pool(max_size=1, **options)
    for _ in range(times):
        conn = pool.acquire()
        conn.release()
    return pool.stats(), pool.terminate()


def release_in_tasks(options, times=1):
    async def main():
        pool = TaskPool(max_size=1, **options)
        for _ in range(times):
            conn = await pool.acquire()
            await conn.release()
        return pool.stats(), pool.terminate()

    return asyncio.run(main())


both = pytest.mark.parametrize("release", [release_in_threads, release_in_tasks])


@both
def test_one_write(release):
    with Server(login(), commands(*RESET), commands(*RESET), listen_to_the_end()) as server:
        stats, _ = release(server.options(database="shop"), times=2)
    assert (stats.idle, stats.connected) == (1, 1)


@both
def test_p112_a_server_without_it_is_asked_once(release):
    """... and not by each of the pool's connections."""
    with Server(
        login(), expect(RESET_CONNECTION), err(1047, "Unknown command"), query(NAMES), ok(),
        expect(INIT_DB, "shop"), ok(), changes_user(), ok(), query(NAMES), ok(),
        changes_user(), ok(), query(NAMES), ok(), listen_to_the_end(),
    ) as server:  # fmt: skip
        stats, _ = release(server.options(database="shop"), times=2)
    assert (stats.idle, stats.connected) == (1, 1)


@both
def test_p112_refused_altogether(release):
    with Server(
        login(), expect(RESET_CONNECTION), err(1047, "Unknown command"), query(NAMES), ok(),
        expect(INIT_DB, "shop"), ok(), changes_user(), err(1105, "no"),
        listen_to_the_end(),
    ) as server:  # fmt: skip
        stats, _ = release(server.options(database="shop"))
    assert (stats.size, stats.broken) == (0, 1)


@both
def test_a_proxy_that_loses_commands(release):
    """It costs one connection; from then on each command waits for the answer of the last."""
    with Server(
        login(), expect(RESET_CONNECTION), ok(), listen_to_the_end(),
    ).then(
        login(), expect(RESET_CONNECTION), ok(), query(NAMES), ok(), expect(INIT_DB, "shop"), ok(),
        listen_to_the_end(),
    ) as server:  # fmt: skip
        stats, _ = release(server.options(database="shop", cancel_timeout=0.2), times=2)
    assert (stats.idle, stats.connected, stats.broken) == (1, 2, 1)


@pytest.fixture
def writes(monkeypatch):
    """Count what the driver hands to a socket."""
    counted = []
    original = Session.sent

    def sent(self, count):
        counted.append(bytes(self.output()[:count]))
        return original(self, count)

    monkeypatch.setattr(Session, "sent", sent)
    return counted


SHOWN = "select @a, database(), @@autocommit, @@character_set_client, (select count(*) from t)"


@pytest.mark.parametrize("address", ["dsn", "tcp_dsn"])
@pytest.mark.parametrize("how", ["threads", "tasks"])
def test_one_write_on_real_servers(request, writes, db, needs, address, how):
    needs("session tracking")
    url = request.getfixturevalue(address)
    options = {"max_size": 1, "init_command": "set @a = 1"}
    with pymy.connect(url, autocommit=True) as conn:
        conn.execute("create table t (id int) engine=innodb")
    table = f"insert into {db}.t values (2)"
    spoil = ["set @a = 5, names latin1", "use test", "set autocommit = 1", "begin", table]
    if how == "threads":
        with Pool(url, **options) as pool:
            conn = pool.acquire()
            for statement in spoil:
                conn.execute(statement)
            del writes[:]
            conn.release()
            written = list(writes)
            with pool.connection() as conn:
                shown = conn.execute(SHOWN).fetchone()
            stats = pool.stats()
    else:

        async def main():
            async with TaskPool(url, **options) as pool:
                conn = await pool.acquire()
                for statement in spoil:
                    await conn.execute(statement)
                del writes[:]
                await conn.release()
                written = list(writes)
                async with pool.connection() as conn:
                    shown = await (await conn.execute(SHOWN)).fetchone()
                return written, shown, pool.stats()

        written, shown, stats = asyncio.run(main())
    assert len(written) == 1
    assert shown == (1, db, 0, "utf8mb4", 0)
    assert stats.connected == 1
