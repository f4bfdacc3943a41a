"""Python values as parameters of a prepared statement.

A parameter has the value that its literal would have in text: times go as the strings they are
there, numbers beyond 64 bits as DECIMAL. What an encoder of the program writes is SQL and no value:
``NoParameter`` then, and text remains.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_stmt_execute.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any

from pymy import converters
from pymy.constants import CR, FIELD_TYPE
from pymy.err import DataError
from pymy.protocol.attributes import Attributes, typed
from pymy.protocol.wire import lenenc, lenenc_bytes
from pymy.sql import LiteralContext

UNSIGNED = 0x8000  # beside the type (P75)
# Bytes of one COM_STMT_SEND_LONG_DATA.
LONG_PIECE = 1 << 18
NULL = int(FIELD_TYPE.NULL)
LONGLONG = int(FIELD_TYPE.LONGLONG)
NEWDECIMAL = int(FIELD_TYPE.NEWDECIMAL)
VAR_STRING = int(FIELD_TYPE.VAR_STRING)
LONG_BLOB = int(FIELD_TYPE.LONG_BLOB)
DOUBLE = int(FIELD_TYPE.DOUBLE)


class NoParameter(TypeError):
    """The value has a form in SQL text at most."""


class LongData:
    """A file or an iterator of bytes, sent piece by piece before the statement is executed."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def pieces(self) -> Iterator[bytes]:
        read = getattr(self.source, "read", None)
        found = iter(lambda: read(LONG_PIECE), b"") if read is not None else self.source
        for piece in found:
            if not isinstance(piece, (bytes, bytearray, memoryview)):
                raise TypeError(
                    f"a parameter that is read gives bytes, not {type(piece).__name__}: "
                    "open the file in binary mode"
                )
            view = memoryview(piece).cast("B")
            for at in range(0, len(view), LONG_PIECE):
                yield bytes(view[at : at + LONG_PIECE])


# Its type, and its bytes: None for NULL.
Parameter = tuple[int, bytes | LongData | None]
Sender = Callable[[Any, LiteralContext], Parameter]


def bind(values: Sequence[Any], context: LiteralContext) -> list[Parameter]:
    """Write the values of one execution.

    NoParameter (a TypeError) for what has no binary form; DataError as in text for nan, for times
    with a zone, for characters that the charset lacks.
    """
    senders = context.senders
    found = []
    for value in values:
        cls = type(value)
        send = senders.get(cls)
        if send is None:
            send = senders[cls] = _sender(cls, context)
        found.append(send(value, context))
    return found


def _sender(cls: type, context: LiteralContext) -> Sender:
    if hasattr(cls, "__mysql_literal__"):
        return _refuse
    for base in cls.__mro__:
        encoder = context.encoder(base)
        if encoder is not None:
            return next((send for known, send in _SENDERS if known is encoder), _refuse)
    if hasattr(cls, "read") or hasattr(cls, "__next__"):
        return _long
    return _through_text


def _refuse(value: Any, context: LiteralContext) -> Parameter:
    raise NoParameter(
        f"{type(value).__name__} has no form as a parameter of a prepared statement: pass its "
        "parts as parameters, or execute the statement as text with a cursor"
    )


def _null(value: Any, context: LiteralContext) -> Parameter:
    return NULL, None


def _integer(value: Any, context: LiteralContext) -> Parameter:
    value = int(value)
    if -(1 << 63) <= value < 1 << 63:
        return LONGLONG, value.to_bytes(8, "little", signed=True)
    if 0 < value < 1 << 64:
        return LONGLONG | UNSIGNED, value.to_bytes(8, "little")
    return NEWDECIMAL, lenenc_bytes(context.write(value).encode())


def _float(value: Any, context: LiteralContext) -> Parameter:
    value = float(value)
    if value - value:  # nan and inf
        context.write(value)
    return DOUBLE, struct.pack("<d", value)


def _decimal(value: Any, context: LiteralContext) -> Parameter:
    text = context.write(value)
    if "E" in text:  # beyond what a DECIMAL holds, text has a DOUBLE too
        return _float(float(text), context)
    return NEWDECIMAL, lenenc_bytes(text.encode())


def _text(value: Any, context: LiteralContext) -> Parameter:
    text = converters.plain_text(value)
    try:
        return VAR_STRING, lenenc_bytes(text.encode(context.encoding))
    except UnicodeEncodeError as exc:
        raise DataError(
            CR.CR_BAD_PARAMETER,
            f"the connection's character set ({context.encoding}) has no {text[exc.start]!a}, at "
            f"offset {exc.start} of a parameter: replace it, or use utf8mb4",
            sent=False,
        ) from None


def _bytes(value: Any, context: LiteralContext) -> Parameter:
    return LONG_BLOB, lenenc_bytes(memoryview(value).tobytes())


def _quoted(value: Any, context: LiteralContext) -> Parameter:
    """Send what is between the quotes of a literal that has nothing to escape."""
    return VAR_STRING, lenenc_bytes(context.write(value)[1:-1].encode("ascii"))


def _enum(value: Enum, context: LiteralContext) -> Parameter:
    return bind((value.value,), context)[0]


def _long(value: Any, context: LiteralContext) -> Parameter:
    return LONG_BLOB, LongData(value)


def _through_text(value: Any, context: LiteralContext) -> Parameter:
    """Numbers of other libraries: their literal says what they are; TypeError where none has."""
    text = context.write(value)
    try:
        return _integer(int(text), context)
    except ValueError:
        pass
    try:
        return _float(float(text), context)
    except ValueError:
        return _refuse(value, context)


_SENDERS: tuple[tuple[Callable[..., str], Sender], ...] = (
    (converters.escape_None, _null),
    (converters.escape_bool, _integer),
    (converters.escape_int, _integer),
    (converters.escape_float, _float),
    (converters.Decimal2Literal, _decimal),
    (converters.escape_str, _text),
    (converters.escape_bytes, _bytes),
    (converters.escape_buffer, _bytes),
    (converters.escape_date, _quoted),
    (converters.escape_datetime, _quoted),
    (converters.escape_time, _quoted),
    (converters.escape_timedelta, _quoted),
    (converters.escape_struct_time, _quoted),
    (converters.escape_uuid, _quoted),
    (converters.escape_enum, _enum),
)


def parameter_block(
    parameters: Sequence[Parameter], attributes: Attributes | None, *, counted: bool
) -> bytes:
    """Build what stands behind the head of COM_STMT_EXECUTE.

    [lenenc count where query attributes were agreed], NULL bitmap, 1 new types, for each 2 type
    [and lenenc name], then the values. Types go along each time: a server must not go by those of
    an earlier execution (P85).
    """
    named = list((attributes or {}).items()) if counted else []
    count = len(parameters) + len(named)
    if not count:
        return lenenc(0) if counted else b""
    nulls = 0
    types = []
    values = []
    unnamed = b"\0" if counted else b""
    for number, (code, piece) in enumerate(parameters):
        if piece is None:
            nulls |= 1 << number
        elif not isinstance(piece, LongData):
            values.append(piece)
        types.append(code.to_bytes(2, "little") + unnamed)
    for number, (name, value) in enumerate(named, len(parameters)):
        if value is None:
            nulls |= 1 << number
        code, piece = typed(name, value)
        types.append(code.to_bytes(2, "little") + lenenc_bytes(name.encode()))
        values.append(piece)
    head = lenenc(count) if counted else b""
    bitmap = nulls.to_bytes((count + 7) // 8, "little")
    return b"".join((head, bitmap, b"\x01", *types, *values))
