"""The state table of docs/architecture.md is the one that the code obeys."""

from __future__ import annotations

from doc_blocks import ROOT

from pymy.protocol.needs import Need
from pymy.protocol.state import MOVES, State


def between(name: str) -> str:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    _, _, rest = text.partition(f"<!-- {name} -->\n")
    return rest.partition(f"<!-- end of {name} -->")[0].strip()


def test_state_table() -> None:
    rows = ["| state | meaning | may become |", "| --- | --- | --- |"]
    for state in State:
        next_states = [other.name for other in State if other in MOVES[state]]
        rows.append(f"| {state.name} | {state.value} | {', '.join(next_states) or '-'} |")
    expected = "\n".join(rows)
    assert between("states") == expected, f"docs/architecture.md should have:\n{expected}"


def test_need_table() -> None:
    rows = ["| need | what brings the session on |", "| --- | --- |"]
    rows += [f"| {need.name} | {need.value} |" for need in Need]
    expected = "\n".join(rows)
    assert between("needs") == expected, f"docs/architecture.md should have:\n{expected}"
