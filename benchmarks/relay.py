"""A TCP relay that takes its time, and counts how often the client had to wait for the server."""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import suppress
from typing import Self


class Relay:
    """Passes bytes on to ``address`` and back, each ``latency`` / 2 seconds after they came."""

    def __init__(self, address: tuple[str, int], latency: float = 0.0) -> None:
        self.address = address
        self.delay = latency / 2
        #: How often the client spoke behind an answer: the round trips.
        self.turns = 0
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets.append(self._listener)
        self._start(self._accept)
        return self

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self.address)
                self._sockets += (client, server)
                link = _Link(self)
                for sides in ((client, server, True), (server, client, False)):
                    pieces: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                    self._start(link.take, *sides, pieces)
                    self._start(link.give, sides[1], pieces)

    def __exit__(self, *exc_info: object) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)


class _Link:
    """One connection through the relay."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.server_spoke = True

    def take(
        self,
        source: socket.socket,
        target: socket.socket,
        from_client: bool,
        pieces: queue.SimpleQueue[tuple[float, bytes]],
    ) -> None:
        source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b"x"
        while data:
            try:
                data = source.recv(1 << 16)
            except OSError:
                data = b""
            if data and from_client and self.server_spoke:
                self.relay.turns += 1
            self.server_spoke = not from_client
            pieces.put((time.monotonic() + self.relay.delay, data))

    def give(self, target: socket.socket, pieces: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        with suppress(OSError):
            while True:
                due, data = pieces.get()
                time.sleep(max(0.0, due - time.monotonic()))
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)
