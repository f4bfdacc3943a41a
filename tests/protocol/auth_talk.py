"""The server's side of a login, for the tests of the authentication plugins."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pymy import err
from pymy.constants import CR
from pymy.protocol.auth import AuthContext, find_plugin

NONCE = bytes(range(1, 21))
NONCE32 = bytes(range(101, 133))
SALT = b"eighteen byte salt"
LONG = b"a password that is longer than the nonce is"


def context(password: bytes = b"secret", nonce: bytes = NONCE, **more: Any) -> AuthContext:
    return AuthContext(user="me", password=password, nonce=nonce, **more)


def talk(name: str, ctx: AuthContext, *packets: bytes, plugins: Any = None) -> list[bytes | None]:
    """Return the plugin's replies; the last is "done" when it returned on the last packet."""
    conversation = find_plugin(name, plugins)(ctx)
    replies = [next(conversation)]
    for packet in packets:
        try:
            replies.append(conversation.send(packet))
        except StopIteration:
            replies.append(b"done")
    conversation.close()
    return replies


def refused(match: str, name: str, ctx: AuthContext, *packets: bytes, plugins: Any = None) -> None:
    with pytest.raises(err.OperationalError, match=match) as caught:
        talk(name, ctx, *packets, plugins=plugins)
    assert caught.value.fatal
    assert caught.value.errno in (CR.CR_AUTH_PLUGIN_ERR, CR.CR_SERVER_HANDSHAKE_ERR)
    assert "secret" not in str(caught.value)


@cache
def private_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def pem(key: Any = None) -> bytes:
    public = (key or private_key()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def decrypt(data: bytes | None) -> bytes:
    """Undo what the server undoes: OAEP, then the nonce repeated."""
    assert data is not None
    oaep = padding.OAEP(padding.MGF1(SHA1()), SHA1(), None)
    masked = private_key().decrypt(data, oaep)
    return bytes(byte ^ NONCE[i % 20] for i, byte in enumerate(masked))
