"""Which local files a server may have by LOAD DATA LOCAL INFILE, and what is sent in pieces."""

from __future__ import annotations

import inspect
import io
import os
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from pathlib import Path
from typing import Any, BinaryIO

from . import err
from .constants import CR, ER
from .protocol.params import LONG_PIECE, LongData
from .protocol.session import Session

PIECE = 64 * 1024

Policy = bool | Callable[[bytes], Any] | Sequence[Any]


def pieces_of(session: Session, policy: Policy) -> Iterator[bytes]:
    """Return what a session asks for by FILE: a parameter, or else a local file."""
    if session.upload is not None:
        pieces: Iterator[bytes] = session.upload.pieces()
        return pieces
    return LocalFiles(policy).pieces(session.file_name)


def pieces_of_async(session: Session, policy: Policy) -> AsyncIterator[bytes]:
    """Return the same without blocking the event loop."""
    if session.upload is not None:
        return _parameter_pieces(session.upload)
    return LocalFiles(policy).pieces_async(session.file_name)


class LocalFiles:
    """Answer requests for local files by the ``local_infile=`` option.

    A handler gets the name as the statement wrote it, in bytes, and returns a binary file, bytes,
    an iterable of bytes, or None to refuse. A list of folders (or files) allows what lies in them,
    symbolic links resolved (P95). True allows every file this process can read.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def pieces(self, name: bytes) -> Iterator[bytes]:
        """Yield a file's content in pieces of at least one byte; refuses before it opens."""
        if callable(self._policy):
            source = self._policy(name)
            if source is None:
                raise self._refused(name, "the handler refused it")
            return self._handed(source)
        return self._read(self._allowed_path(name), name)

    async def pieces_async(self, name: bytes) -> AsyncIterator[bytes]:
        """Yield a file's content; a handler may also give an awaitable or an async iterable.

        Files are looked up, opened and read in threads: a pipe or a share may keep one waiting.
        """
        if not callable(self._policy):
            async for piece in _threaded(await _in_thread(self.pieces, name)):
                yield piece
            return
        source = self._policy(name)
        if inspect.isawaitable(source):
            source = await source
        if source is None:
            raise self._refused(name, "the handler refused it")
        if isinstance(source, AsyncIterable):
            async for piece in source:
                for checked in self._handed([piece]):
                    yield checked
        elif isinstance(source, io.IOBase):
            async for piece in _threaded(self._handed(source)):
                yield piece
        else:
            for piece in self._handed(source):
                yield piece

    def _allowed_path(self, name: bytes) -> Path:
        path = Path(os.fsdecode(name)).resolve()
        if self._policy is True:
            return path
        folders: Iterable[Any] = self._policy or ()  # type: ignore[assignment]
        for folder in folders:
            if path.is_relative_to(Path(folder).resolve()):
                return path
        raise self._refused(name, "local_infile does not list its folder")

    def _refused(self, name: bytes, why: str) -> err.OperationalError:
        shown = name.decode("utf-8", "replace")
        return err.OperationalError(
            CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED, f"Local file {shown!r} was not sent: {why}"
        )

    @staticmethod
    def _read(path: Path, name: bytes) -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece
        except OSError as exc:
            shown = name.decode("utf-8", "replace")
            raise err.OperationalError(
                ER.FILE_NOT_FOUND, f"Local file {shown!r} cannot be read: {exc.strerror}"
            ) from exc

    @staticmethod
    def _handed(source: BinaryIO | Iterable[bytes]) -> Iterator[bytes]:
        read = getattr(source, "read", None)
        if read is not None:
            pieces: Iterable[Any] = iter(lambda: read(PIECE), b"")
        else:
            whole = not isinstance(source, Iterable) or isinstance(source, (str, bytes, bytearray))
            pieces = (source,) if whole else source
        try:
            for piece in pieces:
                if not isinstance(piece, (bytes, bytearray, memoryview)):
                    raise TypeError(
                        f"a local_infile handler gives bytes, not {type(piece).__name__}: "
                        "open the file in binary mode"
                    )
                if piece:
                    yield bytes(piece)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()


async def _parameter_pieces(data: LongData) -> AsyncIterator[bytes]:
    """Read a parameter: files in threads, what has a coroutine or is asynchronous by awaiting."""
    source = data.source
    read = getattr(source, "read", None)
    if inspect.iscoroutinefunction(read):
        while piece := await read(LONG_PIECE):
            for cut in data.cut(piece):
                yield cut
    elif read is None and isinstance(source, AsyncIterable):
        async for piece in source:
            for cut in data.cut(piece):
                yield cut
    elif read is not None:
        async for piece in _threaded(data.pieces()):
            yield piece
    else:
        for piece in data.pieces():
            yield piece


async def _threaded(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await _in_thread(next, pieces, b""):
        yield piece


async def _in_thread(function: Callable[..., Any], *args: Any) -> Any:
    import asyncio  # which blocking programs need not load

    return await asyncio.to_thread(function, *args)
