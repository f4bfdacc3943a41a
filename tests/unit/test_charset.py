from __future__ import annotations

import codecs

import pytest

from pymy.charset import (
    Charset,
    Charsets,
    charset_by_id,
    charset_by_name,
    charset_names,
    collation_by_name,
    is_collation_name,
)


def test_defaults_of_charsets():
    assert charset_by_name("utf8mb4").id == 45
    assert charset_by_name("utf8") is charset_by_name("UTF8MB4")
    assert charset_by_name("utf8mb3").id == 33
    assert charset_by_name("latin1").collation == "latin1_swedish_ci"
    assert charset_by_name("binary").id == 63
    assert charset_by_name("binary").collation == "binary"
    assert charset_by_name("gb18030").id == 248
    assert charset_by_name("nothing") is None
    assert len(charset_names()) == 41


@pytest.mark.parametrize(
    ("id", "name", "collation"),
    [
        (8, "latin1", "latin1_swedish_ci"),
        (255, "utf8mb4", "utf8mb4_0900_ai_ci"),
        (323, "utf8mb4", "utf8mb4_mn_cyrl_0900_as_cs"),
        (1070, "utf8mb4", "utf8mb4_nopad_bin"),
        (2048, "utf8mb3", "utf8mb3_uca1400_ai_ci"),
        (2304, "utf8mb4", "utf8mb4_uca1400_ai_ci"),
        (3271, "utf32", "utf32_uca1400_croatian_nopad_as_cs"),
    ],
)
def test_ids_of_both_servers(id, name, collation):
    charset = charset_by_id(id)
    assert (charset.id, charset.name, charset.collation) == (id, name, collation)
    assert collation_by_name(collation.upper()) is charset


def test_unknown_ids():
    with pytest.raises(KeyError):
        charset_by_id(60000)


def test_names_that_the_servers_number_differently():
    assert collation_by_name("utf8mb4_croatian_ci").id == 245
    assert collation_by_name("utf8mb4_croatian_ci", mariadb=True).id == 608
    assert collation_by_name("utf8mb4_croatian_mysql561_ci", mariadb=True).id == 245
    assert collation_by_name("utf8mb4_nothing_ci") is None


@pytest.mark.parametrize("name", charset_names())
def test_every_charset_has_a_codec_and_says_whether_it_may_carry_statements(name):
    charset = charset_by_name(name)
    assert codecs.lookup(charset.encoding)
    assert "select 'a'".encode(charset.encoding)
    carries = "select".encode(charset.encoding) == b"select"
    if charset.for_clients:
        assert carries
    assert charset.is_binary is (name == "binary")


@pytest.mark.parametrize(
    ("name", "text", "data"),
    [
        ("latin1", "€", b"\x80"),
        ("koi8r", "ж", b"\xd6"),
        ("cp1251", "ж", b"\xe6"),
        ("gbk", "中", b"\xd6\xd0"),
        ("big5", "中", b"\xa4\xa4"),
        ("sjis", "日", b"\x93\xfa"),
        ("ujis", "日", b"\xc6\xfc"),
        ("euckr", "한", b"\xc7\xd1"),
        ("gb18030", "😀", b"\x94\x39\xfc\x36"),
        ("tis620", "ก", b"\xa1"),
        ("hebrew", "א", b"\xe0"),
        ("greek", "λ", b"\xeb"),
        ("latin7", "ž", b"\xfe"),
        ("utf16le", "a", b"a\0"),
        ("ucs2", "a", b"\0a"),
    ],
)
def test_codecs(name, text, data):
    assert text.encode(charset_by_name(name).encoding) == data


@pytest.mark.parametrize("name", ["ucs2", "utf16", "utf16le", "utf32", "dec8", "swe7"])
def test_charsets_that_cannot_carry_statements(name):
    assert not charset_by_name(name).for_clients


def test_charset_objects_compare_and_print_as_in_pymysql():
    assert (
        repr(charset_by_id(33)) == "Charset(id=33, name='utf8mb3', collation='utf8mb3_general_ci')"
    )
    assert Charset(33, "utf8mb3", "utf8mb3_general_ci") == charset_by_id(33)
    assert len({Charset(33, "utf8mb3", "utf8mb3_general_ci"), charset_by_id(33)}) == 1
    assert charset_by_id(33) != 33


def test_a_table_of_ones_own():
    table = Charsets()
    table.add(Charset(900, "mine", "mine_ci", True))
    assert table.by_name("MINE").id == table.by_id(900).id == 900


def test_the_table_has_all_of_pymysql():
    peer = pytest.importorskip("pymysql.charset", reason="PyMySQL is not installed")
    for id, theirs in peer._charsets._by_id.items():
        ours = charset_by_id(id)
        assert (ours.name, ours.collation, ours.is_default) == (
            theirs.name,
            theirs.collation,
            bool(theirs.is_default),
        )


@pytest.mark.parametrize(
    ("name", "good"), [("utf8mb4_bin", True), ("a b", False), ("x'--", False), ("", False)]
)
def test_collation_names_that_are_safe_in_sql(name, good):
    assert is_collation_name(name) is good
