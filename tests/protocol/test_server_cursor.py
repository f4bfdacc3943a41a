"""Server-side cursors against scripts: what opens one, what ends it, hostile servers."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line import Line, ask, failure, ready_session
from serverside import column, end, eof, error, ok, packets, row
from test_statements import NUMBER, TEXT, binary_row, bound, live, prepared_answer

from pymy import err
from pymy.constants import CLIENT, COMMAND, CR, ER, FIELD_TYPE, SERVER_STATUS
from pymy.protocol.commands import ping
from pymy.protocol.query import query
from pymy.protocol.servercursor import fetch, open_cursor
from pymy.protocol.state import State
from pymy.protocol.wire import lenenc_bytes

NEW = CLIENT.DEPRECATE_EOF
OPEN = 2 | SERVER_STATUS.SERVER_STATUS_CURSOR_EXISTS
LAST = 2 | SERVER_STATUS.SERVER_STATUS_LAST_ROW_SENT
HEAD = [b"\2", NUMBER, TEXT]
ROWS = [binary_row(struct.pack("<i", n), lenenc_bytes(b"x" * n)) for n in range(6)]
EXPECTED = [(n, "x" * n) for n in range(6)]
few = settings(max_examples=150, deadline=None, database=None)


def finish(session, status, *rows):
    return packets(*rows, end(status) if session.deprecate_eof else eof(status))


def opened(session, text=b"select a, b from t where a > ?"):
    """A statement and its result, whose rows are at the server."""
    statement = live(session, text)
    line = Line(session, [finish(session, OPEN, *HEAD)])
    result = line.run(open_cursor(session, statement, bound(5)))
    return statement, result, bytes(line.sent)


both = pytest.mark.parametrize("capabilities", [0, NEW], ids=["eof", "deprecate_eof"])


@both
@pytest.mark.parametrize("chunk", [None, 1, 7])
def test_rows_by_two(capabilities, chunk):
    session = ready_session(capabilities)
    statement, result, sent = opened(session)
    assert sent[4:10] == bytes([COMMAND.COM_STMT_EXECUTE, 7, 0, 0, 0, 1])
    assert (result.unread, result.rows, result.affected_rows) == (True, [], -1)
    assert session.state is State.READY
    found = []
    for status, rows in [(OPEN, ROWS[:2]), (OPEN, ROWS[2:4]), (LAST, ROWS[4:5])]:
        ask(session, ping(session), packets(ok()))
        line = Line(session, [finish(session, status, *rows)], chunk=chunk)
        found += line.run(fetch(session, statement, result, 2))
        assert bytes(line.sent) == b"\x09\0\0\0\x1c\7\0\0\0\2\0\0\0"
        assert session.state is State.READY
    assert found == EXPECTED[:5]
    assert not result.unread


@both
def test_no_cursor_brings_all_rows(capabilities):
    session = ready_session(capabilities)
    middle = [] if session.deprecate_eof else [eof()]
    script = finish(session, 2, *HEAD, *middle, *ROWS)
    result = ask(session, open_cursor(session, live(session, b"select ?"), bound(1)), script)
    assert (result.rows, result.unread) == (EXPECTED, False)
    assert result.affected_rows == 6


@both
def test_the_flag_behind_rows_is_no_cursor(capabilities):
    """As MySQL has it behind EXPLAIN; to fetch from that takes the server down."""
    session = ready_session(capabilities)
    middle = [] if session.deprecate_eof else [eof()]
    script = finish(session, OPEN, *HEAD, *middle, *ROWS[:1])
    result = ask(session, open_cursor(session, live(session, b"select ?"), bound(1)), script)
    assert (result.rows, result.unread) == (EXPECTED[:1], False)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("select ?", 1), (" ( SELECT ?)", 1), ("/* x */-- y\n# z\nwith a as (select ?) table a", 1),
        ("/**/ select ?", 1), ("values row(?)", 1), ("/*+ h */ select ?", 1),
        ("show processlist /*?*/", 0), ("explain select ?", 0), ("selector ?", 0),
        ("/*!50000 show */ select ?", 0), ("/*M! show */ select ?", 0), ("call p(?)", 0),
        ("/**/ show -- */ select ?", 0), ("insert into t select ?", 0),
    ],
)  # fmt: skip
def test_only_what_selects_asks_for_one(text, asked):
    session = ready_session(NEW)
    line = Line(session, [finish(session, OPEN, *HEAD)])
    result = line.run(open_cursor(session, live(session, text.encode()), bound(1)))
    assert line.sent[9] == asked
    assert result.unread == bool(asked)


@pytest.mark.parametrize("errno", [ER.SP_BAD_CURSOR_QUERY, ER.SP_BAD_CURSOR_SELECT])
def test_what_the_server_opens_none_for_runs_without(errno):
    session = ready_session(NEW)
    statement = live(session, b"select ? into @a")
    again = prepared_answer(8, [NUMBER])
    line = Line(session, [packets(error(errno)), again, packets(ok())])
    result = line.run(open_cursor(session, statement, bound(1)))
    assert not result.unread
    assert bytes(line.sent).count(b"select ? into @a") == 1
    assert statement.number == 8
    read = [io.BytesIO(b"x")]
    exc = failure(session, open_cursor(session, live(session), bound(*read)), packets(error(errno)))
    assert exc.errno == errno  # what was read is gone


@both
def test_errors_end_it(capabilities):
    session = ready_session(capabilities)
    statement, result, _ = opened(session)
    exc = failure(session, fetch(session, statement, result, 2), packets(error(1421)))
    assert exc.errno == ER.STMT_HAS_NO_OPEN_CURSOR
    assert (session.state, result.unread) == (State.READY, False)
    statement, result, _ = opened(session)
    rows = ask(session, fetch(session, statement, result, 3), packets(ROWS[0], error(1317)))
    assert rows == EXPECTED[:1]
    assert (session.state, result.unread, result.failure.errno) == (State.READY, False, 1317)


@both
def test_a_server_that_knows_no_end(capabilities):
    session = ready_session(capabilities)
    statement, result, _ = opened(session)
    assert ask(session, fetch(session, statement, result, 3), finish(session, OPEN)) == []
    assert not result.unread


def test_a_cursor_of_another_session():
    session = ready_session(NEW)
    statement, result, _ = opened(session)
    session.forget_statements()
    line = Line(session)
    with pytest.raises(err.InterfaceError) as caught:
        line.run(fetch(session, statement, result, 1))
    assert (caught.value.errno, caught.value.sent) == (CR.CR_FETCH_CANCELED, False)
    assert not line.sent
    assert not result.unread


def test_rows_nobody_waits_for_are_said_to_be_lost():
    session = ready_session(NEW)
    statement, result, _ = opened(session)
    session.start(fetch(session, statement, result, 2))
    session.sent(len(session.output()))
    assert session.abandon()
    script = finish(session, OPEN, *ROWS[:2])
    session.space()[: len(script)] = script
    session.filled(len(script))
    assert session.result() == []
    assert session.state is State.READY
    assert (result.unread, result.failure.errno) == (False, CR.CR_CANCELED)


def test_a_text_in_between_keeps_its_own_form():
    session = ready_session(NEW)
    statement, result, _ = opened(session)
    script = packets(*HEAD, row(b"1", b"x"), end())
    assert ask(session, query(session, b"select"), script).rows == [(1, "x")]
    rows = ask(session, fetch(session, statement, result, 1), finish(session, LAST, ROWS[2]))
    assert rows == [EXPECTED[2]]


SCRIPT = packets(*ROWS[:3], end(LAST))


@pytest.mark.parametrize("cut", range(len(SCRIPT)))
def test_an_answer_that_is_cut(cut):
    session = ready_session(NEW)
    statement, result, _ = opened(session)
    exc = failure(session, fetch(session, statement, result, 3), SCRIPT[:cut])
    assert exc.fatal


@few
@given(data=st.binary(max_size=200), chunk=st.sampled_from([None, 1, 4]), new=st.booleans())
def test_anything_may_answer(data, chunk, new):
    session = ready_session(NEW if new else 0)
    statement, result, _ = opened(session)
    try:
        ask(session, fetch(session, statement, result, 3), data, chunk=chunk)
    except err.Error:
        pass
    session = ready_session(NEW if new else 0)
    statement = live(session)
    try:
        ask(session, open_cursor(session, statement, bound(1)), data, chunk=chunk)
    except err.Error:
        pass


def test_generated_code_and_long_rows():
    session = ready_session(NEW)
    statement = live(session)
    head = [b"\1", column("b", FIELD_TYPE.VAR_STRING, 45)]
    result = ask(session, open_cursor(session, statement, bound(1)), packets(*head, end(OPEN)))
    total = 0
    for size in range(200):
        script = packets(*[binary_row(lenenc_bytes(b"y" * 300))] * 5, end(OPEN))
        rows = ask(session, fetch(session, statement, result, 5), script, chunk=97 + size)
        assert rows == [("y" * 300,)] * 5
        total += len(rows)
    assert total == 1000
