"""Ways to connect, and what goes wrong."""

from __future__ import annotations

import getpass
import os
import socket
import threading

import pytest

import pymy
from pymy.constants import CLIENT, CR, ER


def one(conn, sql, args=None):
    return conn.execute(sql, args).fetchone()[0]


def test_url(connect, db):
    assert one(connect(), "select database()") == db


def test_keywords(server, db, connect):
    if not server.unix_socket:
        pytest.skip("the given server has no unix socket")
    conn = connect(
        None,
        user=server.user,
        password=server.password,
        unix_socket=server.unix_socket,
        database=db,
    )
    assert conn.unix_socket == server.unix_socket
    assert one(conn, "select database()") == db == conn.db


def test_older_keywords(server, db, connect):
    conn = connect(
        None,
        user=server.user,
        passwd=server.tcp_password,
        host=server.host,
        port=server.port,
        db=db,
    )
    assert one(conn, "select database()") == db


def test_by_position(server, db, connect):
    conn = connect(server.host, server.user, server.tcp_password, db, server.port)
    assert one(conn, "select database()") == db
    assert conn.host == server.host


def test_keyword_over_url(dsn, connect):
    assert one(connect(dsn, database="information_schema"), "select database()") == (
        "information_schema"
    )


def test_tcp(connect, tcp_dsn):
    conn = connect(tcp_dsn)
    assert conn._sock.family == socket.AF_INET
    assert conn.host_info == f"socket {conn.host}:{conn.port}"


def test_localhost_means_tcp(server, db, connect):
    conn = connect(
        None, host="localhost", port=server.port, user=server.user, password=server.tcp_password
    )
    assert conn._sock.family in (socket.AF_INET, socket.AF_INET6)
    assert conn.execute("select 1").fetchone() == (1,)


def test_bind_address(connect, tcp_dsn):
    conn = connect(tcp_dsn, bind_address="127.0.0.1")
    assert conn._sock.getsockname()[0] == "127.0.0.1"


def test_defer_connect(connect):
    conn = connect(defer_connect=True)
    assert not conn.open
    with pytest.raises(pymy.InterfaceError, match=r"connect\(\) first") as caught:
        conn.cursor().execute("select 1")
    assert caught.value.sent is False
    conn.connect()
    assert conn.open
    assert one(conn, "select 1") == 1
    with pytest.raises(pymy.InterfaceError, match="open already"):
        conn.connect()


def test_connect_again_after_close(conn):
    first = conn.thread_id()
    conn.close()
    assert not conn.open
    conn.connect()
    assert conn.thread_id() != first
    assert one(conn, "select 1") == 1


def test_own_socket(server, connect):
    sock = socket.create_connection((server.host, server.port))
    conn = connect(
        None,
        defer_connect=True,
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.tcp_password,
    )
    conn.connect(sock)
    assert conn._sock.fileno() in (sock.fileno(), conn.fileno())
    assert one(conn, "select 1") == 1


def test_facts(conn, server, kind):
    assert conn.server_version == conn.get_server_info() == server.version
    assert conn.is_mariadb is server.is_mariadb
    assert conn.server_version_info[:1] == (int(server.version.split(".")[0]),)
    assert one(conn, "select connection_id()") == conn.thread_id()
    assert conn.server_thread_id == (conn.thread_id(),)
    assert conn.character_set_name() == conn.charset == "utf8mb4"
    assert conn.encoding == "utf-8"
    assert conn.get_proto_info() == conn.protocol_version == 10
    assert conn.server_charset
    assert conn.server_capabilities & CLIENT.PROTOCOL_41
    assert conn.client_flag & CLIENT.SESSION_TRACK or kind == "mysql56"
    assert "secret" not in repr(conn)


def test_wrong_password(connect, account):
    user = account("BY 'right'")
    with pytest.raises(pymy.OperationalError) as caught:
        connect(user=user, password="wrong")
    error = caught.value
    assert (error.errno, error.sqlstate, error.code) == (1045, "28000", "ER_ACCESS_DENIED_ERROR")
    assert error.fatal
    assert "wrong" not in str(error)
    assert connect(user=user, password="right").open


def test_password_callable_is_asked_once_a_link(connect, account):
    user = account("BY 'token'")
    asked = []

    def password():
        asked.append(1)
        return "token"

    conn = connect(user=user, password=password)
    assert len(asked) == 1
    conn.close()
    conn.connect()
    assert len(asked) == 2


def test_unknown_database(connect):
    with pytest.raises(pymy.OperationalError) as caught:
        connect(database="no_such_database_here")
    assert caught.value.errno == ER.BAD_DB_ERROR
    assert caught.value.fatal


def test_unknown_host(connect, dsn):
    with pytest.raises(pymy.OperationalError) as caught:
        connect(None, host="no-such-host.invalid", user="root")
    assert caught.value.errno == CR.CR_CONN_HOST_ERROR
    assert caught.value.sent is False


def test_closed_port(connect):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        with pytest.raises(pymy.OperationalError, match=str(port)) as caught:
            connect(None, host="127.0.0.1", port=port, user="root")
    assert caught.value.errno == CR.CR_CONN_HOST_ERROR


def test_no_such_socket(connect, tmp_path):
    with pytest.raises(pymy.OperationalError) as caught:
        connect(None, unix_socket=str(tmp_path / "none"), user="root")
    assert caught.value.errno == CR.CR_CONNECTION_ERROR


def test_connect_timeout_of_a_silent_peer(transport):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(pymy.OperationalError, match="connect_timeout") as caught:
            transport.connect(
                host="127.0.0.1", port=listener.getsockname()[1], user="x", connect_timeout=0.2
            )
        assert caught.value.fatal


def test_port_of_something_else(transport):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(pymy.Error) as caught:
            transport.connect(host="127.0.0.1", port=listener.getsockname()[1], user="x")
        thread.join()
        assert caught.value.fatal


def test_init_command(connect):
    conn = connect(init_command="set @greeting = 'hello'")
    assert one(conn, "select @greeting") == "hello"


def test_init_command_with_rows_is_drained(connect):
    conn = connect(init_command="select 1 union select 2")
    assert one(conn, "select 3") == 3


def test_init_command_that_fails(connect):
    with pytest.raises(pymy.ProgrammingError) as caught:
        connect(init_command="no sql at all")
    assert caught.value.errno == ER.PARSE_ERROR


def test_sql_mode(connect):
    conn = connect(sql_mode="ANSI_QUOTES,PIPES_AS_CONCAT")
    assert set(one(conn, "select @@sql_mode").split(",")) == {"ANSI_QUOTES", "PIPES_AS_CONCAT"}
    assert conn.sql_mode == "ANSI_QUOTES,PIPES_AS_CONCAT"


def test_session_variables(connect):
    conn = connect(session_variables={"wait_timeout": 1234, "time_zone": "+03:00"})
    assert conn.execute("select @@wait_timeout, @@time_zone").fetchone() == (1234, "+03:00")


def test_session_variable_unknown(connect):
    with pytest.raises(pymy.OperationalError) as caught:
        connect(session_variables={"no_such_variable": 1})
    assert caught.value.errno == ER.UNKNOWN_SYSTEM_VARIABLE


@pytest.mark.parametrize(("mode", "value"), [(False, 0), (True, 1), (None, 1)])
def test_autocommit_modes(connect, mode, value):
    conn = connect(autocommit=mode)
    assert one(conn, "select @@autocommit") == value
    assert conn.get_autocommit() is bool(value)
    assert conn.autocommit_mode is mode


def test_autocommit_none_keeps_the_servers(connect, set_global):
    set_global("autocommit", 0)
    assert one(connect(autocommit=None), "select @@autocommit") == 0


def test_autocommit_switch(conn):
    assert conn.get_autocommit() is False
    conn.autocommit(True)
    assert conn.get_autocommit() is True
    assert one(conn, "select @@autocommit") == 1
    conn.autocommit(False)
    assert one(conn, "select @@autocommit") == 0


def test_collation(connect):
    conn = connect(collation="utf8mb4_bin")
    assert one(conn, "select @@collation_connection") == "utf8mb4_bin"


def test_collation_above_255(connect, kind):
    name = {
        "mariadb": "utf8mb4_nopad_bin",
        "mariadb11": "utf8mb4_uca1400_german2_ai_ci",
        "mysql": "utf8mb4_ja_0900_as_cs",
    }.get(kind)
    if name is None:
        pytest.skip(f"{kind} has no utf8mb4 collation above 255")
    conn = connect(collation=name)
    assert one(conn, "select @@collation_connection") == name


def test_default_collation_is_the_servers_own(connect, kind):
    conn = connect()
    own = one(conn, "select @@collation_connection")
    assert (
        own
        == {
            "mariadb": "utf8mb4_general_ci",
            "mariadb11": "utf8mb4_uca1400_ai_ci",
            "mysql": "utf8mb4_0900_ai_ci",
            "mysql56": "utf8mb4_general_ci",
        }[kind]
    )


@pytest.mark.parametrize("name", ["nonsense", "utf8mb4; drop table x"])
def test_unknown_charset(connect, name):
    with pytest.raises(pymy.ProgrammingError, match="charset"):
        connect(charset=name)


def test_connection_attributes(extra_server, connect):
    other = extra_server("--performance-schema=ON")
    conn = connect(other.dsn, program_name="till", connection_attributes={"shop": "Ä1"})
    rows = conn.execute(
        "select attr_name, attr_value from performance_schema.session_connect_attrs "
        "where processlist_id = connection_id()"
    ).fetchall()
    found = dict(rows)
    assert found["_client_name"] == "pymy"
    assert found["_client_version"] == pymy.__version__
    assert found["_pid"] == str(os.getpid())
    assert found["program_name"] == "till"
    assert found["shop"] == "Ä1"
    conn = connect(other.dsn, connection_attributes=False)
    assert conn.execute(
        "select count(*) from performance_schema.session_connect_attrs "
        "where processlist_id = connection_id()"
    ).fetchone() == (0,)


def test_permit_expired_password(connect, account, server, kind, set_global):
    user = account("BY 'old'")
    with pymy.connect(server.dsn) as admin:
        admin.query(f"ALTER USER {user}@'%' PASSWORD EXPIRE")
    if server.is_mariadb:
        set_global("disconnect_on_expired_password", 1)
    with pytest.raises(pymy.OperationalError) as caught:
        connect(user=user, password="old")
    assert caught.value.errno in (ER.MUST_CHANGE_PASSWORD, ER.MUST_CHANGE_PASSWORD_LOGIN)
    conn = connect(user=user, password="old", permit_expired_password=True)
    with pytest.raises(pymy.OperationalError) as caught:
        conn.query("select 1")
    assert caught.value.errno == ER.MUST_CHANGE_PASSWORD
    conn.query("set password = 'new'" if kind == "mysql" else "set password = password('new')")
    assert one(conn, "select 1") == 1
    assert connect(user=user, password="new").open


def test_user_defaults_to_the_systems(connect, server):
    if getpass.getuser() != server.user:
        pytest.skip("the tests run as another user than the server's account")
    conn = connect(None, host=server.host, port=server.port, password=server.tcp_password)
    assert conn.user == getpass.getuser()


def test_option_file(connect, server, db, tmp_path):
    path = tmp_path / "my.cnf"
    path.write_text(
        f"[client]\nuser = {server.user}\npassword = '{server.tcp_password}'\n"
        f"host = {server.host}\nport = {server.port}\n"
        f"[shop]\ndatabase = {db}\n"
    )
    conn = connect(None, read_default_file=str(path), read_default_group=["client", "shop"])
    assert one(conn, "select database()") == db


def test_found_rows(connect):
    conn = connect(client_found_rows=True)
    conn.query("create table t (a int)")
    conn.query("insert into t values (1), (1)")
    assert conn.query("update t set a = 1") == 2
    plain = connect(autocommit=True)
    conn.commit()
    assert plain.query("update t set a = 1") == 0


@pytest.mark.only("blocking,nonblocking", "closing twice is harmless there, as in aiomysql")
def test_with_closes(connect):
    with connect() as conn:
        assert one(conn, "select 1") == 1
    assert not conn.open
    with pytest.raises(pymy.Error, match="closed"):
        conn.close()
    with pytest.raises(pymy.InterfaceError):
        conn.ping()


def test_unclosed_connection_warns(dsn):
    conn = pymy.connect(dsn)
    with pytest.warns(ResourceWarning, match="unclosed"):
        del conn


def test_without_deprecate_eof(connect):
    conn = connect(deprecate_eof=False)
    assert conn.execute("select 1 union select 2").fetchall() == ((1,), (2,))
    assert conn.execute("select 1 from dual where false").fetchall() == ()
