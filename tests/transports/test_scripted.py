"""The scripted server itself: a wrong client must fail the test, a right one pass."""

from __future__ import annotations

import pytest
from scripted import ScriptError, Server, expect, greet, login, ok, query, rows
from server_packets import DEPRECATE_EOF, OFFERS, PING

import pymy


def test_a_client_that_follows_the_script_passes():
    with Server(
        greet(), login(), query("select 1"), rows(["one"], [(1,)]), expect(PING), ok()
    ) as server:
        conn = server.connect()
        assert conn.execute("select 1").fetchall() == (("1",),)
        conn.ping()


def test_old_servers_send_eof_packets():
    offers = OFFERS & ~DEPRECATE_EOF
    with Server(
        greet(offers=offers), login(), query("select 1"), rows(["a", "b"], [(1, None)])
    ) as server:
        conn = server.connect()
        assert conn.execute("select 1").fetchall() == (("1", None),)


def test_another_statement_than_expected_fails():
    with pytest.raises(ScriptError, match="select 1"):  # noqa: SIM117
        with Server(greet(), login(), query("select 1"), ok()) as server:
            conn = server.connect()
            with pytest.raises(pymy.OperationalError):
                conn.execute("select 2")


def test_a_client_that_never_comes_fails():
    with pytest.raises(ScriptError, match="saw no connection"), Server(greet()):
        pass


def test_a_client_that_leaves_early_fails():
    with pytest.raises(ScriptError, match="hung up"), Server(greet(), login(), query("x")) as s:
        s.connect()


def test_the_scripts_end_closes_the_port():
    with Server(greet(), login()) as server:
        server.connect()
        with pytest.raises(pymy.OperationalError, match="refused"):
            server.connect()
