"""Row factories: tuples into what a program would rather have."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pymy import err, rows
from pymy.protocol.columns import Column


def columns(*names: str) -> list[Column]:
    """Columns by name, or by ``table.name``."""
    made = []
    for name in names:
        table, dot, short = name.partition(".")
        if not dot:
            table, short = "t", name
        made.append(Column("db", table, table, short, short, 45, 40, 253, 0, 0))
    return made


def make(factory, names, values):
    return factory(columns(*names))(values)


# -- names


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        (["a", "b"], ["a", "b"]),
        (["x.a", "y.a"], ["a", "y.a"]),
        (["x.a", "y.a", "z.a"], ["a", "y.a", "z.a"]),
        (["x.a", "x.a", "x.a"], ["a", "x.a", "x.a.2"]),
        (["x.a"] * 4, ["a", "x.a", "x.a.2", "x.a.3"]),
        ([], []),
        ([".1", ".1"], ["1", ".1"]),
    ],
)
def test_unique_names(names, unique):
    assert rows.unique_names(columns(*names)) == unique


def test_a_name_that_looks_like_a_made_one():
    clash = [*columns("x.a"), Column("db", "y", "y", "x.a", "", 45, 40, 253, 0, 0), *columns("x.a")]
    names = rows.unique_names(clash)
    assert len(set(names)) == 3


@pytest.mark.parametrize("factory", [rows.dict_row, rows.nested_row, rows.namedtuple_row])
def test_many_equal_names_cost_no_more_than_others(factory):
    """A search through the names taken would compare 400 million times here."""
    equal = columns("t.a") * 20000
    row = tuple(range(20000))
    made = factory(equal)(row)
    if factory is rows.namedtuple_row:
        assert (made.a, made.t_a_19999) == (0, 19999)
    elif factory is rows.nested_row:
        assert (made["t"]["a"], made["t"]["a.20000"]) == (0, 19999)
    else:
        assert (made["a"], made["t.a.19999"], len(made)) == (0, 19999, 20000)


def test_numbers_go_round_names_that_look_like_them():
    assert rows.unique_names(columns("t.a", "t.a", "t.t.a.2", "t.a")) == [
        "a",
        "t.a",
        "t.a.2",
        "t.a.3",
    ]


# -- tuple, dict, scalar, nested


def test_tuples_are_what_they_are():
    row = (1, "x")
    assert make(rows.tuple_row, "ab", row) is row


def test_dicts():
    assert make(rows.dict_row, ["a", "b"], (1, None)) == {"a": 1, "b": None}


def test_dicts_lose_no_value():
    made = make(rows.dict_row, ["x.id", "y.id", "y.id"], (1, 2, 3))
    assert made == {"id": 1, "y.id": 2, "y.id.2": 3}


def test_dicts_keep_the_columns_order():
    assert list(make(rows.dict_row, ["b", "a", "c"], (1, 2, 3))) == ["b", "a", "c"]


def test_scalars():
    assert make(rows.scalar_row, ["a", "b"], (7, 8)) == 7
    assert make(rows.scalar_row, ["a"], (None,)) is None


def test_nested():
    made = make(rows.nested_row, ["x.id", "y.id", "x.name", ".total"], (1, 2, "n", 3))
    assert made == {"x": {"id": 1, "name": "n"}, "y": {"id": 2}, "": {"total": 3}}


def test_nested_rows_lose_no_value():
    made = make(rows.nested_row, [".x", ".x", "t.x", ".x"], (1, 2, 3, 4))
    assert made == {"": {"x": 1, "x.2": 2, "x.3": 4}, "t": {"x": 3}}


def test_nested_rows_are_apart():
    factory = rows.nested_row(columns("x.id"))
    first, second = factory((1,)), factory((2,))
    assert (first, second) == ({"x": {"id": 1}}, {"x": {"id": 2}})


# -- named tuples


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        (["id", "name"], ("id", "name")),
        (["count(*)"], ("count",)),
        (["1"], ("f_1",)),
        (["class", "None"], ("f_class", "f_None")),
        (["_id"], ("id",)),
        (["a b", "a-b"], ("a_b", "a_b_2")),
        ([""], ("column",)),
        (["*", "+"], ("column", "column_2")),
        (["x.id", "y.id"], ("id", "y_id")),
        (["größe", "名前"], ("größe", "名前")),
        (["a", "a_", "x.a", "y.a"], ("a", "a_2", "x_a", "y_a")),
        (["count", "index"], ("count", "index")),
    ],
)
def test_names_of_tuples(names, fields):
    made = make(rows.namedtuple_row, names, tuple(range(len(names))))
    assert made._fields == fields
    assert made == tuple(range(len(names)))


@pytest.mark.parametrize("name", ["ﬁeld", "²", "a²", "٣x", "a\N{MIDDLE DOT}"])
def test_names_in_unusual_characters(name):
    """What a word is to a regular expression is not always a name to Python."""
    made = make(rows.namedtuple_row, [name, "ok"], (1, 2))
    assert made[0] == 1
    assert made.ok == 2


def test_names_that_python_takes_for_one():
    """Python folds identifiers by NFKC: the ligature and its letters are one name."""
    made = make(rows.namedtuple_row, ["ﬁ", "fi"], (1, 2))
    assert tuple(made) == (1, 2)
    assert made._asdict() == dict(zip(made._fields, (1, 2), strict=True))


def test_a_row_of_another_width_is_an_error():
    for factory in (rows.dict_row, rows.namedtuple_row, rows.nested_row):
        with pytest.raises((ValueError, TypeError)):
            make(factory, ["a", "b"], (1,))


# -- dataclasses


@dataclass
class Item:
    id: int
    name: str = "none"
    made: str = field(default="here", init=False)


def test_dataclasses():
    assert make(rows.dataclass_row(Item), ["name", "id"], ("n", 1)) == Item(1, "n")


def test_defaults_stand_for_columns_that_are_missing():
    assert make(rows.dataclass_row(Item), ["id"], (1,)) == Item(1, "none")


def test_other_classes_take_keywords():
    assert make(rows.dataclass_row(dict), ["a", "b"], (1, 2)) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["id", "price"], "price"),
        (["id", "made"], "made"),
        (["x.id", "y.id"], "id"),
        (["id", "price", "weight"], "price, weight"),
        (["id", "Name"], "Name"),
    ],
)
def test_columns_without_a_field(names, shown):
    with pytest.raises(err.ProgrammingError, match=f"Item .*{shown};") as caught:
        rows.dataclass_row(Item)(columns(*names))
    assert not caught.value.fatal


def test_a_field_without_a_column():
    """Known before the first row, so that it is an error of ours that says which."""
    with pytest.raises(err.ProgrammingError, match="id"):
        rows.dataclass_row(Item)(columns("name"))
