"""Option files (my.cnf), read as the servers' own programs do: includes, quotes, escapes.

Source: https://dev.mysql.com/doc/refman/en/option-files.html
https://mariadb.com/kb/en/configuring-mariadb-with-option-files/
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .constants import CR
from .err import OperationalError, ProgrammingError

StrPath = str | os.PathLike[str]
Line = tuple[str, str, str | None]

# The servers' programs stop at the same depth; it also ends files that include each other.
MAX_DEPTH = 10

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "s": " ", '"': '"', "'": "'", "\\": "\\"}
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def _without_comment(line: str) -> str:
    """Cut a line at the first # that is not between quotes."""
    quote = ""
    escaped = False
    for position, char in enumerate(line):
        if char in "'\"" and not escaped:
            if not quote:
                quote = char
            elif quote == char:
                quote = ""
        elif char == "#" and not quote:
            return line[:position]
        escaped = bool(quote) and char == "\\" and not escaped
    return line


def _value(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    # A backslash before any other character stays: Windows paths are written both ways.
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[0]), text)


def _name(text: str) -> str:
    return text.strip().lower().replace("_", "-").removeprefix("loose-")


def _bad(source: str, number: int, problem: str) -> ProgrammingError:
    # Never the line itself: it may hold a password.
    return ProgrammingError(CR.CR_BAD_OPTION, f"Option file {source}, line {number}: {problem}")


def _included(directive: str, folder: Path, depth: int, source: str, number: int) -> Iterator[Line]:
    kind, _, rest = directive.partition(" ")
    target = folder / Path(rest.strip()).expanduser()
    if depth >= MAX_DEPTH:
        raise _bad(
            source, number, f"includes go deeper than {MAX_DEPTH}; do files include each other?"
        )
    if kind == "!include":
        yield from read_lines(target, depth + 1)
    elif kind == "!includedir":
        if not target.is_dir():
            raise _bad(source, number, f"{target} is not a folder.")
        for path in sorted(target.glob("*.cnf")):
            yield from read_lines(path, depth + 1)
    else:
        raise _bad(source, number, "after ! only include and includedir are known.")


def parse_lines(
    lines: Iterable[str], source: str = "<text>", folder: Path = Path(), depth: int = 0
) -> Iterator[Line]:
    """Yield (section, option, value) in the order of the file; value None for an option alone.

    lines: text of an option file. source: its name, for messages. folder: what includes are
    relative to. Raises ProgrammingError for a line that is neither section, option nor comment.
    """
    section = ""
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line[0] == "!":
            yield from _included(line, folder, depth, source, number)
        elif line[0] == "[":
            section, closed, _ = line[1:].partition("]")
            if not closed:
                raise _bad(source, number, "a section starts with [ but has no ].")
            section = section.strip()
        elif not section:
            raise _bad(source, number, "an option stands before the first [section].")
        else:
            option, equals, text = _without_comment(line).partition("=")
            yield section, _name(option), _value(text.strip()) if equals else None


def read_lines(path: StrPath, depth: int = 0) -> Iterator[Line]:
    """Yield (section, option, value) of a file and its includes; nothing when it does not exist.

    Raises OperationalError when the file cannot be read.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except FileNotFoundError:
        return
    except OSError as error:
        raise OperationalError(
            CR.CR_BAD_OPTION,
            f"Option file {path} cannot be read: {error.strerror}.",
            sent=False,
        ) from error
    yield from parse_lines(text.splitlines(), str(path), path.parent, depth)


def read_options(path: StrPath, groups: Sequence[str]) -> dict[str, str | None]:
    """Return the options of some groups of a file; later groups and later lines win.

    path: `~` stands for the home folder. groups: section names. Option names come in lower case
    with dashes and without loose-.
    """
    sections: dict[str, dict[str, str | None]] = {}
    for section, option, value in read_lines(Path(path).expanduser()):
        sections.setdefault(section, {})[option] = value
    merged: dict[str, str | None] = {}
    for group in groups:
        merged |= sections.get(group, {})
    return merged


class Parser(configparser.RawConfigParser):
    """PyMySQL's reader of option files: a RawConfigParser that understands their syntax.

    `get(section, option)` returns the value without quotes, None for an option that stands alone.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs["allow_no_value"] = True
        super().__init__(**kwargs)

    def optionxform(self, optionstr: str) -> str:
        """Return the form in which an option's name is looked up."""
        return _name(optionstr)

    def read(  # type: ignore[override]  # fewer types than the base class takes
        self, filenames: StrPath | Iterable[StrPath], encoding: str | None = None
    ) -> list[str]:
        """Read files that exist, with their includes, and return their names."""
        if isinstance(filenames, str | os.PathLike):
            filenames = [filenames]
        found = [os.fspath(name) for name in filenames if Path(name).exists()]
        for name in found:
            self._add(read_lines(name))
        return found

    def read_file(self, f: Iterable[str], source: str | None = None) -> None:
        """Read an open file; `read_string` comes here too."""
        self._add(parse_lines(f, source or str(getattr(f, "name", "<text>"))))

    def _add(self, lines: Iterable[Line]) -> None:
        sections: dict[str, dict[str, str | None]] = {}
        for section, option, value in lines:
            sections.setdefault(section, {})[option] = value
        self.read_dict(sections)
