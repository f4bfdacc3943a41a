"""LOAD DATA LOCAL: which files a server may have, and what else it tries (P90-P95)."""

from __future__ import annotations

import io
import threading

import pytest
from scripted import (
    Server,
    close,
    do,
    err,
    expect,
    greet,
    hung_up,
    login,
    ok,
    query,
    read_file,
    request_file,
    response,
    send,
    wait,
)
from server_packets import LOCAL_FILES, MORE_RESULTS, PING, err_packet

import pymy
from pymy.constants import CR

CONTENT = b"private bytes\n" * 3


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "data.csv").write_bytes(CONTENT)
    (tmp_path / "secret.csv").write_bytes(CONTENT)
    return tmp_path


def load(path) -> str:
    return f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE t"


def asked_for(path, content=b"", statement=None, answer=None):
    """Answer a statement with a request for ``path`` and see what comes."""
    return (
        greet(), login(), query(statement or load(path)), request_file(str(path).encode()),
        read_file(content), answer or ok(affected=3), expect(PING), ok(),
    )  # fmt: skip


def rejected(conn, statement, match=None):
    """Run a statement that must fail without a file, with the connection usable afterwards."""
    with pytest.raises(pymy.OperationalError, match=match) as caught:
        conn.execute(statement)
    assert caught.value.errno == CR.CR_LOAD_DATA_LOCAL_INFILE_REJECTED
    assert not caught.value.fatal
    conn.ping()


@pytest.mark.parametrize("policy", ["off", "on", "folders", "handler"])
@pytest.mark.parametrize("statement", ["SELECT 1", "LOAD DATA LOCAL INFILE 'other' INTO TABLE t"])
def test_a_file_the_statement_does_not_name(policy, statement, folder):
    calls = []
    choices = {"off": False, "on": True, "folders": [folder], "handler": calls.append}
    path = folder / "open" / "data.csv"
    with Server(*asked_for(path, statement=statement)) as server:
        conn = server.connect(local_infile=choices[policy])
        rejected(conn, statement, str(path))
    assert not calls
    assert CONTENT not in server.heard


def test_a_file_is_not_had_while_switched_off(folder):
    path = folder / "open" / "data.csv"
    with Server(*asked_for(path)) as server:
        conn = server.connect()
        # load_rows() may need it; what a server may have is decided here
        assert server.peers[0].capabilities & LOCAL_FILES
        rejected(conn, load(path), "local_infile=")


def test_a_file_for_the_first_statement(folder):
    """The driver's own SET NAMES names no file either."""
    path = folder / "open" / "data.csv"

    def instead_of_ok(peer):
        peer.read("SET NAMES")
        request_file(bytes(path))(peer)
        read_file(b"")(peer)
        ok()(peer)

    with (
        Server(greet(), response(), ok(), instead_of_ok) as server,
        pytest.raises(pymy.OperationalError, match="does not name"),
    ):
        server.connect(local_infile=True)


def test_a_file_for_a_ping(folder):
    with Server(greet(), login(), expect(PING), request_file(bytes(folder / "secret.csv"))) as s:
        conn = s.connect(local_infile=True)
        with pytest.raises(pymy.ProtocolError):
            conn.ping()
        assert not conn.open


@pytest.mark.parametrize("policy", ["on", "folder", "file"])
def test_the_file_that_was_named(policy, folder):
    path = folder / "open" / "data.csv"
    choices = {"on": True, "folder": [folder / "open"], "file": [str(path)]}
    with Server(*asked_for(path, CONTENT)) as server:
        conn = server.connect(local_infile=choices[policy])
        assert conn.execute(load(path)).rowcount == 3
        conn.ping()


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/../etc/passwd"])
def test_a_file_outside_of_the_list(path, folder):
    with Server(*asked_for(path)) as server:
        conn = server.connect(local_infile=[folder / "open"])
        rejected(conn, load(path), "does not list")


@pytest.mark.parametrize("name", ["../secret.csv", "link.csv", "up/secret.csv", "../open2/x"])
def test_ways_out_of_a_listed_folder(name, folder):
    (folder / "open" / "link.csv").symlink_to(folder / "secret.csv")
    (folder / "open" / "up").symlink_to(folder)
    (folder / "open2").mkdir()
    (folder / "open2" / "x").write_bytes(CONTENT)
    path = f"{folder}/open/{name}"
    with Server(*asked_for(path)) as server:
        conn = server.connect(local_infile=[folder / "open"])
        rejected(conn, load(path), "does not list")


def test_a_listed_folder_may_be_a_link(folder):
    (folder / "alias").symlink_to(folder / "open")
    path = folder / "open" / "data.csv"
    with Server(*asked_for(path, CONTENT)) as server:
        conn = server.connect(local_infile=[folder / "alias"])
        conn.execute(load(path))
        conn.ping()


def test_a_file_that_is_not_there(folder):
    path = folder / "open" / "missing.csv"
    with Server(*asked_for(path)) as server:
        conn = server.connect(local_infile=True)
        with pytest.raises(pymy.OperationalError, match=r"missing\.csv") as caught:
            conn.execute(load(path))
        assert not caught.value.fatal
        conn.ping()


# -- handlers


class Broken(Exception):
    pass


def raises(name):
    raise Broken("no such thing")


def raises_in_the_middle(name):
    yield CONTENT
    raise Broken("no more")


def text_file(name):
    return io.StringIO("text")


@pytest.mark.parametrize(
    ("handler", "sent", "error", "match"),
    [
        (raises, b"", Broken, "no such thing"),
        (raises_in_the_middle, CONTENT, Broken, "no more"),
        (lambda name: None, b"", pymy.OperationalError, "refused"),
        (lambda name: "text", b"", TypeError, "not str"),
        (lambda name: 5, b"", TypeError, "not int"),
        (lambda name: ["text"], b"", TypeError, "not str"),
        (text_file, b"", TypeError, "binary mode"),
    ],
    ids=["raises", "raises later", "None", "str", "int", "list of str", "text file"],
)
@pytest.mark.parametrize("answer", [ok(), err(1146, "no such table", "42S02")], ids=["ok", "err"])
def test_handlers_that_fail(handler, sent, error, match, answer):
    """The server is told of the end of the file; its answer is read, the handler's error raised."""
    with Server(*asked_for("x", sent, answer=answer)) as server:
        conn = server.connect(local_infile=handler)
        with pytest.raises(error, match=match):
            conn.execute(load("x"))
        assert conn.open
        conn.ping()


@pytest.mark.parametrize(
    ("handler", "sent"),
    [
        (lambda name: io.BytesIO(CONTENT), CONTENT),
        (lambda name: [CONTENT, b"", bytearray(CONTENT)], CONTENT * 2),
        (lambda name: CONTENT, CONTENT),
        (lambda name: [], b""),
        (lambda name: b"", b""),
        (lambda name: io.BytesIO(b""), b""),
        (lambda name: [name], b"x"),
        (lambda name: [bytes(3 << 20)], bytes(3 << 20)),
    ],
    ids=["file", "pieces", "bytes", "nothing", "no bytes", "empty file", "name", "3 MiB"],
)
def test_handlers(handler, sent):
    with Server(*asked_for("x", sent)) as server:
        conn = server.connect(local_infile=handler)
        assert conn.execute(load("x")).rowcount == 3
        conn.ping()


def test_a_handlers_file_is_closed():
    files = []

    def handler(name):
        files.append(io.BytesIO(CONTENT))
        return files[0]

    with Server(*asked_for("x", CONTENT)) as server:
        conn = server.connect(local_infile=handler)
        conn.execute(load("x"))
        conn.ping()
    assert files[0].closed


@pytest.mark.only("blocking,nonblocking", "it would end the event loop")
def test_keyboard_interrupt_in_a_handler_closes():
    def handler(name):
        raise KeyboardInterrupt

    with Server(greet(), login(), query(load("x")), request_file(b"x"), hung_up()) as server:
        conn = server.connect(local_infile=handler)
        with pytest.raises(KeyboardInterrupt):
            conn.execute(load("x"))
        assert not conn.open


def test_the_servers_error_is_raised():
    answer = err(1146, "Table 't' doesn't exist", "42S02")
    with Server(*asked_for("x", CONTENT, answer=answer)) as server:
        conn = server.connect(local_infile=lambda name: [CONTENT])
        with pytest.raises(pymy.ProgrammingError, match="doesn't exist"):
            conn.execute(load("x"))
        conn.ping()


def test_an_error_and_the_end_while_the_file_is_sent():
    """The server's reason counts, not the broken pipe (P20, P94)."""
    gone = threading.Event()

    def handler(name):
        yield CONTENT
        assert gone.wait(5)
        for _ in range(50):
            yield bytes(1 << 20)

    with Server(
        greet(), login(), query(load("x")), request_file(b"x"),
        send(err_packet(1053, "Server shutdown in progress", "08S01")), close(), do(gone.set),
    ) as server:  # fmt: skip
        conn = server.connect(local_infile=handler)
        with pytest.raises(pymy.OperationalError, match="shutdown in progress") as caught:
            conn.execute(load("x"))
        assert caught.value.fatal
        assert not conn.open


def test_two_files_of_one_text():
    two = f"{load('a')}; {load('b')}"
    with Server(
        greet(), login(), query(two),
        request_file(b"a"), read_file(b"a"), ok(status=MORE_RESULTS, affected=1),
        request_file(b"b"), read_file(b"b"), ok(affected=2),
    ) as server:  # fmt: skip
        conn = server.connect(local_infile=lambda name: [name], multi_statements=True)
        cursor = conn.execute(two)
        assert cursor.rowcount == 1
        assert cursor.nextset()
        assert cursor.rowcount == 2
        assert not cursor.nextset()


def test_a_nonsense_answer_behind_a_file():
    with Server(
        greet(), login(), query(load("x")), request_file(b"x"), read_file(b"x"),
        send(b"\x03abc"), wait(done := threading.Event()),
    ) as server:  # fmt: skip
        conn = server.connect(local_infile=lambda name: [name])
        with pytest.raises(pymy.ProtocolError):
            conn.execute(load("x"))
        assert not conn.open
        done.set()
