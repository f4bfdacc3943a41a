"""Every authentication method over every kind of link: finds the table of docs/authentication.md.

``pytest tests/live/test_live_auth.py --write-docs`` writes it for the servers that ran.
"""

from __future__ import annotations

import getpass
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import pymy
from pymy.constants import CR, ER

DOCUMENT = Path(__file__).parents[2] / "docs" / "authentication.md"
LINKS = {
    "TCP": {"ssl": "disabled"},
    "TCP with TLS": {"ssl": "required"},
    "unix socket": None,
}
LONG = "pässwörd-of-more-than-twenty-bytes " * 3
WRONG = "not the password"


@dataclass
class Method:
    """A way to log in: how the account is made, and what the client must say."""

    title: str
    identified: str
    servers: str
    password: str = "secret"
    client: dict[str, Any] = field(default_factory=dict)
    other: str = ""  # an account that must be denied, where it is not the password that counts
    cold: bool = False  # forget first what the server has cached
    public_key: bool = False


NATIVE = "VIA mysql_native_password USING PASSWORD('{password}')"
OWN_USER = getpass.getuser()
METHODS = [
    Method("mysql_native_password", NATIVE, "mariadb mariadb11"),
    Method("mysql_native_password", "BY '{password}'", "mysql56"),
    Method("mysql_native_password, long password", NATIVE, "mariadb mariadb11", LONG),
    Method("mysql_native_password, long password", "BY '{password}'", "mysql56", LONG),
    Method("mysql_native_password, empty password", "", "mariadb mariadb11 mysql56", ""),
    Method("client_ed25519", "VIA ed25519 USING PASSWORD('{password}')", "mariadb mariadb11"),
    Method(
        "client_ed25519, long password",
        "VIA ed25519 USING PASSWORD('{password}')",
        "mariadb mariadb11",
        LONG,
    ),
    Method(
        "client_ed25519 or mysql_native_password",
        "VIA ed25519 USING PASSWORD('another') OR mysql_native_password "
        "USING PASSWORD('{password}')",
        "mariadb mariadb11",
    ),
    Method("parsec", "VIA parsec USING PASSWORD('{password}')", "mariadb11"),
    Method("parsec, long password", "VIA parsec USING PASSWORD('{password}')", "mariadb11", LONG),
    Method("unix_socket", "IDENTIFIED VIA unix_socket", "mariadb mariadb11", ""),
    Method("caching_sha2_password, first login", "BY '{password}'", "mysql", cold=True),
    Method("caching_sha2_password, later logins", "BY '{password}'", "mysql"),
    Method(
        "caching_sha2_password, first login, allow_public_key_retrieval",
        "BY '{password}'",
        "mysql",
        client={"allow_public_key_retrieval": True},
        cold=True,
    ),
    Method(
        "caching_sha2_password, first login, server_public_key",
        "BY '{password}'",
        "mysql",
        cold=True,
        public_key=True,
    ),
    Method("caching_sha2_password, long password", "BY '{password}'", "mysql", LONG),
    Method("caching_sha2_password, empty password", "", "mysql", ""),
    Method(
        "sha256_password",
        "WITH sha256_password BY '{password}'",
        "mysql",
    ),
    Method(
        "sha256_password, allow_public_key_retrieval",
        "WITH sha256_password BY '{password}'",
        "mysql",
        client={"allow_public_key_retrieval": True},
    ),
    Method(
        "sha256_password, server_public_key",
        "WITH sha256_password BY '{password}'",
        "mysql",
        public_key=True,
    ),
    Method("sha256_password, empty password", "WITH sha256_password", "mysql", ""),
    Method(
        "auth_socket",
        f"WITH auth_socket AS '{OWN_USER}'",
        "mysql",
        "",
        other="WITH auth_socket AS 'somebody-else'",
    ),
    Method(
        "two factors: caching_sha2_password, auth_socket",
        f"BY '{{password}}' AND IDENTIFIED WITH auth_socket AS '{OWN_USER}'",
        "mysql",
        client={"password2": "any"},
    ),
    Method(
        "three factors: caching_sha2_password, auth_socket twice",
        f"BY '{{password}}' AND IDENTIFIED WITH auth_socket AS '{OWN_USER}' "
        f"AND IDENTIFIED WITH auth_socket AS '{OWN_USER}'",
        "mysql",
        client={"password2": "any", "password3": "any"},
    ),
    Method(
        "two factors, the second one wrong",
        "BY '{password}' AND IDENTIFIED WITH auth_socket AS 'somebody-else'",
        "mysql",
        client={"password2": "any"},
    ),
]
TITLES = list(dict.fromkeys(method.title for method in METHODS))
SERVERS = {
    "mariadb": "MariaDB 10.11",
    "mariadb11": "MariaDB 11.8",
    "mysql": "MySQL 9",
    "mysql56": "MySQL 5.6",
}


def attempt(transport, server, user, link, method, password):
    """Log in; return what a reader of the table wants to know."""
    options = dict(method.client)
    if link is None:
        options["unix_socket"] = server.unix_socket
    else:
        options |= {"host": server.host, "port": server.port, **link}
    if method.public_key:
        options["server_public_key"] = str(server.datadir / "public_key.pem")
    try:
        with transport.connect(user=user, password=password, **options) as conn:
            (name,) = conn.execute("select current_user()").fetchone()
            assert name.startswith(f"{user}@")
            assert conn.execute("select 1").fetchone() == (1,)
            conn.change_user(user, password)
            assert conn.execute("select current_user()").fetchone() == (name,)
        return "logs in"
    except pymy.OperationalError as error:
        assert error.fatal
        assert password not in str(error) or not password
        if error.errno in (ER.ACCESS_DENIED_ERROR, ER.ACCESS_DENIED_NO_PASSWORD_ERROR):
            return "denied"
        assert error.errno in (CR.CR_AUTH_PLUGIN_ERR, CR.CR_AUTH_PLUGIN_CANNOT_LOAD), error
        assert re.search(r"TLS|server_public_key", error.message)
        return "refused by pymy"


def cell(transport, server, kind, account, link, method):
    """The answers to the right password and to a wrong one, as one text."""
    if link and link["ssl"] == "required" and kind == "mysql56":
        return "no TLS here"
    user = account(method.identified.format(password=method.password))
    if method.cold:
        with pymy.connect(server.dsn) as admin:
            admin.query("FLUSH PRIVILEGES")
    elif method.title.startswith("caching"):
        # a login over the unix socket fills the server's cache
        assert attempt(transport, server, user, None, method, method.password) == "logs in"
    right = attempt(transport, server, user, link, method, method.password)
    if method.other:
        wrong = attempt(transport, server, account(method.other), link, method, method.password)
    else:
        wrong = attempt(transport, server, user, link, method, WRONG)
    assert wrong in ("denied", "refused by pymy")
    return right if wrong == "denied" else f"{right}; wrong password: {wrong}"


def own_cells(transport, server, method):
    """MariaDB's unix_socket takes the account whose name is the process's own."""
    with pymy.connect(server.dsn) as admin:
        if OWN_USER == "root":  # has an account already, without a password
            for host in ("localhost", "127.0.0.1"):
                admin.query(f"ALTER USER root@'{host}' {method.identified}")
        else:
            admin.query(f"CREATE USER {OWN_USER}@'%' {method.identified}")
        admin.query("CREATE USER nobody_here@'%' IDENTIFIED VIA unix_socket")
        found = []
        for link in LINKS.values():
            assert attempt(transport, server, "nobody_here", link, method, "") == "denied"
            found.append(attempt(transport, server, OWN_USER, link, method, ""))
    return found


@pytest.fixture
def table(transport, server, kind, account, extra_server, set_global):
    if not server.unix_socket or (server.ca is None and kind != "mysql56"):
        pytest.skip("needs a server of the sandbox: TCP, TLS and a unix socket")
    if kind == "mysql":
        set_global("authentication_policy", "*,,")
    found = {}
    for method in METHODS:
        if kind not in method.servers.split():
            continue
        if method.title == "unix_socket":
            found[method.title] = own_cells(transport, extra_server(), method)
        else:
            found[method.title] = [
                cell(transport, server, kind, account, link, method) for link in LINKS.values()
            ]
    return found


def section(kind, table):
    lines = [f"## {SERVERS[kind]}", "", f"| Account | {' | '.join(LINKS)} |", "| --- " * 4 + "|"]
    lines += [f"| {title} | {' | '.join(cells)} |" for title, cells in table.items()]
    return "\n".join(lines) + "\n"


def committed():
    """The sections of the document by their titles; "" is what comes before the first."""
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else INTRODUCTION
    parts = re.split(r"(?m)^(?=## )", text)
    return {"": parts[0]} | {part.split("\n")[0].removeprefix("## "): part for part in parts[1:]}


def test_table(request, kind, table):
    found = section(kind, table)
    sections = committed()
    if request.config.getoption("--write-docs"):
        assert not hasattr(request.config, "workerinput"), "--write-docs works without -n"
        sections[SERVERS[kind]] = found
        order = [title for title in SERVERS.values() if title in sections]
        parts = [INTRODUCTION, *(sections[title].strip() + "\n" for title in order)]
        DOCUMENT.write_text("\n".join(parts), encoding="utf-8")
    else:
        assert sections[SERVERS[kind]].strip() == found.strip(), "see --write-docs"


def test_everything_logs_in_somewhere(table):
    for title, cells in table.items():
        if "wrong" not in title:
            assert any(cell.startswith("logs in") for cell in cells), title


def test_old_passwords_are_refused(connect, account, needs, kind, set_global):
    needs("passwords of MySQL 4.0")
    set_global("secure_auth", 0)
    user = account(
        "WITH mysql_old_password"
        if kind == "mysql56"
        else "VIA mysql_old_password USING '606717496665bcba'"
    )
    with pytest.raises(pymy.OperationalError, match=r"before MySQL 4\.1") as caught:
        connect(user=user, password="x")
    assert caught.value.fatal


def test_pam_asks_for_the_password_itself(connect, tcp_dsn, account, needs):
    needs("PAM")
    user = account("VIA pam USING 'no-such-service'")  # which lets nobody in
    with pytest.raises(pymy.OperationalError, match="allow_cleartext_password=True"):
        connect(tcp_dsn, user=user, password="x")
    with pytest.raises(pymy.OperationalError, match="TLS"):
        connect(tcp_dsn, user=user, password="x", ssl="disabled", allow_cleartext_password=True)
    with pytest.raises(pymy.OperationalError) as caught:
        connect(tcp_dsn, user=user, password="x", allow_cleartext_password=True)
    assert caught.value.errno == ER.ACCESS_DENIED_ERROR


INTRODUCTION = """\
# Authentication

What happens when pymy logs in, by the kind of account, of server and of link. The test suite logs
in for every cell and writes this page: `pytest tests/live/test_live_auth.py --write-docs`.

- **logs in**: with the right password; a wrong one is denied with error 1045.
- **denied**: error 1045 even so: the account asks for something this link cannot give.
- **refused by pymy**: the server wants the password itself, and the link would show it to others.
  The error says what to do: TLS, `server_public_key=`, or `allow_public_key_retrieval=True`.
- **wrong password: refused by pymy**: the server answers a wrong password by asking for the
  password itself.

`dialog` and `mysql_clear_password` (PAM, LDAP) hand over the password itself: only over TLS or a
unix socket, and only with `allow_cleartext_password=True`. `mysql_old_password` is always refused.
"""
