from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from datetime import time as time_of_day

import pytest

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
