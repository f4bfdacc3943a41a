"""Changes of the schema, with literals that servers keep as they are."""

from __future__ import annotations

from typing import Any

from django.db.backends.mysql.schema import DatabaseSchemaEditor as MySQLSchemaEditor


class DatabaseSchemaEditor(MySQLSchemaEditor):
    """Writes the statements of migrations."""

    def quote_value(self, value: Any) -> Any:
        """Return a literal for a statement that is shown (``sqlmigrate``), or cannot be sent apart.

        Bytes are without introducer: MariaDB keeps a DEFAULT that has one as other bytes.
        """
        if isinstance(value, (bytes, bytearray, memoryview)):
            return f"X'{value.hex()}'"
        return super().quote_value(value)
