"""LOAD DATA LOCAL INFILE: what goes out, and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from line import Line, ready_session
from serverside import MORE, error, framed, ok

from pymy import err
from pymy.constants import CLIENT, CR
from pymy.protocol import infile
from pymy.protocol.commands import ping
from pymy.protocol.compression import COMPRESSIONS
from pymy.protocol.needs import Need
from pymy.protocol.query import discard, next_result, query
from pymy.protocol.state import State

LOAD = b"LOAD DATA LOCAL INFILE 'a.txt' INTO TABLE t"
ASKED = framed(b"\xfba.txt")


def loading(*after: bytes, files: Any = (), sql: bytes = LOAD, **more: Any) -> Line:
    return Line(ready_session(files_allowed=True, **more), [ASKED, *after], files=files)


def content(line: Line) -> list[bytes]:
    """The payloads behind the first."""
    data = bytes(line.sent)
    payloads = []
    while data:
        size = int.from_bytes(data[:3], "little")
        payloads.append(data[4 : 4 + size])
        data = data[4 + size :]
    return payloads[1:]


def numbers(line: Line) -> list[int]:
    data, found = bytes(line.sent), []
    while data:
        found.append(data[3])
        data = data[4 + int.from_bytes(data[:3], "little") :]
    return found


def test_a_file_goes_out_in_pieces() -> None:
    line = loading(framed(ok(2), 5), files=[b"one", b"two"])
    result = line.run(query(line.session, LOAD))
    assert result.affected_rows == 2
    assert content(line) == [b"one", b"two", b""]
    assert numbers(line) == [0, 2, 3, 4]
    assert line.session.file_name == b"a.txt"
    assert line.session.state is State.READY


def test_p93_an_empty_file_is_one_empty_packet() -> None:
    line = loading(framed(ok(), 3))
    line.run(query(line.session, LOAD))
    assert content(line) == [b""]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_p94_long_pieces_are_cut_and_sent_one_by_one(
    monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    """What waits to be sent is never more than one packet."""
    monkeypatch.setattr(infile, "PIECE", 100)
    line = loading(framed(ok(), 7), files=[kind(b"x" * 350)])
    line.run(query(line.session, LOAD))
    assert list(map(len, content(line))) == [100, 100, 100, 50, 0]
    assert line.needs.count(Need.WRITE) == 6


def test_a_later_statement_of_the_text_may_load() -> None:
    session = ready_session(files_allowed=True)
    line = Line(
        session, [framed(ok(status=MORE)) + framed(b"\xfba.txt", 2), framed(ok(5), 5)], files=[b"x"]
    )
    line.run(query(session, b"DO 1; " + LOAD))
    assert line.run(next_result(session)).affected_rows == 5


# refused


def refused(line: Line, sql: bytes, match: str) -> None:
    with pytest.raises(err.OperationalError, match=match) as caught:
        line.run(query(line.session, sql))
    assert caught.value.errno == CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED
    assert not caught.value.fatal
    assert content(line) == [b""]
    assert Need.FILE not in line.needs
    assert line.session.state is State.READY
    line.turns.insert(0, framed(ok()))
    line.run(ping(line.session))


@pytest.mark.parametrize("last", [ok(), error(1064)])
def test_p90_p91_files_that_were_not_allowed(last: bytes) -> None:
    line = Line(ready_session(), [ASKED, framed(last, 3)])
    refused(line, LOAD, "local files are switched off")
    assert line.session.statement == b""


@pytest.mark.parametrize(
    "sql",
    [
        b"SELECT 1",
        b"LOAD DATA LOCAL INFILE 'b.txt' INTO TABLE t",
        b"LOAD DATA LOCAL INFILE '/etc/a.txt' INTO TABLE t",
        b"LOAD DATA LOCAL INFILE 'A.TXT' INTO TABLE t",
        b"LOAD DATA INFILE 'a.txt' INTO TABLE t",
        b"SELECT 'LOAD DATA LOCAL INFILE ''a.txt'' INTO TABLE t'",
        b"-- LOAD DATA LOCAL INFILE 'a.txt' INTO TABLE t",
        b"LOAD DATA LOCAL INFILE 'a.txt\0' INTO TABLE t",
    ],
)
def test_p90_a_file_the_statement_does_not_name(sql: bytes) -> None:
    refused(loading(framed(ok(), 3), files=[b"secret"]), sql, "which the statement does not name")


def test_p90_bytes_are_told_apart() -> None:
    line = Line(ready_session(files_allowed=True), [framed(b"\xfb\xff.txt"), framed(ok(), 3)])
    refused(line, b"LOAD DATA LOCAL INFILE '\xfe.txt' INTO TABLE t", "does not name")


def test_p90_the_mode_of_backslashes_counts() -> None:
    sql = b"LOAD DATA LOCAL INFILE 'a\\.txt' INTO TABLE t"
    line = loading(framed(ok(), 4), files=[b"x"])
    line.run(query(line.session, sql))
    refused(loading(framed(ok(), 3), status=0x0200), sql, "does not name")


def test_p90_after_any_other_command() -> None:
    line = loading(statement=LOAD)
    with pytest.raises(err.ProtocolError, match="neither OK nor an error"):
        line.run(ping(line.session))
    assert len(line.sent) == 5


def test_p90_a_long_name_is_shown_in_part() -> None:
    line = Line(ready_session(), [framed(b"\xfb" + b"x" * 5000), framed(ok(), 3)])
    with pytest.raises(err.OperationalError) as caught:
        line.run(query(line.session, LOAD))
    assert len(caught.value.message) < 500


@pytest.mark.parametrize("kind", [None, "zlib"])
@pytest.mark.parametrize("capabilities", [0, CLIENT.PROGRESS])
def test_p94_a_server_that_has_enough(kind: str | None, capabilities: int) -> None:
    """It answers before the end: the file ends there. A progress report is no such answer."""
    session = ready_session(capabilities, files_allowed=True)
    if kind is not None:
        session.start_compression(COMPRESSIONS[kind](None))
    early = framed(error(1290, "enough"), 3)
    asked, early = (
        piece if kind is None else len(piece).to_bytes(3, "little") + b"\1\0\0\0" + piece
        for piece in (ASKED, early)
    )
    session.start(query(session, LOAD))
    session.sent(len(session.output()))
    session.space()[: len(asked)] = asked
    assert session.filled(len(asked)) is Need.FILE
    session.pieces = iter([b"piece", b"of this file only"])  # as a transport does
    session.resume(next(session.pieces))
    session.space()[: len(early)] = early
    session.filled(len(early))
    need = session.sent(len(session.output()))
    assert need is (Need.FILE if capabilities else Need.WRITE)
    while need is not Need.DONE:
        need = session.resume() if need is Need.FILE else session.sent(len(session.output()))
    with pytest.raises(err.Error, match="enough"):
        session.result()
    assert session.pieces is None  # else the next file would begin with the rest


# the handler raises


@pytest.mark.parametrize("last", [ok(1), error(1062), ok(1, status=MORE)])
@pytest.mark.parametrize(
    "problem", [ValueError("mine"), OSError("disk"), err.OperationalError(2068, "not allowed")]
)
@pytest.mark.parametrize("before", [[], [b"one"]])
def test_p92_a_handler_that_raises(last: bytes, problem: Exception, before: list[bytes]) -> None:
    """The file ends there, the answer is read, the handler's error comes out."""
    line = loading(framed(last, 3 + len(before)), files=[*before, problem])
    with pytest.raises(type(problem)) as caught:
        line.run(query(line.session, LOAD))
    assert caught.value is problem
    assert content(line) == [*before, b""]
    assert line.session.state is (State.RESULTS if last == ok(1, status=MORE) else State.READY)


def test_a_piece_that_is_no_bytes() -> None:
    line = loading(framed(ok(), 3), files=["text"])
    with pytest.raises(TypeError):
        line.run(query(line.session, LOAD))
    assert line.session.state is State.READY


def test_an_interrupt_in_the_handler_breaks() -> None:
    line = loading()
    session = line.session
    need = session.start(query(session, LOAD))
    need = session.sent(len(session.output()))
    session.space()[: len(ASKED)] = ASKED
    assert session.filled(len(ASKED)) is Need.FILE
    assert need is Need.READ
    session.fail(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        session.result()
    assert session.state is State.BROKEN


def test_p94_the_link_goes_while_sending() -> None:
    line = loading()
    session = line.session
    session.start(query(session, LOAD))
    session.sent(len(session.output()))
    session.space()[: len(ASKED)] = ASKED
    session.filled(len(ASKED))
    assert session.resume(b"piece") is Need.WRITE
    # the server said why before it hung up
    reason = framed(error(1290, "read only"), 3)
    session.space()[: len(reason)] = reason
    session.received(len(reason))
    session.lost("broken pipe")
    with pytest.raises(err.OperationalError, match="read only") as caught:
        session.result()
    assert caught.value.fatal
    assert session.state is State.BROKEN


@pytest.mark.parametrize("last", [b"\xfe\0\0\0\0", b"\x01", b"\xfba.txt"])
def test_an_answer_behind_a_file_that_makes_no_sense(last: bytes) -> None:
    line = loading(framed(last, 4), files=[b"x"])
    with pytest.raises(err.ProtocolError, match="after a file"):
        line.run(query(line.session, LOAD))
    assert line.session.state is State.BROKEN


def test_progress_while_loading() -> None:
    reports: list[Any] = []
    line = loading(
        framed(b"\xff\xff\xff\x01\x01\x02\x50\xc3\x00\x01x", 4) + framed(ok(), 5), files=[b"x"],
        capabilities=CLIENT.PROGRESS, progress=reports.append,
    )  # fmt: skip
    line.run(query(line.session, LOAD))
    assert len(reports) == 1


def test_files_of_abandoned_results_are_asked_for_too() -> None:
    """Dropping the results of a text still executes it, file included."""
    session = ready_session(files_allowed=True)
    line = Line(
        session, [framed(ok(status=MORE)) + framed(b"\xfba.txt", 2), framed(ok(5), 5)], files=[b"x"]
    )
    line.run(query(session, b"DO 1; " + LOAD))
    line.run(discard(session))
    assert session.state is State.READY
    assert Need.FILE in line.needs


OWN = b"LOAD DATA LOCAL INFILE 'own' INTO TABLE t"


def offering(sql: bytes, asked: bytes, *after: bytes) -> tuple[Line, Any]:
    """load_rows(): local files are off, one name is good for one statement."""
    session = ready_session(files_allowed=False)
    session.own_file = b"own"
    line = Line(session, [framed(b"\xfb" + asked), *after], files=[b"rows"])
    return line, query(session, sql)


def test_p90_rows_go_under_their_own_name() -> None:
    line, conversation = offering(OWN, b"own", framed(ok(2), 4))
    assert line.run(conversation).affected_rows == 2
    assert content(line) == [b"rows", b""]


@pytest.mark.parametrize(
    ("sql", "asked"), [(OWN, b"/etc/passwd"), (OWN, b"own2"), (b"SELECT 1", b"own"), (LOAD, b"own")]
)
def test_p90_rows_are_not_given_for_another_name(sql: bytes, asked: bytes) -> None:
    line, conversation = offering(sql, asked, framed(ok(), 3))
    with pytest.raises(err.OperationalError, match="local file"):
        line.run(conversation)
    assert content(line) == [b""]
    assert line.session.state is State.READY


def test_p90_rows_are_given_once() -> None:
    """A server that asks again, for a result it adds, gets nothing."""
    answer = framed(ok(2, status=MORE), 4) + framed(b"\xfbown", 5)
    line, conversation = offering(OWN, b"own", answer, framed(ok(), 7))
    session = line.session
    line.run(conversation)
    with pytest.raises(err.OperationalError, match="local file"):
        line.run(next_result(session))
    assert content(line) == [b"rows", b"", b""]


def test_a_new_file_begins_anew() -> None:
    """What an earlier file had left, since the server answered early, is not in it."""
    line = loading(framed(ok(), 3))
    line.session.pieces = iter([b"of an earlier file"])
    seen = []
    line.files = [b""]
    original = line.session.resume

    def resume(answer: Any = None) -> Any:
        seen.append(line.session.pieces)
        return original(answer)

    line.session.resume = resume  # type: ignore[method-assign]
    line.run(query(line.session, LOAD))
    assert seen[-1] is None
