"""What state a connection is in, and the errors that tell why it carries no command."""

from __future__ import annotations

from pymy import err
from pymy.constants import CR
from pymy.protocol.framing import Framing
from pymy.protocol.needs import DONE, FILE
from pymy.protocol.packets import Greeting
from pymy.protocol.state import BROKEN, CLOSED, CONNECTING, MOVES, USABLE, State


class Standing(Framing):
    """The part of a session that knows where it stands."""

    def __init__(self) -> None:
        super().__init__()
        self.state = CONNECTING
        self.need = DONE
        self.greeting: Greeting | None = None
        self.where = "the server"  # its address, for errors
        self.broken_by: err.Error | None = None
        self.abandoned = False
        self.settling = False  # what follows an abandoned conversation runs

    def move(self, state: State) -> None:
        """Change state; a move that the table does not know is a bug of pymy."""
        if state is not self.state:
            if state not in MOVES[self.state]:
                raise AssertionError(f"{self.state.name} -> {state.name} is not a move")
            self.state = state

    def usable(self) -> bool:
        return self.state in USABLE

    def break_off(self, error: err.Error) -> None:
        """Mark the connection unusable; the first reason is kept."""
        if self.state not in (BROKEN, CLOSED):
            self.broken_by = error
            self.move(BROKEN)

    def unusable(self) -> err.Error:
        """Make the error for a command on a connection that cannot carry one."""
        if self.state is CLOSED:
            return err.InterfaceError(
                CR.CR_CONNECTION_CLOSED,
                "The connection is closed: open a new one with pymy.connect(), or this one again "
                "with ping(reconnect=True)",
                sent=False,
            )
        if self.state is BROKEN:
            reason = f" ({self.broken_by.message})" if self.broken_by is not None else ""
            return err.InterfaceError(
                CR.CR_SERVER_GONE_ERROR,
                f"The connection was lost earlier{reason}: open a new one with pymy.connect(), "
                "or this one again with ping(reconnect=True)",
                sent=False,
                fatal=True,
            )
        return self.busy()

    def busy(self) -> err.Error:
        if self.need is FILE:
            what = (
                "The connection is sending rows or a file, and their source cannot use it "
                "meanwhile: use a second connection in it"
            )
        else:
            what = (
                "The connection is busy with another command, perhaps of another thread: "
                "use one connection for each thread"
            )
        return err.InterfaceError(CR.CR_CONNECTION_BUSY, what, sent=False)

    @staticmethod
    def canceled() -> err.Error:
        return err.OperationalError(
            CR.CR_CANCELED, "The rest of the call was canceled: nothing more of it was sent"
        )

    def unfinished(self) -> err.Error:
        """Break over a result that is asked for and not there."""
        error = err.InternalError(
            CR.CR_UNKNOWN_ERROR,
            "The command ended without a result, which is a bug of pymy. What the server did is "
            "unknown: open a new connection",
            fatal=True,
        )
        self.break_off(error)
        return error

    @property
    def unclean(self) -> bool:
        """Tell whether an earlier call, which nobody waits for, must come to its end first."""
        return self.abandoned or self.settling

    def _what_was_lost(self, how: str) -> str:
        if self.state is not CONNECTING:
            return f"Lost connection to the server: {how}. Open a new connection"
        if self.greeting is None:
            return (
                f"No greeting from {self.where}: {how}. Is it a MySQL or MariaDB server, and are "
                "host and port right?"
            )
        return f"Lost connection to {self.where} during the login: {how}"
