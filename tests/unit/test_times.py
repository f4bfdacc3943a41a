from __future__ import annotations

import time
from datetime import date, datetime, timedelta, timezone
from datetime import time as time_of_day

import pytest

import pymy
from pymy import times


def test_constructors_are_the_standard_types():
    assert times.Date(2024, 2, 29) == date(2024, 2, 29)
    assert times.Time(23, 59, 58) == time_of_day(23, 59, 58)
    assert times.Timestamp(2024, 2, 29, 1, 2, 3) == datetime(2024, 2, 29, 1, 2, 3)
    assert times.TimeDelta(hours=838) == timedelta(hours=838)


@pytest.mark.parametrize("ticks", [0, 1_700_000_000, 1_700_000_000.999])
def test_ticks_are_local_time_in_whole_seconds(ticks):
    local = time.localtime(ticks)
    assert times.DateFromTicks(ticks) == date(*local[:3])
    assert times.TimeFromTicks(ticks) == time_of_day(*local[3:6])
    assert times.TimestampFromTicks(ticks) == datetime(*local[:6])


@pytest.mark.parametrize(
    ("named", "hours"),
    [("UTC", 0), ("z", 0), ("+02:00", 2), ("-0330", -3.5), ("+5:45", 5.75), ("Asia/Kolkata", 5.5)],
)
def test_zones(named, hours):
    found = times.zone(named)
    assert found is not None
    assert found.utcoffset(datetime(2024, 2, 29, 12)) == timedelta(hours=hours)


@pytest.mark.parametrize("named", ["", "Mars/Olympus", "+24:00", "+1:00x", "../etc", "Europe"])
def test_zones_that_are_none(named):
    with pytest.raises(pymy.ProgrammingError, match="time_zone: "):
        pymy.Options.from_keywords(time_zone=named)


def test_datetimes_are_written_in_the_zone_of_the_options():
    conn = pymy.Connection(time_zone="UTC", defer_connect=True)
    aware = datetime(2024, 2, 29, 12, tzinfo=timezone(timedelta(hours=2)))
    assert conn.escape(aware) == "'2024-02-29 10:00:00'"
    assert conn.escape(aware.replace(tzinfo=None)) == "'2024-02-29 12:00:00'"
