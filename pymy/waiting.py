"""What connections of all kinds of waiting share: deadlines, and steps with pauses in them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from . import err
from .constants import CR
from .protocol.needs import Conversation, Need
from .protocol.session import Session

if TYPE_CHECKING:
    from .transport import SocketTransport

T = TypeVar("T")

# A generator that pauses where it has to wait; what a pause is, is between the steps and their
# driver. Those that wait by blocking have none.
Steps = Generator[Any, Any, T]

Addresses = list[tuple[int, Any]]  # of a host: (family, socket address)

# Seconds between two looks at what nothing tells us of.
NAP = 0.01


def positive(seconds: float) -> float:
    """Refuse a time-out that has passed already: it would cost a healthy connection."""
    if not seconds > 0:
        raise err.ProgrammingError(
            CR.CR_BAD_PARAMETER, f"timeout={seconds!r} is no time: use seconds above 0, or None"
        )
    return seconds


def unsent(deadline: Deadline) -> err.OperationalError:
    """Make the error for a call whose time was over before anything of it was sent."""
    return err.OperationalError(
        CR.CR_QUERY_TIMEOUT,
        f"The connection was not free within {deadline.name}={deadline.seconds:g} s: nothing was "
        "sent. It stays usable, the next call waits for it again",
        sent=False,
        fatal=False,
    )


def unanswered(name: str, seconds: float, on_cancel: str, session: Session) -> err.OperationalError:
    """Make the error for a call that waited for its answer in vain, and leaves its statement."""
    error = err.OperationalError(
        CR.CR_QUERY_TIMEOUT,
        f"No answer within {name}={seconds:g} s. The connection stays usable; the "
        f"statement is left to on_cancel={on_cancel!r}",
        fatal=False,
        sent=session.bytes_sent > 0,
    )
    if session.counted is not None:
        session.counted.place(error)
    return error


class Deadline:
    """A moment after which a call gives up; ``name`` and ``seconds`` are for the error."""

    __slots__ = ("at", "name", "seconds")

    def __init__(self, seconds: float | None, name: str) -> None:
        self.seconds = seconds
        self.name = name
        self.at = None if seconds is None else time.monotonic() + seconds

    @classmethod
    def of_call(cls, timeout: float | None) -> Deadline | None:
        """Begin a call that may take ``timeout`` seconds, its waiting for the line included."""
        return None if timeout is None else cls(positive(timeout), "timeout")

    def left(self) -> float | None:
        """Return the seconds left; TimeoutError when there are none."""
        if self.at is None:
            return None
        left = self.at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def share(self, among: int) -> float | None:
        """Return an equal part of the seconds left."""
        left = self.left()
        return None if left is None else left / among


def remaining(deadline: Deadline | None) -> float | None:
    """Return the seconds left of a call, nearly none when it is over; None without a limit."""
    if deadline is None or deadline.at is None:
        return None
    return max(deadline.at - time.monotonic(), 0.001)


class Dialling(Protocol):
    """The points where a connection is waited for."""

    def resolve(self, host: str, port: int, deadline: Deadline) -> Steps[Addresses]: ...
    def connect(self, sock: socket.socket, address: Any, seconds: float | None) -> Steps[None]: ...


class Waiting(Dialling, Protocol):
    """The points where a connection waits, so that what lies between them is written once."""

    def join(self, thread: threading.Thread, deadline: Deadline) -> Steps[None]: ...
    def drive(
        self, link: SocketTransport, session: Session, need: Need, deadline: Deadline | None
    ) -> Steps[None]: ...
    def run(
        self,
        link: SocketTransport,
        session: Session,
        conversation: Conversation[T],
        deadline: Deadline | None,
    ) -> Steps[T]: ...


def finish(steps: Steps[T]) -> T:
    """Take steps that wait by blocking; their result comes at once."""
    try:
        next(steps)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("steps that block do not pause")
