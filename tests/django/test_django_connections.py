"""Connections and pools of the backend: options, reuse, and what is left when they die."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connections
from django.test import RequestFactory
from engine import ENGINE, ROOT
from shop.models import Item

import pymy

pytestmark = pytest.mark.skipif(ENGINE != "pymy.django", reason="tests what pymy.django adds")


def ask(connection, query, *args):
    with connection.cursor() as cursor:
        cursor.execute(query, args)
        return cursor.fetchone()[0]


def kill(server, connection):
    thread_id = ask(connection, "select connection_id()")
    with pymy.connect(server.dsn) as admin:
        admin.kill(thread_id)
        while admin.execute(
            "select 1 from information_schema.processlist where id = %s", (thread_id,)
        ).fetchone():
            pass


# -- options


def test_nothing_of_another_driver(server, db):
    program = """
        import json, sys
        from django.conf import settings
        settings.configure(DATABASES={"default": json.loads(sys.argv[1])})
        import django
        django.setup()
        from django.db import connection
        from django.core.management import call_command
        with connection.cursor() as cursor:
            cursor.execute("create table t (id int primary key, day time)")
            cursor.execute("insert into t values (1, '10:00')")
            cursor.execute("select day from t")
            print(cursor.fetchone())
        call_command("inspectdb", verbosity=0)
        print([name for name in sys.modules if name.split(".")[0] in ("MySQLdb", "_mysql")])
        connection.close()
    """
    entry = {
        "ENGINE": "pymy.django",
        "NAME": db,
        "USER": server.user,
        "PASSWORD": server.password,
        "HOST": server.unix_socket or server.host,
        "PORT": server.port,
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program), json.dumps(entry)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, *_, last = done.stdout.splitlines()
    assert first == "(datetime.time(10, 0),)" and last == "[]"


def test_options_reach_the_driver(use):
    connection = use(
        options={
            "read_timeout": 7.5,
            "charset": "latin1",
            "client_flag": "IGNORE_SPACE",
            "session_variables": {"sort_buffer_size": 262144},
        }
    )
    connection.ensure_connection()
    options = connection.connection.options
    assert (options.read_timeout, options.charset) == (7.5, "latin1")
    assert options.client_found_rows and options.ignore_space
    assert ask(connection, "select @@sort_buffer_size") == 262144
    assert ask(connection, "select @@sql_auto_is_null") == 0


def test_option_unknown(use):
    with pytest.raises(TypeError, match="read_timeout"):
        use(options={"read_timeot": 1}).ensure_connection()


@pytest.mark.parametrize(
    "options", [{"json": True}, {"use_unicode": False}, {"paramstyle": "qmark"}], ids=str
)
def test_options_that_the_orm_has_its_own_of(use, options):
    (name,) = options
    with pytest.raises(ImproperlyConfigured, match=name):
        use(options=options).ensure_connection()


def test_converters_of_the_program(use):
    from pymy.constants import FIELD_TYPE
    from pymy.converters import conversions

    conv = {**conversions, FIELD_TYPE.NEWDECIMAL: float}
    connection = use(options={"conv": conv})
    assert type(ask(connection, "select 1.5")) is float
    assert str(ask(connection, "select cast('10:00' as time)")) == "10:00:00"
    own = use(options={"conv": {**conversions, FIELD_TYPE.TIME: str}})
    assert ask(own, "select cast('10:00' as time)") == "10:00:00"


def test_zero_dates_are_none_as_with_mysqlclient(use):
    query = "select cast('0000-00-00 00:00:00' as datetime)"
    empty = {"sql_mode": ""}
    assert ask(use(options=empty), query) is None
    assert ask(use(options={**empty, "zero_dates": "str"}), query) == "0000-00-00 00:00:00"


@pytest.mark.parametrize("bound", [False, True])
def test_server_side_binding(use, bound):
    connection = use(options={"server_side_binding": bound})
    with connection.cursor() as cursor:
        cursor.execute("select 1 from dual where 1 = %s", (1,))
        assert cursor.fetchone() == (1,)
        cursor.execute("show session status like 'Com_stmt_execute'")
        assert int(cursor.fetchone()[1]) == bound


def test_a_connect_takes_one_statement_of_djangos(use):
    """Autocommit and the like travel with the driver's first statement."""
    connection = use(options={"isolation_level": None})
    connection.mysql_server_data  # noqa: B018 - read once for each connection object
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("show session status like 'Questions'")
        # SET NAMES ..., and this one
        assert int(cursor.fetchone()[1]) == 2
    assert connection.get_autocommit() and connection.connection.get_autocommit()


# -- reuse


def test_reuse_after_kill(connection, server):
    """As between two requests: the next one finds a new connection."""
    kill(server, connection)
    with pytest.raises(OperationalError) as info:
        Item.objects.count()
    assert isinstance(info.value.__cause__, pymy.OperationalError)
    connection.close_if_unusable_or_obsolete()
    assert Item.objects.count() == 0


def test_health_checks(use, tables, server):
    connection = tables(use(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True))
    thread_id = ask(connection, "select connection_id()")
    connection.close_if_unusable_or_obsolete()  # a request's end
    assert ask(connection, "select connection_id()") == thread_id
    kill(server, connection)
    connection.close_if_unusable_or_obsolete()
    assert Item.objects.count() == 0


def test_close_twice_and_after_a_loss(connection, server):
    kill(server, connection)
    with suppress(OperationalError):
        Item.objects.count()
    connection.close()
    connection.close()
    assert Item.objects.count() == 0
    connection.connection.abort()
    connection.close()
    assert Item.objects.count() == 0


# -- pools


@pytest.fixture
def pooled(use, tables):
    tables(use()).close()
    return lambda pool=True, **changes: use(
        options={"pool": pool, **changes.pop("options", {})}, **changes
    )


def test_pool_keeps_connections(pooled):
    connection = pooled()
    thread_id = ask(connection, "select connection_id()")
    connection.close()
    assert connection.pool.stats().idle == 1
    assert ask(connection, "select connection_id()") == thread_id
    assert connection.pool.stats().connected == 1


def test_pool_takes_its_options(pooled):
    connection = pooled({"max_size": 1, "acquire_timeout": 0.1}, options={"read_timeout": 9})
    connection.ensure_connection()
    assert connection.connection.options.read_timeout == 9
    failures = []

    def late():
        try:
            connections["default"].ensure_connection()
        except OperationalError as error:
            failures.append(error)

    thread = threading.Thread(target=late)
    thread.start()
    thread.join()
    assert isinstance(failures[0].__cause__, pymy.PoolTimeout)


def test_pool_is_shared_by_threads(pooled):
    pool = pooled({"max_size": 2}).pool

    def work():
        for _ in range(10):
            Item.objects.create(name=threading.current_thread().name + str(_))
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Item.objects.count() == 40
    assert pool.stats().connected <= 2


def test_pool_gives_clean_sessions(pooled):
    seen = []
    pool = {"on_connect": seen.append}
    connection = pooled(pool, options={"isolation_level": "serializable"})
    assert ask(connection, "select @@session.autocommit") == 1
    with connection.cursor() as cursor:
        cursor.execute("set @x = 1, autocommit = 0")
        cursor.execute("set session transaction isolation level read uncommitted")
        cursor.execute("insert into shop_order (item_id, count) select null, 1 from dual where 0")
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("select @x, @@autocommit")
        assert cursor.fetchone() == (None, 1)
        cursor.execute(
            "show variables where variable_name in ('transaction_isolation', 'tx_isolation')"
        )
        assert cursor.fetchone()[1] == "SERIALIZABLE"
    assert connection.pool.stats().connected == 1 and len(seen) == 2


def test_pool_after_kill(pooled, server):
    connection = pooled()
    kill(server, connection)
    with pytest.raises(OperationalError):
        Item.objects.count()
    connection.close_if_unusable_or_obsolete()
    assert Item.objects.count() == 0
    kill(server, connection)
    connection.close()  # goes back dead, and is not lent again
    assert Item.objects.count() == 0


def test_pool_rolls_back(pooled):
    connection = pooled()
    connection.set_autocommit(False)
    Item.objects.create(name="lost")
    connection.close()
    assert Item.objects.count() == 0


def test_pool_with_persistent_connections(pooled):
    with pytest.raises(ImproperlyConfigured, match="CONN_MAX_AGE"):
        pooled(CONN_MAX_AGE=60).ensure_connection()


def test_pool_with_options_of_connections(pooled):
    with pytest.raises(ImproperlyConfigured, match="charset"):
        pooled({"charset": "latin1"}).ensure_connection()


def test_pool_with_health_checks(pooled):
    assert pooled().pool.limits.validate_after == 0.5
    assert pooled(CONN_HEALTH_CHECKS=True).pool.limits.validate_after == 0
    assert pooled({"validate_after": 9}, CONN_HEALTH_CHECKS=True).pool.limits.validate_after == 9


def test_pool_closed(pooled):
    connection = pooled()
    pool = connection.pool
    Item.objects.count()
    connection.close()
    connection.close_pool()
    assert pool.closed
    assert Item.objects.count() == 0 and connection.pool is not pool


# -- async


@pytest.mark.parametrize("options", [{}, {"pool": True}], ids=["plain", "pool"])
def test_async_view(use, tables, options):
    """Django carries the ORM's async methods to a thread; the backend has no part in it."""
    import asyncio

    from asgiref.sync import sync_to_async
    from django.http import JsonResponse

    tables(use()).close()
    use(options=options)

    async def view(request):
        made = await Item.objects.acreate(name=request.GET["name"])
        names = [item.name async for item in Item.objects.all()]
        return JsonResponse({"id": made.pk, "names": names})

    def forget():  # the thread outlives the test
        connections.close_all()
        del connections["default"]

    async def main():
        answer = await view(RequestFactory().get("/", {"name": "one"}))
        await sync_to_async(forget)()
        return answer

    assert asyncio.run(main()).content == b'{"id": 1, "names": ["one"]}'
