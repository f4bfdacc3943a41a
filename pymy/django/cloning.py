"""A database copied within its server: definitions by SHOW CREATE, rows by INSERT ... SELECT."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pymy import Error, escape_id

# The column of SHOW CREATE that holds the statement; in all others it is the third.
_STATEMENT_IN = {"TABLE": 1, "VIEW": 1, "SEQUENCE": 1, "EVENT": 3}

_OBJECTS = {
    "ROUTINE": "SELECT routine_type, routine_name FROM information_schema.routines "
    "WHERE routine_schema = %s",
    "TRIGGER": "SELECT 'TRIGGER', trigger_name FROM information_schema.triggers "
    "WHERE trigger_schema = %s ORDER BY action_order",
    "EVENT": "SELECT 'EVENT', event_name FROM information_schema.events WHERE event_schema = %s",
}
_COLUMNS = (
    "SELECT column_name FROM information_schema.columns WHERE table_schema = %s "
    # DEFAULT_GENERATED is only a default that is an expression
    "AND table_name = %s AND extra NOT LIKE '%% GENERATED%%' ORDER BY ordinal_position"
)


class _Definition(NamedTuple):
    kind: str
    name: str
    statement: str
    sql_mode: str | None
    time_zone: str | None


def clone(cursor: Any, source: str, target: str) -> None:
    """Copy all of one database into another that is empty; a cursor of any database will do.

    Tables with their rows, sequences, routines, views, triggers and events.
    """
    # views name their tables without a database only as long as it is the current one
    cursor.execute(f"USE {_quoted(source)}")
    tables = _tables(cursor, source)
    objects = {name: _definitions(cursor, _rows(cursor, query, source))
               for name, query in _OBJECTS.items()}  # fmt: skip
    columns = {each.name: _names(cursor, _COLUMNS, source, each.name) for each in tables["TABLE"]}

    cursor.execute(f"USE {_quoted(target)}")
    # rows are taken as they are: zero as a key, dates that a stricter mode refuses
    mode = "NO_AUTO_VALUE_ON_ZERO"
    cursor.execute(f"SET foreign_key_checks = 0, unique_checks = 0, sql_mode = '{mode}'")
    for each in (*tables["SEQUENCE"], *tables["TABLE"]):
        cursor.execute(each.statement)
    for each in tables["SEQUENCE"]:
        name = _quoted(each.name)
        cursor.execute(f"SELECT next_not_cached_value FROM {_quoted(source)}.{name}")
        cursor.execute(f"DO SETVAL({name}, {cursor.fetchone()[0]}, 0)")
    for each in tables["TABLE"]:
        listed, name = ", ".join(map(_quoted, columns[each.name])), _quoted(each.name)
        cursor.execute(
            f"INSERT INTO {name} ({listed}) SELECT {listed} FROM {_quoted(source)}.{name}"
        )
    _create(cursor, objects["ROUTINE"])
    _create_views(cursor, tables["VIEW"])
    _create(cursor, (*objects["TRIGGER"], *objects["EVENT"]))


def _quoted(name: str) -> str:
    return escape_id(name, qualified=False)


def _rows(cursor: Any, query: str, *args: str) -> list[tuple[Any, ...]]:
    cursor.execute(query, args)
    return list(cursor.fetchall())


def _names(cursor: Any, query: str, *args: str) -> list[str]:
    return [name for (name,) in _rows(cursor, query, *args)]


def _tables(cursor: Any, source: str) -> dict[str, list[_Definition]]:
    found = _rows(
        cursor,
        "SELECT table_type, table_name FROM information_schema.tables WHERE table_schema = %s",
        source,
    )
    kinds = ("SEQUENCE", "VIEW", "TABLE")
    # BASE TABLE, and MariaDB's SYSTEM VERSIONED
    named = [(kind if kind in kinds else "TABLE", name) for kind, name in found]
    made = _definitions(cursor, named)
    return {kind: [each for each in made if each.kind == kind] for kind in kinds}


def _definitions(cursor: Any, named: Iterable[tuple[Any, ...]]) -> list[_Definition]:
    made = []
    for kind, name in named:
        cursor.execute(f"SHOW CREATE {kind} {_quoted(name)}")
        row = cursor.fetchone()
        shown = dict(zip((column[0] for column in cursor.description), row, strict=True))
        statement = row[_STATEMENT_IN.get(kind, 2)]
        made.append(
            _Definition(kind, name, statement, shown.get("sql_mode"), shown.get("time_zone"))
        )
    return made


def _create(cursor: Any, definitions: Iterable[_Definition]) -> None:
    for each in definitions:
        cursor.execute("SET sql_mode = %s", (each.sql_mode,))
        if each.time_zone:
            cursor.execute("SET time_zone = %s", (each.time_zone,))
        cursor.execute(each.statement)


def _create_views(cursor: Any, views: list[_Definition]) -> None:
    """Create views, those that build upon others after them."""
    while views:
        late: list[_Definition] = []
        for each in views:
            try:
                cursor.execute(each.statement)
            except Exception as exc:
                if len(late) + 1 == len(views) or not isinstance(exc.__cause__, Error):
                    raise
                late.append(each)
        views = late
