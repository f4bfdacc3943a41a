"""What a plugin is told, what a plugin is, and the checks every plugin shares."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeAlias

from pymy import err
from pymy.constants import CR


@dataclass(slots=True, frozen=True, kw_only=True)
class AuthContext:
    """Hold all a plugin may know about one login; secrets stay out of its repr.

    user: account name.
    password: the password of this factor, already encoded; ``b""`` for none.
    nonce: the plugin data of the greeting or of the latest AuthSwitchRequest. Pass it whole: each
        plugin cuts the trailing NUL itself where its protocol has one (P23), and ``dialog`` finds
        its first question here.
    tls: the link is encrypted already.
    local: the link is a unix socket.
    verified: it is known who is at the other end: a unix socket, or TLS with a checked certificate.
    server_public_key: PEM of the server's RSA key known beforehand, else None.
    allow_public_key_retrieval: take the RSA key from the server itself, unverified.
    allow_cleartext: plugins that need the password as it is may have it, on a secure link.
    """

    user: str = ""
    password: bytes = field(default=b"", repr=False)
    nonce: bytes = field(default=b"", repr=False)
    tls: bool = False
    local: bool = False
    verified: bool = False
    server_public_key: bytes | None = field(default=None, repr=False)
    allow_public_key_retrieval: bool = False
    allow_cleartext: bool = False

    @property
    def secure(self) -> bool:
        """Tell whether nobody on the way can read along: TLS or a unix socket.

        Who poses as the server still can, unless the link is `verified`.
        """
        return self.tls or self.local


Conversation: TypeAlias = Generator[bytes | None, bytes, None]
AuthPlugin: TypeAlias = Callable[[AuthContext], Conversation]


def refusal(message: str) -> err.OperationalError:
    """Make the error for a login that pymy will not or cannot go on with."""
    return err.OperationalError(CR.CR_AUTH_PLUGIN_ERR, message, fatal=True)


def scramble(ctx: AuthContext, plugin: str, size: int = 20) -> bytes:
    """Return the server's nonce without its trailing NUL, checked for length."""
    nonce = ctx.nonce
    if len(nonce) == size + 1 and nonce[-1] == 0:
        nonce = nonce[:size]
    if len(nonce) != size:
        raise unexpected(plugin, f"the nonce has {len(nonce)} bytes and not {size}")
    return nonce


def unexpected(plugin: str, what: str) -> err.ProtocolError:
    """Make the error for a server packet that has no place in the plugin's exchange."""
    return err.ProtocolError(
        CR.CR_SERVER_HANDSHAKE_ERR,
        f"{plugin}: {what}; check that host and port are a MySQL or MariaDB server's, and any "
        "proxy on the way",
    )
