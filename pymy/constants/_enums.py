"""Turn the plain ints of a constants module into an enum, so that each number is written once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum, IntFlag
from typing import cast


def _members(namespace: Mapping[str, object]) -> dict[str, int]:
    return {
        name: value for name, value in namespace.items() if type(value) is int and name.isupper()
    }


def int_enum(name: str, namespace: Mapping[str, object]) -> type[IntEnum]:
    """Return an IntEnum with the upper-case ints of `namespace` as members."""
    module = str(namespace["__name__"])
    # A type checker takes a call of an enum class for a look-up by value.
    make = cast("Callable[..., type[IntEnum]]", IntEnum)
    return make(name, _members(namespace), module=module)


def int_flag(name: str, namespace: Mapping[str, object]) -> type[IntFlag]:
    """Return an IntFlag with the upper-case ints of `namespace`; unknown bits are kept."""
    module = str(namespace["__name__"])
    make = cast("Callable[..., type[IntFlag]]", IntFlag)
    return make(name, _members(namespace), module=module)
