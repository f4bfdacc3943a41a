"""What users do with an engine: sessions, streams, lost connections, transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    Session,
    mapped_column,
    relationship,
)

import pymy
from pymy.constants import ER
from pymy.cursors import SSCursor


class Base(MappedAsDataclass, DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    name: Mapped[str] = mapped_column(sa.String(50), unique=True)
    books: Mapped[list[Book]] = relationship(back_populates="author", default_factory=list)


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    title: Mapped[str] = mapped_column(sa.String(100))
    author: Mapped[Author] = relationship(back_populates="books", init=False)
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("author.id"), init=False)


NUMBERS = sa.Table(
    "numbers", sa.MetaData(), sa.Column("n", sa.Integer, primary_key=True, autoincrement=False)
)


def fill(engine: sa.Engine, rows: int) -> None:
    NUMBERS.create(engine)
    with engine.begin() as conn:
        conn.execute(NUMBERS.insert(), [{"n": n} for n in range(rows)])


def status(conn: sa.Connection, name: str) -> int:
    query = sa.text("show session status like :name")
    return int(conn.execute(query, {"name": name}).one()[1])


def thread_id(conn: sa.Connection) -> int:
    return int(conn.scalar(sa.text("select connection_id()")) or 0)


# -- the ORM


def test_session(engine: sa.Engine) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(Author("Ada", [Book("Notes"), Book("Letters")]))
        session.add(Author("Émilie 🐬"))
        session.commit()
    with Session(engine) as session:
        ada = session.scalars(sa.select(Author).where(Author.name == "Ada")).one()
        assert sorted(book.title for book in ada.books) == ["Letters", "Notes"]
        ada.books[0].title = "Sketches"
        session.add(Author("Ada"))
        with pytest.raises(sa.exc.IntegrityError) as caught:
            session.flush()
        assert caught.value.orig is not None and caught.value.orig.errno == ER.DUP_ENTRY
        session.rollback()
        assert session.scalar(sa.select(sa.func.count(Book.id)).where(Book.title == "Notes")) == 1
        names = session.scalars(sa.select(Author.name).order_by(Author.id)).all()
        assert names == ["Ada", "Émilie 🐬"]


def test_bulk_insert_and_update(engine: sa.Engine) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        authors = [Author(f"a{n}") for n in range(250)]
        session.add_all(authors)
        session.commit()
        assert len({author.id for author in authors}) == 250
        changed = session.execute(
            sa.update(Author),
            [{"id": author.id, "name": f"b{n}"} for n, author in enumerate(authors)],
        )
        session.commit()
        assert changed is not None
        assert session.scalar(sa.select(Author.name).where(Author.id == authors[9].id)) == "b9"


# -- round trips


def test_many_rows_are_one_statement(engine: sa.Engine) -> None:
    NUMBERS.create(engine)
    with engine.begin() as conn:
        before = status(conn, "Com_insert")
        result = conn.execute(NUMBERS.insert(), [{"n": n} for n in range(1000)])
        assert result.rowcount == 1000
        assert status(conn, "Com_insert") - before == 1


def test_many_rows_come_back_in_order(engine: sa.Engine, needs: Callable[[str], None]) -> None:
    needs("returning")
    Base.metadata.create_all(engine)
    rows = [{"name": f"n{n}"} for n in range(500)]
    with engine.begin() as conn:
        before = status(conn, "Com_insert")
        statement = sa.insert(Author).returning(Author.name, sort_by_parameter_order=True)
        names = conn.scalars(statement, rows).all()
        assert names == [row["name"] for row in rows]
        assert status(conn, "Com_insert") - before <= 2


def test_connecting_costs_what_pymy_costs(engine: sa.Engine, url: sa.URL) -> None:
    # SQLAlchemy asks the first connection about the server
    with engine.connect(), engine.connect() as conn:
        through_engine = status(conn, "Questions")
    plain = url.set(drivername="mysql").render_as_string(hide_password=False)
    with pymy.connect(plain) as connection:
        row = connection.execute("show session status like 'Questions'").fetchone()
    assert through_engine == int(row[1])


def test_matched_rows_are_counted(engine: sa.Engine) -> None:
    fill(engine, 3)
    with engine.begin() as conn:
        assert conn.execute(sa.update(NUMBERS).values(n=NUMBERS.c.n)).rowcount == 3


# -- streams


def test_stream_results(engine: sa.Engine) -> None:
    fill(engine, 5000)
    query = sa.select(NUMBERS.c.n).order_by(NUMBERS.c.n)
    with engine.connect() as conn:
        result = conn.execution_options(yield_per=100).execute(query)
        assert isinstance(result.cursor, SSCursor)
        parts = [len(part) for part in result.partitions()]
        assert parts == [100] * 50
        streamed = conn.execution_options(stream_results=True).scalars(query)
        assert list(streamed) == list(range(5000))


def test_leaving_a_stream_early(engine: sa.Engine) -> None:
    fill(engine, 5000)
    cross = sa.select(NUMBERS.c.n).join(NUMBERS.alias(), sa.true())
    with engine.connect() as conn:
        before = thread_id(conn)
        with conn.execution_options(stream_results=True, max_row_buffer=10).execute(cross) as rows:
            assert len(rows.fetchmany(3)) == 3
        assert conn.scalar(sa.text("select 1")) == 1
        assert thread_id(conn) == before


def test_orm_streams(engine: sa.Engine) -> None:
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Author(f"a{n}") for n in range(300))
        session.commit()
        query = sa.select(Author).execution_options(yield_per=50)
        assert sum(1 for _ in session.scalars(query)) == 300


# -- lost connections


def test_ping_before_use(make_engine: Any, kill: Callable[[int], None]) -> None:
    engine = make_engine(pool_pre_ping=True, pool_size=1, max_overflow=0)
    with engine.connect() as conn:
        first = thread_id(conn)
    kill(first)
    with engine.connect() as conn:
        assert thread_id(conn) != first


def test_ping_keeps_a_good_connection(make_engine: Any) -> None:
    engine = make_engine(pool_pre_ping=True)
    with engine.connect() as conn:
        first = thread_id(conn)
        before = status(conn, "Com_admin_commands") if not conn.dialect.is_mariadb else None
    with engine.connect() as conn:
        assert thread_id(conn) == first
        if before is not None:
            # COM_PING counts as one of these on MySQL
            assert status(conn, "Com_admin_commands") > before


def test_lost_connection(engine: sa.Engine, kill: Callable[[int], None]) -> None:
    with engine.connect() as conn:
        first = thread_id(conn)
        kill(first)
        with pytest.raises(sa.exc.OperationalError) as caught:
            conn.execute(sa.text("select 1"))
        assert caught.value.connection_invalidated
        assert caught.value.orig is not None and caught.value.orig.fatal
        conn.rollback()
        assert thread_id(conn) != first
    with engine.connect() as conn:
        assert conn.scalar(sa.text("select 1")) == 1


def test_lost_connection_goes_back_to_the_pool(
    engine: sa.Engine, kill: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(sa.exc.OperationalError), engine.connect() as conn:
        kill(thread_id(conn))  # so that the rollback at the end of the block fails
    assert caplog.records == []
    with engine.connect() as conn:
        assert conn.scalar(sa.text("select 1")) == 1


def test_dispose_of_lost_connections(
    engine: sa.Engine, kill: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    with engine.connect() as conn:
        killed = thread_id(conn)
    kill(killed)
    engine.dispose()
    assert caplog.records == []


def test_invalidate(engine: sa.Engine) -> None:
    with engine.connect() as conn:
        driver = conn.connection.driver_connection
        assert driver is not None
        conn.invalidate()
        assert not driver.open


def test_unreachable_server() -> None:
    engine = sa.create_engine("mysql+pymy://app@/shop?unix_socket=/nowhere/sock")
    with pytest.raises(sa.exc.OperationalError, match="Is the server running") as caught:
        engine.connect()
    assert caught.value.orig is not None and caught.value.orig.sent is False


# -- transactions


def test_deadlock(engine: sa.Engine) -> None:
    from concurrent.futures import ThreadPoolExecutor

    fill(engine, 2)

    def lock(conn: sa.Connection, n: int) -> None:
        conn.execute(sa.select(NUMBERS).where(NUMBERS.c.n == n).with_for_update())

    with engine.connect() as one, engine.connect() as two, ThreadPoolExecutor(1) as pool:
        lock(one, 0)
        lock(two, 1)
        other = pool.submit(lock, two, 0)
        failures = []
        try:
            lock(one, 1)
        except sa.exc.OperationalError as error:
            failures.append((one, error))
            one.rollback()
        try:
            other.result()
        except sa.exc.OperationalError as error:
            failures.append((two, error))
        assert len(failures) == 1
        loser, error = failures[0]
        assert error.orig is not None and error.orig.errno == ER.LOCK_DEADLOCK
        assert error.orig.retry is pymy.Retry.TRANSACTION
        assert not error.connection_invalidated
        loser.rollback()
        assert loser.scalar(sa.text("select 1")) == 1


@pytest.mark.parametrize(
    "level", ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
)
def test_isolation_levels(engine: sa.Engine, level: Any) -> None:
    with engine.connect() as conn:
        default = conn.get_isolation_level()
    with engine.connect().execution_options(isolation_level=level) as conn:
        assert conn.get_isolation_level() == level
        first = thread_id(conn)
    with engine.connect() as conn:
        assert thread_id(conn) == first
        assert conn.get_isolation_level() == default


def test_autocommit(engine: sa.Engine, make_engine: Any) -> None:
    NUMBERS.create(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(NUMBERS.insert(), {"n": 1})
        conn.rollback()
    with engine.connect() as conn:
        conn.execute(NUMBERS.insert(), {"n": 2})
        conn.rollback()
        assert conn.scalars(sa.select(NUMBERS.c.n)).all() == [1]
    always = make_engine(isolation_level="AUTOCOMMIT")
    with always.connect() as conn:
        assert conn.connection.driver_connection.get_autocommit()


def test_savepoint(engine: sa.Engine) -> None:
    NUMBERS.create(engine)
    with engine.begin() as conn:
        conn.execute(NUMBERS.insert(), {"n": 1})
        with pytest.raises(sa.exc.IntegrityError), conn.begin_nested():
            conn.execute(NUMBERS.insert(), {"n": 1})
        conn.execute(NUMBERS.insert(), {"n": 2})
    with engine.connect() as conn:
        assert conn.scalars(sa.select(NUMBERS.c.n).order_by(NUMBERS.c.n)).all() == [1, 2]


def test_two_phases(engine: sa.Engine) -> None:
    NUMBERS.create(engine)
    with engine.connect() as conn:
        with conn.begin_twophase() as transaction:
            conn.execute(NUMBERS.insert(), {"n": 1})
            transaction.prepare()
        with conn.begin_twophase() as transaction:
            conn.execute(NUMBERS.insert(), {"n": 2})
            transaction.rollback()
        with conn.begin_twophase():  # prepared by the commit
            conn.execute(NUMBERS.insert(), {"n": 3})
        assert conn.scalars(sa.select(NUMBERS.c.n).order_by(NUMBERS.c.n)).all() == [1, 3]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_recovered_transaction(
    engine: sa.Engine, needs: Callable[[str], None], db: str, kill: Callable[[int], None], end: str
) -> None:
    needs("XA transactions that outlive their session")
    NUMBERS.create(engine)
    xid = f"order-{db}"
    with engine.connect() as conn:
        killed = thread_id(conn)
        conn.rollback()
        transaction = conn.begin_twophase(xid)
        conn.execute(NUMBERS.insert(), {"n": 1})
        transaction.prepare()
        kill(killed)
        conn.invalidate()
    with engine.connect() as conn:
        assert xid in conn.recover_twophase()
        if end == "commit":
            conn.commit_prepared(xid, recover=True)
        else:
            conn.rollback_prepared(xid, recover=True)
        assert xid not in conn.recover_twophase()
        assert conn.scalars(sa.select(NUMBERS.c.n)).all() == ([1] if end == "commit" else [])


def test_two_phase_session(engine: sa.Engine) -> None:
    Base.metadata.create_all(engine)
    with Session(engine, twophase=True) as session:
        session.add(Author("Ada"))
        session.commit()
        assert session.scalar(sa.select(sa.func.count(Author.id))) == 1


# -- several results


def test_procedure(engine: sa.Engine) -> None:
    with engine.begin() as conn:
        conn.exec_driver_sql("create procedure two_results() begin select 1; select 2; end")
        assert conn.execute(sa.text("call two_results()")).scalar() == 1
        assert conn.scalar(sa.text("select 3")) == 3
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.callproc("two_results", ())
        assert cursor.fetchall() == ((1,),)
        assert cursor.nextset() and cursor.fetchall() == ((2,),)
        cursor.close()
    finally:
        raw.close()
