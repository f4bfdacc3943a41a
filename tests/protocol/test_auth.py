"""Plugins that keep the password to themselves, against independent formulas and `cryptography`."""

from __future__ import annotations

import hashlib
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from auth_talk import LONG, NONCE, NONCE32, SALT, context, decrypt, pem, refused, talk
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import ed25519 as reference
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pymy import err
from pymy.constants import CR
from pymy.protocol.auth import ed25519, signed


def check_scramble(
    hashname: str, reply: bytes | None, password: bytes, *, nonce_first: bool
) -> None:
    """Verify as a server does that knows only H(H(password))."""

    def digest(data: bytes) -> bytes:
        return hashlib.new(hashname, data).digest()

    stored = digest(digest(password))
    mask = digest(NONCE + stored if nonce_first else stored + NONCE)
    assert reply is not None
    assert len(reply) == len(mask)
    assert digest(bytes(a ^ b for a, b in zip(reply, mask, strict=True))) == stored


@pytest.fixture
def no_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules, "cryptography"]:
        if name.split(".")[0] == "cryptography":
            monkeypatch.setitem(sys.modules, name, None)


# What a plugin is told


def test_context_hides_secrets() -> None:
    shown = repr(context(b"hunter2", b"nonce-bytes", server_public_key=b"pinned-key"))
    assert "me" in shown
    assert not any(word in shown for word in ("hunter2", "nonce-bytes", "pinned-key"))


@pytest.mark.parametrize(
    ("tls", "local", "secure"),
    [(False, False, False), (True, False, True), (False, True, True), (True, True, True)],
)
def test_secure(tls: bool, local: bool, secure: bool) -> None:
    assert context(tls=tls, local=local).secure is secure


@pytest.mark.parametrize("name", ["mysql_native_password", "caching_sha2_password"])
def test_nonce_may_carry_its_nul(name: str) -> None:
    assert talk(name, context()) == talk(name, context(nonce=NONCE + b"\0"))


@pytest.mark.parametrize(
    "name", ["mysql_native_password", "caching_sha2_password", "client_ed25519", "parsec"]
)
@pytest.mark.parametrize("size", [0, 8, 19, 21, 22, 31, 33])
def test_wrong_nonce_length(name: str, size: int) -> None:
    with pytest.raises(err.ProtocolError, match=rf"{name}: the nonce has {size} bytes") as caught:
        talk(name, context(nonce=b"n" * size))
    assert caught.value.errno == CR.CR_SERVER_HANDSHAKE_ERR


def test_nonce_ending_in_nul_is_kept() -> None:
    nonce = bytes(range(19)) + b"\0"
    assert talk("mysql_native_password", context(nonce=nonce)) == talk(
        "mysql_native_password", context(nonce=nonce + b"\0")
    )


# mysql_native_password


@pytest.mark.parametrize("password", [b"secret", LONG, "pässwörd".encode(), b"\0"])
def test_native(password: bytes) -> None:
    [reply] = talk("mysql_native_password", context(password))
    check_scramble("sha1", reply, password, nonce_first=True)


def test_native_empty() -> None:
    assert talk("mysql_native_password", context(b""), b"more") == [b"", b"done"]


# caching_sha2_password


@pytest.mark.parametrize("password", [b"secret", LONG, "pässwörd".encode()])
def test_caching_fast_path(password: bytes) -> None:
    reply, end = talk("caching_sha2_password", context(password), b"\x03")
    check_scramble("sha256", reply, password, nonce_first=False)
    assert end == b"done"


def test_caching_empty_password() -> None:
    assert talk("caching_sha2_password", context(b""), b"\x03") == [b"", b"done"]


@pytest.mark.parametrize("link", ["tls", "local"])
def test_caching_full_on_a_secure_link(link: str) -> None:
    replies = talk("caching_sha2_password", context(**{link: True}), b"\x04", b"?")
    assert replies[1:] == [b"secret\0", b"done"]


@pytest.mark.parametrize("password", [b"secret", LONG])
def test_caching_full_with_pinned_key(password: bytes) -> None:
    ctx = context(password, server_public_key=pem(), allow_public_key_retrieval=True)
    _, reply, end = talk("caching_sha2_password", ctx, b"\x04", b"?")
    assert decrypt(reply) == password + b"\0"
    assert end == b"done"


@pytest.mark.parametrize("password", [b"secret", LONG])
def test_caching_full_with_retrieved_key(password: bytes) -> None:
    ctx = context(password, allow_public_key_retrieval=True)
    _, request, reply, end = talk("caching_sha2_password", ctx, b"\x04", pem(), b"?")
    assert request == b"\x02"
    assert decrypt(reply) == password + b"\0"
    assert end == b"done"


def test_caching_never_asks_for_a_key_unless_allowed() -> None:
    # A wrong password ends here too, so the message must not hide that.
    match = "password is wrong.*allow_public_key_retrieval=True"
    refused(match, "caching_sha2_password", context(), b"\x04")


@pytest.mark.parametrize("code", [b"", b"\x02", b"\x05", b"\x03\x03", b"\x04\0", b"-----BEGIN"])
def test_caching_unknown_code(code: bytes) -> None:
    refused("neither 3 nor 4", "caching_sha2_password", context(tls=True), code)


# sha256_password


def test_sha256_over_tls() -> None:
    assert talk("sha256_password", context(tls=True), b"?") == [b"secret\0", b"done"]


def test_sha256_empty_password() -> None:
    assert talk("sha256_password", context(b""), b"?") == [b"\0", b"done"]


@pytest.mark.parametrize("password", [b"secret", LONG])
@pytest.mark.parametrize("local", [False, True])
def test_sha256_pinned_key(password: bytes, local: bool) -> None:
    ctx = context(password, NONCE + b"\0", server_public_key=pem(), local=local)
    [reply] = talk("sha256_password", ctx)
    assert decrypt(reply) == password + b"\0"


@pytest.mark.parametrize("leave", ["allow_public_key_retrieval", "local"])
def test_sha256_retrieved_key(leave: str) -> None:
    request, reply, end = talk("sha256_password", context(**{leave: True}), pem(), b"?")
    assert request == b"\x01"
    assert decrypt(reply) == b"secret\0"
    assert end == b"done"


def test_sha256_refuses_plain_tcp() -> None:
    refused("server_public_key=", "sha256_password", context())


# RSA keys of hostile or careless servers


def _bad_keys() -> Iterator[tuple[str, Callable[[], bytes]]]:
    yield "empty", lambda: b""
    yield "garbage", lambda: b"\xff" * 300
    yield "cut", lambda: pem()[:-60]
    yield "not a key", lambda: b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    yield "private", lambda: pem().replace(b"PUBLIC", b"PRIVATE")
    yield "elliptic", lambda: pem(ec.generate_private_key(ec.SECP256R1()))
    yield "ed25519", lambda: pem(reference.Ed25519PrivateKey.generate())
    yield "huge packet", lambda: pem() + b" " * 1_000_000
    yield "huge key", lambda: _made_up_key(16385)
    yield "small key", lambda: _made_up_key(1023)


def _made_up_key(bits: int) -> bytes:
    number = rsa.RSAPublicNumbers(65537, (1 << bits) - 1).public_key()
    return pem(SimpleNamespace(public_key=lambda: number))


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in _bad_keys()])
@pytest.mark.parametrize("pinned", [True, False])
def test_bad_rsa_key(make: Callable[[], bytes], pinned: bool) -> None:
    if pinned:
        refused("RSA key of 1024", "sha256_password", context(server_public_key=make()))
    else:
        ctx = context(allow_public_key_retrieval=True)
        refused("RSA key of 1024", "caching_sha2_password", ctx, b"\x04", make())


def test_password_that_does_not_fit_the_key() -> None:
    room = 2048 // 8 - 42 - 1
    [reply] = talk("sha256_password", context(b"x" * room, server_public_key=pem()))
    assert decrypt(reply) == b"x" * room + b"\0"
    ctx = context(b"x" * (room + 1), server_public_key=pem())
    refused(f"{room + 1} bytes does not fit .* {room}", "sha256_password", ctx)


def test_key_that_cannot_encrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lame(rsa.RSAPublicKey):
        key_size = 2048

        def encrypt(self, plaintext: bytes, padding: Any) -> bytes:
            raise UnsupportedAlgorithm("no SHA-1 here")

    for method in list(Lame.__abstractmethods__):
        setattr(Lame, method, None)
    Lame.__abstractmethods__ = frozenset()
    module = sys.modules["cryptography.hazmat.primitives.serialization"]
    monkeypatch.setattr(module, "load_pem_public_key", lambda data: Lame())
    refused("cannot encrypt", "sha256_password", context(server_public_key=pem()))


@pytest.mark.usefixtures("no_cryptography")
def test_rsa_without_cryptography() -> None:
    ctx = context(server_public_key=b"any")
    refused("pip install cryptography", "sha256_password", ctx)
    assert talk("sha256_password", context(tls=True)) == [b"secret\0"]


# Ed25519


@settings(max_examples=40)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80))
@example(bytes(32), b"")
@example(b"\xff" * 32, b"\xff")
def test_ed25519_equals_the_library_for_32_bytes(secret: bytes, message: bytes) -> None:
    key = reference.Ed25519PrivateKey.from_private_bytes(secret)
    assert ed25519.public_key(secret) == key.public_key().public_bytes_raw()
    assert ed25519.sign(secret, message) == key.sign(message)


@settings(max_examples=40)
@given(st.binary(max_size=100), st.binary(max_size=80))
def test_ed25519_verifies_for_any_secret(secret: bytes, message: bytes) -> None:
    public = reference.Ed25519PublicKey.from_public_bytes(ed25519.public_key(secret))
    public.verify(ed25519.sign(secret, message), message)


def test_ed25519_vector_of_rfc_8032() -> None:
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert ed25519.public_key(secret).hex() == (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )
    assert ed25519.sign(secret, b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
        "f9b46bd25bf5f0595bbe24655141438e7a100b"
    )


@pytest.mark.parametrize(
    ("password", "stored"),
    [
        (b"foo", "vubFBzIrapbfHct1/J72dnUryz5VS7lA6XHH8sIx4TI"),
        (b"foobar", "qv2mG6HWCuy32Slb5xhV4THStewNz2VINVPbgk+XAJ8"),
        (b"foo bar", "Y5fV74JAVRMOK2cdnUsYS+WW9sXaaL/o+6WGKOgqnzc"),
        (b"secret", "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"),
    ],
)
def test_ed25519_hashes_that_mariadb_stores(password: bytes, stored: str) -> None:
    # What ed25519_password() and PASSWORD() of MariaDB servers gave.
    assert b64encode(ed25519.public_key(password)).decode() == stored + "="


@pytest.mark.parametrize("password", [b"", b"secret", LONG])
def test_client_ed25519(password: bytes) -> None:
    reply, end = talk("client_ed25519", context(password, NONCE32), b"?")
    assert reply is not None
    public = reference.Ed25519PublicKey.from_public_bytes(ed25519.public_key(password))
    public.verify(reply, NONCE32)
    assert end == b"done"


# parsec


@pytest.mark.parametrize("password", [b"", b"secret", LONG])
@pytest.mark.parametrize("factor", [0, 3])
@pytest.mark.parametrize("library", ["cryptography", "too old", "none"])
def test_parsec(
    password: bytes, factor: int, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = hashlib.pbkdf2_hmac("sha512", password, SALT, 1024 * 2**factor, 32)
    public = reference.Ed25519PrivateKey.from_private_bytes(seed).public_key()
    with monkeypatch.context() as patch:
        if library == "too old":
            patch.setattr(reference.Ed25519PrivateKey, "from_private_bytes", _unsupported)
        elif library == "none":
            patch.setitem(sys.modules, reference.__name__, None)
        packet = b"P" + bytes([factor]) + SALT
        empty, reply, end = talk("parsec", context(password, NONCE32), packet, b"?")
    assert (empty, end) == (b"", b"done")
    assert reply is not None
    assert len(reply) == 96
    public.verify(reply[32:], NONCE32 + reply[:32])


def _unsupported(data: bytes) -> Any:
    raise UnsupportedAlgorithm("Ed25519 is not in this OpenSSL")


def test_parsec_nonces_differ() -> None:
    replies = {
        talk("parsec", context(nonce=NONCE32), b"P\0" + SALT)[1][:32]  # type: ignore[index]
        for _ in range(3)
    }
    assert len(replies) == 3


@pytest.mark.parametrize(
    "packet", [b"", b"P", b"P\0", b"P\0" + SALT[1:], b"P\0" + SALT + b"x", b"Q\0" + SALT]
)
def test_parsec_bad_salt(packet: bytes) -> None:
    refused("salt is not in the form", "parsec", context(nonce=NONCE32), packet)


@pytest.mark.parametrize("factor", [signed.MAX_FACTOR + 1, 20, 127, 128, 255])
def test_parsec_bounds_the_work(factor: int) -> None:
    packet = b"P" + bytes([factor]) + SALT
    refused("parsec_iterations", "parsec", context(nonce=NONCE32), packet)


def test_parsec_does_the_most_it_promises(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def derive(name: str, password: bytes, salt: bytes, iterations: int, size: int) -> bytes:
        asked.append((name, salt, iterations, size))
        return bytes(32)

    monkeypatch.setattr(signed, "pbkdf2_hmac", derive)
    talk("parsec", context(nonce=NONCE32), b"P" + bytes([signed.MAX_FACTOR]) + SALT)
    assert asked == [("sha512", SALT, 1 << 20, 32)]


# A pinned key and TLS with somebody unknown


@pytest.mark.parametrize(
    ("name", "packets"), [("caching_sha2_password", [b"\x04"]), ("sha256_password", [])]
)
def test_a_pinned_key_is_not_passed_over_for_unverified_tls(
    name: str, packets: list[bytes]
) -> None:
    pinned = {"tls": True, "server_public_key": pem()}
    refused("ssl='verify_ca'.*ssl='disabled'", name, context(**pinned), *packets)
    for proof in ("verified", "local"):
        ctx = context(**pinned, **{proof: True})
        assert talk(name, ctx, *packets)[-1] == b"secret\0"


def test_a_pinned_key_does_not_hinder_a_warm_cache_over_tls() -> None:
    ctx = context(tls=True, server_public_key=pem())
    assert talk("caching_sha2_password", ctx, b"\x03")[-1] == b"done"
