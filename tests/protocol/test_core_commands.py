"""The short commands, transactions, many statements in one call, and stopping one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from line import Line, ask, failure, new_session, ready_session
from serverside import (
    MORE,
    column,
    end,
    eof,
    error,
    framed,
    greeting,
    ok,
    packets,
    result_set,
    row,
)

from pymy import err
from pymy.constants import CLIENT, ER, FIELD_TYPE
from pymy.options import Options, SSLMode
from pymy.protocol import commands, stopping, transactions
from pymy.protocol import query as query_module
from pymy.protocol.bulk import Tally, execute_each
from pymy.protocol.handshake import Credentials
from pymy.protocol.needs import Conversation, Need
from pymy.protocol.packets import parse_greeting
from pymy.protocol.query import discard, query
from pymy.protocol.session import Session
from pymy.protocol.state import State

COMMANDS: list[tuple[bytes, Callable[[Session], Conversation[Any]]]] = [
    (b"\x0e", commands.ping),
    (b"\x02shop", lambda session: commands.init_db(session, b"shop")),
    (b"\x1b\0\0", lambda session: commands.set_option(session, True)),
    (b"\x1b\x01\0", lambda session: commands.set_option(session, False)),
]


@pytest.mark.parametrize(("sent", "command"), COMMANDS)
@pytest.mark.parametrize("answer", [ok(status=3), eof(3), end(3), b"\xfe"])
def test_answers(sent: bytes, command: Any, answer: bytes) -> None:
    session = ready_session(CLIENT.DEPRECATE_EOF)
    line = Line(session, [framed(answer)])
    assert line.run(command(session)).status == (0 if answer == b"\xfe" else 3)
    assert line.sent == framed(sent, 0)
    assert session.state is State.READY


@pytest.mark.parametrize(("sent", "command"), COMMANDS)
def test_errors(sent: bytes, command: Any) -> None:
    session = ready_session(schema="old")
    assert failure(session, command(session), framed(error(1049, "unknown"))).errno == 1049
    assert (session.state, session.schema) == (State.READY, "old")


@pytest.mark.parametrize("answer", [b"\x01", b"\xfb", b"\xfe" + bytes(20), b"\x00", b"\xff"])
def test_nonsense(answer: bytes) -> None:
    session = ready_session()
    exc = failure(session, commands.ping(session), framed(answer))
    assert isinstance(exc, err.ProtocolError)
    assert session.state is State.BROKEN


def test_init_db_remembers_the_schema() -> None:
    session = ready_session()
    ask(session, commands.init_db(session, "caf\u00e9".encode()), framed(ok()))
    assert session.schema == "caf\u00e9"


def test_statistics() -> None:
    session = ready_session()
    line = Line(session, [framed(b"Uptime: 1  Threads: \xff")])
    assert line.run(commands.statistics(session)) == "Uptime: 1  Threads: \ufffd"
    assert line.sent == framed(b"\x09", 0)
    assert session.state is State.READY
    assert failure(session, commands.statistics(session), framed(error(1227))).errno == 1227


def test_more_results_behind_a_command_are_dropped() -> None:
    session = ready_session()
    line = Line(session, [framed(ok(status=MORE)) + framed(ok(), 2), framed(ok(status=3))])
    line.run(commands.ping(session))
    assert session.state is State.RESULTS
    assert line.run(commands.ping(session)).status == 3


# many statements


def test_execute_each() -> None:
    session = ready_session()
    more = framed(ok(1, status=MORE)) + framed(ok(5), 2)
    line = Line(session, [framed(ok(2)), more, framed(ok((1 << 64) - 1, 9))])
    tally = Tally([])
    line.run(execute_each(session, iter([b"a", b"b", b"c"]), tally))
    assert (tally.affected, tally.result.insert_id) == (3, 9)
    assert tally.results == [(0, 2), (0, 1), (9, 0)]
    nothing = Tally()
    ask(session, execute_each(session, iter([]), nothing))
    assert (nothing.affected, nothing.result, nothing.results) == (0, None, None)


def test_execute_each_with_a_value_that_cannot_be_written() -> None:
    def statements() -> Iterator[bytes]:
        yield b"a"
        raise TypeError("no such literal")

    session = ready_session()
    line = Line(session, [framed(ok(2))])
    with pytest.raises(TypeError, match="no such literal"):
        line.run(execute_each(session, statements(), Tally()))
    assert session.state is State.READY


# transactions


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((None, None, False), ["START TRANSACTION"]),
        ((None, True, False), ["START TRANSACTION READ ONLY"]),
        ((None, False, True), ["START TRANSACTION WITH CONSISTENT SNAPSHOT, READ WRITE"]),
        (("repeatable-read", None, True),
         ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
          "START TRANSACTION WITH CONSISTENT SNAPSHOT"]),
        (("READ_COMMITTED", True, False),
         ["SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "START TRANSACTION READ ONLY"]),
    ],
)  # fmt: skip
def test_start_statements(given: Any, expected: list[str]) -> None:
    assert transactions.start_statements(*given) == expected


def test_an_unknown_isolation_level() -> None:
    with pytest.raises(err.ProgrammingError, match="is none of READ COMMITTED, "):
        transactions.start_statements("snapshot; drop", None, False)


def test_xids() -> None:
    made = transactions.make_xid(1, "a'b", "\u20ac")
    assert made.sql() == "X'612762',X'e282ac',1"
    for bad in [(-1, "a", ""), (1 << 31, "a", ""), (1, "a" * 65, ""), (1, "a", "\u20ac" * 22)]:
        with pytest.raises(err.ProgrammingError):
            transactions.make_xid(*bad)


XID = transactions.Xid(1, "a", "b")
SQL = b"X'61',X'62',1"


ACTIVE, IDLE, PREPARED = transactions.Phase
END, PREPARE, ROLLBACK = (b"XA %s %s" % (verb, SQL) for verb in (b"END", b"PREPARE", b"ROLLBACK"))
COMMIT, ONE_PHASE = b"XA COMMIT " + SQL, b"XA COMMIT " + SQL + b" ONE PHASE"


def sent_by(
    branch: transactions.Branch, conversation: Callable[..., Conversation[Any]], *answers: bytes
) -> tuple[bytes, int]:
    """Return the statements that were sent, and the error's number."""
    session = ready_session()
    line = Line(session, [framed(answer) for answer in answers])
    errno = 0
    try:
        line.run(conversation(session, branch))
    except err.Error as exc:
        errno = exc.errno
    assert session.state is State.READY
    return line.sent, errno


def commands_of(*statements: bytes) -> bytes:
    return b"".join(framed(b"\x03" + sql, 0) for sql in statements)


@pytest.mark.parametrize(
    ("conversation", "phase", "expected", "after"),
    [
        (transactions.xa_prepare, ACTIVE, [END, PREPARE], PREPARED),
        (transactions.xa_prepare, IDLE, [PREPARE], PREPARED),
        (transactions.xa_commit, ACTIVE, [END, ONE_PHASE], IDLE),
        (transactions.xa_commit, IDLE, [ONE_PHASE], IDLE),
        (transactions.xa_commit, PREPARED, [COMMIT], PREPARED),
        (transactions.xa_rollback, ACTIVE, [END, ROLLBACK], IDLE),
        (transactions.xa_rollback, IDLE, [ROLLBACK], IDLE),
        (transactions.xa_rollback, PREPARED, [ROLLBACK], PREPARED),
    ],
)
def test_xa(conversation: Any, phase: Any, expected: list[bytes], after: Any) -> None:
    branch = transactions.Branch(XID, phase)
    assert sent_by(branch, conversation, ok(), ok()) == (commands_of(*expected), 0)
    assert branch.phase is after


@pytest.mark.parametrize(
    ("conversation", "statement"),
    [(transactions.xa_prepare, PREPARE), (transactions.xa_commit, ONE_PHASE)],
)
def test_xa_end_is_not_sent_twice(conversation: Any, statement: bytes) -> None:
    branch = transactions.Branch(XID)
    sent = commands_of(END, statement)
    failed = error(ER.XA_RBROLLBACK)
    assert sent_by(branch, conversation, ok(), failed) == (sent, ER.XA_RBROLLBACK)
    assert branch.phase is IDLE
    assert sent_by(branch, transactions.xa_rollback, ok()) == (commands_of(ROLLBACK), 0)


@pytest.mark.parametrize("errno", [1399, 1402, 1613, 1614])
def test_xa_rollback_of_what_was_rolled_back(errno: int) -> None:
    branch = transactions.Branch(XID)
    sent = commands_of(END, ROLLBACK)
    assert sent_by(branch, transactions.xa_rollback, error(errno), ok()) == (sent, 0)


def test_xa_rollback_tolerates_no_other_error() -> None:
    branch = transactions.Branch(XID)
    sent = commands_of(END)
    assert sent_by(branch, transactions.xa_rollback, error(1317)) == (sent, 1317)


@pytest.mark.parametrize(("phase", "errno"), [(IDLE, 0), (PREPARED, ER.XAER_NOTA)])
def test_xa_rollback_of_what_is_gone(phase: Any, errno: int) -> None:
    branch = transactions.Branch(XID, phase)
    answer = error(ER.XAER_NOTA)
    assert sent_by(branch, transactions.xa_rollback, answer) == (commands_of(ROLLBACK), errno)


def recovered(*rows: bytes, type_code: int = FIELD_TYPE.BLOB, charset: int = 63) -> bytes:
    columns = [column("formatID", 8), column("gtrid_length", 8), column("bqual_length", 8)]
    return result_set([*columns, column("data", type_code, charset)], rows)


@pytest.mark.parametrize(
    ("version", "sent", "data", "charset"),
    [
        (b"9.7.0", b"XA RECOVER CONVERT XID", b"0x61ff", 45),
        (b"5.6.24", b"XA RECOVER", b"a\xff", 63),
        (b"11.8.2-MariaDB", b"XA RECOVER", b"a\xff", 63),
    ],
)
def test_xa_recover(version: bytes, sent: bytes, data: bytes, charset: int) -> None:
    parsed = parse_greeting(greeting(version))
    session = ready_session(greeting=parsed, mariadb=parsed.is_mariadb)
    line = Line(session, [recovered(row(b"1", b"1", b"1", data), charset=charset)])
    assert line.run(transactions.xa_recover(session)) == [(1, "a", "\udcff")]
    assert line.sent == framed(b"\x03" + sent, 0)


@pytest.mark.parametrize(
    "turn",
    [
        framed(ok()),
        recovered(row(None, None, None, None)),
        recovered(row(b"1", None, b"1", b"x")),
        recovered(row(b"1", b"1", b"1", b"0xzz"), charset=45),
        result_set([column()], [row(b"1")]),
        result_set([column()] * 4, [row(*[b"1"] * 4)]),
    ],
)
def test_xa_recover_with_a_list_that_is_none(turn: bytes) -> None:
    session = ready_session(greeting=parse_greeting(greeting()))
    try:
        found = ask(session, transactions.xa_recover(session), turn)
    except err.ProtocolError as exc:
        assert exc.fatal
        assert session.state is State.BROKEN
    else:
        assert found == []


def test_xa_recover_text_without_hexadecimal() -> None:
    session = ready_session(greeting=parse_greeting(greeting(b"5.6.24")))
    turn = recovered(row(b"1", b"1", b"1", b"ab"), charset=45)
    assert ask(session, transactions.xa_recover(session), turn) == [(1, "a", "b")]


# what an error says of the transaction


@pytest.mark.parametrize(
    ("errno", "mariadb", "undone"),
    [
        (1213, False, True), (1213, True, True), (1206, False, True), (1402, True, True),
        (1613, False, True), (1614, False, True), (1020, True, True), (1020, False, False),
        (3101, False, True), (3101, True, False), (1205, False, False), (1412, False, False),
        (1412, True, False), (1062, True, False),
    ],
)  # fmt: skip
def test_errors_that_roll_back(errno: int, mariadb: bool, undone: bool) -> None:
    session = ready_session(mariadb=mariadb)
    ask(session, query(session, b"begin"), framed(ok(status=3)))
    session.begun = True
    with pytest.raises(err.Error):
        ask(session, query(session, b"update"), framed(error(errno)))
    assert session.rollbacks == undone
    assert session.status_guessed is undone
    assert session.begun is not undone
    assert session.status == (2 if undone else 3)
    ask(session, query(session, b"do 0"), framed(ok(status=2)))
    assert not session.status_guessed
    assert not session.begun


def test_an_error_outside_transactions_rolls_nothing_back() -> None:
    session = ready_session()
    with pytest.raises(err.Error):
        ask(session, query(session, b"update"), framed(error(1213)))
    assert session.rollbacks == 0


# stopping


ROWS = [row(b"x" * 200)] * 10
HEAD = packets(b"\x01", column("s", FIELD_TYPE.BLOB), eof())


def streaming(monkeypatch: pytest.MonkeyPatch, *turns: bytes, kill: bool) -> Line:
    monkeypatch.setattr(query_module, "DRAIN_BYTES", 1000)
    session = ready_session()
    line = Line(session, [HEAD, packets(*ROWS, start=4), *turns], kill=lambda: kill)
    line.run(query(session, b"select", stream=True))
    return line


def test_a_short_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    line = streaming(monkeypatch, framed(eof(), 14), kill=False)
    monkeypatch.setattr(query_module, "DRAIN_BYTES", 10_000)
    line.run(discard(line.session))
    assert Need.KILL not in line.needs
    assert line.session.state is State.READY


@pytest.mark.parametrize("last", [error(ER.QUERY_INTERRUPTED), eof()])
@pytest.mark.parametrize("late", [ok(), error(ER.QUERY_INTERRUPTED)])
def test_p98_a_long_rest_is_killed(
    monkeypatch: pytest.MonkeyPatch, last: bytes, late: bytes
) -> None:
    """When the statement ends before the kill comes, the kill hits a statement of ours."""
    line = streaming(monkeypatch, framed(last, 14), framed(late), kill=True)
    line.run(discard(line.session))
    assert line.needs.count(Need.KILL) == 1
    assert line.session.state is State.READY
    assert (b"DO SLEEP(0)" in line.sent) == (last == eof())


def test_a_kill_that_did_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be stopped is not read for hours: the connection is closed."""
    line = streaming(monkeypatch, packets(*ROWS, eof(MORE), ok(), start=14), kill=False)
    with pytest.raises(err.OperationalError, match="could not be stopped"):
        line.run(discard(line.session))
    assert line.session.state is State.BROKEN


def test_who_kills_asks_for_no_other_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be stopped by a third connection, and that by a fourth, as the server likes."""
    line = streaming(monkeypatch, packets(*ROWS, eof(MORE), ok(), start=14), kill=True)
    line.session.is_side = True
    with pytest.raises(err.OperationalError, match="could not be stopped"):
        line.run(discard(line.session))
    assert Need.KILL not in line.needs
    assert line.session.state is State.BROKEN


def test_a_killed_statement_with_another_error(monkeypatch: pytest.MonkeyPatch) -> None:
    line = streaming(monkeypatch, framed(error(1205, "lock"), 14), kill=True)
    with pytest.raises(err.OperationalError, match="lock"):
        line.run(discard(line.session))
    assert line.session.state is State.READY


def test_nothing_to_stop() -> None:
    session = ready_session()
    line = Line(session)
    line.run(discard(session))
    assert not line.needs


def test_kill() -> None:
    options = Options(
        user="me", ssl_mode=SSLMode.DISABLED, init_command="x", sql_mode="y", compress="zlib",
        session_variables={"a": 1}, database="shop",
    )  # fmt: skip
    side = stopping.side_options(options)
    assert (side.init_command, side.sql_mode, side.compress) == (None, None, None)
    assert (side.user, side.database, dict(side.session_variables)) == ("me", "shop", {})
    assert (side.charset, side.collation) == ("utf8mb4", None)
    session = new_session()
    names = ["User", "Host", "db", "Command", "Time", "State", "Info"]
    clients = result_set(
        [column("Id"), *(column(name, FIELD_TYPE.VAR_STRING, 45) for name in names)],
        [
            row(str(number).encode(), b"me", host, b"shop", b"Query", b"1", b"", b"select 1")
            for number, host in [(7, b"localhost:11"), (42, b"localhost:12"), (43, b"[::1]:13")]
        ],
        deprecate_eof=True,
    )
    line = Line(
        session, [framed(greeting(), 0), framed(ok(), 2), framed(ok()), clients, framed(ok())]
    )
    target = stopping.Target(0, None, 42, ":12", "")
    assert line.run(stopping.kill(session, side, Credentials((b"pw",), {}), target)) is True
    assert b"SHOW PROCESSLIST" in line.sent
    assert b"KILL QUERY 42" in line.sent
    assert line.sent.endswith(framed(b"\x01", 0))
    assert session.state is State.CLOSED
