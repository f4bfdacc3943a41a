"""One login against a script, for the tests of the handshake."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha1
from typing import Any

from line import Line, new_session
from serverside import framed, greeting, ok

from pymy import err
from pymy.constants import CLIENT
from pymy.options import Options, SSLMode
from pymy.protocol.handshake import Credentials, connect
from pymy.protocol.state import State
from pymy.protocol.wire import Reader

PLAIN = {"user": "me", "ssl_mode": SSLMode.DISABLED}
SETUP = framed(ok())
COMPRESSIONS = CLIENT.COMPRESS | CLIENT.ZSTD_COMPRESSION_ALGORITHM


def options(**more: Any) -> Options:
    return Options(**(PLAIN | more))


def credentials(*passwords: bytes, attributes: Mapping[str, str] | None = None) -> Credentials:
    return Credentials(passwords or (b"secret",), attributes or {})


def native(password: bytes, nonce: bytes) -> bytes:
    inner = sha1(password).digest()
    mask = sha1(nonce + sha1(inner).digest()).digest()
    return bytes(a ^ b for a, b in zip(inner, mask, strict=True))


class Login:
    """One connect against a script, and what came of it."""

    def __init__(
        self,
        *server: bytes,
        hello: bytes | None = None,
        passwords: tuple[bytes, ...] = (b"secret",),
        attributes: Mapping[str, str] | None = None,
        local: bool = False,
        tls: Any = None,
        **more: Any,
    ) -> None:
        self.session = new_session(local=local)
        first = framed(greeting() if hello is None else hello, 0)
        self.line = Line(self.session, [first, *server], tls=tls)
        self.error: err.Error | None = None
        made = connect(self.session, options(**more), Credentials(passwords, attributes or {}))
        try:
            self.line.run(made)
        except err.Error as exc:
            self.error = exc
            assert exc.fatal
            assert self.session.state is State.BROKEN

    def sent(self) -> list[bytes]:
        """The payloads that went out."""
        data, payloads = bytes(self.line.sent), []
        while data:
            size = int.from_bytes(data[:3], "little")
            payloads.append(data[4 : 4 + size])
            data = data[4 + size :]
        return payloads

    def response(self) -> dict[str, Any]:
        """HandshakeResponse41, taken apart."""
        return taken_apart(self.sent()[0], self.session.capabilities)


def taken_apart(packet: bytes, agreed: int) -> dict[str, Any]:
    reader = Reader(packet)
    found: dict[str, Any] = dict(
        zip(("flags", "largest", "collation"), (reader.integer(n) for n in (4, 4, 1)), strict=True)
    )
    assert not any(reader.take(19))
    found["flags"] |= reader.integer(4) << 32
    found["user"] = reader.until_nul()
    lenenc = agreed & CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA
    found["auth"] = reader.lenenc_bytes() if lenenc else reader.take(reader.integer(1))
    if agreed & CLIENT.CONNECT_WITH_DB:
        found["database"] = reader.until_nul()
    if agreed & CLIENT.PLUGIN_AUTH:
        found["plugin"] = reader.until_nul()
    if agreed & CLIENT.CONNECT_ATTRS:
        found["attributes"] = reader.lenenc_bytes()
    found["rest"] = reader.rest()
    return found
