"""Python values to SQL, column texts to Python values: the public registries, named as in PyMySQL.

`encoders` maps a type to `function(value, mapping) -> str`, `decoders` maps a `FIELD_TYPE` to
`function(text)`; `conversions` holds both, and a changed copy of it is what `connect(conv=...)`
takes. `pymy.sql.literals` writes parameters; the functions here do not know a connection and assume
backslash escapes.
"""

from __future__ import annotations

import array
import datetime
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any

from .constants import CR, FIELD_TYPE
from .err import DataError, ProgrammingError
from .texts import convert_date, convert_datetime, convert_timedelta, through
from .texts import convert_time as convert_time  # for ``conv``, by PyMySQL's name

Encoder = Callable[[Any, Any], str]
Decoder = Callable[[Any], Any]

_ESCAPES = (
    ("\\", "\\\\"),  # first, before there are those of the others
    # not \', which ends the string where NO_BACKSLASH_ESCAPES holds and nobody knows it
    ("'", "''"),
    ('"', '\\"'),
    ("\0", "\\0"),
    ("\n", "\\n"),
    ("\r", "\\r"),
    ("\x1a", "\\Z"),
)


# Values to SQL ------------------------------------------------------------


def escape_string(value: str, mapping: Any = None) -> str:
    """Return `value` with backslash escapes and doubled quotes, to be put between single quotes.

    In the mode NO_BACKSLASH_ESCAPES the string ends where it should, with backslashes it did not
    have: `Connection.escape` knows the mode, this does not.
    """
    for char, escape in _ESCAPES:  # a search each, which costs less than translating
        value = str.replace(value, char, escape)
    return value


def double_quotes(value: str) -> str:
    """Return `value` with its single quotes doubled and nothing else."""
    return value.replace("'", "''")


def plain_text(value: Any) -> str:
    """Return the characters of a string, `str()` of anything else, as an exact `str`.

    Members of str enums print something else than what they hold, and a subclass may have
    operators of its own.
    """
    return str.__str__(value if issubclass(type(value), str) else str(value))


def escape_str(value: Any, mapping: Any = None) -> str:
    """Return `str(value)` as a quoted string."""
    return f"'{escape_string(plain_text(value))}'"


def escape_bytes(value: Any, mapping: Any = None) -> str:
    """Return bytes as `_binary X'...'`, right in every SQL mode and character set.

    Hexadecimal costs two characters a byte. The introducer is there because MySQL reads a bare
    X'31' as the number 49 where it expects one; MariaDB does not.

    Source: https://dev.mysql.com/doc/refman/8.4/en/hexadecimal-literals.html
    """
    return f"_binary X'{memoryview(value).tobytes().hex()}'"


def escape_buffer(value: Any, mapping: Any = None) -> str:
    """Return the memory of a memoryview or array as `escape_bytes` does."""
    return escape_bytes(value)


def escape_None(value: Any, mapping: Any = None) -> str:
    """Return NULL."""
    return "NULL"


def escape_bool(value: Any, mapping: Any = None) -> str:
    """Return 1 or 0."""
    return "1" if value else "0"


def escape_int(value: Any, mapping: Any = None) -> str:
    """Return the digits of an integer of any size."""
    # Not str(): members of IntEnum and integers of other libraries print otherwise.
    try:
        return int.__repr__(int(value))
    except ValueError as error:
        refuse_too_long(error)
        raise


def refuse_too_long(error: ValueError) -> None:
    """Raise DataError when the error is Python's for an integer of too many digits to print."""
    if "for integer string conversion" in str(error):
        raise DataError(
            CR.CR_BAD_PARAMETER,
            "an integer has more digits than Python prints, and far more than the 65 that fit any "
            "column: pass it as text",
            sent=False,
        ) from None


def escape_float(value: Any, mapping: Any = None) -> str:
    """Return the shortest digits that read back as the same DOUBLE; DataError for nan and inf."""
    text = repr(value) if type(value) is float else float.__repr__(float(value))
    if "n" in text:
        raise DataError(
            CR.CR_BAD_PARAMETER,
            f"{text} has no place in MySQL: pass None for NULL instead",
            sent=False,
        )
    # Without an exponent the server reads a DECIMAL.
    return text if "e" in text else text + "e0"


def Decimal2Literal(value: Decimal, mapping: Any = None) -> str:
    """Return an exact decimal literal; DataError for nan and inf.

    Beyond 81 digits before the point, or zeros after it, the literal gets an exponent and the
    server reads a
    DOUBLE: its DECIMAL ends at 65 digits anyway.
    """
    # Unbound here and below: a subclass may print, compare and subtract in its own way.
    text = Decimal.__str__(value)
    if not Decimal.is_finite(value):
        message = f"Decimal('{text}') has no place in MySQL: pass None for NULL instead"
        raise DataError(CR.CR_BAD_PARAMETER, message, sent=False)
    # An exponent would make it a DOUBLE.
    small = "E" in text and -82 < Decimal.adjusted(value) < 82
    return Decimal.__format__(value, "f") if small else text


def escape_date(value: datetime.date, mapping: Any = None) -> str:
    """Return a quoted date."""
    return f"'{datetime.date.isoformat(value)}'"


def escape_datetime(value: datetime.datetime, mapping: Any = None) -> str:
    """Return a quoted date and time, microseconds when there are any; DataError for a zone."""
    if value.tzinfo is not None:
        raise DataError(CR.CR_BAD_PARAMETER, _aware(value), sent=False)
    if value != value:  # pandas.NaT
        raise DataError(
            CR.CR_BAD_PARAMETER, f"{value!r} is not a date: pass None for NULL instead", sent=False
        )
    return f"'{_isoformat(value, ' ')}'"


_isoformat = datetime.datetime.isoformat


def _aware(value: datetime.datetime | datetime.time) -> str:
    name = "datetime" if isinstance(value, datetime.datetime) else "time"
    return (
        f"{value!r} has a time zone, which a DATETIME, TIMESTAMP or TIME column does not keep: "
        "connect with time_zone='UTC', say, to have datetimes converted to that zone, or have any "
        f"zone dropped: conv={{**pymy.converters.conversions, datetime.{name}: "
        "pymy.converters.drop_zone}"
    )


def drop_zone(value: Any, mapping: Any = None) -> str:
    """Return a quoted datetime or time without its zone, and without a word about it, as PyMySQL.

    For ``conv={**conversions, datetime.datetime: drop_zone}``, where all zones are the session's.
    """
    if isinstance(value, datetime.datetime):
        return escape_datetime(value.replace(tzinfo=None))
    return escape_time(value.replace(tzinfo=None))


def escape_time(value: datetime.time, mapping: Any = None) -> str:
    """Return a quoted time of day; DataError when it has a zone."""
    if value.tzinfo is not None:
        raise DataError(CR.CR_BAD_PARAMETER, _aware(value), sent=False)
    return f"'{datetime.time.isoformat(value)}'"


_TIME_LIMIT = datetime.timedelta(hours=838, minutes=59, seconds=59)


def escape_timedelta(value: datetime.timedelta, mapping: Any = None) -> str:
    """Return a quoted TIME; DataError outside ±838:59:59.

    Source: https://dev.mysql.com/doc/refman/8.4/en/time.html
    """
    size = datetime.timedelta.__abs__(value)
    sign = "-" if datetime.timedelta.__lt__(value, datetime.timedelta()) else ""
    if size > _TIME_LIMIT:
        message = f"{value!r} does not fit a TIME, -838:59:59 to 838:59:59: store it as a number"
        raise DataError(CR.CR_BAD_PARAMETER, message, sent=False)
    minutes, seconds = divmod(size.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{size.microseconds:06d}" if size.microseconds else ""
    return f"'{sign}{size.days * 24 + hours:02d}:{minutes:02d}:{seconds:02d}{fraction}'"


def escape_struct_time(value: time.struct_time, mapping: Any = None) -> str:
    """Return a quoted date and time."""
    return escape_datetime(datetime.datetime(*value[:6]))


def escape_enum(value: Enum, mapping: Any = None) -> str:
    """Return the literal of the member's value."""
    return escape_item(value.value, None, mapping)


def escape_not_supported(value: Any, charset: Any = None, mapping: Any = None) -> str:
    """Raise TypeError."""
    raise TypeError(unsupported(type(value)))


def unsupported(cls: type) -> str:
    """Return the text of the TypeError for a parameter of a type nobody knows."""
    if issubclass(cls, Mapping):
        return (
            f"{cls.__name__} cannot be one parameter: pass json.dumps(value) for a JSON column, "
            "pymy.sql.assignments(value) for a SET list"
        )
    name = (
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    )
    return (
        f"{name} cannot be a parameter: convert it, or register a function(value, mapping) that "
        f"returns SQL: pymy.converters.encoders[{cls.__name__}] = function, or "
        f"connect(conv={{**pymy.converters.conversions, {cls.__name__}: function}})"
    )


def find_encoder(cls: type, mapping: Mapping[Any, Any]) -> Encoder | None:
    """Return the encoder of the nearest class `cls` inherits from, None when there is none."""
    return next((mapping[base] for base in cls.__mro__ if base in mapping), None)


def escape_item(val: Any, charset: Any = None, mapping: Mapping[Any, Any] | None = None) -> str:
    """Return the literal of a value whose type, or a base of it, is in `mapping`.

    charset: not used, as in PyMySQL. mapping: default `encoders`. TypeError for other types: their
        str() was never meant to be SQL.
    """
    if mapping is None:
        mapping = encoders
    encoder: Callable[..., str] | None = find_encoder(type(val), mapping)
    if encoder is None:
        raise TypeError(unsupported(type(val)))
    if encoder is escape_sequence:
        return escape_sequence(val, charset, mapping)
    return encoder(val, mapping)


def escape(val: Any, mapping: Mapping[Any, Any] | None = None) -> str:
    """Return the literal of a value: ``escape_item`` under mysqlclient's name."""
    return escape_item(val, None, mapping)


def escape_sequence(
    val: Iterable[Any], charset: Any = None, mapping: Mapping[Any, Any] | None = None
) -> str:
    """Return `(a,b,c)`; ProgrammingError when empty."""
    items = [escape_item(item, charset, mapping) for item in val]
    if not items:
        raise ProgrammingError(CR.CR_BAD_PARAMETER, EMPTY_SEQUENCE, sent=False)
    return f"({','.join(items)})"


EMPTY_SEQUENCE = (
    "an empty sequence has no SQL form, IN () is a syntax error: "
    "skip the statement, or pass [None], which IN never matches"
)


def escape_set(
    val: Iterable[Any], charset: Any = None, mapping: Mapping[Any, Any] | None = None
) -> str:
    """Return `a,b,c`."""
    return ",".join([escape_item(item, charset, mapping) for item in val])


def escape_dict(
    val: Mapping[Any, Any], charset: Any = None, mapping: Mapping[Any, Any] | None = None
) -> dict[Any, str]:
    """Return a dict of the same keys with the literals of the values."""
    return {key: escape_item(item, charset, mapping) for key, item in val.items()}


def escape_uuid(value: uuid.UUID, mapping: Any = None) -> str:
    """Return the quoted text of a UUID."""
    return f"'{uuid.UUID.__str__(value)}'"


convert_bit = through
Thing2Literal = escape_unicode = string_literal = escape_str
escape_bytes_prefixed = escape_bytes

encoders: dict[Any, Callable[..., str]] = {
    bool: escape_bool,
    int: escape_int,
    float: escape_float,
    str: escape_str,
    bytes: escape_bytes,
    bytearray: escape_bytes,
    memoryview: escape_buffer,
    array.array: escape_buffer,
    tuple: escape_sequence,
    list: escape_sequence,
    set: escape_sequence,
    frozenset: escape_sequence,
    dict: escape_not_supported,
    type(None): escape_None,
    datetime.date: escape_date,
    datetime.datetime: escape_datetime,
    datetime.timedelta: escape_timedelta,
    datetime.time: escape_time,
    time.struct_time: escape_struct_time,
    Decimal: Decimal2Literal,
    uuid.UUID: escape_uuid,
    Enum: escape_enum,
}

decoders: dict[int, Decoder] = {
    FIELD_TYPE.BIT: convert_bit,
    FIELD_TYPE.TINY: int,
    FIELD_TYPE.SHORT: int,
    FIELD_TYPE.LONG: int,
    FIELD_TYPE.FLOAT: float,
    FIELD_TYPE.DOUBLE: float,
    FIELD_TYPE.LONGLONG: int,
    FIELD_TYPE.INT24: int,
    FIELD_TYPE.YEAR: int,
    FIELD_TYPE.TIMESTAMP: convert_datetime,
    FIELD_TYPE.DATETIME: convert_datetime,
    FIELD_TYPE.TIME: convert_timedelta,
    FIELD_TYPE.DATE: convert_date,
    FIELD_TYPE.BLOB: through,
    FIELD_TYPE.TINY_BLOB: through,
    FIELD_TYPE.MEDIUM_BLOB: through,
    FIELD_TYPE.LONG_BLOB: through,
    FIELD_TYPE.STRING: through,
    FIELD_TYPE.VAR_STRING: through,
    FIELD_TYPE.VARCHAR: through,
    FIELD_TYPE.DECIMAL: Decimal,
    FIELD_TYPE.NEWDECIMAL: Decimal,
}

default_encoders = MappingProxyType[Any, Callable[..., str]](dict(encoders))
"""What `encoders` held at import: another object was put there by the user."""
default_decoders = MappingProxyType[Any, Decoder](dict(decoders))
"""What `decoders` held at import: another object in `conv` overrides the row decoder."""

conversions: dict[Any, Callable[..., Any]] = {**encoders, **decoders}
default_conversions = MappingProxyType(dict(conversions))
