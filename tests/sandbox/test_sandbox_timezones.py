"""Time zone tables made of what Python knows."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pymy


def test_servers_and_python_agree(extra_server):
    server = extra_server()
    server.load_time_zones("UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe")
    ask = "select convert_tz(%s, 'UTC', %s)"
    with pymy.connect(server.dsn) as conn:
        for zone in ("Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe"):
            for month in range(1, 13):
                for year in (1971, 1985, 2024, 2037):
                    moment = datetime.datetime(year, month, 28, 22, 30)
                    aware = moment.replace(tzinfo=datetime.UTC).astimezone(ZoneInfo(zone))
                    there = conn.execute(ask, (moment, zone)).fetchone()
                    assert there == (aware.replace(tzinfo=None),)
        assert conn.execute(ask, (moment, "Europe/Paris")).fetchone() == (None,)
