"""Pony on pymy: what its introduction shows, with mysqlclient's name."""

from __future__ import annotations

import datetime
import decimal
import uuid

import pytest
from programs import program

import pymy

STAND_IN = pymy.install_as_MySQLdb
orm = program("pony.orm", STAND_IN, "pony")


@pytest.fixture
def database(address):
    # what MySQLdb.connect() takes
    address["passwd"], address["db"] = address.pop("password"), address.pop("database")
    database = orm.Database()

    class Person(database.Entity):
        name = orm.Required(str)
        age = orm.Required(int)
        cars = orm.Set("Car")

    class Car(database.Entity):
        make = orm.Required(str)
        model = orm.Required(str, unique=True)
        owner = orm.Required(Person)
        price = orm.Optional(decimal.Decimal, 12, 2)
        photo = orm.Optional(bytes)
        built = orm.Optional(datetime.date)
        sold = orm.Optional(datetime.datetime, 6)
        opens = orm.Optional(datetime.time, 6)
        trip = orm.Optional(datetime.timedelta)
        key = orm.Optional(uuid.UUID)
        notes = orm.Optional(orm.LongStr)
        extras = orm.Optional(orm.Json)

    database.bind(provider="mysql", charset="utf8mb4", **address)
    database.generate_mapping(create_tables=True)
    yield database
    database.disconnect()


@pytest.fixture
def people(database):
    with orm.db_session:
        john = database.Person(name="John", age=20)
        mary = database.Person(name="Mary", age=22)
        bob = database.Person(name="Bob", age=30)
        database.Car(make="Toyota", model="Prius", owner=mary)
        database.Car(make="Ford", model="Explorer", owner=bob)
    return john, mary, bob


def test_it_stands_on_pymy(database):
    assert database.provider.dbapi_module is pymy
    with orm.db_session:
        assert type(database.get_connection()) is pymy.Connection


def test_queries(database, people):
    Person, Car = database.Person, database.Car
    with orm.db_session:
        assert orm.select(p for p in Person if p.age > 20).order_by(Person.name)[:2].to_list() == [
            Person.get(name="Bob"),
            Person.get(name="Mary"),
        ]
        assert orm.select((p, orm.count(p.cars)) for p in Person).count() == 3
        assert orm.max(p.age for p in Person) == 30
        assert [p.name for p in Person.select(lambda p: "o" in p.name).order_by(Person.id)] == [
            "John",
            "Bob",
        ]
        assert orm.select(c.owner.name for c in Car if c.make == "Toyota")[:].to_list() == ["Mary"]
        rows = database.select("select name from person where age > $(20 + 5)")
        assert rows == ["Bob"]
        assert Person.select_by_sql("select * from person where id = 1")[0].name == "John"
        Person[1].age += 1
    with orm.db_session:
        assert Person[1].age == 21
        assert len(Person.select().for_update()[:]) == 3
        Car.select(lambda c: c.make == "Ford").delete(bulk=True)
        assert orm.count(c for c in Car) == 1


def test_values(database, people):
    values = {
        "price": decimal.Decimal("1234567890.12"),
        "photo": bytes(range(256)),
        "built": datetime.date(2020, 2, 29),
        "sold": datetime.datetime(2021, 3, 4, 5, 6, 7, 89),
        "opens": datetime.time(23, 59, 58, 5),
        "trip": datetime.timedelta(hours=30, seconds=1),
        "key": uuid.UUID(int=5),
        "notes": "100% Zoë 🐈 '\n\\",
        "extras": {"colour": ["red", 1], "n": None},
    }
    with orm.db_session:
        database.Car(make="A", model="B", owner=1, **values)
    with orm.db_session:
        car = database.Car.get(model="B")
        assert {name: getattr(car, name) for name in values} == values


def test_transactions(database, people):
    with pytest.raises(ZeroDivisionError), orm.db_session:
        database.Person(name="lost", age=1)
        orm.flush()
        raise ZeroDivisionError
    with pytest.raises(orm.TransactionIntegrityError, match="Duplicate"), orm.db_session:
        database.Car(make="Toyota", model="Prius", owner=1)
    with orm.db_session:
        assert not database.Person.exists(name="lost")
        database.Person(name="rolled back", age=1)
        orm.rollback()
    with orm.db_session(serializable=True):
        assert database.Person.select().count() == 3


def test_it_comes_back_after_a_lost_connection(database, people, server):
    with orm.db_session:
        number = database.get_connection().thread_id()
    with pymy.connect(server.dsn) as admin:
        admin.kill(number)
    with orm.db_session:
        assert database.Person.select().count() == 3
        assert database.get_connection().thread_id() != number
