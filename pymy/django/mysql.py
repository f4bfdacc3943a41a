"""The modules of Django's MySQL backend that name their driver, run anew on pymy.

What Django knows of the servers is Django's, and changes with its versions, so nothing of it is
written again here. Two of its modules import their driver by name. They run once more, as modules
of this package, with an ``__import__`` that answers that name with pymy. Nothing enters
``sys.modules`` under it: where the other driver is installed, both backends work side by side.

Source: https://docs.python.org/3/library/functions.html#exec (on ``__builtins__``)
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

import pymy

_DRIVER = "MySQLdb"
_BACKEND = "django.db.backends.mysql"
_anew: dict[str, ModuleType] = {}


def _import(
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    if level == 1 and name in _anew:
        return _anew[name]
    if level == 0 and name.partition(".")[0] == _DRIVER:
        found = importlib.import_module(pymy.__name__ + name.removeprefix(_DRIVER))
        # "import a.b" binds a
        return found if fromlist else pymy
    return builtins.__import__(name, globals, locals, fromlist or (), level)


def _run(name: str) -> ModuleType:
    source = f"{_BACKEND}.{name}"
    spec = find_spec(source)
    assert spec is not None
    code = spec.loader.get_code(source)  # type: ignore[union-attr]
    module = module_from_spec(spec)
    # the spec stays Django's, by which relative imports go
    module.__name__ = f"{__name__}_{name}"
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import}
    sys.modules[module.__name__] = _anew[name] = module
    exec(code, vars(module))
    return module


introspection = _run("introspection")
base: Any = _run("base")
