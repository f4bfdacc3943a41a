"""Put parameters into SQL text.

A statement is looked at once and kept as a template for Python's `%`, whatever its paramstyle;
putting values in is then one C call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from ..constants import CR
from ..converters import EMPTY_SEQUENCE, refuse_too_long
from ..err import ProgrammingError
from .literals import DEFAULT_CONTEXT, LiteralContext, escape_id
from .tokens import other_modes, placeholder_pattern

ParamStyle = Literal["pyformat", "qmark", "named"]

_SEQUENCES = (list, tuple, set, frozenset)
# Above this many characters a statement is likely to be generated and not to come again.
_CACHED_LENGTH = 8192


class Template(NamedTuple):
    """A statement ready for `text % values`."""

    text: str
    size: int
    names: tuple[str, ...] | None
    """None when parameters go by position."""
    places: Mapping[int, Place]
    """Parameters, by number, whose value is written in a way of its own there."""


class Place(Enum):
    """What stands before a parameter and changes how its value is written."""

    VALUES = "rows, `(1,2),(3,4)`, must not be in parentheses"
    BINARY = "`_binary`, which is not in the template: bytes bring their own"
    DEFAULT = "MariaDB keeps a default of bytes as text, with an introducer as the wrong one"


def _refuse(message: str) -> ProgrammingError:
    return ProgrammingError(CR.CR_BAD_PARAMETER, message, sent=False)


# Drivers that write bytes as plain strings need `_binary %s`, which Django writes for them.
_BEFORE = re.compile(
    r"(?<![0-9A-Za-z_$`@.])(?:(VALUES?)|(_binary)|DEFAULT\s*\(?)\s*\Z", re.IGNORECASE
)


def _place(before: str) -> tuple[str, Place | None]:
    """Return what to keep of the text before a parameter, and what kind of place it makes."""
    found = _BEFORE.search(before, max(len(before) - 80, 0))
    if found is None:
        return before, None
    if found[2]:
        return before[: found.start()], Place.BINARY
    return before, Place.VALUES if found[1] else Place.DEFAULT


_PERCENT = re.compile(r"%(?:%|s|\(([^()]*)\)s)?")


@lru_cache(maxsize=512)
def _pyformat(sql: str) -> Template:
    if not isinstance(sql, str):
        raise TypeError(f"SQL with parameters must be str, not {type(sql).__name__}")
    sql = str.__str__(sql)  # a subclass may have a % of its own
    names: list[str] = []
    count = position = 0
    places: dict[int, Place] = {}
    pieces = []
    for match in _PERCENT.finditer(sql):
        found = match.group()
        if found == "%%":
            continue
        if found == "%":
            piece = sql[match.start() : match.start() + 12]
            raise _refuse(
                f"{piece!r} at offset {match.start()} is not a placeholder: write %s or %(name)s "
                "for a parameter of any type, and %% for a percent sign"
            )
        piece, place = _place(sql[position : match.start()])
        if place is not None:
            places[count] = place
        pieces.append(piece)
        position = match.end()
        count += 1
        if match.group(1) is not None:
            names.append(match.group(1))
    if names and len(names) < count:
        raise _refuse("the statement mixes %s and %(name)s: use one of them")
    text = "%s".join([*pieces, sql[position:]])
    return Template(text, count, tuple(names) or None, places)


def _placeholders(
    sql: str, placeholder: Literal["?", ":"], ansi_quotes: bool, no_backslash_escapes: bool
) -> list[tuple[int, str]]:
    """Return offsets and texts of the placeholders, which must not depend on what a server says."""

    def find(*modes: bool) -> list[tuple[int, str]]:
        matches = placeholder_pattern(placeholder, *modes).finditer(sql)
        return [(match.start(), match[0]) for match in matches if match[0][0] == placeholder]

    found = find(ansi_quotes, no_backslash_escapes)
    for modes in other_modes(sql, ansi_quotes, no_backslash_escapes):
        if (other := find(*modes)) != found:
            offset = min(set(found).symmetric_difference(other))[0]
            raise _refuse(
                f"whether the {placeholder} at offset {offset} is within a string depends on the "
                "SQL mode, of which servers do not always tell. In strings with backslashes write "
                "'' instead of \\', or make the string a parameter"
            )
    return found


@lru_cache(maxsize=512)
def _tokenized(
    sql: str, placeholder: Literal["?", ":"], ansi_quotes: bool, no_backslash_escapes: bool
) -> Template:
    sql = str.__str__(sql)
    pieces: list[str] = []
    names: list[str] = []
    places: dict[int, Place] = {}
    position = 0
    for start, found in _placeholders(sql, placeholder, ansi_quotes, no_backslash_escapes):
        piece, place = _place(sql[position:start])
        if place is not None:
            places[len(pieces)] = place
        pieces.append(piece)
        position = start + len(found)
        if placeholder == ":":
            names.append(found[1:])
        else:
            pieces.extend([""] * (len(found) - 1))
    text = "%s".join([piece.replace("%", "%%") for piece in (*pieces, sql[position:])])
    by_name = tuple(names) if placeholder == ":" else None
    return Template(text, len(pieces), by_name, places)


def template(sql: str, paramstyle: ParamStyle, context: LiteralContext) -> Template:
    """Return the template of a statement; ProgrammingError for a lone percent sign."""
    cached = len(sql) < _CACHED_LENGTH
    if paramstyle == "pyformat":
        return _pyformat(sql) if cached else _pyformat.__wrapped__(sql)
    if paramstyle not in ("qmark", "named"):
        raise _refuse(f"paramstyle {paramstyle!r} does not exist: use pyformat, qmark or named")
    compiler = _tokenized if cached else _tokenized.__wrapped__
    placeholder: Literal["?", ":"] = "?" if paramstyle == "qmark" else ":"
    return compiler(sql, placeholder, context.ansi_quotes, context.no_backslash_escapes)


def plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _miscounted(wanted: int, given: int) -> ProgrammingError:
    placeholders, values = plural(wanted, "placeholder"), plural(given, "value")
    message = f"the statement has {placeholders}, the call gives {values}"
    if not wanted:
        message += ": they are written %s or %(name)s, with paramstyle='qmark' ?, without quotes"
    return _refuse(message)


def in_order(found: Template, args: Any, paramstyle: ParamStyle) -> Sequence[Any]:
    """Return the values of `args` in the order of the placeholders."""
    names = found.names
    if names:
        if paramstyle == "pyformat" and isinstance(args, dict):
            # The usual case first; what is missing is told below.
            try:
                return [args[name] for name in names]
            except KeyError:
                pass
        if not isinstance(args, Mapping):
            listed = ", ".join(dict.fromkeys(names))
            raise _refuse(f"the statement names its parameters ({listed}): pass a dict")
        if missing := [name for name in dict.fromkeys(names) if name not in args]:
            raise _refuse(f"no value given for {', '.join(missing)}")
        known = set(names)
        if paramstyle == "named" and (unused := [str(key) for key in args if key not in known]):
            raise _refuse(f"the statement has no :{', no :'.join(unused)}")
        return [args[name] for name in names]
    if isinstance(args, Mapping):
        # PyMySQL runs a statement without placeholders with any dict.
        if found.size or (paramstyle != "pyformat" and args):
            raise _refuse(
                f"the statement has {plural(found.size, 'placeholder')} without a name, the call "
                "gives a dict: pass a sequence, or name the parameters"
            )
        return ()
    values: Sequence[Any] = args if isinstance(args, (tuple, list)) else (args,)
    if len(values) != found.size:
        raise _miscounted(found.size, len(values))
    return values


def _row_list(rows: Any, context: LiteralContext) -> str:
    """Return `(1,2),(3,4)`; anything but a sequence of sequences as always."""
    text = context.write(rows)
    if isinstance(rows, (list, tuple)) and all(isinstance(row, _SEQUENCES) for row in rows):
        return text[1:-1]
    return text


def _written_in(found: Template, args: Sequence[Any], context: LiteralContext) -> str:
    """Put values into a statement where some have a place of their own kind."""
    values = []
    for at, value in enumerate(args):
        place = found.places.get(at)
        text = _row_list(value, context) if place is Place.VALUES else context.write(value)
        if place is Place.BINARY and not text.startswith("_binary"):
            text = f"_binary {text}"
        elif place is Place.DEFAULT and isinstance(value, (bytes, bytearray, memoryview)):
            text = f"X'{memoryview(value).hex()}'"
        values.append(text)
    return found.text % tuple(values)


def interpolate(
    sql: str,
    args: Any,
    *,
    paramstyle: ParamStyle = "pyformat",
    context: LiteralContext = DEFAULT_CONTEXT,
) -> str:
    """Return the statement with `args` written in.

    Nothing goes over the wire.

    args: None returns `sql` untouched, with its percent signs. A tuple or list for `%s` and `?`, a
        mapping for `%(name)s` and `:name`; any other value is the only parameter. A sequence as
        one of the values becomes `(1,2,3)`, one of sequences `((1,2),(3,4))`, or right behind
        VALUES `(1,2),(3,4)`.
    paramstyle: "pyformat" works as Python's `%`, inside quotes and comments too, so a percent sign
        is written `%%`; "qmark" and "named" leave strings, identifiers, comments, `::` and `:=`
        alone. Where a backslash decides what is in a string, they refuse the statement: the SQL
        mode says what it means, and a server's word on the mode is not reliable.

    ProgrammingError: numbers or names of parameters differ, a lone percent sign, placeholders that
    depend on the SQL mode. For values see `literal`.
    """
    if args is None:
        return sql
    if paramstyle == "pyformat" and len(sql) < _CACHED_LENGTH:
        found = _pyformat(sql)
    else:
        found = template(sql, paramstyle, context)
    text, size, names, places = found
    if names is not None or not isinstance(args, (tuple, list)) or len(args) != size:
        args = in_order(found, args, paramstyle)
    writers = context.writers
    try:
        if places:
            return _written_in(found, args, context)
        return text % tuple([writers[type(value)](value) for value in args])
    except ValueError as error:
        refuse_too_long(error)
        raise


def row_formatter(
    sql: str, context: LiteralContext = DEFAULT_CONTEXT, paramstyle: ParamStyle = "pyformat"
) -> Callable[[Any], str]:
    """Return a function of one row of parameters: `interpolate` with its preparation done once."""
    found = template(sql, paramstyle, context)
    if found.places:
        return lambda row: interpolate(sql, row, paramstyle=paramstyle, context=context)
    text, size, names, _ = found
    writers = context.writers

    def write(row: Any) -> str:
        if names is not None or not isinstance(row, (tuple, list)) or len(row) != size:
            row = in_order(found, row, paramstyle)
        try:
            return text % tuple([writers[type(value)](value) for value in row])
        except ValueError as error:
            refuse_too_long(error)
            raise

    return write


def marked(sql: str, paramstyle: ParamStyle, context: LiteralContext) -> Template:
    """Return a statement as the server prepares it: `text` has `?` for each parameter.

    Where `sql` has `?` outside of strings and comments it is taken as it is, whatever the style.
    """
    found = template(sql, "qmark", context)
    if paramstyle != "qmark" and not found.size:
        other = template(sql, paramstyle, context) if _has_marks(sql, paramstyle) else found
        if other.size:
            return other._replace(text=other.text % (("?",) * other.size))
    return found._replace(text=sql)


def _has_marks(sql: str, paramstyle: ParamStyle) -> bool:
    return paramstyle != "pyformat" or "%s" in sql or ")s" in sql


def _flat(value: Any, context: LiteralContext) -> str:
    if not isinstance(value, _SEQUENCES):
        return context.write(value)
    if not value:
        raise _refuse(EMPTY_SEQUENCE)
    return ", ".join([context.write(item) for item in value])


def format(sql: str, values: Any = (), *, context: LiteralContext = DEFAULT_CONTEXT) -> str:
    """Return `sql` with values in place of `?` and quoted names in place of `??`.

    Nothing goes over the wire, no connection is needed: `format("select ?? from ?? where id in
    (?)", [["id", "name"], "shop.item", [1, 2, 3]])`. Differs from `interpolate` in lists: here
    they come without the outer parentheses, `1, 2, 3` and `(1,2), (3,4)`. Runs of three or more
    `?` stay, as does all in strings, quoted names and comments.

    values: a tuple or list, in order; any other value is the only one. A name or a list of names
        for `??`, where a dot parts schema, table and column.
    context: default utf8mb4 in the default SQL mode; pass the connection's when it has another.

    ProgrammingError when the numbers of placeholders and values differ, or the placeholders depend
    on the SQL mode as in `interpolate`. For values see `literal`, for names `escape_id`.
    """
    pieces: list[str] = []
    kinds: list[int] = []
    position = 0
    for start, found in _placeholders(sql, "?", context.ansi_quotes, context.no_backslash_escapes):
        if len(found) <= 2:
            pieces.append(sql[position:start])
            kinds.append(len(found))
            position = start + len(found)
    if not isinstance(values, (tuple, list)):
        values = (values,)
    if len(values) != len(kinds):
        raise _miscounted(len(kinds), len(values))
    out: list[str] = []
    for piece, kind, value in zip(pieces, kinds, values, strict=True):
        out += piece, _flat(value, context) if kind == 1 else escape_id(value, context=context)
    return "".join([*out, sql[position:]])
