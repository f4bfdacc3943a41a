"""dataset on pymy: what its quickstart shows, over SQLAlchemy."""

from __future__ import annotations

import datetime

import pytest
from programs import program

import pymy

STAND_IN = pymy.install_as_pymysql
dataset = program("dataset", STAND_IN)


@pytest.fixture
def database(engine_url):
    database = dataset.connect(engine_url)
    yield database
    database.close()


def test_it_stands_on_pymy(database):
    connection = database.executable.connection.driver_connection
    assert isinstance(connection, pymy.Connection)


def test_quickstart(database):
    table = database["user"]
    assert table.insert({"name": "John Doe", "age": 46, "country": "China"}) == 1
    # columns are made as they come
    assert table.insert({"name": "Jane Doe", "age": 37, "country": "France", "gender": "f"}) == 2
    table.update({"name": "John Doe", "age": 47}, ["name"])
    assert database.tables == ["user"]
    assert table.columns == ["id", "name", "age", "country", "gender"]
    assert len(table) == 2
    assert table.find_one(name="John Doe")["age"] == 47
    assert [user["name"] for user in table.find(country="France")] == ["Jane Doe"]
    assert [user["name"] for user in table.find(age={">": 40})] == ["John Doe"]
    assert [user["id"] for user in table.find(id=[1, 2], order_by="-age")] == [1, 2]
    assert table.find_one(name={"like": "Jane%"})["gender"] == "f"
    assert sorted(row["country"] for row in table.distinct("country")) == ["China", "France"]
    rows = database.query("select country, count(*) as c from user group by country order by 1")
    assert [(row["country"], row["c"]) for row in rows] == [("China", 1), ("France", 1)]
    rows = database.query("select name from user where age > :age", age=40)
    assert [row["name"] for row in rows] == ["John Doe"]
    table.upsert({"id": 1, "age": 48}, ["id"])
    table.upsert({"name": "new", "age": 1}, ["name"])
    assert len(table) == 3
    assert table.delete(name="new")
    table.create_index(["name"])
    assert table.has_index(["name"])
    table.drop_column("gender")
    assert "gender" not in table.columns
    table.drop()
    assert database.tables == []


def test_values(database):
    values = {
        "text": "100% Zoë 🐈 '\\",
        "number": 2**40,
        "real": 0.1,
        "yes": True,
        "day": datetime.date(2020, 2, 29),
        "time": datetime.datetime(2021, 3, 4, 5, 6, 7),
        "nothing": None,
    }
    database["t"].insert(values)
    assert {name: database["t"].find_one()[name] for name in values} == values


def test_transactions(database):
    with database as transaction:
        transaction["t"].insert({"n": 1})
    with pytest.raises(ZeroDivisionError), database as transaction:
        transaction["t"].insert({"n": 2})
        raise ZeroDivisionError
    database.begin()
    database["t"].insert({"n": 3})
    database.rollback()
    assert [row["n"] for row in database["t"]] == [1]


def test_many_rows(database):
    table = database["many"]
    table.insert_many([{"n": number, "even": number % 2 == 0} for number in range(2500)])
    assert len(table) == 2500
    assert table.count(even=True) == 1250
    assert sum(1 for _ in table.all(_step=500)) == 2500
