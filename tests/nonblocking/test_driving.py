"""The live and scripted tests' third way of waiting is what it says."""

from __future__ import annotations

import pytest

from pymy.cursors import SSCursor
from pymy.dialling import Blocking
from pymy.transport import SocketTransport


@pytest.fixture
def never_blocking(monkeypatch):
    """Fail where a call takes the way of blocking code."""

    def blocked(*args, **options):
        raise AssertionError("it blocks")

    for name in ("run", "drive", "_receive", "_send", "_start_tls"):
        monkeypatch.setattr(SocketTransport, name, blocked)
    for name in ("connect", "resolve", "join", "drive", "run"):
        monkeypatch.setattr(Blocking, name, blocked)


@pytest.fixture
def transport(facades):
    return facades("nonblocking")


def test_no_call_blocks(connect, url, never_blocking):
    conn = connect(url)
    conn.query("create table t (a int)")
    with conn.transaction(), conn.cursor() as cursor:
        cursor.executemany("insert into t values (%s)", [(1,), (2,), (3,)])
        with conn.transaction():
            conn.execute("update t set a = a + 10")
    assert list(conn.stream("select a from t order by a")) == [(11,), (12,), (13,)]
    with conn.cursor(SSCursor) as cursor:
        cursor.execute("select a from t order by a")
        assert [cursor.fetchone(), *cursor] == [(11,), (12,), (13,)]
    for _ in conn.stream("select repeat('x', 1000000) from t"):
        break
    conn.reset()
    conn.ping(True)
    conn.close()
    conn.connect()
    conn.close()


def test_what_blocks_is_noticed(dsn, facades, never_blocking):
    with pytest.raises(AssertionError, match="it blocks"):
        facades("blocking").connect(dsn)
