"""Two-phase commit."""

from __future__ import annotations

import uuid

import pytest
from deadlocks import lose_a_deadlock, make_table, values

import pymy
from pymy.constants import ER, FIELD_TYPE


@pytest.fixture
def table(connect):
    conn = connect()
    make_table(conn)
    return conn


@pytest.fixture
def other(connect, table):
    return connect(autocommit=True, session_variables={"innodb_lock_wait_timeout": 1})


@pytest.fixture
def xid(table):
    made = table.xid(7, uuid.uuid4().hex, "branch-ä")
    yield made
    # a transaction left prepared would keep the test's database from being dropped
    with pymy.connect(None, **_address(table)) as admin:
        if made in admin.tpc_recover():
            admin.tpc_rollback(made)


def _address(conn):
    return {
        "user": conn.user,
        "password": conn.password,
        "host": conn.host,
        "port": conn.port,
        "unix_socket": conn.unix_socket,
    }


def test_tpc_one_phase(table, other, xid):
    table.tpc_begin(xid)
    table.query("update t set a = 1")
    table.tpc_commit()
    assert values(other) == [1, 1]


def test_tpc_two_phases(table, other, xid):
    table.tpc_begin(xid)
    table.query("update t set a = 1")
    table.tpc_prepare()
    assert xid in table.tpc_recover()
    assert values(other) == [0, 0]
    table.tpc_commit()
    assert values(other) == [1, 1]
    assert xid not in table.tpc_recover()


@pytest.mark.parametrize("prepared", [False, True])
def test_tpc_rollback(table, other, xid, prepared):
    table.tpc_begin(xid)
    table.query("update t set a = 1")
    if prepared:
        table.tpc_prepare()
    table.tpc_rollback()
    assert values(other) == [0, 0]
    table.query("update t set a = 5")
    table.commit()
    assert values(other) == [5, 5]


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("outcome", ["commit", "rollback"])
def test_tpc_recover_from_another_connection(
    table, connect, xid, outcome, autocommit, needs, eventually
):
    needs("XA transactions that outlive their session")
    other = connect(autocommit=autocommit)
    table.tpc_begin(xid)
    table.query("update t set a = 1")
    table.tpc_prepare()
    table.close()
    eventually(lambda: _ends(other, xid, outcome))  # once the server has ended the session
    assert other.get_autocommit() is autocommit
    assert values(other) == ([1, 1] if outcome == "commit" else [0, 0])


def _ends(conn, xid, outcome):
    assert xid in conn.tpc_recover()
    try:
        (conn.tpc_commit if outcome == "commit" else conn.tpc_rollback)(xid)
    except pymy.OperationalError as error:
        if error.errno != ER.XAER_NOTA:
            raise
        return False
    return True


@pytest.mark.parametrize("gtrid", ["0x41", "a'b\\", "0xzz", "ünï", "x" * 64])
def test_tpc_any_id(table, gtrid):
    xid = table.xid(1, gtrid, "")
    table.tpc_begin(xid)
    table.query("update t set a = 1")
    table.tpc_prepare()
    try:
        assert xid in table.tpc_recover()
    finally:
        table.tpc_rollback()


def test_tpc_out_of_order(table, xid):
    for method in (table.tpc_prepare, table.tpc_commit, table.tpc_rollback):
        with pytest.raises(pymy.ProgrammingError):
            method()
    table.tpc_begin(xid)
    for method in (table.commit, table.rollback, table.begin):
        with pytest.raises(pymy.ProgrammingError, match="tpc_"):
            method()
    with pytest.raises(pymy.ProgrammingError):
        table.tpc_begin(xid)
    table.tpc_rollback()
    table.query("update t set a = 1")
    with pytest.raises(pymy.ProgrammingError, match="within a transaction"):
        table.tpc_begin(xid)
    table.rollback()


def test_xid_bounds(conn):
    with pytest.raises(pymy.ProgrammingError, match="64 bytes"):
        conn.xid(1, "x" * 65, "")
    with pytest.raises(pymy.ProgrammingError, match="format_id"):
        conn.xid(-1, "x", "")
    assert tuple(conn.xid(1, "g", "b")) == (1, "g", "b")


@pytest.mark.parametrize("ended", [False, True], ids=["active", "failed commit"])
def test_tpc_rollback_after_a_deadlock(connect, table, other, xid, ended):
    table.tpc_begin(xid)
    with pytest.raises(pymy.OperationalError) as caught:
        lose_a_deadlock(table, connect())
    assert caught.value.errno == ER.LOCK_DEADLOCK
    if ended:
        with pytest.raises(pymy.OperationalError):
            table.tpc_commit()
    table.tpc_rollback()
    assert values(other) == [2, 2]
    table.tpc_begin(xid)
    table.query("update t set a = 4")
    table.tpc_commit()
    assert values(other) == [4, 4]


def test_tpc_prepare_after_a_deadlock(connect, table, xid):
    table.tpc_begin(xid)
    with pytest.raises(pymy.OperationalError):
        lose_a_deadlock(table, connect())
    with pytest.raises(pymy.OperationalError) as caught:
        table.tpc_prepare()
    assert caught.value.errno in (ER.XAER_RMFAIL, ER.XA_RBDEADLOCK)
    table.tpc_rollback()
    table.query("update t set a = 4")
    table.commit()


@pytest.mark.parametrize("method", ["tpc_prepare", "tpc_commit"])
def test_tpc_rollback_after_an_xa_end_of_the_program(table, other, xid, method):
    table.tpc_begin(xid)
    table.query("update t set a = 1")
    table.query(f"xa end {xid.sql()}")
    with pytest.raises(pymy.OperationalError) as caught:
        getattr(table, method)()
    assert caught.value.errno == ER.XAER_RMFAIL
    table.tpc_rollback()
    assert values(other) == [0, 0]
    table.tpc_begin(xid)
    table.tpc_rollback()


@pytest.mark.parametrize("method", ["tpc_commit", "tpc_rollback"])
def test_tpc_of_another_xid_leaves_the_own_alone(table, other, xid, method):
    table.tpc_begin(xid)
    table.query("update t set a = 1")
    with pytest.raises(pymy.OperationalError):
        getattr(table, method)(table.xid(1, "another", ""))
    table.tpc_prepare()
    table.tpc_commit()
    assert values(other) == [1, 1]


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("outcome", ["commit", "rollback"])
def test_tpc_with_the_own_xid(table, other, xid, prepared, outcome):
    table.tpc_begin(xid)
    table.query("update t set a = 1")
    if prepared:
        table.tpc_prepare()
    getattr(table, f"tpc_{outcome}")(tuple(xid))
    assert values(other) == ([1, 1] if outcome == "commit" else [0, 0])
    with pytest.raises(pymy.ProgrammingError, match="tpc_begin"):
        table.tpc_commit()
    table.query("update t set a = 5")
    table.commit()
    assert values(other) == [5, 5]


def test_tpc_of_a_branch_that_somebody_else_ended(table, other, xid, kind):
    if kind != "mysql":
        pytest.skip(f"{kind} lets no other connection end what this one prepared")
    table.tpc_begin(xid)
    table.query("update t set a = 1")
    table.tpc_prepare()
    other.tpc_commit(xid)
    with pytest.raises(pymy.OperationalError) as caught:
        table.tpc_rollback()
    assert caught.value.errno == ER.XAER_NOTA
    assert values(other) == [1, 1]
    table.tpc_begin(xid)
    table.tpc_rollback()


def test_tpc_recover_does_not_depend_on_converters(connect, table, xid):
    table.tpc_begin(xid)
    table.query("update t set a = 1")
    table.tpc_prepare()

    def refuse(value):
        raise AssertionError(value)

    columns = (FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING, FIELD_TYPE.BLOB)
    conv = {FIELD_TYPE.LONGLONG: str, **dict.fromkeys(columns, refuse)}
    for options in ({"conv": conv}, {"conv": {}}, {"use_unicode": False}):
        odd = connect(**options)
        assert xid in odd.tpc_recover()
        assert xid in odd.tpc_recover()
        if conv is options.get("conv"):
            assert odd.execute("select cast(1 as signed)").fetchone() == ("1",)
    table.tpc_rollback()
