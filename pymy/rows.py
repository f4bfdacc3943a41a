"""Row factories: what a row of a result is to the program.

A row factory gets the columns of a result set once and returns the function that makes one row from
the tuple of its values::

    conn.cursor(row_factory=rows.dict_row)
    conn.cursor(row_factory=rows.dataclass_row(Item))
"""

from __future__ import annotations

import unicodedata
from collections import Counter, namedtuple
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields, is_dataclass
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, TypeVar

from . import err
from .constants import CR
from .protocol.columns import Column

T = TypeVar("T")

# What a connection, a cursor or a pool makes of a row.
if TYPE_CHECKING:
    import typing_extensions  # type checkers bring it along

    Row = typing_extensions.TypeVar("Row", default=tuple[Any, ...])
else:
    Row = TypeVar("Row")  # of Python 3.11, which knows no default
Make = Callable[[tuple[Any, ...]], T]
RowFactory = Callable[[Sequence[Column]], Make[T]]
# A tuple as in PyMySQL, where a cursor of dicts gives a list.
Rows = tuple[T, ...] | list[T]


def unique_names(columns: Sequence[Column]) -> list[str]:
    """Return the columns' names; one that came before gets its table in front (as PyMySQL does),
    and a number where even that came before, so that no value is lost."""
    names = _Names()
    for column in columns:
        name = column.name if column.name not in names.taken else f"{column.table}.{column.name}"
        names.add(name)
    return names.taken_in_order


class _Names:
    """Names made unique by numbers, in time that grows as their count: a server may send a
    thousand columns of one name."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.taken_in_order: list[str] = []
        self._numbers: dict[str, int] = {}

    def add(self, base: str, separator: str = ".") -> str:
        name = base
        # Names are never given back, so the search goes on where the last one ended.
        number = self._numbers.get(base, 2)
        while name in self.taken:
            name = f"{base}{separator}{number}"
            number += 1
        self._numbers[base] = number
        self.taken.add(name)
        self.taken_in_order.append(name)
        return name


def tuple_row(columns: Sequence[Column]) -> Make[tuple[Any, ...]]:
    """Rows as tuples, the default."""
    return tuple


def dict_row(columns: Sequence[Column]) -> Make[dict[str, Any]]:
    """Rows as dicts by column name; a name that occurs again is ``table.name``."""
    names = unique_names(columns)
    return lambda row: dict(zip(names, row, strict=True))


def namedtuple_row(columns: Sequence[Column]) -> Make[Any]:
    """Rows as named tuples; what Python allows no name (``count(*)``, ``class``) is cleaned, and
    numbered where two become the same: ``a_b``, ``a_b_2``."""
    names = _Names()
    for name in unique_names(columns):
        # Python folds names by NFKC, and not all that is a letter or digit to str is one in a name
        folded = unicodedata.normalize("NFKC", name)
        parts = "".join(each if f"a{each}".isidentifier() else " " for each in folded).split()
        clean = "_".join(parts).strip("_") or "column"
        if not clean.isidentifier() or iskeyword(clean):
            clean = f"f_{clean}"
        names.add(clean, "_")
    make_class: Any = namedtuple  # mypy wants the fields written out; they are known at run time
    row: Any = make_class("Row", names.taken_in_order)
    make: Make[Any] = row._make
    return make


def dataclass_row(cls: type[T]) -> RowFactory[T]:
    """Rows as objects of a dataclass, or any class that takes the columns as keywords.

    Raises ProgrammingError, once the result is read, when columns and fields differ; the
    connection stays usable.
    """

    def factory(columns: Sequence[Column]) -> Make[T]:
        names = [column.name for column in columns]
        if is_dataclass(cls):
            wanted = [field for field in fields(cls) if field.init]
            known = {field.name for field in wanted}
            unknown = [name for name in names if name not in known]
            present = Counter(names)
            if unknown or len(present) != len(names):
                shown = ", ".join(unknown or sorted(n for n, count in present.items() if count > 1))
                raise err.ProgrammingError(
                    CR.CR_BAD_PARAMETER,
                    f"{cls.__name__} has no single field for the column(s) {shown}; "
                    "name each column once, as the fields, with AS",
                )
            missing = [
                field.name for field in wanted
                if field.default is MISSING and field.default_factory is MISSING
                and field.name not in present
            ]  # fmt: skip
            if missing:
                raise err.ProgrammingError(
                    CR.CR_BAD_PARAMETER,
                    f"The result has no column for {cls.__name__}'s field(s) {', '.join(missing)}; "
                    "select them, or give the fields defaults",
                )
        return lambda row: cls(**dict(zip(names, row, strict=True)))

    return factory


def scalar_row(columns: Sequence[Column]) -> Make[Any]:
    """Rows as their first value."""
    return lambda row: row[0]


def nested_row(columns: Sequence[Column]) -> Make[dict[str, dict[str, Any]]]:
    """Rows as one dict a table (by its alias): ``{"item": {"id": 1}, "": {"total": 3}}``.

    A name that occurs again in the same table is numbered, ``total.2``.
    """
    names: dict[str, _Names] = {}
    places = [
        (column.table, names.setdefault(column.table, _Names()).add(column.name))
        for column in columns
    ]

    def make(row: tuple[Any, ...]) -> dict[str, dict[str, Any]]:
        nested: dict[str, dict[str, Any]] = {}
        for (table, name), value in zip(places, row, strict=True):
            nested.setdefault(table, {})[name] = value
        return nested

    return make
