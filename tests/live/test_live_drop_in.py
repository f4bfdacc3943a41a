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
