"""Fenced blocks of the documents, and how the Python ones are run."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^>]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_SAYS = re.compile(r"#\s*->\s*(.+)$")


@dataclass(frozen=True)
class Block:
    path: Path
    line: int
    """Number of the first line of code in the document."""
    language: str
    text: str
    reason: str | None
    """Why it is not run."""


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    return [
        Block(
            path,
            text.count("\n", 0, found.start("text")) + 1,
            found["language"],
            found["text"],
            found["reason"],
        )
        for found in _FENCE.finditer(text)
    ]


def run(block: Block, namespace: dict[str, Any]) -> None:
    """Execute a block; where a line ends in ``# -> text``, its value must print so."""
    # As many lines in front as in the document: tracebacks name the right one.
    source = "\n" * (block.line - 1) + block.text
    tree = Checking(source).visit(ast.parse(source, str(block.path)))
    ast.fix_missing_locations(tree)

    def check(value: Any, text: str, line: int) -> None:
        assert repr(value) == text, f"{block.path.name}, line {line}: says {text}, is {value!r}"

    namespace[CHECK] = check
    exec(compile(tree, str(block.path), "exec"), namespace)


CHECK = "_check"


class Checking(ast.NodeTransformer):
    """Makes of an expression that says what it gives a call that compares, wherever it stands."""

    def __init__(self, source: str) -> None:
        self.lines = source.splitlines()

    def visit_Expr(self, statement: ast.Expr) -> ast.AST:
        said = _SAYS.search(self.lines[(statement.end_lineno or 1) - 1])
        if said is None:
            return statement
        arguments = [statement.value, ast.Constant(said[1]), ast.Constant(statement.lineno)]
        call = ast.Call(ast.Name(CHECK, ast.Load()), arguments, [])
        return ast.copy_location(ast.Expr(call), statement)
