"""Tasks that share a connection wait in line for it."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """A fair lock whose free case, the usual one, costs no await: look at ``taken``, then set it.

    ``leave()`` hands over to the first in line, so nobody overtakes.
    """

    __slots__ = ("_line", "taken")

    def __init__(self) -> None:
        self.taken = False
        self._line: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Wait for one's turn; afterwards it is taken."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except BaseException:
            if not place.cancelled():  # it was handed over already
                self.leave()
            raise

    def leave(self) -> None:
        """End one's turn."""
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.taken = False
