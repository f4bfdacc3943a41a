"""PEP 249's constructors of dates and times, and mysqlclient's readers of them.

Source: https://peps.python.org/pep-0249/#type-objects-and-constructors
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo

from .texts import parse_date, parse_datetime, parse_time

Date = date
Time = time
TimeDelta = timedelta
Timestamp = datetime


def DateFromTicks(ticks: float) -> date:
    """Return the local date of a number of seconds since the epoch."""
    return date.fromtimestamp(ticks)


def TimeFromTicks(ticks: float) -> time:
    """Return the local time of day, in whole seconds, of a number of seconds since the epoch."""
    return TimestampFromTicks(ticks).time()


def TimestampFromTicks(ticks: float) -> datetime:
    """Return the local date and time, in whole seconds, of a number of seconds since the epoch."""
    return datetime.fromtimestamp(ticks // 1)


@lru_cache(16)
def zone(named: str | tzinfo | None) -> tzinfo | None:
    """Return the zone of "UTC", "+02:00" or "Europe/Vienna"; ValueError where there is none."""
    if named is None or isinstance(named, tzinfo):
        return named
    if named.upper() in ("UTC", "Z"):
        return UTC
    if offset := re.fullmatch(r"([+-])([01]?\d):?([0-5]\d)", named):
        size = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return timezone(-size if offset[1] == "-" else size)
    try:
        return ZoneInfo(named)
    except (OSError, LookupError) as exc:  # a folder of the zones, or none of them
        raise ValueError(f"no time zone is called {named!r}") from exc


def DateTime_or_None(text: bytes | bytearray | str) -> datetime | None:
    """Return a datetime, None for what is none (mysqlclient's name, like the next two)."""
    return cast("datetime | None", parse_datetime(text, "none"))


def Date_or_None(text: bytes | bytearray | str) -> date | None:
    """Return a date, None for what is none."""
    return cast("date | None", parse_date(text, "none"))


def TimeDelta_or_None(text: bytes | bytearray | str) -> timedelta | None:
    """Return a timedelta, None for what is none."""
    return cast("timedelta | None", parse_time(text, "none"))
