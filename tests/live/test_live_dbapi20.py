"""The compliance suite of PEP 249 (dbapi-compliance), once for each server."""

from __future__ import annotations

from typing import Any, ClassVar

import dbapi20
import pytest

import pymy


class Driver:
    """The module, but for how its connections wait."""

    def __init__(self, transport):
        self.connect = transport.connect

    def __getattr__(self, name):
        return getattr(pymy, name)


class Compliance(dbapi20.DatabaseAPI20Test):
    """The suite, with what it leaves to drivers, and two tests changed.

    Programs written for PyMySQL fetch after statements without rows and get nothing; PEP 249 wants
    an error. pymy follows PyMySQL, so test_fetchone and test_fetchall keep only the rest.
    """

    __test__ = False
    connect_args = ()
    connect_kw_args: ClassVar[dict[str, Any]] = {}

    def setUp(self):
        self._opened = []

    def tearDown(self):
        for connection in self._opened:
            connection.abort()
        super().tearDown()
        for connection in self._opened:
            connection.abort()

    def _connect(self):
        # the suite forgets to close some
        connection = super()._connect()
        self._opened.append(connection)
        return connection

    def help_nextset_setUp(self, cursor):
        cursor.execute("drop procedure if exists deleteme")
        self.executeDDL1(cursor)
        for statement in self._populate():
            cursor.execute(statement)
        cursor.execute(
            f"create procedure deleteme() begin select count(*) from {self.table_prefix}booze; "
            f"select name from {self.table_prefix}booze; end"
        )

    def help_nextset_tearDown(self, cursor):
        cursor.execute("drop procedure deleteme")

    def test_nextset(self):
        cursor = self._connect().cursor()
        self.help_nextset_setUp(cursor)
        cursor.callproc("deleteme")
        self.assertEqual(cursor.fetchone(), (len(self.samples),))
        self.assertTrue(cursor.nextset())
        self.assertEqual(len(cursor.fetchall()), len(self.samples))
        self.assertTrue(cursor.nextset())  # the answer to CALL itself
        self.assertIsNone(cursor.nextset())
        self.help_nextset_tearDown(cursor)

    def test_setoutputsize(self):
        cursor = self._connect().cursor()
        cursor.setoutputsize(1000)
        cursor.setoutputsize(2000, 0)
        self._paraminsert(cursor)

    def test_fetchone(self):
        cursor = self._connect().cursor()
        self.assertRaises(pymy.Error, cursor.fetchone)
        self.executeDDL1(cursor)
        self.assertIsNone(cursor.fetchone())
        cursor.execute(f"select name from {self.table_prefix}booze")
        self.assertIsNone(cursor.fetchone())
        self.assertIn(cursor.rowcount, (-1, 0))
        cursor.execute(f"insert into {self.table_prefix}booze values ('Victoria Bitter')")
        self.assertIsNone(cursor.fetchone())
        cursor.execute(f"select name from {self.table_prefix}booze")
        self.assertEqual(cursor.fetchone(), ("Victoria Bitter",))
        self.assertIsNone(cursor.fetchone())
        self.assertIn(cursor.rowcount, (-1, 1))

    def test_fetchall(self):
        cursor = self._connect().cursor()
        self.assertRaises(pymy.Error, cursor.fetchall)
        self.executeDDL1(cursor)
        for statement in self._populate():
            cursor.execute(statement)
        self.assertEqual(len(cursor.fetchall()), 0)
        cursor.execute(f"select name from {self.table_prefix}booze")
        self.assertEqual(sorted(row[0] for row in cursor.fetchall()), self.samples)
        self.assertEqual(len(cursor.fetchall()), 0)
        self.assertIn(cursor.rowcount, (-1, len(self.samples)))


class Unbuffered(Compliance):
    """The suite with an unbuffered cursor."""

    def _connect(self):
        connection = super()._connect()
        connection.cursorclass = pymy.cursors.SSCursor
        return connection


NAMES = sorted(name for name in dir(Compliance) if name.startswith("test_"))
MARKS = {
    "test_non_idempotent_close": pytest.mark.only(
        "blocking,nonblocking", "closing twice is harmless there"
    )
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, ())) for name in NAMES])
@pytest.mark.parametrize("suite", [Compliance, Unbuffered], ids=["Cursor", "SSCursor"])
def test_compliance(dsn, transport, suite, name):
    case = suite(name)
    case.driver = Driver(transport)
    case.connect_args = (dsn,)
    # a stored procedure of the suite's, which it expects to find
    if name == "test_callproc":
        with pymy.connect(dsn) as conn:
            conn.query("create procedure lower(in s varchar(20)) select lower(s)")
    result = case.defaultTestResult()
    case.run(result)
    problems = [text for _, text in result.errors + result.failures]
    assert not problems, problems[0]
    assert not result.skipped
    assert result.testsRun == 1
