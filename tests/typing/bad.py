"""What must not type-check: each line with `# error` must be reported, no other. Never run."""

from __future__ import annotations

import pymy
import pymy.aio
from pymy import rows

pymy.connect(user=1)  # error
pymy.connect(usr="u")  # error
pymy.connect(compress="gzip")  # error
pymy.connect(autocommit="yes")  # error
pymy.connect(on_cancel="never")  # error
pymy.aio.connect(prot=3306)  # error
pymy.Pool("mysql://h", max_sise=3)  # error
pymy.Pool(maxsize=3)  # error
pymy.Pool(idle_order="random")  # error
pymy.aio.Pool(reset_on_release="no")  # error
pymy.aio.create_pool(port="3306")  # error


def blocking(conn: pymy.Connection) -> None:
    conn.execute(1)  # error
    conn.execute("select 1", timeout="2")  # error
    conn.cursor("dict")  # error
    conn.cursor().fetchmany("3")  # error
    conn.cursor(row_factory=rows.dict_row).fetchone().keys()  # error
    number: int = conn.cursor(row_factory=rows.dict_row).fetchall()[0]  # error
    print(number)
    conn.transaction("serializable", read_onyl=True)  # error
    conn.pipeline(on_error="ignore")  # error
    conn.pipeline().execute(1)  # error


def lent(pool: pymy.Pool[dict[str, int]]) -> None:
    pool.release(1)  # error
    pool.acquire("dsn")  # error
    name: str = pool.execute("select 1").fetchall()[0]["a"]  # error
    print(name)
    for row in pool.stream("select 1"):
        row.lower()  # error


async def awaited(conn: pymy.aio.Connection) -> None:
    conn.cursor().fetchone().keys()  # error
    row: dict[str, int] | None = await conn.cursor().fetchone()  # error
    print(row)
    for _ in conn.execute("select 1"):  # error
        pass
