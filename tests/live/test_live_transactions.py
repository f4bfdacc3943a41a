"""Transactions and what ends them."""

from __future__ import annotations

import threading

import pytest

import pymy
from pymy import Retry
from pymy.constants import ER


@pytest.fixture
def table(connect):
    conn = connect()
    conn.query("create table t (id int primary key, a int) engine=innodb")
    conn.query("insert into t values (1, 0), (2, 0)")
    conn.commit()
    return conn


@pytest.fixture
def other(connect, table):
    return connect(autocommit=True, session_variables={"innodb_lock_wait_timeout": 1})


def values(conn):
    return [row[0] for row in conn.execute("select a from t order by id")]


def test_commit_and_rollback(table, other):
    table.query("update t set a = 1 where id = 1")
    assert table.in_transaction
    assert values(other) == [0, 0]
    table.commit()
    assert not table.in_transaction
    assert values(other) == [1, 0]
    table.query("update t set a = 2")
    table.rollback()
    assert values(other) == [1, 0]
    table.commit()
    table.rollback()


def test_begin_in_autocommit(table, other):
    other.begin()
    other.query("update t set a = 9")
    assert other.in_transaction
    other.rollback()
    assert values(table) == [0, 0]


def test_close_rolls_back(connect, table, other):
    table.query("update t set a = 1")
    table.close()
    other.query("update t set a = a + 5")  # no lock is left
    assert values(other) == [5, 5]


def test_context(table, other):
    with table.transaction():
        table.query("update t set a = 1")
    assert values(other) == [1, 1]
    with pytest.raises(LookupError), table.transaction():
        table.query("update t set a = 2")
        raise LookupError
    assert not table.in_transaction
    assert values(other) == [1, 1]


def test_context_in_autocommit(other, table):
    with other.transaction():
        other.query("update t set a = 1")
        assert values(table) == [0, 0]
    table.commit()
    assert values(table) == [1, 1]
    assert other.get_autocommit()


def test_nested(table, other):
    with table.transaction():
        table.query("update t set a = 1 where id = 1")
        with pytest.raises(LookupError), table.transaction():
            table.query("update t set a = 2")
            with table.transaction():
                table.query("update t set a = 3")
            assert values(table) == [3, 3]
            raise LookupError
        assert values(table) == [1, 0]
        with table.transaction():
            table.query("update t set a = 4 where id = 2")
    assert values(other) == [1, 4]


def test_nested_takes_no_traits(table):
    with (
        table.transaction(),
        pytest.raises(pymy.ProgrammingError, match="savepoint"),
        table.transaction(isolation="serializable"),
    ):
        pytest.fail("must not enter")
    assert not table.in_transaction


def test_within_a_transaction_of_its_own_begin(table, other):
    table.begin()
    table.query("update t set a = 1 where id = 1")
    with pytest.raises(LookupError), table.transaction():
        table.query("update t set a = 2")
        raise LookupError
    assert values(other) == [0, 0]
    table.commit()
    assert values(other) == [1, 0]


def test_not_within_an_implicit_transaction(table, other):
    # the block could only commit more than its own work, or nothing
    table.autocommit(False)
    table.query("update t set a = 1 where id = 1")
    refused = pytest.raises(pymy.ProgrammingError, match="an earlier statement began it")
    with refused, table.transaction():
        pytest.fail("must not enter")
    assert values(other) == [0, 0]
    table.rollback()
    with table.transaction():
        table.query("update t set a = 2 where id = 1")
    assert values(other) == [2, 0]


def test_read_only(table):
    with pytest.raises(pymy.Error) as caught, table.transaction(read_only=True):
        assert values(table) == [0, 0]
        table.query("update t set a = 1")
    assert caught.value.errno == ER.CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
    with table.transaction(read_only=False):
        table.query("update t set a = 1")
    assert values(table) == [1, 1]


@pytest.mark.parametrize("level", ["read uncommitted", "READ-COMMITTED", "repeatable_read"])
def test_isolation(table, other, level):
    with other.transaction(isolation=level):
        assert values(other) == [0, 0]
        table.query("update t set a = 7")
        dirty = values(other)
        table.commit()
        later = values(other)
    assert dirty == ([7, 7] if level == "read uncommitted" else [0, 0])
    assert later == ([0, 0] if level == "repeatable_read" else [7, 7])


def test_unknown_isolation(table):
    with (
        pytest.raises(pymy.ProgrammingError, match="isolation"),
        table.transaction(isolation="snapshot; drop table t"),
    ):
        pytest.fail("must not enter")
    assert table.execute("select 1").fetchone() == (1,)


def test_consistent_snapshot(table, other):
    with table.transaction(consistent_snapshot=True, isolation="repeatable read"):
        other.query("update t set a = 7")
        assert values(table) == [0, 0]
    assert values(table) == [7, 7]


def test_lost_connection_in_the_context(table, server):
    with pytest.raises(pymy.OperationalError) as caught, table.transaction():
        with pymy.connect(server.dsn) as admin:
            admin.kill(table.thread_id())
        table.query("update t set a = 1")
    assert caught.value.fatal
    assert not table.open


def test_deadlock(connect, table):
    first, second = connect(), connect()
    first.query("update t set a = 1 where id = 1")
    second.query("update t set a = 2 where id = 2")
    errors = []

    def cross(conn, row):
        try:
            conn.query(f"update t set a = 3 where id = {row}")
            conn.commit()
        except pymy.Error as error:
            errors.append((error, conn))

    threads = [
        threading.Thread(target=cross, args=(first, 2)),
        threading.Thread(target=cross, args=(second, 1)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((error, loser),) = errors
    assert isinstance(error, pymy.OperationalError)
    assert (error.errno, error.code, error.sqlstate) == (
        ER.LOCK_DEADLOCK,
        "ER_LOCK_DEADLOCK",
        "40001",
    )
    assert error.retry is Retry.TRANSACTION
    assert not error.fatal
    assert not loser.in_transaction
    assert loser.execute("select 1").fetchone() == (1,)


def test_deadlock_within_nested_contexts(connect, table):
    # the server rolls all of it back, the savepoint too: the error must come out all the same
    light, heavy = connect(), connect()
    heavy.cursor().executemany("insert into t values (%s, 0)", [(n,) for n in range(10, 99)])
    heavy.query("update t set a = 2 where id = 2")

    def cross():
        heavy.query("update t set a = 2 where id = 1")
        heavy.commit()

    thread = threading.Thread(target=cross)
    with (
        pytest.raises(pymy.OperationalError) as caught,
        light.transaction(),
        light.transaction(),
    ):
        light.query("update t set a = 1 where id = 1")
        thread.start()
        light.query("update t set a = 1 where id = 2")
    thread.join()
    assert caught.value.errno == ER.LOCK_DEADLOCK
    with light.transaction():
        light.query("update t set a = 5 where id = 1")
    assert values(heavy)[:2] == [5, 2]


def test_lock_wait_timeout(table, other):
    table.query("update t set a = 1 where id = 1")
    with pytest.raises(pymy.OperationalError) as caught:
        other.query("update t set a = 2 where id = 1")
    assert caught.value.errno == ER.LOCK_WAIT_TIMEOUT
    assert caught.value.retry is Retry.QUERY
    assert not caught.value.fatal
