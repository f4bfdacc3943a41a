"""Which statements a pool runs again: deadlocks and lock waits, and nothing else."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

import pymy
from pymy.aio import Pool as TaskPool


@pytest.fixture
def rows(direct):
    """Two rows, and the values in them."""
    direct.execute("create table t (id int primary key, a int) engine=innodb")
    direct.execute("insert into t values (1, 0), (2, 0)")
    return lambda: [a for (a,) in direct.execute("select a from t where id < 10 order by id")]


@pytest.fixture
def heavy(dsn, rows):
    """A transaction that holds row 2, and has changed so much that it loses no deadlock."""
    with pymy.connect(dsn) as conn:
        conn.cursor().executemany("insert into t values (%s, 0)", [(n,) for n in range(10, 99)])
        conn.execute("update t set a = 2 where id = 2")
        yield conn


@pytest.fixture
def waits(direct, eventually):
    """Wait until one transaction waits for another's lock."""
    waiting = "show global status like 'innodb_row_lock_current_waits'"

    def wait():
        eventually(lambda: direct.execute(waiting).fetchone()[1] == "1")

    return wait


BOTH_ROWS = "update t set a = a + 1 where id in (1, 2)"


def lose_a_deadlock(execute, heavy, waits):
    """Have ``execute()`` hold row 1 and wait for row 2 while ``heavy`` does the opposite."""
    with ThreadPoolExecutor(1) as threads:
        losing = threads.submit(execute)
        waits()
        heavy.execute("update t set a = 2 where id = 1")
        heavy.execute("delete from t where id >= 10")
        heavy.commit()
        return losing.result(60)


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("settings", [{"retry_queries": 1}, {}])
def test_b14_a_deadlock(pool_of, heavy, waits, rows, autocommit, settings):
    pool = pool_of(autocommit=autocommit, **settings)
    call = {} if settings else {"retries": 1}
    cursor = lose_a_deadlock(lambda: pool.execute(BOTH_ROWS, **call), heavy, waits)
    assert cursor.rowcount == 2
    assert rows() == [3, 3]
    assert pool.stats().acquired == 2


def test_b14_a_deadlock_of_tasks(dsn, heavy, waits, rows):
    async def main():
        async with TaskPool(dsn) as pool:
            await pool.execute(BOTH_ROWS, retries=1)
            return pool.stats().acquired

    assert lose_a_deadlock(lambda: asyncio.run(main()), heavy, waits) == 2
    assert rows() == [3, 3]


@pytest.mark.parametrize("call", [{}, {"retries": 0}])
def test_a_deadlock_without_retries(pool_of, heavy, waits, rows, call):
    pool = pool_of(retry_queries=len(call))
    with pytest.raises(pymy.OperationalError) as caught:
        lose_a_deadlock(lambda: pool.execute(BOTH_ROWS, **call), heavy, waits)
    assert (caught.value.errno, caught.value.retry) == (1213, pymy.err.Retry.TRANSACTION)
    assert rows() == [2, 2]
    assert pool.stats().acquired == 1


def test_a_deadlock_within_a_transaction(pool_of, heavy, waits, rows):
    """The pool does not know the rest of the block, so it repeats nothing of it."""
    pool = pool_of(retry_queries=5)

    def block():
        with pool.transaction() as conn:
            conn.execute(BOTH_ROWS)

    with pytest.raises(pymy.OperationalError) as caught:
        lose_a_deadlock(block, heavy, waits)
    assert caught.value.errno == 1213
    assert rows() == [2, 2]
    assert pool.stats().acquired == 1


def test_b15_a_lock_wait(pool_of, heavy, rows, eventually):
    pool = pool_of(session_variables={"innodb_lock_wait_timeout": 1})
    with ThreadPoolExecutor(1) as threads:
        with pytest.raises(pymy.OperationalError) as caught:
            pool.execute(BOTH_ROWS)
        assert (caught.value.errno, caught.value.retry) == (1205, pymy.err.Retry.QUERY)
        waiting = threads.submit(pool.execute, BOTH_ROWS, retries=100)
        eventually(lambda: pool.stats().acquired >= 3)
        heavy.commit()
        waiting.result(60)
    assert rows() == [1, 3]


@pytest.mark.parametrize(
    ("statement", "errno"),
    [
        ("insert into t values (1, 1)", {1062}),
        ("select nothing of this", {1054, 1064}),
        ("select * from nowhere", {1146}),
        ("kill query connection_id()", {1317}),
        ("kill connection_id()", {1317, 1927, 2013, 3169}),
        ("signal sqlstate '45000' set mysql_errno = 5000", {5000}),
        ("signal sqlstate '40001' set mysql_errno = 5000", {5000}),
    ],
)
def test_nothing_else_is_run_again(pool_of, rows, statement, errno):
    pool = pool_of(retry_queries=5, autocommit=True)
    with pytest.raises(pymy.Error) as caught:
        pool.execute(statement)
    assert caught.value.errno in errno
    assert pool.stats().acquired == 1


def test_a_statement_that_took_too_long_is_not_run_again(pool_of):
    pool = pool_of(retry_queries=5)
    with pytest.raises(pymy.OperationalError, match="timeout="):
        pool.execute("select sleep(30)", timeout=0.1)
    assert pool.stats().acquired == 1


def test_a_later_deadlock_of_several_statements_is_not_run_again(pool_of, rows):
    """With autocommit what came before it is done already."""
    pool = pool_of(retry_queries=5, autocommit=True, multi_statements=True)
    with pytest.raises(pymy.OperationalError) as caught:
        pool.execute("insert into t values (3, 3); signal sqlstate '40001' set mysql_errno = 1213")
    assert caught.value.errno == 1213
    assert rows() == [0, 0, 3]
    assert pool.stats().acquired == 1


@pytest.mark.parametrize("bad", [-1, "2", True, 1.5])
def test_numbers_of_retries(pool_of, bad):
    error = pymy.ProgrammingError if bad == -1 else TypeError
    with pytest.raises(error, match="retry_queries is"):
        pool_of(retry_queries=bad)
    with pytest.raises(error, match="retries is"):
        pool_of().execute("select 1", retries=bad)


@pytest.fixture
def stumbling(pool_of):
    """A pool whose procedure p fails with a number, so many times."""

    def make(errno, times, **settings):
        pool = pool_of(autocommit=True, **settings)
        pool.execute("create table runs (n int) engine=myisam")
        pool.execute("create table t (n int) engine=innodb")
        pool.execute(
            "create procedure p() begin insert into runs values (1); insert into t values (1); "
            f"if (select count(*) from runs) <= {times} then "
            f"signal sqlstate '40001' set mysql_errno = {errno}; end if; end"
        )
        return pool

    return make


@pytest.mark.parametrize(
    ("errno", "retries", "runs"), [(1213, 2, 3), (1213, 0, 1), (1205, 2, 3), (1146, 2, 1)]
)
def test_retry_queries(stumbling, errno, retries, runs):
    pool = stumbling(errno, 2, retry_queries=retries)
    if runs == 3:
        pool.execute("call p()")
    else:
        with pytest.raises(pymy.Error) as caught:
            pool.execute("call p()")
        assert caught.value.errno == errno
    assert pool.execute("select count(*) from runs").fetchone() == (runs,)


def test_unsent_statement_is_sent_on_another_connection(pool_of):
    cut = []

    def hook(conn):
        if not cut:
            cut.append(conn.thread_id())
            conn._sock.shutdown(socket.SHUT_RDWR)

    pool = pool_of(on_acquire=hook)
    (thread,) = pool.execute("select connection_id()").fetchone()
    assert cut
    assert thread not in cut


def test_sent_statement_is_not_sent_again(pool_of):
    pool = pool_of(autocommit=True, retry_queries=5)
    with pytest.raises(pymy.OperationalError) as caught:
        pool.execute("kill connection_id()")
    assert caught.value.sent
    assert pool.stats().connected == 1
