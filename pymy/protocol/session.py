"""The session: the one object that owns a connection's bytes, state and running conversation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from pymy import err
from pymy.constants import CLIENT, COMMAND, CR, SERVER_STATUS
from pymy.protocol.framing import MAX_PAYLOAD
from pymy.protocol.needs import DONE, READ, WRITE, Conversation, Need
from pymy.protocol.packets import (
    MORE_RESULTS,
    TRACK_SCHEMA,
    TRACK_SYSTEM_VARIABLE,
    Ok,
    Progress,
    SessionChange,
    is_progress,
    parse_err,
    parse_progress,
)
from pymy.protocol.standing import Standing
from pymy.protocol.state import (
    BUSY,
    CLOSED,
    READY,
    RESULTS,
)

COMMAND_NUMBERS = count(1)
# So much of a statement's text is kept, to tell it from others when it is to be killed.
STATEMENT_KEPT = 64 * 1024
# The server, or its present role, takes no writes: the address leads to a primary no more (P103).
READ_ONLY = frozenset({1290, 1792, 1836})
COM_STMT_CLOSE = int(COMMAND.COM_STMT_CLOSE)
_CLOSE = bytes((5, 0, 0, 0, COM_STMT_CLOSE))
IN_TRANSACTION = int(SERVER_STATUS.SERVER_STATUS_IN_TRANS)
NO_BACKSLASH_ESCAPES = int(SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES)
# The whole transaction is rolled back with these, not the statement alone: lock table full,
# deadlock, a rolled back XA branch; innodb_snapshot_isolation; a conflict of group replication.
# Not with 1205 (unless innodb_rollback_on_timeout is on) and 1412, which ask for a new one (P119).
ROLLED_BACK = frozenset({1206, 1213, 1402, 1613, 1614})
ROLLED_BACK_MARIADB = ROLLED_BACK | {1020}
ROLLED_BACK_MYSQL = ROLLED_BACK | {3101}
NOTHING: Any = object()  # the outcome of what has not ended


class Session(Standing):
    """Runs one conversation at a time and says after each step what it needs.

    A transport serves the needs and knows nothing of the protocol. The session resumes the
    conversation itself, so whoever waits for the result holds no half of it. Whatever a server
    sends, only ``pymy.Error`` comes out of ``result()``; afterwards ``state`` is either at a packet
    boundary or BROKEN.
    """

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = 0
        self.status = 0
        self.begun = False  # the open transaction is one that BEGIN began
        self.rollbacks = 0  # transactions that the server rolled back by itself
        self.status_guessed = False
        self.erred = False  # the last answer is an ERR, which has no status
        self.mariadb = False
        # the greeting's status may be wrong about it; True once it was set by a statement of ours
        self.autocommit_known = False
        # it is off only so that a transaction's pipeline stays together, and comes back behind it
        self.autocommit_due = False
        self.tls = False
        self.local = False
        self.schema: str | None = None
        self.variables: dict[str, str] = {}
        self.last_ok = Ok()
        self.progress: Callable[[Progress], object] | None = None
        self.files_allowed = False
        self.multi_statements = False
        # brings back the roles of the login; nothing where there are none, None: not asked yet
        self.set_role: bytes | None = None
        self.largest_command = MAX_PAYLOAD
        # unlike any other session's, so that a cursor knows whether its command is still the last
        self.command_number = 0
        self.statement = b""
        self.statement_plain_backslashes = False
        self.server_limit: int | None = None
        # seconds that the next READ is worth; a transport that waited in vain resumes with True
        self.patience: float | None = None
        self.file_name = b""
        self.upload: Any = None  # the LongData that FILE asks for, else it is the local file
        self.pieces: Any = None  # what a transport reads it by; dropped at its end
        self.own_file = b""  # the name under which the next statement may have ``pieces``, once
        # what the user's own code raised: an error of another connection says nothing of this one
        self.not_ours: Exception | None = None
        self.counted: Any = None  # which of an executemany's rows are on their way
        self.streaming: Any = None
        self.decoding: Any = None
        self.heads: dict[bytes, Any] = {}
        self.binary_heads: dict[bytes, Any] = {}
        self.binary = False  # the rows of the last command
        self.ways: Any = None  # what is known of sending several commands at once; None: nothing
        self.followed = False  # more commands are on their way behind it
        self.executed: Any = None  # the Prepared whose answer comes
        self.statements: Any = None  # the StatementCache, unless prepare="never"
        self.doomed: list[int] = []  # statements to close in front of the next command
        self.last_prepared: Any = None
        self.statement_age = 0  # a reset begins a new one: the server counts from 1 again
        self._conversation: Conversation[Any] | None = None
        self._wants = DONE
        self._outcome: Any = None
        self._error: BaseException | None = None
        self._raised: Exception | None = None
        # what only closing can end: a login, a file on its way, the start or end of a transaction
        self.indivisible = False
        self.read_only = False
        # a connection that kills another one's statement; None of these is killed in turn
        self.is_side = False
        self.in_doubt = False  # its KILL QUERY went out, and no answer came
        self._unseen = False

    # -- running a conversation

    def start(self, conversation: Conversation[Any]) -> Need:
        """Begin a conversation and run it to its first need."""
        if self._conversation is not None:
            conversation.close()
            raise self.busy()
        self._conversation = conversation
        self._outcome, self._error = NOTHING, None
        self.bytes_sent = 0
        return self.resume()

    def runs(self, conversation: Conversation[Any]) -> bool:
        """Tell whether that conversation is the one that is going on."""
        return self._conversation is conversation

    def resume(self, answer: Any = None) -> Need:
        conversation = self._conversation
        assert conversation is not None
        self._unseen = False
        try:
            self._wants = conversation.send(answer)
        except StopIteration as stop:
            return self._finish(stop.value, None)
        except BaseException as exc:
            return self._finish(None, exc)
        self.need = WRITE if self._out else self._wants
        return self.need

    def fail(self, error: BaseException) -> Need:
        """Resume the conversation with an error of the outside world."""
        conversation = self._conversation
        assert conversation is not None
        self._unseen = False
        try:
            self._wants = conversation.throw(error)
        except StopIteration as stop:
            return self._finish(stop.value, None)
        except BaseException as exc:
            return self._finish(None, exc)
        self.need = WRITE if self._out else self._wants
        return self.need

    def _finish(self, outcome: Any, error: BaseException | None) -> Need:
        self._conversation = None
        self.abandoned = self.settling = self.indivisible = False
        self.pieces, self.own_file = None, b""
        self.need = self._wants = DONE
        raised, self._raised = self._raised, None
        self._error = self._settle_error(error) if error is not None else raised
        self._outcome = outcome
        return DONE

    def _settle_error(self, error: BaseException) -> BaseException:
        """Turn what a hostile packet provoked into a ProtocolError, and break when out of step."""
        in_step = self.usable()
        if in_step and error is self.not_ours:
            return error
        if not in_step and isinstance(error, Exception) and not isinstance(error, err.MySQLError):
            cause, error = (
                error,
                err.ProtocolError(
                    CR.CR_MALFORMED_PACKET,
                    f"The server's answer makes no sense ({type(error).__name__}: {error}). "
                    "The connection is closed",
                ),
            )
            error.__cause__ = cause
        if isinstance(error, err.Error):
            # of the whole call: with an earlier statement of it done, trying again is not safe
            error.sent = self.bytes_sent > 0
            if self.wrong_sequence or (error.fatal and self.state is not CLOSED):
                error.fatal = True
                self.break_off(error)
            elif not in_step:
                error.fatal = True
        if not in_step:
            lost = err.OperationalError(
                CR.CR_SERVER_LOST, f"a command was interrupted: {error}", fatal=True
            )
            self.break_off(error if isinstance(error, err.Error) else lost)
        return error

    def result(self) -> Any:
        """Return what the conversation returned, or raise what it raised."""
        error = self._error
        outcome = self._outcome
        self._outcome = self._error = None
        if error is not None:
            try:
                raise error
            finally:
                del error
        if outcome is NOTHING:  # else a statement that never ran would look like one without rows
            raise self.unfinished()
        return outcome

    def take_error(self) -> BaseException | None:
        """Return what an abandoned conversation raised, instead of raising it."""
        error, self._error = self._error, None
        self._outcome = None
        return error

    # -- what the transport reports

    def filled(self, count: int) -> Need:
        """Take ``count`` bytes that were received into ``space()``."""
        try:
            self.received(count)
        except err.Error as exc:
            self.break_off(exc)
            return self.fail(exc) if self._conversation is not None else DONE
        self._unseen = True
        if self._wants is READ and not self._out:
            return self.resume()
        return self.need

    def sent(self, count: int) -> Need:
        """Take note that ``count`` bytes of ``output()`` went out."""
        self.left(count)
        if self._out:
            return WRITE
        if self._wants is WRITE or (self._wants is READ and self._unseen):
            # the answer may have come while the rest of a long command went out
            return self.resume()
        self.need = self._wants
        return self.need

    def eof(self) -> Need:
        """The peer hung up."""
        return self.lost("the server closed the connection")

    def lost(self, how: str, cause: BaseException | None = None, *, errno: int = 0) -> Need:
        """The link failed; what the server may have said about it comes first (P15, P20)."""
        error = self._last_words() or err.OperationalError(
            errno or CR.CR_SERVER_LOST, self._what_was_lost(how), fatal=True
        )
        error.fatal = True
        error.__cause__ = cause
        self._out = b""
        self._out_at = 0
        self.break_off(error)
        return self.fail(error) if self._conversation is not None else DONE

    def _last_words(self) -> err.Error | None:
        """Parse an ERR that arrived while nobody was reading."""
        if self.in_pieces:
            return None
        try:
            packet = self.take()
            if packet is not None and packet[0] == 0xFF and not is_progress(packet):
                return parse_err(packet, mariadb=self.mariadb)
        except err.Error:
            pass
        return None

    def unasked(self) -> err.Error:
        """Break over what came while nothing was asked: mostly why the server hangs up (P15)."""
        error = self._last_words() or err.ProtocolError(
            CR.CR_COMMANDS_OUT_OF_SYNC,
            "The server sent something that nobody asked for. The connection is closed; "
            "was its socket used by something else?",
        )
        error.fatal = True
        self.break_off(error)
        return error

    def abandon(self) -> bool:
        """Let the running conversation come to rest with nobody waiting for its result.

        What it still reads is dropped, and it sends no further command. False where only closing
        helps: in a login; while a file is sent, whose end would load half of it; and where a
        transaction starts or ends, which would leave it open with nobody to know.
        """
        if self._conversation is None or self.state is not BUSY or self.indivisible:
            return False
        self.abandoned = True
        return True

    def cut(self) -> None:
        """Drop the running conversation where it stands: the connection is lost."""
        conversation, self._conversation = self._conversation, None
        error = err.OperationalError(CR.CR_SERVER_LOST, "The command was interrupted", fatal=True)
        if conversation is not None:
            conversation.close()
            self._error = error
        self.abandoned = self.settling = self.indivisible = False
        self.pieces, self.own_file = None, b""
        self.need = self._wants = DONE
        self.break_off(error)

    def retract(self) -> bool:
        """Take a command back, False when something of it was sent or it is part of a login."""
        if self._conversation is None or self.state is not BUSY:
            return False
        if self.bytes_sent or self.indivisible:
            return False
        conversation, self._conversation = self._conversation, None
        conversation.close()
        self._out = b""
        self.need = self._wants = DONE
        self.move(READY)
        return True

    # -- shared by the conversations

    def keep_statement(self, text: bytes) -> None:
        """Keep what tells a running statement from others, and which file it may ask for."""
        self.statement = text if self.files_allowed else text[:STATEMENT_KEPT]
        self.statement_plain_backslashes = self.no_backslash_escapes

    @property
    def deprecate_eof(self) -> bool:
        return bool(self.capabilities & CLIENT.DEPRECATE_EOF)

    @property
    def no_backslash_escapes(self) -> bool:
        return bool(self.status & NO_BACKSLASH_ESCAPES)

    def read(self) -> Conversation[bytes]:
        """Read one packet; progress reports are passed on, errors are not touched."""
        while True:
            packet = self.take()
            if packet is None:
                yield READ
            elif not self.took_progress(packet):
                return packet

    def took_progress(self, packet: bytes) -> bool:
        """Pass a progress report on, False for any other packet.

        What the user's callback raises waits until the answer has been read.
        """
        if not (self.capabilities & CLIENT.PROGRESS and is_progress(packet)):
            return False
        report = parse_progress(packet)
        if self.progress is not None and self._raised is None:
            try:
                self.progress(report)
            except Exception as exc:
                self._raised = exc
        return True

    def error(self, packet: bytes) -> err.Error:
        """Parse an ERR that ends an answer: the line is at rest behind it."""
        error = parse_err(packet, mariadb=self.mariadb, encoding=self.decoding.encoding)
        if self.state is BUSY:
            self.move(READY)
        self.erred = True
        undoing = ROLLED_BACK_MARIADB if self.mariadb else ROLLED_BACK_MYSQL
        if error.errno in undoing and self.status & IN_TRANSACTION:
            # An ERR has no status flags. It is a guess: MariaDB has one number for all deadlocks,
            # and one over GET_LOCK() rolls nothing back.
            self.rollbacks += 1
            self.status &= ~IN_TRANSACTION
            self.begun = False
            self.status_guessed = True
        if error.errno in READ_ONLY:
            self.read_only = True
        return error

    def accept(self, ok: Ok) -> Ok:
        """Take over status flags and session changes of an OK or EOF."""
        self.status = ok.status
        self.status_guessed = self.erred = False
        if not ok.status & IN_TRANSACTION:
            self.begun = False
        self.last_ok = ok
        for change in ok.session_changes:
            self._track(change)
        return ok

    def rest(self, ok: Ok) -> Ok:
        """Come to rest behind the OK or EOF that ends a result."""
        self.accept(ok)
        self.move(RESULTS if ok.status & MORE_RESULTS else READY)
        return ok

    def close_statements(self) -> None:
        """Put COM_STMT_CLOSE, which has no answer, in front of the command that comes now."""
        doomed, self.doomed = self.doomed, []
        if self.compression is None:
            self._out = b"".join([_CLOSE + number.to_bytes(4, "little") for number in doomed])
            return
        for number in doomed:  # a frame each (P120)
            self.command(COM_STMT_CLOSE, number.to_bytes(4, "little"))

    def forget_statements(self) -> None:
        """Take note that the server knows no prepared statement any more."""
        self.statement_age += 1
        self.last_prepared = None
        self.doomed.clear()
        if self.statements is not None:
            self.statements.clear()

    def _track(self, change: SessionChange) -> None:
        if change.kind == TRACK_SCHEMA:
            self.schema = change.value or None
        elif change.kind == TRACK_SYSTEM_VARIABLE and (
            change.name in self.variables or len(self.variables) < 1000
        ):
            self.variables[change.name] = change.value
            if change.name == "autocommit":
                self.autocommit_due = False  # it is now as somebody asked for
