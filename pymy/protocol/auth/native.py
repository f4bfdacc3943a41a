"""mysql_native_password: SHA-1 challenge and response."""

from __future__ import annotations

from hashlib import sha1

from .context import AuthContext, Conversation, scramble


def mysql_native_password(ctx: AuthContext) -> Conversation:
    """Prove knowledge of SHA1(password) without sending it.

    The answer is ``SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password)))``, 20 bytes; an account
    without a password gets an empty answer.

    Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_authentication_methods_native_password_authentication.html
    """
    nonce = scramble(ctx, "mysql_native_password")
    if not ctx.password:
        yield b""
        return
    inner = sha1(ctx.password).digest()
    mask = sha1(nonce + sha1(inner).digest()).digest()
    yield bytes(a ^ b for a, b in zip(inner, mask, strict=True))
