"""Write Python values as SQL literals, as the connection's SQL mode and character set want them.

What the mode is, only the server knows: it restores sql_mode at the end of a procedure, a trigger
or SET STATEMENT, but sends the status bit as it was inside. So no literal may end elsewhere in the
other mode. A quote is always doubled, a backslash is doubled or, where backslashes are believed to
mean nothing, goes in hexadecimal. At worst a lie then changes the value of a string.
"""

from __future__ import annotations

import codecs
import datetime
import numbers
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .. import converters
from ..constants import CR
from ..converters import escape_string
from ..err import DataError, NotSupportedError, ProgrammingError

Writer = Callable[[Any], str]

# From here on the size of a statement counts for more than its being readable in a log.
LONG_BYTES = 512

# Codecs that write some other character with the byte of a backslash, quote or backtick: the
# second bytes of the first six, and the Japanese ones turn the yen sign itself into a backslash.
_UNSAFE_CODECS = frozenset({"big5", "big5hkscs", "cp932", "gbk", "gb18030", "shift_jis", "euc_jp"})


@dataclass(frozen=True, slots=True)
class Raw:
    """SQL to put in place of a parameter as it stands, never user input: `Raw("NOW(6)")`."""

    sql: str

    def __str__(self) -> str:
        return self.sql

    def __mysql_literal__(self, context: LiteralContext) -> str:
        return self.sql


# It ends at U+FFFF: for what is beyond, MariaDB stores question marks without a word.
UTF8MB3 = "utf8mb3"


class _Writers(dict[type, Writer]):
    """Type to writer, filled as types are met: one subscription per value from then on."""

    __slots__ = ("resolve",)

    def __init__(self, resolve: Callable[[type], Writer]) -> None:
        self.resolve = resolve

    def __missing__(self, cls: type) -> Writer:
        writer = self[cls] = self.resolve(cls)
        return writer


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LiteralContext:
    """What a literal depends on; immutable, `dataclasses.replace` makes a changed one.

    no_backslash_escapes: SERVER_STATUS_NO_BACKSLASH_ESCAPES of the last OK packet.
    ansi_quotes: the session's sql_mode holds ANSI_QUOTES; default False.
    encoding: Python's name of the codec of the connection's character set; default "utf-8".
    charset: the server's name of that character set, for `_charset X'...'`; default "utf8mb4".
    encoders: type -> `function(value, mapping) -> str`, as `connect(conv=...)`; default
        `converters.encoders`. A type is looked up once per context: register before its first use,
        or make a new context.
    binary_prefix: taken for PyMySQL's sake; bytes always carry the `_binary` introducer, see
        `escape_bytes`.
    time_zone: aware datetimes are converted to it and written without zone; None refuses them.
    multibyte_unsafe: refuse strings and names with non-ASCII characters, write bytes in
        hexadecimal only; None decides by `encoding`.
    """

    no_backslash_escapes: bool = False
    ansi_quotes: bool = False
    encoding: str = "utf-8"
    charset: str = "utf8mb4"
    encoders: Mapping[Any, Any] = field(default_factory=lambda: converters.encoders, repr=False)
    binary_prefix: bool = False
    time_zone: datetime.tzinfo | None = None
    multibyte_unsafe: bool | None = None
    guarded: bool = field(init=False, repr=False)
    """Strings with non-ASCII characters are refused."""
    writers: _Writers = field(init=False, repr=False)
    """Type -> function(value) -> str."""
    senders: dict[type, Any] = field(init=False, repr=False)
    """Type -> what sends it as a parameter, see `pymy.protocol.params`."""

    def __post_init__(self) -> None:
        guarded = self.multibyte_unsafe
        if guarded is None:
            guarded = codecs.lookup(self.encoding).name in _UNSAFE_CODECS
        object.__setattr__(self, "guarded", guarded)
        object.__setattr__(self, "writers", _Writers(self._writer))
        object.__setattr__(self, "senders", {})

    # Writers of one type; bound methods, so that they see the mode.

    def _writer(self, cls: type) -> Writer:
        if hasattr(cls, "__mysql_literal__"):
            return self._own_literal
        for base in cls.__mro__:
            encoder = self.encoder(base)
            if encoder is None:
                continue
            # Whatever type it is registered for: PyMySQL's way to a subclass is
            # conn.encoders[Sub] = conn.encoders[str].
            if any(encoder is known for known in converters.default_encoders.values()):
                write = self._built_in(cls, encoder)
            else:
                write = self._registered(encoder)
            zoned = self.time_zone is not None and issubclass(cls, datetime.datetime)
            return self._zoned(write) if zoned else write
        if hasattr(cls, "dtype") and hasattr(cls, "item"):
            return self._scalar
        if issubclass(cls, numbers.Integral):
            return converters.escape_int
        if issubclass(cls, numbers.Real):
            return converters.escape_float
        raise TypeError(converters.unsupported(cls))

    def encoder(self, cls: type) -> Callable[..., str] | None:
        """Return what is registered for a class itself, None when nothing is."""
        encoder: Callable[..., str] | None = self.encoders.get(cls)
        shared = converters.encoders.get(cls)
        # What was registered after the connection took its copy counts too.
        if encoder is None or encoder is converters.default_encoders.get(cls):
            return shared or encoder
        return encoder

    def _built_in(self, cls: type, encoder: Callable[..., str]) -> Writer:
        if encoder is converters.escape_str:
            write = self._string if self.guarded else self._string_writer()
            return write if cls is str else lambda value: write(converters.plain_text(value))
        if encoder is converters.escape_sequence:
            return self._sequence
        if encoder is converters.escape_enum:
            return self._enum
        if encoder in (converters.escape_bytes, converters.escape_buffer):
            # Only in UTF-8 is a quote's byte never part of another character.
            return self._long_bytes if self.encoding == "utf-8" and not self.guarded else encoder
        # Bare slots of C where one does: they are called for every value.
        return (
            int.__repr__ if encoder is converters.escape_int and issubclass(cls, int) else encoder
        )

    def _registered(self, encoder: Callable[..., str]) -> Writer:
        mapping = self.encoders
        return lambda value: encoder(value, mapping)

    def _string_writer(self) -> Writer:
        write = self._plain_string if self.no_backslash_escapes else _escaped_string
        if self.charset != UTF8MB3:
            return write
        return lambda value: _hexadecimal(value, "utf8mb4") if is_wide(value) else write(value)

    def _string(self, value: str) -> str:
        self.refuse_unsafe(value, "strings")
        return self._string_writer()(value)

    def _plain_string(self, value: str) -> str:
        if not value.isascii():
            _refuse_surrogates(value)
        if "\\" not in value:
            return "'" + value.replace("'", "''") + "'"
        return _hexadecimal(value, self.charset, self.encoding)

    def refuse_unsafe(self, text: str, what: str = "names") -> None:
        """Raise NotSupportedError for text whose bytes may hold a quote or backslash of others."""
        if self.guarded and not text.isascii():
            raise NotSupportedError(
                CR.CR_UNSAFE_CHARSET,
                f"{what} cannot be escaped safely in the character set of this connection "
                f"({self.encoding}), where a character may hold the byte of a backslash: "
                "connect with charset='utf8mb4'",
                sent=False,
            )

    def escape_string(self, value: str) -> str:
        """Return text to put between quotes by hand, right in the mode of this context.

        Between single quotes it cannot end the string in any mode. NotSupportedError for a
        backslash where backslashes are believed to mean nothing: such text has no form that both
        modes read alike; pass it as a parameter.
        """
        text = converters.plain_text(value)
        self.refuse_unsafe(text, "strings")
        if not self.no_backslash_escapes:
            return _escaped_string(text)[1:-1]
        if "\\" in text:
            raise NotSupportedError(
                CR.CR_BAD_PARAMETER,
                "a backslash cannot be escaped by itself in the SQL mode NO_BACKSLASH_ESCAPES: "
                "pass the text as a parameter, or use escape(), which writes the quotes too",
                sent=False,
            )
        return self._plain_string(text)[1:-1]

    def _sequence(self, values: Iterable[Any]) -> str:
        writers = self.writers
        items = [writers[type(value)](value) for value in values]
        if not items:
            raise ProgrammingError(CR.CR_BAD_PARAMETER, converters.EMPTY_SEQUENCE, sent=False)
        return f"({','.join(items)})"

    def _long_bytes(self, value: Any) -> str:
        """Write many bytes as they are, a byte for a byte; hexadecimal would double the packet."""
        raw = memoryview(value).tobytes()
        plain = self.no_backslash_escapes
        if len(raw) < LONG_BYTES or (plain and b"\\" in raw):
            return f"_binary X'{raw.hex()}'"
        text = raw.decode("ascii", "surrogateescape")
        return f"_binary'{converters.double_quotes(text) if plain else escape_string(text)}'"

    def _enum(self, member: Enum) -> str:
        return self.write(member.value)

    def _zoned(self, write: Writer) -> Writer:
        def in_zone(value: datetime.datetime) -> str:
            if value.tzinfo is not None:
                value = value.astimezone(self.time_zone).replace(tzinfo=None)
            return write(value)

        return in_zone

    def _scalar(self, value: Any) -> str:
        # numpy's way, without numpy: a number that knows its dtype and becomes Python's by item().
        if getattr(value, "ndim", 0) == 0:
            item = value.item()
            # datetime64 in nanoseconds gives a bare count of them.
            count = getattr(value.dtype, "kind", "") in ("m", "M") and isinstance(item, int)
            if type(item) is not type(value) and not count:
                return self.write(item)
            if isinstance(value, numbers.Real) and not count:
                return converters.escape_float(value)
        raise TypeError(converters.unsupported(type(value)))

    def _own_literal(self, value: Any) -> str:
        text = value.__mysql_literal__(self)
        if not isinstance(text, str):
            raise TypeError(
                f"{type(value).__name__}.__mysql_literal__ must return str, not {text!r}"
            )
        return str.__str__(text)

    def write(self, value: Any) -> str:
        """Return the literal of `value`."""
        try:
            return self.writers[type(value)](value)
        except ValueError as error:
            converters.refuse_too_long(error)
            raise


def is_wide(text: str) -> bool:
    """Tell whether a text has characters that take four bytes in UTF-8."""
    return not text.isascii() and max(text) > "\uffff"


def _hexadecimal(value: str, charset: str, encoding: str = "utf-8") -> str:
    return f"_{charset} X'{encode(value, encoding).hex()}'"


def _escaped_string(value: str) -> str:
    if not value.isascii():
        _refuse_surrogates(value)
    # Looking costs less than replacing, and most strings have nothing to escape.
    if (
        "\\" in value
        or "'" in value
        or "\n" in value
        or '"' in value
        or "\0" in value
        or "\r" in value
        or "\x1a" in value
    ):
        return f"'{escape_string(value)}'"
    return f"'{value}'"


def _refuse_surrogates(value: str) -> None:
    # Here and not in encode(), to which the bytes of _long_bytes look the same.
    try:
        value.encode()
    except UnicodeEncodeError:
        encode(value, "utf-8")


DEFAULT_CONTEXT = LiteralContext()
"""utf8mb4, default SQL mode."""


def literal(value: Any, context: LiteralContext | None = None) -> str:
    """Return `value` as SQL that reads back as the same value.

    Nothing goes over the wire. context: default utf8mb4 in the default SQL mode; a connection has
    its own. Sequences and sets give `(1,2,3)`. A class may write itself by
    `__mysql_literal__(context) -> str`.

    TypeError for types nobody registered, dict among them; DataError for values the server has no
    literal for (nan, a TIME above 838:59:59, a datetime with zone); NotSupportedError for
    non-ASCII strings in big5, cp932, gbk, gb18030, sjis, ujis and eucjpms.

    Source: https://dev.mysql.com/doc/refman/8.4/en/literals.html
    https://mariadb.com/kb/en/literals/
    """
    return (context or DEFAULT_CONTEXT).write(value)


def escape(value: Any, *, context: LiteralContext | None = None) -> str:
    """Return `value` as SQL, see `literal`."""
    return literal(value, context)


def escape_id(
    name: str | Iterable[str], *, qualified: bool = True, context: LiteralContext | None = None
) -> str:
    """Return a name in backticks; names of an iterable with commas between.

    qualified: "db.table" means a table of a schema, default; False takes the dot for a part of the
        name.
    context: default utf8mb4; pass the connection's when it has another character set.
    ProgrammingError for an empty name and one with a NUL character, which no server allows.
    NotSupportedError for a non-ASCII name in the character sets where strings are refused too.

    Source: https://dev.mysql.com/doc/refman/8.4/en/identifiers.html
    """
    if not isinstance(name, str):
        names = [escape_id(item, qualified=qualified, context=context) for item in name]
        if not names:
            raise ProgrammingError(
                CR.CR_BAD_PARAMETER, "no name given: pass at least one", sent=False
            )
        return ", ".join(names)
    name = str.__str__(name)
    if not name.isascii():
        _refuse_surrogates(name)
        (context or DEFAULT_CONTEXT).refuse_unsafe(name)
    parts = name.split(".") if qualified else [name]
    if not all(parts) or "\0" in name:
        raise ProgrammingError(
            CR.CR_BAD_PARAMETER,
            f"{name!r} is not a name: a part of it is empty or holds a NUL character",
            sent=False,
        )
    return ".".join(["`" + part.replace("`", "``") + "`" for part in parts])


@dataclass(frozen=True, slots=True)
class Assignments:
    """The list behind SET, written when its statement is. `assignments` makes one.

    `str()` of it is for reading: utf8mb4, default SQL mode.
    """

    values: Mapping[str, Any]

    def __str__(self) -> str:
        return self.__mysql_literal__(DEFAULT_CONTEXT)

    def __mysql_literal__(self, context: LiteralContext) -> str:
        if not self.values:
            raise ProgrammingError(
                CR.CR_BAD_PARAMETER, "nothing to assign: the dict is empty", sent=False
            )
        return ", ".join(
            [
                f"{escape_id(name, context=context)} = {context.write(item)}"
                for name, item in self.values.items()
            ]
        )


def assignments(values: Mapping[str, Any]) -> Assignments:
    """Return a parameter that becomes `` `name` = value, ... ``: `"update t set %s where id = %s"`.

    Names are quoted, so they cannot leave their place; which columns may be set is still yours to
    check.
    """
    return Assignments(values)


def encode(sql: str, encoding: str) -> bytes:
    """Return the bytes of a statement; DataError names the character that the charset lacks."""
    try:
        return sql.encode(encoding)
    except UnicodeEncodeError as error:
        if encoding == "utf-8" and "_binary'" in sql:
            # bytes written raw travel as surrogates, see _long_bytes
            with suppress(UnicodeEncodeError):
                return sql.encode(encoding, "surrogateescape")
        char = sql[error.start]
        message = f"the connection's character set ({encoding}) has no {char!a}"
        advice = "replace it" if char.isascii() or "\ud800" <= char <= "\udfff" else "use utf8mb4"
        raise DataError(
            CR.CR_BAD_PARAMETER,
            f"{message}, at offset {error.start} of the statement: {advice}",
            sent=False,
        ) from None
