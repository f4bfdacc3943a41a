"""What tests of operations do again and again."""

from __future__ import annotations

from driving import drive

from pymy.cursors import SSCursor


def alive(conn):
    assert conn.execute("select 'alive'").fetchone() == ("alive",)
    assert drive(conn.start_execute("select 'alive'")).fetchone() == ("alive",)


def pauses(operation):
    count = 0

    def tick(operation):
        nonlocal count
        count += 1

    drive(operation, tick)
    return count


def stream(conn):
    cursor = conn.cursor(SSCursor)
    drive(cursor.start_execute("select repeat('x', 100000) from seq"))
    return cursor


def prepare(conn):
    conn.query("create table if not exists seq (a int)")
    conn.query("insert into seq values (1), (2), (3), (4), (5), (6), (7)")
    for _ in range(2):
        conn.query("insert into seq select s.a from seq s, seq t")
    conn.commit()
