"""Unbuffered cursors: flat memory, and what happens to rows nobody reads."""

from __future__ import annotations

import pytest

import pymy
from pymy.constants import ER
from pymy.cursors import DictCursor, SSCursor, SSDictCursor

HUGE = "select a.n, repeat('x', 1000) from d a, d b, d c, d e, d f, d g"  # a gigabyte
LARGE = "select repeat('x', 1000) from d a, d b, d c"  # more than one read


@pytest.fixture
def digits(connect):
    conn = connect(autocommit=True)
    conn.query("create table d (n int)")
    conn.cursor().executemany("insert into d values (%s)", [(n,) for n in range(10)])
    return conn


def test_fetch(digits):
    cursor = digits.cursor(SSCursor)
    assert cursor.execute("select n from d order by n") == -1
    assert cursor.fetchone() == (0,)
    assert cursor.read_next() == (1,)
    assert cursor.fetchmany(3) == [(2,), (3,), (4,)]
    assert cursor.fetchmany() == [(5,)]
    cursor.scroll(1)
    cursor.scroll(8, mode="absolute")
    assert cursor.rownumber == 8
    assert list(cursor.fetchall_unbuffered()) == [(8,), (9,)]
    assert cursor.fetchone() is None
    assert list(cursor.fetchmany(2)) == list(cursor.fetchall()) == []
    cursor.close()


def test_fetchall(digits):
    with digits.cursor(SSCursor) as cursor:
        cursor.execute("select n from d order by n")
        assert cursor.fetchall() == [(n,) for n in range(10)]


def test_dicts(digits):
    with digits.cursor(SSDictCursor) as cursor:
        cursor.execute("select n from d order by n")
        assert cursor.fetchone() == {"n": 0}
        assert next(cursor) == {"n": 1}


def test_scroll_back(digits):
    with digits.cursor(SSCursor) as cursor:
        cursor.execute("select n from d order by n")
        cursor.fetchmany(5)
        with pytest.raises(pymy.NotSupportedError):
            cursor.scroll(-1)
        with pytest.raises(pymy.NotSupportedError):
            cursor.scroll(2, mode="absolute")
        with pytest.raises(IndexError):
            cursor.scroll(99)
    assert digits.execute("select 1").fetchone() == (1,)


def test_nextset(connect):
    conn = connect(multi_statements=True)
    with conn.cursor(SSCursor) as cursor:
        cursor.execute("select 1 union select 2; select 3; select 4")
        assert cursor.fetchone() == (1,)
        assert cursor.nextset() is True
        assert cursor.fetchall() == [(3,)]
        assert cursor.nextset() is True
    assert conn.execute("select 5").fetchone() == (5,)


def test_close_early_with_little_left(digits, kills):
    thread = digits.thread_id()
    cursor = digits.cursor(SSCursor)
    cursor.execute("select a.n from d a, d b, d c")
    cursor.fetchone()
    cursor.close()
    assert digits.execute("select connection_id()").fetchone() == (thread,)
    assert kills() == 0


def test_close_early_kills_a_huge_result(digits, statement_of, kills):
    cursor = digits.cursor(SSCursor)
    cursor.execute(HUGE)
    cursor.fetchone()
    assert statement_of(digits) == HUGE
    cursor.close()
    assert kills() == 1
    assert statement_of(digits) != HUGE
    assert digits.execute("select 'next'").fetchone() == ("next",)
    # the kill has not hit a later statement
    assert digits.execute("select sleep(0.05)").fetchone() == (0,)


def test_close_early_over_tls_and_compression(connect, digits, kills, tcp_dsn):
    conn = connect(tcp_dsn, compress="zlib")
    cursor = conn.cursor(SSCursor)
    cursor.execute(HUGE)
    cursor.fetchone()
    cursor.close()
    assert kills() == 1
    assert conn.execute("select 'next'").fetchone() == ("next",)


def test_leaving_a_stream_early(digits, kills):
    for number, _row in enumerate(digits.stream(HUGE)):
        if number == 100:
            break
    del _row
    assert digits.execute("select 'next'").fetchone() == ("next",)
    assert kills() == 1


def test_kill_when_no_second_connection_can_be_had(digits, connect, server, kind, account):
    # what cannot be stopped is not read to its end, which may take hours
    user = account("BY 'x'")
    conn = connect(user=user, password="x")
    cursor = conn.cursor(SSCursor)
    cursor.execute("select repeat('x', 1000) from d a, d b, d c, d e")
    cursor.fetchone()
    with pymy.connect(server.dsn) as admin:
        admin.query(
            f"set password for {user}@'%' = password('changed')"
            if kind == "mysql56"
            else f"alter user {user}@'%' account lock"
        )
    with pytest.raises(pymy.OperationalError, match="could not be stopped"):
        cursor.close()
    assert not conn.open


def test_next_command_drops_the_rows_with_a_warning(digits):
    cursor = digits.cursor(SSCursor)
    cursor.execute(LARGE)
    cursor.fetchone()
    with pytest.warns(pymy.Warning, match="not read to its end"):
        digits.execute("select 1")
    with pytest.raises(pymy.InterfaceError, match="dropped by a later command"):
        cursor.fetchall()
    cursor.close()
    assert digits.execute("select 2").fetchone() == (2,)


def test_own_rows_are_dropped_without_a_warning(digits):
    with digits.cursor(SSCursor) as cursor:
        cursor.execute("select n from d")
        cursor.fetchone()
        cursor.execute("select 'second'")
        assert cursor.fetchone() == ("second",)


def test_commit_in_the_middle_drops_the_rows(digits):
    cursor = digits.cursor(SSCursor)
    cursor.execute(LARGE)
    cursor.fetchone()
    digits.commit()
    with pytest.raises(pymy.InterfaceError):
        cursor.fetchall()


def test_error_in_the_middle_of_a_result(digits):
    with digits.cursor(SSCursor) as cursor:
        with pytest.raises(pymy.Error) as caught:
            cursor.execute(
                "select n, (select n from d where n > 8 - if(o.n > 5, 5, 0)) from d o order by null"
            )
            cursor.fetchall()
        assert caught.value.errno == ER.SUBQUERY_NO_1_ROW
    assert digits.execute("select 1").fetchone() == (1,)


def test_converter_error_in_the_middle(connect):
    conn = connect(zero_dates="raise", sql_mode="")
    conn.query("create table t (d date)")
    conn.query("insert into t values ('2024-01-01'), ('0000-00-00'), ('2024-01-02')")
    with conn.cursor(SSCursor) as cursor:
        cursor.execute("select d from t")
        with pytest.raises(pymy.DataError):
            cursor.fetchall()
    assert conn.execute("select 1").fetchone() == (1,)


def test_memory_is_flat(digits):
    largest = 0
    with digits.cursor(SSCursor) as cursor:
        cursor.execute("select repeat('x', 1000) from d a, d b, d c, d e, d f")
        for _row in cursor:
            largest = max(largest, len(cursor._rows))
    assert cursor.rownumber == 100_000
    assert largest < 5_000


def test_stream_of_parameters(digits):
    assert list(digits.stream("select n from d where n in %s order by n", ([3, 5],))) == [
        (3,),
        (5,),
    ]


def test_unbuffered_query_of_the_connection(digits):
    digits.query("select n from d", unbuffered=True)
    with pytest.warns(pymy.Warning):
        digits.query("select 1")


def test_buffered_cursors_are_not_touched(digits):
    buffered = digits.cursor(DictCursor)
    buffered.execute("select n from d order by n")
    with digits.cursor(SSCursor) as cursor:
        cursor.execute("select n from d")
        cursor.fetchone()
    assert buffered.fetchone() == {"n": 0}


def test_connection_closed_in_the_middle(digits):
    cursor = digits.cursor(SSCursor)
    cursor.execute(HUGE)
    cursor.fetchone()
    digits.close()
    with pytest.raises(pymy.Error):
        cursor.fetchall()
    cursor.close()


def test_connection_killed_in_the_middle(digits, connect):
    with digits.cursor(SSCursor) as cursor:
        cursor.execute(HUGE)
        cursor.fetchone()
        connect().kill(digits.thread_id())
        with pytest.raises(pymy.Error) as caught:
            for _ in cursor:
                pass
        assert caught.value.fatal
    assert not digits.open


def test_close_early_with_more_statements_behind(connect, digits, kills):
    conn = connect(multi_statements=True)
    with conn.cursor(SSCursor) as cursor:
        cursor.execute(f"select 1; {HUGE}; select 3")
        assert cursor.nextset()
        cursor.fetchone()
    assert kills() == 1
    assert conn.execute("select 'next'").fetchone() == ("next",)


def test_close_early_within_a_procedure(digits, kills):
    digits.query(f"create procedure p() begin select 1; {HUGE}; select 2; end")
    with digits.cursor(SSCursor) as cursor:
        cursor.callproc("p")
        assert cursor.fetchall() == [(1,)]
        assert cursor.nextset()
        cursor.fetchone()
    assert kills() == 1
    assert digits.execute("select 'next'").fetchone() == ("next",)


def test_close_early_after_change_user(digits, account, kills, db):
    user = account("BY 'secret'")
    digits.change_user(user, "secret", db)
    cursor = digits.cursor(SSCursor)
    cursor.execute(HUGE)
    cursor.fetchone()
    cursor.close()
    assert kills() == 1
    assert digits.execute("select 'next'").fetchone() == ("next",)


def test_reset_in_the_middle(digits):
    cursor = digits.cursor(SSCursor)
    cursor.execute(LARGE)
    cursor.fetchone()
    digits.reset()
    assert digits.execute("select 'next'").fetchone() == ("next",)
    with pytest.raises(pymy.InterfaceError):
        cursor.fetchall()


def test_closing_a_buffered_cursor_drops_what_follows(connect):
    conn = connect(multi_statements=True)
    with conn.cursor() as cursor:
        cursor.execute("select 1; select 2; select 3")
    assert conn.execute("select 4").fetchone() == (4,)


def test_cursor_of_an_older_result_leaves_a_newer_one_alone(digits):
    first, second = digits.cursor(SSCursor), digits.cursor(SSCursor)
    first.execute("select 1")
    first.fetchall()
    second.execute(LARGE)
    second.fetchone()
    first.close()
    assert len(second.fetchall()) == 999
