"""Where the text of a script comes from."""

from __future__ import annotations

import gzip
import os
from collections.abc import AsyncIterable, Generator, Iterable
from pathlib import Path
from typing import IO, Any, cast

from . import err
from .constants import CR

PIECE = 256 * 1024
GZIP = b"\x1f\x8b"

Script = str | os.PathLike[str] | IO[str] | IO[bytes] | Iterable[str | bytes]


def pieces(script: Script) -> Generator[str | bytes, None, None]:
    """Yield a script's text in pieces, none of them empty; close it to close a path's file.

    OperationalError when the file of a path cannot be read; what reading another's file raises
    comes out as it is.
    """
    if isinstance(script, (str, os.PathLike)):
        return _read_path(Path(script))
    read = getattr(script, "read", None)
    if read is not None:
        return _read(read)
    if isinstance(script, (bytes, bytearray, memoryview)) or not isinstance(script, Iterable):
        advice = "use sync pieces" if isinstance(script, AsyncIterable) else "for text use [text]"
        raise TypeError(
            "a script is a path, a file or an iterable of str or bytes, "
            f"not {type(script).__name__}: {advice}"
        )
    return (piece for piece in script if piece)


def unpacked(file: Any) -> IO[bytes]:
    """Return what reads a buffered binary file, uncompressing it when it is a gzip file."""
    return cast(IO[bytes], gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == GZIP else file)


def _read(read: Any) -> Generator[str | bytes, None, None]:
    while piece := read(PIECE):
        yield piece


def _read_path(path: Path) -> Generator[str | bytes, None, None]:
    try:
        with path.open("rb") as file:
            yield from _read(unpacked(file).read)
    except (OSError, EOFError) as exc:  # a gzip file that was cut off raises EOFError
        why = getattr(exc, "strerror", None) or exc
        raise err.OperationalError(
            CR.CR_BAD_PARAMETER,
            f"The script {str(path)!r} cannot be read: {why}. For text of a script pass [text]",
        ) from exc
