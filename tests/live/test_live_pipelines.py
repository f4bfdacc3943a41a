"""Pipelines: many commands, few round trips."""

from __future__ import annotations

import io
import os
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from deadlocks import make_table, values

import pymy
from pymy import rows
from pymy.constants import CR, ER
from pymy.protocol import pipelining

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from relay import Relay


@pytest.fixture
def item(connect):
    conn = connect(autocommit=True)
    conn.query("create table item (id int auto_increment primary key, name varchar(200))")
    return conn


def names(conn):
    return [name for (name,) in conn.execute("select name from item order by id").fetchall()]


@pytest.fixture
def reads(monkeypatch):
    """How often a session turned from sending to reading: the round trips."""
    from pymy.protocol.session import Session

    turns = []
    left = Session.left

    def counting(self, count):
        turns.append(count)
        left(self, count)

    monkeypatch.setattr(Session, "left", counting)
    return turns


def test_results_in_order(item, reads):
    with item.pipeline() as p:
        pen = p.execute("insert into item (name) values (%s)", ("pen",))
        found = p.execute("select id, name from item")
        again = p.execute("insert into item (name) values ('ink'), (%(name)s)", {"name": "a\\'b"})
        gone = p.execute(b"update item set name = upper(name) where id > 1")
        assert not reads
        assert not pen.done
        with pytest.raises(pymy.InterfaceError, match="not sent") as caught:
            list(pen)
        assert not caught.value.sent
    assert len(reads) == 1
    assert p.results == [pen, found, again, gone]
    assert [each.index for each in p.results] == [0, 1, 2, 3]
    assert all(each.done and each.error is None for each in p.results)
    assert (pen.rowcount, pen.lastrowid, pen.rows, pen.columns) == (1, 1, (), ())
    assert (found.rows, list(found), found.rowcount) == (((1, "pen"),), [(1, "pen")], 1)
    assert [each.name for each in found.columns] == ["id", "name"]
    assert (again.rowcount, again.lastrowid, gone.rowcount) == (2, 2, 2)
    assert again.statement == "insert into item (name) values ('ink'), ('a\\\\''b')"
    assert names(item) == ["pen", "INK", "A\\'B"]
    assert p.errors == []


def test_an_error_stays_with_its_command(item):
    with item.pipeline(on_error="keep") as p:
        for number in (1, 2, 1, 3, 2, 4):
            p.execute("insert into item (id) values (%s)", (number,))
        p.execute("select nothing")
    assert [each.done for each in p.results] == [True] * 7
    assert [each.errno for each in p.errors] == [ER.DUP_ENTRY, ER.DUP_ENTRY, ER.BAD_FIELD_ERROR]
    assert [each.command_index for each in p.errors] == [2, 4, 6]
    assert all(each.sent and not each.fatal for each in p.errors)
    with pytest.raises(pymy.IntegrityError):
        p.results[2].result()
    with pytest.raises(pymy.IntegrityError):
        list(p.results[4])
    assert p.results[5].result().rowcount == 1
    assert item.execute("select count(*) from item").fetchone() == (4,)


def test_leaving_raises_the_first_error_when_all_has_run(item):
    with pytest.raises(pymy.IntegrityError) as caught, item.pipeline() as p:
        for number in (1, 1, 2):
            p.execute("insert into item (id) values (%s)", (number,))
        p.execute("nonsense")
    assert (caught.value.command_index, caught.value.sent) == (1, True)
    assert p.results[2].rowcount == 1
    assert isinstance(p.results[3].error, pymy.ProgrammingError)
    with pytest.raises(pymy.IntegrityError), item.pipeline() as p:
        p.execute("insert into item (id) values (1)")
        try:
            p.flush()
        finally:
            p.execute("insert into item (id) values (9)")
    assert not p.results[1].done
    assert item.execute("select count(*) from item where id = 9").fetchone() == (0,)


def test_flush_in_the_middle(item):
    with item.pipeline() as p:
        key = p.execute("insert into item (name) values ('pen')")
        p.flush()
        other = p.execute("insert into item (name) values (%s)", (key.lastrowid,))
        with pytest.raises(pymy.ProgrammingError) as caught:
            p.execute("nonsense")
            p.flush()
        assert caught.value.command_index == 2
        p.flush()
        last = p.execute("select count(*) from item")
    assert (other.lastrowid, last.rows) == (2, ((2,),))


def test_an_exception_drops_what_is_not_sent(item, reads):
    with pytest.raises(ZeroDivisionError), item.pipeline() as p:
        p.execute("insert into item (name) values ('pen')")
        raise ZeroDivisionError
    assert not reads
    assert names(item) == []
    assert not p.results[0].done
    with pytest.raises(pymy.InterfaceError, match="dropped and never sent") as caught:
        list(p.results[0])
    assert (caught.value.sent, caught.value.command_index) == (False, 0)
    with pytest.raises(pymy.InterfaceError, match="ended"):
        p.execute("select 1")
    reads.clear()
    with item.pipeline():
        pass
    assert not reads


def test_bad_parameters_are_told_at_once(item):
    with item.pipeline() as p:
        with pytest.raises(pymy.ProgrammingError):
            p.execute("select %s, %s", (1,))
        with pytest.raises(TypeError):
            p.execute("select %s", (object(),))
        for bad in ((io.BytesIO(b"x"),), {"a": iter([b"x"])}):
            with pytest.raises(TypeError, match=r"cursor\.execute"):
                p.execute("select %s" if type(bad) is tuple else "select %(a)s", bad)
        values = [1]
        one = p.execute("select %s", values)
        values[0] = 2
    assert one.rows == ((1,),)
    assert len(p.results) == 1
    with pytest.raises(pymy.ProgrammingError, match="on_error"):
        item.pipeline(on_error="ignore")


def test_what_rows_are(connect):
    conn = connect(cursorclass=pymy.cursors.DictCursor)
    with conn.pipeline() as p:
        dicts = p.execute("select 1 as a")
        plain = p.execute("select 1 as a", row_factory=rows.tuple_row)
        broken = p.execute("select 1 as a", row_factory=lambda columns: lambda row: 1 / 0)
        after = p.execute("select 2 as b")
    assert (dicts.rows, plain.rows, after.rows) == ([{"a": 1}], [(1,)], [{"b": 2}])
    with pytest.raises(ZeroDivisionError):
        list(broken)


def test_several_results(connect):
    conn = connect(multi_statements=True)
    conn.query("create procedure p() begin select 1; select 2, 3; end")
    with conn.pipeline(on_error="keep") as p:
        call = p.execute("call p()")
        text = p.execute("select 4; select 5")
        half = p.execute("select 6; select nothing; select 7")
        last = p.execute("select 8")
    assert [call.rows, *(each.rows for each in call.more)] == [((1,),), ((2, 3),), ()]
    assert [text.rows, *(each.rows for each in text.more)] == [((4,),), ((5,),)]
    assert text.more is text.more
    assert text.more[0].rows is text.more[0].rows
    assert (call.out_params, last.out_params) == (None, None)
    assert (half.error.errno, last.rows, last.more) == (ER.BAD_FIELD_ERROR, ((8,),), ())


def test_prepared_statements(item, connect, reads):
    insert = item.prepare("insert into item (name) values (?)")
    find = item.prepare("select id + 0.5, name from item where id >= ?", row_factory=rows.dict_row)
    reads.clear()
    with item.pipeline() as p:
        for name in ("pen", "ink", None):
            p.execute(insert, (name,))
        found = p.execute(find, (2,))
        text = p.execute("select 1")
    assert len(reads) == 1
    assert [row["name"] for row in found.rows] == ["ink", None]
    assert text.rows == ((1,),)
    with item.pipeline() as p:
        other = p.execute(find, ("3",))  # on MySQL another type: prepared again
        blob = p.execute(insert, (io.BytesIO(b"x" * 100),))
        with pytest.raises(pymy.ProgrammingError):
            p.execute(insert, ())
        with pytest.raises(pymy.ProgrammingError, match="another connection"):
            p.execute(connect().prepare("select 1"))
    assert len(other.rows) == 1
    assert names(item)[3] == "x" * 100
    assert blob.rowcount == 1
    item.reset()
    item.autocommit(True)
    with item.pipeline(on_error="keep") as p:
        p.execute(insert, ("again",))
        with item.prepare("select 2") as short:
            lost = p.execute(short)
    assert names(item)[-1] == "again"
    assert isinstance(lost.error, pymy.InterfaceError)


@pytest.mark.parametrize("option", [True, False])
def test_out_parameters(connect, option):
    conn = connect(autocommit=True, pipelining=option)
    conn.query(
        "create procedure p(inout a int, out b varchar(9)) begin "
        "select 7; select 8; set a = a + 1, b = 'h\u00e9'; end"
    )
    conn.query("create procedure q(out b varchar(9)) begin set b = 'h\u00e9'; end")
    with conn.prepare("call p(?, ?)") as p_, conn.prepare("call q(?)") as q, conn.pipeline() as p:
        both = p.execute(p_, (1, None))
        bare = p.execute(q, (None,))
        p.execute(p_, (2, None))
    assert both.out_params == (2, "h\u00e9")
    assert [both.rows, *(each.rows for each in both.more)] == [((7,),), ((8,),), ()]
    assert both.more[-1].out_params == (2, "h\u00e9")
    assert (bare.out_params, bare.rows, bare.description, bare.more) == (("h\u00e9",), (), None, ())
    assert p.results[2].out_params == (3, "h\u00e9")


def test_literals_follow_the_sql_mode(connect):
    conn = connect()
    value = "\\' or 1 = 1 -- "
    with conn.pipeline() as p:
        before = p.execute("select %s", (value,))
        p.execute("set sql_mode = 'no_backslash_escapes'")
        behind = p.execute("select %s, 'a\\\\b'", (value,))
        p.execute("/*!40000 set sql_mode = '' */")
        last = p.execute("select %s", (value,))
        p.execute("set @a = 1")
        plain = p.execute("select @a")
    assert [each.rows for each in (before, behind, last)] == [
        ((value,),), ((value, "a\\\\b"),), ((value,),),
    ]  # fmt: skip
    assert plain.rows == ((1,),)


SETS = {
    "set sql_mode = ''": True,
    " -- x\n/* y */ SET names latin1": True,
    "/*!40000 set names latin1 */": True,
    "/*M! use x */": True,
    "execute immediate 'set sql_mode = 1'": True,
    "begin not atomic set sql_mode = ''; end": True,
    "use other": True,
    "update t set a = 1": False,
    "/* set */ update t set a = ';'": False,
    "insert into t set a = 1": False,
    "(select 'set')": False,
    "call p('set')": False,
    "commit": False,
    "create table offset (a int)": False,
}


def test_what_may_load():
    for sql in (
        b"load data local infile 'x' into table t",
        b"LOAD DATA /*!50000LOCAL*/ INFILE 'x'",
    ):
        assert pipelining.may_load(sql)
    assert not pipelining.may_load(b"select locale from t")


@pytest.mark.parametrize("sql", SETS)
def test_what_may_set(conn, sql):
    session = getattr(conn, "_inner", conn)._session
    assert pipelining.may_set(session, sql.encode()) is SETS[sql]


def test_the_charset_is_that_of_the_moment(connect):
    conn, other = connect(autocommit=True), connect()
    conn.query("create table t (id int primary key, v varchar(9)) charset utf8mb4")
    with conn.prepare("insert into t values (?, ?)") as insert, conn.pipeline() as p:
        p.execute("insert into t values (1, '\u00e9')")
        p.execute("insert into t values (2, %s)", ("\u00e9",))
        p.execute("insert into t values (3, '\u00e9'), (4, %s)".encode(), ("\u00e9",))
        p.execute(insert, (5, "\u00e9"))
        p.execute(insert, (6, io.BytesIO("\u00e9".encode())))
        conn.set_charset("latin1")
        conn.query("set sql_mode = concat(@@sql_mode, ',no_backslash_escapes')")
        p.execute("insert into t values (7, '\u00e9')")
    assert other.execute("select v from t order by id").fetchall() == 7 * (("\u00e9",),)
    conn.query("delete from t")
    with pytest.raises(pymy.DataError, match=r"latin1|cp1252"), conn.pipeline() as p:
        p.execute("insert into t values (1, 'a')")
        conn.set_charset("utf8mb4")
        p.execute("insert into t values (2, %s)", ("\u0416",))
        conn.set_charset("latin1")
    assert other.execute("select id from t for update").fetchall() == ((1,),)


def test_much_in_both_directions(item):
    """Neither side waits for the other for ever."""
    with item.pipeline() as p:
        for number in range(300):
            p.execute("insert into item (name) values (%s)", (f"{number:0200}",))
            p.execute("select repeat('x', 100000), %s /* " + 5000 * "x" + " */", (number,))
        p.execute("select length(%s)", (3_000_000 * "x",))
        p.execute("select length(%s)", (100_000 * "x",))
    assert [int(name) for name in names(item)] == list(range(300))
    assert [each.rows[0][1] for each in p.results[1:600:2]] == list(range(300))
    assert len(p.results[-3].rows[0][0]) == 100000
    assert [each.rows for each in p.results[-2:]] == [((3_000_000,),), ((100_000,),)]


def test_more_than_a_packet(connect, item):
    conn = connect(max_allowed_packet=100_000)
    with conn.pipeline(on_error="keep") as p:
        p.execute("select 1")
        large = p.execute("select length(%s)", (200_000 * "x",))
        after = p.execute("select 2")
    assert large.error.errno == CR.CR_NET_PACKET_TOO_LARGE
    assert after.rows == ((2,),)


@pytest.mark.parametrize(
    "options",
    [{"compress": "zlib"}, {"local_infile": True}, {"pipelining": False}],
    ids=["compressed", "files", "off"],
)
def test_one_by_one(connect, item, reads, options):
    conn = connect(autocommit=True, **options)
    find = conn.prepare("select ? + 1")
    reads.clear()
    with conn.pipeline(on_error="keep") as p:
        for number in (1, 1, 2):
            p.execute("insert into item (id) values (%s)", (number,))
        found = p.execute(find, (1,))
    assert len(reads) == 4
    assert [each.errno for each in p.errors] == [ER.DUP_ENTRY]
    assert found.rows == ((2,),)
    assert item.execute("select count(*) from item").fetchone() == (2,)


def test_a_file_goes_alone(connect, item, tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("pen\nink\n")
    conn = connect(autocommit=True, local_infile=[str(tmp_path)])
    admin = connect(autocommit=True)
    before = admin.execute("select @@global.local_infile").fetchone()[0]
    admin.query("set global local_infile = 1")
    try:
        with conn.pipeline() as p:
            load = p.execute(f"load data local infile '{path}' into table item (name)")
            count = p.execute("select count(*) from item")
    finally:
        admin.query(f"set global local_infile = {before}")
    assert (load.rowcount, count.rows) == (2, ((2,),))


def test_no_file_is_given_where_files_are_off(connect, item, tmp_path):
    conn = connect(autocommit=True)
    with conn.pipeline(on_error="keep") as p:
        p.execute(f"load data local infile '{tmp_path}/x' into table item (name)")
        p.execute(f"load data /*!50000local*/ infile '{tmp_path}/x' into table item (name)")
        after = p.execute("select 1")
    assert len(p.errors) == 2
    assert after.rows == ((1,),)


def test_unread_results_before_it(connect):
    conn = connect(multi_statements=True)
    conn.execute("select 1; set sql_mode = 'no_backslash_escapes'")
    with conn.pipeline() as p:
        one = p.execute("select %s", ("\\",))
    assert one.rows == (("\\",),)


def test_round_trips_through_a_relay(server, connect, tcp_dsn):
    """200 statements take fewer than three, whoever looks from outside."""
    if not hasattr(server, "tcp_dsn"):
        pytest.skip("a given server may have no TCP address")
    with Relay((server.host, server.port)) as relay:
        conn = connect(tcp_dsn, port=relay.port, autocommit=True)
        make_table(conn)
        find = conn.prepare("select a from t where id = ?")
        for sql in ("select %s", "update t set a = a + %s where id = 1", find):
            before = relay.turns
            with conn.pipeline() as p:
                for number in range(200):
                    p.execute(sql, (number,))
            assert len(p.results) == 200
            assert relay.turns - before < 3
        before = relay.turns
        for number in range(20):
            conn.execute("select %s", (number,))
        assert relay.turns - before == 20
        conn.abort()


# -- transactions


@pytest.fixture
def crossing(connect):
    """A thread whose update of row 1 deadlocks with whoever has it and wants row 2, and wins."""
    heavy = connect()
    make_table(heavy)
    heavy.cursor().executemany("insert into t values (%s, 0)", [(n,) for n in range(10, 99)])
    heavy.query("update t set a = 2 where id = 2")

    def cross():
        heavy.query("update t set a = 2 where id = 1")
        heavy.query("delete from t where id >= 10")
        heavy.commit()

    return threading.Thread(target=cross)


def test_a_transaction_that_a_deadlock_ends_stays_together(connect, needs, crossing):
    """What is behind the deadlock runs; it must not be committed statement by statement."""
    needs("session tracking")
    conn, thread = connect(autocommit=True), crossing
    with pytest.raises(pymy.OperationalError) as caught, conn.transaction():
        conn.query("update t set a = 1 where id = 1")
        thread.start()
        with conn.pipeline() as p:
            p.execute("update t set a = 1 where id = 2")
            after = p.execute("insert into t values (5, 5)")
            p.execute("insert into t values (6, 6)")
    thread.join()
    assert (caught.value.errno, caught.value.command_index) == (ER.LOCK_DEADLOCK, 0)
    assert caught.value.retry is pymy.Retry.TRANSACTION
    assert after.rowcount == 1
    assert values(conn) == [2, 2]
    assert conn.get_autocommit()
    assert conn.execute("select @@autocommit").fetchone() == (1,)
    conn.query("insert into t values (7, 7)")
    assert values(connect()) == [2, 2, 7]


@pytest.mark.parametrize("block", [False, True])
@pytest.mark.parametrize("pipelining", [True, False])
def test_nothing_is_sent_behind_the_deadlock_where_it_would_be_committed(
    connect, crossing, block, pipelining
):
    conn, thread = connect(autocommit=True, pipelining=pipelining), crossing
    with ExitStack() as stack:
        caught = stack.enter_context(pytest.raises(pymy.OperationalError))
        if block:
            stack.enter_context(conn.transaction())
        else:
            conn.begin()
        conn.query("update t set a = 1 where id = 1")
        thread.start()
        with conn.pipeline() as p:
            p.execute("update t set a = 1 where id = 2")
            p.execute("insert into t values (5, 5)")
            p.execute("create table u (a int)")
            p.execute("insert into t values (6, 6)")
    thread.join()
    assert caught.value.errno == ER.LOCK_DEADLOCK
    assert [each.error.sent for each in p.results] == [True, False, False, False]
    assert "dropped" in str(p.results[3].error)
    assert not conn.in_transaction
    assert values(connect()) == [2, 2]


def inserting(p, *numbers):
    for number in numbers:
        p.execute("insert into t values (%s, 0)", (number,))


def begun(conn):
    conn.begin()
    with conn.pipeline() as p:
        inserting(p, 3, 4)


def commit_among(conn):
    conn.begin()
    with conn.pipeline() as p:
        inserting(p, 3)
        p.execute("commit")
        inserting(p, 4)
    conn.query("insert into t values (5, 0)")


def table_among(conn):
    conn.begin()
    with conn.pipeline() as p:
        inserting(p, 3)
        p.execute("create table if not exists u (a int)")
        inserting(p, 4)
    conn.query("insert into t values (5, 0)")


def table_among_in_a_block(conn):
    with suppress(ZeroDivisionError), conn.transaction():
        with conn.pipeline() as p:
            inserting(p, 3, 4)
        with conn.pipeline() as p:
            inserting(p, 5)
            p.execute("create table if not exists u (a int)")
            inserting(p, 6)
        raise ZeroDivisionError
    conn.query("insert into t values (7, 0)")


def call_among(conn):
    conn.begin()
    with conn.pipeline() as p:
        inserting(p, 3)
        p.execute("call committing()")
        inserting(p, 4)


def prepared_call_among(conn):
    conn.begin()
    with conn.prepare("call committing()") as call, conn.pipeline() as p:
        inserting(p, 3)
        p.execute(call)
        inserting(p, 4)


def call_behind(conn):
    begun(conn)
    conn.query("call committing()")


def commit_behind(conn):
    begun(conn)
    conn.query("commit; insert into t values (9, 0)")


def commit_behind_a_savepoint(conn):
    conn.begin()
    with conn.transaction(), conn.pipeline() as p:
        inserting(p, 3, 4)
    conn.query("commit; insert into t values (9, 0)")


def several_in_one(conn):
    conn.begin()
    with conn.pipeline() as p:
        inserting(p, 3)
        p.execute("insert into t values (4, 0); commit; insert into t values (5, 0)")
        inserting(p, 6)


def several_in_a_block(conn):
    with suppress(ZeroDivisionError), conn.transaction():
        with conn.pipeline() as p:
            inserting(p, 3)
            p.execute("select 1; commit; insert into t values (5, 0)")
            inserting(p, 6)
        raise ZeroDivisionError


def script_behind(conn):
    begun(conn)
    conn.run_script(["commit; insert into t values (9, 0); insert into t values (10, 0);"])


def text_begins(conn):
    conn.query("start transaction")
    with conn.pipeline() as p:
        inserting(p, 3, 4)
    conn.query("commit and chain")
    conn.query("insert into t values (5, 0)")
    conn.query("commit")
    conn.query("insert into t values (6, 0)")


def switched_off(conn):
    begun(conn)
    conn.query("set autocommit=0")
    conn.commit()
    conn.query("insert into t values (9, 0)")


def switched_off_in_a_block(conn):
    with conn.transaction():
        with conn.pipeline() as p:
            inserting(p, 3, 4)
        conn.query("set autocommit=0")
    conn.query("insert into t values (9, 0)")


PROGRAMS = [
    commit_among, table_among, table_among_in_a_block, call_among, prepared_call_among, call_behind,
    commit_behind, commit_behind_a_savepoint, several_in_one, several_in_a_block, script_behind,
    text_begins, switched_off, switched_off_in_a_block,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_the_option_changes_no_meaning(connect, program, needs):
    if program is switched_off_in_a_block:
        needs("session tracking")
    admin = connect(autocommit=True)
    make_table(admin)
    admin.query(
        "create procedure committing() begin commit; insert into t values (100, 0); end",
    )
    seen = []
    for option in (True, False):
        admin.query("delete from t")
        conn = connect(autocommit=True, pipelining=option, multi_statements=True)
        program(conn)
        seen.append([
            conn.in_transaction,
            conn.get_autocommit(),
            conn.execute("select @@autocommit").fetchone(),
        ])  # fmt: skip
        conn.close()
        # the server rolls back what is open once it has seen the end of the link
        seen[-1].append(admin.execute("select id from t order by id for update").fetchall())
    assert seen[0] == seen[1]
    assert seen[0][-1]


@pytest.mark.parametrize(
    "text, stays",
    [
        ("select 1", True),
        (" /**/ -- x\n(select 1)", True),
        ("Insert into t values (';')", False),
        ("do 1", True),
        ("call p()", False),
        ("/**/ call p(/* */(select 1))", False),
        ("/*!50000 commit */ select 1", False),
        ("/*M!100000 commit */ select 1", False),
        ("select 1; commit", False),
        ("commit", False),
        ("truncate t", False),
        ("selected", False),
    ],
)
def test_what_stays_in_its_transaction(connect, text, stays):
    conn = connect(multi_statements=True)
    session = getattr(conn, "_inner", conn)._session
    assert pipelining.stays_in_transaction(session, text.encode()) is stays


def test_autocommit_is_back_behind_the_transaction(connect, needs):
    needs("session tracking")
    conn, other = connect(autocommit=True), connect(autocommit=True)
    make_table(conn)

    def twice(number):
        with conn.pipeline() as p:
            p.execute("insert into t values (%s, 0)", (number,))
            mode = p.execute("select @@autocommit")
        assert conn.get_autocommit()
        return mode.rows[0][0]

    assert twice(3) == 1
    with conn.transaction():
        assert twice(4) == 0
        assert conn.execute("select @@autocommit").fetchone() == (0,)
        with conn.transaction():
            assert twice(5) == 0
        assert len(values(other)) == 3
    assert len(values(other)) == 5
    assert twice(6) == 1
    conn.begin()
    assert twice(7) == 1  # what ends it may be any statement: no guard
    conn.rollback()
    assert twice(8) == 1
    conn.begin()
    twice(9)
    conn.reset()
    assert conn.execute("select @@autocommit").fetchone() == (1,)
    assert len(values(other)) == 7
    conn.begin()
    with conn.pipeline() as p:
        p.execute("insert into t values (9, 9)")
    assert conn.execute("select @@autocommit").fetchone() == (1,)  # one command needs no guard
    conn.rollback()


def test_within_xa(connect, needs):
    needs("XA transactions that outlive their session")
    conn, other = connect(autocommit=True), connect(autocommit=True)
    make_table(conn)
    for finish in (conn.tpc_commit, conn.tpc_rollback):
        conn.tpc_begin(conn.xid(1, f"p{conn.thread_id()}", "b"))
        with conn.pipeline() as p:
            p.execute("update t set a = a + 1 where id = 1")
            p.execute("update t set a = a + 1 where id = 2")
        conn.tpc_prepare()
        finish()
        assert conn.execute("select @@autocommit").fetchone() == (1,)
        assert values(other) == [1, 1]


def test_autocommit_switched_within_the_transaction(connect):
    conn = connect(autocommit=True)
    conn.begin()
    with conn.pipeline() as p:
        p.execute("select 1")
        p.execute("select 2")
    conn.autocommit(False)
    conn.rollback()
    assert conn.execute("select @@autocommit").fetchone() == (0,)


def test_begin_and_commit_in_the_pipeline(connect):
    conn, other = connect(autocommit=True), connect(autocommit=True)
    make_table(conn)
    with conn.pipeline() as p:
        p.execute("begin")
        p.execute("insert into t values (3, 3)")
        p.execute("commit")
        p.execute("insert into t values (4, 4)")
    assert not conn.in_transaction
    assert values(other) == [0, 0, 3, 4]


# -- what ends it early


def test_a_time_out(connect, item):
    conn = connect(autocommit=True)
    thread = conn.thread_id()
    with pytest.raises(pymy.OperationalError) as caught, conn.pipeline(timeout=0.3) as p:
        first = p.execute("insert into item (name) values ('first')")
        slow = p.execute("select sleep(30)")
        behind = p.execute("insert into item (name) values ('behind')")
        p.execute("select %s", (100_000 * "x",))
    assert caught.value.errno == CR.CR_QUERY_TIMEOUT
    assert first.rowcount == 1
    for each in (slow, behind):
        assert not each.done
        assert each.error.errno == CR.CR_CANCELED
        assert each.error.sent
    assert conn.execute("select connection_id()").fetchone() == (thread,)
    assert names(item) == ["first", "behind"]  # it was sent, and nothing stopped it
    assert not p.results[3].error.sent
    assert "dropped" in str(p.results[3].error)
    assert [each.error.command_index for each in p.results[1:]] == [1, 2, 3]
    with conn.pipeline() as p:
        one = p.execute("select 1")
    assert one.rows == ((1,),)


def test_a_killed_statement(connect, item):
    conn = connect(autocommit=True)

    def kill():
        item.query(f"kill query {conn.thread_id()}")

    timer = threading.Timer(0.5, kill)
    timer.start()
    with conn.pipeline(on_error="keep") as p:
        p.execute("select 1")
        p.execute("select sleep(20) from (select 1 union select 2) d")
        last = p.execute("select 3")
    timer.join()
    assert last.rows == ((3,),)


def test_a_lost_link(connect, item):
    conn = connect(autocommit=True)
    with pytest.raises(pymy.Error) as caught, conn.pipeline(on_error="keep") as p:
        p.execute("insert into item (name) values ('first')")
        p.execute(f"kill {conn.thread_id()}")
        p.execute("insert into item (name) values ('behind')")
    assert caught.value.fatal
    assert not conn.open
    assert p.results[0].rowcount == 1
    assert p.results[2].error.fatal  # MySQL answers to the KILL that it was killed itself
    assert [each.command_index for each in p.errors] == [1, 2]
    assert [each.error.command_index for each in p.results[1:]] == [1, 2]
    assert caught.value in p.errors
    assert names(item) == ["first"]
    with pytest.raises(pymy.Error), conn.pipeline() as p:
        p.execute("select 1")
    assert "dropped" in str(p.results[0].error)
    conn.ping(reconnect=True)
    with conn.pipeline() as p:  # one by one from now on
        last = p.execute("select 1")
    assert last.rows == ((1,),)


@pytest.mark.skipif(
    bool(os.environ.get("PYMY_TEST_DSN")), reason="counts the statements of the whole server"
)
def test_settings_are_as_ever_in_the_statement_cache(connect, item):
    conn = connect(autocommit=True, prepare="always")
    find = "select name from item where id = %s"
    conn.execute(find, (1,))
    with conn.pipeline() as p:
        p.execute("set sql_mode = ''")
        p.execute("select 1")
    session = getattr(conn, "_inner", conn)._session
    assert not session.statements.entries
