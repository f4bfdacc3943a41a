"""Column flags of a column definition.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__column__definition__flags.html
"""

from __future__ import annotations

from ._enums import int_flag

NOT_NULL = 1 << 0
PRI_KEY = 1 << 1
UNIQUE_KEY = 1 << 2
MULTIPLE_KEY = 1 << 3
BLOB = 1 << 4
UNSIGNED = 1 << 5
ZEROFILL = 1 << 6
BINARY = 1 << 7
ENUM = 1 << 8
AUTO_INCREMENT = 1 << 9
TIMESTAMP = 1 << 10
SET = 1 << 11
NO_DEFAULT_VALUE = 1 << 12
ON_UPDATE_NOW = 1 << 13
PART_KEY = 1 << 14
NUM = 1 << 15
UNIQUE = 1 << 16  # inside the server; 1 << 15 is what goes over the wire for numbers
BINCMP = 1 << 17

ColumnFlag = int_flag("ColumnFlag", globals())

# The server documents GROUP as 1 << 15 too; PyMySQL's value is a mask and is kept for its users.
GROUP = 32767
