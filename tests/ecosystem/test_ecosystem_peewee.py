"""peewee on pymy: what its quickstart shows."""

from __future__ import annotations

import datetime
import decimal

import pytest
from programs import program

import pymy

STAND_IN = pymy.install_as_pymysql
peewee = program("peewee", STAND_IN)


@pytest.fixture
def database(address):
    # init() takes what pymysql.connect() takes
    database = peewee.MySQLDatabase(address.pop("database"), **address)
    yield database
    database.close()


@pytest.fixture
def models(database):
    class Base(peewee.Model):
        class Meta:
            database = None

    Base._meta.database = database

    class Person(Base):
        name = peewee.CharField()
        birthday = peewee.DateField()

    class Pet(Base):
        owner = peewee.ForeignKeyField(Person, backref="pets")
        name = peewee.CharField(unique=True)
        animal_type = peewee.CharField()
        price = peewee.DecimalField(max_digits=10, decimal_places=2, null=True)
        photo = peewee.BlobField(null=True)
        seen = peewee.DateTimeField(default=datetime.datetime.now)
        asleep = peewee.TimeField(null=True)
        tame = peewee.BooleanField(default=True)

    models = [Person, Pet]
    with database.bind_ctx(models):
        database.create_tables(models)
        yield Person, Pet


def test_it_stands_on_pymy(database):
    assert peewee.mysql is pymy
    database.connect()
    assert type(database.connection()) is pymy.Connection
    assert database.is_connection_usable()


def test_quickstart(models):
    Person, Pet = models
    bob = Person(name="Bob", birthday=datetime.date(1960, 1, 15))
    assert bob.save() == 1
    grandma = Person.create(name="Grandma", birthday=datetime.date(1935, 3, 1))
    herb = Person.create(name="Herb", birthday=datetime.date(1950, 5, 5))
    grandma.name = "Grandma L."
    grandma.save()
    kitty = Pet.create(owner=bob, name="Kitty", animal_type="cat")
    Pet.create(owner=herb, name="Fido", animal_type="dog")
    mittens = Pet.create(owner=herb, name="Mittens", animal_type="cat")
    Pet.create(owner=herb, name="Mittens Jr", animal_type="cat")
    assert mittens.delete_instance() == 1
    kitty.owner = herb
    kitty.save()

    assert Person.get(Person.name == "Grandma L.").birthday == datetime.date(1935, 3, 1)
    assert Person.select().where(Person.name == "Nobody").first() is None
    query = Pet.select(Pet, Person).join(Person).where(Pet.animal_type == "cat").order_by(Pet.name)
    assert [(pet.name, pet.owner.name) for pet in query] == [
        ("Kitty", "Herb"),
        ("Mittens Jr", "Herb"),
    ]
    assert [pet.name for pet in herb.pets.order_by(Pet.name.desc())] == [
        "Mittens Jr",
        "Kitty",
        "Fido",
    ]
    counted = (
        Person.select(Person.name, peewee.fn.COUNT(Pet.id).alias("pets"))
        .join(Pet, peewee.JOIN.LEFT_OUTER)
        .group_by(Person.name)
        .order_by(Person.name)
    )
    assert list(counted.tuples()) == [("Bob", 0), ("Grandma L.", 0), ("Herb", 3)]
    first = peewee.fn.LOWER(peewee.fn.SUBSTR(Person.name, 1, 1)) == "g"
    assert [person.name for person in Person.select().where(first)] == ["Grandma L."]
    people = Person.select().order_by(Person.name)
    with_pets = peewee.prefetch(people, Pet.select().order_by(Pet.name))
    assert [len(person.pets) for person in with_pets] == [0, 0, 3]
    assert Person.select().where(Person.name << ["Bob", "Herb"]).count() == 2
    assert Person.select().where(Person.name.contains("b")).count() == 2  # % in a parameter


def test_values(models):
    Person, Pet = models
    owner = Person.create(name="Zoë 🐈", birthday=datetime.date(2000, 2, 29))
    values = {
        "price": decimal.Decimal("12345678.90"),
        "photo": bytes(range(256)),
        "seen": datetime.datetime(2024, 5, 6, 7, 8, 9),
        "asleep": datetime.time(23, 59, 1),
        "tame": False,
    }
    Pet.create(owner=owner, name="100% '\\", animal_type="cat", **values)
    pet = Pet.get(Pet.name == "100% '\\")
    assert {name: getattr(pet, name) for name in values} == values
    assert pet.owner.name == "Zoë 🐈"


def test_many_rows(models, database):
    Person, _ = models
    day = datetime.date(1990, 1, 1)
    rows = [{"name": f"n{number}", "birthday": day} for number in range(1000)]
    with database.atomic():
        for batch in peewee.chunked(rows, 300):
            Person.insert_many(batch).execute()
    assert Person.select().count() == 1000
    assert sum(1 for _ in Person.select().iterator()) == 1000
    assert Person.update(name="x").where(Person.name.startswith("n99")).execute() == 11
    assert Person.delete().where(Person.name != "x").execute() == 989
    insert = Person.insert(id=1, name="y", birthday=day).on_conflict(update={Person.name: "z"})
    insert.execute()
    Person.replace(id=1, name="w", birthday=day).execute()
    assert Person.get_by_id(1).name == "w"
    made = Person.get_or_create(name="new", defaults={"birthday": day})
    assert made[1] is True


def test_transactions(models, database):
    Person, Pet = models
    day = datetime.date(1990, 1, 1)
    with pytest.raises(ZeroDivisionError), database.atomic():
        Person.create(name="lost", birthday=day)
        raise ZeroDivisionError
    with database.atomic():
        owner = Person.create(name="kept", birthday=day)
        with database.atomic() as savepoint:
            Person.create(name="undone", birthday=day)
            savepoint.rollback()
    assert [person.name for person in Person.select()] == ["kept"]
    Pet.create(owner=owner, name="one", animal_type="cat")
    with pytest.raises(peewee.IntegrityError, match="Duplicate entry") as caught:
        Pet.create(owner=owner, name="one", animal_type="cat")
    assert caught.value.args[0] == 1062
    with pytest.raises(peewee.ProgrammingError):
        database.execute_sql("select nonsense from nowhere")


def test_looking_at_tables(models, database):
    assert database.get_tables() == ["person", "pet"]
    assert [column.name for column in database.get_columns("person")] == ["id", "name", "birthday"]
    assert [key.dest_table for key in database.get_foreign_keys("pet")] == ["person"]
    assert [index.columns for index in database.get_indexes("person")] == [["id"]]


def test_pool_and_url(address, url):
    from playhouse.db_url import connect
    from playhouse.pool import PooledMySQLDatabase

    database = PooledMySQLDatabase(address.pop("database"), max_connections=2, **address)
    for _ in range(3):
        with database.connection_context():
            assert database.execute_sql("select 1 + %s", (1,)).fetchone() == (2,)
    database.close_all()
    database = connect(url)
    assert database.execute_sql("select 'a%%'").fetchone() == ("a%",)
    database.close()
