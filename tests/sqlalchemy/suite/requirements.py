"""What SQLAlchemy's suite may ask for: everything, but what the server cannot do.

SQLAlchemy's own class closes many requirements until a dialect opens them. Here all are open, and
these tables close the ones that fail on the server whatever the driver.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

NEITHER = {
    "array_type": "no array type",
    "column_collation_reflection": "SHOW CREATE TABLE leaves out a collation that is the default",
    "comment_reflection_full_unicode": "comments hold no character beyond U+FFFF",
    "computed_columns_default_persisted": "generated columns are virtual unless told otherwise",
    "constraint_comment_reflection": "no comments on constraints",
    "datetime_interval": "no interval type",
    "datetime_microseconds": "DATETIME keeps whole seconds; DATETIME(6) microseconds",
    "datetime_timezone": "DATETIME and TIMESTAMP keep no time zone",
    "datetime_timezone_historic": "DATETIME and TIMESTAMP keep no time zone",
    "default_schema_name_switch": "a schema is a database, and USE is not undone by a rollback",
    "fetch_percent": "no FETCH FIRST ... PERCENT",
    "identity_columns": "AUTO_INCREMENT instead of GENERATED AS IDENTITY",
    "identity_columns_standard": "AUTO_INCREMENT instead of GENERATED AS IDENTITY",
    "index_reflects_included_columns": "no INCLUDE columns in indexes",
    "infinity_floats": "no infinity",
    "json_deserializer_binary": "JSON is text",
    "materialized_views": "no materialized views",
    "materialized_views_reflect_pk": "no materialized views",
    "precision_generic_float_type": "FLOAT shows six digits",
    "reflect_indexes_with_ascdesc_as_expression": "ASC and DESC are no expressions",
    "reflect_tables_no_columns": "a table has a column at least",
    "reflects_pk_names": "a primary key is always called PRIMARY",
    "repeated_column_foreign_keys": "a column occurs once in a foreign key",
    "repeated_remote_col_foreign_keys": "a column occurs once in a foreign key",
    "sql_expression_limit_offset": "LIMIT takes numbers, not expressions",
    "supports_bitwise_not": "~ gives an unsigned number of 64 bits",
    "supports_distinct_on": "no DISTINCT ON",
    "temp_table_names": "SHOW TABLES leaves out temporary tables",
    "temporary_views": "no temporary views",
    "time_microseconds": "TIME keeps whole seconds; TIME(6) microseconds",
    "time_timezone": "TIME keeps no time zone",
    "timestamp_microseconds": "TIMESTAMP keeps whole seconds; TIMESTAMP(6) microseconds",
    "unbounded_varchar": "VARCHAR needs a length",
    "window_range_non_numeric": "no interval type for RANGE",
}

NOT_MYSQL = {
    "cast_precision_numerics_many_significant_digits": "numbers in JSON are DOUBLE",
    "ctes_with_values": "VALUES wants ROW(...), which SQLAlchemy does not write",
    "fetch_first": "no FETCH FIRST",
    "fetch_no_order_by": "no FETCH FIRST",
    "fetch_ties": "no FETCH FIRST",
    "index_ddl_if_exists": "no IF EXISTS for indexes",
    "indexes_with_expressions": "an expression in an index cannot be TEXT",
    "table_value_constructor": "VALUES wants ROW(...), which SQLAlchemy does not write",
    "uuid_data_type": "no UUID type",
}

NOT_MARIADB = {
    "ctes_with_update_delete": "no WITH in front of UPDATE and DELETE",
    "fetch_expression": "FETCH FIRST takes numbers, not expressions",
    "float_or_double_precision_behaves_generically": "FLOAT shows six digits",
    "fk_constraint_option_reflection_ondelete_restrict": "SHOW CREATE TABLE leaves out RESTRICT",
    "fk_constraint_option_reflection_onupdate_restrict": "SHOW CREATE TABLE leaves out RESTRICT",
    "indexes_with_expressions": "no expressions in indexes",
    "inline_check_constraint_reflection": "a column's CHECK is shown in its line, where SQLAlchemy "
    "does not look",
    "table_value_constructor": "no names of columns behind the alias of VALUES",
}


def lacking(name: str) -> Any:
    """Return the skips of what a server lacks, with the reason; None for what both have."""
    reasons = {"mysql": NEITHER | NOT_MYSQL, "mariadb": NEITHER | NOT_MARIADB}
    skips = None
    for server, why in reasons.items():
        if name in why:
            skip = exclusions.skip_if(server, why[name])
            skips = skip if skips is None else skips + skip
    return skips


def requirement(name: str, default: property) -> property:
    def get(self: SuiteRequirements) -> Any:
        skip = lacking(name)
        if skip is not None:
            return skip
        found = default.__get__(self)
        closed = any(
            isinstance(each, exclusions.BooleanPredicate) and each.value
            for each in getattr(found, "skips", ())
        )
        return exclusions.open() if closed else found

    return property(get)


class Requirements(SuiteRequirements):
    def get_order_by_collation(self, config: Any) -> str:
        return "utf8mb4_bin"


for _name, _default in vars(SuiteRequirements).items():
    if isinstance(_default, property):
        setattr(Requirements, _name, requirement(_name, _default))
