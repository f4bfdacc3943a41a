"""What the text protocol's columns become: numbers of a calendar that Python may not know."""

from __future__ import annotations

import datetime
import re
from typing import Literal, TypeVar

ZeroDates = Literal["str", "none", "raise"]
T = TypeVar("T")

_DATETIME = re.compile(
    r"(\d{1,4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?)?", re.ASCII
)
_TIME = re.compile(r"(-?)(\d{1,3}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?", re.ASCII)


def _text(value: bytes | bytearray | str) -> str:
    return value if isinstance(value, str) else value.decode("ascii")


def _misfit(text: str, zero_dates: ZeroDates, kind: str) -> str | None:
    if zero_dates == "str":
        return text
    if zero_dates == "none":
        return None
    raise ValueError(
        f"{text!r} is not a {kind} of Python's calendar: zero_dates='str' or 'none' takes it"
    )


def _micros(digits: str | None) -> int:
    return int(digits.ljust(6, "0")) if digits else 0


def parse_datetime(
    text: bytes | bytearray | str, zero_dates: ZeroDates = "str"
) -> datetime.datetime | str | None:
    """Return the value of a DATETIME or TIMESTAMP text, a bare date being its midnight.

    zero_dates: for zero and partial dates, and texts that are none at all: "str" returns the text,
        "none"
    None, "raise" raises ValueError.
    """
    text = _text(text)
    if match := _DATETIME.fullmatch(text):
        year, month, day, hour, minute, second = map(int, match.groups("0")[:6])
        micros = _micros(match.group(7))
        try:
            return datetime.datetime(year, month, day, hour, minute, second, micros)
        except ValueError:
            pass
    return _misfit(text, zero_dates, "date and time")


def parse_date(
    text: bytes | bytearray | str, zero_dates: ZeroDates = "str"
) -> datetime.date | str | None:
    """Return the value of a DATE text; `zero_dates` as for `parse_datetime`."""
    text = _text(text)
    match = _DATETIME.fullmatch(text)
    if match and match.group(4) is None:
        try:
            return datetime.date(int(match.group(1)), int(match.group(2)), int(match.group(3)))
        except ValueError:
            pass
    return _misfit(text, zero_dates, "date")


def parse_time(
    text: bytes | bytearray | str, zero_dates: ZeroDates = "str"
) -> datetime.timedelta | str | None:
    """Return the value of a TIME text, -838:59:59.999999 to 838:59:59.999999.

    zero_dates: for texts that are no time, as for `parse_datetime`; 00:00:00 is a time.
    """
    text = _text(text)
    match = _TIME.fullmatch(text)
    if match is None:
        return _misfit(text, zero_dates, "time")
    sign, hours, minutes, seconds, fraction = match.groups()
    size = datetime.timedelta(
        hours=int(hours), minutes=int(minutes), seconds=int(seconds), microseconds=_micros(fraction)
    )
    # On the whole, for '-00:00:01' has no hours to carry the sign.
    return -size if sign else size


def convert_datetime(
    obj: bytes | bytearray | str,
) -> datetime.datetime | datetime.date | str | None:
    """Return a datetime; the date when the text has no time; the text itself when it is neither."""
    text = _text(obj)
    date = convert_date(text)
    return parse_datetime(text) if date is text else date


def convert_date(obj: bytes | bytearray | str) -> datetime.date | str | None:
    """Return a date, or the text itself when it is none."""
    return parse_date(obj)


def convert_timedelta(obj: bytes | bytearray | str) -> datetime.timedelta | str | None:
    """Return a timedelta, or the text itself when it is no time."""
    return parse_time(obj)


def convert_time(obj: bytes | bytearray | str) -> datetime.time | str:
    """Return a time of day, or the text itself when it is none.

    For those whose TIME columns hold one: `conv={**conversions, FIELD_TYPE.TIME: convert_time}`.
    """
    text = _text(obj)
    match = _TIME.fullmatch(text)
    if match and not match.group(1):
        hour, minute, second = map(int, match.groups()[1:4])
        try:
            return datetime.time(hour, minute, second, _micros(match.group(5)))
        except ValueError:
            pass
    return text


def through(x: T) -> T:
    """Return the value as it is."""
    return x
