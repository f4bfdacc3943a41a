from __future__ import annotations

import copy
import pickle

import pytest

from pymy import err
from pymy.constants import CR
from pymy.err import Retry


def test_tree_is_that_of_pep_249():
    assert issubclass(err.Error, Exception)
    assert issubclass(err.Warning, Exception)
    assert not issubclass(err.Warning, err.Error)
    assert err.InterfaceError.__mro__[1] is err.Error
    for leaf in (
        err.DataError,
        err.OperationalError,
        err.IntegrityError,
        err.InternalError,
        err.ProgrammingError,
        err.NotSupportedError,
    ):
        assert leaf.__mro__[1] is err.DatabaseError
        assert getattr(err.Classes, leaf.__name__) is leaf
    assert issubclass(err.DatabaseError, err.Error)
    assert issubclass(err.Error, err.MySQLError) and issubclass(err.Warning, err.MySQLError)
    assert issubclass(err.ProtocolError, err.OperationalError)


def test_attributes_of_a_server_error():
    error = err.from_server(1062, "23000", "Duplicate entry '1' for key 'PRIMARY'")
    assert type(error) is err.IntegrityError
    assert error.args == (1062, "Duplicate entry '1' for key 'PRIMARY'")
    assert (error.errno, error.sqlstate, error.code) == (1062, "23000", "ER_DUP_ENTRY")
    assert error.message.startswith("Duplicate")
    assert (error.fatal, error.sent, error.retry) == (False, True, Retry.NONE)


def test_errors_without_number_or_arguments():
    assert (err.InterfaceError().errno, err.InterfaceError().message) == (0, "")
    error = err.InterfaceError("only text")
    assert (error.errno, error.message, error.code) == (0, "only text", "")
    assert err.InterfaceError(0, "").code == ""


@pytest.mark.parametrize(
    ("errno", "sqlstate", "expected"),
    [
        (1064, "42000", err.ProgrammingError),
        (1146, "42S02", err.ProgrammingError),
        (1054, "42S22", err.OperationalError),  # as PyMySQL and mysqlclient
        (1049, "42000", err.OperationalError),
        (1048, "23000", err.IntegrityError),
        (1586, "23000", err.IntegrityError),  # by SQLSTATE alone
        (1644, "23000", err.IntegrityError),  # SIGNAL
        (1644, "45000", err.OperationalError),
        (1365, "22012", err.DataError),
        (1690, "22003", err.OperationalError),  # Django turns these three into IntegrityError
        (3819, "HY000", err.OperationalError),
        (4025, "23000", err.OperationalError),
        (1235, "42000", err.NotSupportedError),
        (1845, "0A000", err.NotSupportedError),
        (1205, "HY000", err.OperationalError),
        (999, "HY000", err.InternalError),
        (0, None, err.InternalError),
        (65535, None, err.OperationalError),
    ],
)
def test_class_of_a_server_error(errno, sqlstate, expected):
    assert type(err.from_server(errno, sqlstate, "text")) is expected


def test_error_map_agrees_with_pymysql():
    peer = pytest.importorskip("pymysql.err", reason="PyMySQL is not installed")
    for errno, cls in peer.error_map.items():
        assert err.error_map[errno].__name__ == cls.__name__


@pytest.mark.parametrize(
    ("errno", "text", "mariadb", "expected"),
    [
        (1205, "", False, Retry.QUERY),
        (1213, "", True, Retry.TRANSACTION),
        (1614, "", False, Retry.TRANSACTION),
        (1613, "", False, Retry.TRANSACTION),
        (1020, "", True, Retry.TRANSACTION),
        (1020, "", False, Retry.NONE),
        (3101, "", False, Retry.TRANSACTION),
        (3101, "", True, Retry.NONE),
        (1040, "", False, Retry.CONNECTION),
        (1203, "", False, Retry.CONNECTION),
        (1226, "", False, Retry.CONNECTION),
        (1135, "", False, Retry.CONNECTION),
        (1053, "", False, Retry.CONNECTION),
        (1927, "", True, Retry.CONNECTION),
        (4031, "", False, Retry.CONNECTION),
        (4031, "", True, Retry.NONE),
        (1047, "WSREP has not yet prepared node for application use", True, Retry.CONNECTION),
        (1047, "Unknown command", True, Retry.NONE),
        (1290, "running with the --read-only option", True, Retry.CONNECTION),
        (1290, "running with the --secure-file-priv option", False, Retry.NONE),
        (1836, "Running in read-only mode", False, Retry.CONNECTION),
        (1062, "", False, Retry.NONE),
    ],
)
def test_retry_facts_of_the_server(errno, text, mariadb, expected):
    assert err.from_server(errno, "HY000", text, mariadb=mariadb).retry is expected


@pytest.mark.parametrize(
    ("errno", "mariadb", "fatal"),
    [
        (1053, False, True),
        (1927, True, True),
        (4031, False, True),
        (4031, True, False),
        (3169, False, True),
        (1152, False, True),
        (1153, False, True),
        (1158, True, True),
        (1161, True, True),
        (1062, False, False),
        (1205, True, False),
        (1213, True, False),
        (1045, False, False),
    ],
)
def test_fatal_facts_of_the_server(errno, mariadb, fatal):
    assert err.from_server(errno, "HY000", "", mariadb=mariadb).fatal is fatal
    assert err.from_server(errno, "HY000", "", mariadb=mariadb, fatal=True).fatal is True


@pytest.mark.parametrize("errno", [2002, 2003, 2006, 2013, 2055])
def test_lost_connections(errno):
    error = err.OperationalError(errno, "gone", sent=False)
    assert error.fatal and not error.sent
    assert error.retry is Retry.CONNECTION
    assert error.code == CR.symbol(errno) != ""


def test_protocol_error_is_fatal_unless_said_otherwise():
    assert err.ProtocolError(CR.CR_MALFORMED_PACKET, "x").fatal
    assert err.ProtocolError(0, "x").fatal
    assert not err.ProtocolError(0, "x", fatal=False).fatal


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
@pytest.mark.parametrize(
    "error",
    [
        err.from_server(4025, "23000", "CONSTRAINT failed", mariadb=True),
        err.OperationalError(2013, "lost", sent=False, fatal=False),
        err.ProtocolError(2027, "bad", fatal=False),
        err.ProgrammingError("one argument"),
        err.Warning(1, "w"),
    ],
    ids=repr,
)
def test_errors_can_be_copied_and_pickled(error, clone):
    error.note = "kept"
    other = clone(error)
    assert type(other) is type(error)
    assert other.args == error.args
    assert vars(other) == vars(error)
    if isinstance(error, err.Error):
        assert (other.code, other.retry) == (error.code, error.retry)


def test_raise_mysql_exception_reads_a_packet():
    with pytest.raises(err.IntegrityError) as caught:
        err.raise_mysql_exception(b"\xff\x26\x04#23000Duplicate \xff")
    assert caught.value.args == (1062, "Duplicate \ufffd")
    assert caught.value.sqlstate == "23000"


def test_raise_mysql_exception_reads_the_number_unsigned_and_old_packets():
    with pytest.raises(err.OperationalError) as caught:
        err.raise_mysql_exception(b"\xff\xff\xffold style")
    assert caught.value.args == (65535, "old style")
    assert caught.value.sqlstate is None


@pytest.mark.parametrize("data", [b"", b"\xff\x01", b"\x00\x01\x02abc"])
def test_raise_mysql_exception_refuses_other_packets(data):
    with pytest.raises(err.ProtocolError):
        err.raise_mysql_exception(data)


def test_truncated_sqlstate_is_text():
    with pytest.raises(err.OperationalError) as caught:
        err.raise_mysql_exception(b"\xff\xe8\x03#23")
    assert caught.value.message == "#23"
