"""Fuzz the session with a server's bytes, guided by coverage.

    pip install atheris cryptography zstandard
    python tests/fuzz/fuzz_session.py -max_total_time=300 -timeout=10 -rss_limit_mb=1500 [CORPUS]

An input is one byte that chooses a recorded conversation, one for the size of the receives, and
what the server says instead of what was recorded; the recordings are the seeds. What must hold is
checked in ``golden.replay``: only ``pymy.Error`` comes out, every conversation ends, memory and
rows are bounded by the input. CORPUS is a folder that keeps what was found for the next run.

libFuzzer writes a failing input to a file: with that file on the command line it is played again,
and its bytes go into FINDINGS of tests/protocol/test_mutations.py, so that it stays fixed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "protocol")]

with atheris.instrument_imports(include=["pymy.protocol"]):
    from golden import play_input, seeds


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds()):
            (Path(folder) / f"seed-{number}").write_bytes(seed)
        targets = [each for each in sys.argv[1:] if not each.startswith("-")]
        files = any(Path(each).is_file() for each in targets)
        atheris.Setup([*sys.argv, *([] if files else [folder])], play_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
