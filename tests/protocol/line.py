"""A line without a socket: a script of the server's bytes on one end, a session on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pymy import err
from pymy.protocol.kinds import Decoding
from pymy.protocol.needs import Conversation, Need
from pymy.protocol.session import Session
from pymy.protocol.state import State

RESTING = (State.READY, State.STREAMING, State.RESULTS, State.BROKEN, State.CLOSED)


def new_session(**attributes: Any) -> Session:
    session = Session()
    session.decoding = Decoding()
    for name, value in attributes.items():
        setattr(session, name, value)
    return session


def ready_session(capabilities: int = 0, **attributes: Any) -> Session:
    """A session behind its login."""
    return new_session(capabilities=capabilities, state=State.READY, **attributes)


class Line:
    """Serves a session's needs from a script.

    turns: what the server says, one piece for each time it is its turn; a receive never crosses
        from one turn to the next, because a server does not answer before it is asked.
    chunk: bytes of one receive, None: as much as there is. write_chunk: the same for sending.
    files: pieces of the local file; an exception among them is raised in its place.
    Behind the last byte comes eof. Every need brings the end nearer, so every run terminates.
    """

    def __init__(
        self,
        session: Session,
        turns: Iterable[bytes] = (),
        *,
        chunk: int | None = None,
        write_chunk: int | None = None,
        files: Iterable[bytes | Exception] = (),
        tls: Callable[[], None] | None = None,
        kill: Callable[[], bool] = lambda: False,
    ) -> None:
        self.session = session
        self.turns = [turn for turn in turns if turn]
        self.turns.reverse()
        self.chunk = chunk
        self.write_chunk = write_chunk
        self.files = list(files)
        self.tls = tls
        self.kill = kill
        self.fed = 0
        self.at = 0
        self.sent = bytearray()
        self.needs: list[Need] = []

    def run(self, conversation: Conversation[Any]) -> Any:
        """Carry a conversation to its end; returns or raises its outcome."""
        session = self.session
        need = session.start(conversation)
        while need is not Need.DONE:
            self.needs.append(need)
            if need is Need.READ:
                need = self._receive()
            elif need is Need.WRITE:
                piece = bytes(session.output()[: self.write_chunk])
                assert piece, "nothing to send"
                self.sent += piece
                need = session.sent(len(piece))
            elif need is Need.TLS:
                if self.tls is not None:
                    self.tls()
                need = session.resume()
            elif need is Need.KILL:
                need = session.resume(self.kill())
            elif session.upload is not None:
                need = self._next_piece()
            else:
                piece_or_error = self.files.pop(0) if self.files else b""
                if isinstance(piece_or_error, Exception):
                    need = session.fail(piece_or_error)
                else:
                    need = session.resume(piece_or_error)
        assert session.state in (*RESTING, State.CONNECTING)
        assert session.state in (State.BROKEN, State.CLOSED) or not session.output()
        return session.result()

    def _next_piece(self) -> Need:
        session = self.session
        session.pieces = session.pieces or session.upload.pieces()
        try:
            piece = next(session.pieces, b"")
        except Exception as exc:
            return session.fail(exc)
        return session.resume(piece)

    def _receive(self) -> Need:
        if not self.turns:
            need = self.session.eof()
            assert need is Need.DONE, "a conversation went on behind the end"
            return need
        turn = self.turns[-1]
        space = self.session.space()
        assert len(space) > 0, "no room to receive into"
        count = min(len(turn) - self.at, self.chunk or len(turn), len(space))
        space[:count] = turn[self.at : self.at + count]
        self.at += count
        self.fed += count
        if self.at == len(turn):
            self.turns.pop()
            self.at = 0
        return self.session.filled(count)


def ask(session: Session, conversation: Conversation[Any], *turns: bytes, **options: Any) -> Any:
    """Run one conversation against a script."""
    return Line(session, turns, **options).run(conversation)


def failure(
    session: Session, conversation: Conversation[Any], *turns: bytes, **options: Any
) -> err.Error:
    """Run a conversation that must end with a pymy.Error, and return that."""
    try:
        outcome = ask(session, conversation, *turns, **options)
    except err.Error as exc:
        return exc
    raise AssertionError(f"no error but {outcome!r}")
