"""The login dialogue: which plugin answers, with which password, until OK or ERR."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from pymy import err
from pymy.constants import CLIENT, CR
from pymy.options import Options, SSLMode
from pymy.protocol.auth import AuthContext, find_plugin
from pymy.protocol.needs import Conversation, Need
from pymy.protocol.packets import Ok, parse_ok
from pymy.protocol.session import Session
from pymy.protocol.wire import Reader, malformed

Conversing = Generator[bytes | None, bytes, None]

# What is tried first where the server's own default is unknown here; the server then switches.
COMMON_PLUGIN = "mysql_native_password"
# Three factors with a dialogue each. A server that goes on asking would hold us for ever, and each
# key derivation it may ask for (parsec) takes up to half a second that no time-out sees.
MOST_TURNS = 16


class Login:
    """One login over one session, factor by factor."""

    def __init__(self, session: Session, options: Options, passwords: Sequence[bytes]) -> None:
        self.session = session
        self.options = options
        self.passwords = passwords
        self.factor = 0
        self.plugin_name = ""
        self._plugin: Conversing | None = None

    def begin(self, preferred: str, nonce: bytes) -> bytes:
        """Return the first answer, by the server's preferred plugin (X8) where pymy has it."""
        try:
            return self._start(preferred or COMMON_PLUGIN, nonce) or b""
        except err.InterfaceError:
            raise  # the user's own plugin failed
        except err.Error:
            # The account may well use another plugin than the server's default: let it switch.
            if self._allowed(COMMON_PLUGIN) and preferred != COMMON_PLUGIN:
                return self._start(COMMON_PLUGIN, nonce) or b""
            self.plugin_name, self._plugin = COMMON_PLUGIN, None
            return b""

    def converse(self) -> Conversation[Ok]:
        """Answer the server until it says OK; an ERR is raised."""
        session = self.session
        for _ in range(MOST_TURNS):
            packet = yield from session.read()
            first = packet[0]
            if first == 0x00:
                self._end()
                return parse_ok(packet, session.capabilities)
            if first == 0xFF:
                self._end()
                raise self._denied(packet)
            if first == 0xFE:
                reply = self._switch(packet)
            elif first == 0x02 and session.capabilities & CLIENT.MULTI_FACTOR_AUTHENTICATION:
                self.factor += 1
                reply = self._switch(packet)
            else:
                reply = self._step(packet[1:] if first == 0x01 else packet)
            if reply is not None:
                session.put(reply)
                yield Need.WRITE
        raise malformed(f"more than {MOST_TURNS} questions in one login")

    def _denied(self, packet: bytes) -> err.Error:
        error = self.session.error(packet)
        error.fatal = True
        return error

    def _switch(self, packet: bytes) -> bytes | None:
        """Follow AuthSwitchRequest or AuthNextFactor: plugin name to NUL, its data (P24, P41)."""
        self._end()
        if len(packet) == 1:
            # the request of servers from before 5.5 for the hash of MySQL 3.23
            return self._start("mysql_old_password", b"")
        reader = Reader(packet, 1)
        name = reader.until_nul().decode("ascii", "replace")
        return self._start(name, reader.rest())

    def _allowed(self, name: str) -> bool:
        return self.options.restricted_auth is None or name in self.options.restricted_auth

    def _start(self, name: str, nonce: bytes) -> bytes | None:
        if not self._allowed(name):
            raise err.OperationalError(
                CR.CR_AUTH_PLUGIN_ERR,
                f"The server asks for {name!r}, which restricted_auth does not list",
                fatal=True,
            )
        if self.factor >= len(self.passwords):
            raise err.OperationalError(
                CR.CR_AUTH_PLUGIN_ERR,
                f"The account asks for factor {self.factor + 1}: give password{self.factor + 1}=",
                fatal=True,
            )
        options = self.options
        context = AuthContext(
            user=options.user,
            password=self.passwords[self.factor],
            nonce=nonce,
            tls=self.session.tls,
            local=self.session.local,
            verified=self.session.local
            or (self.session.tls and options.ssl_mode >= SSLMode.VERIFY_CA),
            server_public_key=options.server_public_key,
            allow_public_key_retrieval=options.allow_public_key_retrieval,
            allow_cleartext=options.allow_cleartext_password,
        )
        self._plugin = find_plugin(name, options.auth_plugin_map)(context)
        self.plugin_name = name
        return self._take(lambda plugin: next(plugin))

    def _step(self, data: bytes) -> bytes | None:
        if self._plugin is None:
            raise malformed(f"more questions than {self.plugin_name} knows", data)
        return self._take(lambda plugin: plugin.send(data))

    def _take(self, step: Callable[[Conversing], bytes | None]) -> bytes | None:
        """Run the plugin to its next answer; it may be the user's, and raise what it likes."""
        assert self._plugin is not None
        try:
            return step(self._plugin)
        except StopIteration:  # it has taken what it was given and expects OK or ERR next
            self._plugin = None
            return None
        except err.MySQLError:
            raise
        except Exception as exc:
            raise err.InterfaceError(
                CR.CR_AUTH_PLUGIN_ERR,
                f"The authentication plugin {self.plugin_name!r} failed: {exc!r}",
                fatal=True,
            ) from exc

    def _end(self) -> None:
        if self._plugin is not None:
            self._plugin.close()
            self._plugin = None
