"""TLS by mode, with good and bad certificates, with and without compression."""

from __future__ import annotations

import ssl

import pytest

import pymy
from pymy.constants import CR
from pymy.options import SSLMode

CIPHER = "show session status like 'Ssl_cipher'"


@pytest.fixture
def tls(server, needs, connect, tcp_dsn):
    """Connect over TCP; skips where the server has no TLS or its certificates are unknown."""
    needs("tls")
    if server.ca is None:
        pytest.skip("the given server's certificates are not at hand")
    return lambda **options: connect(tcp_dsn, **options)


def encrypted(conn):
    on = bool(conn.execute(CIPHER).fetchone()[1])
    assert conn.ssl is on
    return on


@pytest.fixture
def other_ca(tmp_path):
    from pymy.sandbox.certificates import certificate_paths, make_certificates

    made = certificate_paths(tmp_path)
    make_certificates(made)
    return made


def test_preferred_is_the_default_over_tcp(tls):
    assert encrypted(tls())


def test_disabled(tls):
    assert not encrypted(tls(ssl_mode=SSLMode.DISABLED))
    assert not encrypted(tls(ssl_disabled=True))


@pytest.mark.parametrize("mode", ["preferred", "required"])
def test_not_verified(tls, mode):
    assert encrypted(tls(ssl=mode))


@pytest.mark.parametrize("mode", ["verify_ca", "verify_identity"])
def test_verified(tls, server, mode):
    assert encrypted(tls(ssl=mode, ssl_ca=server.ca))


@pytest.mark.parametrize("mode", ["verify_ca", "verify_identity"])
def test_wrong_authority(tls, other_ca, mode):
    with pytest.raises(pymy.OperationalError, match=r"(?i)certificate") as caught:
        tls(ssl=mode, ssl_ca=str(other_ca.ca))
    assert caught.value.errno == CR.CR_SSL_CONNECTION_ERROR
    assert caught.value.fatal


def test_wrong_name(tls, server):
    with pytest.raises(pymy.OperationalError, match=r"(?i)hostname|match") as caught:
        tls(ssl="verify_identity", ssl_ca=server.ca, ssl_server_hostname="db.example")
    assert caught.value.errno == CR.CR_SSL_CONNECTION_ERROR
    # verify_ca does not look at the name
    assert encrypted(tls(ssl="verify_ca", ssl_ca=server.ca, ssl_server_hostname="db.example"))


def test_right_name_by_hand(tls, server):
    assert encrypted(tls(ssl="verify_identity", ssl_ca=server.ca, ssl_server_hostname="localhost"))


def test_pymysql_keywords(tls, server):
    assert encrypted(tls(ssl={"ca": server.ca}))
    assert encrypted(tls(ssl_ca=server.ca, ssl_verify_cert=True, ssl_verify_identity=True))
    assert encrypted(tls(ssl_ca=server.ca))


def test_context(tls, server):
    context = ssl.create_default_context(cafile=server.ca)
    assert encrypted(tls(ssl=context))
    assert encrypted(tls(ssl_context=context))


def test_context_that_trusts_nobody(tls):
    with pytest.raises(pymy.OperationalError) as caught:
        tls(ssl=ssl.create_default_context())
    assert caught.value.errno == CR.CR_SSL_CONNECTION_ERROR


def test_over_a_unix_socket(connect, server, needs):
    needs("tls")
    if not server.unix_socket:
        pytest.skip("the given server has no unix socket")
    assert not encrypted(connect())
    assert encrypted(connect(ssl="required"))


def test_client_certificate(tls, server, account, db):
    user = account("BY 'x'", options="REQUIRE X509")
    with pytest.raises(pymy.OperationalError) as caught:
        tls(user=user, password="x")
    assert caught.value.errno == 1045
    conn = tls(
        user=user,
        password="x",
        ssl_ca=server.ca,
        ssl_cert=server.client_cert,
        ssl_key=server.client_key,
    )
    assert encrypted(conn)


def test_account_that_requires_tls(tls, account):
    user = account("BY 'x'", options="REQUIRE SSL")
    with pytest.raises(pymy.OperationalError) as caught:
        tls(user=user, password="x", ssl_disabled=True)
    assert caught.value.errno in (1045, CR.CR_AUTH_PLUGIN_ERR, CR.CR_AUTH_PLUGIN_CANNOT_LOAD, 2061)
    assert encrypted(tls(user=user, password="x"))


@pytest.mark.parametrize("mode", ["required", "verify_ca", "verify_identity"])
def test_server_without_tls(extra_server, connect, mode):
    other = extra_server(tls=False)
    with pytest.raises(pymy.OperationalError, match="offers no TLS") as caught:
        connect(other.tcp_dsn, ssl=mode)
    assert caught.value.errno == CR.CR_SSL_CONNECTION_ERROR
    assert not connect(other.tcp_dsn, ssl="preferred").ssl
    assert not connect(other.tcp_dsn).ssl


@pytest.mark.parametrize("encryption", ["disabled", "required"])
@pytest.mark.parametrize("compress", [None, "zlib", "zstd"])
def test_with_compression(connect, tcp_dsn, needs, compress, encryption):
    if encryption == "required":
        needs("tls")
    if compress == "zstd":
        needs("zstd")
    conn = connect(tcp_dsn, ssl=encryption, compress=compress)
    assert conn.compression == compress
    on = conn.execute("show session status like 'Compression'").fetchone()[1]
    assert on == ("ON" if compress else "OFF")
    text = "compressible " * 50_000
    assert conn.execute("select %s, 1", (text,)).fetchone() == (text, 1)
    assert conn.execute("select 1").fetchone() == (1,)
    conn.query("create table t (a varchar(200))")
    rows = [(f"row {n} " * 10,) for n in range(3000)]
    conn.cursor().executemany("insert into t values (%s)", rows)
    assert list(conn.stream("select a from t")) == rows
    assert encrypted(conn) is (encryption == "required")
    conn.reset()
    assert conn.execute("select 2").fetchone() == (2,)


def test_compression_that_the_server_lacks(connect, kind):
    if kind == "mysql":
        pytest.skip("MySQL has every compression that pymy has")
    conn = connect(compress="zstd")
    assert conn.compression is None
    assert conn.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("level", [1, 9])
def test_compression_level(connect, level):
    assert connect(compress="zlib", compress_level=level).execute("select 1").fetchone() == (1,)
