"""Values of every type SQLAlchemy has for these servers, there and back, and their reflection."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from array import array
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from pymy.sqlalchemy import VECTOR


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


MOMENT = datetime.datetime(2024, 2, 29, 12, 30, 45, 123456)
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")

VALUES: dict[str, tuple[Any, Any]] = {
    "int": (sa.Integer(), -7),
    "unsigned": (mysql.BIGINT(unsigned=True), 2**64 - 1),
    "bool": (sa.Boolean(), True),
    "double": (sa.Double(), 1.5e300),
    "decimal": (sa.Numeric(20, 4), decimal.Decimal("12345678.9000")),
    "text": (sa.Text(), "quote ' backslash \\ percent % dolphin 🐬"),
    "binary": (sa.LargeBinary(), bytes(range(256))),
    "date": (sa.Date(), MOMENT.date()),
    "datetime": (mysql.DATETIME(fsp=6), MOMENT),
    "timestamp": (mysql.TIMESTAMP(fsp=6), MOMENT),
    "time": (mysql.TIME(fsp=6), MOMENT.time()),
    "year": (mysql.YEAR(), 2024),
    "interval": (sa.Interval(), datetime.timedelta(days=3, seconds=5)),
    "enum": (sa.Enum(Colour), Colour.BLUE),
    "set": (mysql.SET("a", "b", "c"), {"a", "c"}),
    "bit": (mysql.BIT(10), 0b1000000001),
    "uuid": (sa.Uuid(), ID),
    "uuid as text": (sa.Uuid(as_uuid=False), str(ID)),
}


def there_and_back(engine: sa.Engine, kind: Any, value: Any) -> sa.Table:
    table = sa.Table(
        "t", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("v", kind)
    )
    table.create(engine)
    with engine.begin() as conn:
        conn.execute(table.insert(), [{"id": 1, "v": value}, {"id": 2, "v": None}])
        assert conn.scalars(sa.select(table.c.v).order_by(table.c.id)).all() == [value, None]
    return table


@pytest.mark.parametrize("name", VALUES)
def test_values(engine: sa.Engine, name: str) -> None:
    kind, value = VALUES[name]
    there_and_back(engine, kind, value)


@pytest.mark.parametrize("name", ["text", "decimal", "date", "datetime", "time", "uuid"])
def test_values_are_found(engine: sa.Engine, name: str) -> None:
    kind, value = VALUES[name]
    table = there_and_back(engine, kind, value)
    with engine.connect() as conn:
        assert conn.scalar(sa.select(table.c.id).where(table.c.v == value)) == 1


@pytest.mark.parametrize(
    "value",
    [
        MOMENT,
        MOMENT.date(),
        MOMENT.replace(microsecond=0),
        datetime.timedelta(hours=-30, microseconds=1),
    ],
)
def test_bound_dates_stay_dates(engine: sa.Engine, value: Any) -> None:
    with engine.connect() as conn:
        assert conn.exec_driver_sql("select %s", (value,)).scalar() == value


@pytest.mark.parametrize("value", [{"a": [1, None, "x"]}, [1.5, "🐬"], "text", 7, False])
def test_json(engine: sa.Engine, needs: Callable[[str], None], value: Any) -> None:
    needs("json")
    table = sa.Table("t", sa.MetaData(), sa.Column("v", sa.JSON))
    table.create(engine)
    with engine.begin() as conn:
        conn.execute(table.insert(), {"v": value})
        assert conn.scalar(sa.select(table.c.v)) == value


def test_json_paths(engine: sa.Engine, needs: Callable[[str], None]) -> None:
    needs("json")
    table = sa.Table("t", sa.MetaData(), sa.Column("v", sa.JSON))
    table.create(engine)
    with engine.begin() as conn:
        conn.execute(table.insert(), [{"v": {"n": 1, "tags": ["a", "b"]}}, {"v": {"n": 2}}])
        assert conn.scalar(sa.select(table.c.v[("tags", 1)].as_string())) == "b"
        query = sa.select(table.c.v["n"].as_integer()).where(table.c.v["n"].as_integer() > 1)
        assert conn.scalars(query).all() == [2]


def test_addresses(make_engine: Any, url: sa.URL, needs: Callable[[str], None]) -> None:
    needs("inet4")
    engine = make_engine(url.set(drivername="mariadb+pymy"))
    table = sa.Table(
        "t", sa.MetaData(), sa.Column("four", mysql.INET4), sa.Column("six", mysql.INET6)
    )
    table.create(engine)
    with engine.begin() as conn:
        conn.execute(table.insert(), {"four": "192.0.2.1", "six": "2001:db8::1"})
        assert conn.execute(table.select()).one() == ("192.0.2.1", "2001:db8::1")
        kinds = [column["type"] for column in sa.inspect(conn).get_columns("t")]
        assert [type(kind) for kind in kinds] == [mysql.INET4, mysql.INET6]


def test_native_uuid(engine: sa.Engine, needs: Callable[[str], None]) -> None:
    needs("uuid")
    table = there_and_back(engine, sa.UUID(), ID)
    with engine.connect() as conn:
        assert conn.scalar(sa.select(table.c.id).where(table.c.v == ID)) == 1
        kind = sa.inspect(conn).get_columns("t")[1]["type"]
        assert isinstance(kind, sa.UUID)


def test_vector(engine: sa.Engine, needs: Callable[[str], None]) -> None:
    needs("vector")
    table = sa.Table(
        "t",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("v", VECTOR(3), nullable=False),
    )
    table.create(engine)
    with engine.begin() as conn:
        conn.execute(table.insert(), [{"id": 1, "v": [1, 0.5, -2]}, {"id": 2, "v": [0, 0, 9]}])
        found = conn.scalars(sa.select(table.c.v).order_by(table.c.id)).all()
        assert found == [array("f", [1, 0.5, -2]), array("f", [0, 0, 9])]
        kind = sa.inspect(conn).get_columns("t")[1]["type"]
        assert isinstance(kind, VECTOR) and kind.dimensions == 3


def test_vector_ddl() -> None:
    assert VECTOR().get_col_spec() == "VECTOR"
    assert VECTOR(768).get_col_spec() == "VECTOR(768)"


def test_reflection(engine: sa.Engine) -> None:
    metadata = sa.MetaData()
    sa.Table(
        "parent",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(30), nullable=False, comment="what people say"),
        sa.Index("by_name", "name", unique=True),
        comment="those who have children",
    )
    sa.Table(
        "child",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent_id", sa.ForeignKey("parent.id", name="belongs", ondelete="CASCADE")),
    )
    metadata.create_all(engine)
    found = sa.MetaData()
    found.reflect(engine)
    parent, child = found.tables["parent"], found.tables["child"]
    assert (parent.comment, parent.c.name.comment) == ("those who have children", "what people say")
    assert {index.name: index.unique for index in parent.indexes} == {"by_name": True}
    (key,) = child.foreign_key_constraints
    assert (key.name, key.ondelete, key.referred_table) == ("belongs", "CASCADE", parent)
    assert not sa.inspect(engine).has_table("nobody")
