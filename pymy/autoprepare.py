"""Cursors that prepare what they execute, as the option ``prepare`` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import err
from .protocol.inputtypes import force
from .protocol.needs import Conversation
from .protocol.params import LONG_BLOB, UNSIGNED, LongData, bind
from .protocol.query import query
from .protocol.result import Result
from .protocol.statementcache import (
    LONGEST_TEXT,
    MUCH,
    Entry,
    StatementCache,
    preparable,
    run_prepared,
)
from .sql import ParamStyle, in_order, interpolate, template

if TYPE_CHECKING:
    from .base import BaseConnection
    from .basecursor import BaseCursor


class Sent:
    """A statement whose values went beside it; its text is written when somebody asks."""

    def __init__(self, connection: BaseConnection, sql: str, args: Any) -> None:
        self._sql = sql
        self._args = dict(args) if isinstance(args, Mapping) else args
        if isinstance(args, list):
            self._args = list(args)
        self._style: ParamStyle = connection._options.paramstyle
        self._context = connection._context

    def text(self) -> str:
        return interpolate(self._sql, self._args, paramstyle=self._style, context=self._context)


def executing(
    cursor: BaseCursor[Any, Any], connection: BaseConnection, sql: str | bytes, args: Any
) -> Conversation[Result]:
    """Execute a text, prepared if it is time for that."""
    session = connection._session
    cache = session.statements
    assert cache is not None
    entry = None
    if isinstance(sql, str) and len(sql) <= LONGEST_TEXT:
        key = (sql, args is None, session.schema, connection._context)
        entry = cache.find(key) or cache.add(key, _entry(connection, cache, sql, args))
        result = yield from _prepared(cursor, connection, key, entry, sql, args)
        if result is not None:
            return result
    cursor._sent = text = cursor._mogrify(sql, args)
    received = session.bytes_received
    result = yield from query(
        session,
        connection._encode(text),
        stream=cursor._streams,
        attributes=connection.query_attributes,
    )
    if entry is not None:
        entry.count += 1
        # who streams expects much
        entry.large = cursor._streams or session.bytes_received - received > MUCH
    return result


def _entry(connection: BaseConnection, cache: StatementCache, sql: str, args: Any) -> Entry:
    context = connection._context
    mariadb = connection._session.mariadb
    if context.guarded:  # text refuses what could be prepared here: both shall do the same
        return Entry(None)
    try:
        counted = template(sql, "qmark", context)
        if args is None:
            found = counted._replace(text=sql)
            fits = not counted.size and preparable(found, 0, mode=cache.mode, mariadb=mariadb)
            return Entry(found if fits else None)
        found = template(sql, connection._options.paramstyle, context)
    except err.Error:
        return Entry(None)
    found = found._replace(text=found.text % (("?",) * found.size))
    counted = template(found.text, "qmark", context)
    fits = preparable(found, counted.size, mode=cache.mode, mariadb=mariadb)
    return Entry(found if fits else None)


def _prepared(
    cursor: BaseCursor[Any, Any],
    connection: BaseConnection,
    key: tuple[object, ...],
    entry: Entry,
    sql: str,
    args: Any,
) -> Conversation[Result | None]:
    session = connection._session
    cache, marked = session.statements, entry.marked
    if cache is None or marked is None or not cache.is_due(entry):
        return None
    try:
        values = () if args is None else in_order(marked, args, connection._options.paramstyle)
        parameters = bind(values, connection._context)
        if forced := any(cursor._input_types):
            types = cursor._input_types
            parameters = force(values, parameters, types, connection._context)
        text = connection._encode(marked.text)
    except (TypeError, ValueError, err.Error):
        return None  # the text says it, or knows a form for it
    if any(isinstance(piece, LongData) for _, piece in parameters):
        return None
    if any(type(values[at]) is not int or values[at] < 0 for at in entry.limits):
        return None  # a syntax error in text
    codes = tuple([code for code, _ in parameters])
    if not session.mariadb and parameters:
        if not forced and (LONG_BLOB in codes or any(code & UNSIGNED for code in codes)):
            return None  # converted to what stands beside it: bytes even to text
        # what was compared as a number once stays one for that statement
        key = (*key, codes)
        entry = cache.find(key) or cache.add(key, Entry(marked))
    cursor._sent = Sent(connection, sql, args)
    return (
        yield from run_prepared(
            session,
            cache,
            key,
            entry,
            text,
            parameters,
            stream=cursor._streams,
            attributes=connection.query_attributes,
        )
    )
