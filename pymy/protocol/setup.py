"""The one statement that brings a fresh session to what the options ask for."""

from __future__ import annotations

from functools import lru_cache

from pymy import err
from pymy.charset import Charset, charset_by_name, is_collation_name
from pymy.constants import CR, SERVER_STATUS
from pymy.options import Options
from pymy.protocol.session import Session


def setup_statement(session: Session, options: Options) -> str:
    """Build ``SET NAMES ...`` with autocommit, sql_mode and session variables in the same breath.

    SET NAMES is sent even when the handshake named the charset: a server may ignore the handshake's
    (skip-character-set-client-handshake), and only it picks the server's own default collation.
    """
    parts = [names_clause(options.charset, options.collation)]
    if options.autocommit is not None:
        # not only when the status differs: with a global autocommit of 0 MySQL greets with 1
        parts.append(f"autocommit={int(options.autocommit)}")
    if options.sql_mode is not None:
        parts.append(f"sql_mode={quoted(session, options.sql_mode)}")
    for name, value in options.session_variables.items():
        shown = str(int(value)) if isinstance(value, int) else quoted(session, value)
        parts.append(f"@@session.{name}={shown}")
    return "SET " + ", ".join(parts)


@lru_cache(8)
def names_clause(charset: str, collation: str | None) -> str:
    """Build ``NAMES charset [COLLATE collation]`` from names the charset table knows."""
    clause = f"NAMES {charset_named(charset).name}"
    if collation:
        if not is_collation_name(collation):
            raise err.ProgrammingError(
                CR.CR_BAD_PARAMETER, f"{collation!r} is not a collation's name"
            )
        clause += f" COLLATE {collation}"
    return clause


def charset_named(name: str) -> Charset:
    """Return a charset's default collation; ProgrammingError when neither server has it."""
    found = charset_by_name(name)
    if found is None:
        raise err.ProgrammingError(
            CR.CR_BAD_PARAMETER, f"Unknown charset {name!r}: see SHOW CHARACTER SET"
        )
    return found


def autocommit(session: Session) -> bool:
    on = bool(session.status & SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT)
    return on or session.autocommit_due


def quoted(session: Session, value: str) -> str:
    """Quote by doubling, which every sql_mode understands; a backslash needs the mode known."""
    if not session.no_backslash_escapes:
        value = value.replace("\\", "\\\\")
    return "'" + value.replace("'", "''") + "'"
