"""SQL text: literals, names, placeholders, tokens. Nothing here talks to a server.

    from pymy import sql
    sql.escape_id("shop.item")                    `shop`.`item`
    sql.literal("it's")                           'it''s'
    sql.format("select ?? from ??", ["id", "t"])  select `id` from `t`
    cursor.execute("update t set %s where id = %s", (sql.assignments({"name": "x"}), 5))
    cursor.execute("insert into t values (%s)", (sql.Raw("current_timestamp()"),))

A connection has a `LiteralContext` of its own, which follows the session's SQL mode.
"""

from __future__ import annotations

from .literals import (
    DEFAULT_CONTEXT,
    Assignments,
    LiteralContext,
    Raw,
    assignments,
    encode,
    escape,
    escape_id,
    literal,
)
from .placeholders import (
    ParamStyle,
    Template,
    format,
    in_order,
    interpolate,
    marked,
    row_formatter,
    template,
)
from .scripts import SplitValues, batches, has_several, infile_names, split_values
from .splitting import Splitter, Statement, split_script
from .tokens import Token, tokenize, unquote

__all__ = [
    "DEFAULT_CONTEXT",
    "Assignments",
    "LiteralContext",
    "ParamStyle",
    "Raw",
    "SplitValues",
    "Splitter",
    "Statement",
    "Template",
    "Token",
    "assignments",
    "batches",
    "encode",
    "escape",
    "escape_id",
    "format",
    "has_several",
    "in_order",
    "infile_names",
    "interpolate",
    "literal",
    "marked",
    "row_formatter",
    "split_script",
    "split_values",
    "template",
    "tokenize",
    "unquote",
]
