"""How a connection is made ready for its next user, and in how many writes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from scripted import Server, err, expect, greet, listen_to_the_end, ok, query, response, step
from server_packets import CHANGE_USER, INIT_DB, PING, QUERY, RESET_CONNECTION, ok_packet

import pymy
from pymy.aio import Pool as TaskPool
from pymy.cursors import SSCursor
from pymy.pool import Pool
from pymy.protocol.session import Session

NAMES = "SET NAMES utf8mb4, autocommit=0"


@step
def login(peer):
    """Let the client in, whose first statement is NAMES, to a server without roles."""
    greet("5.7.44-scripted")(peer)
    response()(peer)
    ok()(peer)
    query(NAMES)(peer)
    ok()(peer)


@step
def silence(peer):
    """Hear nothing more until the client leaves."""
    before = bytes(peer.heard)
    listen_to_the_end()(peer)
    assert peer.heard.removeprefix(before) in (b"", b"\1\0\0\0\1")  # COM_QUIT


@step
def changes_user(peer):
    assert peer.read("COM_CHANGE_USER")[0] == CHANGE_USER


@step
def used(peer):
    """Answer the ping without which there is nothing to reset."""
    expect(PING)(peer)
    ok()(peer)


@step
def commands(peer, *wanted):
    """Read all of these before the first answer; then answer them in one go."""
    answers = b""
    for code, content in wanted:
        expect(code, content)(peer)
        packet = ok_packet()
        answers += len(packet).to_bytes(3, "little") + b"\1" + packet
    peer.sock.sendall(answers)


RESET = [(RESET_CONNECTION, b""), (QUERY, NAMES), (INIT_DB, "shop")]


def release_in_threads(options, times=1, use=True, **settings):
    pool = Pool(max_size=1, **settings, **options)
    for _ in range(times):
        conn = pool.acquire()
        if use:
            conn.ping()
        conn.release()
    return pool.stats(), pool.terminate()


def release_in_tasks(options, times=1, use=True, **settings):
    async def main():
        pool = TaskPool(max_size=1, **settings, **options)
        for _ in range(times):
            conn = await pool.acquire()
            if use:
                await conn.ping()
            await conn.release()
        return pool.stats(), pool.terminate()

    return asyncio.run(main())


both = pytest.mark.parametrize("release", [release_in_threads, release_in_tasks])


@both
def test_one_write(release):
    with Server(
        login(), used(), commands(*RESET), used(), commands(*RESET), listen_to_the_end()
    ) as server:
        stats, _ = release(server.options(database="shop"), times=2)
    assert (stats.idle, stats.connected) == (1, 1)


@both
def test_p112_a_server_without_it_is_asked_once(release):
    """... and not by each of the pool's connections."""
    with Server(
        login(), used(), expect(RESET_CONNECTION), err(1047, "Unknown command"), query(NAMES), ok(),
        expect(INIT_DB, "shop"), ok(), changes_user(), ok(), query(NAMES), ok(),
        used(), changes_user(), ok(), query(NAMES), ok(), listen_to_the_end(),
    ) as server:  # fmt: skip
        stats, _ = release(server.options(database="shop"), times=2)
    assert (stats.idle, stats.connected) == (1, 1)


@both
def test_p112_refused_altogether(release):
    with Server(
        login(), used(), expect(RESET_CONNECTION), err(1047, "Unknown command"), query(NAMES), ok(),
        expect(INIT_DB, "shop"), ok(), changes_user(), err(1105, "no"),
        listen_to_the_end(),
    ) as server:  # fmt: skip
        stats, _ = release(server.options(database="shop"))
    assert (stats.size, stats.broken) == (0, 1)


@both
def test_a_proxy_that_loses_commands(release):
    """It costs one connection; from then on each command waits for the answer of the last."""
    with Server(
        login(), used(), expect(RESET_CONNECTION), ok(), listen_to_the_end(),
    ).then(
        login(), used(), expect(RESET_CONNECTION), ok(), query(NAMES), ok(),
        expect(INIT_DB, "shop"), ok(), listen_to_the_end(),
    ) as server:  # fmt: skip
        stats, _ = release(server.options(database="shop", cancel_timeout=0.2), times=2)
    assert (stats.idle, stats.connected, stats.broken) == (1, 2, 1)


@pytest.fixture
def writes(monkeypatch):
    """Count what the driver hands to a socket."""
    counted = []
    original = Session.sent

    def sent(self, count):
        counted.append(bytes(self.output()[:count]))
        return original(self, count)

    monkeypatch.setattr(Session, "sent", sent)
    return counted


SHOWN = "select @a, database(), @@autocommit, @@character_set_client, (select count(*) from t)"


@pytest.mark.parametrize("address", ["dsn", "tcp_dsn"])
@pytest.mark.parametrize("how", ["threads", "tasks"])
def test_one_write_on_real_servers(request, writes, db, needs, address, how):
    needs("session tracking")
    url = request.getfixturevalue(address)
    options = {"max_size": 1, "init_command": "set @a = 1"}
    with pymy.connect(url, autocommit=True) as conn:
        conn.execute("create table t (id int) engine=innodb")
    table = f"insert into {db}.t values (2)"
    spoil = ["set @a = 5, names latin1", "use test", "set autocommit = 1", "begin", table]
    if how == "threads":
        with Pool(url, **options) as pool:
            with pool.connection() as conn:
                conn.ping()  # the first reset asks for the account's roles, too
            conn = pool.acquire()
            for statement in spoil:
                conn.execute(statement)
            conn.set_multi_statements(True)
            del writes[:]
            conn.release()
            written = list(writes)
            with pool.connection() as conn:
                shown = conn.execute(SHOWN).fetchone()
            stats = pool.stats()
    else:

        async def main():
            async with TaskPool(url, **options) as pool:
                async with pool.connection() as conn:
                    await conn.ping()
                conn = await pool.acquire()
                for statement in spoil:
                    await conn.execute(statement)
                await conn.set_multi_statements(True)
                del writes[:]
                await conn.release()
                written = list(writes)
                async with pool.connection() as conn:
                    shown = await (await conn.execute(SHOWN)).fetchone()
                return written, shown, pool.stats()

        written, shown, stats = asyncio.run(main())
    assert len(written) == 1
    assert shown == (1, db, 0, "utf8mb4", 0)
    assert stats.connected == 1


@pytest.fixture
def role(account, server, db):
    """Options of an account that may set a role, the role, and what makes it the default."""
    with pymy.connect(server.dsn) as admin:
        user = account()
        name = f"rôle`{user}"
        quoted = "`" + name.replace("`", "``") + "`"
        admin.query(f"create role {quoted}")
        admin.query(f"grant select on mysql.* to {quoted}")
        admin.query(f"grant {quoted} to {user}@'%'")
        options = {"unix_socket": server.unix_socket, "user": user, "database": db}
        default = f"set default role {quoted} {'for' if server.is_mariadb else 'to'} {user}@'%'"
        yield options, quoted, lambda: admin.query(default)
        admin.query(f"drop role {quoted}")


def roles_of(conn):
    return conn.execute("select current_role()").fetchone()[0] or "NONE"


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("default", [False, True])
def test_the_next_user_has_the_roles_of_the_login(needs, role, together, default):
    needs("roles")
    options, name, make_default = role
    if default:
        make_default()
    with Pool(max_size=1, init_command="set @a = 1", **options) as pool:
        pool._core(None).ways.together = together
        with pool.connection() as conn:
            first, thread = roles_of(conn), conn.thread_id()
        assert (first == "NONE") is not default
        for change in (f"set role {name}", "set role none", f"set role {name}"):
            with pool.connection() as conn:
                conn.execute(change)
            with pool.connection() as conn:
                assert (roles_of(conn), conn.thread_id()) == (first, thread)
                assert not conn.in_transaction
                assert conn.execute("select @a").fetchone() == (1,)
        assert pool._core(None).ways.together is together


def test_connections_share_what_is_known_of_the_way(dsn):
    with Pool(dsn) as pool, pool.connection() as conn:
        ways = pool._core(None).ways
        assert conn._ways is conn._session.ways is ways
        assert ways.together
    with Pool(dsn, pipelining=False) as pool, pool.connection() as conn:
        assert not conn._session.ways.together


def test_the_first_user_leaves_no_role_either(needs, role):
    needs("roles")
    options, name, _ = role
    with Pool(max_size=1, **options) as pool:
        with pool.connection() as conn:
            conn.execute(f"set role {name}")
            thread = conn.thread_id()
        with pool.connection() as conn:
            assert (roles_of(conn), conn.thread_id()) == ("NONE", thread)


def test_all_roles_where_a_login_gives_all(needs, role, server):
    needs("roles")
    if server.is_mariadb:
        pytest.skip("activate_all_roles_on_login is MySQL's")
    options, name, _ = role
    with pymy.connect(server.dsn) as admin, Pool(max_size=1, **options) as pool:
        admin.query("set global activate_all_roles_on_login = on")
        try:
            for _ in range(2):
                with pool.connection() as conn:
                    assert name in roles_of(conn)
                    conn.execute("set role none")
        finally:
            admin.query("set global activate_all_roles_on_login = off")


def test_a_role_that_was_taken_away(needs, role, server):
    """The connection cannot be given its first state: it is closed."""
    needs("roles")
    if not server.is_mariadb:
        pytest.skip("MySQL's SET ROLE DEFAULT goes by what is granted now")
    options, name, make_default = role
    make_default()
    with pymy.connect(server.dsn) as admin, Pool(max_size=1, **options) as pool:
        with pool.connection() as conn:
            conn.ping()
        admin.query(f"revoke {name} from {options['user']}@'%'")
        with pool.connection() as conn:
            conn.ping()
        assert pool.stats().broken == 1
        with pool.connection() as conn:
            assert roles_of(conn) == "NONE"


@pytest.mark.parametrize("change", ["reset", "change_user", "other user"])
def test_roles_of_a_single_connection(needs, role, account, change):
    needs("roles")
    options, name, _ = role
    with pymy.connect(**options) as conn:
        conn.execute(f"set role {name}")
        if change == "reset":
            conn.reset()
        else:
            conn.change_user(user=account() if change == "other user" else None)
        assert roles_of(conn) == "NONE"


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_multi_statements_are_as_asked_for(dsn, together, wanted):
    def runs(conn):
        try:
            conn.execute("do 1; do 2")
        except pymy.ProgrammingError:
            return False
        return True

    first = "do 1; do 2" if wanted else None
    with Pool(dsn, max_size=1, multi_statements=wanted, init_command=first) as pool:
        pool._core(None).ways.together = together
        for _ in range(2):
            with pool.connection() as conn:
                assert runs(conn) is wanted
                conn.set_multi_statements(not wanted)
                assert runs(conn) is not wanted
        assert pool.stats().connected == 1
        conn = pool.acquire()
        for again in (conn.reset, conn.change_user):
            conn.set_multi_statements(not wanted)
            again()
            assert runs(conn) is wanted
        conn.release()


# -- nothing is sent where there is nothing to undo


@both
@pytest.mark.parametrize("reset", [True, False])
def test_an_unused_connection_sends_nothing(release, reset):
    asked = []
    with Server(login(), silence()) as server:
        options = server.options(password=lambda: asked.append(1) or "secret")
        stats, _ = release(options, times=3, use=False, reset_on_release=reset)
    assert (stats.idle, stats.connected, stats.acquired, len(asked)) == (1, 1, 3, 1)


@both
def test_a_reset_asks_for_no_password(release):
    asked = []
    with Server(login(), used(), commands(*RESET), silence()) as server:
        release(
            server.options(database="shop", password=lambda: asked.append(1) or "secret"),
        )
    assert len(asked) == 1


@both
def test_only_the_hook_used_it(release):
    with Server(login(), used(), commands(*RESET[:2]), silence()) as server:
        stats, _ = release(server.options(), use=False, on_release=lambda conn: conn.ping())
    assert (stats.idle, stats.broken) == (1, 0)


@both
def test_no_reset_and_no_transaction(release):
    with Server(login(), used(), used(), silence()) as server:
        stats, _ = release(server.options(), times=2, reset_on_release=False)
    assert (stats.idle, stats.connected) == (1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        [ok(status=0x0001)],  # SERVER_STATUS_IN_TRANS
        [ok(status=0x0001), query("select 2"), err(1213, "Deadlock", "40001")],  # a guess
        [err(1062, "Duplicate entry", "23000")],  # an ERR has no status
    ],
    ids=["open", "guessed", "unknown"],
)
def test_what_may_be_a_transaction_is_rolled_back(answer):
    with Server(login(), query("select 1"), *answer, query("ROLLBACK"), ok(), silence()) as server:
        pool = Pool(max_size=1, reset_on_release=False, **server.options())
        with pool.connection() as conn:
            with suppress(pymy.Error):
                conn.execute("select 1")
            if len(answer) > 1:
                with pytest.raises(pymy.OperationalError, match="Deadlock"):
                    conn.execute("select 2")
                assert conn._session.status_guessed
        with pool.connection() as conn:  # used for nothing, and so sends nothing
            pass
        pool.terminate()


@pytest.mark.parametrize("reset", [True, False])
def test_questions_of_a_real_server(pool_of, direct, reset):
    """The server itself counts what it is asked."""
    pool = pool_of(max_size=1, reset_on_release=reset, autocommit=True)
    questions = "show global status like 'Questions'"

    def asked(work):
        before = int(direct.execute(questions).fetchone()[1])
        for _ in range(10):
            with pool.connection() as conn:
                work(conn)
        return int(direct.execute(questions).fetchone()[1]) - before - 1

    pool.execute("select 1")
    assert asked(lambda conn: None) == 0
    assert (asked(lambda conn: conn.execute("select 1")) == 10) is not reset


SPOILED = {
    "open": ["insert into t values (2)"],
    "failed": ["insert into t values (1)"],  # keeps a lock on the row that was there
    "in a procedure": ["set autocommit = 1", "call fails()"],
    "locks alone": ["select * from m"],  # MySQL keeps them, and its status says nothing
    "unread": ["select 2; begin; update t set id = 3"],
}


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize("world", ["threads", "tasks"])
def test_no_transaction_survives(dsn, pool_of, direct, how, world):
    direct.execute("create table t (id int primary key) engine=innodb")
    direct.execute("insert into t values (1)")
    direct.execute("create table m (id int) engine=myisam")
    direct.execute(
        "create procedure fails() begin start transaction; update t set id = 4; "
        "insert into t values (4); end"
    )
    direct.execute("set innodb_lock_wait_timeout = 1, lock_wait_timeout = 1")
    options = {"max_size": 1, "reset_on_release": False, "multi_statements": True}
    if world == "threads":
        pool = pool_of(**options)
        with pool.connection() as conn:
            thread = conn.thread_id()
            for statement in SPOILED[how]:
                with suppress(pymy.IntegrityError):
                    conn.execute(statement)
        with pool.connection() as conn:
            assert (conn.thread_id(), conn.in_transaction) == (thread, False)
            direct.execute("update t set id = 5")
            for table in ("t", "m"):
                direct.execute(f"alter table {table} comment 'nobody holds it'")
    else:

        async def main():
            async with TaskPool(dsn, **options) as pool:
                conn = await pool.acquire()
                thread = conn.thread_id()
                for statement in SPOILED[how]:
                    with suppress(pymy.IntegrityError):
                        await conn.execute(statement)
                await conn.release()
                async with pool.connection() as conn:
                    assert (conn.thread_id(), conn.in_transaction) == (thread, False)
                    direct.execute("update t set id = 5")
                    for table in ("t", "m"):
                        direct.execute(f"alter table {table} comment 'nobody holds it'")

        asyncio.run(main())
    assert direct.execute("select id from t").fetchall() == ((5,),)


@pytest.mark.parametrize("read", [0, 1])
def test_an_unread_stream_is_cleared_away(pool_of, read):
    pool = pool_of(max_size=1, reset_on_release=False)
    conn = pool.acquire()
    cursor = conn.cursor(SSCursor)
    cursor.execute("select 1 union all select 2 union all select 3")
    cursor.fetchmany(read)
    conn.release()
    assert pool.execute("select 4").fetchone() == (4,)
    assert (pool.stats().connected, pool.stats().idle) == (1, 1)
