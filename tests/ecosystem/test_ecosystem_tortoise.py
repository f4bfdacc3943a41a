"""Tortoise ORM on pymy.aio: what its introduction shows, with aiomysql's name."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import uuid

import pytest
from programs import program

import pymy
import pymy.aio
from pymy import converters

STAND_IN = pymy.install_as_aiomysql
tortoise = program("tortoise", STAND_IN, "tortoise-orm")
from tortoise import fields, models  # noqa: E402
from tortoise.exceptions import DBConnectionError, IntegrityError, OperationalError  # noqa: E402
from tortoise.expressions import F, Q  # noqa: E402
from tortoise.functions import Count, Sum  # noqa: E402
from tortoise.transactions import in_transaction  # noqa: E402

# its values have zones, the session's
CONV = {**converters.conversions, datetime.datetime: converters.drop_zone}


class Tournament(models.Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=255, unique=True)
    created = fields.DatetimeField(auto_now_add=True)


class Event(models.Model):
    id = fields.IntField(primary_key=True)
    name = fields.TextField()
    tournament = fields.ForeignKeyField("models.Tournament", related_name="events")
    participants = fields.ManyToManyField("models.Team", related_name="events")
    modified = fields.DatetimeField(null=True)
    prize = fields.DecimalField(max_digits=10, decimal_places=2, null=True)
    photo = fields.BinaryField(null=True)
    day = fields.DateField(null=True)
    length = fields.TimeDeltaField(null=True)
    key = fields.UUIDField(null=True)
    extras = fields.JSONField(null=True)
    open = fields.BooleanField(default=True)
    score = fields.FloatField(null=True)


class Team(models.Model):
    id = fields.IntField(primary_key=True)
    name = fields.TextField()


@pytest.fixture
def run(address):
    """Run a coroutine function with Tortoise over the test's database."""

    def run_(work):
        async def main():
            config = {
                "connections": {
                    "default": {
                        "engine": "tortoise.backends.mysql",
                        "credentials": {
                            **address,
                            "maxsize": 3,
                            "multi_statements": True,  # it creates all tables by one text
                            "conv": CONV,
                        },
                    }
                },
                "apps": {"models": {"models": [__name__], "default_connection": "default"}},
            }
            await tortoise.Tortoise.init(config=config)
            try:
                await tortoise.Tortoise.generate_schemas()
                await work()
            finally:
                await tortoise.Tortoise.close_connections()

        asyncio.run(main())

    return run_


def test_it_stands_on_pymy(run):
    async def work():
        client = tortoise.connections.get("default")
        assert type(client._pool) is pymy.aio.Pool
        assert await client.execute_query_dict("select %s as a", ["x%"]) == [{"a": "x%"}]

    run(work)


def test_introduction(run):
    async def work():
        tournament = await Tournament.create(name="New Tournament")
        await Event.create(name="Without participants", tournament=tournament)
        event = await Event.create(name="Test", tournament=tournament)
        teams = [await Team.create(name=f"Team {number}") for number in range(3)]
        await event.participants.add(*teams)
        names = [team.name async for team in event.participants.order_by("id")]
        assert names == ["Team 0", "Team 1", "Team 2"]
        assert await event.participants.filter(name__contains="2").count() == 1
        assert await Team.filter(events__tournament__name="New Tournament").count() == 3
        found = await Event.filter(Q(name="Test") | Q(name__startswith="%")).prefetch_related(
            "participants", "tournament"
        )
        assert [len(each.participants) for each in found] == [3]
        assert found[0].tournament.name == "New Tournament"
        counted = await Event.annotate(teams=Count("participants")).order_by("id").values("teams")
        assert counted == [{"teams": 0}, {"teams": 3}]
        await Tournament.filter(id=tournament.id).update(name="Renamed")
        await Event.filter(id=event.id).update(score=1)
        await Event.filter(id=event.id).update(score=F("score") + 1)
        assert (await Event.get(id=event.id)).score == 2
        assert await Tournament.first().values_list("name", flat=True) == "Renamed"
        assert await Event.filter(name="none").get_or_none() is None
        made = await Team.get_or_create(name="Team 9")
        assert made[1]
        await Team.bulk_create([Team(name=f"bulk {number}") for number in range(500)])
        assert await Team.filter(name__in=["bulk 1", "bulk 2"]).count() == 2
        assert (await Team.all().annotate(total=Sum("id")).values("total"))[0]["total"]
        await Team.all().delete()
        assert not await Team.exists()

    run(work)


def test_values(run):
    values = {
        "name": "100% Zoë 🐈 '\\\n",
        "prize": decimal.Decimal("12345678.90"),
        "photo": bytes(range(256)),
        "day": datetime.date(2020, 2, 29),
        "modified": datetime.datetime(2021, 3, 4, 5, 6, 7, 89, tzinfo=datetime.UTC),
        "length": datetime.timedelta(hours=30),
        "key": uuid.UUID(int=5),
        "extras": {"colour": ["red", 1], "n": None},
        "open": False,
        "score": 0.1,
    }

    async def work():
        tournament = await Tournament.create(name="t")
        number = (await Event.create(tournament=tournament, **values)).id
        event = await Event.get(id=number)
        assert {name: getattr(event, name) for name in values} == values

    run(work)


def test_transactions(run):
    async def work():
        with pytest.raises(ZeroDivisionError):
            async with in_transaction():
                await Tournament.create(name="lost")
                raise ZeroDivisionError
        async with in_transaction():
            await Tournament.create(name="kept")
            with pytest.raises(ZeroDivisionError):
                async with in_transaction():  # a savepoint
                    await Tournament.create(name="undone")
                    raise ZeroDivisionError
            async with in_transaction():
                await Tournament.create(name="kept too")
        names = await Tournament.all().order_by("id").values_list("name", flat=True)
        assert names == ["kept", "kept too"]
        with pytest.raises(IntegrityError, match="Duplicate entry"):
            await Tournament.create(name="kept")
        with pytest.raises(OperationalError, match="doesn't exist"):
            await tortoise.connections.get("default").execute_query("select * from nowhere")
        async with in_transaction() as connection:
            locked = Tournament.filter(name="kept").using_db(connection).select_for_update()
            assert len(await locked) == 1

    run(work)


def test_many_tasks_share_the_pool(run):
    async def work():
        names = [f"n{number}" for number in range(20)]
        await asyncio.gather(*(Team.create(name=name) for name in names))
        assert await Team.all().count() == 20

    run(work)


def test_a_server_that_is_not_there(run, address):
    address["acquire_timeout"] = 0.5  # the pool tries again until then

    async def work():
        raise AssertionError("it was there")

    address["port"] = 1
    with pytest.raises(DBConnectionError):
        run(work)
