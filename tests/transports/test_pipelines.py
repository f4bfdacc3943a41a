"""Pipelines on servers and proxies that do what real ones do not do on request."""

from __future__ import annotations

import pytest
from scripted import (
    Server,
    close,
    greet,
    hung_up,
    listen_to_the_end,
    login,
    ok,
    query,
    rows,
    send,
    silence,
    step,
)
from server_packets import err_packet, ok_packet

import pymy
from pymy.constants import CR
from pymy.protocol.pipelining import takes_several

OK = send(ok_packet(), sequence=1)


@step
def pause(peer):
    peer.over.wait(0.5)


def session_of(conn):
    return getattr(conn, "_inner", conn)._session


def queue(p, *texts):
    for each in texts:
        p.execute(each)


def test_all_comes_before_the_first_answer():
    refusal = send(err_packet(1062, "Duplicate entry", "23000"), sequence=1)
    with Server(
        greet(), login(), query("a"), query("b"), query("c"), OK, refusal, OK, query("d"), ok()
    ) as server:
        conn = server.connect()
        with pytest.raises(pymy.IntegrityError), conn.pipeline() as p:
            queue(p, "a", "b", "c")
        assert [each.error is None for each in p.results] == [True, False, True]
        conn.query("d")


def test_an_answer_larger_than_all_buffers_comes_before_the_rest_is_read():
    """A server that sends does not read: who goes on sending waits for ever."""
    texts = [f"{number:05} {2000 * 'x'}" for number in range(2000)]
    with Server(
        greet(), login(), query(texts[0]), rows(["a"], [("y" * 100_000,)] * 80),
        *(step for text in texts[1:] for step in (query(text), OK)),
        unix=True,  # whose buffers are small
    ) as server:  # fmt: skip
        conn = server.connect()
        with conn.pipeline() as p:
            queue(p, *texts)
        assert len(p.results[0].rows) == 80


def test_a_proxy_that_takes_one_command_at_a_time_is_remembered():
    """What it does to its clients: the link is lost behind the first answer (P130)."""
    with Server(greet(), login(), query("a"), OK, close()).then(
        greet(), login(), query("a"), ok(), query("b"), ok()
    ) as server:
        conn = server.connect()
        assert takes_several(session_of(conn))
        with pytest.raises(pymy.OperationalError) as caught, conn.pipeline(on_error="keep") as p:
            queue(p, "a", "b")
        assert caught.value.fatal
        assert (p.results[0].error, p.results[1].error) == (None, caught.value)
        assert p.results[1].error.sent
        conn.ping(reconnect=True)
        assert not takes_several(session_of(conn))
        with conn.pipeline() as p:
            queue(p, "a", "b")


def test_a_file_asked_for_gets_no_command():
    with Server(
        greet(), login(), query("a"), query("b"), send(b"\xfb/etc/passwd", sequence=1), hung_up()
    ) as server:
        conn = server.connect()
        with pytest.raises(pymy.ProtocolError, match="file"), conn.pipeline() as p:
            queue(p, "a", "b")
        assert not conn.open


def test_a_file_asked_for_by_the_last_one():
    with Server(
        greet(), login(), query("a"), query("b"), OK, send(b"\xfb/etc/passwd", sequence=1),
        listen_to_the_end(),
    ) as server:  # fmt: skip
        conn = server.connect(read_timeout=0.3, on_cancel="close")
        with pytest.raises(pymy.OperationalError), conn.pipeline() as p:
            queue(p, "a", "b")
    assert server.heard.endswith(b"\x02\0\0\0\x03b\0\0\0\x02")


def test_silence_in_the_middle():
    with Server(greet(), login(), query("a"), query("b"), OK, silence()) as server:
        conn = server.connect(on_cancel="drain", cancel_timeout=0.2)
        with pytest.raises(pymy.OperationalError) as caught, conn.pipeline(timeout=0.3) as p:
            queue(p, "a", "b")
        assert caught.value.errno == CR.CR_QUERY_TIMEOUT
        assert [each.done for each in p.results] == [True, False]
        with pytest.raises(pymy.Error):
            conn.query("c")
        assert not conn.open


def test_the_answers_come_after_the_time_out():
    with Server(
        greet(), login(), query("a"), query("b"), OK, pause(), OK, query("c"), ok()
    ) as server:  # fmt: skip
        conn = server.connect(on_cancel="drain")
        with pytest.raises(pymy.OperationalError), conn.pipeline(timeout=0.2) as p:
            queue(p, "a", "b")
        conn.query("c")
        assert [each.done for each in p.results] == [True, False]
        assert p.results[1].error.errno == CR.CR_CANCELED


def test_garbage_in_the_middle():
    with Server(
        greet(), login(), query("a"), query("b"), query("c"), OK,
        send(b"\x02\x03def", sequence=1), send(b"\xff", sequence=7), hung_up(),
    ) as server:  # fmt: skip
        conn = server.connect()
        with pytest.raises(pymy.Error) as caught, conn.pipeline(on_error="keep") as p:
            queue(p, "a", "b", "c")
        assert caught.value.fatal
        assert [each.error is None for each in p.results] == [True, False, False]
        assert not conn.open
