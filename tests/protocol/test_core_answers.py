"""OK, progress reports, query attributes, and what a result shows."""

from __future__ import annotations

from typing import Any

import pytest
from line import Line, ask, failure, ready_session
from serverside import (
    AUTOCOMMIT,
    column,
    end,
    eof,
    error,
    framed,
    ok,
    packets,
    progress,
    result_set,
    row,
)

from pymy import err
from pymy.constants import CLIENT, FIELD_TYPE
from pymy.protocol.attributes import NO_ATTRIBUTES, attribute_block
from pymy.protocol.columns import parse_column
from pymy.protocol.needs import Conversation, Need
from pymy.protocol.packets import (
    Ok,
    Progress,
    SessionChange,
    parse_eof,
    parse_ok,
    parse_terminator,
)
from pymy.protocol.query import (
    discard,
    fetch_batch,
    query,
)
from pymy.protocol.result import Result
from pymy.protocol.session import Session
from pymy.protocol.state import State
from pymy.protocol.wire import lenenc_bytes

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


# OK


def test_p21_counts_have_64_bits() -> None:
    top = (1 << 64) - 1
    result = run(ready_session(), framed(ok(top - 1, top)))
    assert (result.affected_rows, result.insert_id) == (top - 1, top)
    assert run(ready_session(), framed(ok(top))).affected_rows == -1


def test_p63_last_insert_id_is_unsigned() -> None:
    assert run(ready_session(), framed(ok(1, 1 << 63))).insert_id == 1 << 63


INFO = b"Rows matched: 1  Changed: 0"
STATE_CHANGED = 0x4000


@pytest.mark.parametrize(
    ("capabilities", "tail", "info"),
    [
        (0, b"", ""),
        (0, INFO, INFO.decode()),
        (0, lenenc_bytes(INFO), INFO.decode()),
        (CLIENT.SESSION_TRACK, b"", ""),
        (CLIENT.SESSION_TRACK, b"\0", ""),
        (CLIENT.SESSION_TRACK, lenenc_bytes(INFO), INFO.decode()),
    ],
)
def test_p64_p129_info(capabilities: int, tail: bytes, info: str) -> None:
    assert parse_ok(ok(tail=tail), capabilities).info == info
    assert parse_ok(ok(300, tail=tail), capabilities).info == info


def changes(*entries: bytes) -> bytes:
    return b"\0" + lenenc_bytes(b"".join(entries))


def entry(kind: int, *texts: bytes, before: bytes = b"") -> bytes:
    return bytes([kind]) + lenenc_bytes(before + b"".join(map(lenenc_bytes, texts)))


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], []),
        ([entry(0, b"sql_mode", b"ANSI")], [(0, "sql_mode", "ANSI")]),
        # MariaDB puts several pairs into one
        ([entry(0, b"a", b"1", b"b", b"2")], [(0, "a", "1"), (0, "b", "2")]),
        ([entry(1, b"shop")], [(1, "", "shop")]),
        ([b"\x02\x011"], [(2, "", "1")]),
        ([entry(3, b"uuid:1-5", before=b"\0")], [(3, "", "uuid:1-5")]),
        ([entry(4, b"SET TRANSACTION"), entry(5, b"T_______")],
         [(4, "", "SET TRANSACTION"), (5, "", "T_______")]),
        ([entry(99, b"?"), entry(1, b"shop")], [(1, "", "shop")]),
        ([b"\x63\x03abc", entry(6)], []),
    ],
)  # fmt: skip
def test_p128_session_changes(entries: list[bytes], expected: list[Any]) -> None:
    packet = ok(status=STATE_CHANGED, tail=changes(*entries))
    parsed = parse_ok(packet, CLIENT.SESSION_TRACK)
    assert list(parsed.session_changes) == [SessionChange(*each) for each in expected]
    # without the status flag nothing of it is there
    assert not parse_ok(ok(tail=changes(*entries)), CLIENT.SESSION_TRACK).session_changes


def test_p129_truncated_changes() -> None:
    packet = ok(status=STATE_CHANGED, tail=changes(entry(0, b"sql_mode", b"ANSI")))
    for size in range(8, len(packet)):
        with pytest.raises(err.ProtocolError):
            parse_ok(packet[:size] if size > 8 else packet[:-1], CLIENT.SESSION_TRACK)
    # absent altogether is fine
    assert parse_ok(packet[:7], CLIENT.SESSION_TRACK).session_changes == ()
    assert parse_ok(packet[:8], CLIENT.SESSION_TRACK).session_changes == ()


def test_the_same_bytes_mean_what_the_capabilities_say() -> None:
    packet = ok(status=STATE_CHANGED, tail=changes(entry(1, b"shop")))
    for _ in range(2):
        assert parse_ok(packet, CLIENT.SESSION_TRACK).session_changes
        assert not parse_ok(packet, 0).session_changes
        assert parse_ok(packet, 0).info


def test_changes_reach_the_session() -> None:
    session = ready_session(CLIENT.SESSION_TRACK, schema="old")
    for entries, schema, variables in [
        ([entry(1, b"shop"), entry(0, b"a", b"1")], "shop", {"a": "1"}),
        ([entry(1, b""), entry(0, b"a", b"2"), entry(2, b"1")], None, {"a": "2"}),
    ]:
        run(session, framed(ok(status=STATE_CHANGED, tail=changes(*entries))))
        assert (session.schema, session.variables) == (schema, variables)
        assert session.last_ok.session_changes
    many = [entry(0, b"v%d" % at, b"") for at in range(2000)]
    run(session, framed(ok(status=STATE_CHANGED, tail=changes(*many))))
    assert len(session.variables) <= 1000


def test_status_is_the_last_one() -> None:
    session = ready_session()
    run(session, framed(ok(status=0x0200)))
    assert session.no_backslash_escapes
    run(session, result_set([column()], status=AUTOCOMMIT))
    assert not session.no_backslash_escapes


def test_terminators_are_told_apart_by_length() -> None:
    assert parse_terminator(eof(3, 4), NEW) == Ok(status=3, warning_count=4)
    assert parse_terminator(end(3, 4), NEW) == Ok(status=3, warning_count=4)
    assert parse_terminator(eof(3, 4) + b"\0\0", 0) == Ok(status=3, warning_count=4)
    assert parse_eof(b"\xfe") == Ok()


# progress


SEEN = Progress(1, 2, 50.0, "x")


@pytest.mark.parametrize("stream", [False, True])
def test_progress_comes_anywhere(stream: bool) -> None:
    """Also among rows: CHECK TABLE answers with a set and reports while it builds it."""
    reports: list[Progress] = []
    session = ready_session(CLIENT.PROGRESS, progress=reports.append)
    turn = packets(
        progress(), b"\x01", column(), eof(), progress(), row(b"1"), progress(), row(b"2"),
        progress(), eof(),
    )  # fmt: skip
    line = Line(session, [turn])
    result = line.run(query(session, b"check table", stream=stream))
    assert (line.run(fetch_all(session)) if stream else result.rows) == [(1,), (2,)]
    assert reports == [SEEN] * 4


def test_progress_is_skipped_when_rows_are_dropped() -> None:
    session = ready_session(CLIENT.PROGRESS)
    turn = packets(b"\x01", column(), eof(), progress(), row(b"1"), eof())
    line = Line(session, [turn])
    line.run(query(session, b"check table", stream=True))
    line.run(discard(session))
    assert session.state is State.READY


@pytest.mark.parametrize("last", [ok(), error(1062)])
def test_a_progress_callback_that_raises(last: bytes) -> None:
    """What it raises waits for the answer, is not called again, and does not come twice."""
    calls = []

    def report(progress: Progress) -> None:
        calls.append(progress)
        raise RuntimeError("callback")

    session = ready_session(CLIENT.PROGRESS, progress=report)
    line = Line(session, [packets(progress(), progress(), last), framed(ok(3))])
    with pytest.raises(RuntimeError if last == ok() else err.IntegrityError):
        line.run(query(session, b"alter table"))
    assert calls == [SEEN]
    assert session.state is State.READY
    assert line.run(query(session, b"next")).affected_rows == 3


def test_progress_that_was_not_asked_for_is_an_error() -> None:
    session = ready_session()
    exc = failure(session, query(session, b"alter table"), framed(progress()))
    assert exc.errno == 0xFFFF


def test_error_65535_with_sqlstate_is_no_progress() -> None:
    session = ready_session(CLIENT.PROGRESS)
    exc = failure(session, query(session, b"alter table"), framed(error(0xFFFF, "odd")))
    assert (exc.errno, exc.message) == (0xFFFF, "odd")


def test_progress_that_is_cut_short() -> None:
    session = ready_session(CLIENT.PROGRESS)
    exc = failure(session, query(session, b"alter table"), framed(progress()[:-1]))
    assert isinstance(exc, err.ProtocolError)


# attributes


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (None, NO_ATTRIBUTES),
        ({}, NO_ATTRIBUTES),
        ({"n": None}, b"\x01\x01\x01\x01\x06\x00\x01n"),
        ({"n": -2}, b"\x01\x01\x00\x01\x08\x00\x01n" + b"\xfe" + b"\xff" * 7),
        ({"n": 1.5}, b"\x01\x01\x00\x01\x05\x00\x01n" + b"\0" * 6 + b"\xf8\x3f"),
        ({"\u00e9": "\u20ac"}, b"\x01\x01\x00\x01\xfd\x00\x02\xc3\xa9\x03\xe2\x82\xac"),
        ({"n": b"\0x"}, b"\x01\x01\x00\x01\xfd\x00\x01n\x02\0x"),
        ({"a": None, "b": "x"}, b"\x02\x01\x01\x01\x06\x00\x01a\xfd\x00\x01b\x01x"),
        ({f"k{at}": None for at in range(9)},
         b"\x09\x01\xff\x01\x01" + b"".join(b"\x06\0\x02k%d" % at for at in range(9))),
    ],
)  # fmt: skip
def test_query_attributes(attributes: Any, expected: bytes) -> None:
    assert attribute_block(attributes) == expected
    session = ready_session(CLIENT.QUERY_ATTRIBUTES)
    line = Line(session, [framed(ok())])
    line.run(query(session, b"do 1", attributes=attributes))
    assert line.sent == framed(b"\x03" + expected + b"do 1", 0)


@pytest.mark.parametrize("value", [1 << 63, object(), [1], bytearray(b"x")])
def test_a_bad_attribute_is_refused_before_anything_is_sent(value: Any) -> None:
    session = ready_session(CLIENT.QUERY_ATTRIBUTES)
    line = Line(session)
    with pytest.raises(TypeError, match="query attribute 'n' is"):
        line.run(query(session, b"do 1", attributes={"n": value}))
    assert not line.sent
    assert session.state is State.READY


def test_attributes_are_left_out_where_the_server_has_none() -> None:
    session = ready_session()
    line = Line(session, [framed(ok())])
    line.run(query(session, b"do 1", attributes={"n": 1}))
    assert line.sent == framed(b"\x03do 1", 0)


# results


def test_result_without_rows() -> None:
    result = run(ready_session(), framed(ok(3, 4, 10, 5, tail=b"info")))
    assert (result.affected_rows, result.insert_id, result.server_status) == (3, 4, 10)
    assert (result.warning_count, result.message, result.has_next) == (5, "info", True)
    assert (result.columns, result.description, result.session_changes) == ((), None, ())
    assert repr(result) == "<Result no columns, 0 rows>"
    assert list(result) == []


def test_result_with_rows() -> None:
    session = ready_session()
    result = run(session, a_set(0), stream=True)
    assert (result.affected_rows, result.unread, result.has_next) == (-1, True, False)
    assert repr(result) == "<Result 1 columns, 0 rows, more unread>"
    result = run(ready_session(), a_set(0))
    assert (result.affected_rows, list(result)) == (3, [(1,), (2,), (3,)])
    assert result.description == (("a", 3, None, 11, 11, 0, True),)


def test_an_empty_result_is_no_set() -> None:
    assert Result().unread


@pytest.mark.parametrize(
    ("type_code", "charset", "length", "characters"),
    [
        (FIELD_TYPE.VAR_STRING, 45, 80, 20),
        (FIELD_TYPE.STRING, 33, 60, 20),
        (FIELD_TYPE.STRING, 8, 20, 20),
        (FIELD_TYPE.VAR_STRING, 63, 20, 20),
        (FIELD_TYPE.VAR_STRING, 65_000, 20, 20),
        (FIELD_TYPE.BLOB, 45, 80, 80),
    ],
)
def test_length_in_characters(type_code: int, charset: int, length: int, characters: int) -> None:
    parsed = parse_column(column("a", type_code, charset, length=length, flags=1), 0)
    assert parsed.description() == ("a", type_code, None, characters, characters, 0, False)


def test_needs_are_asked_in_order() -> None:
    session = ready_session()
    line = Line(session, [framed(ok())])
    line.run(query(session, b"do 1"))
    assert line.needs == [Need.WRITE, Need.READ]
