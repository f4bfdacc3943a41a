"""The servers' time zone tables, from what Python knows of time zones."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pymy import Connection

_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
# No zone keeps a rule for less than a month (Morocco's summer time pauses for Ramadan).
_STEP = timedelta(days=20)


class _Rule(NamedTuple):
    offset: int
    dst: bool
    name: str


def load_time_zones(connection: Connection, names: Iterable[str]) -> None:
    """Fill mysql.time_zone* with zones of ``zoneinfo``, 1900 to 2037, in place of what is there."""
    names = list(names)
    types, transitions = [], []
    for zone_id, name in enumerate(names, 1):
        rules: dict[_Rule, int] = {}
        for moment, rule in _changes(zoneinfo.ZoneInfo(name)):
            type_id = rules.setdefault(rule, len(rules))
            transitions.append((zone_id, moment, type_id))
        types += [(zone_id, type_id, *rule) for rule, type_id in rules.items()]
    cursor = connection.cursor()
    tables: dict[str, list[tuple[Any, ...]]] = {
        "time_zone": [(zone_id, "N") for zone_id in range(1, len(names) + 1)],
        "time_zone_name": list(zip(names, range(1, len(names) + 1), strict=True)),
        "time_zone_transition_type": types,
        "time_zone_transition": transitions,
    }
    for table, rows in tables.items():
        cursor.execute(f"TRUNCATE TABLE mysql.{table}")
        places = ", ".join(["%s"] * len(rows[0]))
        cursor.executemany(f"INSERT INTO mysql.{table} VALUES ({places})", rows)
    connection.commit()


def _changes(zone: zoneinfo.ZoneInfo) -> Iterator[tuple[int, _Rule]]:
    """Yield each moment, in seconds since 1970, at which another rule begins."""
    at, known = _FIRST, _rule(zone, _FIRST)
    yield int(at.timestamp()), known
    while at < _LAST:
        later = at + _STEP
        if _rule(zone, later) != known:
            low, high = at, later
            while high - low > timedelta(seconds=1):
                middle = (low + (high - low) / 2).replace(microsecond=0)
                low, high = (middle, high) if _rule(zone, middle) == known else (low, middle)
            known = _rule(zone, high)
            yield int(high.timestamp()), known
        at = later


def _rule(zone: zoneinfo.ZoneInfo, moment: datetime) -> _Rule:
    local = moment.astimezone(zone)
    offset, dst = local.utcoffset(), local.dst()
    assert offset is not None
    return _Rule(int(offset.total_seconds()), bool(dst), (local.tzname() or "")[:8])
