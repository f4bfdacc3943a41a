"""Test databases: made, copied and dropped over the connection, without ``mysqldump``."""

from __future__ import annotations

from typing import Any

from django.db.backends.mysql.creation import DatabaseCreation as MySQLCreation

from .cloning import clone


class DatabaseCreation(MySQLCreation):
    """Makes test databases; the copies for ``--parallel`` are made by the server itself."""

    def _clone_db(self, source_database_name: str, target_database_name: str) -> None:
        with self._nodb_cursor() as cursor:
            clone(cursor, source_database_name, target_database_name)

    def _destroy_test_db(self, test_database_name: str, verbosity: int) -> Any:
        self.connection.close_pool()
        return super()._destroy_test_db(test_database_name, verbosity)
