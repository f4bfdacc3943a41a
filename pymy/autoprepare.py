"""Cursors that prepare what they execute, as the option ``prepare`` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import err
from .protocol.inputtypes import force
from .protocol.needs import Conversation
from .protocol.params import LONG_BLOB, UNSIGNED, LongData, bind, is_read
from .protocol.query import query
from .protocol.result import Result
from .protocol.statementcache import (
    LONGEST_TEXT,
    MUCH,
    Entry,
    preparable,
    run_prepared,
)
from .protocol.statements import Prepared, execute
from .sql import ParamStyle, Template, in_order, interpolate, template

if TYPE_CHECKING:
    from .base import BaseConnection
    from .basecursor import BaseCursor


def kept(args: Any) -> Any:
    """Return what stays as it is when the program uses its list or dict again."""
    if isinstance(args, Mapping):
        return dict(args)
    return list(args) if isinstance(args, list) else args


class Sent:
    """A statement whose values went beside it; its text is written when somebody asks."""

    def __init__(self, connection: BaseConnection, sql: str, args: Any) -> None:
        self._sql = sql
        self._args = kept(args)
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
        # a type counts from the first time on: the same statement gives the same rows each time
        forced = cursor._input_types != () and any(cursor._input_types)
        mode = "always" if forced else cache.mode
        key = (sql, args is None, session.schema, connection._context, mode)
        entry = cache.find(key) or cache.add(key, _entry(connection, mode, sql, args))
        result = yield from _prepared(cursor, connection, key, entry, sql, args, forced)
        if result is not None:
            return result
    try:
        cursor._sent = text = cursor._mogrify(sql, args)
    except TypeError:
        if not has_long_data(args):
            raise
        return (yield from executing_once(cursor, connection, sql, args))
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


def has_long_data(args: Any) -> bool:
    """Tell whether a file or an iterator is among the values, which text cannot hold."""
    if isinstance(args, Mapping):
        return any(is_read(type(value)) for value in args.values())
    return any(
        is_read(type(value)) for value in (args if isinstance(args, (tuple, list)) else (args,))
    )


def executing_once(
    cursor: BaseCursor[Any, Any], connection: BaseConnection, sql: str | bytes, args: Any
) -> Conversation[Result]:
    """Execute a text whose values are read as they are sent: prepared, for this time only."""
    if not isinstance(sql, str):
        sql = bytes(sql).decode(connection.encoding)
    style = connection._options.paramstyle
    found = template(sql, style, connection._context)
    parameters = bind(in_order(found, args, style), connection._context)
    cursor._sent = text = found.text % (("?",) * found.size)
    prepared = Prepared(connection._encode(text), describe=False)
    try:
        return (
            yield from execute(
                connection._session,
                prepared,
                parameters,
                stream=cursor._streams,
                attributes=connection.query_attributes,
            )
        )
    finally:
        prepared.close()


def _entry(connection: BaseConnection, mode: str, sql: str, args: Any) -> Entry:
    if args is not None:
        return Entry(parametrized(connection, sql, mode=mode))
    context = connection._context
    if context.guarded:  # text refuses what could be prepared here: both shall do the same
        return Entry(None)
    try:
        counted = template(sql, "qmark", context)
    except err.Error:
        return Entry(None)
    found = counted._replace(text=sql)
    mariadb = connection._session.mariadb
    fits = not counted.size and preparable(found, 0, mode=mode, mariadb=mariadb)
    return Entry(found if fits else None)


def parametrized(connection: BaseConnection, sql: str, *, mode: str) -> Template | None:
    """Return a text with ``?`` for its placeholders; None when it is not to be prepared."""
    context = connection._context
    if context.guarded:
        return None
    try:
        found = template(sql, connection._options.paramstyle, context)
        found = found._replace(text=found.text % (("?",) * found.size))
        counted = template(found.text, "qmark", context)
    except err.Error:
        return None
    mariadb = connection._session.mariadb
    fits = preparable(found, counted.size, mode=mode, mariadb=mariadb)
    return found if fits else None


def _prepared(
    cursor: BaseCursor[Any, Any],
    connection: BaseConnection,
    key: tuple[object, ...],
    entry: Entry,
    sql: str,
    args: Any,
    forced: bool,
) -> Conversation[Result | None]:
    session = connection._session
    cache, marked = session.statements, entry.marked
    if cache is None or marked is None or not cache.is_due(entry, at_once=forced):
        return None
    try:
        values = () if args is None else in_order(marked, args, connection._options.paramstyle)
        parameters = bind(values, connection._context)
        if forced:
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
