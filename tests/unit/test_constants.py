from __future__ import annotations

import subprocess
import sys

import pytest

from pymy.constants import CLIENT, COMMAND, CR, ER, FIELD_TYPE, FLAG, SERVER_STATUS

MODULES = [
    (CLIENT, "Capability"),
    (COMMAND, "Command"),
    (FIELD_TYPE, "FieldType"),
    (FLAG, "ColumnFlag"),
    (SERVER_STATUS, "ServerStatus"),
]


@pytest.mark.parametrize(
    ("module", "enum"), MODULES, ids=lambda value: getattr(value, "__name__", value)
)
def test_names_are_plain_ints_and_enum_members(module, enum):
    members = getattr(module, enum).__members__
    assert members
    for name, member in members.items():
        assert type(getattr(module, name)) is int
        assert getattr(module, name) == member.value


def test_capability_bits():
    assert CLIENT.FOUND_ROWS == 2
    assert CLIENT.SSL == 0x800
    assert CLIENT.DEPRECATE_EOF == 0x1000000
    assert CLIENT.MULTI_FACTOR_AUTHENTICATION == 0x10000000
    assert CLIENT.PROGRESS == 1 << 32
    assert CLIENT.BULK_UNIT_RESULTS == 1 << 37
    assert CLIENT.CAPABILITIES == 0x3AA205
    values = [flag.value for flag in CLIENT.Capability]
    assert sum(values) == (1 << 38) - 1, "every bit once, none left out"


def test_flags_print_their_names_and_keep_unknown_bits():
    text = repr(CLIENT.Capability(CLIENT.SSL | CLIENT.FOUND_ROWS))
    assert "SSL" in text and "FOUND_ROWS" in text
    assert int(CLIENT.Capability(1 << 50)) == 1 << 50


def test_field_types_of_both_servers():
    assert FIELD_TYPE.VECTOR == 242
    assert FIELD_TYPE.TIME2 == 19
    assert FIELD_TYPE.TYPED_ARRAY == 20
    assert FIELD_TYPE.CHAR is FIELD_TYPE.TINY
    assert {FIELD_TYPE.LONG: "x"}[3] == "x"
    assert FIELD_TYPE.FieldType(252).name == "BLOB"


def test_commands():
    assert COMMAND.COM_RESET_CONNECTION == 0x1F
    assert COMMAND.COM_STMT_BULK_EXECUTE == 0xFA
    assert COMMAND.Command(3).name == "COM_QUERY"


def test_client_errors():
    assert CR.symbol(2013) == "CR_SERVER_LOST"
    assert CR.symbol(2000) == "CR_UNKNOWN_ERROR"
    assert CR.symbol(CR.CR_BAD_OPTION) == "CR_BAD_OPTION"
    assert CR.symbol(2999) == ""


@pytest.mark.parametrize(
    ("errno", "mysql", "mariadb"),
    [
        (1062, "ER_DUP_ENTRY", "ER_DUP_ENTRY"),
        (1265, "WARN_DATA_TRUNCATED", "WARN_DATA_TRUNCATED"),
        (1264, "ER_WARN_DATA_OUT_OF_RANGE", "ER_WARN_DATA_OUT_OF_RANGE"),
        (4025, "ER_INNODB_AUTOEXTEND_SIZE_OUT_OF_RANGE", "ER_CONSTRAINT_FAILED"),
        (4031, "ER_CLIENT_INTERACTION_TIMEOUT", "ER_REFERENCED_TRG_DOES_NOT_EXIST"),
        (1927, "ER_CONNECTION_KILLED", "ER_CONNECTION_KILLED"),
        (3819, "ER_CHECK_CONSTRAINT_VIOLATED", "ER_CHECK_CONSTRAINT_VIOLATED"),
        (999, "", ""),
        (65535, "", ""),
    ],
)
def test_symbols(errno, mysql, mariadb):
    assert ER.symbol(errno) == mysql
    assert ER.symbol(errno, mariadb=True) == mariadb


def test_numbers_of_symbols():
    assert ER.number("ER_DUP_ENTRY") == ER.number("DUP_ENTRY") == ER.DUP_ENTRY == 1062
    assert ER.number("ER_ACCOUNT_HAS_BEEN_LOCKED") == ER.ACCOUNT_HAS_BEEN_LOCKED == 3118
    assert ER.number("ER_ACCOUNT_HAS_BEEN_LOCKED", mariadb=True) == 4151
    assert ER.number("WARN_DATA_TRUNCATED") == 1265
    assert ER.number("ER_NO_SUCH_SYMBOL") == 0


def test_every_symbol_leads_to_its_number_and_back():
    for mariadb in (False, True):
        errnos = [n for n in range(1000, 10000) if ER.symbol(n, mariadb)]
        assert len(errnos) > 1300
        for errno in errnos:
            name = ER.symbol(errno, mariadb)
            assert ER.symbol(ER.number(name, mariadb), mariadb) == name


def test_client_error_range_is_free_of_server_symbols():
    # err.Error.code relies on it.
    assert not any(ER.symbol(n, mariadb) for n in range(2000, 3000) for mariadb in (False, True))


@pytest.mark.parametrize(
    "name", ["CLIENT", "COMMAND", "CR", "ER", "FIELD_TYPE", "FLAG", "SERVER_STATUS"]
)
def test_every_name_of_pymysql_is_here(name):
    peer = pytest.importorskip(f"pymysql.constants.{name}", reason="PyMySQL is not installed")
    ours = __import__(f"pymy.constants.{name}", fromlist=["x"])
    # PyMySQL is off by two in these, see the servers' headers; its last client error moved.
    known = {"HOSTNAME", "USERNAME", "WRONG_STRING_LENGTH", "CR_ERROR_LAST"}
    differing = {
        key
        for key, value in vars(peer).items()
        if key.isupper() and getattr(ours, key, None) != value
    }
    assert differing <= known
    assert all(hasattr(ours, key) for key in differing)


def test_the_names_of_errors_behave_as_a_modules():
    scope: dict[str, int] = {}
    exec("from pymy.constants.ER import *", scope)
    assert scope["DUP_ENTRY"] == 1062
    assert "DUP_ENTRY" in dir(ER)
    with pytest.raises(AttributeError, match="NO_SUCH_NAME"):
        ER.NO_SUCH_NAME  # noqa: B018
    assert not hasattr(ER, "_private")


def test_the_big_table_is_not_loaded_before_it_is_needed():
    code = (
        "import sys, pymy\n"
        "from pymy.constants import ER\n"
        "assert 'pymy.constants._errors' not in sys.modules\n"
        "assert pymy.OperationalError(1062, 'x').code == 'ER_DUP_ENTRY'\n"
        "assert 'pymy.constants._errors' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
