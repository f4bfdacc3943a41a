"""What the text of a server's error leaves out: the option of pymy that decides it."""

from __future__ import annotations

from pymy import err
from pymy.constants import ER
from pymy.protocol.session import Session
from pymy.sql import has_several

_LONGEST = 1 << 20


def add_hint(session: Session, error: err.Error, sql: bytes) -> None:
    """Add to the error of a statement which option would have let it pass."""
    hint = ""
    if error.errno == ER.PARSE_ERROR and not session.multi_statements and len(sql) < _LONGEST:
        text = sql.decode(session.decoding.encoding, "replace")
        if has_several(text, no_backslash_escapes=session.no_backslash_escapes):
            hint = "several statements in one text need multi_statements=True"
    if hint:
        error.args = (error.errno, f"{error.message} (pymy: {hint})")
