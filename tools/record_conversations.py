"""Record conversations with real servers for tests/protocol/golden.

    python tools/record_conversations.py [mariadb] [mysql] [mysql56]

Starts each server in a sandbox, runs the scenarios of tests/protocol/scenarios.py and keeps both
sides' bytes as they are above TLS. To be run again when a scenario is added.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "protocol")]

import golden  # noqa: E402
import scenarios  # noqa: E402
from line import new_session  # noqa: E402

from pymy.options import Options, SSLMode  # noqa: E402
from pymy.protocol import handshake  # noqa: E402
from pymy.protocol.needs import Conversation, Need  # noqa: E402
from pymy.protocol.query import query  # noqa: E402
from pymy.protocol.session import Session  # noqa: E402
from pymy.sandbox import Server  # noqa: E402
from pymy.tls import build_context  # noqa: E402


class Recorder:
    """Serves a session's needs over a socket and keeps what passes."""

    def __init__(self, session: Session, sock: socket.socket, options: Options) -> None:
        self.session = session
        self.sock = sock
        self.options = options
        self.files = [scenarios.FILE[:5], scenarios.FILE[5:]]
        self.client = b""
        self.turns: list[bytes] = [b""]

    def run(self, conversation: Conversation[Any]) -> Any:
        session = self.session
        need = session.start(conversation)
        while need is not Need.DONE:
            if need is Need.READ:
                piece = self.sock.recv(len(session.space()))
                session.space()[: len(piece)] = piece
                self.turns[-1] += piece
                need = session.filled(len(piece)) if piece else session.eof()
            elif need is Need.WRITE:
                output = bytes(session.output())
                self.sock.sendall(output)
                self.client += output
                if self.turns[-1]:
                    self.turns.append(b"")
                need = session.sent(len(output))
            elif need is Need.TLS:
                self.sock = build_context(self.options).wrap_socket(self.sock)
                need = session.resume()
            elif session.upload is not None:
                session.pieces = session.pieces or session.upload.pieces()
                need = session.resume(next(session.pieces, b""))
            else:
                need = session.resume(self.files.pop(0) if self.files else b"")
        return session.result()


def dial(server: Server, tcp: bool) -> socket.socket:
    if tcp:
        return socket.create_connection((server.host, server.port), timeout=20)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(server.unix_socket)
    return sock


def prepare(server: Server) -> None:
    """Make the account and the tables the scenarios use."""
    options = Options(user="root", database="test", ssl_mode=SSLMode.DISABLED)
    recorder = Recorder(new_session(local=True), dial(server, tcp=False), options)
    recorder.run(handshake.connect(recorder.session, options, handshake.Credentials((b"",), {})))
    accounts = [
        f"create user {scenarios.USER}@{host} identified by '{scenarios.PASSWORD.decode()}'"
        for host in ("localhost", "'127.0.0.1'")
    ] + [f"grant all on *.* to {scenarios.USER}@{host}" for host in ("localhost", "'127.0.0.1'")]
    for statement in accounts + scenarios.PREPARATION:
        recorder.run(query(recorder.session, statement.encode()))
    recorder.sock.close()


def record(server: Server, flavour: str, scenario: scenarios.Scenario) -> golden.Recording:
    session = new_session(local=not scenario.tcp)
    recorder = Recorder(session, dial(server, scenario.tcp), scenario.settings())
    shown = [text for text, _ in scenarios.outcomes(scenario, session, recorder.run)]
    recorder.sock.close()
    return golden.Recording(
        flavour, scenario.name, server.version, recorder.client,
        [turn for turn in recorder.turns if turn], shown,
    )  # fmt: skip


def main(flavours: list[str]) -> None:
    golden.FOLDER.mkdir(exist_ok=True)
    for flavour in flavours or ["mariadb", "mysql", "mysql56"]:
        with Server(flavour) as server:
            prepare(server)
            recordings = [
                record(server, flavour, scenario)
                for scenario in scenarios.SCENARIOS
                if flavour in scenario.servers
            ]
        golden.save(flavour, recordings)
        for each in recordings:
            size = sum(map(len, each.turns))
            print(f"{each.name}: {size} bytes, {len(each.outcomes)} outcomes")
            for text in each.outcomes:
                print("   ", text[:200])


if __name__ == "__main__":
    main(sys.argv[1:])
