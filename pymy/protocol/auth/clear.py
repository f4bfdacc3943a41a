"""mysql_clear_password and dialog: PAM and its like, which need the password as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pymy import err
from pymy.constants import CR

from .context import AuthContext, Conversation, refusal, unexpected

_LAST, _ORDINARY, _PASSWORD = 1, 2, 4
_KINDS = (_ORDINARY, _ORDINARY | _LAST, _PASSWORD, _PASSWORD | _LAST)


def mysql_clear_password(ctx: AuthContext) -> Conversation:
    """Send the password and a NUL, only over TLS or a unix socket and only when allowed.

    Any server can ask for this plugin, so ``allow_cleartext`` alone does not open plain TCP (P28).
    It does open TLS whose certificate nobody checked: who poses as the server gets the password.

    Source: https://dev.mysql.com/doc/refman/8.4/en/cleartext-pluggable-authentication.html
    """
    _require_secure(ctx, "mysql_clear_password")
    _require_consent(ctx, "mysql_clear_password")
    yield ctx.password + b"\0"


def dialog(ctx: AuthContext, handler: Any = None) -> Conversation:
    """Answer the questions of MariaDB's PAM plugin, each answer ended by a NUL.

    A question is one byte, 2 for an ordinary and 4 for a password question, plus 1 when it is the
    last, and the text. The first comes with the AuthSwitchRequest, or that is empty and invites the
    password unasked. ``Password:`` is answered with the connection's password, if there is one;
    without a handler so is the first password question whatever its text. Everything else goes to
    the handler from auth_plugin_map; without a connection's password it is asked everything.

    Nothing is answered over plain TCP: PAM wants secrets as they are, and a question's kind is the
    server's word only. Naming a handler is consent enough; without one ``allow_cleartext`` is
    asked for as by mysql_clear_password.

    Source: https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-with-pluggable-authentication-modules-pam/authentication-plugin-pam
    """
    _require_secure(ctx, "dialog")
    if handler is None:
        _require_consent(ctx, "dialog")
    prompt = None if handler is None else _prompt(handler, ctx)
    question = ctx.nonce
    given = False
    if not question:
        # PAM servers that read before they ask keep this for the first question, if that is for a
        # password, and ask themselves when it is empty (auth_pam_v1.c).
        question = yield ctx.password + b"\0"
        given = question[:1] in (b"\x04", b"\x05")
    last = False
    while not last:
        kind, text = (question[0], question[1:]) if question else (0, b"")
        if kind not in _KINDS:
            raise unexpected("dialog", "the packet is no question")
        last = bool(kind & _LAST)
        secret = bool(kind & _PASSWORD)
        own = secret and (_asks_password(text) or (prompt is None and not given))
        if own and (ctx.password or prompt is None):
            answer = ctx.password
            given = True
        elif prompt is not None:
            answer = _as_bytes(prompt(not secret, text))
        else:
            raise refusal(
                f"the server asks {text[:200].decode(errors='replace')!r} and nobody is there to "
                "answer; pass auth_plugin_map={'dialog': handler} with handler.prompt(echo, text)"
            )
        question = yield answer + b"\0"


def _prompt(handler: Any, ctx: AuthContext) -> Callable[[bool, bytes], object]:
    made = handler(ctx) if isinstance(handler, type) else handler
    prompt = getattr(made, "prompt", made)
    if not callable(prompt):
        raise err.InterfaceError(
            CR.CR_AUTH_PLUGIN_CANNOT_LOAD,
            f"auth_plugin_map['dialog'] is {type(made).__name__}, which has no prompt(echo, text)",
            fatal=True,
        )
    return cast("Callable[[bool, bytes], object]", prompt)


def _asks_password(text: bytes) -> bool:
    # PAM modules may put messages on lines of their own before the prompt.
    return text.rpartition(b"\n")[2].strip().lower() == b"password:"


def _as_bytes(answer: object) -> bytes:
    if isinstance(answer, str):
        return answer.encode()
    if isinstance(answer, (bytes, bytearray)):
        return bytes(answer)
    raise err.InterfaceError(
        CR.CR_AUTH_PLUGIN_ERR,
        f"the dialog handler answered with {type(answer).__name__}; return bytes or str",
        fatal=True,
    )


def _require_secure(ctx: AuthContext, plugin: str) -> None:
    if not ctx.secure:
        raise refusal(
            f"the server asks for {plugin}, which sends the password as it is, and the link is "
            "plain TCP; connect by TLS or a unix socket"
        )


def _require_consent(ctx: AuthContext, plugin: str) -> None:
    if not ctx.allow_cleartext:
        raise refusal(
            f"the server asks for {plugin}, which hands it the password as it is; if this account "
            "is meant to log in so, set allow_cleartext_password=True"
        )
