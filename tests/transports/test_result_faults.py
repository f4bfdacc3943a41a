"""Results that lie: about lengths, counts, numbers, and whether more of them follow (P5-P11)."""

from __future__ import annotations

import threading

import pytest
from scripted import (
    LIMIT,
    Server,
    close,
    do,
    dribble,
    end,
    err,
    expect,
    greet,
    head,
    hung_up,
    listen_to_the_end,
    login,
    ok,
    query,
    row,
    rows,
    send,
    send_raw,
    silence,
    wait,
)
from server_packets import (
    AUTOCOMMIT,
    DEPRECATE_EOF,
    LONG_PASSWORD,
    MARIADB,
    MORE_RESULTS,
    OFFERS,
    PING,
    PROGRESS,
    column,
    err_packet,
    framed,
    lenenc,
    number,
    ok_packet,
    text,
)

import pymy
from pymy import cursors
from pymy.constants import CR

SQL = "select"
TWO = [number("a"), column("b")]


def asked(*steps):
    return (greet(), login(), query(SQL), *steps)


def broken(*steps, match=None, offers=OFFERS, cursor=None, kind=pymy.OperationalError):
    """Run a statement whose answer breaks the connection, which the server then sees closed."""
    with Server(greet(offers=offers), login(), query(SQL), *steps, hung_up()) as server:
        conn = server.connect()
        with pytest.raises(kind, match=match) as caught:
            conn.cursor(cursor).execute(SQL)
        assert caught.value.fatal
        assert not conn.open
        with pytest.raises(pymy.InterfaceError, match="lost earlier") as again:
            conn.ping()
        assert not again.value.sent
    return caught.value


HEAD = head(*TWO)


@pytest.mark.parametrize("offers", [OFFERS, OFFERS & ~DEPRECATE_EOF], ids=["ok", "eof"])
@pytest.mark.parametrize(
    "payload",
    [
        text(1),
        text(1) + text("x") + text("y"),
        text(1) + b"\x05x",
        text(1) + b"\xfc\xff\xff" + b"x",
        text(1) + b"\xfd\xff\xff\xff" + b"x",
        text(1) + b"\xfe" + b"\xff" * 8 + b"x",
        text(1) + b"\xfe" + (1 << 63).to_bytes(8, "little"),
        text(1) + b"\xff",
        b"\xfb",
        b"\xfc",
        b"\xfb\xfb\xfb",
    ],
)
def test_rows_that_are_longer_or_shorter_than_they_say(payload, offers):
    broken(HEAD, send(payload), send(payload), offers=offers)


@pytest.mark.parametrize("good", [1, 60])
def test_a_bad_row_among_good_ones(good):
    """Behind forty rows the decoder is a compiled one; it must give up as well as the other."""
    error = broken(HEAD, *[row(1, "x")] * good, send(text(1) + b"\x09short"), end())
    assert error.errno == CR.CR_MALFORMED_PACKET


@pytest.mark.parametrize("count", [1 << 40, (1 << 63) - 1, (1 << 64) - 1, 1 << 24, 4097])
def test_huge_column_counts_with_nothing_behind(count):
    """Nothing may be reserved by a number that a peer only claims."""
    packet = lenenc(count) if count > 65535 else b"\xfc" + count.to_bytes(2, "little")
    with Server(*asked(send(packet), close())) as server:
        conn = server.connect()
        with pytest.raises(pymy.ProtocolError, match=f"a result set of {count} columns"):
            conn.execute(SQL)
        assert not conn.open


@pytest.mark.parametrize(
    "packets",
    [
        [b"\xfc"],
        [b"\xfe\xff\xff"],
        [b"\x01", b"def"],
        [b"\x01", column("a")[:-9]],
        [b"\x01", b"\x03def" + b"\xfe" + b"\xff" * 8],
        [b"\x01", column("a").replace(b"\x0c", b"\x02", 1)],
        [b"\x00"],
        [b"\x00\xfe"],
        [b"\xff"],
        [b"\xff\x01"],
    ],
)
def test_broken_heads(packets):
    broken(send(*packets), send(*packets))


def test_an_empty_packet():
    broken(send(b""), match="an empty packet")


def test_columns_without_end():
    broken(send(b"\x01", column("a"), column("b")), match="no end", offers=OFFERS & ~DEPRECATE_EOF)


@pytest.mark.parametrize("sequence", [0, 2, 255])
def test_an_answer_with_a_wrong_number(sequence):
    error = broken(send(ok_packet(), sequence=sequence), match="out of order")
    assert error.errno == CR.CR_COMMANDS_OUT_OF_SYNC


@pytest.mark.parametrize("cursor", [None, cursors.SSCursor])
def test_a_row_with_a_wrong_number(cursor):
    with Server(*asked(HEAD, row(1, "x"), send(text(1) + text("y"), sequence=9), hung_up())) as s:
        conn = s.connect()
        with pytest.raises(pymy.ProtocolError, match="out of order"):
            made = conn.cursor(cursor)
            made.execute(SQL)
            made.fetchall()
        assert not conn.open


def test_an_error_with_a_wrong_number_is_heard_and_ends_it():
    """The server's text is worth more than its counting (P5)."""
    error = broken(
        err(1927, "Connection was killed", "70100", sequence=0), match="Connection was killed"
    )
    assert error.errno == 1927


def test_answers_nobody_asked_for():
    """A second OK must not become the answer of the next statement."""
    two = send(ok_packet(affected=1), ok_packet(affected=2))
    with Server(*asked(two, listen_to_the_end())) as server:
        conn = server.connect()
        assert conn.execute(SQL).rowcount == 1
        with pytest.raises(pymy.OperationalError, match="nobody asked for"):
            conn.ping()
        assert not conn.open


# -- more results


def test_more_results_that_never_come():
    with Server(*asked(ok(status=AUTOCOMMIT | MORE_RESULTS), close())) as server:
        conn = server.connect()
        cursor = conn.execute(SQL)
        with pytest.raises(pymy.Error, match="closed the connection"):
            cursor.nextset()
        assert not conn.open


def test_more_results_and_silence_are_bounded_by_read_timeout():
    with Server(*asked(ok(status=AUTOCOMMIT | MORE_RESULTS), hung_up())) as server:
        conn = server.connect(read_timeout=0.2, on_cancel="close")
        cursor = conn.execute(SQL)
        with pytest.raises(pymy.OperationalError, match=r"read_timeout=0\.2"):
            cursor.nextset()
        assert not conn.open


def test_an_error_instead_of_the_next_result():
    with Server(
        *asked(rows(["a"], [(1,)], status=MORE_RESULTS), err(1064, "syntax", "42000")),
        expect(PING), ok(),
    ) as server:  # fmt: skip
        conn = server.connect()
        cursor = conn.execute(SQL)
        assert cursor.fetchall() == (("1",),)
        with pytest.raises(pymy.ProgrammingError, match="syntax"):
            cursor.nextset()
        conn.ping()


def test_unread_results_are_dropped_before_the_next_statement():
    with Server(
        *asked(rows(["a"], [(1,)], MORE_RESULTS), rows(["b"], [(2,)], MORE_RESULTS), ok()),
        query("next"), rows(["c"], [(3,)]),
    ) as server:  # fmt: skip
        conn = server.connect()
        conn.execute(SQL)
        assert conn.execute("next").fetchall() == (("3",),)


# -- ERR in the middle


def test_an_error_among_rows_leaves_a_buffered_connection_usable():
    with Server(
        *asked(HEAD, row(1, "x"), err(1317, "Query execution was interrupted", "70100")),
        expect(PING), ok(),
    ) as server:  # fmt: skip
        conn = server.connect()
        with pytest.raises(pymy.OperationalError, match="interrupted") as caught:
            conn.execute(SQL)
        assert not caught.value.fatal
        conn.ping()


def test_rows_before_an_error_reach_a_streaming_reader():
    read = threading.Event()
    with Server(
        *asked(HEAD, row(1, "x"), row(2, "y"), wait(read), err(1317, "interrupted", "70100")),
        expect(PING), ok(),
    ) as server:  # fmt: skip
        conn = server.connect()
        cursor = conn.cursor(cursors.SSCursor)
        cursor.execute(SQL)
        assert cursor.fetchone() == (1, "x")
        assert cursor.fetchone() == (2, "y")
        read.set()
        with pytest.raises(pymy.OperationalError, match="interrupted"):
            cursor.fetchone()
        assert conn.open
        cursor.close()
        conn.ping()


def test_rows_that_come_together_with_an_error_reach_a_streaming_reader():
    """How the network cut the answer must not decide which rows a program sees."""
    one_go = send(b"\x02", *TWO, text(1) + text("x"), err_packet(1317, "interrupted", "70100"))
    with Server(*asked(one_go), expect(PING), ok()) as server:
        conn = server.connect()
        cursor = conn.cursor(cursors.SSCursor)
        cursor.execute(SQL)
        assert cursor.fetchone() == (1, "x")
        with pytest.raises(pymy.OperationalError, match="interrupted"):
            cursor.fetchone()
        conn.ping()


def test_an_error_instead_of_a_column():
    with Server(*asked(send(b"\x02", TWO[0], err_packet(1146, "gone"))), expect(PING), ok()) as s:
        conn = s.connect()
        with pytest.raises(pymy.ProgrammingError, match="gone"):
            conn.execute(SQL)
        conn.ping()


# -- values


@pytest.mark.parametrize("cursor", [None, cursors.SSCursor])
def test_a_value_that_does_not_convert_costs_one_statement(cursor):
    with Server(*asked(HEAD, row(1, "x"), row("one", "y"), row(3, "z"), end()), expect(PING), ok(),
    ) as server:  # fmt: skip
        conn = server.connect()
        with pytest.raises(pymy.DataError, match="Column 'a' holds b'one'") as caught:
            made = conn.cursor(cursor)
            made.execute(SQL)
            made.fetchall()
        assert not caught.value.fatal
        conn.ping()


# -- progress


def test_progress_reports():
    """MariaDB's come at any moment before the answer, and among rows."""
    report = b"\xff\xff\xff\x01\x02\x05" + (50_000).to_bytes(3, "little") + text("copy to tmp")
    seen = []
    offers = OFFERS & ~LONG_PASSWORD | PROGRESS
    with Server(
        greet(MARIADB, offers=offers), login(), query(SQL), send(report, report),
        rows(["a"], [(1,)]),
    ) as server:  # fmt: skip
        conn = server.connect(progress=seen.append)
        assert conn.execute(SQL).fetchall() == (("1",),)
    assert [(each.stage, each.max_stage, each.percent, each.info) for each in seen] == [
        (2, 5, 50.0, "copy to tmp")
    ] * 2


def test_a_progress_callback_that_raises():
    def progress(report):
        raise LookupError("not now")

    report = b"\xff\xff\xff\x01\x02\x05" + bytes(3) + text("copy")
    with Server(
        greet(MARIADB, offers=OFFERS & ~LONG_PASSWORD | PROGRESS), login(), query(SQL),
        send(report), rows(["a"], [(1,)]), expect(PING), ok(),
    ) as server:  # fmt: skip
        conn = server.connect(progress=progress)
        with pytest.raises(LookupError, match="not now"):
            conn.execute(SQL)
        conn.ping()


@pytest.mark.parametrize("report", [b"\xff\xff\xff\x01", b"\xff\xff\xff\x01\x02\x05" + bytes(3)])
def test_progress_reports_cut_short(report):
    with Server(
        greet(MARIADB, offers=OFFERS & ~LONG_PASSWORD | PROGRESS), login(), query(SQL),
        send(report), hung_up(),
    ) as server:  # fmt: skip
        conn = server.connect(progress=print)
        with pytest.raises(pymy.ProtocolError):
            conn.execute(SQL)
        assert not conn.open


# -- packets without an end


def test_a_packet_longer_than_what_follows():
    with Server(*asked(send_raw(framed(ok_packet(), 1)[:-2]), close())) as server:
        conn = server.connect()
        with pytest.raises(pymy.OperationalError, match="closed the connection"):
            conn.execute(SQL)


def test_a_packet_of_16_mib_that_is_only_claimed():
    with Server(*asked(send_raw(b"\xff\xff\xff\x01" + b"\x00" * 100), hung_up())) as server:
        conn = server.connect(read_timeout=0.2)
        with pytest.raises(pymy.OperationalError, match="read_timeout"):
            conn.execute(SQL)


def test_the_answer_byte_by_byte():
    stream = b"".join(
        framed(packet, 1 + place)
        for place, packet in enumerate(
            [b"\x02", *TWO, text(1) + text("x"), b"\xfb\xfb", ok_packet(header=0xFE)]
        )
    )
    with Server(*asked(dribble(stream)), expect(PING), ok()) as server:
        conn = server.connect(read_timeout=LIMIT)
        assert conn.execute(SQL).fetchall() == ((1, "x"), (None, None))
        conn.ping()


def test_sequence_numbers_wrap():
    many = [(place, "x") for place in range(600)]
    with Server(*asked(rows(TWO, many)), silence(), do(int)) as server:
        conn = server.connect()
        assert conn.execute(SQL).fetchall() == tuple(many)
