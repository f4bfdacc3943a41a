"""Who may do what when: the state table and what a session does in every state."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from line import Line, ask, failure, new_session, ready_session
from serverside import MORE, column, eof, error, framed, greeting, ok, packets

from pymy import err
from pymy.constants import CR
from pymy.options import Options, SSLMode
from pymy.protocol import handshake
from pymy.protocol.commands import ping, quit_
from pymy.protocol.handshake import Credentials, connect
from pymy.protocol.needs import Conversation, Need
from pymy.protocol.query import discard, fetch_batch, next_result, query
from pymy.protocol.session import Session
from pymy.protocol.state import MOVES, State

ALLOWED = {
    State.CONNECTING: "READY BROKEN CLOSED",
    State.READY: "BUSY BROKEN CLOSED",
    State.BUSY: "READY STREAMING RESULTS BROKEN CLOSED",
    State.STREAMING: "BUSY BROKEN CLOSED",
    State.RESULTS: "BUSY BROKEN CLOSED",
    State.BROKEN: "CLOSED",
    State.CLOSED: "",
}
HEAD = packets(b"\x01", column(), eof())


@pytest.mark.parametrize(("old", "new"), list(product(State, State)), ids=lambda state: state.name)
def test_moves(old: State, new: State) -> None:
    session = new_session(state=old)
    if old is new or new.name in ALLOWED[old].split():
        session.move(new)
        assert session.state is new
    else:
        with pytest.raises(AssertionError, match=f"{old.name} -> {new.name}"):
            session.move(new)
        assert session.state is old


def test_every_state_says_what_it_is() -> None:
    assert set(MOVES) == set(State)
    assert all(len(state.value) > 10 for state in State)
    assert all(len(need.value) > 10 for need in Need)


@pytest.mark.parametrize(
    ("state", "errno", "match"),
    [
        (State.CLOSED, CR.CR_CONNECTION_CLOSED, "connection is closed"),
        (State.BROKEN, CR.CR_SERVER_GONE_ERROR, r"lost earlier \(cable\)"),
        (State.BUSY, CR.CR_CONNECTION_BUSY, "busy with another command"),
        (State.CONNECTING, CR.CR_CONNECTION_BUSY, "busy"),
    ],
)
@pytest.mark.parametrize("command", [ping, next_result, fetch_batch])
def test_commands_where_none_can_go(state: State, errno: int, match: str, command: Any) -> None:
    session = new_session(state=state)
    if state is State.BROKEN:
        session.broken_by = err.OperationalError(CR.CR_SERVER_LOST, "cable")
    line = Line(session)
    with pytest.raises(err.InterfaceError, match=match) as caught:
        line.run(command(session))
    assert caught.value.errno == errno
    assert not caught.value.sent
    assert not line.sent


def test_broken_without_a_reason() -> None:
    assert "lost earlier: open" in new_session(state=State.BROKEN).unusable().message


def test_fetch_needs_a_stream() -> None:
    session = ready_session()
    exc = failure(session, fetch_batch(session))
    assert isinstance(exc, err.InterfaceError)
    assert session.state is State.READY


def test_start_while_busy() -> None:
    session = ready_session()
    assert session.start(ping(session)) is Need.WRITE
    closed = []

    def other() -> Conversation[None]:
        try:
            yield Need.READ
        finally:
            closed.append(True)

    second = other()
    next(second)
    with pytest.raises(err.InterfaceError, match="one connection for each thread"):
        session.start(second)
    assert closed
    # the first goes on undisturbed
    assert session.sent(len(session.output())) is Need.READ
    data = framed(ok())
    session.space()[: len(data)] = data
    assert session.filled(len(data)) is Need.DONE
    assert session.result().status == 2


def test_no_result_is_an_error() -> None:
    """None would look like the result of a statement without rows."""
    session = ready_session()
    session.start(ping(session))
    with pytest.raises(err.InternalError, match="without a result") as info:
        session.result()
    assert (info.value.fatal, info.value.sent) == (True, True)
    assert session.state is State.BROKEN


def test_an_outcome_that_could_not_be_settled_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    session = ready_session()
    session.start(ping(session))

    def settle_error(error: BaseException) -> BaseException:
        raise RecursionError

    monkeypatch.setattr(session, "_settle_error", settle_error)
    with pytest.raises(RecursionError):
        session.eof()
    with pytest.raises(err.InternalError, match="without a result"):
        session.result()


def test_cut() -> None:
    session = ready_session()
    session.start(ping(session))
    session.cut()
    assert session.state is State.BROKEN
    assert session.need is Need.DONE
    assert "interrupted" in session.unusable().message
    session.cut()
    assert session.state is State.BROKEN


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_lost_while_idle(state: State) -> None:
    session = new_session(state=state)
    assert session.eof() is Need.DONE
    gone = State.CLOSED if state is State.CLOSED else State.BROKEN
    assert session.state is gone
    assert (session.broken_by is not None) == (state not in (State.CLOSED, State.BROKEN))


def test_lost_while_connecting() -> None:
    session = new_session()
    options = Options(user="me", ssl_mode=SSLMode.DISABLED)
    exc = failure(session, connect(session, options, Credentials((b"",), {})))
    assert exc.fatal
    assert not exc.sent
    assert session.state is State.BROKEN


def test_lost_while_busy_keeps_cause_and_number() -> None:
    session = ready_session()
    session.start(ping(session))
    cause = OSError("reset")
    assert session.lost("reset", cause, errno=2026) is Need.DONE
    with pytest.raises(err.OperationalError, match="Lost connection to the server: reset") as info:
        session.result()
    assert info.value.__cause__ is cause
    assert (info.value.errno, info.value.sent) == (2026, False)


def test_lost_behind_the_first_bytes() -> None:
    session = ready_session()
    session.start(ping(session))
    session.sent(1)
    session.eof()
    with pytest.raises(err.OperationalError) as info:
        session.result()
    assert info.value.sent


def test_lost_while_streaming() -> None:
    session = ready_session()
    ask(session, query(session, b"select", stream=True), HEAD)
    assert session.state is State.STREAMING
    exc = failure(session, fetch_batch(session))
    assert exc.errno == CR.CR_SERVER_LOST
    assert session.state is State.BROKEN


def test_lost_between_results() -> None:
    session = ready_session()
    ask(session, query(session, b"select"), framed(ok(status=MORE)))
    assert session.state is State.RESULTS
    failure(session, next_result(session))
    assert session.state is State.BROKEN


def test_lost_while_dropping_results() -> None:
    session = ready_session()
    ask(session, query(session, b"select"), framed(ok(status=MORE)))
    assert failure(session, discard(session)).errno == CR.CR_SERVER_LOST


@pytest.mark.parametrize("errno", [4031, 1927, 1040, 1153])
def test_p15_p20_last_words_explain_the_loss(errno: int) -> None:
    """An ERR that came while nobody read is the reason why the link is gone."""
    session = ready_session()
    put(session, framed(error(errno, "that is why"), 0))
    session.start(ping(session))
    session.lost("broken pipe")
    with pytest.raises(err.OperationalError, match="that is why") as info:
        session.result()
    assert (info.value.errno, info.value.fatal) == (errno, True)
    assert session.broken_by is info.value


@pytest.mark.parametrize("number", [0, 1])
def test_p15_an_error_while_idle_is_read_on_next_use(number: int) -> None:
    session = ready_session()
    put(session, framed(error(4031, "idle for too long"), number))
    assert session.state is State.READY
    exc = failure(session, ping(session))
    assert (exc.errno, exc.fatal) == (4031, True)
    assert session.state is State.BROKEN


@pytest.mark.parametrize("said", [framed(ok()), framed(ok(), 0), b"\0", framed(b"\x01")])
def test_p15_anything_else_while_idle_breaks(said: bytes) -> None:
    """It must not be taken for the answer to the next command, which does not go out at all."""
    session = ready_session()
    put(session, said)
    line = Line(session)
    with pytest.raises(err.ProtocolError, match="nobody asked for") as caught:
        line.run(ping(session))
    assert not caught.value.sent
    assert not line.sent
    assert session.state is State.BROKEN


@pytest.mark.parametrize("said", [framed(b"\xff", 0), framed(b"\xff\xff\xff\x01", 0), b"\0\0\0\0"])
def test_last_words_that_are_none(said: bytes) -> None:
    session = ready_session()
    put(session, said)
    session.eof()
    assert session.broken_by is not None
    assert session.broken_by.errno == CR.CR_SERVER_LOST


def put(session: Session, data: bytes) -> None:
    session.space()[: len(data)] = data
    assert session.filled(len(data)) is Need.DONE


# what comes out of a conversation


def raising(session: Session, error: BaseException, state: State) -> Conversation[None]:
    session.move(State.BUSY)
    session.move(state)
    raise error
    yield Need.READ


def test_an_exception_in_step_comes_out_as_it_is() -> None:
    session = ready_session()
    with pytest.raises(ValueError, match="mine"):
        Line(session).run(raising(session, ValueError("mine"), State.READY))
    assert session.state is State.READY


def test_an_exception_out_of_step_is_a_protocol_error() -> None:
    session = ready_session()
    with pytest.raises(err.ProtocolError, match=r"makes no sense \(ValueError: odd\)") as info:
        Line(session).run(raising(session, ValueError("odd"), State.BUSY))
    assert isinstance(info.value.__cause__, ValueError)
    assert session.broken_by is info.value


def test_an_interrupt_breaks_but_stays_itself() -> None:
    session = ready_session()
    with pytest.raises(KeyboardInterrupt):
        Line(session).run(raising(session, KeyboardInterrupt(), State.BUSY))
    assert session.state is State.BROKEN
    assert "interrupted" in session.unusable().message


def test_result_is_handed_out_once() -> None:
    session = ready_session()
    failure(session, query(session, b"x"), framed(error(1064)))
    assert session.result() is None


def test_eof_may_be_answered_by_a_result() -> None:
    """A conversation that takes the loss as its end ends."""

    def patient() -> Conversation[str]:
        try:
            yield Need.READ
        except err.OperationalError:
            return "over"
        return "data"

    session = ready_session()
    assert Line(session).run(patient()) == "over"
    assert session.state is State.BROKEN


def test_failing_may_need_more() -> None:
    def stubborn() -> Conversation[str]:
        try:
            yield Need.FILE
        except ValueError:
            session.put(b"sorry")
            yield Need.WRITE
        return "over"

    session = ready_session()
    line = Line(session, files=[ValueError()])
    assert line.run(stubborn()) == "over"
    assert line.sent == framed(b"sorry", 0)


def test_bytes_behind_the_end_wait() -> None:
    session = ready_session()
    session.start(ping(session))
    session.sent(len(session.output()))
    both = framed(ok()) + framed(error(4031), 0)
    session.space()[: len(both)] = both
    session.filled(len(both))
    assert session.result().status == 2
    assert failure(session, ping(session)).errno == 4031


# quit


@pytest.mark.parametrize("state", [State.READY, State.STREAMING, State.RESULTS])
def test_quit(state: State) -> None:
    session = new_session(state=state)
    line = Line(session)
    line.run(quit_(session))
    assert line.sent == framed(b"\x01", 0)
    assert session.state is State.CLOSED
    assert not session.usable()


@pytest.mark.parametrize("state", [State.CONNECTING, State.BUSY, State.BROKEN, State.CLOSED])
def test_quit_where_nothing_can_be_said(state: State) -> None:
    session = new_session(state=state)
    line = Line(session)
    line.run(quit_(session))
    assert not line.sent
    assert session.state is State.CLOSED


def test_lost_at_quit() -> None:
    session = ready_session()
    session.start(quit_(session))
    session.lost("broken pipe")
    with pytest.raises(err.OperationalError):
        session.result()
    assert session.state is State.CLOSED


def test_greeting_behind_the_greeting_is_out_of_order() -> None:
    session = new_session()
    options = Options(user="me", ssl_mode=SSLMode.DISABLED)
    exc = failure(
        session,
        handshake.connect(session, options, Credentials((b"",), {})),
        framed(greeting(), 0) * 2,
    )
    assert exc.errno == CR.CR_COMMANDS_OUT_OF_SYNC
