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
    lines = source.splitlines()
    for statement in ast.parse(source, str(block.path)).body:
        said = _SAYS.search(lines[(statement.end_lineno or 1) - 1])
        if isinstance(statement, ast.Expr) and said is not None:
            code = compile(ast.Expression(statement.value), str(block.path), "eval")
            value = repr(eval(code, namespace))
            place = f"{block.path.name}, line {statement.lineno}"
            assert value == said[1], f"{place}: says {said[1]}, is {value}"
        else:
            module = ast.Module([statement], type_ignores=[])
            exec(compile(module, str(block.path), "exec"), namespace)
