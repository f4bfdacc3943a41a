"""The pools behind ``OPTIONS["pool"]``: one for each alias and database of the process."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import NO_DB_ALIAS

import pymy

_lock = threading.Lock()
_pools: dict[tuple[str, str], pymy.Pool] = {}


def pool_of(wrapper: Any) -> pymy.Pool | None:
    settings = wrapper.settings_dict
    chosen = settings["OPTIONS"].get("pool")
    if not chosen or wrapper.alias == NO_DB_ALIAS:
        return None
    # tests go to another database under the same alias
    key = (wrapper.alias, settings["NAME"])
    found = _pools.get(key)
    if found is None:
        with _lock:
            found = _pools.get(key)
            if found is None:
                found = _pools[key] = _make(wrapper, {} if chosen is True else dict(chosen))
    return found


def _make(wrapper: Any, options: dict[str, Any]) -> pymy.Pool:
    settings = wrapper.settings_dict
    if settings.get("CONN_MAX_AGE", 0) != 0:
        raise ImproperlyConfigured(
            "A pool keeps the connections open: leave CONN_MAX_AGE at 0, and give the pool "
            "max_lifetime or idle_timeout to limit their age."
        )
    params = wrapper.get_connection_params()
    twice = sorted(options.keys() & params.keys())
    if twice:
        raise ImproperlyConfigured(f"Give {twice[0]!r} in OPTIONS, not in OPTIONS['pool'].")
    if settings["CONN_HEALTH_CHECKS"]:
        options.setdefault("validate_after", 0.0)
    hook = _isolating(wrapper.isolation_level, options.pop("on_connect", None))
    return pymy.Pool(**params, **options, on_connect=hook)


def _isolating(level: str | None, then: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    if level is None:
        return then

    def prepare(conn: Any) -> None:
        conn.query(f"SET SESSION TRANSACTION ISOLATION LEVEL {level.upper()}")
        if then is not None:
            then(conn)

    return prepare


def close(wrapper: Any) -> None:
    with _lock:
        found = _pools.pop((wrapper.alias, wrapper.settings_dict["NAME"]), None)
    if found is not None:
        found.terminate()


@atexit.register
def _close_all() -> None:
    while _pools:
        _pools.popitem()[1].terminate()
