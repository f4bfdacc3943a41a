"""COM_STMT_BULK_EXECUTE: its bytes, and what a batch takes."""

from __future__ import annotations

import io
import struct

import pytest
from line import Line, ask, ready_session
from serverside import column, error, framed, ok, packets

from pymy import err
from pymy.constants import CLIENT, FIELD_TYPE
from pymy.protocol.bulk import Batch, Tally, execute_batch, indicated, is_bulk
from pymy.protocol.params import NoParameter
from pymy.protocol.statements import Prepared, prepare
from pymy.sql import DEFAULT_CONTEXT, Raw


def batch_of(*rows, limit=1 << 20):
    batch = Batch(limit)
    taken = [batch.takes(indicated(row, DEFAULT_CONTEXT)) for row in rows]
    return batch, taken


def test_layout():
    batch, taken = batch_of((1, "ab"), (None, "c"), (Raw("default"), Raw(" IGNORE ")))
    assert taken == [True, True, True]
    assert batch.payload(7, 128) == (
        b"\x07\0\0\0" b"\x80\0" b"\x08\0" b"\xfd\0"
        b"\0\x01\0\0\0\0\0\0\0" b"\0\x02ab"
        b"\x01" b"\0\x01c"
        b"\x02" b"\x03"
    )  # fmt: skip


def test_types_are_those_of_the_first_values():
    batch, taken = batch_of((None, None), (2**64 - 1, None), (2**63, None))
    assert taken == [True, True, True]
    assert batch.payload(1, 128)[6:10] == b"\x08\x80\xfd\0"


@pytest.mark.parametrize("row", [("a", "x"), (1.0, "x"), (2**64 - 1, "x"), (1, b"x")])
def test_another_type_needs_another_batch(row):
    assert batch_of((1, "x"), row, (None, "y"))[1] == [True, False, True]


def test_a_batch_is_bounded():
    batch, taken = batch_of(*[("x" * 10,)] * 10, limit=50)
    assert taken == [True] * 3 + [False] * 7
    assert len(batch.payload(1, 128)) < 50
    assert batch_of(("x" * 100,), ("",), limit=50)[1] == [True, False]


@pytest.mark.parametrize("value", [Raw("now()"), [1], io.BytesIO(b"x"), iter([b"x"])])
def test_no_part_of_a_batch(value):
    with pytest.raises(NoParameter):
        indicated((1, value), DEFAULT_CONTEXT)


@pytest.mark.parametrize(
    ("capabilities", "bulk", "units"),
    [
        (0, False, False),
        (CLIENT.STMT_BULK_OPERATIONS, True, False),
        (CLIENT.STMT_BULK_OPERATIONS | CLIENT.BULK_UNIT_RESULTS, True, True),
    ],
)
def test_capabilities(capabilities, bulk, units):
    session = ready_session()
    session.capabilities |= capabilities
    assert (is_bulk(session), is_bulk(session, units=True)) == (bulk, units)


ONE = packets(struct.pack("<BIHHxH", 0, 9, 0, 1, 0), column("?", FIELD_TYPE.LONG))


def session_with(prepared):
    """A session that has prepared a statement of one parameter."""
    session = ready_session(CLIENT.DEPRECATE_EOF)
    ask(session, prepare(session, prepared), ONE)
    return session


def test_refused():
    """1295 means that nothing has run, whether it answers the PREPARE or the execution."""
    prepared, tally = Prepared(b"insert into t set a = ?"), Tally()
    session = session_with(prepared)
    line = Line(session, [framed(error(1295))])
    assert line.run(execute_batch(session, prepared, batch_of((1,))[0], tally)) is False
    assert not prepared.bulk
    assert session.usable()
    line = Line(session, [framed(error(1295))])
    batch = batch_of((1,))[0]
    assert line.run(execute_batch(session, Prepared(b"x ?"), batch, tally)) is False
    assert (tally.affected, tally.result) == (0, None)


@pytest.mark.parametrize("number", [1243, 1615])
def test_a_forgotten_statement_is_prepared_again_once(number):
    prepared, tally = Prepared(b"insert into t set a = ?"), Tally()
    session = session_with(prepared)
    line = Line(session, [framed(error(number)), ONE, framed(ok(1))])
    assert line.run(execute_batch(session, prepared, batch_of((1,))[0], tally)) is True
    assert (prepared.number, tally.affected) == (9, 1)
    line = Line(session, [framed(error(number)), ONE, framed(error(number))])
    with pytest.raises(err.OperationalError) as caught:
        line.run(execute_batch(session, prepared, batch_of((1,))[0], tally))
    assert caught.value.errno == number


def test_too_many_values():
    prepared = Prepared(b"insert into t set a = ?")
    session = session_with(prepared)
    with pytest.raises(err.ProgrammingError, match="1 parameter,"):
        ask(session, execute_batch(session, prepared, batch_of((1, 2))[0], Tally()))
    assert session.usable()
