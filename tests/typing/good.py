"""What must type-check, with the types that come out. Never run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, assert_type

import pymy
import pymy.aio
from pymy import rows
from pymy.cursors import Cursor, DictCursor, SSCursor, SSDictCursor


@dataclass
class Item:
    id: int
    name: str


Tuple = tuple[Any, ...]
Dict = dict[str, Any]


def rows_of_a_connection() -> None:
    assert_type(pymy.connect(), pymy.Connection[Tuple])
    assert_type(pymy.connect(row_factory=rows.dict_row), pymy.Connection[Dict])
    assert_type(pymy.connect(cursorclass=DictCursor), pymy.Connection[Dict])
    assert_type(pymy.connect(row_factory=rows.dataclass_row(Item)), pymy.Connection[Item])
    assert_type(pymy.Connection("mysql://h"), pymy.Connection[Tuple])


def rows_of_a_cursor(conn: pymy.Connection) -> None:
    assert_type(conn.cursor(), Cursor[Tuple])
    assert_type(conn.cursor(DictCursor), DictCursor)
    streaming: SSCursor[Any] = conn.cursor(SSCursor)  # checkers differ in what it is without []
    streaming.close()
    assert_type(conn.cursor(row_factory=rows.dataclass_row(Item)), Cursor[Item])
    assert_type(conn.cursor(SSCursor, row_factory=rows.dataclass_row(Item)), SSCursor[Item])


def fetching(conn: pymy.Connection) -> None:
    cursor = conn.cursor(row_factory=rows.dataclass_row(Item))
    assert_type(cursor.fetchone(), Item | None)
    assert_type(cursor.fetchmany(3), list[Item] | tuple[Item, ...])
    assert_type(cursor.fetchall(), list[Item] | tuple[Item, ...])
    for item in cursor:
        assert_type(item, Item)
    with conn.cursor(DictCursor) as dicts:
        assert_type(dicts.fetchone(), Dict | None)
    with conn.cursor(SSDictCursor) as streamed:
        for row in streamed:
            assert_type(row, Dict)


def short_forms(conn: pymy.Connection[Dict]) -> None:
    assert_type(conn.execute("select 1").fetchone(), Dict | None)
    assert_type(conn.stream("select 1"), Iterator[Dict])
    with conn.stream_value("select 1") as value:
        assert_type(value, pymy.ValueStream)
        assert_type(value.read(10), bytes)
        assert_type(value.row, Tuple)
    assert_type(conn.stream("select 1", row_factory=rows.dataclass_row(Item)), Iterator[Item])


def every_keyword() -> None:
    pymy.connect(
        "mysql://h",
        user="u",
        passwd="p",
        port=3307,
        ssl_mode="verify_ca",
        autocommit=None,
        session_variables={"sql_auto_is_null": 0},
        compress="zstd",
        local_infile=["/data"],
        charset="utf8mb4",
        on_cancel="drain",
    )


def pipelines(conn: pymy.Connection[Tuple]) -> None:
    with conn.pipeline(on_error="keep", timeout=2) as p:
        assert_type(p, pymy.Pipeline[Tuple])
        assert_type(p.execute("select 1").rows, rows.Rows[Tuple])
        assert_type(p.execute("select 1", row_factory=rows.dict_row), pymy.PipelineResult[Dict])
        statement = conn.prepare("select 1", row_factory=rows.dataclass_row(Item))
        assert_type(p.execute(statement).rows, rows.Rows[Item])
        p.flush()


async def async_pipelines(conn: pymy.aio.Connection[Dict]) -> None:
    async with conn.pipeline() as p:
        for row in p.execute("select 1"):
            assert_type(row, Dict)
        await p.flush()


async def asyncio(conn: pymy.aio.Connection[Tuple]) -> None:
    assert_type(await pymy.aio.connect(), pymy.aio.Connection[Tuple])
    assert_type(await pymy.aio.connect(row_factory=rows.dict_row), pymy.aio.Connection[Dict])
    async with pymy.aio.connect(cursorclass=pymy.aio.DictCursor) as dicts:
        assert_type(await (await dicts.execute("select 1")).fetchone(), Dict | None)
    cursor = await conn.cursor(row_factory=rows.dataclass_row(Item))
    assert_type(cursor, pymy.aio.Cursor[Item])
    assert_type(await cursor.fetchone(), Item | None)
    async for item in cursor:
        assert_type(item, Item)
    async for row in conn.execute("select 1"):
        assert_type(row, Tuple)
    async for other in conn.stream("select 1", row_factory=rows.dataclass_row(Item)):
        assert_type(other, Item)


def pools() -> None:
    with pymy.Pool("mysql://h", row_factory=rows.dict_row) as pool:
        assert_type(pool, pymy.Pool[Dict])
        with pool.acquire() as conn:
            assert_type(conn.execute("select 1").fetchone(), Dict | None)
            assert_type(conn.cursor(row_factory=rows.dataclass_row(Item)), Cursor[Item])
        with pool.connection() as other, pool.transaction("serializable") as third:
            assert_type(other.execute("select 1").fetchone(), Dict | None)
            assert_type(third.execute("select 1").fetchone(), Dict | None)
        assert_type(pool.execute("select 1").fetchone(), Dict | None)
        assert_type(pool.stream("select 1"), Iterator[Dict])
        assert_type(pool.stream("select 1", row_factory=rows.dataclass_row(Item)), Iterator[Item])
    assert_type(pymy.Pool(max_size=3, autocommit=True, on_wait=lambda: None), pymy.Pool[Tuple])
    assert_type(pymy.Pool(cursorclass=DictCursor, idle_order="fifo"), pymy.Pool[Dict])


async def async_pools() -> None:
    async with pymy.aio.create_pool("mysql://h", max_size=3) as pool:
        assert_type(pool, pymy.aio.Pool[Tuple])
        async with pool.acquire() as conn:
            assert_type(await (await conn.execute("select 1")).fetchone(), Tuple | None)
        lent = await pool.acquire(timeout=2)
        assert_type(lent.cursor(), pymy.aio.Cursor[Tuple])
        await pool.release(lent)
        async with pool.transaction() as other:
            assert_type(other.cursor(), pymy.aio.Cursor[Tuple])
        async for row in pool.execute("select 1"):
            assert_type(row, Tuple)
        async for item in pool.stream("select 1", row_factory=rows.dataclass_row(Item)):
            assert_type(item, Item)
    dicts = await pymy.aio.create_pool(cursorclass=pymy.aio.DictCursor, maxsize=3, user="u")
    assert_type(dicts, pymy.aio.Pool[Dict])
    assert_type(await (await dicts.execute("select 1")).fetchone(), Dict | None)
    assert_type(pymy.aio.Pool("h", row_factory=rows.dataclass_row(Item)), pymy.aio.Pool[Item])
