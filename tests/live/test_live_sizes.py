"""Values around the 16 MiB packet boundary, and beyond it, in both directions."""

from __future__ import annotations

import pytest

import pymy
from pymy.constants import CR, ER
from pymy.cursors import SSCursor

PACKET = 0xFFFFFF
MIB = 1 << 20


@pytest.fixture
def big(connect, set_global):
    set_global("max_allowed_packet", 1 << 30)
    return connect(max_allowed_packet=1 << 30)


@pytest.mark.parametrize("size", [0, 1, 250, 251, 65535, 65536])
def test_small_values(conn, size):
    assert conn.execute("select %s", ("x" * size,)).fetchone() == ("x" * size,)
    assert conn.execute("select %s", (b"\xff" * size,)).fetchone() == (b"\xff" * size,)


@pytest.mark.parametrize("offset", [-2, -1, 0, 1, 2])
def test_command_around_the_packet_boundary(big, offset):
    head = "select length('"
    # one byte of command, and MySQL's two of query attributes
    size = PACKET + offset - 1 - len(head) - 2 - (0 if big.is_mariadb else 2)
    assert big.execute(f"{head}{'x' * size}')").fetchone() == (size,)
    assert big.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("offset", [-5, -4, -3, -1, 0, 1])
@pytest.mark.parametrize("kind_of_cursor", ["buffered", "unbuffered"])
def test_row_around_the_packet_boundary(big, offset, kind_of_cursor):
    # a row is its value behind four bytes of length, up to 16 MiB - 1
    size = PACKET + offset
    with big.cursor(SSCursor if kind_of_cursor == "unbuffered" else None) as cursor:
        cursor.execute(
            f"select repeat('y', if(n = 7, {size}, 1)), n from (select 7 as n union select 8) x"
        )
        first, second = cursor.fetchone(), cursor.fetchone()
        assert cursor.fetchone() is None
    assert first[0] == "y" * size
    assert (first[1], second) == (7, ("y", 8))


def test_forty_mebibytes_there_and_back(big):
    # not InnoDB, whose log would have to hold it all in MySQL 5.6
    big.query("create table t (id int, b longblob) engine=myisam")
    value = bytes(range(256)) * (40 * MIB // 256)
    big.execute("insert into t values (1, %s)", (value,))
    assert big.execute("select length(b), b from t").fetchone() == (len(value), value)


def test_two_packets_exactly(big):
    # a row of two full packets ends with an empty third one
    size = 2 * PACKET - 9
    (value,) = big.execute(f"select repeat('x', {size})").fetchone()
    assert len(value) == size
    assert big.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("compress", ["zlib", "zstd"])
def test_large_values_compressed(connect, set_global, needs, compress):
    if compress == "zstd":
        needs("zstd")
    set_global("max_allowed_packet", 1 << 30)
    conn = connect(compress=compress, max_allowed_packet=1 << 30)
    value = "0123456789abcdef" * (17 * MIB // 16)
    assert conn.execute("select %s", (value,)).fetchone() == (value,)


def test_many_rows(conn):
    conn.query("create table d (n int)")
    conn.cursor().executemany("insert into d values (%s)", [(n,) for n in range(10)])
    rows = conn.execute(
        "select a.n + 10 * b.n + 100 * c.n + 1000 * d.n as v from d a, d b, d c, d order by v"
    ).fetchall()
    assert rows == tuple((n,) for n in range(10_000))


def test_command_above_the_clients_limit(connect):
    conn = connect(max_allowed_packet=MIB)
    with pytest.raises(pymy.Error, match="max_allowed_packet") as caught:
        conn.execute("select length(%s)", ("x" * MIB,))
    assert caught.value.errno == CR.CR_NET_PACKET_TOO_LARGE
    assert caught.value.sent is False
    assert not caught.value.fatal
    assert conn.execute("select 1").fetchone() == (1,)


def test_command_above_the_servers_limit(connect, set_global):
    set_global("max_allowed_packet", MIB)
    conn = connect(max_allowed_packet=1 << 30)
    with pytest.raises(pymy.OperationalError) as caught:
        conn.execute("select length(%s)", ("x" * (20 * MIB),))
    assert caught.value.errno == CR.CR_NET_PACKET_TOO_LARGE
    assert not (caught.value.fatal or caught.value.sent)
    assert conn.execute("select 1").fetchone() == (1,)


def test_value_above_the_servers_limit_is_null(connect, set_global):
    set_global("max_allowed_packet", MIB)
    conn = connect()
    cursor = conn.execute(f"select repeat('x', {MIB + 1})")
    assert cursor.fetchone() == (None,)
    assert cursor.warning_count == 1
    assert conn.show_warnings()[0][1] == ER.WARN_ALLOWED_PACKET_OVERFLOWED


def test_wide_row(conn):
    values = list(range(1000))
    row = conn.execute(f"select {','.join(map(str, values))}").fetchone()
    assert row == tuple(values)
