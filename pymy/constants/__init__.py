"""Numbers of the MySQL protocol, one module per kind, under the names PyMySQL uses.

Module-level names are plain ints: cheap to combine and to look up. Each module also has an enum
over the same names (`CLIENT.Capability`, `FIELD_TYPE.FieldType`, ...) for printing.
"""
