"""Cut a script into its statements, as it comes and in flat memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from ..constants import CR
from ..err import ProgrammingError
from .tokens import DELIMITER_BACK, statement_patterns


class Statement(NamedTuple):
    """One statement of a script, without its delimiter and the comments in front of it."""

    text: str
    line: int
    """Number of the line it begins in; the first one is 1."""
    end: int
    """Characters of the script up to behind its delimiter."""


_COMMAND = re.compile(r"(?i:delimiter)(?=[\x00-\x20]|\Z)([^\n]*+)(\n?)")
_BACK = re.compile(rf"\n{DELIMITER_BACK}(?:\n|\Z)")
# As many characters tell whether it is one: the word and the blank behind it.
_COMMAND_SIZE = len("delimiter") + 1
_BYTE_ORDER_MARK = re.compile("\ufeff|\xef\xbb\xbf|")
_MARK_SIZE = 3
_FOREIGN = {
    "\xff\xfe": "in UTF-16, open it with encoding='utf-16'",
    "\xfe\xff": "in UTF-16, open it with encoding='utf-16'",
    "\x1f\x8b": "compressed, open it with gzip.open()",
}
_OPENED_BY = {"'": "string", '"': "string", "`": "name", "/": "comment"}
# Text that is held is looked at again for each piece that comes up to this size, and above it only
# when it has doubled: that is linear, however small the pieces and however large the statement.
_SMALL = 16 * 1024


class Splitter:
    """Takes a script in pieces cut anywhere, gives its statements one by one.

    As the servers' own programs do it: a statement ends at the delimiter outside of quotes and
    comments; ``DELIMITER x`` where a statement may begin changes it and is not sent. A line of its
    own, ``DELIMITER ;`` ends a statement, too. What holds nothing to execute is not sent: comments
    in front of a statement are dropped. The content of ``/*! */`` is executed, so such a comment
    belongs to a statement, with all delimiters in it.

    The script is str, or bytes decoded as Latin-1, provided that its character set has no
    characters with the byte of a quote or a backslash in them.

    Source: https://dev.mysql.com/doc/refman/8.4/en/mysql-commands.html
    https://mariadb.com/kb/en/delimiters/
    """

    def __init__(self) -> None:
        self.delimiter = ";"
        self.ended = False
        """No more text will come."""
        self._text = ""
        self._pieces: list[str] = []
        self._missing = 0  # characters until looking again makes sense
        self._start = self._at = 0  # in the text: of the statement, and how far it is known
        self._line, self._size = 1, 0  # of the script, at the statement's start
        self._begun = self._inside = False

    @property
    def held(self) -> int:
        """Characters of the statement that has begun and is not whole, as far as it is known."""
        return len(self._text) - self._start

    @property
    def line(self) -> int:
        """Number of the line where the next statement begins, or was seen to begin."""
        return self._line

    def feed(self, text: str) -> None:
        """Take more of the script; an empty text is its end."""
        self.ended = not text
        self._pieces.append(text)
        self._missing -= len(text)

    def take(
        self, *, ansi_quotes: bool = False, no_backslash_escapes: bool = False
    ) -> Statement | None:
        """Return the next statement; None when it is not whole: feed more, unless ``ended``.

        The modes are the session's at this moment: each statement may change them.
        Raises ProgrammingError for a DELIMITER that cannot be one, and at the script's end for a
        quote or a comment that never ends; nothing of that statement is given.
        """
        if self._missing > 0 and not self.ended:
            return None
        self._join()
        if not self._begun:
            if len(self._text) < _MARK_SIZE and not self.ended:
                return None
            self._begin()
        modes = (bool(ansi_quotes), bool(no_backslash_escapes))
        while True:
            before, body = statement_patterns(self.delimiter, *modes, self.ended)
            if not self._inside:
                self._pass(_end(before, self._text, self._start))
                unsure = self.held < max(_COMMAND_SIZE, len(self.delimiter)) and not self.ended
                if unsure or not self.held:
                    self._wait()
                    return None
                if command := _COMMAND.match(self._text, self._start):
                    if not command[2] and not self.ended:
                        self._wait()
                        return None
                    self._change_delimiter(command[1])
                    self._pass(command.end())
                    continue
            self._at = _end(body, self._text, self._at)
            whole = self._text.startswith(self.delimiter, self._at)
            # in front of it, there was at least one token that is neither blank nor comment
            self._inside = self._at > self._start
            if not (whole or self._is_ended()):
                self._wait()
                return None
            text, line = self._text[self._start : self._at], self._line
            self._pass(self._at + len(self.delimiter) * whole)
            if self._inside:
                self._inside = False
                return Statement(text, line, self._size)

    def _is_ended(self) -> bool:
        """Tell whether a statement ends without its delimiter."""
        if self._at == len(self._text):
            return self.ended
        return self._text[self._at] == "\n" and _BACK.match(self._text, self._at) is not None

    def _join(self) -> None:
        if self._pieces:
            self._text = "".join((self._text[self._start :], *self._pieces))
            self._at -= self._start
            self._start = 0
            self._pieces.clear()

    def _pass(self, place: int) -> None:
        """Go on to a place of the text."""
        self._line += self._text.count("\n", self._start, place)
        self._size += place - self._start
        self._start = self._at = place

    def _begin(self) -> None:
        """Pass the script's byte order mark, refuse what is no script that could be read."""
        for magic, what in _FOREIGN.items():
            if self._text.startswith(magic):
                raise self._bad(f"the script is {what}")
        self._size = self._start = self._at = _end(_BYTE_ORDER_MARK, self._text, 0)
        self._begun = True

    def _wait(self) -> None:
        if not self.ended:
            self._missing = self.held - _SMALL
        elif self.held:
            what = _OPENED_BY[self._text[self._at]]
            raise self._bad(f"the {what} that begins there never ends")

    def _bad(self, problem: str) -> ProgrammingError:
        line = self._line + self._text.count("\n", self._start, self._at)
        error = ProgrammingError(
            CR.CR_BAD_PARAMETER,
            f"Line {line} of the script: {problem}. What stands before it was executed",
        )
        error.line = line
        return error

    def _change_delimiter(self, argument: str) -> None:
        words = argument.split()
        if not words:
            raise self._bad("DELIMITER lacks what it shall be, such as //")
        word = words[0]
        if len(word) > 2 and word[0] == word[-1] and word[0] in "'\"`":
            word = word[1:-1]
        if "\\" in word:
            raise self._bad("a delimiter cannot hold a backslash")
        self.delimiter = word


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    assert found is not None  # each may match nothing
    return found.end()


def split_script(
    pieces: Iterable[str], *, ansi_quotes: bool = False, no_backslash_escapes: bool = False
) -> Iterator[Statement]:
    """Yield the statements of a script, see ``Splitter``; at most one and two pieces are held.

    pieces: of text, cut anywhere; a text file gives its lines.
    ansi_quotes, no_backslash_escapes: the SQL mode of the whole script.
    """
    splitter = Splitter()
    for piece in chain(filter(None, pieces), ("",)):
        splitter.feed(piece)
        while statement := splitter.take(
            ansi_quotes=ansi_quotes, no_backslash_escapes=no_backslash_escapes
        ):
            yield statement
