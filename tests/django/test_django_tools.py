"""What manage.py does with a database: test databases, copies, shells."""

from __future__ import annotations

import io

import pytest
from django.core.management import call_command
from django.core.management.color import no_style
from engine import ENGINE
from shop.models import Item

import pymy

pytestmark = pytest.mark.skipif(ENGINE != "pymy.django", reason="tests what pymy.django adds")


# -- test databases

OBJECTS = """
create table plain (id int auto_increment primary key, note varchar(20) default 'x',
    twice varchar(40) as (concat(note, note)) stored, bits bit(3), raw varbinary(10));
create table child (plain_id int, constraint to_plain foreign key (plain_id) references plain (id));
create view upper_view as select id, note from lower_view;
create view lower_view as select id, note from plain;
create procedure count_up(out n int) select count(*) into n from plain;
create function unity() returns int deterministic return 1;
create trigger before_plain before insert on plain for each row set new.note = upper(new.note);
create event never on schedule every 1 year starts '2037-01-01' disable do delete from plain;
"""


@pytest.mark.parametrize("pool", [False, True])
def test_copy_of_a_database(use, db, server, pool):
    connection = use(options={"pool": pool})
    with connection.cursor() as cursor:
        for statement in OBJECTS.split(";\n"):
            if statement.startswith("create view upper_view"):
                late = statement
            elif statement.strip():
                cursor.execute(statement)
        cursor.execute(late)
        cursor.execute("insert into plain (id, note, bits, raw) values (5, 'a', b'101', x'00ff')")
        cursor.execute("set sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        cursor.execute("insert into plain (id) values (0)")
        cursor.execute("insert into child values (5)")
        if connection.mysql_is_mariadb:
            cursor.execute("create sequence counter start with 7")
            cursor.execute("create table kept (id int) with system versioning")
            cursor.execute("insert into kept values (1)")
    connection.creation.clone_test_db("copy", verbosity=0)
    try:
        with pymy.connect(server.dsn_for(f"{db}_copy")) as copy:

            def rows(query):
                return copy.execute(query).fetchall()

            expected = ((0, "X", "XX", None, None), (5, "A", "AA", b"\5", b"\0\xff"))
            assert rows("select * from plain order by id") == expected
            assert rows("select * from upper_view order by id") == ((0, "X"), (5, "A"))
            copy.execute("insert into plain (note) values ('b')")
            assert rows("select id, note from plain where id > 5") == ((6, "B"),)
            with pytest.raises(pymy.IntegrityError):
                copy.execute("insert into child values (99)")
            assert rows("select unity()") == ((1,),)
            copy.execute("call count_up(@n)")
            assert rows("select @n") == ((3,),)
            ask = "select event_name from information_schema.events where event_schema = database()"
            assert rows(ask) == (("never",),)
            if connection.mysql_is_mariadb:
                assert rows("select nextval(counter)") == ((7,),)
                assert rows("select * from kept") == ((1,),)
            copy.commit()
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from plain")
            assert cursor.fetchone() == (2,)
    finally:
        connection.creation.destroy_test_db(suffix="copy", verbosity=0)
    with pytest.raises(pymy.OperationalError, match="Unknown database"):
        pymy.connect(server.dsn_for(f"{db}_copy"))


@pytest.mark.parametrize("pool", [False, True])
def test_test_database(use, db, pool):
    connection = use(options={"pool": pool})
    connection.ensure_connection()
    name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        assert name == f"test_{db}"
        with connection.cursor() as cursor:
            cursor.execute("select database()")
            assert cursor.fetchone() == (name,)
            assert "shop_item" in connection.introspection.table_names(cursor)
    finally:
        connection.creation.destroy_test_db(db, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("show databases like %s", [name])
        assert cursor.fetchone() is None


def test_flush_and_statements_shown(connection):
    Item.objects.create(name="one")
    call_command("flush", interactive=False, verbosity=0)
    assert Item.objects.create(name="two").pk == 1
    statements = connection.ops.sql_flush(no_style(), ["shop_item"])
    assert any("shop_item" in statement for statement in statements)
    editor = connection.schema_editor(collect_sql=True)
    assert editor.quote_value(b"\x00'") == "X'0027'"
    assert editor.quote_value("it's") == "'it''s'"


def test_system_check(connection):
    out = io.StringIO()
    call_command("check", databases=["default"], stdout=out)
    assert "no issues" in out.getvalue()


# -- dbshell


def shell(monkeypatch, programs=("mysql",), **entry):
    from pymy.django.client import DatabaseClient

    where = {name: f"/nowhere/{name}" for name in programs}
    monkeypatch.setattr("shutil.which", where.get)
    blank = {"NAME": "shop", "USER": "", "PASSWORD": "", "HOST": "", "PORT": "", "OPTIONS": {}}
    return DatabaseClient.settings_to_cmd_args_env({**blank, **entry}, ["--batch"])


TCP = "--protocol=TCP"


@pytest.mark.parametrize(
    ("entry", "args"),
    [
        ({}, ["--host=127.0.0.1", TCP]),
        ({"HOST": "localhost", "PORT": 3307}, ["--host=localhost", "--port=3307", TCP]),
        ({"HOST": "/run/s"}, ["--socket=/run/s"]),
        ({"OPTIONS": {"unix_socket": "/run/s"}}, ["--socket=/run/s"]),
        ({"OPTIONS": {"read_default_file": "my.cnf"}}, ["--defaults-file=my.cnf"]),
        (
            {"OPTIONS": {"ssl_mode": "verify_identity", "ssl_ca": "ca.pem"}},
            ["--host=127.0.0.1", "--ssl-ca=ca.pem", TCP, "--ssl-mode=VERIFY_IDENTITY"],
        ),
        (
            {"OPTIONS": {"ssl": {"ca": "ca.pem", "cert": "c.pem", "key": "k.pem"}}},
            ["--host=127.0.0.1", "--ssl-ca=ca.pem", "--ssl-cert=c.pem", "--ssl-key=k.pem", TCP,
             "--ssl-mode=VERIFY_IDENTITY"],
        ),
        ({"OPTIONS": {"ssl": "disabled"}}, ["--host=127.0.0.1", TCP, "--ssl-mode=DISABLED"]),
    ],
)  # fmt: skip
def test_shell_arguments(monkeypatch, entry, args):
    assert shell(monkeypatch, **entry) == (["mysql", *args, "shop", "--batch"], None)


def test_shell_of_mariadb(monkeypatch):
    entry = {"HOST": "/run/s", "OPTIONS": {"ssl_mode": "required"}}
    args, _ = shell(monkeypatch, ["mariadb"], **entry)
    assert args == [
        "mariadb",
        "--socket=/run/s",
        "--ssl",
        "--skip-ssl-verify-server-cert",
        "shop",
        "--batch",
    ]
    entry["OPTIONS"] = {"ssl_disabled": True}
    assert "--skip-ssl" in shell(monkeypatch, ["mariadb"], **entry)[0]
    assert shell(monkeypatch, [], **entry)[0][0] == "mysql"


@pytest.mark.parametrize("password", ["secret", b"secret", lambda: "secret"])
def test_shell_password(monkeypatch, password):
    for entry in ({"PASSWORD": password}, {"OPTIONS": {"password": password}}):
        args, env = shell(monkeypatch, USER="app", **entry)
        assert env == {"MYSQL_PWD": "secret"} and "secret" not in " ".join(args)
    assert shell(monkeypatch, NAME="")[0][-1] == "--batch"
