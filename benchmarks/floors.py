"""The floors: pymy's own bytes go out and come back, and nothing is done with them.

pymy logs in and asks once, over a socket that notes what passes. Then its questions are sent again
over the same session, and as many bytes are awaited as came before.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from measuring import Clock
from workloads import Workload, keys

import pymy

BUFFER = 256 * 1024
# What is sent, and the number of bytes that answer it.
Exchange = tuple[bytes, int]


class NotingSocket(socket.socket):
    """Notes what is sent and how much is received."""

    question = b""
    answer = 0

    def send(self, data: Any, *flags: int) -> int:
        count = super().send(data, *flags)
        self.question += bytes(memoryview(data)[:count])
        return count

    def recv_into(self, *args: Any) -> int:
        count = super().recv_into(*args)
        self.answer += count
        return count


class Floor:
    """A bare ``sendall`` and ``recv_into``."""

    def __init__(self, address: dict[str, Any]) -> None:
        self.noting = NotingSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.noting.connect(address["unix_socket"])
        self.connection = pymy.Connection(**address, defer_connect=True)
        self.connection.connect(self.noting)
        self.exchanges: dict[str, list[Exchange]] = {}
        self.bare = socket.socket(fileno=self.noting.dup().detach())

    def run(self, workload: Workload) -> Clock:
        if workload.name not in self.exchanges:
            self.exchanges[workload.name] = list(self.noted(workload))
        return self.replay(self.exchanges[workload.name])

    def noted(self, workload: Workload) -> list[Exchange]:
        cursor = self.connection.cursor()
        asked: list[Any] = keys(workload.count) if workload.keyed else [None]
        exchanges = []
        for argument in asked:
            self.noting.question, self.noting.answer = b"", 0
            cursor.execute(workload.sql, argument)
            exchanges.append((self.noting.question, self.noting.answer))
        times = workload.count if workload.action == "ask" and not workload.keyed else 1
        return exchanges * times

    def replay(self, exchanges: list[Exchange]) -> Clock:
        sendall, recv_into, buffer = self.bare.sendall, self.bare.recv_into, bytearray(BUFFER)
        left = 0
        with Clock() as clock:
            for question, answer in exchanges:
                sendall(question)
                left = answer
                while left > 0:
                    left -= recv_into(buffer)
        check_rest(left)
        return clock

    def close(self) -> None:
        self.bare.close()
        self.connection.close()


class Echo(asyncio.BufferedProtocol):
    """Sends the next question when an answer is there, or wakes who waits for it."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(BUFFER))
        self.left = 0
        self.exchanges: list[Exchange] = []
        self.waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.left -= nbytes
        if self.left <= 0:
            if self.exchanges:
                self.ask()
            elif self.waiter is not None:
                self.waiter.set_result(None)

    def ask(self) -> None:
        question, self.left = self.exchanges.pop()
        self.transport.write(question)


class AwaitedFloor(Floor):
    """A bare BufferedProtocol; a task awaits each answer, as it does with any driver."""

    def __init__(self, address: dict[str, Any]) -> None:
        super().__init__(address)
        self.runner = asyncio.Runner()
        self.echo = self.runner.run(self.linked())

    async def linked(self) -> Echo:
        loop = asyncio.get_running_loop()
        _, echo = await loop.create_connection(Echo, sock=self.bare)
        return echo

    def replay(self, exchanges: list[Exchange]) -> Clock:
        self.bare.setblocking(False)  # pymy's own socket, of which this is a copy, with it
        clock = self.runner.run(self.replayed(exchanges))
        self.bare.setblocking(True)
        check_rest(self.echo.left)
        return clock

    async def replayed(self, exchanges: list[Exchange]) -> Clock:
        echo, loop = self.echo, asyncio.get_running_loop()
        with Clock() as clock:
            for question, answer in exchanges:
                echo.left = answer
                echo.waiter = waiter = loop.create_future()
                echo.transport.write(question)
                await waiter
        return clock

    def close(self) -> None:
        self.echo.transport.abort()
        self.runner.close()
        self.connection.close()


class CallbackFloor(AwaitedFloor):
    """The same without a task: the callback that takes an answer sends the next question."""

    async def replayed(self, exchanges: list[Exchange]) -> Clock:
        echo = self.echo
        echo.exchanges = exchanges[::-1]
        echo.waiter = asyncio.get_running_loop().create_future()
        with Clock() as clock:
            echo.ask()
            await echo.waiter
        return clock


def check_rest(left: int) -> None:
    if left:
        raise RuntimeError(f"the answer had {-left} bytes more than pymy saw")
