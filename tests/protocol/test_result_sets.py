"""Every shape of an answer: OK, ERR, sets of rows, and several of them."""

from __future__ import annotations

from typing import Any

import pytest
from line import Line, ask, failure, ready_session
from serverside import (
    MORE,
    column,
    end,
    eof,
    error,
    framed,
    ok,
    packets,
    result_set,
    row,
)

from pymy import err
from pymy.constants import CLIENT, FIELD_TYPE
from pymy.protocol.columns import parse_column
from pymy.protocol.commands import init_db
from pymy.protocol.heads import HEAD_BYTES_KEPT, HEADS_KEPT
from pymy.protocol.kinds import Decoding
from pymy.protocol.needs import Conversation
from pymy.protocol.packets import (
    Ok,
    is_terminator,
    parse_err,
)
from pymy.protocol.query import (
    discard,
    discard_rows,
    fetch_batch,
    next_result,
    query,
)
from pymy.protocol.result import Result
from pymy.protocol.session import Session
from pymy.protocol.state import State
from pymy.protocol.wire import Reader, lenenc, lenenc_bytes

NEW = CLIENT.DEPRECATE_EOF
both = pytest.mark.parametrize("capabilities", [0, NEW], ids=["eof", "deprecate_eof"])
ROWS = [row(b"1"), row(b"2"), row(b"3")]


def a_set(capabilities: int, rows: Any = ROWS, **more: Any) -> bytes:
    return result_set([column()], rows, deprecate_eof=bool(capabilities & NEW), **more)


def run(session: Session, *turns: bytes, sql: bytes = b"select", **more: Any) -> Any:
    return ask(session, query(session, sql, **more), *turns)


def fetch_all(session: Session) -> Conversation[list[Any]]:
    rows: list[Any] = []
    while session.state is State.STREAMING:
        rows += yield from fetch_batch(session)
    return rows


def read_stream(line: Line, result: Result) -> None:
    """Read to the end or the error, which waits in the result when rows came with it."""
    while line.session.state is State.STREAMING:
        result.rows += line.run(fetch_batch(line.session))
    if result.failure is not None:
        raise result.failure


# terminators


@pytest.mark.parametrize(
    ("size", "new", "old"),
    [(1, True, True), (5, True, True), (8, True, True), (9, True, False), (300, True, False),
     (0xFFFFFE, True, False), (0xFFFFFF, False, False), (0x1000001, False, False)],
)  # fmt: skip
def test_p7_p8_what_ends_rows(size: int, new: bool, old: bool) -> None:
    packet = b"\xfe" + bytes(size - 1)
    assert is_terminator(packet, True) is new
    assert is_terminator(packet, False) is old
    assert not is_terminator(b"\0" + packet, True)


def test_p7_a_long_ok_ends_rows() -> None:
    session = ready_session(NEW)
    turn = packets(b"\x01", column(), row(b"1"), end(tail=b"x" * 70_000))
    result = run(session, turn)
    assert (result.rows, len(result.message)) == ([(1,)], 70_000)


def test_p8_an_eof_of_one_byte() -> None:
    session = ready_session()
    result = run(session, packets(b"\x01", column(), b"\xfe", row(b"1"), b"\xfe"))
    assert (result.rows, result.ok) == ([(1,)], Ok())
    assert session.state is State.READY


@pytest.mark.parametrize("rows", [[], ROWS])
@pytest.mark.parametrize("last", [eof(), end()], ids=["eof", "ok"])
@pytest.mark.parametrize("how", ["buffered", "streamed", "dropped"])
@pytest.mark.parametrize("chunk", [None, 1, 60])
def test_p9_a_proxy_sends_eof_although_it_agreed_not_to(
    rows: list[bytes], last: bytes, how: str, chunk: int | None
) -> None:
    session = ready_session(NEW)
    turn = packets(b"\x01", column(), eof(), *rows, last)
    line = Line(session, [turn, framed(ok(5))], chunk=chunk)
    result = line.run(query(session, b"select", stream=how != "buffered"))
    if how == "streamed":
        result.rows += line.run(fetch_all(session))
    if how != "dropped":
        assert result.rows == [(1,), (2,), (3,)][: len(rows)]
    assert line.run(query(session, b"next")).affected_rows == 5


@pytest.mark.parametrize("stream", [False, True])
def test_p9_an_eof_only_at_the_end(stream: bool) -> None:
    session = ready_session(NEW)
    line = Line(session, [packets(b"\x01", column(), row(b"1")), framed(eof(), 4)])
    result = line.run(query(session, b"select", stream=stream))
    rows = line.run(fetch_all(session)) if stream else result.rows
    assert rows == [(1,)]
    assert session.state is State.READY


def test_p9_dropping_behind_the_first_row() -> None:
    session = ready_session(NEW)
    line = Line(session, [packets(b"\x01", column(), b"\x03bad"), framed(eof(), 4)])
    with pytest.raises(err.DataError):
        line.run(query(session, b"select"))
    assert session.state is State.READY


def test_no_end_behind_the_columns() -> None:
    session = ready_session()
    exc = failure(session, query(session, b"x"), packets(b"\x01", column(), row(b"1")))
    assert "no end behind the column definitions" in exc.message
    assert session.state is State.BROKEN


@both
@pytest.mark.parametrize("chunk", [None, 1])
def test_empty_sets(capabilities: int, chunk: int | None) -> None:
    session = ready_session(capabilities)
    result = ask(session, query(session, b"x"), a_set(capabilities, []), chunk=chunk)
    assert (result.rows, result.affected_rows, result.field_count) == ([], 0, 1)
    assert session.state is State.READY


# errors


@both
@pytest.mark.parametrize("errno", [1242, 3141, 1406, 1062])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("rows", [[], ROWS])
def test_p10_err_among_rows(capabilities: int, errno: int, stream: bool, rows: list[bytes]) -> None:
    """It ends all sets; the class of the error makes no difference (1406 is a DataError)."""
    session = ready_session(capabilities)
    head = [b"\x01", column()] + ([] if capabilities else [eof(MORE)])
    turn = packets(*head, *rows, error(errno, "in the middle", "22001"))
    line = Line(session, [turn, framed(ok())])
    result = Result()
    with pytest.raises(err.Error, match="in the middle") as caught:
        result = line.run(query(session, b"select", stream=stream))
        read_stream(line, result)
    assert (caught.value.errno, caught.value.fatal) == (errno, False)
    assert result.rows == ([(1,), (2,), (3,)] if stream and rows else [])
    assert session.state is State.READY
    assert session.streaming is None
    assert line.run(next_result(session)) is None
    line.run(query(session, b"next"))


@both
def test_p10_err_in_place_of_a_column_or_its_end(capabilities: int) -> None:
    for before in ([b"\x02", column()], [b"\x01", column()]):
        session = ready_session(capabilities)
        exc = failure(session, query(session, b"x"), packets(*before, error(1064)))
        assert (exc.errno, exc.fatal) == (1064, False)
        assert session.state is State.READY


@both
def test_p11_err_behind_several_sets(capabilities: int) -> None:
    session = ready_session(capabilities)
    first = a_set(capabilities, status=MORE)
    line = Line(session, [first])
    assert len(line.run(query(session, b"x")).rows) == 3
    second = framed(ok(status=MORE), session.sequence)
    third = framed(error(1051, "no such table"), session.sequence + 1)
    line = Line(session, [second + third, framed(ok())])
    assert line.run(next_result(session)).affected_rows == 0
    with pytest.raises(err.Error, match="no such table"):
        line.run(next_result(session))
    assert session.state is State.READY
    assert line.run(next_result(session)) is None
    line.run(query(session, b"next"))


@both
@pytest.mark.parametrize("stream", [False, True])
def test_p11_dropping_ends_at_an_err(capabilities: int, stream: bool) -> None:
    session = ready_session(capabilities)
    turn = a_set(capabilities, status=MORE)
    turn += framed(error(1051), turn_number(turn))
    line = Line(session, [turn, framed(ok(7))])
    line.run(query(session, b"x", stream=stream))
    with pytest.raises(err.Error) as caught:  # nobody asked for that set, but it failed
        line.run(discard(session))
    assert caught.value.errno == 1051
    assert session.state is State.READY
    assert line.run(query(session, b"next")).affected_rows == 7


def turn_number(turn: bytes) -> int:
    """The sequence id behind the last packet."""
    at = number = 0
    while at < len(turn):
        number = turn[at + 3] + 1
        at += 4 + int.from_bytes(turn[at : at + 3], "little")
    return number


@both
def test_a_new_command_drops_what_was_left(capabilities: int) -> None:
    session = ready_session(capabilities)
    first = a_set(capabilities, status=MORE)
    second = a_set(capabilities, start=turn_number(first))
    line = Line(session, [first, second, framed(ok(9))])
    line.run(query(session, b"x", stream=True))
    assert line.run(query(session, b"next")).affected_rows == 9


@both
def test_next_result_drops_the_rows_before_it(capabilities: int) -> None:
    session = ready_session(capabilities)
    first = a_set(capabilities, status=MORE)
    second = a_set(capabilities, [row(b"9")], start=turn_number(first))
    line = Line(session, [first + second])
    result = line.run(query(session, b"x", stream=True))
    assert result.unbuffered_active
    assert line.run(next_result(session)).rows == [(9,)]
    assert not result.unread


@both
def test_drop_with_a_limit(capabilities: int) -> None:
    session = ready_session(capabilities)
    turn = a_set(capabilities, [row(b"1" * 100)] * 10)
    line = Line(session, [turn], chunk=200)
    line.run(query(session, b"x", stream=True))
    assert line.run(discard_rows(session, 300)) is False
    assert session.state is State.STREAMING
    assert line.run(discard_rows(session, 10_000)) is True
    assert session.state is State.READY


def test_p12_err_without_sqlstate() -> None:
    exc = parse_err(error(1040, "Too many connections", None))
    assert (exc.errno, exc.sqlstate, exc.message) == (1040, None, "Too many connections")
    assert parse_err(error(1040, "x", "08004")).sqlstate == "08004"
    assert parse_err(b"\xff\x10\x04").message == ""
    assert parse_err(b"\xff\x10\x04#1234").message == "#1234"
    with pytest.raises(err.ProtocolError):
        parse_err(b"\xff\x10")


# heads


def test_p17_trailing_bytes_of_a_column_are_ignored() -> None:
    packet = column("a", FIELD_TYPE.LONG, tail=b"later versions")
    assert parse_column(packet, 0) == parse_column(column("a", FIELD_TYPE.LONG), 0)
    with pytest.raises(err.ProtocolError, match="without its fixed part"):
        parse_column(column()[:-13] + b"\x0b" + bytes(11), 0)
    for size in range(len(column()) - 2):
        with pytest.raises(err.ProtocolError):
            parse_column(column()[:size], 0)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (b"", ("", "")),
        (b"\x00" + lenenc_bytes(b"uuid"), ("uuid", "")),
        (b"\x01" + lenenc_bytes(b"json"), ("", "json")),
        (b"\x07" + lenenc_bytes(b"?") + b"\x00" + lenenc_bytes(b"inet6"), ("inet6", "")),
    ],
)
def test_extended_metadata(block: bytes, expected: tuple[str, str]) -> None:
    parsed = parse_column(column(extended=block), CLIENT.EXTENDED_METADATA)
    assert (parsed.extended_type, parsed.extended_format) == expected


def test_p67_names_are_in_the_connections_charset() -> None:
    session = ready_session(decoding=Decoding(encoding="cp1252"))
    packet = column("X").replace(b"\x01X", b"\x01\xe9")
    assert run(session, result_set([packet])).description[0][0] == "\u00e9"
    exc = failure(session, query(session, b"x"), framed(b"\xff\x28\x04#42000\xe9\x80?"))
    assert exc.message == "\u00e9\u20ac?"
    ask(session, init_db(session, b"\xe9"), framed(ok()))
    assert session.schema == "\u00e9"
    # with "binary" the server converts nothing and its own UTF-8 comes through
    assert run(session, result_set([column("\u00e9")])).description[0][0] == "\u00e9"


def test_p18_a_column_count_is_a_number() -> None:
    """0xFB and 0xFF start no number; a count beyond reason takes no memory."""
    for first in (b"\xfb", b"\xff"):
        with pytest.raises(err.ProtocolError, match="not a number"):
            Reader(first + bytes(9)).lenenc()
    session = ready_session()
    exc = failure(session, query(session, b"x"), framed(b"\xfc\x00\x00"))
    assert "without columns" in exc.message
    exc = failure(ready := ready_session(), query(ready, b"x"), framed(b"\xfe" + b"\xff" * 8))
    assert "columns" in exc.message


@pytest.mark.parametrize("number", [0, 250, 251, 65535, 65536, 0xFFFFFF, 1 << 24, (1 << 64) - 1])
def test_lenenc(number: int) -> None:
    assert Reader(lenenc(number)).lenenc() == number


@both
@pytest.mark.parametrize("chunk", [None, 10])
def test_p68_heads_are_remembered(capabilities: int, chunk: int | None) -> None:
    session = ready_session(capabilities)
    heads = []
    for _ in range(2):
        heads.append(ask(session, query(session, b"x"), a_set(capabilities), chunk=chunk).head)
    assert (heads[0] is heads[1]) == (chunk is None)
    assert heads[0].columns == heads[1].columns


def test_p68_what_is_remembered_is_bounded() -> None:
    session = ready_session()
    for number in range(HEADS_KEPT + 5):
        run(session, result_set([column(f"c{number}")]))
    assert len(session.heads) == HEADS_KEPT
    known = set(session.heads)
    run(session, result_set([column("n" * 1000)] * (HEAD_BYTES_KEPT // 1000)))
    assert set(session.heads) == known


def test_p68_wide_rows() -> None:
    count = 4096
    columns = [column(f"c{at}") for at in range(count)]
    values = [b"%d" % at for at in range(count)]
    result = run(ready_session(), result_set(columns, [row(*values)] * 50), sql=b"x")
    assert result.field_count == count
    assert result.rows == [tuple(range(count))] * 50


def test_p61_duplicate_names_are_kept() -> None:
    result = run(ready_session(), result_set([column("a"), column("a")], [row(b"1", b"2")]))
    assert result.rows == [(1, 2)]
    assert [item[0] for item in result.description] == ["a", "a"]
