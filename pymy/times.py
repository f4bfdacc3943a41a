"""PEP 249's constructors of dates and times.

Source: https://peps.python.org/pep-0249/#type-objects-and-constructors
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

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
