"""Progress in plain words on stderr."""

from __future__ import annotations

import sys
from typing import TextIO

from .cache import Progress


def printer(stream: TextIO | None = None) -> Progress:
    """Make a progress callable that prints; on a terminal percentages overwrite each other."""
    out = stream or sys.stderr
    terminal = out.isatty()
    last = ""

    def show(text: str) -> None:
        nonlocal last
        label = text.partition(" ... ")[0]
        if terminal:
            out.write(f"\r\x1b[K{text}" if label == last else f"{chr(10) if last else ''}{text}")
        elif label != last or text.endswith(" 100 %"):
            out.write(f"{text}\n")
        out.flush()
        last = label

    return show
