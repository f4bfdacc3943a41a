"""databases on pymy.aio: what its introduction shows, with aiomysql's name."""

from __future__ import annotations

import asyncio
import datetime
import decimal

import pytest
from programs import program

import pymy
import pymy.aio

STAND_IN = pymy.install_as_aiomysql
databases = program("databases", STAND_IN)
sqlalchemy = program("sqlalchemy", STAND_IN)

metadata = sqlalchemy.MetaData()
notes = sqlalchemy.Table(
    "notes",
    metadata,
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column("text", sqlalchemy.String(length=100)),
    sqlalchemy.Column("completed", sqlalchemy.Boolean),
    sqlalchemy.Column("price", sqlalchemy.Numeric(30, 20)),
    sqlalchemy.Column("made", sqlalchemy.DateTime),
    sqlalchemy.Column("extras", sqlalchemy.JSON),
)


@pytest.fixture
def run(url):
    def run_(work):
        async def main():
            async with databases.Database(url, min_size=1, max_size=3) as database:
                create = sqlalchemy.schema.CreateTable(notes)
                await database.execute(str(create.compile(dialect=pymysql_dialect())))
                await work(database)

        asyncio.run(main())

    return run_


def pymysql_dialect():
    from sqlalchemy.dialects.mysql import pymysql

    return pymysql.dialect()


def test_it_stands_on_pymy(run):
    async def work(database):
        async with database.connection() as connection:
            assert isinstance(connection.raw_connection, pymy.aio.Connection)

    run(work)


def test_introduction(run):
    async def work(database):
        first = await database.execute(notes.insert(), {"text": "example1", "completed": True})
        assert first == 1
        values = [{"text": "example2", "completed": False}, {"text": "50% 🐈", "completed": True}]
        await database.execute_many(notes.insert(), values)
        rows = await database.fetch_all(notes.select())
        assert [row.text for row in rows] == ["example1", "example2", "50% 🐈"]
        query = notes.select().where(notes.c.text == "example2")
        row = await database.fetch_one(query)
        assert (row["text"], row.completed) == ("example2", False)
        assert await database.fetch_val("select count(*) from notes where id > :id", {"id": 1}) == 2
        assert [row.id async for row in database.iterate(notes.select())] == [1, 2, 3]
        await database.execute(notes.update().where(notes.c.id == 1), {"text": "changed"})
        assert await database.fetch_val("select text from notes where id = 1") == "changed"
        assert await database.fetch_one(notes.select().where(notes.c.id == 99)) is None

    run(work)


def test_values(run):
    values = {
        "price": decimal.Decimal("0.70000000000000000001"),
        "made": datetime.datetime(2021, 3, 4, 5, 6, 7),
        "extras": {"colour": ["red", 1], "n": None},
    }

    async def work(database):
        await database.execute(notes.insert(), values)
        row = await database.fetch_one(notes.select())
        assert {name: row[name] for name in values} == values

    run(work)


def test_transactions(run):
    async def work(database):
        with pytest.raises(ZeroDivisionError):
            async with database.transaction():
                await database.execute(notes.insert(), {"text": "lost"})
                raise ZeroDivisionError
        async with database.transaction():
            await database.execute(notes.insert(), {"text": "kept"})
            inner = await database.transaction()
            await database.execute(notes.insert(), {"text": "undone"})
            await inner.rollback()
        assert [row.text for row in await database.fetch_all(notes.select())] == ["kept"]
        with pytest.raises(pymy.ProgrammingError, match="doesn't exist"):
            await database.fetch_all("select * from nowhere")

    run(work)
