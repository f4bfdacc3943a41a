"""What of Django's own tests is about another driver."""

from __future__ import annotations

from django.db.backends.mysql.features import DatabaseFeatures as MySQLFeatures
from django.utils.functional import cached_property


class DatabaseFeatures(MySQLFeatures):
    """The servers' features, as Django knows them."""

    @cached_property
    def django_test_skips(self) -> dict[str, set[str]]:
        """Tests of Django's own suite to leave out, by reason."""
        return {
            **super().django_test_skips,
            "Imports mysqlclient and compares with its spelling of literals.": {
                "backends.mysql.test_schema.SchemaEditorTests.test_quote_value"
            },
        }
