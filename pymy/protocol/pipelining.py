"""Several commands on their way at once: the next ones go out before the first is answered.

Servers read a command when they have answered the one before, and answer in order. A server that
cannot get rid of an answer, because this side writes and does not read, reads nothing either: what
is on its way must fit into the buffers between the two, or both would wait for ever.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from pymy import err
from pymy.protocol.attributes import Attributes, attribute_block
from pymy.protocol.hints import add_hint
from pymy.protocol.needs import READ, WRITE, Conversation
from pymy.protocol.query import (
    COM_QUERY,
    LARGE_STATEMENT,
    QUERY_ATTRIBUTES,
    SETTING,
    begin,
    query,
    read_all_results,
    read_result,
)
from pymy.protocol.result import Result
from pymy.protocol.session import Session
from pymy.protocol.state import BUSY

# Bytes of commands without their answers. The buffer of the receiving socket alone has twice that
# with every system's defaults (Windows 64 KiB, Linux and macOS 128 KiB), a proxy's likewise. A
# larger command goes when none is before it: the server reads then.
WINDOW = 32 * 1024
# Commands without their answers; a time-out cannot take back what went out.
MOST = 256
_BEGINNING = (
    rb"(?>\s|/\*(?![!M]).*?\*/|--[^\n]*\n|#[^\n]*\n)*+\(*"
    rb"(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|VALUES|TABLE|DO%s)\b"
)
# What neither begins nor ends a transaction: functions and triggers must not.
_STAYS = re.compile(_BEGINNING % b"", re.IGNORECASE | re.DOTALL)
# What sets nothing, though the word may stand in it: UPDATE t SET.
_HARMLESS = re.compile(_BEGINNING % rb"|CALL", re.IGNORECASE | re.DOTALL)
# What may ask for a file: the commands behind it would be taken for that. In front may be a digit,
# of a version comment.
_LOADS = re.compile(rb"LOCAL\b|\bEXECUTE\b", re.IGNORECASE)
_SETS = re.compile(rb"\b(?:SET|USE|EXECUTE)\b", re.IGNORECASE)


class Ways(Protocol):
    """What is known of the way to a server; connections may share it."""

    together: bool
    """False: a link was lost behind the first of several answers, as some proxies do."""


@dataclass(slots=True, eq=False)
class Command:
    """A command, what reads its answer, and what came of it."""

    code: int
    payload: bytes
    answer: Callable[[], Conversation[Any]]
    text: bytes = b""
    """What tells it from other statements when it is to be killed."""
    prepared: Any = None
    """The statement that it executes: its rows are in the binary protocol."""
    alone: Callable[[], Conversation[Any]] | None = None
    """Runs it in place of all that, for what takes more than one command."""
    sent: bool = False
    done: bool = False
    result: Any = None
    error: err.Error | None = None


def query_command(session: Session, sql: bytes, attributes: Attributes | None = None) -> Command:
    """Make the command that ``query()`` sends; its result is a list of all of the text's."""
    if session.statements is not None and SETTING.search(sql):
        session.statements.clear()
    reading = partial(_read_text, session, sql)
    if len(sql) > LARGE_STATEMENT or len(sql) >= session.largest_command or may_load(sql):
        first = partial(query, session, sql, attributes=attributes)
        return Command(0, b"", reading, alone=lambda: read_all_results(session, first()))
    block = attribute_block(attributes) if session.capabilities & QUERY_ATTRIBUTES else b""
    return Command(COM_QUERY, block + sql, reading, sql)


def _read_text(session: Session, sql: bytes) -> Conversation[list[Result]]:
    try:
        return (yield from read_all_results(session, read_result(session, False)))
    except err.DatabaseError as error:
        add_hint(session, error, sql)
        raise


def may_load(sql: bytes) -> bool:
    """Tell whether a text may be a LOAD DATA LOCAL."""
    return _LOADS.search(sql) is not None


def may_set(session: Session, sql: bytes) -> bool:
    """Tell whether a text may change how the next one's literals are read.

    A procedure's changes of the SQL mode and the charset end with it.
    """
    if SETTING.search(sql):
        return True
    if _SETS.search(sql) is None:
        return False
    return _may_be_several(session, sql) or _HARMLESS.match(sql) is None


def stays_in_transaction(session: Session, sql: bytes) -> bool:
    """Tell whether a text leaves an open transaction open, unless it fails."""
    return _STAYS.match(sql) is not None and not _may_be_several(session, sql)


def _may_be_several(session: Session, sql: bytes) -> bool:
    return session.multi_statements and b";" in sql


def takes_several(session: Session) -> bool:
    """Tell whether a second command may be on its way.

    Not with compression: servers lose the second one of a frame (P120). Not where files are given
    away: behind LOAD DATA LOCAL the bytes of the next command would be loaded.
    """
    ways: Ways | None = session.ways
    alone = session.compression is not None or session.files_allowed
    return not alone and (ways is None or ways.together)


class _Flow:
    """What is on its way, the first to be answered first, and what comes behind it."""

    def __init__(self, commands: Iterable[Command], most: int) -> None:
        self.due: deque[Command] = deque()
        self.failure: Exception | None = None
        self._upcoming = iter(commands)
        self._held: Command | None = None
        self._most = most
        self._size = 0

    def fill(self) -> list[Command]:
        """Take what may go out now: nothing while half of the window is full, then many at once."""
        fresh: list[Command] = []
        if self._size > WINDOW // 2 or len(self.due) > self._most // 2:
            return fresh
        while len(self.due) < self._most and (command := self._next()) is not None:
            size = len(command.payload) + 5
            if self.due and (command.alone is not None or self._size + size > WINDOW):
                self._held = command
                break
            self._size += size
            self.due.append(command)
            fresh.append(command)
            if command.alone is not None:
                break
        return fresh

    def _next(self) -> Command | None:
        held, self._held = self._held, None
        if held is not None or self.failure is not None:
            return held
        try:
            return next(self._upcoming, None)
        except Exception as exc:
            self.failure = exc
            return None

    def pop(self) -> None:
        self._size -= len(self.due.popleft().payload) + 5


def run_together(
    session: Session, commands: Iterable[Command], ways: Ways | None = None, *, most: int = MOST
) -> Conversation[None]:
    """Run commands, ``most`` of them on their way at once; what comes of each stands in it.

    An error stays with its command and the next ones run; it is raised when the link went with it.
    What ``commands`` raises comes out behind the answers to those that went out before. Once
    abandoned it sends no more, and reads the answers to what is on its way.
    """
    flow = _Flow(commands, most)
    due = flow.due
    answered = 0  # of those that went out together
    try:
        while True:
            fresh = [] if session.abandoned else flow.fill()
            if not due:
                break
            command = due[0]
            if len(fresh) == len(due):
                answered = 0
                if command.alone is None and session.state is not BUSY:
                    yield from begin(session)
            if fresh and command.alone is None:
                _put(session, fresh)
                yield WRITE
            for each in fresh:
                each.sent = True
            if command.alone is not None:
                yield from hear_out(session, command, command.alone)
            else:
                yield from _answer(session, command, first=not answered, last=len(due) == 1)
            answered += 1
            flow.pop()
            if due:
                session.move(BUSY)
    except BaseException as exc:
        # A reset that was cut waited in vain; any other command may have been a slow one.
        lost = isinstance(exc, err.Error) or session.indivisible
        if ways is not None and answered and lost and not session.usable():
            ways.together = False
        if isinstance(exc, err.Error):
            for each in due:  # each its own: who asks one writes into it
                each.error, each.done = exc if each is due[0] else copy(exc), each.sent
        raise
    finally:
        session.followed = False
    if session.abandoned:
        raise session.canceled()
    if flow.failure is not None:
        session.not_ours = flow.failure
        raise flow.failure


def _answer(session: Session, command: Command, *, first: bool, last: bool) -> Conversation[None]:
    if not first:
        while session.held < 4:
            yield READ
        session.trust_next()  # MySQL Router counts on from the answer before
    session.binary = command.prepared is not None
    session.executed = command.prepared
    session.keep_statement(command.text)
    session.followed = not last
    yield from hear_out(session, command, command.answer)


def _put(session: Session, commands: list[Command]) -> None:
    if len(commands) == 1:  # of any size, and perhaps compressed
        session.command(commands[0].code, commands[0].payload)
    else:
        session.commands([(each.code, each.payload) for each in commands])


def hear_out(
    session: Session, command: Command, answer: Callable[[], Conversation[Any]]
) -> Conversation[None]:
    """Read an answer; an error that leaves the line at rest stays with its command."""
    try:
        command.result = yield from answer()
    except err.Error as exc:
        if exc.fatal or session.wrong_sequence or not session.usable():
            raise
        command.error = exc
    command.done = not session.abandoned
