"""pandas on pymy: read_sql and to_sql over SQLAlchemy, with PyMySQL's name and with pymy's own."""

from __future__ import annotations

import datetime

import pytest
from programs import program

import pymy

STAND_IN = pymy.install_as_pymysql
pandas = program("pandas", STAND_IN)
sqlalchemy = program("sqlalchemy", STAND_IN)


@pytest.fixture
def frame():
    return pandas.DataFrame(
        {
            "name": ["pen", "100% Zoë 🐈", None],
            "price": [1.5, float("nan"), 1e300],
            "stock": [1, 2, 2**62],
            "sold": pandas.to_datetime(["2024-01-02 03:04:05", None, "2020-02-29 00:00:00"]),
            "tame": [True, False, True],
        }
    )


def test_it_stands_on_pymy(engine):
    with engine.connect() as connection:
        assert isinstance(connection.connection.driver_connection, pymy.Connection)


def test_a_frame_there_and_back(engine, frame):
    assert frame.to_sql("item", engine, index=False) == 3
    read = pandas.read_sql("item", engine)
    assert read["tame"].tolist() == [1, 0, 1]
    pandas.testing.assert_frame_equal(
        read.drop(columns="tame"), frame.drop(columns="tame"), check_dtype=False
    )
    read = pandas.read_sql_table("item", engine, columns=["stock"], index_col="stock")
    assert read.index.tolist() == [1, 2, 2**62]


def test_queries(engine, frame):
    frame.to_sql("item", engine, index_label="id")
    query = sqlalchemy.text("select name from item where stock < :most and name like '100%'")
    read = pandas.read_sql(query, engine, params={"most": 10})
    assert read["name"].tolist() == ["100% Zoë 🐈"]
    read = pandas.read_sql_query(
        "select sold from item where id = %(id)s", engine, params={"id": 0}, parse_dates=["sold"]
    )
    assert read["sold"].tolist() == [datetime.datetime(2024, 1, 2, 3, 4, 5)]


@pytest.mark.parametrize("method", [None, "multi"])
def test_many_rows(engine, method):
    frame = pandas.DataFrame({"number": range(10_000), "text": "x"})
    frame.to_sql("big", engine, index=False, method=method, chunksize=3000)
    frame.to_sql("big", engine, index=False, if_exists="append", chunksize=3000)
    with pytest.raises(ValueError, match="already exists"):
        frame.to_sql("big", engine, index=False)
    with engine.connect().execution_options(stream_results=True) as connection:
        chunks = pandas.read_sql("select number from big", connection, chunksize=4000)
        assert [len(chunk) for chunk in chunks] == [4000] * 5
    frame[:5].to_sql("big", engine, index=False, if_exists="replace")
    assert pandas.read_sql("select sum(number) as s from big", engine)["s"].tolist() == [10]


def test_an_error(engine):
    with pytest.raises(pandas.errors.DatabaseError, match="doesn't exist") as caught:
        pandas.read_sql("select * from nowhere", engine)
    assert isinstance(caught.value.__cause__.orig, pymy.ProgrammingError)
