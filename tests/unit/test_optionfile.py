from __future__ import annotations

import configparser
import io
import os

import pytest

from pymy.err import OperationalError, ProgrammingError
from pymy.optionfile import Parser, parse_lines, read_options


def values(text: str) -> dict[str, str | None]:
    return {option: value for _, option, value in parse_lines(["[client]", *text.splitlines()])}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("user = someone ", {"user": "someone"}),
        ("Connect_Timeout=5", {"connect-timeout": "5"}),
        ("loose-compress", {"compress": None}),
        ("loose_compress=1", {"compress": "1"}),
        ("password=", {"password": ""}),
        ("password='two words'", {"password": "two words"}),
        ('password="it\'s"', {"password": "it's"}),
        ("password='a#b' # why", {"password": "a#b"}),
        ("password=a#b", {"password": "a"}),
        ("password=a=b", {"password": "a=b"}),
        (r"password=a\sb\tc\\d\ne", {"password": "a b\tc\\d\ne"}),
        (r"password='a\'#b'", {"password": "a'#b"}),
        (r"socket=C:\my\data", {"socket": "C:\\my\\data"}),
        ("password='", {"password": "'"}),
        ("password='x\"", {"password": "'x\""}),
        ("# password=x", {}),
        ("; password=x", {}),
        ("", {}),
        ("port=1\nport=2", {"port": "2"}),
    ],
)
def test_lines(line, expected):
    assert values(line) == expected


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["user=s3cret"], "line 1: an option stands before"),
        (["", "[client"], "line 2: a section"),
        (["!nothing s3cret"], "include and includedir"),
        (["!includedir /no/such/folder"], "not a folder"),
    ],
)
def test_bad_lines_name_the_place_and_not_the_text(lines, message):
    with pytest.raises(ProgrammingError) as caught:
        list(parse_lines(lines, "my.cnf"))
    assert message in caught.value.message
    assert "my.cnf" in caught.value.message
    assert "s3cret" not in caught.value.message


def test_groups_are_merged_in_the_order_asked(tmp_path):
    path = tmp_path / "my.cnf"
    path.write_text("[b]\nx=2\n[a]\nx=1\ny=1\n[b]\nz=3\n")
    assert read_options(path, ["a", "b"]) == {"x": "2", "y": "1", "z": "3"}
    assert read_options(path, ["b", "a"]) == {"x": "1", "y": "1", "z": "3"}
    assert read_options(path, ["nobody"]) == {}


def test_includes(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "20.cnf").write_text("[client]\nx=20\n")
    (tmp_path / "conf.d" / "10.cnf").write_text("[client]\nx=10\ny=10\n")
    (tmp_path / "conf.d" / "notes.txt").write_text("not an option file")
    (tmp_path / "one.cnf").write_text("[client]\nz=one\n")
    main = tmp_path / "my.cnf"
    main.write_text(f"[client]\nx=1\n!include one.cnf\n!includedir {tmp_path}/conf.d\nw=after\n")
    assert read_options(main, ["client"]) == {"x": "20", "y": "10", "z": "one", "w": "after"}


def test_files_that_include_each_other_end(tmp_path):
    (tmp_path / "a.cnf").write_text("!include b.cnf\n")
    (tmp_path / "b.cnf").write_text("!include a.cnf\n")
    with pytest.raises(ProgrammingError, match="include each other"):
        read_options(tmp_path / "a.cnf", ["client"])


def test_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".my.cnf").write_text("[client]\nuser=homer\n")
    assert read_options("~/.my.cnf", ["client"]) == {"user": "homer"}


def test_missing_and_unreadable_files(tmp_path):
    assert read_options(tmp_path / "none.cnf", ["client"]) == {}
    with pytest.raises(OperationalError, match="cannot be read") as caught:
        read_options(tmp_path, ["client"])
    assert str(tmp_path) in caught.value.message
    assert caught.value.sent is False


def test_bytes_that_are_not_utf8_survive(tmp_path):
    path = tmp_path / "my.cnf"
    path.write_bytes(b"\xef\xbb\xbf[client]\npassword=caf\xe9\n")
    password = read_options(path, ["client"])["password"]
    assert os.fsencode(password) == b"caf\xe9"


def test_parser_of_pymysql(tmp_path):
    parser = Parser()
    parser.read_file(
        io.StringIO(
            '[default]\nstring = foo\nquoted = "bar"\n'
            "single_quoted = 'foobar'\nskip-slave-start\n"
        )
    )
    assert parser.get("default", "string") == "foo"
    assert parser.get("default", "quoted") == "bar"
    assert parser.get("default", "single-quoted") == "foobar"
    assert parser.get("default", "single_quoted") == "foobar"
    assert parser.get("default", "skip-slave-start") is None
    assert parser.has_option("default", "Quoted")
    assert parser.sections() == ["default"]
    with pytest.raises(configparser.NoOptionError):
        parser.get("default", "nothing")
    with pytest.raises(configparser.NoSectionError):
        parser.get("nothing", "string")


def test_parser_reads_files_with_includes(tmp_path):
    (tmp_path / "more.cnf").write_text("[client]\nport=2\n")
    path = tmp_path / "my.cnf"
    path.write_text("[client]\nport=1\nport=3\n!include more.cnf\n")
    parser = Parser()
    assert parser.read([path, tmp_path / "none.cnf"]) == [str(path)]
    assert parser.get("client", "port") == "2"
    again = Parser()
    assert again.read(str(path)) == [str(path)]
    again.read_string("[client]\nport=9\n")
    assert again.get("client", "port") == "9"
