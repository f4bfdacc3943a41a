"""Blocks of transaction(): what they do when the server, or the program, ends them early."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

import pytest
from deadlocks import lose_a_deadlock, make_table, values

import pymy
from pymy import Retry
from pymy.constants import ER


@pytest.fixture(params=[False, True], ids=["autocommit=0", "autocommit=1"])
def table(request, connect):
    conn = connect(autocommit=request.param)
    make_table(conn)
    return conn


@pytest.fixture
def other(connect, table):
    return connect(autocommit=True)


def again():
    return pytest.raises(pymy.OperationalError, match="run the whole block again")


def add(conn, number):
    conn.execute("insert into t values (%s, %s)", (number, number))


# -- rolled back by the server


@pytest.mark.parametrize("inner_fails", [True, False])
def test_a_deadlock_caught_by_the_outer_block(connect, table, other, inner_fails):
    with again() as caught, table.transaction():
        add(table, 3)
        with suppress(pymy.OperationalError), table.transaction():
            if inner_fails:
                lose_a_deadlock(table, connect())
            with suppress(pymy.OperationalError):
                lose_a_deadlock(table, connect())
        add(table, 4)
    assert caught.value.errno == ER.LOCK_DEADLOCK
    assert caught.value.retry is Retry.TRANSACTION
    assert not caught.value.fatal
    assert values(other) == [2, 2]
    assert not table.in_transaction
    with table.transaction():
        add(table, 5)
    assert values(other) == [2, 2, 5]


def test_a_deadlock_caught_in_the_only_block(connect, table, other):
    with again(), table.transaction():
        add(table, 3)
        with suppress(pymy.OperationalError):
            lose_a_deadlock(table, connect())
    assert values(other) == [2, 2]


def test_no_block_begins_in_what_was_rolled_back(connect, table, other):
    with pytest.raises(pymy.OperationalError) as caught, table.transaction():
        add(table, 3)
        with suppress(pymy.OperationalError):
            lose_a_deadlock(table, connect())
        with table.transaction():
            pytest.fail("must not enter")
    assert caught.value.retry is Retry.TRANSACTION
    assert values(other) == [2, 2]
    assert not table.in_transaction


def test_another_exception_after_a_deadlock(connect, table, other):
    with pytest.raises(LookupError), table.transaction():
        with suppress(pymy.OperationalError), table.transaction():
            lose_a_deadlock(table, connect())
        add(table, 4)
        raise LookupError
    assert values(other) == [2, 2]
    assert not table.in_transaction


def test_a_deadlock_in_a_block_after_begin(connect, table, other):
    table.begin()
    add(table, 3)
    with again() as caught, table.transaction(), suppress(pymy.OperationalError):
        lose_a_deadlock(table, connect())
    assert caught.value.retry is Retry.TRANSACTION
    table.commit()
    assert values(other) == [2, 2]


def test_a_deadlock_before_a_block(connect, table, other):
    table.begin()
    with pytest.raises(pymy.OperationalError):
        lose_a_deadlock(table, connect())
    with table.transaction():
        add(table, 3)
    assert values(other) == [2, 2, 3]


def test_a_changed_table_rolls_nothing_back(table, other):
    with table.transaction(consistent_snapshot=True, isolation="repeatable read"):
        other.query("create table wide (id int primary key) engine=innodb")
        other.query("alter table t add column b int, algorithm=copy")
        with pytest.raises(pymy.Error) as caught:
            values(table)
        assert caught.value.errno == ER.TABLE_DEF_CHANGED
        assert table.in_transaction
        table.query("insert into wide values (1)")
    assert other.execute("select id from wide").fetchall() == ((1,),)


def test_a_lock_wait_timeout_rolls_the_statement_back(table, other):
    other.begin()
    other.query("update t set a = 7 where id = 1")
    table.query("set innodb_lock_wait_timeout = 1")
    with table.transaction():
        add(table, 3)
        with suppress(pymy.OperationalError), table.transaction():
            table.query("update t set a = 8 where id = 1")
        assert table.in_transaction
    other.commit()
    assert values(other) == [7, 0, 3]


def test_a_change_since_the_snapshot_rolls_back(table, other, kind):
    if kind not in ("mariadb", "mariadb11"):
        pytest.skip(f"{kind} has no innodb_snapshot_isolation")
    table.query("set innodb_snapshot_isolation = 1")
    with again(), table.transaction(isolation="repeatable read"):
        add(table, 3)
        values(table)
        other.query("update t set a = 9 where id = 1")
        with suppress(pymy.Error), table.transaction():
            table.query("update t set a = 8 where id = 1")
    assert values(other) == [9, 0]


def test_a_deadlock_that_rolls_nothing_back(connect, table, other, kind, eventually):
    # MariaDB has the same number for a deadlock over GET_LOCK(): the transaction goes on
    if kind not in ("mariadb", "mariadb11"):
        pytest.skip(f"{kind} has another number for a deadlock over GET_LOCK()")
    rival = connect()
    locks = f"mine{table.thread_id()}", f"theirs{table.thread_id()}"
    waits = "select 1 from information_schema.processlist where id = %s and state = 'User lock'"
    table.begin()
    add(table, 3)
    table.execute("select get_lock(%s, 0)", locks[:1])
    rival.execute("select get_lock(%s, 0)", locks[1:])
    thread = Thread(target=rival.execute, args=("select get_lock(%s, 30)", locks[:1]))
    thread.start()
    eventually(lambda: other.execute(waits, (rival.thread_id(),)).fetchone())
    with pytest.raises(pymy.OperationalError) as caught:
        table.execute("select get_lock(%s, 30)", locks[1:])
    assert caught.value.errno == ER.LOCK_DEADLOCK
    # entering would commit what is still open
    with pytest.raises(pymy.ProgrammingError, match="open already"), table.transaction():
        pytest.fail("must not enter")
    assert table.in_transaction
    table.rollback()
    table.execute("select release_lock(%s)", locks[:1])
    thread.join()
    assert values(other) == [0, 0]


# -- misused


@pytest.mark.parametrize(
    "call",
    [
        lambda conn: conn.begin(),
        lambda conn: conn.commit(),
        lambda conn: conn.rollback(),
        lambda conn: conn.autocommit(True),
        lambda conn: conn.autocommit(False),
        lambda conn: conn.tpc_begin(conn.xid(1, "x", "")),
        lambda conn: conn.tpc_prepare(),
        lambda conn: conn.tpc_commit(),
        lambda conn: conn.tpc_rollback(),
        lambda conn: conn.tpc_commit(conn.xid(1, "x", "")),
        lambda conn: conn.tpc_rollback(conn.xid(1, "x", "")),
    ],
)
def test_the_block_alone_ends_its_transaction(table, other, call):
    with table.transaction():
        add(table, 3)
        with pytest.raises(pymy.ProgrammingError, match=r"within transaction\(\)") as caught:
            call(table)
        assert not caught.value.sent
        assert values(other) == [0, 0]
        add(table, 4)
    assert values(other) == [0, 0, 3, 4]
    table.commit()


def test_a_block_entered_twice(table, other):
    block = table.transaction()
    with block:
        add(table, 3)
        with pytest.raises(pymy.ProgrammingError, match="entered already"), block:
            pytest.fail("must not enter")
        add(table, 4)
    assert values(other) == [0, 0, 3, 4]
    with block:
        add(table, 5)
    assert values(other) == [0, 0, 3, 4, 5]


@pytest.mark.parametrize("failure", [None, LookupError])
def test_blocks_left_in_the_wrong_order(table, other, failure):
    outer, inner = table.transaction(), table.transaction()
    outer.__enter__()
    add(table, 3)
    inner.__enter__()
    add(table, 4)
    if failure is None:
        with pytest.raises(pymy.ProgrammingError, match="leave the inner one first"):
            outer.__exit__(None, None, None)
        with pytest.raises(pymy.ProgrammingError, match="ended before the block did"):
            inner.__exit__(None, None, None)
    else:
        outer.__exit__(failure, failure(), None)
        inner.__exit__(failure, failure(), None)
    assert not table.in_transaction
    assert values(other) == [0, 0]
    add(table, 5)
    table.commit()
    assert values(other) == [0, 0, 5]


def anew_by_reset(conn):
    conn.reset()


def anew_by_change_user(conn):
    conn.change_user()


def anew_by_ping(conn):
    conn.abort()
    conn.ping(reconnect=True)


@pytest.mark.parametrize("anew", [anew_by_reset, anew_by_change_user, anew_by_ping])
@pytest.mark.parametrize("failure", [None, LookupError])
def test_a_session_that_begins_anew_within_a_block(table, other, anew, failure):
    expected = pytest.raises(failure or pymy.ProgrammingError)
    with expected, table.transaction():
        add(table, 3)
        with suppress(pymy.ProgrammingError, LookupError), table.transaction():
            anew(table)
            if failure is not None:
                raise failure
        table.begin()
        add(table, 4)
        if failure is not None:
            raise failure
    # what was begun since is not the block's
    assert table.in_transaction
    assert values(other) == [0, 0]
    table.commit()
    assert values(other) == [0, 0, 4]


@pytest.mark.parametrize("end", ["commit", "rollback", "create table u (id int)"])
def test_begin_counts_no_longer_than_its_transaction(connect, other, end):
    conn = connect(autocommit=False)
    conn.begin()
    conn.execute(end)
    add(conn, 3)
    refused = pytest.raises(pymy.ProgrammingError, match="an earlier statement began it")
    with refused, conn.transaction():
        pytest.fail("must not enter")
    conn.rollback()
    assert values(other) == [0, 0]


@pytest.mark.parametrize("anew", [anew_by_ping, lambda conn: (conn.close(), conn.connect())])
def test_autocommit_is_remembered(connect, anew):
    for given in (None, False, True):
        conn = connect(autocommit=given)
        for value in (True, False):
            conn.autocommit(value)
            anew(conn)
            assert conn.get_autocommit() is value
            assert conn.execute("select @@autocommit").fetchone() == (int(value),)
