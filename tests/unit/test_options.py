from __future__ import annotations

import dataclasses
import pickle
import ssl

import pytest

import pymy
import pymy.aio
from pymy.constants import CLIENT
from pymy.err import NotSupportedError, ProgrammingError
from pymy.options import FIELDS, Options, SSLMode, from_call
from pymy.options.checks import encode_password

make = Options.from_keywords


def refused(*args, **keywords) -> str:
    with pytest.raises(ProgrammingError) as caught:
        make(*args, **keywords)
    assert caught.value.code == "CR_BAD_OPTION"
    assert not caught.value.sent
    return caught.value.message


# Keywords


def test_defaults():
    options = make(user="u")
    assert (options.host, options.port, options.unix_socket) == ("127.0.0.1", 3306, None)
    assert (options.charset, options.collation) == ("utf8mb4", None)
    assert options.autocommit is False
    assert options.connect_timeout == 10.0
    assert options.read_timeout is None
    assert options.ssl_mode is SSLMode.PREFERRED
    assert options.max_allowed_packet == 1 << 30
    assert options.compress is None
    assert options.client_flag == options.client_flag_off == 0
    assert options == Options(user="u")


def test_user_is_the_operating_systems_when_none_is_given(monkeypatch):
    monkeypatch.setenv("LOGNAME", "someone")
    assert make().user == make(user="").user == "someone"


def test_a_user_id_without_a_name_is_an_empty_user(monkeypatch):
    def nameless():
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert make().user == ""


def test_every_keyword_of_pymysql_is_taken():
    options = make(
        user="u", password="p", host=None, database=None, unix_socket=None, port=0, charset="",
        collation=None, sql_mode=None, read_default_file=None, conv=None, use_unicode=True,
        client_flag=0, cursorclass=None, init_command=None, connect_timeout=10,
        read_default_group=None, autocommit=False, local_infile=False,
        max_allowed_packet=16 * 1024 * 1024, defer_connect=False, auth_plugin_map=None,
        read_timeout=None, write_timeout=None, bind_address=None, binary_prefix=False,
        program_name=None, server_public_key=None, ssl=None, ssl_ca=None, ssl_cert=None,
        ssl_disabled=None, ssl_key=None, ssl_key_password=None, ssl_verify_cert=None,
        ssl_verify_identity=None, compress=None, named_pipe=None, passwd=None, db=None,
    )  # fmt: skip
    assert options == Options(user="u", password="p", max_allowed_packet=16 * 1024 * 1024)


def test_old_names():
    options = make(user="u", passwd="p", db="d")
    assert (options.password, options.database) == ("p", "d")
    both = make(user="u", passwd="old", password="new", db="old", database="new")
    assert (both.password, both.database) == ("new", "new")
    other_order = make(database="new", db="old", password="new", passwd="old", user="u")
    assert other_order == both


def test_none_is_a_choice_for_some():
    options = make(autocommit=None, connect_timeout=None)
    assert options.autocommit is None
    assert options.connect_timeout is None


def test_numbers_stand_for_bools():
    options = make(autocommit=1, use_unicode=0, multi_statements=1)
    assert options.autocommit is True
    assert options.use_unicode is False
    assert options.multi_statements is True


def test_unknown_keyword_names_the_nearest():
    with pytest.raises(TypeError, match=r"'pasword'.* Did you mean password"):
        make(pasword="secret")
    with pytest.raises(TypeError, match="no keyword 'zzzzzz'"):
        make(zzzzzz=1)


def test_named_pipe_is_not_supported():
    with pytest.raises(NotSupportedError, match="named_pipe"):
        make(named_pipe=True)
    assert make(named_pipe=False).host == "127.0.0.1"


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"port": 65536}, "port is between 1 and 65535"),
        ({"port": -1}, "port"),
        ({"connect_timeout": 0}, "connect_timeout is more than 0"),
        ({"connect_timeout": 31536001}, "connect_timeout"),
        ({"connect_timeout": float("nan")}, "connect_timeout"),
        ({"read_timeout": -1.0}, "read_timeout"),
        ({"write_timeout": 0}, "write_timeout"),
        ({"host": "db", "unix_socket": "/s"}, "host or unix_socket, not both"),
        ({"charset": "utf9"}, "Did you mean utf"),
        ({"charset": "utf16"}, "use utf8mb4"),
        ({"collation": "latin1_bin"}, "belongs to charset latin1"),
        ({"collation": "x; drop"}, "collation"),
        ({"max_allowed_packet": 10}, "max_allowed_packet"),
        ({"max_column_length": 0}, "between 1 and 1073741824 bytes, or None"),
        ({"max_column_length": (1 << 30) + 1}, "between 1 and 1073741824 bytes, or None"),
        ({"on_long_column": "cut"}, "on_long_column is one of 'raise', 'null'"),
        ({"compress": "lz4"}, "compress is one of 'zlib', 'zstd', None"),
        ({"compress": "zlib", "compress_level": 10}, "1 to 9"),
        ({"compress_level": 3}, "compress_level needs compress"),
        ({"paramstyle": "format"}, "paramstyle"),
        ({"zero_dates": "null"}, "zero_dates"),
        ({"session_variables": {"a b": 1}}, "not a variable's name"),
        ({"ssl_mode": "verify"}, "verify_ca"),
        ({"ssl_key": "/k"}, "ssl_key needs ssl_cert"),
        ({"user": "a\0b"}, "NUL"),
        ({"client_flag": -1}, "64 bits"),
        ({"server_public_key": "/no/such/key.pem"}, "server_public_key: /no/such/key.pem"),
    ],
    ids=str,
)
def test_bad_values(keywords, message):
    assert message in refused(**keywords)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"port": "3306"}, "port is an int, not str"),
        ({"port": True}, "port"),
        ({"password": 5}, "password is text, bytes or a callable"),
        ({"host": b"h"}, "host is text"),
        ({"connect_timeout": "10"}, "connect_timeout"),
        ({"use_unicode": "yes"}, "use_unicode is True or False"),
        ({"ssl_ca": 3}, "ssl_ca"),
        ({"ssl_context": 3}, "ssl_context"),
        ({"client_flag": 1.5}, "client_flag"),
        ({"session_variables": [1]}, "session_variables"),
        ({"session_variables": {"a": 1.5}}, "session_variables"),
        ({"connection_attributes": {"a": 1}}, "text to text"),
        ({"connection_attributes": 5}, "connection_attributes"),
        ({"local_infile": "/data"}, "list of folders"),
        ({"cursorclass": 3}, "cursorclass"),
        ({"conv": 3}, "conv"),
        ({"auth_plugin_map": 3}, "auth_plugin_map"),
        ({"restricted_auth": 3}, "restricted_auth"),
        ({"compress": "zlib", "compress_level": "3"}, "compress_level"),
    ],
    ids=str,
)
def test_wrong_types(keywords, message):
    with pytest.raises(TypeError, match=message):
        make(**keywords)


def test_a_socket_may_come_with_a_local_host():
    # SQLAlchemy's URLs always have a host.
    options = make(host="localhost", unix_socket="/s", user="u")
    assert (options.host, options.unix_socket) == ("localhost", "/s")


def test_address_forms():
    assert make(host="[::1]").host == make(host="::1").host == "::1"
    assert make(charset="UTF8").charset == "utf8mb4"
    assert make(charset="Latin1").charset == "latin1"
    assert make(collation="utf8mb4_new_in_2030_ci").collation == "utf8mb4_new_in_2030_ci"


def test_compress_true_is_zlib():
    assert make(compress=True).compress == "zlib"
    assert make(compress=False).compress is None
    assert make(compress="zstd", compress_level=22).compress_level == 22


def test_public_key_comes_as_pem_or_as_a_file(tmp_path):
    pem = "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n"
    path = tmp_path / "key.pem"
    path.write_text(pem)
    for given in (pem, pem.encode(), str(path), path):
        assert make(server_public_key=given).server_public_key == pem.encode()
    assert make(server_public_key_path=str(path)).server_public_key == pem.encode()


# Flags


def test_flags_and_options_say_the_same():
    options = make(client_flag=CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS)
    assert options.client_found_rows and options.multi_statements
    assert make(interactive=True).client_flag == CLIENT.INTERACTIVE
    assert make(client_flag=CLIENT.Capability.FOUND_ROWS).client_found_rows


def test_flags_as_text():
    options = make(client_flag="-FOUND_ROWS, +ignore_space,CLIENT_ODBC", client_found_rows=True)
    assert options.client_flag == CLIENT.IGNORE_SPACE | CLIENT.ODBC
    assert options.client_flag_off == CLIENT.FOUND_ROWS
    assert not options.client_found_rows
    assert options.ignore_space
    assert make(client_flag="-DEPRECATE_EOF").deprecate_eof is False
    assert make(client_flag="2").client_found_rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FOUND_ROW", "Did you mean FOUND_ROWS"),
        ("COMPRESS", "compress='zlib'"),
        ("SSL", "ssl_mode"),
        ("-PROTOCOL_41", "cannot work without"),
        ("FOUND_ROWS,-FOUND_ROWS", "both on and off"),
    ],
)
def test_bad_flags(text, message):
    assert message in refused(client_flag=text)


def test_numbers_may_hold_flags_that_other_options_decide():
    assert make(client_flag=CLIENT.SSL | CLIENT.LOCAL_FILES | CLIENT.COMPRESS).client_flag == 0


# TLS


@pytest.mark.parametrize(
    ("keywords", "mode"),
    [
        ({}, SSLMode.PREFERRED),
        ({"ssl": "preferred"}, SSLMode.PREFERRED),
        ({"ssl": "Verify-CA"}, SSLMode.VERIFY_CA),
        ({"ssl": SSLMode.REQUIRED}, SSLMode.REQUIRED),
        ({"ssl_mode": "VERIFY_IDENTITY"}, SSLMode.VERIFY_IDENTITY),
        ({"ssl": True}, SSLMode.REQUIRED),
        ({"ssl": False}, SSLMode.DISABLED),
        ({"ssl_disabled": True}, SSLMode.DISABLED),
        ({"ssl_disabled": True, "ssl_ca": "/ca"}, SSLMode.DISABLED),
        ({"ssl_disabled": False}, SSLMode.PREFERRED),
        ({"ssl_ca": "/ca"}, SSLMode.VERIFY_CA),
        ({"ssl_capath": "/ca"}, SSLMode.VERIFY_CA),
        ({"ssl_ca": "/ca", "ssl_verify_cert": False}, SSLMode.REQUIRED),
        ({"ssl_ca": "/ca", "ssl_verify_cert": "none"}, SSLMode.REQUIRED),
        ({"ssl_ca": "/ca", "ssl_verify_identity": True}, SSLMode.VERIFY_IDENTITY),
        ({"ssl_verify_identity": True}, SSLMode.VERIFY_IDENTITY),
        ({"ssl_verify_cert": True}, SSLMode.VERIFY_CA),
        ({"ssl_cert": "/c", "ssl_key": "/k"}, SSLMode.REQUIRED),
        ({"ssl": True, "ssl_ca": "/ca"}, SSLMode.VERIFY_CA),
        ({"ssl": "required", "ssl_ca": "/ca"}, SSLMode.REQUIRED),
        ({"ssl": {}}, SSLMode.PREFERRED),
        ({"ssl": {"ssl": True}}, SSLMode.REQUIRED),
        ({"ssl": {"ca": "/ca"}}, SSLMode.VERIFY_IDENTITY),
        ({"ssl": {"ca": "/ca", "check_hostname": False}}, SSLMode.VERIFY_CA),
        ({"ssl": {"ca": "/ca", "verify_mode": "none"}}, SSLMode.REQUIRED),
        ({"ssl": {"ca": "/ca", "verify_mode": ssl.CERT_NONE}}, SSLMode.REQUIRED),
        ({"ssl": {"verify_mode": True}}, SSLMode.VERIFY_CA),
        (
            {"ssl": {"verify_mode": ssl.CERT_REQUIRED, "check_hostname": True}},
            SSLMode.VERIFY_IDENTITY,
        ),
        ({"ssl": {"cert": "/c", "key": "/k"}}, SSLMode.REQUIRED),
        ({"ssl_mode": "REQUIRED", "ssl": {"ca": "/ca"}}, SSLMode.REQUIRED),
        ({"unix_socket": "/s"}, SSLMode.DISABLED),
        ({"unix_socket": "/s", "ssl": "required"}, SSLMode.REQUIRED),
        ({"unix_socket": "/s", "ssl_ca": "/ca"}, SSLMode.VERIFY_CA),
    ],
    ids=str,
)
def test_ways_to_ask_for_tls(keywords, mode):
    assert make(**keywords).ssl_mode is mode


def test_ssl_dict_fills_the_fields():
    options = make(
        ssl={"ca": "a", "capath": "b", "cert": "c", "key": "d", "password": "e", "cipher": "f"}
    )
    assert (options.ssl_ca, options.ssl_capath, options.ssl_cert) == ("a", "b", "c")
    assert (options.ssl_key, options.ssl_key_password, options.ssl_cipher) == ("d", "e", "f")


def test_ssl_context_decides_the_mode():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert make(ssl=context).ssl_mode is SSLMode.VERIFY_IDENTITY
    assert make(ssl_context=context).ssl_context is context
    context.check_hostname = False
    assert make(ssl=context).ssl_mode is SSLMode.VERIFY_CA
    context.verify_mode = ssl.CERT_NONE
    assert make(ssl=context).ssl_mode is SSLMode.REQUIRED
    assert make(ssl=context, unix_socket="/s").ssl_mode is SSLMode.REQUIRED


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"ssl": "required", "ssl_verify_cert": True}, "checks less"),
        ({"ssl_mode": "verify_ca", "ssl_verify_identity": True}, "checks less"),
        ({"ssl": "disabled", "ssl_verify_cert": True}, "checks less"),
        ({"ssl": "required", "ssl_mode": "verify_ca"}, "different modes"),
        ({"ssl": "required", "ssl_disabled": True}, "contradicts"),
        ({"ssl_verify_cert": True, "ssl_disabled": True}, "contradicts"),
        ({"ssl": {"check_hostnam": True}}, "Did you mean check_hostname"),
        ({"ssl": {"check_hostname": True}}, "needs ca"),
        ({"ssl_verify_cert": "maybe"}, "ssl_verify_cert"),
        ({"ssl": 5}, "not int"),
    ],
    ids=str,
)
def test_contradicting_ways_to_ask_for_tls(keywords, message):
    assert message in refused(**keywords)


def test_a_context_of_ones_own_takes_no_files():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert "load it there" in refused(ssl=context, ssl_ca="/ca")


# The object


def test_replace_checks_again():
    options = make(user="u", host="a")
    assert options.replace(host="b").host == "b"
    assert options.host == "a"
    with pytest.raises(ProgrammingError):
        options.replace(port=0)
    with pytest.raises(TypeError):
        options.replace(no_such_field=1)


def test_replace_of_the_address_keeps_the_tls_default_of_its_kind():
    tcp = make(user="u")
    assert tcp.replace(unix_socket="/s").ssl_mode is SSLMode.DISABLED
    assert tcp.replace(unix_socket="/s").replace(unix_socket=None).ssl_mode is SSLMode.PREFERRED
    assert make(ssl="required").replace(unix_socket="/s").ssl_mode is SSLMode.REQUIRED
    assert tcp.replace(unix_socket="/s", ssl_mode=SSLMode.REQUIRED).ssl_mode is SSLMode.REQUIRED


def test_options_are_frozen_and_keep_copies():
    variables = {"sql_select_limit": 5}
    options = make(session_variables=variables, local_infile=["/a"])
    variables["other"] = 1
    assert options.session_variables == {"sql_select_limit": 5}
    assert options.local_infile == ("/a",)
    with pytest.raises(AttributeError):
        options.host = "other"


def test_repr_shows_no_secret():
    options = make(
        user="someone", password="s3cret", password2=b"s3cret", password3=lambda: "s3cret",
        ssl_cert="/c", ssl_key="-----BEGIN PRIVATE KEY-----s3cret", ssl_key_password="s3cret",
    )  # fmt: skip
    text = repr(options)
    assert "s3cret" not in text and "lambda" not in text
    assert "someone" in text
    assert text.count("***") == 5


def test_options_can_be_pickled():
    options = make("mysql://u:p@h:1/d?ssl=required&session_variables=a=1")
    assert pickle.loads(pickle.dumps(options)) == options


def test_every_field_is_checked():
    # A new field without a line in checks.py would take anything.
    free = {"row_factory", "progress", "ssl_context"}
    for name in set(FIELDS) - free:
        with pytest.raises((TypeError, ProgrammingError)):
            Options(**{name: object()})


# URLs


def test_url():
    options = make("mysql://us%40er:p%3A%2F%23w@db.example:3307/sh%20op?charset=latin1&autocommit")
    assert (options.user, options.password) == ("us@er", "p:/#w")
    assert (options.host, options.port, options.database) == ("db.example", 3307, "sh op")
    assert options.charset == "latin1"
    assert options.autocommit is True


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymy", "MariaDB+pymy"])
def test_schemes(scheme):
    assert make(f"{scheme}://h").host == "h"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://[::1]:3307/db", {"host": "::1", "port": 3307, "database": "db"}),
        ("mysql://[fe80::1%25eth0]", {"host": "fe80::1%eth0", "port": 3306}),
        ("mysql://u@[::1]", {"host": "::1", "user": "u"}),
        ("mysql://", {"host": "127.0.0.1", "database": None}),
        ("mysql:///db", {"host": "127.0.0.1", "database": "db"}),
        ("mysql://h/", {"database": None}),
        ("mysql://u:p:q@h", {"password": "p:q"}),
        ("mysql://u:p@q@h", {"password": "p@q"}),
        ("mysql://u:p@h?password2=x", {"password": "p", "password2": "x"}),
        ("mysql://localhost/d?unix_socket=%2Fs", {"unix_socket": "/s", "database": "d"}),
        ("mysql://localhost/run/my.sock/db", {"unix_socket": "/run/my.sock", "database": "db"}),
        ("mysql://localhost/run/my.sock/", {"unix_socket": "/run/my.sock", "database": None}),
        ("mysql://%2Frun%2Fmy.sock/db", {"unix_socket": "/run/my.sock", "database": "db"}),
        ("mysql://h?socket=/s", None),
        ("mysql://h#SET%20NAMES%20x;SELECT 1", {"init_command": "SET NAMES x;SELECT 1"}),
        ("mysql://h?init_sql=SELECT+1", {"init_command": "SELECT+1"}),
        ("mysql://h?autocommit=none", {"autocommit": None}),
        ("mysql://h?connect_timeout=2.5", {"connect_timeout": 2.5}),
        ("mysql://h?connect-timeout=none", {"connect_timeout": None}),
        ("mysql://h?max_allowed_packet=64M", {"max_allowed_packet": 64 << 20}),
        ("mysql://h?max_column_length=10M", {"max_column_length": 10 << 20}),
        ("mysql://h?max_column_length=none", {"max_column_length": None}),
        ("mysql://h?on_long_column=null", {"on_long_column": "null"}),
        ("mysql://h?client_flags=-FOUND_ROWS,IGNORE_SPACE", {"ignore_space": True}),
        ("mysql://h?ssl", {"ssl_mode": SSLMode.REQUIRED}),
        ("mysql://h?ssl=off", {"ssl_mode": SSLMode.DISABLED}),
        ('mysql://h?ssl={"ca":"/ca"}', {"ssl_ca": "/ca", "ssl_mode": SSLMode.VERIFY_IDENTITY}),
        ("mysql://h?session_variables=a=1,b=x", {"session_variables": {"a": "1", "b": "x"}}),
        ('mysql://h?session_variables={"a":1}', {"session_variables": {"a": 1}}),
        ("mysql://h?connection_attributes=false", {"connection_attributes": False}),
        ("mysql://h?compress", {"compress": "zlib"}),
        ("mysql://h?compress=zstd&compress_level=3", {"compress": "zstd", "compress_level": 3}),
        ("mysql://h?restricted_auth=a,b", {"restricted_auth": frozenset("ab")}),
        ("mysql://h?local_infile=/a:/b", {"local_infile": ("/a", "/b")}),
        ("mysql://h?local_infile", {"local_infile": True}),
    ],
)
def test_parts_of_urls(url, expected):
    if expected is None:
        assert "not both" in refused(url)
    else:
        options = make(url)
        assert {name: getattr(options, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://u:s3cret@h", "not http://"),
        ("u:s3cret@h", "mysql:// or mariadb://"),
        ("my sql s3cret://h", "starts with"),
        ("mysql://u:s3/cret@h/db", "%XX"),
        ("mysql://u:p@h:99s3cret/db", "port is not a number"),
        ("mysql://u:s3cret@h:0/db", None),
        ("mysql://u:s3cret@::1/db", "brackets"),
        ("mysql://u:s3cret@[::1/db", "no ]"),
        ("mysql://u:s3cret@[::1]x/db", "only :port"),
        ("mysql://u:s3cret%ff@h", "password is not UTF-8"),
        ("mysql://u:s3cret@h?conect_timeout=1", "'conect_timeout'. Did you mean connect_timeout"),
        ("mysql://u:s3cret@h?cursorclass=x", "unknown parameter"),
        ("mysql://u:s3cret@h?connect_timeout=soon", "connect_timeout must be seconds"),
        ("mysql://u:s3cret@h?autocommit=maybe", "true, false or none"),
        ("mysql://u:s3cret@h?password2", "password2 needs a value"),
        ("mysql://u:s3cret@h?port", "port needs a value"),
        ("mysql://u:s3cret@h?multi_statements=maybe", "true or false"),
        ("mysql://u:s3cret@h?max_allowed_packet=big", "bytes"),
        ("mysql://u:s3cret@h?compress_level=x", "whole number"),
        ("mysql://u:s3cret@h?session_variables=a", "name=value"),
        ("mysql://u:s3cret@h?session_variables={a", "JSON"),
        ("mysql://u:s3cret@h?charset=latin1&charset=utf8", "given twice"),
        ("mysql://u:s3cret@h/path/to/db", "needs localhost"),
        ("mysql://u:s3cret@h?password=s3cret", "given twice"),
    ],
)
def test_bad_urls_say_why_and_never_the_password(url, message):
    if message is None:
        assert make(url).port == 3306  # as PyMySQL's port=0
    else:
        text = refused(url)
        assert message in text
        assert "s3" not in text


def test_keywords_override_the_url():
    options = make("mysql://u:p@h:3307/d?ssl=required", host="other", password="q", ssl="disabled")
    assert (options.host, options.port, options.password) == ("other", 3307, "q")
    assert options.ssl_mode is SSLMode.DISABLED


def test_an_address_is_overridden_as_a_whole():
    assert make("mysql://h/d", unix_socket="/s").unix_socket == "/s"
    assert make("mysql:///d?socket=/s", host="h").unix_socket is None


# Option files


@pytest.fixture
def option_file(tmp_path):
    path = tmp_path / "my.cnf"
    path.write_text(
        "[client]\nuser=filer\npassword='pw # x'\nhost=db.example\nport=3310\n"
        "default-character-set=latin1\nloose-compress\nunknown_to_us=5\nssl-ca=/ca.pem\n"
        "[pymy]\nport=3311\n[other]\nsocket=/run/x.sock\nconnect_timeout=5\nskip-ssl\n"
        "[bad]\nport=many\n[alone]\npassword\ninteractive\n"
    )
    return path


def test_option_file(option_file):
    options = make(read_default_file=str(option_file))
    assert (options.user, options.password) == ("filer", "pw # x")
    assert (options.host, options.port) == ("db.example", 3311)
    assert (options.charset, options.compress) == ("latin1", "zlib")
    assert options.ssl_mode is SSLMode.VERIFY_CA


def test_option_file_is_overridden_by_url_and_keywords(option_file):
    options = make(f"mysql://urler@h/?read_default_file={option_file}", port=1, password="")
    assert (options.user, options.host, options.port) == ("urler", "h", 1)
    assert options.password == "pw # x"


def test_one_group_of_an_option_file(option_file):
    options = make(read_default_file=option_file, read_default_group="other", user="u")
    assert (options.unix_socket, options.connect_timeout) == ("/run/x.sock", 5.0)
    assert options.ssl_mode is SSLMode.DISABLED
    assert options.charset == "utf8mb4"
    both = make(read_default_file=option_file, read_default_group=["client", "pymy"])
    assert both.port == 3311


def test_options_alone_in_an_option_file(option_file):
    options = make(read_default_file=option_file, read_default_group="alone")
    assert options.password == ""
    assert options.interactive is True


def test_bad_value_in_an_option_file(option_file):
    message = refused(read_default_file=option_file, read_default_group="bad")
    assert str(option_file) in message and "port must be a whole number" in message


def test_a_missing_option_file_is_an_error(tmp_path):
    with pytest.raises(pymy.ProgrammingError, match=r"read_default_file: there is no .*none\.cnf"):
        make(read_default_file=tmp_path / "none.cnf", user="u")


@dataclasses.dataclass
class Item:
    id: int


@pytest.mark.parametrize("factory", ["dict", dict, tuple, Item, 1], ids=repr)
def test_a_row_factory_is_a_function_of_columns(factory):
    with pytest.raises(TypeError, match=r"pymy\.rows\.dict_row, or .*dataclass_row\(Item\)"):
        make(row_factory=factory)


@pytest.mark.parametrize("module", [pymy, pymy.aio])
def test_a_pools_keywords_are_named_as_its_own(module):
    with pytest.raises(TypeError, match=r"Pool\(\) has no keyword 'maxsize'\. .*max_size"):
        module.Pool("mysql://u@h/d", maxsize=3)


# -- what must not be guessed, and not be shown


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("character_set_client", "charset"),
        ("Character_Set_Connection", "charset"),
        ("character_set_results", "charset"),
        ("names", "charset"),
        ("collation_connection", "collation"),
        ("SQL_MODE", "sql_mode"),
        ("autocommit", "autocommit"),
    ],
)
def test_session_variables_that_are_options(name, option):
    with pytest.raises(ProgrammingError, match=rf"{name} is set by the option {option}="):
        make(session_variables={name: "x"})


@pytest.mark.parametrize("name", ["a b", "a$b", "@x", "1a", "", "a\n", 5])
def test_names_of_session_variables(name):
    with pytest.raises(ProgrammingError, match="is not a variable's name"):
        make(session_variables={name: 1})


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:12?s3cret@host/db",
        "mysql://u:?s3cret@host/db",
        "mysql://u:12?a&s3cret=b@host",
        "mysql://u:12#s3cret@host/db",
        "mysql://u:12/s3cret@host/db",
        "mysql://u:12/s3cret@host",
        "mysql://a@b:12?s3cret@host",
    ],
)
def test_a_password_cut_by_its_own_characters_is_not_shown(url):
    with pytest.raises(ProgrammingError, match="%XX") as caught:
        make(url)
    assert "s3cret" not in str(caught.value)


def test_an_at_sign_where_it_belongs():
    options = make("mysql://u:p%40@h/d%40b?init_command=SET%20@a=1")
    assert (options.password, options.database, options.init_command) == ("p@", "d@b", "SET @a=1")
    assert make("mysql://u@h/d#SET %40a=1").init_command == "SET @a=1"
    with pytest.raises(ProgrammingError, match="unknown parameter 'databse'"):
        make("mysql://u@h/?databse=x")


@pytest.mark.parametrize("name", ["password", "password2", "password3"])
def test_half_a_character_in_a_password(name):
    with pytest.raises(ProgrammingError, match="half a surrogate pair") as caught:
        make(**{name: "s3cret\udcff"})
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("name", ["user", "host", "database", "ssl_server_hostname"])
def test_what_no_name_holds(name):
    with pytest.raises(ProgrammingError, match=f"{name} has a NUL"):
        make(**{name: "a\0b"})
    with pytest.raises(ProgrammingError, match=f"{name} has half"):
        make(**{name: "a\ud800"})


def test_encode_password():
    assert encode_password("pä") == "pä".encode()
    assert encode_password(b"\xff") == encode_password(bytearray(b"\xff")) == b"\xff"
    for value in (5, None, ["s3cret"]):
        with pytest.raises(ProgrammingError, match=rf"not {type(value).__name__}") as caught:
            encode_password(value)
        assert "s3cret" not in str(caught.value)
    with pytest.raises(ProgrammingError, match="as bytes"):
        encode_password("\ud800")


# Options that were made before


def test_the_same_arguments_give_the_same_options():
    first = from_call("h", ("u", "p"), {"autocommit": True})
    assert from_call("h", ("u", "p"), {"autocommit": True}) is first
    url = "mysql://u:p@h/?autocommit=true"
    assert from_call(url, (), {}) is from_call(url, (), {}) is not first
    assert from_call(url, (), {}) == first


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"port": 3306}, {"port": 3307}),
        ({"user": "a", "password": "b"}, {"password": "a", "user": "b"}),
        ({"autocommit": 0}, {"autocommit": None}),
        ({"max_allowed_packet": 1024}, {"cancel_timeout": 1024}),
    ],
)
def test_other_arguments_give_other_options(one, other):
    named = {"user": "u"}
    assert from_call(None, (), named | one) != from_call(None, (), named | other)


def test_what_only_looks_equal_is_checked():
    from_call(None, (), {"user": "u", "connect_timeout": 1})
    with pytest.raises(TypeError):
        from_call(None, (), {"user": "u", "connect_timeout": True})


def test_files_and_the_environment_are_read_each_time(monkeypatch, tmp_path):
    monkeypatch.setenv("LOGNAME", "one")
    assert from_call(None, (), {"host": "h"}).user == "one"
    monkeypatch.setenv("LOGNAME", "two")
    assert from_call(None, (), {"host": "h"}).user == "two"
    file = tmp_path / "my.cnf"
    key = tmp_path / "key.pem"
    for text in ("1", "2"):
        file.write_text(f"[client]\ndatabase = d{text}\n")
        key.write_text(text)
        named = {"user": "u", "read_default_file": str(file)}
        assert from_call(None, (), named).database == f"d{text}"
        assert from_call(f"mysql://u@h/?read_default_file={file}", (), {}).database == f"d{text}"
        named = {"user": "u", "server_public_key": str(key)}
        assert from_call(None, (), named).server_public_key == text.encode()


def test_a_context_is_looked_at_each_time():
    context = ssl.create_default_context()
    named = {"user": "u", "ssl": context}
    assert from_call(None, (), named).ssl_mode is SSLMode.VERIFY_IDENTITY
    context.check_hostname = False
    assert from_call(None, (), named).ssl_mode is SSLMode.VERIFY_CA
