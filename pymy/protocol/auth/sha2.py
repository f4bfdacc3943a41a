"""caching_sha2_password and sha256_password: SHA-256, and RSA where the link can be read."""

from __future__ import annotations

from hashlib import sha256
from itertools import cycle

from .context import AuthContext, Conversation, refusal, scramble, unexpected

# A 16384-bit key, the largest OpenSSL takes, is under 3 KB of PEM; keys under 1024 bits fall to one
# machine in days. Both come from the server before it has proved anything.
_MAX_PEM = 16 * 1024
_KEY_BITS = range(1024, 16384 + 1)
# OAEP with SHA-1 takes two digests and two bytes of every block (RFC 8017, 7.1.1).
_OAEP_OVERHEAD = 2 * 20 + 2


def caching_sha2_password(ctx: AuthContext) -> Conversation:
    """Log in with a SHA-256 scramble, or with the password itself when the server's cache is cold.

    First goes ``SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce)``. The server says 3
    (its cache knows the account, OK follows) or 4: it wants the password. Over TLS or a unix socket
    that goes out in clear with a NUL; over plain TCP it goes out under the server's RSA key, which
    is ``server_public_key`` or, with ``allow_public_key_retrieval``, asked for with 0x02.

    A key that was pinned is not passed over in favour of TLS with somebody unknown: see
    ``_in_clear``. Without either the login is refused at the 4 and not before: a scramble is as
    safe over plain TCP as mysql_native_password's, and refusing at once would lock out every
    account that the cache does know. What must not depend on the server is whether an unverified
    key is trusted, and 0x02 is never sent unless the caller chose so.

    Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
    """
    name = "caching_sha2_password"
    nonce = scramble(ctx, name)
    if not ctx.password:
        yield b""
        return
    inner = sha256(ctx.password).digest()
    mask = sha256(sha256(inner).digest() + nonce).digest()
    verdict = yield _xor(inner, mask)
    if verdict == b"\x03":
        return
    if verdict != b"\x04":
        raise unexpected(name, "the answer to the scramble is neither 3 nor 4")
    if ctx.secure:
        yield _in_clear(ctx, name)
    else:
        why = " (its cache does not know the account, or the given password is wrong)"
        yield from _send_under_rsa(ctx, name, nonce, request=b"\x02", why=why)


def sha256_password(ctx: AuthContext) -> Conversation:
    """Send the password: in clear over TLS, else under the server's RSA key.

    The key is ``server_public_key`` or, with ``allow_public_key_retrieval``, asked for with 0x01.
    A unix socket is no exception to RSA, because the server decrypts whatever does not come by TLS;
    nobody can forge the key there, so it is asked for without the option.

    Source: https://dev.mysql.com/doc/refman/8.4/en/sha256-pluggable-authentication.html
    """
    name = "sha256_password"
    if not ctx.password:
        yield b"\0"
    elif ctx.tls:
        yield _in_clear(ctx, name)
    else:
        yield from _send_under_rsa(ctx, name, scramble(ctx, name), request=b"\x01")


def _in_clear(ctx: AuthContext, name: str) -> bytes:
    """Return the password itself; refuse when a pinned key says who may have it, and TLS does not.

    RSA inside of TLS would do, but servers take what comes by TLS for the password as it is and
    deny the login (seen with MySQL 9.7).
    """
    if ctx.server_public_key is not None and not (ctx.verified or ctx.local):
        raise refusal(
            f"{name}: the server wants the password itself, over TLS whose certificate nobody "
            "checked, and without the protection of server_public_key, which servers know only "
            "without TLS: check the certificate (ssl='verify_ca' or 'verify_identity'), or connect "
            "with ssl='disabled', or leave server_public_key out"
        )
    return ctx.password + b"\0"


def _send_under_rsa(
    ctx: AuthContext, name: str, nonce: bytes, *, request: bytes, why: str = ""
) -> Conversation:
    pem = ctx.server_public_key
    if pem is None:
        if not (ctx.allow_public_key_retrieval or ctx.local):
            raise refusal(
                f"{name}: the server wants the password itself{why}, and there is neither TLS nor "
                "an RSA key to protect it: connect by TLS, or give the server's key as "
                "server_public_key=, or set allow_public_key_retrieval=True on a network where "
                "nobody can pose as the server"
            )
        pem = yield request
    yield _encrypt(name, ctx.password, nonce, pem)


def _encrypt(name: str, password: bytes, nonce: bytes, pem: bytes) -> bytes:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
        from cryptography.hazmat.primitives.hashes import SHA1
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise refusal(
            f"{name} without TLS needs RSA: connect by TLS or run `pip install cryptography`"
        ) from None
    try:
        key = load_pem_public_key(pem) if len(pem) <= _MAX_PEM else None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size not in _KEY_BITS:
        raise refusal(
            f"{name}: the server's public key is not an RSA key of {_KEY_BITS[0]} to "
            f"{_KEY_BITS[-1]} bits in PEM; check server_public_key= or connect by TLS"
        )
    plain = password + b"\0"
    room = key.key_size // 8 - _OAEP_OVERHEAD
    if len(plain) > room:
        raise refusal(
            f"{name}: a password of {len(password)} bytes does not fit the server's RSA key "
            f"(at most {room - 1}); connect by TLS"
        )
    try:
        # The nonce repeats over the whole password (P26).
        return key.encrypt(_xor(plain, nonce), OAEP(MGF1(SHA1()), SHA1(), None))
    except (ValueError, UnsupportedAlgorithm):
        raise refusal(f"{name}: the server's RSA key cannot encrypt; connect by TLS") from None


def _xor(data: bytes, mask: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, cycle(mask), strict=False))
