"""The row of a prepared CALL's OUT parameters: which result it is, and where results end."""

from __future__ import annotations

import struct

import pytest
from line import Line, ready_session
from serverside import MORE, column, end, eof, ok, packets
from test_statements import binary_row, bound, live

from pymy.constants import CLIENT, FIELD_TYPE, SERVER_STATUS
from pymy.procedures import read_ahead
from pymy.protocol.commands import ping
from pymy.protocol.query import fetch_batch, next_result
from pymy.protocol.state import State
from pymy.protocol.statements import execute

OUT = 2 | MORE | SERVER_STATUS.SERVER_PS_OUT_PARAMS
NUMBER = column("n", FIELD_TYPE.LONG)
ROW = binary_row(struct.pack("<i", 5))
MARIADB = packets(b"\1", NUMBER, eof(OUT), ROW, eof(OUT), ok())
# MySQL forgets both flags in the second EOF, and the OK comes all the same
MYSQL = packets(b"\1", NUMBER, eof(OUT), ROW, eof(2), ok())
NEW = packets(b"\1", NUMBER, ROW, end(OUT), ok())


@pytest.mark.parametrize("chunk", [None, 1])
@pytest.mark.parametrize(
    ("capabilities", "script"),
    [(0, MARIADB), (0, MYSQL), (CLIENT.DEPRECATE_EOF, NEW)],
    ids=["mariadb", "mysql", "deprecate_eof"],
)
def test_the_answer_ends_behind_the_ok(capabilities, script, chunk):
    session = ready_session(capabilities)
    line = Line(session, [script], chunk=chunk)
    result = line.run(execute(session, live(session, b"call p(?)"), bound(1)))
    assert (result.is_out_params, result.rows) == (True, [(5,)])
    assert session.state is State.RESULTS
    result = line.run(next_result(session))
    assert (result.is_out_params, result.columns) == (False, ())
    assert session.state is State.READY
    line.turns = [packets(ok())]
    line.run(ping(session))


def test_a_stream_of_them_is_rows():
    session = ready_session(CLIENT.DEPRECATE_EOF)
    line = Line(session, [NEW])
    result = line.run(execute(session, live(session, b"call p(?)"), bound(1), stream=True))
    assert line.run(fetch_batch(session)) == [(5,)]
    assert session.state is State.RESULTS
    assert not result.is_out_params


def test_ordinary_results_keep_their_own_status():
    session = ready_session()
    script = packets(b"\1", NUMBER, eof(2 | MORE), ROW, eof(2))
    line = Line(session, [script])
    result = line.run(execute(session, live(session), bound(1)))
    assert not result.is_out_params
    assert session.state is State.READY


def test_all_that_is_left_is_read_ahead():
    session = ready_session(CLIENT.DEPRECATE_EOF)
    more = [b"\1", NUMBER, ROW, end(2 | MORE)]
    line = Line(session, [packets(*more, *more, ok(affected=3))])
    line.run(execute(session, live(session, b"call p(?)"), bound(1)))
    found = line.run(read_ahead(session))
    assert [len(each.rows) for each in found] == [1, 0]
    assert found[-1].affected_rows == 3
    assert session.state is State.READY
