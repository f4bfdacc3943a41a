"""Authentication plugins: small generators that answer a server's challenge, without I/O.

A plugin is a generator function. Its first ``next()`` gives the answer to the challenge in
``ctx.nonce``; each ``send(packet)`` hands it one more packet of the server (an AuthMoreData
without its leading 0x01, any other packet whole) and takes the next answer, or None when there
is nothing to say and the next packet is to be read. It returns when only OK or ERR can follow::

    def my_plugin(ctx: AuthContext) -> Generator[bytes | None, bytes, None]:
        ticket = yield my_first_answer(ctx.nonce)
        yield my_second_answer(ticket)

    pymy.connect(..., auth_plugin_map={"my_plugin_client": my_plugin})

Plugins keep no state between calls: with several factors the same one may run again with another
password. Whatever the server sends, only ``pymy.Error`` leaves a plugin of this package.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
and https://mariadb.com/docs/server/reference/clientserver-protocol/1-connecting/connection
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from inspect import isclass, isgeneratorfunction
from typing import Any, cast

from pymy import err
from pymy.constants import CR

from .clear import dialog, mysql_clear_password
from .context import AuthContext, AuthPlugin
from .native import mysql_native_password
from .sha2 import caching_sha2_password, sha256_password
from .signed import client_ed25519, parsec

__all__ = ["PLUGINS", "AuthContext", "AuthPlugin", "find_plugin"]

PLUGINS: dict[str, AuthPlugin] = {
    "mysql_native_password": mysql_native_password,
    "caching_sha2_password": caching_sha2_password,
    "sha256_password": sha256_password,
    "client_ed25519": client_ed25519,
    "parsec": parsec,
    "mysql_clear_password": mysql_clear_password,
    "dialog": dialog,
}


def find_plugin(
    name: str,
    auth_plugin_map: Mapping[Any, Any] | None = None,
    *,
    restricted: Collection[str] | None = None,
) -> AuthPlugin:
    """Return the plugin for the name a server asked for, or refuse with advice.

    name: the plugin's name as the server wrote it.
    auth_plugin_map: the user's own plugins by name (str or bytes), looked up before the built-in
        ones. A value is a generator function as the module describes. For ``dialog`` it may also
        be a prompt handler as in PyMySQL: a class made with the AuthContext (PyMySQL passes its
        connection), an object with ``prompt(echo, text)``, or just such a function; ``text`` is
        bytes, the answer bytes or str. PyMySQL's ``authenticate(packet)`` does its own I/O and is
        not supported.
    restricted: the only names a server may ask for; None allows all.

    Raises OperationalError for a name that is unknown, unsafe or not on the restricted list, and
    InterfaceError for a value of auth_plugin_map that is no plugin. Nothing goes over the wire.
    """
    shown = repr(name[:64])
    if restricted is not None and name not in restricted:
        raise err.OperationalError(
            CR.CR_AUTH_PLUGIN_CANNOT_LOAD,
            f"the server asks for the authentication plugin {shown}, which restricted_auth does "
            "not name; add it there if the server may ask for it",
            fatal=True,
        )
    own_plugins = auth_plugin_map or {}
    own = own_plugins.get(name) or own_plugins.get(name.encode(errors="replace"))
    if own is not None:
        return _own_plugin(name, own)
    if name in PLUGINS:
        return PLUGINS[name]
    if name == "mysql_old_password":
        advice = (
            "it dates from before MySQL 4.1 and its hashes can be reversed; give the account a "
            "new one: ALTER USER ... IDENTIFIED WITH caching_sha2_password BY '...' on MySQL, "
            "ALTER USER ... IDENTIFIED VIA ed25519 USING PASSWORD('...') on MariaDB"
        )
    else:
        advice = f"pass your own as auth_plugin_map={{{shown}: plugin}} or give the account another"
    raise err.OperationalError(
        CR.CR_AUTH_PLUGIN_CANNOT_LOAD,
        f"the server asks for the authentication plugin {shown}, which pymy lacks: {advice}",
        fatal=True,
    )


def _own_plugin(name: str, own: Any) -> AuthPlugin:
    if name == "dialog" and not isgeneratorfunction(own):
        return partial(dialog, handler=own)
    if isclass(own) or not callable(own):
        raise err.InterfaceError(
            CR.CR_AUTH_PLUGIN_CANNOT_LOAD,
            f"auth_plugin_map[{name!r}] must be a generator function that takes an AuthContext; "
            "classes with authenticate(packet) do their own I/O and cannot run here",
            fatal=True,
        )
    return cast(AuthPlugin, own)
