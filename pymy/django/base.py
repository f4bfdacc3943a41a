"""The backend itself: Django's MySQL backend with connections of pymy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.asyncio import async_unsafe

import pymy
from pymy.constants import FIELD_TYPE
from pymy.converters import conversions

from . import pools
from .client import DatabaseClient
from .creation import DatabaseCreation
from .features import DatabaseFeatures
from .mysql import base as mysql
from .schema import DatabaseSchemaEditor

# What the ORM reads must look as its fields expect it.
_TAKEN = {
    "json": "JSONField decodes by itself",
    "paramstyle": "the ORM writes %s",
    "row_factory": "the ORM reads tuples",
    "use_unicode": "the ORM reads text",
}


class DatabaseWrapper(mysql.DatabaseWrapper):
    """A connection of Django's to MySQL or MariaDB over pymy."""

    Database = pymy
    SchemaEditorClass = DatabaseSchemaEditor
    client_class = DatabaseClient
    creation_class = DatabaseCreation
    features_class = DatabaseFeatures

    def get_connection_params(self) -> dict[str, Any]:
        """Return the keywords for ``pymy.connect``: all of OPTIONS but Django's own."""
        params: dict[str, Any] = super().get_connection_params()
        for name, reason in _TAKEN.items():
            if name in params:
                raise ImproperlyConfigured(f"Leave {name!r} out of OPTIONS: {reason}.")
        params.pop("pool", None)
        if params.pop("server_side_binding", False):
            params.setdefault("prepare", "always")
        # as an option of its own it stays when OPTIONS has a client_flag
        params["client_found_rows"] = True
        # without these two each connect would take two round trips more
        params.setdefault("autocommit", self.settings_dict["AUTOCOMMIT"])
        params["session_variables"] = {
            "sql_auto_is_null": 0,
            **params.get("session_variables", {}),
        }
        # a str in place of a date would end in make_aware()
        params.setdefault("zero_dates", "none")
        params["conv"] = _with_times(params["conv"])
        return params

    @property
    def pool(self) -> pymy.Pool | None:
        """The pool behind this alias; None without ``OPTIONS["pool"]``."""
        return pools.pool_of(self)

    def close_pool(self) -> None:
        """Close the pool, if there is one; the next connection makes another."""
        pools.close(self)

    @async_unsafe
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        pool = self.pool
        return pymy.connect(**conn_params) if pool is None else pool.acquire()

    def init_connection_state(self) -> None:
        if self.pool is None:
            super().init_connection_state()
        else:  # whose connections come with their isolation level
            BaseDatabaseWrapper.init_connection_state(self)

    def _close(self) -> None:
        # of a connection that is lost already there is nothing to say goodbye to
        if self.connection is not None and (self.connection.open or self.pool is not None):
            super()._close()


def _with_times(conv: dict[Any, Any]) -> dict[Any, Any]:
    """Return converters that make ``datetime.time`` of TIME, unless the program chose its own."""
    if conv.get(FIELD_TYPE.TIME) is not conversions[FIELD_TYPE.TIME]:
        return conv
    as_time: Callable[[str], Any] = mysql.django_conversions[FIELD_TYPE.TIME]
    return {**conv, FIELD_TYPE.TIME: as_time}
