"""The roles of the login, which COM_RESET_CONNECTION leaves as the session's user has set them.

Servers do not tell of SET ROLE (MySQL not even with session_track_state_change), and procedures and
functions run it too. So a reset brings them back whatever was done; by which statement is asked
once for each connection.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pymy import err
from pymy.protocol.needs import Conversation
from pymy.protocol.query import query, servers_values
from pymy.protocol.result import Result
from pymy.protocol.rows import Row
from pymy.protocol.session import Session
from pymy.protocol.wire import malformed

MARIADB = b"SELECT ROLE_NAME, IS_DEFAULT FROM information_schema.APPLICABLE_ROLES"
# The view of the same name would begin a transaction here, with autocommit off.
MYSQL = b"SHOW GRANTS"
# What a login goes by, and SET ROLE DEFAULT does not.
MYSQL_ALL = b"SELECT @@GLOBAL.activate_all_roles_on_login"
# Column, syntax, anything, table, grant, table, variable, feature, --skip-grant-tables: so answer
# servers without roles.
_UNKNOWN = frozenset({1054, 1064, 1105, 1109, 1141, 1146, 1193, 1235, 1290})


def question(session: Session) -> bytes:
    """Return what to ask about the login's roles, nothing where that is known."""
    assert session.greeting is not None
    if session.set_role is None and session.greeting.version < (
        (10, 1, 3) if session.mariadb else (8, 0, 2)
    ):
        session.set_role = b""
    if session.set_role is not None:
        return b""
    return MARIADB if session.mariadb else MYSQL


def learn(session: Session, asking: Callable[[], Conversation[Result]]) -> Conversation[None]:
    """Take the answer to the question."""
    with servers_values(session):
        try:
            result = yield from asking()
        except err.Error as exc:
            if exc.fatal or exc.errno not in _UNKNOWN:
                raise
            result = Result()
        try:
            if session.mariadb:
                session.set_role = _on_mariadb(result, session.decoding.encoding)
            elif any(map(_grants_role, result.rows)):
                [(all_of_them,)] = (yield from query(session, MYSQL_ALL)).rows
                session.set_role = b"SET ROLE ALL" if int(all_of_them) else b"SET ROLE DEFAULT"
            else:
                session.set_role = b""
        except (TypeError, ValueError, AttributeError):
            raise malformed("a list of roles that is none") from None


def _on_mariadb(result: Result, encoding: str) -> bytes:
    default = [name for name, is_default in result.rows if is_default == "YES"]
    if default:
        quoted = default[0].replace("`", "``")
        return f"SET ROLE `{quoted}`".encode(encoding)
    return b"SET ROLE NONE" if result.rows else b""


def _grants_role(row: Row) -> bool:
    (grant,) = row  # with sql_quote_show_create off, names may stand there without quotes
    return grant.startswith(("GRANT `", 'GRANT "')) or " ON " not in grant


def bring_back(session: Session) -> Conversation[None]:
    if asked := question(session):
        yield from learn(session, partial(query, session, asked))
    if session.set_role:
        yield from query(session, session.set_role)
