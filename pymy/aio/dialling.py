"""Connecting under asyncio: the steps of ``pymy.dialling``, whose pauses are awaits here."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any, TypeVar

from .. import dialling
from ..options import Options
from ..waiting import NAP, Addresses, Deadline, Steps

T = TypeVar("T")


class Awaiting:
    """Waits by giving what is to be awaited to ``walk()``."""

    def resolve(self, host: str, port: int, deadline: Deadline) -> Steps[Addresses]:
        found: Addresses = yield _resolve(host, port, deadline.left())
        return found

    def connect(self, sock: socket.socket, address: Any, seconds: float | None) -> Steps[None]:
        yield _connect(sock, address, seconds)


async def dial(options: Options, deadline: Deadline) -> socket.socket:
    """Open a connected socket to the server, trying each of the host's addresses in turn."""
    return await _walk(dialling.dialling(Awaiting(), options, deadline))


async def dial_address(options: Options, family: int, address: Any) -> socket.socket:
    """Open a socket connected to this very address."""
    seconds = options.connect_timeout
    return await _walk(dialling.dialling_address(Awaiting(), options, family, address, seconds))


async def _walk(steps: Steps[T]) -> T:
    try:
        awaitable = next(steps)
        while True:
            try:
                answer = await awaitable
            except BaseException as exc:
                awaitable = steps.throw(exc)
            else:
                awaitable = steps.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def _resolve(host: str, port: int, seconds: float | None) -> Addresses:
    if dialling.is_address(host):
        return dialling.addresses(host, port)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(seconds):
        try:
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as exc:
            raise dialling.no_name(exc) from exc
    return [(info[0], info[4]) for info in infos]


async def _connect(sock: socket.socket, address: Any, seconds: float | None) -> None:
    sock.setblocking(False)
    if isinstance(address, tuple):  # else a path
        async with asyncio.timeout(seconds):
            try:
                await asyncio.get_running_loop().sock_connect(sock, address)
            except ConnectionError as exc:  # which asyncio words otherwise than the system
                raise _of_system(exc.errno or 0) from exc
    elif number := sock.connect_ex(address):
        async with asyncio.timeout(seconds):
            # asyncio takes the EAGAIN of a unix socket whose queue is full for a link on its way
            while number == errno.EAGAIN:
                await asyncio.sleep(NAP)
                number = sock.connect_ex(address)
        if number:
            raise _of_system(number)


def _of_system(number: int) -> OSError:
    return OSError(number, os.strerror(number))
