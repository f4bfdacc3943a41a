"""Many statements in one text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from line import Line, ready_session
from serverside import AUTOCOMMIT, column, error, framed, ok, row

from pymy import err
from pymy.constants import SERVER_STATUS
from pymy.protocol.joining import LONGEST, execute_joined
from pymy.protocol.needs import Need
from pymy.protocol.result import Result
from pymy.protocol.session import Session
from pymy.protocol.state import State

MORE = AUTOCOMMIT | SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS
ON, OFF = b"\x1b\0\0", b"\x1b\1\0"
EOF = framed(b"\xfe\0\0\2\0")
OK = framed(ok())


def answers(*payloads: bytes) -> bytes:
    """One answer of several results."""
    return b"".join(framed(each, number) for number, each in enumerate(payloads, 1))


def done(count: int) -> list[bytes]:
    return [ok(status=MORE, affected=1)] * (count - 1) + [ok(affected=1)]


def joined(session: Session, taken: list[Result], texts: Iterable[Any]) -> Any:
    pairs = (each if isinstance(each, tuple) else (each, True) for each in texts)
    return execute_joined(session, iter(pairs), taken.append)


def sent(line: Line) -> list[bytes]:
    data, found = bytes(line.sent), []
    while data:
        size = int.from_bytes(data[:3], "little")
        assert data[3] == 0
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    return found


def test_one_write() -> None:
    session, taken = ready_session(), list[Result]()
    line = Line(session, [EOF + answers(*done(3)) + EOF])
    line.run(joined(session, taken, [b"a", b"b", b"c"]))
    assert sent(line) == [ON, b"\x03a;b;c", OFF]
    assert line.needs == [Need.WRITE, Need.READ]
    assert [each.affected_rows for each in taken] == [1, 1, 1]
    assert (session.state, session.multi_statements) == (State.READY, False)


def test_several_are_allowed_already() -> None:
    session, taken = ready_session(multi_statements=True), list[Result]()
    line = Line(session, [answers(*done(2))])
    line.run(joined(session, taken, [b"a", b"b"]))
    assert sent(line) == [b"\x03a;b"]
    assert session.multi_statements


def test_the_first_error_ends_it() -> None:
    session, taken = ready_session(), list[Result]()
    results = [*done(3)[:2], error(1062, "Duplicate entry")]
    line = Line(session, [EOF + answers(*results) + EOF])
    texts = iter([b"a", b"b", b"c", b"d", b"alone", b"e"])
    with pytest.raises(err.IntegrityError):
        line.run(joined(session, taken, ((each, each != b"alone") for each in texts)))
    assert len(taken) == 2
    assert sent(line) == [ON, b"\x03a;b;c;d", OFF]
    assert list(texts) == [b"e"]
    assert not session.multi_statements


@pytest.mark.parametrize("option", [EOF, framed(error(1047, "Unknown command"))])
def test_a_server_that_takes_one_at_a_time(option: bytes) -> None:
    """It has run none: they go one by one."""
    session, taken = ready_session(), list[Result]()
    refusal = framed(error(1064, "You have an error in your SQL syntax"))
    first = option + refusal + option
    line = Line(session, [first, OK, framed(error(1062, "Duplicate entry"))])
    with pytest.raises(err.IntegrityError):
        line.run(joined(session, taken, [b"a", b"b", b"c"]))
    assert sent(line) == [ON, b"\x03a;b;c", OFF, b"\x03a", b"\x03b"]
    assert len(taken) == 1


def test_an_error_of_the_first_is_not_tried_again() -> None:
    session, taken = ready_session(), list[Result]()
    line = Line(session, [EOF + framed(error(1062, "Duplicate entry")) + EOF])
    with pytest.raises(err.IntegrityError):
        line.run(joined(session, taken, [b"a", b"b"]))
    assert len(sent(line)) == 3


def test_what_calls_bring() -> None:
    """Sets of rows, and the OK that ends the procedure."""
    session, taken = ready_session(), list[Result]()
    eof = b"\xfe\0\0" + int(MORE).to_bytes(2, "little")
    rows = [b"\1", column(), b"\xfe\0\0\2\0", row(b"7"), row(b"8"), eof]
    call = [*rows, *rows, ok(status=MORE)]
    last = [*rows, ok(affected=5)]
    line = Line(session, [EOF + answers(*call, *last) + EOF])
    line.run(joined(session, taken, [b"call p()", b"call q()"]))
    assert [each.rows for each in taken] == [[(7,), (8,)], [(7,), (8,)]]


@pytest.mark.parametrize("size", [1, 100, LONGEST - 1, LONGEST, 3 * LONGEST])
def test_texts_are_bounded(size: int) -> None:
    class Answering(Line):
        seen = 0

        def _receive(self) -> Need:
            fresh = sent(self)[self.seen :]
            self.seen += len(fresh)
            self.turns = [
                b"".join(
                    answers(*done(each.count(b";") + 1)) if each[:1] == b"\x03" else EOF
                    for each in fresh
                )
            ]
            return super()._receive()

    session, taken = ready_session(), list[Result]()
    line = Answering(session)
    count = 500 if size <= 100 else 5
    line.run(joined(session, taken, [size * b"x"] * count))
    assert len(taken) == count
    texts = [each for each in sent(line) if each[:1] == b"\x03"]
    assert all(len(each) <= max(size, LONGEST) + 1 for each in texts)
    assert sum(each.count(b"x") for each in texts) == count * size
    if size == 100:
        assert len(texts) == -(-500 // (LONGEST // 101))


def test_what_waited_is_not_sent_when_the_iterator_raises() -> None:
    def texts() -> Iterator[bytes]:
        yield b"a"
        yield b"b"
        raise ZeroDivisionError

    session, taken = ready_session(), list[Result]()
    line = Line(session, [])
    with pytest.raises(ZeroDivisionError):
        line.run(joined(session, taken, texts()))
    assert (sent(line), taken) == ([], [])
    assert session.state is State.READY


def test_abandoned() -> None:
    """Several statements are not left switched on."""
    session, taken = ready_session(), list[Result]()
    need = session.start(joined(session, taken, [b"a", b"b"]))
    session.sent(len(session.output()))
    assert session.abandon()
    data = EOF + answers(done(2)[0], error(1317, "Query execution was interrupted")) + EOF
    session.space()[: len(data)] = data
    need = session.filled(len(data))
    assert need is Need.DONE
    assert session.state is State.READY
    assert not session.multi_statements
