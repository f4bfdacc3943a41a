"""Buffered cursors, with PyMySQL's observable behaviour."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import pytest

import pymy
from pymy import rows
from pymy.constants import CLIENT, ER
from pymy.cursors import Cursor, DictCursor, SSDictCursor


@pytest.fixture
def cursor(conn):
    conn.query("create table t (id int auto_increment primary key, name varchar(20))")
    cursor = conn.cursor()
    cursor.execute("insert into t (name) values ('a'), ('b'), ('c'), ('d'), ('e')")
    return cursor


def test_fetch(cursor):
    assert cursor.execute("select id, name from t order by id") == 5
    assert cursor.rowcount == 5
    assert cursor.rownumber == 0
    assert cursor.fetchone() == (1, "a")
    assert cursor.rownumber == 1
    assert cursor.fetchmany(2) == ((2, "b"), (3, "c"))
    assert cursor.fetchmany() == ((4, "d"),)
    assert cursor.fetchall() == ((5, "e"),)
    assert cursor.rownumber == 5
    assert cursor.fetchone() is None
    assert cursor.fetchmany(3) == ()
    assert cursor.fetchall() == ()


def test_arraysize(cursor):
    cursor.execute("select id from t order by id")
    assert cursor.arraysize == 1
    cursor.arraysize = 3
    assert cursor.fetchmany() == ((1,), (2,), (3,))


def test_iteration(cursor):
    cursor.execute("select id from t order by id")
    assert cursor.fetchone() == (1,)
    assert list(cursor) == [(2,), (3,), (4,), (5,)]
    assert list(cursor) == []


def test_scroll(cursor):
    cursor.execute("select id from t order by id")
    cursor.scroll(3)
    assert cursor.fetchone() == (4,)
    cursor.scroll(-2)
    assert cursor.fetchone() == (3,)
    cursor.scroll(0, mode="absolute")
    assert cursor.fetchone() == (1,)
    for value, mode in ((5, "absolute"), (-2, "relative"), (4, "relative"), (-1, "absolute")):
        with pytest.raises(IndexError):
            cursor.scroll(value, mode)
    with pytest.raises(pymy.ProgrammingError, match="mode"):
        cursor.scroll(1, "sideways")
    assert cursor.fetchone() == (2,)


def test_before_execute(conn):
    cursor = conn.cursor()
    assert cursor.description is None
    assert cursor.rowcount == -1
    for fetch in (cursor.fetchone, cursor.fetchmany, cursor.fetchall):
        with pytest.raises(pymy.ProgrammingError):
            fetch()


def test_after_a_statement_without_rows(cursor):
    assert cursor.execute("update t set name = 'x' where id < 3") == 2
    assert cursor.description is None
    assert cursor.fetchone() is None
    assert cursor.fetchmany(2) == cursor.fetchall() == ()


def test_closed(cursor):
    cursor.close()
    cursor.close()
    for use in (cursor.fetchone, lambda: cursor.execute("select 1"), lambda: cursor.mogrify("")):
        with pytest.raises(pymy.ProgrammingError, match="closed"):
            use()


def test_context_manager(conn):
    with conn.cursor() as cursor:
        cursor.execute("select 1")
    with pytest.raises(pymy.ProgrammingError):
        cursor.fetchone()
    assert conn.open


def test_rows_outlive_another_command(conn, cursor):
    cursor.execute("select id from t order by id")
    other = conn.cursor()
    other.execute("select 'other'")
    assert cursor.fetchone() == (1,)
    assert other.fetchone() == ("other",)
    assert cursor.fetchall() == ((2,), (3,), (4,), (5,))


def test_lastrowid(cursor):
    cursor.execute("insert into t (name) values ('f'), ('g')")
    assert cursor.lastrowid == 6  # the first of them
    assert cursor.rowcount == 2
    cursor.execute("select 1")
    assert cursor.lastrowid == 0
    cursor.execute("insert into t (id, name) values (2**62, 'big')".replace("2**62", str(2**30)))
    cursor.execute("insert into t (name) values ('next')")
    assert cursor.lastrowid == 2**30 + 1


def test_description_names(cursor):
    cursor.execute("select id, name as `a b`, count(*) from t group by id, name")
    assert [each[0] for each in cursor.description] == ["id", "a b", "count(*)"]


def test_dict_cursor(conn, cursor):
    with conn.cursor(DictCursor) as dicts:
        dicts.execute("select id, name from t where id < 3 order by id")
        assert dicts.fetchone() == {"id": 1, "name": "a"}
        assert dicts.fetchall() == [{"id": 2, "name": "b"}]
        assert dicts.fetchone() is None


@pytest.mark.parametrize("cls", [DictCursor, SSDictCursor])
def test_dict_cursor_with_names_twice(conn, cursor, cls):
    with conn.cursor(cls) as dicts:
        dicts.execute(
            "select a.id, b.id, a.name, 1 as id from t a join t b on b.id = a.id + 1 where a.id = 1"
        )
        assert dicts.fetchone() == {"id": 1, "b.id": 2, "name": "a", ".id": 1}


def test_dict_type(conn):
    class Ordered(dict):
        pass

    class Mine(DictCursor):
        dict_type = Ordered

    with conn.cursor(Mine) as cursor:
        cursor.execute("select 1 as one")
        assert type(cursor.fetchone()) is Ordered


def test_cursorclass_of_the_connection(connect):
    conn = connect(cursorclass=DictCursor)
    assert conn.execute("select 1 as one").fetchone() == {"one": 1}
    assert conn.cursor(Cursor).execute("select 1") == 1


@dataclass
class Item:
    id: int
    name: str


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        (rows.tuple_row, (1, "a")),
        (rows.dict_row, {"id": 1, "name": "a"}),
        (rows.dataclass_row(Item), Item(1, "a")),
        (rows.scalar_row, 1),
        (rows.nested_row, {"t": {"id": 1, "name": "a"}}),
    ],
)
def test_row_factories(conn, cursor, factory, expected):
    sql = "select id, name from t order by id"
    made = conn.cursor(row_factory=factory)
    made.execute(sql)
    assert made.fetchone() == expected
    assert type(made.fetchall()[0]) is type(expected)
    assert next(conn.stream(sql, row_factory=factory)) == expected


def test_namedtuple_row(conn, cursor):
    made = conn.cursor(row_factory=rows.namedtuple_row)
    made.execute("select id, count(*), 1 as `class`, id from t group by id order by id")
    row = made.fetchone()
    assert row.id == 1
    assert row == (1, 1, 1, 1)
    assert row._fields == ("id", "count", "f_class", "t_id")


def test_row_factory_of_the_connection(connect):
    conn = connect(row_factory=rows.scalar_row)
    assert conn.execute("select 5 union select 6").fetchall() == (5, 6)


def test_row_factory_that_does_not_fit(conn, cursor):
    made = conn.cursor(row_factory=rows.dataclass_row(Item))
    with pytest.raises(pymy.ProgrammingError, match="price"):
        made.execute("select id, 1 as price from t")
    assert conn.execute("select 1").fetchone() == (1,)


def test_row_factory_that_raises(conn, cursor):
    def explode(columns):
        return lambda row: 1 // 0

    with pytest.raises(ZeroDivisionError):
        conn.cursor(row_factory=explode).execute("select 1")
    assert conn.execute("select 1").fetchone() == (1,)


def test_callproc(conn):
    conn.query(
        "create procedure two(in a int, out b int, inout c varchar(9)) "
        "begin select a; set b = a * 2, c = concat(c, '!'); select a + 1, 'x'; end"
    )
    cursor = conn.cursor()
    args = (4, 0, "it's")
    assert cursor.callproc("two", args) == (4, 8, "it's!")
    assert args == (4, 0, "it's")
    assert cursor.fetchall() == ((4,),)
    assert cursor.nextset() is True
    assert cursor.fetchall() == ((5, "x"),)
    assert cursor.nextset() is True
    assert cursor.description is None
    assert cursor.nextset() is None
    cursor.execute("select @_two_0, @_two_1, @_two_2")
    assert cursor.fetchone() == (4, 8, "it's!")


def test_callproc_of_another_schema(conn, db):
    conn.query("create procedure p() select 'here'")
    cursor = conn.cursor()
    assert cursor.callproc(f"{db}.p") == ()
    assert cursor.fetchone() == ("here",)


def test_next_command_drops_what_is_left_of_a_procedure(conn):
    conn.query("create procedure p() begin select 1; select 2; end")
    cursor = conn.cursor()
    cursor.callproc("p")
    assert conn.execute("select 'next'").fetchone() == ("next",)
    assert cursor.nextset() is None


def test_nextset_of_multi_statements(connect):
    cursor = connect(client_flag=CLIENT.MULTI_STATEMENTS).cursor()
    cursor.execute("select 1; set @a = 2; select @a, 3")
    assert cursor.fetchone() == (1,)
    assert cursor.nextset() is True
    assert cursor.description is None
    assert cursor.nextset() is True
    assert cursor.fetchone() == (2, 3)
    assert cursor.nextset() is None


def test_error_in_a_later_result(connect):
    conn = connect(multi_statements=True)
    cursor = conn.cursor()
    cursor.execute("select 1; select no_such_column; select 3")
    assert cursor.fetchone() == (1,)
    with pytest.raises(pymy.OperationalError) as caught:
        cursor.nextset()
    assert caught.value.errno == ER.BAD_FIELD_ERROR
    assert cursor.nextset() is None
    assert conn.execute("select 4").fetchone() == (4,)


def test_mogrify(conn):
    cursor = conn.cursor()
    assert cursor.mogrify("select %s, %s, %s", (1, "it's", None)) == "select 1, 'it''s', NULL"
    assert cursor.mogrify("a = %(a)s", {"a": 1.5}) == "a = 1.5e0"
    assert cursor.mogrify("select '%'") == "select '%'"
    assert cursor.mogrify("in %s", ([1, 2],)) == "in (1,2)"
    assert cursor.mogrify("%s", 5) == "5"


def test_executed(conn):
    cursor = conn.cursor()
    cursor.execute("select %s", (1,))
    assert cursor._executed == cursor.statement == "select 1"


@pytest.mark.parametrize(
    ("sql", "args"),
    [("select %s", ()), ("select %s, %s", (1,)), ("select %(a)s", {"b": 1}), ("select 1", (1,))],
)
def test_parameters_that_do_not_fit(conn, sql, args):
    with pytest.raises(pymy.ProgrammingError) as caught:
        conn.execute(sql, args)
    assert caught.value.sent is False
    assert conn.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("value", [object(), {"a": 1}, 1j, range])
def test_unknown_types_are_refused(conn, value):
    with pytest.raises(TypeError, match=type(value).__name__):
        conn.execute("select %s", (value,))
    assert conn.execute("select 1").fetchone() == (1,)


def test_warnings(connect):
    conn = connect(sql_mode="")
    conn.query("create table t (a tinyint)")
    cursor = conn.cursor()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning of the server is counted, not raised
        cursor.execute("insert into t values (300)")
    assert cursor.warning_count == 1
    level, number, message = conn.show_warnings()[0]
    assert (level, number) == ("Warning", ER.WARN_DATA_OUT_OF_RANGE)
    assert "'a'" in message
    cursor.execute("select 1")
    assert cursor.warning_count == 0


def test_query_of_the_connection(conn):
    conn.query("create table t (id int auto_increment primary key, a int)")
    assert conn.query("insert into t (a) values (1), (2)") == 2
    assert conn.affected_rows() == 2
    assert conn.insert_id() == 1
    assert conn.query("select * from t") == 2


def test_info_text(conn):
    conn.query("create table t (a int)")
    conn.query("insert into t values (1), (2)")
    assert conn._result.message == "Records: 2  Duplicates: 0  Warnings: 0"


def test_setinputsizes(cursor):
    assert cursor.setinputsizes([1]) is None
    assert cursor.setoutputsizes(1) is None
    assert cursor.setoutputsize(1, 2) is None


@pytest.mark.only("blocking,nonblocking", "the method it overrides is a coroutine there")
def test_subclass_of_cursor(conn):
    class Loud(Cursor):
        def execute(self, query, args=None, **options):
            return super().execute(query.lower(), args, **options)

    with conn.cursor(Loud) as cursor:
        cursor.execute("SELECT 'A'")
        assert cursor.fetchone() == ("a",)
