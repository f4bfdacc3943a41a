"""client_ed25519 and parsec: MariaDB's logins by Ed25519 signature."""

from __future__ import annotations

import secrets
from hashlib import pbkdf2_hmac

from . import ed25519
from .context import AuthContext, Conversation, refusal, scramble, unexpected

# Servers make 1024 << factor iterations: factor 0 in all releases up to 13.0, settable up to 20
# from 13.1, which is several minutes of CPU. An impostor chooses the factor before proving
# anything, so stop at 10: a million iterations, about half a second, five times what OWASP
# recommends for PBKDF2 with SHA-512.
MAX_FACTOR = 10

_SALT_BYTES = 18


def client_ed25519(ctx: AuthContext) -> Conversation:
    """Sign the server's 32-byte nonce with a key derived from the password.

    Source: https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-plugin-ed25519
    """
    yield ed25519.sign(ctx.password, scramble(ctx, "client_ed25519", 32))


def parsec(ctx: AuthContext) -> Conversation:
    """Sign both sides' nonces with a key derived from the salted password.

    An empty packet asks for the account's ext-salt: ``P`` (PBKDF2), the iteration factor in one
    byte, 18 bytes of salt. PBKDF2-HMAC-SHA512 of the password gives the seed of a standard Ed25519
    key; the answer is a client nonce of 32 bytes and the signature of server nonce + client nonce.
    One round trip more than other plugins, and CPU time by the server's choice, up to a bound.

    Source: https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-plugin-parsec
    """
    server_nonce = scramble(ctx, "parsec", 32)
    salt = yield b""
    if len(salt) != 2 + _SALT_BYTES or salt[:1] != b"P":
        raise unexpected("parsec", "the salt is not in the form this version of pymy knows")
    factor = salt[1]
    if factor > MAX_FACTOR:
        raise refusal(
            f"parsec: the server asks for 2**{10 + factor} iterations and pymy does at most "
            f"2**{10 + MAX_FACTOR}; set parsec_iterations lower and the account's password again"
        )
    seed = pbkdf2_hmac("sha512", ctx.password, salt[2:], 1024 << factor, 32)
    client_nonce = secrets.token_bytes(32)
    yield client_nonce + _sign(seed, server_nonce + client_nonce)


def _sign(seed: bytes, message: bytes) -> bytes:
    # The library's arithmetic is constant in time, ours is not; the signatures are the same.
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        return ed25519.sign(seed, message)
    try:
        return Ed25519PrivateKey.from_private_bytes(seed).sign(message)
    except UnsupportedAlgorithm:
        return ed25519.sign(seed, message)
