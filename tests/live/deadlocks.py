"""A table, and a deadlock in it that a given connection loses."""

from __future__ import annotations

import threading
from typing import Any

import pymy
from pymy.constants import ER


def make_table(conn: pymy.Connection) -> None:
    conn.query("create table t (id int primary key, a int) engine=innodb")
    conn.query("insert into t values (1, 0), (2, 0)")
    conn.commit()


def values(conn: pymy.Connection) -> list[Any]:
    return [row[0] for row in conn.execute("select a from t where id < 10 order by id")]


def lose_a_deadlock(conn: pymy.Connection, heavy: pymy.Connection) -> None:
    """Let the transaction of ``conn`` be rolled back; ``heavy`` sets both rows to 2.

    InnoDB takes the transaction that changed less, whichever of them came last.
    """
    heavy.cursor().executemany("insert into t values (%s, 0)", [(n,) for n in range(10, 99)])
    heavy.query("update t set a = 2 where id = 2")

    def cross() -> None:
        heavy.query("update t set a = 2 where id = 1")
        heavy.query("delete from t where id >= 10")
        heavy.commit()

    conn.query("update t set a = 1 where id = 1")
    thread = threading.Thread(target=cross)
    thread.start()
    try:
        conn.query("update t set a = 1 where id = 2")
    except pymy.Error as error:
        if error.errno == ER.LOCK_DEADLOCK:
            raise
        raise AssertionError("another error than a deadlock") from error
    else:
        raise AssertionError("no deadlock")
    finally:
        thread.join()
