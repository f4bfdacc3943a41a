"""Column types as column definitions, binary rows and binlog events name them.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
https://mariadb.com/kb/en/result-set-packets/#field-types
"""

from __future__ import annotations

from ._enums import int_enum

DECIMAL = 0
TINY = 1
SHORT = 2
LONG = 3
FLOAT = 4
DOUBLE = 5
NULL = 6
TIMESTAMP = 7
LONGLONG = 8
INT24 = 9
DATE = 10
TIME = 11
DATETIME = 12
YEAR = 13
NEWDATE = 14
VARCHAR = 15
BIT = 16
TIMESTAMP2 = 17  # 17-19 occur in binlog events only: the types with fractional seconds
DATETIME2 = 18
TIME2 = 19
TYPED_ARRAY = 20
# MariaDB's compressed columns, in binlog events only.
BLOB_COMPRESSED = 140
VARCHAR_COMPRESSED = 141
VECTOR = 242
INVALID = 243
BOOL = 244
JSON = 245
NEWDECIMAL = 246
ENUM = 247
SET = 248
TINY_BLOB = 249
MEDIUM_BLOB = 250
LONG_BLOB = 251
BLOB = 252
VAR_STRING = 253
STRING = 254
GEOMETRY = 255

CHAR = TINY
INTERVAL = ENUM

FieldType = int_enum("FieldType", globals())
