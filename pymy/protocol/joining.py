"""Many statements in one text: the server runs them in turn and stops at the first that fails.

::

    COM_SET_OPTION on, COM_QUERY statement;statement;..., COM_SET_OPTION off     in one write

So they take one round trip and fail as they would one by one, which commands on their way at once
do not: those behind the failed one would run.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_set_option.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from pymy import err
from pymy.constants import COMMAND, ER
from pymy.protocol.attributes import attribute_block
from pymy.protocol.commands import option, read_option
from pymy.protocol.needs import Conversation
from pymy.protocol.pipelining import WINDOW, Command, run_together
from pymy.protocol.query import (
    COM_QUERY,
    QUERY_ATTRIBUTES,
    discard,
    next_result,
    query,
    read_result,
)
from pymy.protocol.result import Result
from pymy.protocol.session import Session

# Of one text: the commands around it go out with it, and none of them can get lost on the way.
LONGEST = WINDOW - 64

Took = Callable[[Result], object]
Failed = Callable[[bytes], object]
Going = Callable[[int], object]


def execute_joined(
    session: Session,
    statements: Iterator[tuple[bytes, bool]],
    took: Took,
    failed: Failed = lambda text: None,
    going: Going = lambda count: None,
) -> Conversation[None]:
    """Run statements that give no rows, or CALL; ``took`` gets the first result of each.

    ``going`` gets how many go out together, ``failed`` the one that failed, which is not the last
    that was made.

    statements: each of them with whether it may stand beside others.

    The first error ends it: so many statements have run as results were taken. What the iterator
    raises ends it too, and those that waited to go together are not sent.
    """
    room = min(LONGEST, session.largest_command - 1)
    batch: list[bytes] = []
    size = 0
    while True:
        try:
            text, joins = next(statements, (b"", False))
        except Exception as exc:
            session.not_ours = exc
            raise
        if batch and (not joins or size + len(text) > room):
            yield from _run(session, batch, took, failed, going)
            batch, size = [], 0
        if not text:
            return
        if joins and len(text) < room:
            batch.append(text)
            size += len(text) + 1
        else:
            yield from _each(session, [text], took, failed, going)


def _each(
    session: Session, texts: list[bytes], took: Took, failed: Failed, going: Going
) -> Conversation[None]:
    for text in texts:
        going(1)
        try:
            took((yield from query(session, text)))
            yield from discard(session)
        except err.Error:
            failed(text)
            raise


def _run(
    session: Session, texts: list[bytes], took: Took, failed: Failed, going: Going
) -> Conversation[None]:
    if len(texts) == 1:
        return (yield from _each(session, texts, took, failed, going))
    sql = b";".join(texts)
    block = attribute_block(None) if session.capabilities & QUERY_ATTRIBUTES else b""
    taken: list[Result] = []
    text = Command(COM_QUERY, block + sql, partial(_read, session, taken), sql)
    on, off = _switch(session, True), _switch(session, False)
    going(len(texts))
    commands = (text,) if session.multi_statements else (on, text, off)
    try:
        yield from run_together(session, commands, session.ways)
    finally:
        for result in taken:
            took(result)
    if text.error is not None:
        # A server that takes one statement at a time has not run any; but from within a procedure,
        # which may have done something before, the error is the same.
        calls = texts[0].lstrip()[:4].upper() == b"CALL"
        refused = text.error.errno == ER.PARSE_ERROR and (on.error is not None or not calls)
        if not refused or taken:
            failed(texts[min(len(taken), len(texts) - 1)])
            raise text.error
        yield from _each(session, texts, took, failed, going)
    if off.error is not None:
        raise off.error


def _switch(session: Session, on: bool) -> Command:
    return Command(COMMAND.COM_SET_OPTION, option(on), partial(read_option, session, on))


def _read(session: Session, taken: list[Result]) -> Conversation[None]:
    """Read the results; each statement's end is one without rows, that of a CALL too."""
    first: Result | None = None
    result: Result | None = yield from read_result(session, False)
    while result is not None:
        first = first or result
        if result.head is None:
            taken.append(first)
            first = None
        result = yield from next_result(session)
