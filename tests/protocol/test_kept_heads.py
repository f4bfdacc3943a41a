"""Columns that are not sent again, against scripts: MariaDB's CACHE_METADATA."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line import Line, ask, failure, ready_session
from serverside import MORE, column, end, eof, error, ok, packets, row
from test_statements import NUMBER, TEXT, binary_row, bound, prepared_answer

from pymy import err
from pymy.constants import CLIENT, ER, FIELD_TYPE
from pymy.protocol.kinds import Decoding
from pymy.protocol.query import fetch_batch, next_result, query
from pymy.protocol.state import State
from pymy.protocol.statements import Prepared, execute, prepare, prepare_and_execute
from pymy.protocol.wire import lenenc, lenenc_bytes

KEPT = CLIENT.CACHE_METADATA
NEW = CLIENT.DEPRECATE_EOF | KEPT
ROW = binary_row(struct.pack("<i", 5), lenenc_bytes(b"x"))
EXPECTED = [(5, "x")]
few = settings(max_examples=150, deadline=None, database=None)
both = pytest.mark.parametrize("capabilities", [KEPT, NEW], ids=["eof", "deprecate_eof"])


def answer(session, *columns, rows=(ROW,), count=None, more=0, start=1):
    """A set with these columns; without columns they are said to be as before."""
    head = lenenc(count or len(columns)) + (b"\1" if columns else b"\0")
    if session.deprecate_eof:
        return packets(head, *columns, *rows, end(2 | more), start=start)
    return packets(head, *columns, eof(2 | more), *rows, eof(2 | more), start=start)


def live(session, *columns):
    statement = Prepared(b"select ?")
    answer = prepared_answer(params=[NUMBER], columns=columns, eofs=not session.deprecate_eof)
    ask(session, prepare(session, statement), answer)
    return statement


@both
@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_those_of_the_prepare_count(capabilities, chunk):
    session = ready_session(capabilities, mariadb=True)
    statement = live(session, NUMBER, TEXT)
    for _ in range(3):
        line = Line(session, [answer(session, count=2)], chunk=chunk)
        result = line.run(execute(session, statement, bound(1)))
        assert result.rows == EXPECTED
        assert [each.name for each in result.columns] == ["n", "s"]


@both
def test_later_ones_count_more(capabilities):
    session = ready_session(capabilities, mariadb=True)
    statement = live(session, NUMBER, TEXT)
    wide = binary_row(struct.pack("<q", 7), lenenc_bytes(b"y"))
    big = column("big", FIELD_TYPE.LONGLONG)
    for script, rows in [
        (answer(session, count=2), EXPECTED),
        (answer(session, big, TEXT, rows=[wide]), [(7, "y")]),
        (answer(session, count=2, rows=[wide]), [(7, "y")]),
        (answer(session, NUMBER, TEXT), EXPECTED),
        (answer(session, NUMBER, TEXT), EXPECTED),
        (answer(session, count=2), EXPECTED),
    ]:
        assert ask(session, execute(session, statement, bound(1)), script).rows == rows


@both
def test_each_of_several_results_counts(capabilities):
    session = ready_session(capabilities, mariadb=True)
    statement = live(session)
    first = answer(session, NUMBER, TEXT, more=MORE)
    second = answer(session, count=2, start=6 if session.deprecate_eof else 7)
    line = Line(session, [first + second])
    assert line.run(execute(session, statement, bound(1))).rows == EXPECTED
    assert line.run(next_result(session)).rows == EXPECTED
    script = answer(session, count=2)
    assert ask(session, execute(session, statement, bound(1)), script).rows == EXPECTED


@both
def test_streams_and_text_beside_them(capabilities):
    session = ready_session(capabilities, mariadb=True)
    statement = live(session, NUMBER, TEXT)
    texts = answer(session, NUMBER, TEXT, rows=[row(b"1", b"a")])
    for _ in range(3):
        line = Line(session, [answer(session, count=2)])
        line.run(execute(session, statement, bound(1), stream=True))
        assert line.run(fetch_batch(session)) == EXPECTED
        assert ask(session, query(session, b"select"), texts).rows == [(1, "a")]


def test_one_write():
    session = ready_session(NEW, mariadb=True)
    prepared = prepared_answer(params=[NUMBER], columns=[NUMBER, TEXT])
    for _ in range(2):
        line = Line(session, [prepared + answer(session, count=2)])
        result = line.run(prepare_and_execute(session, Prepared(b"select ?"), bound(5)))
        assert result.rows == EXPECTED


def test_an_error_behind_the_count():
    session = ready_session(NEW, mariadb=True)
    statement = live(session, NUMBER, TEXT)
    script = packets(b"\2\0", error(ER.SUBQUERY_NO_1_ROW))
    assert failure(session, execute(session, statement, bound(1)), script).errno == 1242
    script = answer(session, count=2)
    assert ask(session, execute(session, statement, bound(1)), script).rows == EXPECTED


def test_new_converters_are_asked():
    session = ready_session(NEW, mariadb=True)
    statement = live(session, NUMBER, TEXT)
    for decoding, value in [
        (Decoding(), "x"),
        (Decoding(overrides={FIELD_TYPE.VAR_STRING: str.upper}), "X"),
        (Decoding(), "x"),
    ]:
        session.decoding = decoding
        session.binary_heads.clear()
        for _ in range(2):
            script = answer(session, count=2)
            assert ask(session, execute(session, statement, bound(1)), script).rows == [(5, value)]


@pytest.mark.parametrize("count", [250, 251, 255, 256, 300, 512])
@pytest.mark.parametrize("capabilities", [CLIENT.DEPRECATE_EOF, NEW])
def test_many_columns(count, capabilities):
    """A count of two bytes ends in zero, too, where no byte follows it."""
    session = ready_session(capabilities, mariadb=True)
    columns = [NUMBER] * count
    bare = binary_row(*[struct.pack("<i", 1)] * count)
    statement = live(session, *columns)
    follow = b"\1" if capabilities & KEPT else b""
    script = packets(lenenc(count) + follow, *columns, bare, end())
    assert ask(session, execute(session, statement, bound(1)), script).rows == [(1,) * count]
    if follow:
        script = answer(session, count=count, rows=[bare])
        assert ask(session, execute(session, statement, bound(1)), script).rows == [(1,) * count]


@pytest.mark.parametrize("count", [1, 3, 300])
def test_another_number_of_columns(count):
    session = ready_session(NEW, mariadb=True)
    statement = live(session, NUMBER, TEXT)
    script = answer(session, count=count)
    exc = failure(session, execute(session, statement, bound(1)), script)
    assert isinstance(exc, err.ProtocolError)
    assert session.state is State.BROKEN


def test_a_text_has_none_to_leave_out():
    session = ready_session(NEW, mariadb=True)
    exc = failure(session, query(session, b"select"), answer(session, count=2))
    assert isinstance(exc, err.ProtocolError)


def test_an_ok_is_no_head():
    session = ready_session(NEW, mariadb=True)
    statement = live(session, NUMBER, TEXT)
    assert ask(session, execute(session, statement, bound(1)), packets(ok())).columns == ()


@few
@given(data=st.binary(max_size=200), head=st.sampled_from([b"\2\0", b"\2\1", b"\xfc\0\0", b"\0\0"]),
       new=st.booleans())  # fmt: skip
def test_anything_may_follow(data, head, new):
    session = ready_session(NEW if new else KEPT, mariadb=True)
    statement = live(session, NUMBER, TEXT)
    try:
        ask(session, execute(session, statement, bound(1)), packets(head) + data)
    except err.Error:
        pass
