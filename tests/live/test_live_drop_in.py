"""Programs written for PyMySQL and mysqlclient, with only their import changed."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

import pymy as pymysql
import pymy.cursors


@pytest.fixture
def address(server, db):
    """What a PyMySQL program passes to connect()."""
    where = (
        {"unix_socket": server.unix_socket}
        if server.unix_socket
        else {
            "host": server.host,
            "port": server.port,
        }
    )
    password = server.password if server.unix_socket else server.tcp_password
    return {"user": server.user, "password": password, "database": db, **where}


@pytest.fixture
def users(address):
    with pymysql.connect(**address) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE `users` (`id` int NOT NULL AUTO_INCREMENT, "
            "`email` varchar(255) COLLATE utf8mb4_bin NOT NULL, "
            "`password` varchar(255) COLLATE utf8mb4_bin NOT NULL, PRIMARY KEY (`id`)) "
            "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin AUTO_INCREMENT=1"
        )


def test_pymysql_readme(address, users):
    connection = pymysql.connect(
        charset="utf8mb4", cursorclass=pymysql.cursors.DictCursor, **address
    )
    with connection:
        with connection.cursor() as cursor:
            sql = "INSERT INTO `users` (`email`, `password`) VALUES (%s, %s)"
            assert cursor.execute(sql, ("anna@example.org", "very-secret")) == 1
        # nothing is committed by itself
        connection.commit()
        with connection.cursor() as cursor:
            sql = "SELECT `id`, `password` FROM `users` WHERE `email`=%s"
            cursor.execute(sql, ("anna@example.org",))
            result = cursor.fetchone()
    assert result == {"password": "very-secret", "id": 1}


def test_uncommitted_work_is_lost(address, users):
    with pymysql.connect(**address) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO users (email, password) VALUES ('a', 'b')")
    with pymysql.connect(**address) as connection, connection.cursor() as cursor:
        assert cursor.execute("SELECT * FROM users") == 0


def test_pymysql_manual(address):
    """The calls of PyMySQL's documentation of cursors, one after the other."""
    connection = pymysql.connect(autocommit=True, **address)
    cursor = connection.cursor(pymysql.cursors.SSDictCursor)
    cursor.execute("SELECT 1 AS a UNION SELECT 2")
    assert cursor.fetchall_unbuffered().__next__() == {"a": 1}
    cursor.close()
    cursor = connection.cursor()
    data = [("Jane", "555-001"), ("Joe", "555-002"), ("John", "555-003")]
    cursor.execute("CREATE TABLE phonebook (name varchar(9), phone varchar(9))")
    assert (
        cursor.executemany(
            "INSERT INTO phonebook (name, phone) VALUES ('%s' %s)".replace("'%s' %s", "%s, %s"),
            data,
        )
        == 3
    )
    cursor.execute("SELECT name FROM phonebook WHERE phone LIKE %(like)s", {"like": "%2"})
    assert cursor.fetchall() == (("Joe",),)
    assert cursor.mogrify("LIKE '%s'") == "LIKE '%s'"
    try:
        cursor.execute("SELECT * FROM nothing_here")
    except pymysql.err.ProgrammingError as error:
        number, text = error.args
        assert number == pymysql.constants.ER.NO_SUCH_TABLE
        assert "nothing_here" in text
    assert connection.get_server_info()
    assert connection.escape("a'b") == "'a''b'"
    assert pymysql.converters.escape_string("a'b") == "a''b"
    connection.ping(reconnect=False)
    connection.select_db(address["database"])
    connection.set_charset("utf8mb4")
    assert connection.character_set_name() == "utf8mb4"
    connection.close()
    with pytest.raises(pymysql.err.Error, match="Already closed"):
        connection.close()
    assert not connection.open


def test_pymysql_submodules():
    from pymy import charset, connections, constants, converters, cursors, err, optionfile, times
    from pymy.constants import CLIENT, COMMAND, CR, ER, FIELD_TYPE, FLAG, SERVER_STATUS

    assert connections.Connection is pymysql.Connection is pymysql.connect
    assert cursors.Cursor.__mro__[-2]
    assert err.Error is pymysql.Error
    assert charset.charset_by_name("utf8mb4").name == "utf8mb4"
    assert times.Date is pymysql.Date
    assert optionfile and constants
    assert set(converters.conversions) == set(converters.encoders) | set(converters.decoders)
    assert (CLIENT.FOUND_ROWS, COMMAND.COM_PING, CR.CR_SERVER_LOST, ER.DUP_ENTRY) == (
        2,
        14,
        2013,
        1062,
    )
    assert (FIELD_TYPE.JSON, FLAG.NOT_NULL, SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT) == (245, 1, 2)


MYSQLCLIENT_PROGRAM = """
    import sys
    import pymy
    pymy.install_as_MySQLdb()

    import MySQLdb
    import MySQLdb.cursors
    import _mysql
    from MySQLdb._exceptions import IntegrityError
    from MySQLdb.constants import CLIENT, FIELD_TYPE
    from MySQLdb.converters import conversions

    assert MySQLdb is pymy and _mysql
    assert MySQLdb.version_info >= (2, 2, 1)
    user, password, socket, host, port, db = sys.argv[1:]
    where = dict(unix_socket=socket) if socket else dict(host=host, port=int(port))
    conv = {**conversions, FIELD_TYPE.TIME: str}
    c = MySQLdb.connect(user=user, passwd=password, db=db, conv=conv,
                        client_flag=CLIENT.FOUND_ROWS, charset="utf8mb4", **where)
    cur = c.cursor(MySQLdb.cursors.DictCursor)
    cur.execute("create table breakfast (name varchar(20) primary key, spam int)")
    n = cur.executemany("INSERT INTO breakfast (name, spam) VALUES (%s, %s)",
                        [("Spam and Eggs", 1), ("Lobster", 0)])
    assert n == 2
    assert cur.execute("update breakfast set spam = 1 where spam = 1") == 1  # found, not changed
    cur.execute("SELECT name, cast('10:11:12' as time) as t FROM breakfast WHERE spam < %s", (1,))
    assert cur.fetchone() == {"name": "Lobster", "t": "10:11:12"}
    try:
        cur.execute("insert into breakfast values ('Lobster', 2)")
    except IntegrityError as error:
        assert error.args[0] == 1062
    else:
        raise AssertionError("no error")
    c.query("select 1 union select 2")
    c.rollback()
    c.autocommit(True)
    c.close()
    print("done")
"""


def test_mysqlclient_program(server, db):
    arguments = [server.user, server.password, server.unix_socket or "", server.host, server.port]
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            textwrap.dedent(MYSQLCLIENT_PROGRAM),
            *map(str, arguments),
            db,
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout == "done\n"


STAND_INS = """
    import sys
    import pymy, pymy.aio
    pymy.install_as_aiomysql()
    pymy.install_as_MySQLdb()

    import pymysql, pymysql.connections, pymysql.cursors, pymysql.err, pymysql.charset
    import pymysql.optionfile, pymysql.protocol, pymysql.times, pymysql.converters
    from pymysql.constants import CLIENT, COMMAND, CR, ER, FIELD_TYPE, FLAG, SERVER_STATUS
    import aiomysql, aiomysql.cursors, aiomysql.connection, aiomysql.pool
    import MySQLdb.connections, MySQLdb.cursors, MySQLdb.release, MySQLdb._mysql
    import MySQLdb.constants.ER, MySQLdb.constants.CR, MySQLdb.constants.FLAG
    from MySQLdb.times import DateTime_or_None, Date_or_None, TimeDelta_or_None
    from MySQLdb.converters import Thing2Literal, escape_string
    from MySQLdb import escape, escape_dict, escape_sequence, string_literal
    from MySQLdb.release import version_info, __version__

    assert pymysql is MySQLdb is pymy and aiomysql is pymy.aio
    assert pymysql.err.OperationalError is aiomysql.OperationalError is MySQLdb.OperationalError
    assert aiomysql.pool.Pool is aiomysql.Pool
    assert aiomysql.connection.Connection is aiomysql.Connection
    assert version_info == pymy.version_info
    assert string_literal("a'b") == escape("a'b", MySQLdb.converters.conversions) == "'a''b'"
    assert Date_or_None("0000-00-00") is DateTime_or_None("2024-02-30 00:00:00") is None
    assert TimeDelta_or_None("nonsense") is None and Date_or_None("2024-02-29").day == 29
    twice = [name for name in sys.modules if name.startswith(("pymysql.", "MySQLdb.", "aiomysql."))
             and not sys.modules[name].__name__.startswith("pymy.") and name != "MySQLdb._mysql"]
    assert twice == [], twice
    print("done")
"""


def test_stand_ins_have_every_submodule():
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(STAND_INS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stderr, done.stdout) == ("", "done\n")


def test_conv_may_choose_by_column_flags(address):
    """mysqlclient takes lists of (FLAG mask, function) too; Pony gives it one."""
    from pymy.constants import FIELD_TYPE, FLAG
    from pymy.converters import conversions

    conv = {**conversions, FIELD_TYPE.BLOB: [(FLAG.BINARY, bytes.hex), (None, str.upper)]}
    with pymysql.connect(**address, conv=conv) as connection, connection.cursor() as cursor:
        cursor.execute("create table t (b blob, c text charset utf8mb4)")
        cursor.execute("insert into t values ('a', 'a')")
        cursor.execute("select b, c from t")
        assert cursor.fetchone() == ("61", "A")
    conv[FIELD_TYPE.BLOB] = [(FLAG.BINARY, bytes)]
    with pymysql.connect(**address, conv=conv) as connection, connection.cursor() as cursor:
        cursor.execute("create table u (b blob, c text charset utf8mb4)")
        cursor.execute("insert into u values ('a', 'a')")
        cursor.execute("select b, c from u")
        assert cursor.fetchone() == (b"a", "a")
