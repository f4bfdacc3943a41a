"""Progress in plain words on stderr."""

from __future__ import annotations

import sys
from typing import TextIO

from .cache import Progress


def printer(stream: TextIO | None = None) -> Progress:
    """Make a progress callable that prints; on a terminal percentages overwrite each other."""
    out = stream or sys.stderr
    terminal = out.isatty()
    last, unfinished = "", False

    def show(text: str) -> None:
        nonlocal last, unfinished
        label, _, percent = text.partition(" ... ")
        if terminal:
            start = "" if not unfinished else "\r\x1b[K" if label == last else "\n"
            unfinished = percent not in ("", "100 %")
            out.write(f"{start}{text}" if unfinished else f"{start}{text}\n")
        elif label != last or percent == "100 %":
            out.write(f"{text}\n")
        out.flush()
        last = label

    return show
