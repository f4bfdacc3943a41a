"""The session's first state, one command after the other and in one write."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from line import Line, ready_session
from login_talk import credentials, options
from serverside import column, error, framed, greeting, ok, packets, result_set, row

from pymy import err
from pymy.constants import CLIENT, ER, FIELD_TYPE, SERVER_STATUS
from pymy.protocol.compression import zlib_compression
from pymy.protocol.needs import Need
from pymy.protocol.packets import parse_greeting
from pymy.protocol.resetting import ResetWays, reset
from pymy.protocol.session import Session
from pymy.protocol.state import State

RESET, INIT_DB, QUERY, CHANGE_USER = b"\x1f", b"\x02shop", b"\x03", b"\x11me\0"
NAMES = QUERY + b"SET NAMES utf8mb4, autocommit=0"
FIRST = QUERY + b"set @a = 1"
OK = framed(ok())
UNKNOWN = framed(error(ER.UNKNOWN_COM_ERROR, "unknown command"))
IN_TRANSACTION = int(SERVER_STATUS.SERVER_STATUS_IN_TRANS)


def session_of(version: bytes = b"9.7.0", **more: Any) -> Session:
    capabilities = CLIENT.PLUGIN_AUTH | CLIENT.SESSION_TRACK
    hello = parse_greeting(greeting(version))
    given: dict[str, Any] = {"capabilities": capabilities, "greeting": hello, "schema": "shop"}
    given |= {"mariadb": hello.is_mariadb, "set_role": b""}
    return ready_session(**(given | more))


class Reset:
    """One reset against a script, and what came of it."""

    def __init__(
        self,
        *turns: bytes,
        session: Session | None = None,
        ways: ResetWays | None = None,
        chunk: int | None = None,
        **chosen: Any,
    ) -> None:
        self.ways = ways or ResetWays(together=True)
        self.session = session or session_of()
        self.line = Line(self.session, turns, chunk=chunk)
        self.error: err.Error | None = None
        chosen = {"database": "shop"} | chosen
        try:
            self.line.run(reset(self.session, options(**chosen), credentials, self.ways))
        except err.Error as exc:
            self.error = exc

    @property
    def writes(self) -> int:
        return self.line.needs.count(Need.WRITE)

    def sent(self) -> list[bytes]:
        """The payloads that went out; each command's first is number 0."""
        data, payloads = bytes(self.line.sent), []
        while data:
            size = int.from_bytes(data[:3], "little")
            assert data[3] == 0 or payloads[-1][:1] == b"\x11"
            payloads.append(data[4 : 4 + size])
            data = data[4 + size :]
        return payloads


def one_by_one() -> ResetWays:
    return ResetWays(together=False)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("chunk", [None, 1])
def test_all_is_as_at_first(together: bool, chunk: int | None) -> None:
    session = session_of(variables={"a": "1"}, schema="old")
    turns = [4 * OK] if together else 4 * [OK]
    done = Reset(
        *turns, session=session, ways=ResetWays(together), init_command="set @a = 1", chunk=chunk
    )
    assert done.error is None
    assert done.sent() == [RESET, NAMES, INIT_DB, FIRST]
    assert done.writes == (1 if together else 4)
    assert (session.variables, session.schema, session.state) == ({}, "shop", State.READY)
    assert session.autocommit_known
    assert done.ways == ResetWays(together)


def test_rows_and_errors_of_the_first_statements() -> None:
    rows = result_set([column()], [row(b"1")])
    done = Reset(3 * OK + rows, init_command="select 1")
    assert (done.error, done.session.state) == (None, State.READY)
    for number in range(1, 4):
        answers = 4 * [OK]
        answers[number] = framed(error(1064, f"of number {number}"))
        done = Reset(b"".join(answers), init_command="set @a = 1")
        assert done.error is not None
        assert done.error.message == f"of number {number}"
        assert done.error.fatal
        assert done.session.state is State.BROKEN
        assert done.ways.together


@pytest.mark.parametrize("numbers", [(1, 1, 1), (1, 2, 3), (1, 2, 1)])
def test_a_router_counts_on(numbers: Sequence[int]) -> None:
    done = Reset(b"".join(framed(ok(), number) for number in numbers))
    assert (done.error, done.session.state) == (None, State.READY)
    assert Reset(framed(ok(), 2)).error is not None


def test_an_open_transaction_is_rolled_back_first() -> None:
    """Were the reset refused, what follows it would commit."""
    done = Reset(4 * OK, session=session_of(status=IN_TRANSACTION))
    assert done.sent() == [QUERY + b"ROLLBACK", RESET, NAMES, INIT_DB]
    xa = framed(error(1399, "not in the ACTIVE state"))
    assert Reset(xa + 3 * OK, session=session_of(status=IN_TRANSACTION)).error is None


def test_the_block_of_query_attributes() -> None:
    session = session_of(
        capabilities=CLIENT.QUERY_ATTRIBUTES | CLIENT.SESSION_TRACK, status=IN_TRANSACTION
    )
    done = Reset(4 * OK, session=session)
    assert done.error is None
    assert done.sent()[::2] == [b"\x03\0\x01ROLLBACK", b"\x03\0\x01" + NAMES[1:]]


@pytest.mark.parametrize("together", [True, False])
def test_p112_unknown_to_the_server(together: bool) -> None:
    ways = ResetWays(together)
    turns = [UNKNOWN + 2 * OK] if together else [UNKNOWN]
    done = Reset(*turns, OK, OK, ways=ways)
    assert (done.error, done.session.state) == (None, State.READY)
    assert done.sent()[0] == RESET
    assert done.sent()[-2].startswith(CHANGE_USER)
    assert not ways.known
    done = Reset(OK, OK, ways=ways)
    assert [payload[:1] for payload in done.sent()] == [b"\x11", QUERY]


def test_p112_unknown_and_no_login_either() -> None:
    done = Reset(UNKNOWN + 2 * OK, framed(error(1105, "not supported")))
    assert done.error is not None
    assert done.error.errno == 1105
    assert done.session.state is State.BROKEN


@pytest.mark.parametrize(
    ("version", "first"),
    [(b"5.6.51", b"\x11"), (b"5.7.2", b"\x11"), (b"5.7.3", RESET), (b"8.0.11-TiDB", RESET),
     (b"5.5.5-10.2.3-MariaDB", b"\x11"), (b"5.5.5-10.2.4-MariaDB", RESET)],
)  # fmt: skip
def test_old_servers_log_in(version: bytes, first: bytes) -> None:
    roles = [OK] if first == b"\x11" and b"MariaDB" in version else []
    turns = [3 * OK] if first == RESET else [*roles, OK, OK]
    done = Reset(*turns, session=session_of(version))
    assert done.error is None
    assert done.sent()[len(roles)][:1] == first
    assert done.sent()[: len(roles)] == len(roles) * [QUERY + b"SET ROLE NONE"]


# -- roles

MARIADB = b"5.5.5-10.11.18-MariaDB"
GRANTS = QUERY + b"SHOW GRANTS"
ALL_ROLES = QUERY + b"SELECT @@GLOBAL.activate_all_roles_on_login"
APPLICABLE = QUERY + b"SELECT ROLE_NAME, IS_DEFAULT FROM information_schema.APPLICABLE_ROLES"
USAGE, ROLE = b"GRANT USAGE ON *.* TO `me`@`%`", b"GRANT `r`@`%`,`s`@`%` TO `me`@`%`"


TEXT = column("a", FIELD_TYPE.VAR_STRING, 45)


def grants(*lines: bytes) -> bytes:
    return result_set([TEXT], [row(line) for line in lines])


def applicable(*rows: tuple[bytes, bytes]) -> bytes:
    return result_set([TEXT, TEXT], [row(*each) for each in rows])


@pytest.mark.parametrize(
    ("version", "asked", "answers", "statement"),
    [
        (b"8.4.0", [GRANTS], [grants(USAGE)], b""),
        (b"8.4.0", [GRANTS, ALL_ROLES], [grants(USAGE, ROLE), grants(b"0")], b"SET ROLE DEFAULT"),
        (b"8.4.0", [GRANTS, ALL_ROLES], [grants(ROLE), grants(b"1")], b"SET ROLE ALL"),
        # with sql_mode=ANSI, and with sql_quote_show_create off
        (b"8.4.0", [GRANTS, ALL_ROLES], [grants(b'GRANT "r ON s"@"%" TO "a"'), grants(b"0")],
         b"SET ROLE DEFAULT"),
        (b"8.4.0", [GRANTS, ALL_ROLES], [grants(b"GRANT r@`%` TO me@`%`"), grants(b"0")],
         b"SET ROLE DEFAULT"),
        (b"8.4.0", [GRANTS], [framed(error(1290, "--skip-grant-tables"))], b""),
        (b"8.0.1", [], [], b""),
        (MARIADB, [APPLICABLE], [applicable()], b""),
        (MARIADB, [APPLICABLE], [applicable((b"r", b"NO"), (b"s", b"NO"))], b"SET ROLE NONE"),
        (MARIADB, [APPLICABLE], [applicable((b"r", b"NO"), (b"`s", b"YES"))], b"SET ROLE ```s`"),
        (MARIADB, [APPLICABLE], [framed(error(1109, "Unknown table"))], b""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("together", [True, False])
def test_roles_are_asked_for_once(
    version: bytes, asked: list[bytes], answers: list[bytes], statement: bytes, together: bool
) -> None:
    session = session_of(version, set_role=None)
    ways = ResetWays(together)
    back = [QUERY + statement] if statement else []
    later = [*back, INIT_DB, FIRST]
    if together:
        begin = [2 * OK + answers[0], *answers[1:]] if answers else []
        turns = [*begin, len(later) * OK] if begin else [(2 + len(later)) * OK]
    else:
        turns = [OK, OK, *answers, *len(later) * [OK]]
    done = Reset(*turns, session=session, ways=ways, init_command="set @a = 1")
    assert done.error is None
    assert done.sent() == [RESET, NAMES, *asked, *later]
    assert session.set_role == statement
    turns = [(2 + len(later)) * OK] if together else (2 + len(later)) * [OK]
    done = Reset(*turns, session=session, ways=ways, init_command="set @a = 1")
    assert done.error is None
    assert done.sent() == [RESET, NAMES, *later]
    assert done.writes == (1 if together else 2 + len(later))


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    "answer",
    [
        framed(error(1317, "Query execution was interrupted")),
        applicable((b"r", b"NO")),
        grants(ROLE) + framed(ok()),
    ],
)
def test_an_answer_that_leaves_the_roles_open(together: bool, answer: bytes) -> None:
    session = session_of(set_role=None)
    done = Reset(*([2 * OK + answer] if together else [OK, OK, answer]), session=session)
    assert done.error is not None
    assert done.session.state is State.BROKEN
    assert session.set_role is None


@pytest.mark.parametrize("together", [True, False])
def test_a_role_that_cannot_be_set(together: bool) -> None:
    refused = framed(error(1959, "Invalid role"))
    turns = [2 * OK + refused + OK] if together else [OK, OK, refused]
    done = Reset(
        *turns, session=session_of(MARIADB, set_role=b"SET ROLE `r`"), ways=ResetWays(together)
    )
    assert done.error is not None
    assert (done.error.errno, done.session.state) == (1959, State.BROKEN)


# -- COM_SET_OPTION


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_multi_statements_are_as_the_login_wanted_them(together: bool, wanted: bool) -> None:
    flag = CLIENT.MULTI_STATEMENTS if wanted else 0
    capabilities = CLIENT.PLUGIN_AUTH | CLIENT.SESSION_TRACK | flag
    session = session_of(capabilities=capabilities, multi_statements=not wanted)
    command = b"\x1b\0\0" if wanted else b"\x1b\1\0"
    eof = framed(b"\xfe\0\0\2\0")
    turns = [OK, eof, OK, OK] if together else [OK, OK, eof, OK]
    done = Reset(
        *([b"".join(turns)] if together else turns), session=session, ways=ResetWays(together)
    )
    assert done.error is None
    assert sorted(done.sent()) == sorted([RESET, NAMES, command, INIT_DB])
    assert session.multi_statements is wanted
    session = session_of(b"5.6.51", capabilities=capabilities, multi_statements=not wanted)
    done = Reset(OK, OK, eof, session=session)
    assert done.error is None
    assert done.sent()[-1] == command
    assert session.multi_statements is wanted


def test_a_schema_is_left_for_none_by_a_login() -> None:
    done = Reset(OK, OK, session=session_of(schema="other"), database=None)
    assert done.sent()[0].startswith(CHANGE_USER)
    assert done.session.schema is None
    assert Reset(2 * OK, session=session_of(schema=None), database=None).sent() == [RESET, NAMES]


def test_a_schema_that_the_charset_cannot_spell() -> None:
    done = Reset(OK, OK, database="日本", charset="latin1")
    assert done.sent()[0].startswith(CHANGE_USER)
    done = Reset(3 * OK, database="café", charset="latin1")
    assert done.sent()[2] == b"\x02caf\xe9"


@pytest.mark.parametrize(
    ("answer", "state"), [(error(1053, "bye"), State.BROKEN), (error(1064), State.READY),
                          (b"\xfe\0\0\0\0", State.BROKEN)],
)  # fmt: skip
def test_a_refusal_of_another_kind(answer: bytes, state: State) -> None:
    done = Reset(framed(answer), ways=one_by_one())
    assert done.error is not None
    assert done.session.state is state
    done = Reset(framed(answer) + 2 * OK)
    assert done.error is not None
    assert done.session.state is State.BROKEN


@pytest.mark.parametrize("permit", [True, False])
def test_expired_passwords(permit: bool) -> None:
    refusal = framed(error(ER.MUST_CHANGE_PASSWORD, "must reset"))
    for turns, ways in (([OK + 2 * refusal], None), ([OK, refusal], one_by_one())):
        done = Reset(*turns, ways=ways, permit_expired_password=permit)
        assert (done.error is None) is permit


def test_what_cannot_go_together() -> None:
    compressed = session_of()
    compressed.start_compression(zlib_compression(None))
    for session, chosen in (
        (session_of(files_allowed=True), {}),
        (session_of(), {"session_variables": {"init_connect": "a\\b"}}),
        (session_of(), {"init_command": "set @a = '" + (1 << 20) * "x" + "'"}),
    ):
        done = Reset(OK, session=session, **chosen)
        assert done.sent()[0] == RESET
        assert done.sent()[1].startswith(QUERY)
        assert done.error is not None  # as nothing else was answered
    with suppress(err.Error):
        line = Line(compressed, [])
        line.run(reset(compressed, options(database="shop"), credentials, ResetWays(together=True)))
    assert bytes(line.sent)[7:] == b"\x01\0\0\0" + RESET


@pytest.mark.parametrize("answered", [0, 1, 2])
@pytest.mark.parametrize("how", ["lost", "cut"])
def test_a_proxy_that_loses_commands_gets_them_one_by_one(answered: int, how: str) -> None:
    ways = ResetWays(together=True)
    session = session_of()
    if how == "lost":
        assert Reset(*answered * [OK], session=session, ways=ways).error is not None
    else:
        need = session.start(reset(session, options(database="shop"), credentials, ways))
        while need is Need.WRITE:
            need = session.sent(len(session.output()))
        for _ in range(answered):
            session.space()[: len(OK)] = OK
            session.filled(len(OK))
        session.cut()
    assert session.state is State.BROKEN
    assert ways.together is (answered == 0)


def test_no_file_is_given_for_an_earlier_statement() -> None:
    session = session_of(statement=b"load data local infile 'x' into table t")
    done = Reset(OK + framed(b"\xfbx"), session=session)
    assert done.error is not None
    assert session.statement == b""


def test_several_answers_in_one_packet_stream() -> None:
    """Nothing of the next answer is lost when all come at once, or in one with the last."""
    assert Reset(packets(ok()) + OK + OK).error is None
    late = Reset(OK, OK, OK)
    assert late.error is None
    assert late.writes == 1
