"""Which local files may be read, and in what pieces they come."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from pymy.constants import CR, ER
from pymy.err import OperationalError
from pymy.localfiles import PIECE, LocalFiles


def read(policy, name):
    return b"".join(LocalFiles(policy).pieces(os.fsencode(name)))


def refused(policy, name):
    with pytest.raises(OperationalError, match="was not sent") as caught:
        read(policy, name)
    assert caught.value.errno == CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED
    assert str(name) in caught.value.message


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"1,2\n")
    return path


def test_any_file(file):
    assert read(True, file) == b"1,2\n"


@pytest.mark.parametrize("policy", [False, [], ()])
def test_no_file(policy, file):
    refused(policy, file)


def test_a_refusal_opens_nothing(file, monkeypatch):
    monkeypatch.setattr(Path, "open", None)
    refused([file.parent / "other"], file)


def test_folders_and_files(file, tmp_path):
    for allowed in (tmp_path, str(tmp_path), file, str(file), f"{tmp_path}/./x/.."):
        assert read([tmp_path / "other", allowed], file) == b"1,2\n"


def test_a_relative_name(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read(["."], "data.csv") == b"1,2\n"
    refused(["x"], "data.csv")
    refused(["."], "../data.csv")


def test_a_folder_whose_name_begins_alike(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open-not").mkdir()
    (tmp_path / "open-not" / "f").write_bytes(b"secret")
    refused([tmp_path / "open"], tmp_path / "open-not" / "f")


def test_symbolic_links_are_followed_before_the_list_is_asked(file, tmp_path):
    outside = tmp_path / "outside"
    inside = tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "f").write_bytes(b"secret")
    (inside / "link").symlink_to(outside / "f")
    (inside / "folder").symlink_to(outside)
    refused([inside], inside / "link")
    refused([inside], inside / "folder" / "f")
    assert read([outside], inside / "link") == b"secret"


def test_names_of_any_bytes(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\xfe.csv"
    Path(os.fsdecode(name)).write_bytes(b"x")
    assert b"".join(LocalFiles([tmp_path]).pieces(name)) == b"x"


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_files_that_cannot_be_read(name, tmp_path):
    with pytest.raises(OperationalError, match="cannot be read") as caught:
        read(True, tmp_path / name)
    assert caught.value.errno == ER.FILE_NOT_FOUND
    assert isinstance(caught.value.__cause__, OSError)


def test_an_empty_file(tmp_path):
    (tmp_path / "empty").touch()
    assert list(LocalFiles(True).pieces(os.fsencode(tmp_path / "empty"))) == []


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_large_files_come_in_pieces(tmp_path, size):
    path = tmp_path / "large"
    path.write_bytes(os.urandom(size))
    pieces = list(LocalFiles([tmp_path]).pieces(os.fsencode(path)))
    assert b"".join(pieces) == path.read_bytes()
    assert all(0 < len(piece) <= PIECE for piece in pieces)


# -- handlers


def test_a_handler_gets_the_name_in_bytes():
    names = []

    def handler(name):
        names.append(name)
        return [b"x"]

    assert read(handler, "any name") == b"x"
    assert names == [b"any name"]


@pytest.mark.parametrize(
    "source", [b"abc", bytearray(b"abc"), [b"a", b"", bytearray(b"bc")], io.BytesIO(b"abc")]
)
def test_what_a_handler_may_return(source):
    assert read(lambda name: source, "x") == b"abc"


def test_a_handler_that_refuses():
    refused(lambda name: None, "x")


@pytest.mark.parametrize(
    ("source", "named"),
    [("abc", "str"), (["abc"], "str"), ([1], "int"), (1, "int"), (io.StringIO("abc"), "str")],
)
def test_what_a_handler_must_not_return(source, named):
    with pytest.raises(TypeError, match=f"not {named}"):
        read(lambda name: source, "x")


@pytest.mark.parametrize("content", [b"", b"abc"])
def test_a_handlers_file_is_closed(content):
    source = io.BytesIO(content)
    assert read(lambda name: source, "x") == content
    assert source.closed


def test_a_handlers_file_is_closed_when_it_fails():
    source = io.StringIO("abc")
    with pytest.raises(TypeError):
        read(lambda name: source, "x")
    assert source.closed


def test_a_handlers_generator_is_closed_when_the_rest_is_not_wanted():
    ended = []

    def handler(name):
        try:
            yield b"a"
            yield b"b"
        finally:
            ended.append(name)

    pieces = LocalFiles(handler).pieces(b"x")
    assert next(pieces) == b"a"
    pieces.close()
    assert ended == [b"x"]
