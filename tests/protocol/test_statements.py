"""Prepared statements against scripts: what goes out, what comes back, hostile servers."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from line import Line, ask, failure, ready_session
from serverside import MORE, column, end, eof, error, framed, ok, packets, row

from pymy import err
from pymy.constants import CLIENT, COMMAND, ER, FIELD_TYPE, FLAG
from pymy.protocol.binaryrows import binary_decoder_for, compile_binary_batch
from pymy.protocol.columns import parse_column
from pymy.protocol.commands import ping
from pymy.protocol.kinds import Decoding
from pymy.protocol.layouts import layout_of
from pymy.protocol.params import bind
from pymy.protocol.query import fetch_batch, next_result, query
from pymy.protocol.rows import ROWS_BEFORE_COMPILING
from pymy.protocol.state import State
from pymy.protocol.statements import Prepared, execute, prepare, prepare_and_execute
from pymy.protocol.wire import lenenc_bytes
from pymy.sql import DEFAULT_CONTEXT

T = FIELD_TYPE
NEW = CLIENT.DEPRECATE_EOF
MARIADB = {"mariadb": True}
few = settings(max_examples=150, deadline=None, database=None)


def prepared_answer(number=7, params=(), columns=(), *, eofs=False, head=b"") -> bytes:
    head = head or struct.pack("<BIHHxH", 0, number, len(columns), len(params), 0)
    payloads = [head]
    for group in (params, columns):
        payloads += group
        if group and eofs:
            payloads.append(eof())
    return packets(*payloads)


def binary_row(*pieces: bytes | None) -> bytes:
    nulls = sum(1 << at + 2 for at, piece in enumerate(pieces) if piece is None)
    bitmap = nulls.to_bytes((len(pieces) + 9) // 8, "little")
    return b"\0" + bitmap + b"".join(piece for piece in pieces if piece is not None)


def answer(columns, rows=(), *, status=2, eofs=False) -> bytes:
    payloads = [bytes([len(columns)]), *columns]
    if eofs:
        return packets(*payloads, eof(), *rows, eof(status))
    return packets(*payloads, *rows, end(status))


NUMBER = column("n", T.LONG)
TEXT = column("s", T.VAR_STRING, 45)
ROWS = [binary_row(struct.pack("<i", n), lenenc_bytes(b"x" * n)) for n in range(100)]
EXPECTED = [(n, "x" * n) for n in range(100)]
PREPARED = prepared_answer(params=[NUMBER], columns=[NUMBER, TEXT])
ANSWER = answer([NUMBER, TEXT], ROWS)


def live(session, text=b"select ?", params=1) -> Prepared:
    """A statement that the session has prepared."""
    statement = Prepared(text)
    answer = prepared_answer(params=[NUMBER] * params, eofs=not session.deprecate_eof)
    ask(session, prepare(session, statement), answer)
    return statement


def bound(*values: Any) -> Any:
    return bind(values, DEFAULT_CONTEXT)


@pytest.mark.parametrize("eofs", [False, True])
@pytest.mark.parametrize("chunk", [None, 1, 2, 3, 7, 100])
def test_prepare_and_execute(eofs, chunk):
    session = ready_session(0 if eofs else NEW)
    statement = Prepared(b"select ?")
    prepared = prepared_answer(params=[NUMBER], columns=[NUMBER, TEXT], eofs=eofs)
    line = Line(session, [prepared, answer([NUMBER, TEXT], ROWS, eofs=eofs)], chunk=chunk)
    line.run(prepare(session, statement))
    assert (statement.number, statement.param_count) == (7, 1)
    assert [each.name for each in statement.columns] == ["n", "s"]
    assert line.run(execute(session, statement, bound(5))).rows == EXPECTED
    value = struct.pack("<q", 5)
    sent = framed(bytes([COMMAND.COM_STMT_PREPARE]) + b"select ?", 0) + framed(
        bytes([COMMAND.COM_STMT_EXECUTE]) + b"\7\0\0\0\0\1\0\0\0" + b"\0\1\x08\0" + value, 0
    )
    assert bytes(line.sent) == sent


@pytest.mark.parametrize("chunk", [1, 5, 1000, None])
def test_streams(chunk):
    session = ready_session(NEW)
    statement = live(session)
    line = Line(session, [ANSWER], chunk=chunk)
    result = line.run(execute(session, statement, bound(5), stream=True))
    rows = []
    while session.state is State.STREAMING:
        rows += line.run(fetch_batch(session))
    assert rows == EXPECTED
    assert result.columns[0].name == "n"


def test_more_results_are_binary_too():
    session = ready_session(NEW)
    statement = live(session, b"call p(?)")
    first = answer([NUMBER, TEXT], ROWS[:2], status=2 | MORE)
    second = packets(b"\1", TEXT, binary_row(b"\1y"), end(2), start=7)
    line = Line(session, [first + second])
    assert line.run(execute(session, statement, bound(5))).rows == EXPECTED[:2]
    assert line.run(next_result(session)).rows == [("y",)]
    assert line.run(next_result(session)) is None


def test_text_and_binary_keep_their_heads_apart():
    session = ready_session(NEW)
    statement = live(session)
    text = packets(b"\2", NUMBER, TEXT, row(b"1", b"a"), end())
    for _ in range(2):
        assert ask(session, execute(session, statement, bound(1)), ANSWER).rows == EXPECTED
        assert ask(session, query(session, b"select"), text).rows == [(1, "a")]


def test_attributes_go_with_their_names():
    session = ready_session(NEW | CLIENT.QUERY_ATTRIBUTES)
    statement = live(session)
    line = Line(session, [packets(ok())])
    line.run(execute(session, statement, bound(None), attributes={"trace": "a"}))
    body = b"\7\0\0\0\x08\1\0\0\0" + b"\2" + b"\1\1" + b"\6\0\0" + b"\xfd\0\5trace" + b"\1a"
    assert bytes(line.sent) == framed(bytes([COMMAND.COM_STMT_EXECUTE]) + body, 0)


def test_a_close_goes_in_front_of_the_next_command():
    session = ready_session(NEW)
    statement = live(session)
    statement.close()
    statement.close()
    line = Line(session, [packets(ok())])
    line.run(ping(session))
    close = framed(bytes([COMMAND.COM_STMT_CLOSE]) + b"\7\0\0\0", 0)
    assert bytes(line.sent) == close + framed(bytes([COMMAND.COM_PING]), 0)
    line.turns = [packets(ok())]
    line.run(ping(session))
    assert bytes(line.sent).count(close) == 1


def test_a_reset_forgets_statements():
    """The server counts from 1 again: an old number is another statement's."""
    session = ready_session(NEW)
    statement = live(session)
    other = live(session)
    session.forget_statements()
    other.close()
    assert not session.doomed
    line = Line(session, [prepared_answer(1, [NUMBER]), packets(ok(3))])
    assert line.run(execute(session, statement, bound(5))).affected_rows == 3
    assert statement.number == 1


@pytest.mark.parametrize("errno", [ER.NEED_REPREPARE, ER.UNKNOWN_STMT_HANDLER])
def test_a_statement_the_server_forgot_is_prepared_once_more(errno):
    session = ready_session(NEW)
    statement = live(session)
    turns = [packets(error(errno)), prepared_answer(9, [NUMBER]), packets(ok(3))]
    line = Line(session, turns)
    assert line.run(execute(session, statement, bound(5))).affected_rows == 3
    assert statement.number == 9
    close = framed(bytes([COMMAND.COM_STMT_CLOSE]) + b"\7\0\0\0", 0)
    assert close in bytes(line.sent)
    again = [packets(error(errno)), prepared_answer(9, [NUMBER]), packets(error(errno))]
    assert failure(session, execute(session, statement, bound(5)), *again).errno == errno
    assert session.state is State.READY


def test_what_may_have_run_is_not_repeated():
    session = ready_session(NEW)
    statement = live(session, b" call p(?)")
    exc = failure(
        session, execute(session, statement, bound(5)), packets(error(ER.UNKNOWN_STMT_HANDLER))
    )
    assert exc.errno == ER.UNKNOWN_STMT_HANDLER
    statement = live(session)
    long = bound(io.BytesIO(b"x"))
    exc = failure(
        session, execute(session, statement, long), packets(error(ER.UNKNOWN_STMT_HANDLER))
    )
    assert session.state is State.READY


def test_prepared_anew_with_another_number_of_parameters():
    session = ready_session(NEW)
    statement = live(session)
    turns = [packets(error(ER.NEED_REPREPARE)), prepared_answer(9, [NUMBER, NUMBER])]
    exc = failure(session, execute(session, statement, bound(5)), *turns)
    assert isinstance(exc, err.ProgrammingError)
    assert session.state is State.READY


def test_one_write_on_mariadb():
    session = ready_session(NEW, **MARIADB)
    statement = Prepared(b"select ?")
    line = Line(session, [PREPARED + ANSWER])
    assert line.run(prepare_and_execute(session, statement, bound(5))).rows == EXPECTED
    assert b"\xff\xff\xff\xff\0\1\0\0\0" in bytes(line.sent)
    assert statement.lives(session)


@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_one_write_that_fails(chunk):
    session = ready_session(NEW, **MARIADB)
    both = packets(error(ER.PARSE_ERROR)) + packets(error(ER.UNKNOWN_STMT_HANDLER))
    statement = Prepared(b"selec ?")
    exc = failure(session, prepare_and_execute(session, statement, bound(5)), both, chunk=chunk)
    assert exc.errno == ER.PARSE_ERROR
    assert session.state is State.READY
    assert not statement.lives(session)
    second = PREPARED + packets(error(ER.NO_SUCH_TABLE))
    statement = Prepared(b"select ?")
    exc = failure(session, prepare_and_execute(session, statement, bound(5)), second, chunk=chunk)
    assert exc.errno == ER.NO_SUCH_TABLE
    assert statement.lives(session)


@pytest.mark.parametrize(
    ("last", "writes"),
    [
        (b"select a, b from t where a = ?", 1), (b"insert into t values (?)", 2),
        (b"select f(?)", 2), (b"select a from t where a = ? for update", 2), (b"call p", 2),
        (b"select next value for s", 2), (b"select a from t into @a", 2),
    ],
)  # fmt: skip
def test_one_write_only_behind_what_may_run_again(last, writes):
    """MariaDB runs it in place of one that max_prepared_stmt_count refuses."""
    session = ready_session(NEW, **MARIADB)
    before = live(session, last)
    line = Line(session, [PREPARED, ANSWER] if writes == 2 else [PREPARED + ANSWER])
    line.run(prepare_and_execute(session, Prepared(b"select ?"), bound(5)))
    assert (b"\xff\xff\xff\xff\0\1\0\0\0" in bytes(line.sent)) == (writes == 1)
    before.close()
    assert session.last_prepared is not before
    before = live(session, last)
    before.close()  # in front of the next command: the server forgets which was the last
    line = Line(session, [PREPARED + ANSWER])
    line.run(prepare_and_execute(session, Prepared(b"select ?"), bound(5)))
    assert b"\xff\xff\xff\xff\0\1\0\0\0" in bytes(line.sent)


def test_long_data_goes_in_pieces():
    session = ready_session(NEW)
    statement = live(session, params=2)
    line = Line(session, [packets(ok())])
    line.run(execute(session, statement, bound(iter([b"ab", b"c"]), io.BytesIO())))
    send = bytes([COMMAND.COM_STMT_SEND_LONG_DATA]) + b"\7\0\0\0"
    pieces = [framed(send + number + data, 0) for number, data in [
        (b"\0\0", b"ab"), (b"\0\0", b"c"), (b"\1\0", b"")]]  # fmt: skip
    assert bytes(line.sent).startswith(b"".join(pieces))


@pytest.mark.parametrize("bad", [KeyError("mine"), err.DataError(1, "mine"), TypeError("mine")])
def test_a_source_that_fails_leaves_the_line_at_rest(bad):
    def source():
        yield b"a"
        raise bad

    session = ready_session(NEW)
    statement = live(session)
    with pytest.raises(type(bad), match="mine"):
        ask(session, execute(session, statement, bound(source())))
    assert session.state is State.READY
    line = Line(session, [prepared_answer(9, [NUMBER]), packets(ok())])
    line.run(execute(session, statement, bound(1)))


# -- hostile servers


@pytest.mark.parametrize("cut", range(0, len(PREPARED) + 1, 3))
def test_a_prepare_that_is_cut(cut):
    session = ready_session(NEW)
    exc = failure(
        session, prepare(session, Prepared(b"x")), PREPARED[: min(cut, len(PREPARED) - 1)]
    )
    assert exc.fatal


SHORT = answer([NUMBER, TEXT], ROWS[:3])


@pytest.mark.parametrize("cut", range(len(SHORT)))
def test_an_answer_that_is_cut(cut):
    session = ready_session(NEW)
    exc = failure(session, execute(session, live(session), bound(1)), SHORT[:cut])
    assert exc.fatal


@pytest.mark.parametrize(
    "head", [b"\1", b"\0\1\0\0", b"\xfe\0\0\2\0", b"\0" * 8, b"\xfb"], ids=repr
)
def test_no_answer_to_a_prepare(head):
    session = ready_session(NEW)
    exc = failure(session, prepare(session, Prepared(b"x")), prepared_answer(head=head))
    assert isinstance(exc, err.ProtocolError)


def test_fewer_definitions_than_announced():
    session = ready_session()
    head = struct.pack("<BIHHxH", 0, 7, 0, 3, 0)
    statement = Prepared(b"x")
    ask(session, prepare(session, statement), packets(head, NUMBER, eof()))
    assert statement.param_count == 3


@few
@given(data=st.binary(max_size=300), chunk=st.sampled_from([None, 1, 4]), maria=st.booleans())
def test_anything_may_answer(data, chunk, maria):
    session = ready_session(NEW, mariadb=maria)
    steps = [
        lambda: prepare(session, Prepared(b"x")),
        lambda: execute(session, live(ready_session(NEW)), bound(1)),
        lambda: prepare_and_execute(session, Prepared(b"x"), bound(1)),
    ]
    for step in steps:
        if session.usable():
            try:
                ask(session, step(), data, chunk=chunk)
            except err.Error:
                pass


KINDS = [
    *((code, flags) for code in (T.TINY, T.SHORT, T.INT24, T.LONG, T.LONGLONG, T.YEAR)
      for flags in (0, FLAG.UNSIGNED, FLAG.UNSIGNED | FLAG.ZEROFILL)),
    (T.FLOAT, 0), (T.DOUBLE, 0), (T.DATE, 0), (T.DATETIME, 0), (T.TIMESTAMP, 0), (T.TIME, 0),
    (T.NEWDECIMAL, 0), (T.VAR_STRING, 0), (T.BIT, 0), (T.NULL, 0),
]  # fmt: skip
columns_of = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from([0, 2, 6, 31, 200])),
                      min_size=1, max_size=30)  # fmt: skip


def piece_for(column, draw) -> bytes | None:
    layout = layout_of(column)
    if draw(st.integers(0, 9)) == 0:
        return None
    if layout.code:
        return draw(st.binary(min_size=layout.size, max_size=layout.size))
    sizes = {"date and time, or date": (0, 4, 7, 11, 5), "time": (0, 8, 12, 3)}
    choice = sizes.get(layout.form.value)
    if choice is None:
        return lenenc_bytes(draw(st.sampled_from([b"", b"1.5", b"x" * 260, b"\xff"])))
    size = draw(st.sampled_from(choice))
    plain = b"\xe8\7\2\x1d\1\2\3\4\5\0\0" if choice[1] == 4 else b"\1\3\0\0\0\1\2\3\4\5\0\0"
    return bytes([size]) + draw(st.one_of(st.just(plain[:size]), st.binary(
        min_size=size, max_size=size)))  # fmt: skip


@few
@given(st.data())
def test_generated_code_gives_what_the_loop_gives(data):
    """For rows of any columns, whole or damaged; nan is not equal to itself, so by repr."""
    chosen = data.draw(columns_of)
    columns = [
        parse_column(column("c", code, 45, flags=flags, decimals=decimals), 0)
        for (code, flags), decimals in chosen
    ]
    packed = binary_row(*(piece_for(each, data.draw) for each in columns))
    if data.draw(st.integers(0, 4)) == 0:
        at = data.draw(st.integers(0, len(packed) - 1))
        packed = data.draw(
            st.sampled_from([packed[: at + 1], packed + b"\0", packed[:at] + b"\xff" + packed[at:]])
        )
    decoder = binary_decoder_for(columns, Decoding(), True)
    batch = compile_binary_batch(decoder.binary_kinds, True)
    rows: list[Any] = []
    stop, _, failed = batch(framed(packed), 0, len(packed) + 4, 1, rows)
    try:
        slow = decoder.decode_row(packed, columns)
    except err.Error:
        assert failed
        return
    if not failed:
        assert stop == len(packed) + 4
        assert repr(rows) == repr([slow])


def test_compiled_rows_by_the_batch():
    """Beyond the 40th row, in receives of any size, by numbers that wrap at 256."""
    rows = [binary_row(struct.pack("<i", n), lenenc_bytes(b"%d" % n)) for n in range(700)]
    assert len(rows) > ROWS_BEFORE_COMPILING
    for chunk in (None, 1, 11, 4096):
        session = ready_session(NEW)
        line = Line(session, [answer([NUMBER, TEXT], rows)], chunk=chunk)
        statement = live(session)
        result = line.run(execute(session, statement, bound(1)))
        assert result.rows == [(n, str(n)) for n in range(700)]
