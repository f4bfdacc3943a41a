"""What a session asks of the outside world."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")


class Need(Enum):
    """Why the session stopped, and what brings it on."""

    READ = "receive bytes into space(), then filled(n), or eof()"
    WRITE = "send output(), then sent(n)"
    TLS = "wrap the link in TLS, then resume()"
    FILE = (
        "fetch the next piece of a local file or parameter, then resume(piece), or fail(exception)"
    )
    KILL = "stop the running statement over a second connection, then resume(whether it worked)"
    DONE = "nothing: the conversation is over and result() tells how"


READ, WRITE, TLS, FILE, KILL, DONE = Need

Conversation = Generator[Need, Any, T]
