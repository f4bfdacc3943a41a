"""What the connections of all transports share: everything that does not wait."""

from __future__ import annotations

import codecs
import dataclasses
import os
import platform
import sys
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pymy.protocol.state import BUSY, CONNECTING, STREAMING

from . import converters, err
from .charset import charset_by_id
from .constants import CR, SERVER_STATUS
from .options import Options
from .options.checks import encode_password
from .protocol.handshake import Credentials
from .protocol.kinds import Decoding
from .protocol.packets import Ok
from .protocol.result import Result
from .protocol.session import Session
from .protocol.setup import autocommit, charset_named
from .protocol.statementcache import StatementCache
from .sql import LiteralContext, encode, escape_id
from .times import zone
from .version import __version__

ANSI_QUOTES = int(SERVER_STATUS.SERVER_STATUS_ANSI_QUOTES)


# Multi-byte text in UTF-8 holds no byte that these would take for a quote or a backslash.
_SAFE_FOR_UTF8 = frozenset(
    {"utf8mb4", "utf8mb3", "utf8", "latin1", "latin2", "latin5", "latin7", "ascii", "binary"}
)


@cache
def _program() -> str:
    return Path(sys.argv[0] or "python").name


class _Forks:
    """Counts the forks that lead to this process: a child must not use its parent's links."""

    count = 0

    @classmethod
    def passed(cls) -> None:
        cls.count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Forks.passed)


class BaseConnection(err.Classes):
    """A connection's settings and facts; how it waits is its subclass's business."""

    def __init__(self, options: Options) -> None:
        self._options = options
        # the same, as the program changed it since: what a reconnect goes by
        self._live = options
        self._session = Session()
        self._forks = _Forks.count
        self._result: Result | None = None
        self.query_attributes: dict[str, str | bytes | int | float | None] = {}
        self._take_converters(options.conv)
        self._take_charset(options.charset, options.collation)

    cursorclass: Any

    def _make_cursor(self, cls: Any, row_factory: Any) -> Any:
        cursor = (cls or self.cursorclass)(self)
        factory = row_factory or self._options.row_factory
        if factory is not None:
            cursor.row_factory = factory
        return cursor

    def _stream_cursor(self, row_factory: Any) -> Any:
        """Make an unbuffered cursor whose rows are as those of ``cursorclass``."""
        raise NotImplementedError

    def _fetch_cursor(self, row_factory: Any) -> Any:
        """Make the cursor whose rows wait at the server."""
        raise NotImplementedError

    # -- conversion in both directions

    def _take_converters(self, conv: Mapping[Any, Any] | None) -> None:
        chosen = converters.conversions if conv is None else conv
        if chosen == converters.default_conversions:  # nearly always, and soon told
            self._encoders = converters.default_encoders.copy()
            self._decoders = converters.default_decoders.copy()
        else:
            classes = {key for key in chosen if isinstance(key, type)}
            self._encoders = {key: chosen[key] for key in chosen if key in classes}
            self._decoders = {key: chosen[key] for key in chosen if key not in classes}
        self._encoders_lent = self._decoders_lent = False

    def _renew_converters(self) -> None:
        """Go back to the options' converters, if the program could have changed them."""
        if self._encoders_lent or self._decoders_lent:
            decoding = self._decoders_lent
            self._take_converters(self._options.conv)
            self._contexts.clear()
            if decoding:
                self._refresh_decoding()

    @property
    def encoders(self) -> dict[Any, Any]:
        """The writers of literals by type; they count for types that were not written before."""
        self._encoders_lent = True
        return self._encoders

    @encoders.setter
    def encoders(self, encoders: dict[Any, Any]) -> None:
        self._encoders_lent = True
        self._encoders = encoders
        self._contexts.clear()

    @property
    def decoders(self) -> dict[Any, Any]:
        """The converters of results by FIELD_TYPE (or MariaDB's extended type name); changes count
        from the next result on."""
        self._decoders_lent = True
        return self._decoders

    def _take_charset(self, charset: str, collation: str | None) -> None:
        found = charset_named(charset)
        self.charset = found.name
        self.collation = collation
        self.encoding = codecs.lookup(found.encoding).name
        self._contexts: dict[tuple[bool, bool, bool], LiteralContext] = {}
        self._refresh_decoding()

    def _refresh_decoding(self) -> None:
        default, given = converters.default_decoders, self._decoders
        overrides, missing = {}, frozenset[Any]()
        if given != default:
            overrides = {
                key: value for key, value in given.items() if default.get(key) is not value
            }
            missing = frozenset(key for key in default if key not in given)
        options = self._options
        self._session.heads.clear()
        self._session.binary_heads.clear()
        self._session.decoding = self._decoding = Decoding(
            encoding=self.encoding,
            use_unicode=options.use_unicode,
            zero_dates=options.zero_dates,
            json_objects=options.json,
            overrides=overrides,
            missing=missing,
        )
        self._decoders_known = dict(self._decoders)

    @property
    def _context(self) -> LiteralContext:
        """How literals must look now: the server reports the SQL mode's part of it (P69)."""
        session = self._session
        key = (session.no_backslash_escapes, self._ansi_quotes(), self._reads_unsafely())
        context = self._contexts.get(key)
        if context is None:
            context = self._contexts[key] = LiteralContext(
                no_backslash_escapes=key[0],
                ansi_quotes=key[1],
                encoding=self.encoding,
                charset=self.charset,
                encoders=self._encoders,
                time_zone=zone(self._options.time_zone),
                binary_prefix=self._options.binary_prefix,
                multibyte_unsafe=True if key[2] else None,
            )
        return context

    def _reads_unsafely(self) -> bool:
        """Tell whether a SET NAMES behind our back made the server read text in a charset where a
        character may end in a backslash; both servers report character_set_client (P70)."""
        reported = self._session.variables.get("character_set_client")
        if reported is None or reported == self.charset:
            return False
        return reported not in _SAFE_FOR_UTF8

    def _ansi_quotes(self) -> bool:
        session = self._session
        if session.mariadb:
            return bool(session.status & ANSI_QUOTES)
        mode = session.variables.get("sql_mode", self._options.sql_mode) or ""
        return "ANSI" in mode.upper()

    def _catch_up(self) -> None:
        """Take over what the program changed in ``decoders``."""
        if self._decoders_lent and self._decoders != self._decoders_known:
            self._refresh_decoding()

    def _encode(self, sql: str | bytes) -> bytes:
        self._catch_up()
        if isinstance(sql, str):
            return encode(sql, self.encoding)
        if isinstance(sql, (bytes, bytearray, memoryview)):
            return bytes(sql)
        raise TypeError(f"a statement is str or bytes, not {type(sql).__name__}")

    def escape(self, obj: Any, mapping: Mapping[Any, Any] | None = None) -> str:
        """Write a value as an SQL literal, strings with their quotes. Nothing is sent.

        mapping: encoders by type instead of the connection's, as in PyMySQL.
        TypeError for a type without an encoder.
        """
        context = self._context
        if mapping is not None and mapping is not self._encoders:
            context = dataclasses.replace(context, encoders=mapping)
        return context.write(obj)

    def literal(self, obj: Any) -> str:
        """Write a value as an SQL literal; the same as ``escape(obj)``."""
        return self.escape(obj)

    def escape_string(self, s: str) -> str:
        """Escape a string without putting quotes around it."""
        return self._context.escape_string(s)

    def escape_id(self, name: str, *, qualified: bool = True) -> str:
        """Quote an identifier; dots separate its parts unless ``qualified`` is False."""
        return escape_id(name, qualified=qualified, context=self._context)

    # -- what a login takes along

    def _credentials(self, options: Options | None = None) -> Credentials:
        options = options or self._options
        passwords = []
        for password in (options.password, options.password2, options.password3):
            passwords.append(encode_password(password() if callable(password) else password))
        while len(passwords) > 1 and not passwords[-1]:
            passwords.pop()
        return Credentials(tuple(passwords), self._attributes())

    def _attributes(self) -> dict[str, str]:
        given = self._options.connection_attributes
        if given is False:
            return {}
        attributes = {
            "_client_name": "pymy",
            "_client_version": __version__,
            "_pid": str(os.getpid()),
            "_os": sys.platform,
            "_platform": platform.machine(),
            "program_name": self._options.program_name or _program(),
        }
        return attributes | dict(given or {})

    def _begin_session(self) -> Session:
        """Start over with an empty session for a new link."""
        session = self._session
        if session.state is not CONNECTING or session.greeting is not None:
            self._session = session = Session()
            session.decoding = self._decoding
        options = self._options
        session.files_allowed = bool(options.local_infile)
        if options.prepare != "never":
            session.statements = StatementCache(
                options.prepare, options.statement_cache_size, options.prepare_threshold
            )
        session.progress = self._options.progress
        session.largest_command = self._options.max_allowed_packet
        self._forks = _Forks.count
        self._forget_transaction()
        if (self._live.charset, self._live.collation) != (self.charset, self.collation):
            self._take_charset(self._live.charset, self._live.collation)
        return session

    def _remember(self, **changes: Any) -> None:
        """Keep what the program changed, for the next time this connection connects."""
        self._live = self._live.replace(**changes)

    def _renew_session(self) -> None:
        """Go back to the options: the session begins anew on the same link."""
        self._live = options = self._options
        self._forget_transaction()
        if (options.charset, options.collation) != (self.charset, self.collation):
            self._take_charset(options.charset, options.collation)

    @property
    def _is_forked(self) -> bool:
        return self._forks != _Forks.count

    def _forget_transaction(self) -> None:
        """Take note that a new session begins, without a transaction."""

    def _check_process(self) -> None:
        if self._is_forked:
            raise err.InterfaceError(
                CR.CR_FORKED_CONNECTION,
                "This connection was opened before a fork and belongs to the parent process: "
                "open a new one in the child",
                sent=False,
            )

    def _warn_unread(self) -> None:
        if self._session.state is STREAMING:
            warnings.warn(
                "An unbuffered result was not read to its end; its remaining rows are dropped. "
                "Close the cursor, or use a second connection",
                err.Warning,
                stacklevel=4,
            )

    # -- facts

    @property
    def open(self) -> bool:
        """True while the connection can be used."""
        return self._session.usable() or self._session.state is BUSY

    @property
    def options(self) -> Options:
        """The settings this connection was made with."""
        return self._options

    @property
    def host(self) -> str:
        return self._options.host

    @property
    def port(self) -> int:
        return self._options.port

    @property
    def unix_socket(self) -> str | None:
        return self._options.unix_socket

    @property
    def user(self) -> str:
        return self._options.user

    @property
    def password(self) -> Any:
        return self._options.password

    @property
    def db(self) -> str | None:
        """The default schema, as far as the server reports it."""
        return self._session.schema if self.open else self._options.database

    @property
    def sql_mode(self) -> str | None:
        return self._options.sql_mode

    @property
    def max_allowed_packet(self) -> int:
        return self._options.max_allowed_packet

    @property
    def connect_timeout(self) -> float | None:
        return self._options.connect_timeout

    @property
    def client_flag(self) -> int:
        return self._session.capabilities

    @property
    def autocommit_mode(self) -> bool | None:
        return self._options.autocommit

    @property
    def ssl(self) -> bool:
        """True when the link is encrypted."""
        return self._session.tls

    @property
    def is_mariadb(self) -> bool:
        """True for MariaDB, False for MySQL and what calls itself MySQL."""
        return self._session.mariadb

    @property
    def server_version(self) -> str:
        """The server's version text, without the "5.5.5-" of MariaDB 10."""
        greeting = self._session.greeting
        return greeting.server_version.removeprefix("5.5.5-") if greeting else ""

    @property
    def server_version_info(self) -> tuple[int, ...]:
        """The server's version as numbers: ``(10, 11, 19)``."""
        greeting = self._session.greeting
        return greeting.version if greeting else ()

    @property
    def server_thread_id(self) -> tuple[int]:
        """The connection's id, in a tuple as PyMySQL has it."""
        return (self.thread_id(),)

    @property
    def server_capabilities(self) -> int:
        greeting = self._session.greeting
        return greeting.capabilities if greeting else 0

    @property
    def server_status(self) -> int:
        """The SERVER_STATUS flags of the last answer."""
        return self._session.status

    @property
    def server_language(self) -> int:
        greeting = self._session.greeting
        return greeting.charset_id if greeting else 0

    @property
    def server_charset(self) -> str | None:
        """The charset of the server's greeting."""
        try:
            return charset_by_id(self.server_language).name
        except KeyError:
            return None

    @property
    def protocol_version(self) -> int:
        return 10

    @property
    def host_info(self) -> str:
        if self._options.unix_socket is not None:
            return f"Localhost via UNIX socket {self._options.unix_socket}"
        return f"socket {self._options.host}:{self._options.port}"

    @property
    def compression(self) -> str | None:
        """ "zlib" or "zstd" when the link is compressed."""
        return self._options.compress if self._session.compression is not None else None

    @property
    def session_variables(self) -> Mapping[str, str]:
        """System variables whose changes the server reported (session_track_system_variables)."""
        return dict(self._session.variables)

    @property
    def in_transaction(self) -> bool:
        """True when the last answer said that a transaction is open."""
        return bool(self._session.status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    @property
    def last_ok(self) -> Ok:
        """The last OK or EOF of the server: counts, status, info, session changes."""
        return self._session.last_ok

    def thread_id(self) -> int:
        """Return the connection's id on the server, what KILL takes."""
        greeting = self._session.greeting
        return greeting.thread_id if greeting else 0

    def get_autocommit(self) -> bool:
        """Tell whether autocommit is on, from the last answer's status."""
        return autocommit(self._session)

    def character_set_name(self) -> str:
        """Return the name of the connection's charset."""
        return self.charset

    def get_host_info(self) -> str:
        """Return where the link leads, for people."""
        return self.host_info

    def get_proto_info(self) -> int:
        """Return the protocol version."""
        return self.protocol_version

    def get_server_info(self) -> str:
        """Return the server's version text."""
        return self.server_version

    def affected_rows(self) -> int:
        """Return the rows affected by the last ``query()``, 0 before the first."""
        return self._result.affected_rows if self._result is not None else 0

    def insert_id(self) -> int:
        """Return the AUTO_INCREMENT value the last ``query()`` generated, 0 if none."""
        return self._result.insert_id if self._result is not None else 0

    def __repr__(self) -> str:
        where = self._options.unix_socket or f"{self._options.host}:{self._options.port}"
        state = self._session.state.name.lower()
        return f"<{type(self).__module__}.{type(self).__qualname__} {where} {state}>"
