"""Which of a pool's options are used for another server."""

from __future__ import annotations

import pytest

from pymy.options import Options, SSLMode
from pymy.pool import Pool

OF_ONE_SERVER = {
    "host": "one.example",
    "port": 3307,
    "user": "alice",
    "password": "first",
    "password2": "second",
    "password3": "third",
    "database": "shop",
    "ssl_server_hostname": "one.internal",
}


def options_elsewhere(dsn, **options):
    return Pool(**options)._core(dsn).options


@pytest.mark.parametrize("how", ["keywords", "file", "group"])
def test_a_login_goes_to_no_other_server(tmp_path, how):
    if how == "keywords":
        given = dict(OF_ONE_SERVER)
    else:
        group = "client" if how == "file" else "mine"
        path = tmp_path / "my.cnf"
        lines = [f"{name}={value}" for name, value in OF_ONE_SERVER.items()]
        path.write_text("\n".join([f"[{group}]", *lines, "ssl-mode=VERIFY_CA"]))
        given = {"read_default_file": str(path)}
        if how == "group":
            given["read_default_group"] = group
    given |= {"connect_timeout": 3.0, "ssl_ca": "/ca.pem"}
    assert Pool(**given).options.password2 == "second"
    found = options_elsewhere("mysql://bob:other@two.example/", **given)
    default = Options()
    for name in OF_ONE_SERVER.keys() - {"host", "user", "password"}:
        assert getattr(found, name) == getattr(default, name), name
    assert (found.host, found.user, found.password) == ("two.example", "bob", "other")
    assert (found.connect_timeout, found.ssl_ca) == (3.0, "/ca.pem")
    assert found.ssl_mode is SSLMode.VERIFY_CA
    found = options_elsewhere("mysql://two.example/", **given)
    assert (found.user != "alice", found.password) == (True, "")


def test_aliases_are_left_out_too():
    found = options_elsewhere("mysql://two.example/", passwd="first", db="shop", host="one.example")
    assert (found.password, found.database) == ("", None)


def test_an_option_file_of_its_own(tmp_path):
    path = tmp_path / "two.cnf"
    path.write_text("[client]\nuser=bob\npassword=other\n")
    dsn = f"mysql://two.example/?read_default_file={path}"
    found = options_elsewhere(dsn, user="alice", password="first")
    assert (found.user, found.password) == ("bob", "other")
    (tmp_path / "one.cnf").write_text("[client]\nuser=alice\npassword=first\n")
    found = options_elsewhere(dsn, read_default_file=str(tmp_path / "one.cnf"))
    assert found.password == ""
