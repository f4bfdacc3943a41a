"""PEP 249's constructors of dates and times, and mysqlclient's readers of them.

Source: https://peps.python.org/pep-0249/#type-objects-and-constructors
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import cast

from .converters import parse_date, parse_datetime, parse_time

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


def DateTime_or_None(text: bytes | bytearray | str) -> datetime | None:
    """Return a datetime, None for what is none (mysqlclient's name, like the next two)."""
    return cast("datetime | None", parse_datetime(text, "none"))


def Date_or_None(text: bytes | bytearray | str) -> date | None:
    """Return a date, None for what is none."""
    return cast("date | None", parse_date(text, "none"))


def TimeDelta_or_None(text: bytes | bytearray | str) -> timedelta | None:
    """Return a timedelta, None for what is none."""
    return cast("timedelta | None", parse_time(text, "none"))
