"""What users do with an asyncio engine, under asyncio's loop and uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import pymy
import pymy.aio


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50))


@pytest.fixture
def open_engine(url: sa.URL) -> Callable[..., Any]:
    """Make an engine for a block, with the tables in place."""

    @asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[AsyncEngine]:
        engine = create_async_engine(url, **options)
        async with engine.begin() as conn:
            await conn.run_sync(Base.metadata.create_all)
        try:
            yield engine
        finally:
            await engine.dispose()

    return make


async def thread_id(conn: Any) -> int:
    return int(await conn.scalar(sa.text("select connection_id()")))


def test_session(run: Any, open_engine: Any) -> None:
    async def main() -> None:
        async with open_engine() as engine:
            session_of = async_sessionmaker(engine, expire_on_commit=False)
            async with session_of() as session, session.begin():
                session.add_all(Item(name=f"item {n} 🐬") for n in range(300))
            async with session_of() as session:
                item = await session.scalar(sa.select(Item).where(Item.name == "item 7 🐬"))
                assert item is not None
                item.name = "changed"
                await session.rollback()
                rows = await session.stream_scalars(sa.select(Item).order_by(Item.id))
                names = [each.name async for each in rows]
                assert names == [f"item {n} 🐬" for n in range(300)]

    run(main())


def test_sessions_side_by_side(run: Any, open_engine: Any) -> None:
    async def main() -> None:
        async with open_engine(pool_size=3, max_overflow=0) as engine:

            async def work(n: int) -> None:
                async with AsyncSession(engine) as session, session.begin():
                    session.add(Item(name=f"{n}"))
                    await session.execute(sa.text("do sleep(0.01)"))

            await asyncio.gather(*(work(n) for n in range(9)))
            async with engine.connect() as conn:
                assert await conn.scalar(sa.select(sa.func.count(Item.id))) == 9

    run(main())


def test_stream(run: Any, open_engine: Any) -> None:
    async def main() -> None:
        async with open_engine() as engine:
            async with engine.begin() as conn:
                await conn.execute(sa.insert(Item), [{"name": f"{n}"} for n in range(3000)])
            query = sa.select(Item.name).order_by(Item.id)
            async with engine.connect() as conn:
                result = await conn.stream(query.execution_options(yield_per=100))
                parts = [len(part) async for part in result.partitions()]
                assert parts == [100] * 30
                before = await thread_id(conn)
                async with conn.stream(query) as rows:
                    assert (await rows.fetchone()) == ("0",)
                assert await thread_id(conn) == before

    run(main())


def test_driver_connection(run: Any, open_engine: Any) -> None:
    async def main() -> None:
        async with open_engine() as engine, engine.connect() as conn:
            driver = (await conn.get_raw_connection()).driver_connection
            assert isinstance(driver, pymy.aio.Connection)
            await driver.ping()

    run(main())


def test_a_creator_of_ones_own(run: Any, dsn: str) -> None:
    async def connect(*args: Any, **options: Any) -> Any:
        return await pymy.aio.connect(dsn, client_found_rows=True)

    async def main() -> None:
        engine = create_async_engine("mysql+pymy_async://", async_creator=connect)
        async with engine.connect() as conn:
            assert await conn.scalar(sa.text("select 1")) == 1
        await engine.dispose()

    run(main())


def test_cancelled_statement_is_killed(
    run: Any, open_engine: Any, running: Callable[[str], int], becomes: Any
) -> None:
    async def main() -> None:
        async with open_engine(pool_size=1, max_overflow=0) as engine:

            async def sleep() -> None:
                async with engine.connect() as conn:
                    await conn.execute(sa.text("select sleep(60)"))

            task = asyncio.create_task(sleep())
            await becomes(lambda: running("sleep(60)"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await becomes(lambda: not running("sleep(60)"))
            async with engine.connect() as conn:
                assert await conn.scalar(sa.text("select 1")) == 1

    run(main())


def test_time_out(run: Any, open_engine: Any, running: Callable[[str], int], becomes: Any) -> None:
    async def main() -> None:
        async with open_engine() as engine:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), engine.connect() as conn:
                    await conn.execute(sa.text("select sleep(60)"))
            await becomes(lambda: not running("sleep(60)"))

    run(main())


def test_cancelled_while_the_pool_is_empty(run: Any, open_engine: Any) -> None:
    async def main() -> None:
        async with open_engine(pool_size=1, max_overflow=0) as engine:
            async with engine.connect():
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await engine.connect()
            async with engine.connect() as conn:
                assert await conn.scalar(sa.text("select 1")) == 1

    run(main())


def test_lost_connections(run: Any, open_engine: Any, kill: Callable[[int], None]) -> None:
    async def main() -> None:
        async with open_engine(pool_size=1, pool_pre_ping=True) as engine:
            async with engine.connect() as conn:
                first = await thread_id(conn)
            await asyncio.to_thread(kill, first)
            async with engine.connect() as conn:
                second = await thread_id(conn)
                assert second != first
                await asyncio.to_thread(kill, second)
                with pytest.raises(sa.exc.DBAPIError) as caught:
                    await conn.execute(sa.text("select 1"))
                assert caught.value.connection_invalidated
                await conn.rollback()
                assert await thread_id(conn) != second

    run(main())


def test_isolation_and_two_phases(run: Any, open_engine: Any) -> None:
    async def main() -> None:
        async with open_engine(isolation_level="READ COMMITTED") as engine:
            async with engine.connect() as conn:
                assert await conn.get_isolation_level() == "READ COMMITTED"
                again = await conn.execution_options(isolation_level="AUTOCOMMIT")
                await again.execute(sa.insert(Item), {"name": "kept"})
                await again.rollback()
            async with engine.connect() as conn:

                def two_phases(sync: sa.Connection) -> None:
                    with sync.begin_twophase() as transaction:
                        sync.execute(sa.insert(Item), {"name": "both"})
                        transaction.prepare()

                await conn.run_sync(two_phases)
                names = await conn.scalars(sa.select(Item.name).order_by(Item.id))
                assert names.all() == ["kept", "both"]

    run(main())


def test_recovered_transaction(
    run: Any, open_engine: Any, db: str, needs: Callable[[str], None], kill: Callable[[int], None]
) -> None:
    needs("XA transactions that outlive their session")
    xid = f"order-{db}"

    def prepare(conn: sa.Connection) -> None:
        transaction = conn.begin_twophase(xid)
        conn.execute(sa.insert(Item), {"name": "both"})
        transaction.prepare()

    def recover(conn: sa.Connection) -> None:
        assert xid in conn.recover_twophase()
        conn.commit_prepared(xid, recover=True)

    async def main() -> None:
        async with open_engine() as engine:
            async with engine.connect() as conn:
                killed = await thread_id(conn)
                await conn.rollback()
                await conn.run_sync(prepare)
                await asyncio.to_thread(kill, killed)
                await conn.invalidate()
            async with engine.connect() as conn:
                await conn.run_sync(recover)
                assert await conn.scalar(sa.select(Item.name)) == "both"

    run(main())


@pytest.mark.parametrize("invalidated", [False, True])
def test_terminate_needs_no_loop(url: sa.URL, invalidated: bool) -> None:
    async def connect() -> tuple[AsyncEngine, Any]:
        engine = create_async_engine(url)
        raw = await engine.raw_connection()
        adapted = raw.dbapi_connection
        raw.detach()
        return engine, adapted

    with asyncio.Runner() as runner:
        engine, adapted = runner.run(connect())
        if invalidated:
            adapted.driver_connection.abort()
        engine.dialect.do_terminate(adapted)
        assert not adapted.driver_connection.open
        runner.run(asyncio.sleep(0))


def test_blocking_use_is_an_error(url: sa.URL) -> None:
    engine = sa.create_engine(url.set(drivername="mysql+pymy_async"))
    with pytest.raises(sa.exc.MissingGreenlet):
        engine.connect()


def test_errors_are_pymys(run: Any, open_engine: Any) -> None:
    async def main() -> None:
        async with open_engine() as engine, engine.connect() as conn:
            with pytest.raises(sa.exc.ProgrammingError) as caught:
                await conn.execute(sa.text("select * from nobody"))
            assert isinstance(caught.value.orig, pymy.ProgrammingError)
            assert await conn.scalar(sa.text("select 1")) == 1

    run(main())
