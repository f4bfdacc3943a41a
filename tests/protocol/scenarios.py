"""What is recorded from real servers and replayed without them.

A scenario is a list of conversations. The recorder (``tools/record_conversations.py``) runs it over
a socket, the tests run it over the recorded bytes; both show the outcomes by ``show``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pymy import err
from pymy.options import Options, SSLMode
from pymy.protocol import commands, handshake, resetting
from pymy.protocol.handshake import Credentials
from pymy.protocol.needs import Conversation
from pymy.protocol.params import bind
from pymy.protocol.query import fetch_batch, next_result, query
from pymy.protocol.resetting import ResetWays
from pymy.protocol.result import Result
from pymy.protocol.servercursor import fetch, open_cursor
from pymy.protocol.session import Session
from pymy.protocol.state import State
from pymy.protocol.statements import Prepared, execute, prepare, prepare_and_execute
from pymy.sql import DEFAULT_CONTEXT

Step = Callable[[Session, Options], Conversation[Any]]

# A throw-away account of a throw-away server: nothing to keep secret.
USER, PASSWORD = "golden", b"golden"
ATTRIBUTES = {"_client_name": "pymy", "program_name": "golden"}
FILE = b"1\tone\n2\ttwo\n"


@dataclass
class Scenario:
    name: str
    steps: list[Step]
    options: dict[str, Any] = field(default_factory=dict)
    servers: tuple[str, ...] = ("mariadb", "mysql", "mysql56")
    tcp: bool = False
    """Over TCP, which TLS needs; else over the unix socket."""

    def settings(self) -> Options:
        defaults = {"user": USER, "database": "test", "ssl_mode": SSLMode.DISABLED}
        return Options(**(defaults | self.options))


def credentials() -> Credentials:
    return Credentials((PASSWORD,), ATTRIBUTES)


def outcomes(
    scenario: Scenario, session: Session, run: Callable[[Conversation[Any]], Any]
) -> Iterator[tuple[str, err.Error | None]]:
    """Run a scenario's steps and give what came of each, as text; ends when the link is gone."""
    options = scenario.settings()
    session.files_allowed = bool(options.local_infile)
    steps = [lambda s, o: handshake.connect(s, o, credentials()), *scenario.steps]
    for step in steps:
        failed = None
        try:
            shown = show(run(step(session, options)))
        except err.Error as exc:
            failed = exc
            shown = f"{type(exc).__name__}{exc.args!r} {exc.sqlstate}"
        yield f"{shown} {session.state.name} {session.schema}", failed
        if not session.usable():
            return


def show(value: Any) -> str:
    if not isinstance(value, Result):
        return repr(value)
    columns = [
        (column.name, column.type_code, column.flags, column.extended_type, column.extended_format)
        for column in value.columns
    ]
    return f"{columns} {value.rows} {value.ok}"


def ask(sql: str) -> Step:
    return lambda session, options: query(session, sql.encode())


def stream(sql: str) -> Step:
    def steps(session: Session, options: Options) -> Conversation[Any]:
        result = yield from query(session, sql.encode(), stream=True)
        while session.state is State.STREAMING:
            result.rows += yield from fetch_batch(session)
        if result.failure is not None:
            raise result.failure
        return result

    return steps


class File:
    """A parameter that is read; each replay makes its own."""

    def __init__(self) -> None:
        self.pieces = [b"", b"file", b"a "]

    def read(self, size: int) -> bytes:
        return self.pieces.pop()


def prepared(sql: str, *values: Any, streamed: bool = False, together: bool = False) -> Step:
    def steps(session: Session, options: Options) -> Conversation[Any]:
        statement = Prepared(sql.encode())
        bound = bind([File() if value is File else value for value in values], DEFAULT_CONTEXT)
        if together:
            result = yield from prepare_and_execute(session, statement, bound, stream=streamed)
        else:
            yield from prepare(session, statement)
            result = yield from execute(session, statement, bound, stream=streamed)
        while session.state is State.STREAMING:
            result.rows += yield from fetch_batch(session)
        statement.close()
        return result

    return steps


def repeated(sql: str, *values: Any, change: str) -> Step:
    """Execute a statement twice, and twice more behind a change of its columns."""

    def steps(session: Session, options: Options) -> Conversation[Any]:
        statement = Prepared(sql.encode())
        bound = bind(values, DEFAULT_CONTEXT)
        found = []
        for number in range(4):
            if number == 2:
                yield from query(session, change.encode())
            result = yield from execute(session, statement, bound)
            found.append(show(result))
        return found

    return steps


def fetched(sql: str, *values: Any, size: int = 2) -> Step:
    def steps(session: Session, options: Options) -> Conversation[Any]:
        statement = Prepared(sql.encode())
        result = yield from open_cursor(session, statement, bind(values, DEFAULT_CONTEXT))
        while result.unread:
            result.rows += yield from fetch(session, statement, result, size)
            yield from commands.ping(session)
        statement.close()
        return result

    return steps


def unread(sql: str) -> Step:
    return lambda session, options: query(session, sql.encode(), stream=True)


def following(session: Session, options: Options) -> Conversation[Any]:
    return next_result(session)


def ping(session: Session, options: Options) -> Conversation[Any]:
    return commands.ping(session)


TYPES = {
    "both": """
        t tinyint, tu tinyint unsigned, s smallint, m mediumint unsigned, i int(5) zerofill,
        b bigint, bu bigint unsigned, f float, d double, n decimal(20,5), bi bit(11), y year,
        da date, dt datetime(6), ts timestamp(3) null, ti time(6), c char(5), v varchar(20),
        lv varchar(20) character set latin1, bn binary(4), vb varbinary(20), tx text, bl blob,
        e enum('x','y'), st set('p','q'), g geometry
    """,
    "mariadb": ", u uuid, i6 inet6, i4 inet4, j json",
    "mysql": ", j json, ve vector(2)",
    "mysql56": "",
}
VALUES = {
    "both": """
        -128, 255, -32768, 16777215, 42, -9223372036854775808, 18446744073709551615, 0.1, 1e300,
        '-12345.67890', b'10000000001', 2024, '2024-02-29', '2024-02-29 23:59:59.000001',
        '2024-01-01 00:00:00.500', '-838:59:59.000000', 'ab', 'h\\u00e9\\u20ac', 'h\\u00e9',
        x'00ff', x'00ff27', 'text', x'010203', 'y', 'p,q', st_geomfromtext('POINT(1 2)')
    """,
    "mariadb": """, '123e4567-e89b-12d3-a456-426655440000', '::1', '127.0.0.1', '{"a": [1, null]}'
    """,
    "mysql": """, '{"a": [1, null]}', string_to_vector('[1,2.5]')""",
    "mysql56": "",
}
ZEROS = "insert into types (da, dt, ti, y, t) values ('0000-00-00', '2020-00-10', '-0:00:01', 0, 0)"


def types(server: str) -> Scenario:
    values = (VALUES["both"] + VALUES[server]).encode().decode("unicode_escape")
    if server == "mysql56":
        values = values.replace("st_geom", "geom")
    return Scenario(
        f"types-{server}",
        [
            ask("set time_zone='+00:00', sql_mode=''"),
            ask(" ".join(f"create temporary table types ({TYPES['both']}{TYPES[server]})".split())),
            ask(" ".join(f"insert into types values ({values})".split())),
            ask(ZEROS),
            ask("select * from types"),
            ask("select * from types where t > 100"),
            prepared("select * from types"),
        ],
        servers=(server,),
    )


PREPARATION = [
    "create table numbers (a int primary key, b varchar(30))",
    "insert into numbers values (1,'one'),(2,'two'),(3,null),(4,''),(5,'five')",
    "create table dup (a int)",
    "insert into dup values (1),(4),(4)",
    "create table loaded (a int, b varchar(10))",
    "create procedure two_sets() begin select 1 a; select a, b from numbers; end",
    "create procedure out_params(in a int, out b int, inout c date) "
    "begin select a; set b = a + 1, c = c + interval 1 day; end",
]
DIGITS = "(select 0 d union all select 1 union all select 2 union all select 3 union all select 4)"
# The fourth row's subquery has two rows: an error when three rows are out already.
MID_ERROR = "select a, (select d.a from dup d where d.a = n.a) from numbers n order by a"
LOAD = "load data local infile 'numbers.txt' into table loaded"

SCENARIOS = [
    Scenario("connect", [lambda session, options: commands.quit_(session)]),
    Scenario(
        "tls",
        [ask("select 1")],
        {"ssl_mode": SSLMode.REQUIRED},
        servers=("mariadb", "mysql"),
        tcp=True,
    ),
    Scenario("wrong-database", [], {"database": "nowhere"}),
    Scenario(
        "no-deprecate-eof",
        [ask("select 1 a, 'x' b"), ask("select 1 from dual where 0"), ask("do 1"), ping],
        {"deprecate_eof": False},
    ),
    types("mariadb"),
    types("mysql"),
    types("mysql56"),
    Scenario(
        "multi",
        [
            ask("select 1; do 0; select 2, 3; select 4 from dual where 0"),
            following,
            following,
            following,
            following,
            ask("select 1; select 2"),
            ping,
            ask("select 1; select nope; select 2"),
            following,
            following,
        ],
        {"multi_statements": True},
    ),
    Scenario("procedure", [ask("call two_sets()"), following, following, following, ping]),
    Scenario(
        "statements",
        [
            prepared("select a, b from numbers where a > ? order by a", 1),
            prepared("select a, b from numbers where b <> ? order by a", "x", streamed=True),
            prepared("select a, b from numbers where a < ? order by a", 3, together=True),
            prepared("select length(?), ? is null", File, None),
            prepared("insert into loaded values (?, ?)", 1, "a"),
            prepared("call two_sets()"),
            following,
            following,
            prepared("selec ?", 1, together=True),
            prepared("select a from nowhere where a = ?", 1),
            prepared(MID_ERROR),
            ping,
        ],
    ),
    Scenario(
        "statements-eof",
        [prepared("select a, b from numbers where a > ? order by a", 3), prepared("do 1"), ping],
        {"deprecate_eof": False},
    ),
    *(
        Scenario(
            f"{name}{'' if deprecate_eof else '-eof'}", steps, {"deprecate_eof": deprecate_eof}
        )
        for deprecate_eof in (True, False)
        for name, steps in {
            "statements-repeated": [
                ask("create temporary table changing (a int, b varchar(9))"),
                ask("insert into changing values (1, 'x')"),
                repeated(
                    "select * from changing where a = ?",
                    1,
                    change="alter table changing modify a bigint, add c date",
                ),
                ping,
            ],
            "server-cursors": [
                fetched("select a, b from numbers where a > ? order by a", 0),
                fetched("select a, b from numbers where a > ? order by a", 0, size=3),
                fetched("select a from numbers where a = 9"),
                fetched("call two_sets()"),
                fetched("select a from numbers where a = 2 into @a"),
                fetched(MID_ERROR),
                ping,
            ],
            "out-params": [
                prepared("call out_params(?, ?, ?)", 1, None, "2024-02-28"),
                following,
                following,
                following,
                ping,
            ],
        }.items()
    ),
    Scenario("error", [ask("select nope"), ask("insert into numbers values (1, 'dup')"), ping]),
    Scenario(
        "error-mid-result",
        [ask(MID_ERROR), ping, stream(MID_ERROR), unread(MID_ERROR), ping],
        {"collation": "utf8mb4_unicode_ci"},
    ),
    Scenario(
        "error-mid-result-data",
        [ask("select json_extract(if(a > 2, '{', '1'), '$') from numbers order by a"), ping],
        servers=("mysql",),
    ),
    Scenario(
        "infile",
        [ask(LOAD), ask("select * from loaded"), ask("delete from loaded")],
        {"local_infile": True},
    ),
    Scenario("infile-off", [ask(LOAD), ping]),
    Scenario(
        "zlib",
        [
            ask("select 1"),
            ask("select repeat('x', 3000), repeat('y', 100)"),
            ask("select nope"),
            unread("select a, b from numbers"),
            ping,
            ask("select 1 /*" + "z" * 200 + "*/"),
        ],
        {"compress": "zlib"},
    ),
    Scenario(
        "zstd",
        [
            ask("select 1"),
            ask("select repeat('x', 3000), repeat('y', 100)"),
            ask("select nope"),
            unread("select a, b from numbers"),
            ping,
        ],
        {"compress": "zstd"},
        servers=("mysql",),
    ),
    Scenario(
        "tracking",
        [
            ask("set session_track_schema=1, session_track_system_variables='*'"),
            ask("use mysql"),
            ask("set sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES', time_zone='+01:00'"),
            ask("set session_track_transaction_info='CHARACTERISTICS'"),
            ask("start transaction read only"),
            ask("select 1"),
            ask("commit"),
            ask("use test"),
        ],
        servers=("mariadb", "mysql"),
    ),
    Scenario(
        "commands",
        [
            ping,
            lambda session, options: commands.init_db(session, b"mysql"),
            lambda session, options: commands.init_db(session, b"nowhere"),
            lambda session, options: commands.set_option(session, True),
            ask("select 1; select 2"),
            following,
            lambda session, options: commands.set_option(session, False),
            lambda session, options: commands.statistics(session),
            lambda session, options: resetting.reset(session, options, credentials),
            lambda session, options: handshake.change_user(session, options, credentials()),
            lambda session, options: handshake.change_user(
                session, options, Credentials((b"wrong",), ATTRIBUTES)
            ),
        ],
        {"init_command": "set @a = 1", "autocommit": True},
    ),
    Scenario(
        "reset-together",
        [
            ask("start transaction with consistent snapshot"),
            ask("set @a = 2, @b = 3"),
            ask("use mysql"),
            lambda session, options: resetting.reset(
                session, options, credentials, ResetWays(together=True)
            ),
            ask("select @a, @b, database(), @@autocommit, @@character_set_client"),
        ],
        {"init_command": "set @a = 1", "autocommit": True},
    ),
    Scenario(
        "unbuffered",
        [
            # more than 255 packets: the sequence id wraps
            stream(f"select a.d from {DIGITS} a, {DIGITS} b, {DIGITS} c, {DIGITS} e limit 270"),
            stream("select a from numbers where 0"),
            unread("select a, b from numbers"),
            ping,
        ],
        servers=("mariadb", "mysql56"),
    ),
]
