"""Column types of the servers that SQLAlchemy does not have."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Dialect
from sqlalchemy.types import UserDefinedType

from ..protocol.kinds import vector


class VECTOR(UserDefinedType[Sequence[float]]):
    """VECTOR of MySQL 9 and MariaDB 11.7: single precision floats.

    Takes any sequence of numbers, returns ``array.array("f")``.

    dimensions: number of floats; None lets MySQL take its default of 2048, MariaDB asks for one.

    Source: https://dev.mysql.com/doc/refman/9.7/en/vector.html
    https://mariadb.com/kb/en/vector-overview/
    """

    cache_ok = True

    def __init__(self, dimensions: int | None = None) -> None:
        self.dimensions = dimensions

    def get_col_spec(self, **options: Any) -> str:
        return "VECTOR" if self.dimensions is None else f"VECTOR({int(self.dimensions)})"

    def bind_processor(self, dialect: Dialect) -> Any:
        return lambda value: None if value is None else array("f", value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        # MariaDB calls it VARBINARY
        return lambda value: vector(value) if isinstance(value, bytes) else value
