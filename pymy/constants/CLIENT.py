"""Capability flags that client and server exchange in the handshake.

Bits 0-31 are MySQL's. MariaDB announces its own in bits 32-63, carried in what MySQL keeps as
filler, and only when it leaves LONG_PASSWORD (which MariaDB calls CLIENT_MYSQL) unset.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
https://mariadb.com/kb/en/connection/#capabilities
"""

from __future__ import annotations

from ._enums import int_flag

LONG_PASSWORD = 1 << 0
FOUND_ROWS = 1 << 1
LONG_FLAG = 1 << 2
CONNECT_WITH_DB = 1 << 3
NO_SCHEMA = 1 << 4
COMPRESS = 1 << 5
ODBC = 1 << 6
LOCAL_FILES = 1 << 7
IGNORE_SPACE = 1 << 8
PROTOCOL_41 = 1 << 9
INTERACTIVE = 1 << 10
SSL = 1 << 11
IGNORE_SIGPIPE = 1 << 12
TRANSACTIONS = 1 << 13
RESERVED = 1 << 14
SECURE_CONNECTION = 1 << 15
MULTI_STATEMENTS = 1 << 16
MULTI_RESULTS = 1 << 17
PS_MULTI_RESULTS = 1 << 18
PLUGIN_AUTH = 1 << 19
CONNECT_ATTRS = 1 << 20
PLUGIN_AUTH_LENENC_CLIENT_DATA = 1 << 21
HANDLE_EXPIRED_PASSWORDS = 1 << 22
SESSION_TRACK = 1 << 23
DEPRECATE_EOF = 1 << 24
OPTIONAL_RESULTSET_METADATA = 1 << 25
ZSTD_COMPRESSION_ALGORITHM = 1 << 26
QUERY_ATTRIBUTES = 1 << 27
MULTI_FACTOR_AUTHENTICATION = 1 << 28
CAPABILITY_EXTENSION = 1 << 29
SSL_VERIFY_SERVER_CERT = 1 << 30
REMEMBER_OPTIONS = 1 << 31

# MariaDB's extended capabilities.
PROGRESS = 1 << 32
COM_MULTI = 1 << 33
STMT_BULK_OPERATIONS = 1 << 34
EXTENDED_METADATA = 1 << 35
CACHE_METADATA = 1 << 36
BULK_UNIT_RESULTS = 1 << 37

Capability = int_flag("Capability", globals())

# What PyMySQL always asks for; programs add to it.
CAPABILITIES = (
    LONG_PASSWORD
    | LONG_FLAG
    | PROTOCOL_41
    | TRANSACTIONS
    | SECURE_CONNECTION
    | MULTI_RESULTS
    | PLUGIN_AUTH
    | PLUGIN_AUTH_LENENC_CLIENT_DATA
    | CONNECT_ATTRS
)
