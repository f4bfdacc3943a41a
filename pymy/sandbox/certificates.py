"""Certificates for one server: an authority, the server's and a client's, valid for two days."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from .errors import SandboxError


@dataclass(frozen=True, slots=True)
class Certificates:
    ca: Path
    server_cert: Path
    server_key: Path
    client_cert: Path
    client_key: Path


def certificate_paths(folder: Path) -> Certificates:
    names = ("ca.pem", "server-cert.pem", "server-key.pem", "client-cert.pem", "client-key.pem")
    return Certificates(*(folder / name for name in names))


def make_certificates(paths: Certificates) -> None:
    """Write the PEM files; the server's names are localhost, 127.0.0.1 and ::1."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError:
        raise SandboxError(
            "a server with TLS needs the package cryptography: "
            "`pip install cryptography`, or Server(..., tls=False)"
        ) from None

    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pymy sandbox authority")])

    def certificate(
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *extensions: tuple[x509.ExtensionType, bool],
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=3))
        )
        ca_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        for extension, critical in (
            *extensions,
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (ca_identifier, False),
        ):
            builder = builder.add_extension(extension, critical)
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def usage(*, authority: bool) -> x509.KeyUsage:
        # Python 3.13's default context sets VERIFY_X509_STRICT, which wants these bits.
        return x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=authority,
            crl_sign=authority,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )

    paths.ca.write_bytes(
        certificate(
            ca_name,
            ca_key,
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (usage(authority=True), True),
        )
    )
    addresses = [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
    server_names = x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses])
    server_usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    client_usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    leaf = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage(authority=False), True),
    )
    for common_name, cert_path, key_path, extensions in (
        (
            "localhost",
            paths.server_cert,
            paths.server_key,
            [(server_names, False), (server_usage, False)],
        ),
        ("pymy client", paths.client_cert, paths.client_key, [(client_usage, False)]),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        cert_path.write_bytes(certificate(name, key, *leaf, *extensions))
        key_path.touch(0o600)
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
