"""Several commands on their way at once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from line import Line, ready_session
from serverside import column, error, framed, ok, packets, result_set, row

from pymy import err
from pymy.constants import COMMAND
from pymy.protocol import pipelining
from pymy.protocol.compression import zlib_compression
from pymy.protocol.needs import Conversation, Need
from pymy.protocol.pipelining import Command, run_together, takes_several
from pymy.protocol.query import query, read_result
from pymy.protocol.resetting import ResetWays
from pymy.protocol.session import Session
from pymy.protocol.state import State

OK = framed(ok())
REFUSAL = framed(error(1062, "Duplicate entry"))


def command(session: Session, sql: bytes, **more: Any) -> Command:
    reading = partial(read_result, session, False)
    return Command(COMMAND.COM_QUERY, sql, reading, sql, **more)


def of(session: Session, *texts: bytes) -> list[Command]:
    return [command(session, each) for each in texts]


def payloads(data: bytes | bytearray) -> list[bytes]:
    found = []
    while data:
        size = int.from_bytes(data[:3], "little")
        assert data[3] == 0
        found.append(bytes(data[5 : 4 + size]))
        data = data[4 + size :]
    return found


def test_one_write_and_answers_in_turn() -> None:
    session = ready_session()
    rows = result_set([column()], [row(b"7")])
    line = Line(session, [OK + rows + REFUSAL + OK])
    commands = of(session, b"a", b"b", b"c", b"d")
    line.run(run_together(session, commands))
    assert line.needs == [Need.WRITE, Need.READ]
    assert payloads(line.sent) == [b"a", b"b", b"c", b"d"]
    assert all(each.sent and each.done for each in commands)
    assert [each.error and each.error.errno for each in commands] == [None, None, 1062, None]
    assert commands[1].result.rows == [(7,)]
    assert (session.state, session.followed, session.held) == (State.READY, False, 0)


@pytest.mark.parametrize("chunk", [1, 7, None])
def test_cut_anywhere(chunk: int | None) -> None:
    session = ready_session()
    rows = result_set([column(), column()], [row(b"7", b"8"), row(b"9", None)])
    commands = of(session, b"a", b"b", b"c")
    Line(session, [rows + REFUSAL + rows], chunk=chunk).run(run_together(session, commands))
    assert [each.error is None for each in commands] == [True, False, True]
    assert commands[0].result.rows == commands[2].result.rows == [(7, 8), (9, None)]


class Server(Line):
    """Answers each command by OK, and counts what was on its way unanswered."""

    def __init__(self, session: Session, at_once: int) -> None:
        super().__init__(session)
        self.at_once = at_once
        self.waiting: list[int] = []
        self.most = self.most_bytes = self.seen = 0

    def _receive(self) -> Need:
        fresh = bytes(self.sent[self.seen :])
        self.seen = len(self.sent)
        self.waiting += [len(each) + 5 for each in payloads(fresh)]
        self.most = max(self.most, len(self.waiting))
        self.most_bytes = max(self.most_bytes, sum(self.waiting))
        assert self.waiting, "it reads, and nothing is on its way"
        count = min(self.at_once, len(self.waiting))
        del self.waiting[:count]
        self.turns = [count * OK]
        return super()._receive()


@pytest.mark.parametrize("at_once", [1, 5, 1000])
@pytest.mark.parametrize("size", [1, 100, 5000, 20000, 40000])
def test_the_window(size: int, at_once: int) -> None:
    session = ready_session()
    server = Server(session, at_once)
    done: list[Command] = []

    def commands() -> Iterator[Command]:
        for _ in range(1000):
            done.append(command(session, size * b"x"))
            yield done[-1]

    server.run(run_together(session, commands()))
    assert len(done) == 1000
    assert all(each.done for each in done)
    assert server.most <= pipelining.MOST
    assert server.most_bytes <= max(pipelining.WINDOW, size + 5)
    assert server.most == max(1, min(pipelining.MOST, pipelining.WINDOW // (size + 5)))
    writes = server.needs.count(Need.WRITE)
    assert writes <= 3 + 2 * 1000 / server.most


def test_what_goes_alone() -> None:
    session = ready_session()
    commands = of(session, b"a", b"b", b"alone", b"c", b"d")
    commands[2].alone = lambda: query(session, b"alone")
    line = Line(session, [2 * OK, OK, 2 * OK])
    line.run(run_together(session, commands))
    assert all(each.done for each in commands)
    assert payloads(line.sent) == [b"a", b"b", b"alone", b"c", b"d"]
    assert line.needs == 3 * [Need.WRITE, Need.READ]


def test_one_at_a_time() -> None:
    session = ready_session()
    line = Line(session, [OK, REFUSAL, OK])
    commands = of(session, b"a", b"b", b"c")
    line.run(run_together(session, commands, most=1))
    assert line.needs == 3 * [Need.WRITE, Need.READ]
    assert [each.error is None for each in commands] == [True, False, True]


def test_who_takes_several() -> None:
    assert takes_several(ready_session())
    assert takes_several(ready_session(ways=ResetWays(together=True)))
    assert not takes_several(ready_session(ways=ResetWays(together=False)))
    assert not takes_several(ready_session(files_allowed=True))
    assert not takes_several(ready_session(compression=zlib_compression(6)))


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_a_lost_link_is_the_error_of_what_was_sent(answered: int) -> None:
    session = ready_session()
    ways = ResetWays(together=True)
    commands = of(session, b"a", b"b", b"c", (pipelining.WINDOW - 10) * b"x")
    with pytest.raises(err.OperationalError) as caught:
        Line(session, [answered * OK]).run(run_together(session, commands, ways))
    assert caught.value.fatal
    assert caught.value.sent
    assert session.state is State.BROKEN
    assert [each.error is None for each in commands[:3]] == [n < answered for n in range(3)]
    assert [each.done for each in commands] == [True, True, True, False]
    assert not commands[3].sent
    assert ways.together is (answered == 0)


def test_a_cut_does_not_tell_against_the_way() -> None:
    session = ready_session()
    ways = ResetWays(together=True)
    need = session.start(run_together(session, of(session, b"a", b"b"), ways))
    assert need is Need.WRITE
    session.sent(len(session.output()))
    session.space()[: len(OK)] = OK
    session.filled(len(OK))
    session.cut()
    assert ways.together


def test_a_file_asked_for_in_the_middle_gets_nothing_that_follows() -> None:
    session = ready_session()
    with pytest.raises(err.ProtocolError, match="file"):
        Line(session, [framed(b"\xfbx")]).run(run_together(session, of(session, b"a", b"b")))
    assert session.state is State.BROKEN
    session = ready_session()
    commands = of(session, b"a", b"b")
    line = Line(session, [OK + framed(b"\xfbx"), framed(ok(), 3)])
    line.run(run_together(session, commands))
    assert commands[1].error is not None
    assert "switched off" in commands[1].error.message
    assert session.state is State.READY


def test_a_server_in_confusion() -> None:
    for answers in (OK + b"\0\0\0\1", OK + framed(b"\xfe\0\0"), framed(ok(), 2) + OK):
        session = ready_session()
        with pytest.raises(err.Error):
            Line(session, [answers]).run(run_together(session, of(session, b"a", b"b")))
        assert session.state is State.BROKEN


def test_more_than_was_asked_for() -> None:
    session = ready_session()
    commands = of(session, b"a", b"b")
    Line(session, [3 * OK]).run(run_together(session, commands))
    with pytest.raises(err.Error):
        Line(session, [OK]).run(query(session, b"c"))
    assert session.state is State.BROKEN


def test_router_counts_on() -> None:
    session = ready_session()
    commands = of(session, b"a", b"b")
    rows = packets(b"\1", column(), b"\xfe\0\0\2\0", row(b"7"), b"\xfe\0\0\2\0", start=2)
    Line(session, [OK + rows]).run(run_together(session, commands))
    assert commands[1].result.rows == [(7,)]


def test_what_the_source_raises_comes_behind_the_answers() -> None:
    session = ready_session()
    commands = of(session, b"a", b"b")

    def source() -> Iterator[Command]:
        yield from commands
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Line(session, [2 * OK]).run(run_together(session, source()))
    assert [each.done for each in commands] == [True, True]
    assert session.state is State.READY


@pytest.mark.parametrize("answered", [0, 1, 2])
def test_abandoned(answered: int) -> None:
    """What went out is read, nothing more goes out, and nobody is told."""
    session = ready_session()
    big = (pipelining.WINDOW - 8) * b"x"
    commands = of(session, b"a", b"b", big)
    need = session.start(run_together(session, commands))
    session.sent(len(session.output()))
    for number in range(3):
        if number == answered:
            assert session.abandon()
        if number < 2:
            rows = result_set([column()], [row(b"7")])
            session.space()[: len(rows)] = rows
            need = session.filled(len(rows))
    if answered == 2:  # the third went out before
        assert need is Need.WRITE
        session.sent(len(session.output()))
        session.space()[: len(OK)] = OK
        need = session.filled(len(OK))
    assert need is Need.DONE
    assert session.state is State.READY
    assert not session.output()
    outcome = session.take_error()
    assert isinstance(outcome, err.OperationalError)
    assert [each.done for each in commands] == [n < answered for n in range(3)]


def test_closing_goes_in_front() -> None:
    session = ready_session(doomed=[3])
    line = Line(session, [2 * OK])
    line.run(run_together(session, of(session, b"a", b"b")))
    assert bytes(line.sent).startswith(b"\5\0\0\0\x19\3\0\0\0")
    assert payloads(line.sent[9:]) == [b"a", b"b"]


def test_what_is_killed_is_what_runs() -> None:
    session = ready_session()
    seen = []

    def noting(sql: bytes) -> Command:
        def answer() -> Conversation[Any]:
            seen.append((session.statement, session.binary))
            return (yield from read_result(session, False))

        return Command(
            COMMAND.COM_QUERY, sql, answer, sql, prepared=object() if sql == b"b" else None
        )

    Line(session, [3 * OK]).run(run_together(session, map(noting, (b"a", b"b", b"c"))))
    assert seen == [(b"a", False), (b"b", True), (b"c", False)]
