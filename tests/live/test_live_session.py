"""What a session remembers, and the commands that change or forget it."""

from __future__ import annotations

import pytest

import pymy
from pymy.constants import ER
from pymy.cursors import SSCursor


def one(conn, sql, args=None):
    return conn.execute(sql, args).fetchone()[0]


def test_ping(conn):
    assert conn.ping() is None
    conn.ping(reconnect=True)


def test_ping_reconnects(conn, server):
    before = conn.thread_id()
    with pymy.connect(server.dsn) as admin:
        admin.kill(before)
    with pytest.raises(pymy.Error):
        conn.ping()
    assert not conn.open
    conn.ping(reconnect=True)
    assert conn.thread_id() != before
    assert one(conn, "select 1") == 1


def test_ping_after_close(conn):
    conn.close()
    with pytest.raises(pymy.InterfaceError):
        conn.ping()
    conn.ping(reconnect=True)
    assert one(conn, "select 1") == 1


def test_ping_within_a_stream_drops_it(conn):
    cursor = conn.cursor(SSCursor)
    cursor.execute("select 1 union select 2")
    conn.ping()
    assert one(conn, "select 3") == 3


def test_select_db(conn, db):
    conn.select_db("information_schema")
    assert one(conn, "select database()") == "information_schema" == conn.db
    with pytest.raises(pymy.OperationalError) as caught:
        conn.select_db("no_such_schema")
    assert caught.value.errno == ER.BAD_DB_ERROR
    assert conn.db == "information_schema"
    conn.select_db(db)
    assert conn.db == db


def test_reset(connect, db):
    conn = connect(
        init_command="set @started = 1", session_variables={"wait_timeout": 999}, autocommit=True
    )
    thread = conn.thread_id()
    conn.query("create table t (a int) engine=innodb")
    conn.query("create temporary table gone (a int)")
    conn.begin()
    conn.query("insert into t values (1)")
    conn.query("set @mine = 5, @@wait_timeout = 5, names latin1")
    conn.reset()
    assert conn.thread_id() == thread
    assert conn.execute("select @mine, @started, @@wait_timeout, @@autocommit").fetchone() == (
        None,
        1,
        999,
        1,
    )
    assert one(conn, "select @@character_set_client") == "utf8mb4"
    assert one(conn, "select count(*) from t") == 0
    assert one(conn, "select database()") == db == conn.db
    assert one(conn, "select '😀'") == "😀"
    with pytest.raises(pymy.ProgrammingError):
        conn.query("select * from gone")


def test_reset_after_set_character_set(conn):
    conn.set_character_set("latin1")
    conn.reset()
    assert conn.charset == "utf8mb4"
    assert one(conn, "select %s", ("😀",)) == "😀"


@pytest.mark.parametrize("options", [{}, {"compress": "zlib"}, {"charset": "latin1"}])
def test_reset_brings_the_schema_back(connect, db, options):
    conn = connect(**options)
    for change in (conn.select_db, lambda name: conn.query(f"use {name}")):
        change("information_schema")
        conn.reset()
        assert one(conn, "select database()") == db == conn.db


def test_reset_leaves_a_schema_for_none(connect, server):
    conn = connect(server.dsn_for(""))
    conn.select_db("information_schema")
    conn.reset()
    assert (one(conn, "select database()"), conn.db) == (None, None)


def test_reset_when_the_schema_is_gone(connect, db, server):
    conn = connect()
    with pymy.connect(server.dsn) as admin:
        admin.query(f"drop database {db}")
    with pytest.raises(pymy.OperationalError) as caught:
        conn.reset()
    assert caught.value.errno == ER.BAD_DB_ERROR
    assert not conn.open
    with pymy.connect(server.dsn) as admin:
        admin.query(f"create database {db}")


def test_reset_in_the_middle_of_results(connect):
    conn = connect(multi_statements=True)
    conn.execute("select 1; select 2")
    conn.reset()
    assert one(conn, "select 3") == 3


def test_change_user(connect, account, db):
    user = account("BY 'secret'")
    conn = connect()
    conn.query("set @mine = 1")
    conn.change_user(user, "secret", db)
    assert one(conn, "select current_user()").startswith(user)
    assert conn.user == user
    assert one(conn, "select @mine") is None
    assert one(conn, "select database()") == db
    assert one(conn, "select %s", ("😀",)) == "😀"
    conn.reset()
    assert one(conn, "select current_user()").startswith(user)


def test_change_user_denied(connect, account):
    user = account("BY 'secret'")
    conn = connect()
    with pytest.raises(pymy.OperationalError) as caught:
        conn.change_user(user, "wrong")
    assert caught.value.errno == 1045
    assert caught.value.fatal
    assert not conn.open
    conn.connect()
    assert not one(conn, "select current_user()").startswith(user)


def test_change_user_to_each_plugin(connect, account, server):
    plugins = ["BY 's'"]
    if server.is_mariadb:
        plugins.append("VIA ed25519 USING PASSWORD('s')")
    conn = connect()
    for identified in plugins * 2:
        user = account(identified)
        conn.change_user(user, "s")
        assert one(conn, "select current_user()").startswith(user)


def test_kill(connect):
    conn, victim = connect(), connect()
    conn.kill(victim.thread_id())
    with pytest.raises(pymy.Error) as caught:
        victim.query("select sleep(10)")
    assert caught.value.fatal
    with pytest.raises(pymy.OperationalError) as caught:
        conn.kill(2**31 - 1)
    assert caught.value.errno == ER.NO_SUCH_THREAD
    assert conn.open


def test_statistics(conn):
    assert conn.statistics().startswith("Uptime: ")
    assert one(conn, "select 1") == 1


def test_multi_statements_switch(conn):
    conn.set_multi_statements(True)
    cursor = conn.execute("select 1; select 2")
    assert cursor.nextset() is True
    assert cursor.fetchone() == (2,)
    conn.set_multi_statements(False)
    with pytest.raises(pymy.ProgrammingError):
        conn.query("select 1; select 2")
    assert one(conn, "select 3") == 3


def test_multi_statements_through_query(connect):
    conn = connect(multi_statements=True)
    assert conn.query("select 1 union select 2; set @a = 1; select 3") == 2
    assert conn.next_result() == 0
    assert conn.next_result() == 1
    assert conn._result.rows == [(3,)]


def test_session_tracking(conn, needs, db):
    needs("session tracking")
    conn.query("set session_track_system_variables = '*'")
    conn.query("set session wait_timeout = 77")
    assert conn.session_variables["wait_timeout"] == "77"
    conn.query("use information_schema")
    assert conn.db == "information_schema"
    conn.query(f"use {db}")
    assert conn.db == db


def test_state_change_tracking(conn, needs):
    needs("session tracking")
    conn.query("set session_track_state_change = on")
    conn.query("set @a = 1")
    assert conn.last_ok.session_changes == ((2, "", "1"),)
    assert conn.execute("select @a").fetchone() == (1,)


def test_transaction_state_tracking(conn, needs):
    needs("session tracking")
    conn.query("set session_track_transaction_info = 'CHARACTERISTICS'")
    conn.query("start transaction read only")
    kinds = {change.kind: change.value for change in conn.last_ok.session_changes}
    assert kinds[4] == "START TRANSACTION READ ONLY;"
    assert kinds[5].startswith("T")


def test_gtid_tracking(extra_server, connect, needs):
    needs("GTID tracking")
    conn = connect(
        extra_server(binlog=True).dsn,
        autocommit=True,
        session_variables={"session_track_gtids": "OWN_GTID"},
    )
    conn.query("create table g (a int)")
    conn.query("insert into g values (1)")
    (gtid,) = [c.value for c in conn.last_ok.session_changes if c.kind == 3]
    source, number = gtid.split(":")
    assert source == one(conn, "select @@server_uuid")
    assert one(conn, "select @@global.gtid_executed").endswith(f"-{number}")


def test_query_attributes(conn, needs, server):
    needs("query attributes")
    with pymy.connect(server.dsn) as admin:
        admin.query("install component 'file://component_query_attributes'")
        try:
            conn.query_attributes = {
                "trace": "a'b ä",
                "n": -5,
                "f": 1.5,
                "nothing": None,
                "b": b"raw",
            }
            get = "select " + ", ".join(
                f"mysql_query_attribute_string('{name}')" for name in conn.query_attributes
            )
            row = conn.execute(get).fetchone()
            assert [str(v) if v is not None else None for v in row[:4]] == [
                "a'b ä",
                "-5",
                "1.5",
                None,
            ]
            assert row[4] in ("raw", b"raw")
            assert list(conn.stream(get)) == [row]
            conn.query_attributes.clear()
            assert conn.execute(get).fetchone() == (None,) * 5
        finally:
            admin.query("uninstall component 'file://component_query_attributes'")


def test_query_attributes_are_checked(conn, needs):
    needs("query attributes")
    conn.query_attributes["bad"] = object()
    with pytest.raises(TypeError, match="bad"):
        conn.query("select 1")
    conn.query_attributes.clear()
    assert one(conn, "select 1") == 1


def _slow_alter(conn):
    conn.query("create table t (a int, b varchar(200))")
    conn.query("insert into t select seq, repeat('x', 100) from seq_1_to_30000")
    conn.query("alter table t add index (b), add column c int default 5, algorithm=copy")


def test_progress(connect, needs):
    needs("progress")
    reports = []
    conn = connect(progress=reports.append)
    _slow_alter(conn)
    assert reports
    assert all(1 <= report.stage <= report.max_stage for report in reports)
    assert all(0 <= report.percent <= 100 for report in reports)
    assert any(report.info for report in reports)
    assert one(conn, "select count(*) from t") == 30_000


def test_progress_callback_that_raises(connect, needs):
    needs("progress")

    def callback(report):
        raise LookupError("callback")

    conn = connect(progress=callback)
    with pytest.raises(LookupError, match="callback"):
        _slow_alter(conn)
    assert one(conn, "select c from t limit 1") == 5


def test_server_status(conn):
    from pymy.constants import SERVER_STATUS

    assert not conn.server_status & SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
    conn.autocommit(True)
    assert conn.server_status & SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT


def test_escape(conn):
    assert conn.escape("it's") == conn.literal("it's") == "'it''s'"
    assert conn.escape_string("it's") == "it''s"
    assert conn.escape_id("a`b.c") == "`a``b`.`c`"
    assert conn.escape(5) == "5"
    assert conn.escape(5, {int: lambda value, mapping: "five"}) == "five"


@pytest.mark.parametrize("wanted", [True, False])
def test_autocommit_of_a_server_that_has_it_off(connect, set_global, wanted):
    """MySQL's greeting says that it is on all the same."""
    set_global("autocommit", 0)
    assert connect(autocommit=wanted).execute("select @@autocommit").fetchone() == (wanted,)
    conn = connect(autocommit=None)
    assert conn.execute("select @@autocommit").fetchone() == (0,)
    conn.autocommit(wanted)
    assert conn.execute("select @@autocommit").fetchone() == (wanted,)
