from __future__ import annotations

import datetime
import os
import ssl
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pymy.err import OperationalError
from pymy.options import Options, SSLMode
from pymy.tls import build_context

PEM = serialization.Encoding.PEM


def name_of(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certificate(common_name, key, issuer_name, issuer_key, *, ca=False, hosts=()):
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of(common_name))
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def private_pem(key, password=None):
    cipher = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, cipher)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    made = SimpleNamespace(folder=folder)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = certificate("ca", ca_key, name_of("ca"), ca_key, ca=True)
    other_key = ec.generate_private_key(ec.SECP256R1())
    other = certificate("other", other_key, name_of("other"), other_key, ca=True)
    server_key = ec.generate_private_key(ec.SECP256R1())
    server = certificate("server", server_key, ca.subject, ca_key, hosts=["db.example"])
    nameless = certificate("db.example", server_key, ca.subject, ca_key)
    files = {
        "ca": ca.public_bytes(PEM),
        "other": other.public_bytes(PEM),
        "server": server.public_bytes(PEM),
        "nameless": nameless.public_bytes(PEM),
        "server_key": private_pem(server_key),
        "locked_key": private_pem(server_key, b"open sesame"),
        "foreign_key": private_pem(other_key),
    }
    for name, data in files.items():
        path = folder / f"{name}.pem"
        path.write_bytes(data)
        setattr(made, name, str(path))
    made.ca_pem = files["ca"].decode()
    made.ca_der = ca.public_bytes(serialization.Encoding.DER)
    return made


def handshake(client, pki, hostname, *, demand_certificate=False):
    """Run a TLS handshake in memory and return the client's side."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pki.server, pki.server_key)
    if demand_certificate:
        server.verify_mode = ssl.CERT_REQUIRED
        server.load_verify_locations(pki.ca)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname=hostname),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(10):
        waiting = 0
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                waiting += 1
        if not waiting:
            return sides[0], sides[1]
    raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("mode", [SSLMode.PREFERRED, SSLMode.REQUIRED])
def test_modes_that_only_encrypt_accept_any_certificate(pki, mode):
    client, _ = handshake(build_context(Options(ssl_mode=mode)), pki, "wrong.example")
    assert client.cipher()


def test_verify_ca_checks_where_the_certificate_comes_from(pki):
    good = build_context(Options(ssl_mode=SSLMode.VERIFY_CA, ssl_ca=pki.ca))
    assert handshake(good, pki, "wrong.example")[0].getpeercert()["subject"]
    bad = build_context(Options(ssl_mode=SSLMode.VERIFY_CA, ssl_ca=pki.other))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(bad, pki, "db.example")


def test_verify_identity_checks_the_host_too(pki):
    context = build_context(Options(ssl_mode=SSLMode.VERIFY_IDENTITY, ssl_ca=pki.ca))
    assert handshake(context, pki, "db.example")[0].cipher()
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname"):
        handshake(context, pki, "wrong.example")


def test_verify_identity_takes_no_common_name_for_the_host(pki):
    nameless = SimpleNamespace(server=pki.nameless, server_key=pki.server_key)
    identity = build_context(Options(ssl_mode=SSLMode.VERIFY_IDENTITY, ssl_ca=pki.ca))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"[Hh]ostname"):
        handshake(identity, nameless, "db.example")
    authority = build_context(Options(ssl_mode=SSLMode.VERIFY_CA, ssl_ca=pki.ca))
    assert handshake(authority, nameless, "db.example")[0].cipher()


def test_without_an_authority_the_systems_count(pki):
    context = build_context(Options(ssl_mode=SSLMode.VERIFY_CA))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(context, pki, "db.example")


def test_the_authority_may_be_a_path_pem_or_der(pki):
    from pathlib import Path

    for authority in (pki.ca, Path(pki.ca), pki.ca_pem, pki.ca_pem.encode(), pki.ca_der):
        context = build_context(Options(ssl_mode=SSLMode.VERIFY_CA, ssl_ca=authority))
        assert len(context.get_ca_certs()) == 1
        assert handshake(context, pki, "db.example")[0].cipher()


def test_client_certificate(pki):
    plain = Options(ssl_mode=SSLMode.REQUIRED)
    own = plain.replace(ssl_cert=pki.server, ssl_key=pki.server_key)
    _, server = handshake(build_context(own), pki, None, demand_certificate=True)
    assert server.getpeercert()["subject"] == ((("commonName", "server"),),)
    with pytest.raises(ssl.SSLError):
        handshake(build_context(plain), pki, None, demand_certificate=True)


@pytest.mark.parametrize("password", ["open sesame", b"open sesame"])
def test_locked_key(pki, password):
    options = Options(ssl_cert=pki.server, ssl_key=pki.locked_key, ssl_key_password=password)
    _, server = handshake(build_context(options), pki, None, demand_certificate=True)
    assert server.getpeercert()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"ssl_ca": "missing.pem", "ssl_mode": SSLMode.VERIFY_CA},
            "ssl_ca: missing.pem cannot be read",
        ),
        ({"ssl_ca": "missing.pem"}, "ssl_ca: missing.pem"),
        ({"ssl_capath": "missing"}, "ssl_capath: missing"),
        ({"ssl_cert": "missing.pem"}, "ssl_cert: missing.pem"),
        ({"ssl_cert": "server", "ssl_key": "missing.pem"}, "ssl_key: missing.pem"),
        (
            {"ssl_cert": "server", "ssl_key": "foreign_key"},
            "ssl_cert and ssl_key: .*belong together",
        ),
        ({"ssl_cert": "server", "ssl_key": "locked_key"}, "ssl_key_password when"),
        ({"ssl_ca": "server_key", "ssl_mode": SSLMode.VERIFY_CA}, "ssl_ca: .*give PEM text"),
        ({"ssl_ca": b"not DER", "ssl_mode": SSLMode.VERIFY_CA}, "ssl_ca: .*give PEM text"),
        ({"ssl_ca": "-----BEGIN x", "ssl_mode": SSLMode.VERIFY_CA}, "ssl_ca: .*give PEM text"),
        ({"ssl_cipher": "no such cipher"}, "ssl_cipher: .*openssl ciphers"),
    ],
    ids=str,
)
def test_errors_name_the_option(pki, settings, message):
    options = Options(
        **{
            name: getattr(pki, value, value) if isinstance(value, str) else value
            for name, value in settings.items()
        }
    )
    with pytest.raises(OperationalError, match=message) as caught:
        build_context(options)
    assert caught.value.code == "CR_SSL_CONNECTION_ERROR"
    assert caught.value.sent is False


def test_wrong_key_password_is_not_shown(pki):
    options = Options(ssl_cert=pki.server, ssl_key=pki.locked_key, ssl_key_password="s3cret")
    with pytest.raises(OperationalError) as caught:
        build_context(options)
    assert "s3cret" not in str(caught.value)


def test_contexts_are_shared_until_a_setting_or_file_changes(pki, tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text(pki.ca_pem)
    options = Options(ssl_mode=SSLMode.VERIFY_CA, ssl_ca=str(path), host="a")
    first = build_context(options)
    assert build_context(options.replace(host="b")) is first
    assert build_context(options.replace(ssl_mode=SSLMode.VERIFY_IDENTITY)) is not first
    os.utime(path, ns=(1, 1))
    assert build_context(options) is not first


def test_the_cache_has_an_end(pki, tmp_path):
    from pymy import tls

    path = tmp_path / "ca.pem"
    path.write_text(pki.ca_pem)
    for stamp in range(2 * tls._CACHE_SIZE):
        os.utime(path, ns=(stamp, stamp))
        build_context(Options(ssl_mode=SSLMode.VERIFY_CA, ssl_ca=str(path)))
    assert len(tls._cache) == tls._CACHE_SIZE


def test_ciphers_are_set():
    context = build_context(Options(ssl_cipher="ECDHE-RSA-AES256-GCM-SHA384"))
    old = {c["name"] for c in context.get_ciphers() if c["protocol"] != "TLSv1.3"}
    assert old == {"ECDHE-RSA-AES256-GCM-SHA384"}


def test_a_context_of_ones_own_is_used_as_it_is():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert build_context(Options.from_keywords(ssl=context)) is context
