"""The words a pool decides in: its limits, counters, places, requests, and what errors mean."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Literal

from . import err
from .constants import CR
from .options.dsn import bad_option

FOREVER = float("inf")

_BUSY = frozenset(
    {
        1040,  # too many connections
        1053,  # shutdown in progress
        1135,  # cannot create a thread
        1203,  # max_user_connections
        1226,  # a resource of the account is used up
    }
)
_UNREACHED = frozenset({CR.CR_CONNECTION_ERROR, CR.CR_CONN_HOST_ERROR})
# What a server that is down or restarting answers; its unix socket goes and comes with it.
_COMING_BACK = (ConnectionRefusedError, ConnectionResetError, FileNotFoundError)


def is_busy(error: err.Error) -> bool:
    """Tell whether a connect failed for a reason that passes by itself: full, or restarting."""
    if error.errno in _BUSY:
        return True
    cause = error.__cause__
    if error.errno == CR.CR_SERVER_LOST:  # hung up in the middle of the login
        return not isinstance(cause, TimeoutError)
    # asyncio tells of several addresses in one text
    refused = f"[Errno {errno.ECONNREFUSED}]"
    return error.errno in _UNREACHED and (isinstance(cause, _COMING_BACK) or refused in str(cause))


class Do(Enum):
    """What the owner of a ticket does next."""

    WAIT = "wait for ticket.wake, at most until patience(), then call look()"
    CONNECT = "open a connection, then call connected() or failed()"
    PEEK = "look whether the idle connection's line is silent, then call checked()"
    PING = "ask the server whether the idle connection works, then call checked()"
    TAKE = "call take() and hand the connection over"
    REFUSE = "raise ticket.error"
    TAKEN = "nothing: the ticket is used up"


class Place(Enum):
    """Where a connection stands in its pool."""

    CONNECTING = "being opened"
    IDLE = "ready to be handed over"
    IN_USE = "handed over, or about to be"
    CLEANING = "returned, not yet ready for the next user"
    GONE = "no longer the pool's"

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers a pool goes by; times in seconds, None: no limit."""

    min_size: int = 0
    max_size: int = 10
    max_waiting: int | None = None
    acquire_timeout: float | None = 10.0
    idle_order: Literal["lifo", "fifo"] = "lifo"
    idle_timeout: float | None = None
    max_lifetime: float | None = None
    max_lifetime_jitter: float = 0.1
    max_uses: int | None = None
    validate_after: float | None = 0.5
    retry_interval: float = 0.5
    leak_timeout: float | None = None

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            if spec.name == "idle_order":
                if value not in ("lifo", "fifo"):
                    raise bad_option(f"idle_order is 'lifo' or 'fifo', not {value!r}.")
                continue
            whole = "int" in str(spec.type)
            if value is None and "None" in str(spec.type):
                continue
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                kind = "a whole number" if whole else "a number of seconds"
                raise TypeError(f"{spec.name} is {kind}, not {type(value).__name__}")
            if not 0 <= value < FOREVER:
                raise bad_option(f"{spec.name} is 0 or more, not {value}.")
        if not self.max_size:
            raise bad_option(
                "max_size is 1 or more: a pool of none can give none. "
                "For no limit, as aiomysql's maxsize=0, give a large number."
            )
        if self.min_size > self.max_size:
            raise bad_option(f"min_size {self.min_size} is above max_size {self.max_size}.")
        if self.max_lifetime_jitter > 1:
            raise bad_option("max_lifetime_jitter is a share of max_lifetime, 0 to 1.")
        if self.max_uses == 0:
            raise bad_option("max_uses is 1 or more, or None.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStats:
    """A pool's counters at one moment.

    Always ``connected - closed == idle + in_use + cleaning`` and
    ``acquired == released + lost + in_use`` but for connections that are being checked.
    """

    idle: int = 0
    in_use: int = 0
    connecting: int = 0
    cleaning: int = 0
    waiting: int = 0
    """Requests in line at this moment."""
    connected: int = 0
    """Connections opened so far."""
    closed: int = 0
    """Connections closed so far, for whatever reason; among them those that follow."""
    expired: int = 0
    """... for idle_timeout, max_lifetime or max_uses."""
    broken: int = 0
    """... because they did not work when they were checked, returned or cleaned."""
    lost: int = 0
    """... while in use: dropped without being released, or ended by ``terminate()``."""
    connect_failures: int = 0
    acquired: int = 0
    released: int = 0
    refused: int = 0
    """Requests that ended with an error."""
    cancelled: int = 0
    """Requests that were given up by who made them."""

    @property
    def size(self) -> int:
        """Connections the pool counts against ``max_size``."""
        return self.idle + self.in_use + self.connecting + self.cleaning

    def __add__(self, other: PoolStats) -> PoolStats:
        sums = {
            spec.name: getattr(self, spec.name) + getattr(other, spec.name) for spec in fields(self)
        }
        return PoolStats(**sums)


class Slot:
    """One connection's place in the pool."""

    __slots__ = (
        "command",
        "core",
        "dies",
        "doomed",
        "heard",
        "lease",
        "link",
        "place",
        "reported",
        "since",
        "stack",
        "used",
        "uses",
    )

    def __init__(self, core: Any = None) -> None:
        self.core = core
        self.place = Place.CONNECTING
        self.link: Any = None
        """The connection while the pool has it; None while a user has it."""
        self.lease: Any = None
        """A weak reference to what the user has."""
        self.since = 0.0
        self.heard = 0.0
        """When the server answered last, as far as the pool knows."""
        self.command = 0
        """The number of its last command before it was lent."""
        self.used = True
        """False: no command went out since it was lent."""
        self.dies = FOREVER
        self.uses = 0
        self.doomed = False
        """True: closed instead of going back to the idle ones."""
        self.stack: Any = None
        self.reported = False


class Ticket:
    """One request for a connection."""

    __slots__ = ("deadline", "do", "error", "number", "slot", "wait", "wake")

    def __init__(self, number: int, deadline: float, wait: bool) -> None:
        self.number = number
        self.deadline = deadline
        self.wait = wait
        self.do = Do.WAIT
        self.slot: Slot | None = None
        self.error: err.Error | None = None
        self.wake: Callable[[], object] | None = None

    def __lt__(self, other: Ticket) -> bool:
        return self.number < other.number
