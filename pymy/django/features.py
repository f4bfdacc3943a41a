"""What of Django's own tests is about another driver."""

from __future__ import annotations

from typing import Any

from django.db.backends.mysql.features import DatabaseFeatures as MySQLFeatures
from django.utils.functional import cached_property


class DatabaseFeatures(MySQLFeatures):
    """The servers' features, as Django knows them."""

    @cached_property
    def django_test_skips(self) -> dict[str, set[str]]:
        """Tests of Django's own suite to leave out, by reason."""
        known: Any = super().django_test_skips  # a property to Python, a method to type checkers
        return {
            **known,
            "Imports mysqlclient and compares with its spelling of literals.": {
                "backends.mysql.test_schema.SchemaEditorTests.test_quote_value"
            },
        }
