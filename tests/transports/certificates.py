"""Certificates for the scripted server, made once per process."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import tempfile
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(subject, public, issuer, signer, *, authority=False, names=()):
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(subject))
        .issuer_name(_named(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        # Python 3.13's default contexts insist on both
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if authority:
        builder = builder.add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False),
            critical=True,
        )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
    return builder.sign(signer, SHA256())


@cache
def _authority():
    key = _key()
    return key, _certificate("authority", key.public_key(), "authority", key, authority=True)


@cache
def authority() -> str:
    """The PEM text of the authority that signs the servers."""
    return _authority()[1].public_bytes(Encoding.PEM).decode()


@cache
def stranger() -> str:
    """The PEM text of an authority that signs nobody."""
    key = _key()
    made = _certificate("stranger", key.public_key(), "stranger", key, authority=True)
    return made.public_bytes(Encoding.PEM).decode()


@cache
def tls(*hosts: str) -> ssl.SSLContext:
    """A server's context whose certificate is made out for ``hosts``, default 127.0.0.1."""
    names = [_subject(host) for host in hosts or ("127.0.0.1",)]
    key = _key()
    made = _certificate("server", key.public_key(), "authority", _authority()[0], names=names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.pem"
        path.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + made.public_bytes(Encoding.PEM)
        )
        context.load_cert_chain(path)
    return context


def _subject(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
