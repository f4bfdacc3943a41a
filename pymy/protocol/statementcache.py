"""The statements that cursors prepare by themselves, and which of them are worth it.

A text is prepared when it was executed often or gave much, see ``prepare`` in the options. What a
server will not prepare is remembered with its text, which is then sent as ever.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pymy import err
from pymy.constants import ER
from pymy.protocol.attributes import Attributes
from pymy.protocol.needs import Conversation
from pymy.protocol.params import Parameter
from pymy.protocol.result import Result
from pymy.protocol.session import Session
from pymy.protocol.statements import (
    MOST_PARAMETERS,
    Prepared,
    execute,
    prepare,
    prepare_and_execute,
)
from pymy.sql import Template

# Texts that are counted; a program that builds its SQL makes no end of them.
TEXTS_KEPT = 1000
LONGEST_TEXT = 8192
# An answer above this is read faster in binary.
MUCH = 64 * 1024

# Blanks and comments in front of a statement, except those whose content runs.
SPACE = r"(?>\s|/\*[^!].*?\*/|--[^\n]*\n|#[^\n]*\n)*+"
_PREPARABLE = re.compile(
    rf"{SPACE}\(*(SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH)\b", re.IGNORECASE | re.DOTALL
)
# What is told by the answer before: preparing would be one. Variables have the types of the moment.
_LOOKS_BACK = re.compile(r"@|\b(?:FOUND_ROWS|ROW_COUNT)\s*\(", re.IGNORECASE)
# Where a literal number is a column's position and a parameter is not.
_POSITION = re.compile(
    r"\bBY\b(?:(?!\b(?:LIMIT|HAVING|WHERE|ROWS|RANGE)\b).)*\?", re.IGNORECASE | re.DOTALL
)
# A parameter that gives a column its type, and its name.
_SELECTED = re.compile(r"\bSELECT\b(?:(?!\bFROM\b).)*\?", re.IGNORECASE | re.DOTALL)
# One that the grammar of text takes only as digits.
_LIMIT = re.compile(r"\b(?:LIMIT|OFFSET)\s+(?:\d+\s*,\s*|\?\s*,\s*)?\Z", re.IGNORECASE)
# The answers to a PREPARE behind which the text is tried: what the grammar takes as a literal only,
# not preparable, too many parameters, too many statements.
_PARSE_ERROR, _UNSUPPORTED, _MANY_PARAMETERS, _MANY_STATEMENTS = 1064, 1295, 1390, 1461
TEXT_REMAINS = {_PARSE_ERROR, _UNSUPPORTED, _MANY_PARAMETERS, _MANY_STATEMENTS}


class Entry:
    """What is known of one text.

    ``marked`` has ``?`` for its parameters; None when it is never to be prepared.
    """

    __slots__ = ("count", "large", "limits", "marked", "prepared", "reads")

    def __init__(self, marked: Template | None) -> None:
        self.marked = marked
        self.count = 0
        self.large = False
        self.prepared: Prepared | None = None
        self.limits = limits(marked.text) if marked is not None and marked.size < 100 else ()
        self.reads = marked is not None and is_plain_select(marked.text)


Key = tuple[object, ...]


class StatementCache:
    """The statements of one session, at most ``size`` of them prepared, the last used ones."""

    def __init__(self, mode: Literal["auto", "always"], size: int, threshold: int) -> None:
        self.mode = mode
        self.size = size
        self.threshold = threshold
        self.entries: dict[Key, Entry] = {}
        self.live: dict[Key, Entry] = {}

    def find(self, key: Key) -> Entry | None:
        return self.entries.get(key)

    def add(self, key: Key, entry: Entry) -> Entry:
        if len(self.entries) >= TEXTS_KEPT + self.size:
            self.drop(next(each for each in self.entries if each not in self.live))
        self.entries[key] = entry
        return entry

    def drop(self, key: Key) -> None:
        self.drop_prepared(key, self.entries.pop(key))

    def is_due(self, entry: Entry, *, at_once: bool = False) -> bool:
        if entry.marked is None or not self.size:
            return False
        if at_once or self.mode == "always" or entry.prepared is not None:
            return True
        return entry.large or entry.count >= self.threshold - 1

    def use(self, key: Key, entry: Entry) -> None:
        """Make it the last used one, and room for it."""
        if self.live.pop(key, None) is None:
            while len(self.live) >= self.size:
                oldest = next(iter(self.live))
                self.drop_prepared(oldest, self.live[oldest])
        self.live[key] = entry

    def drop_prepared(self, key: Key, entry: Entry) -> None:
        self.live.pop(key, None)
        prepared, entry.prepared = entry.prepared, None
        if prepared is not None:
            prepared.close()

    def clear(self) -> None:
        """Forget all, and have closed what still lives."""
        for key in list(self.live):
            self.drop(key)
        self.entries.clear()


def is_plain_select(text: str) -> bool:
    found = _PREPARABLE.match(text)
    return found is not None and found[1].upper() == "SELECT"


def preparable(marked: Template, counted: int, *, mode: str, mariadb: bool) -> bool:
    """Tell whether a statement may be prepared in place of its text.

    counted: the ``?`` that stand outside of strings and comments; any other number than that of the
        parameters would shift them.

    MySQL gives a parameter the type its place suggests, and converts the value: there "auto" leaves
    texts with parameters alone, and "always" those that select one.
    """
    text = marked.text
    return (
        marked.size == counted
        and marked.size <= MOST_PARAMETERS
        and not marked.places
        and _PREPARABLE.match(text) is not None
        and _LOOKS_BACK.search(text) is None
        and (not marked.size or _POSITION.search(text) is None)
        and (not counted or mariadb or mode == "always")
        and (not counted or (mariadb and mode == "always") or _SELECTED.search(text) is None)
    )


def limits(text: str) -> tuple[int, ...]:
    """Return which parameters stand behind LIMIT or OFFSET."""
    pieces = text.split("?")  # inside of a string it counts too, and only costs the preparing
    found = []
    for number in range(len(pieces) - 1):
        if _LIMIT.search("?".join(pieces[: number + 1])[-80:]):
            found.append(number)
    return tuple(found)


def run_prepared(
    session: Session,
    cache: StatementCache,
    key: Key,
    entry: Entry,
    text: bytes,
    parameters: Sequence[Parameter],
    *,
    stream: bool,
    attributes: Attributes | None,
) -> Conversation[Result | None]:
    """Execute a text as a prepared statement; None when it has to go as text after all.

    Nothing has run then.
    """
    cache.use(key, entry)
    prepared = entry.prepared
    together = False
    if prepared is None or not prepared.lives(session):
        entry.prepared = prepared = Prepared(text, describe=False)
        together = entry.reads and session.mariadb and session.compression is None
    try:
        if together:
            return (
                yield from prepare_and_execute(
                    session, prepared, parameters, stream=stream, attributes=attributes
                )
            )
        if not prepared.lives(session):
            yield from prepare(session, prepared)
        if prepared.param_count == len(parameters):
            return (
                yield from execute(
                    session, prepared, parameters, stream=stream, attributes=attributes
                )
            )
    except err.Error as exc:
        if not session.usable() or session.abandoned:
            raise
        if prepared.lives(session):
            if not _is_misfit(exc):
                raise
        elif exc.errno == _MANY_STATEMENTS:
            # others use what there is: no more of ours than now
            cache.drop_prepared(key, entry)
            cache.size = len(cache.live)
            return None
        elif exc.errno not in TEXT_REMAINS:
            cache.drop_prepared(key, entry)
            raise
    cache.drop_prepared(key, entry)
    entry.marked = None
    return None


def _is_misfit(exc: err.Error) -> bool:
    """Tell MySQL's refusal of a value of another type than it expected; nothing has run."""
    return exc.errno == ER.WRONG_ARGUMENTS and "stmt_execute" in str(exc)
