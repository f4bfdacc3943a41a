"""``python -m pymy``: tools around the driver."""

from __future__ import annotations

import sys

USAGE = """usage: python -m pymy sandbox FLAVOUR   start a real server, print its URL and wait
       python -m pymy import FILE        run a script or a dump, see --help
       python -m pymy version            print pymy's version"""


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["sandbox"]:
        from pymy.sandbox.cli import main as sandbox

        return sandbox(arguments[1:])
    if arguments[:1] == ["import"]:
        from pymy.importing import main as import_

        return import_(arguments[1:])
    if arguments == ["version"]:
        from pymy.version import __version__

        print(__version__)
        return 0
    asked = arguments in (["--help"], ["-h"])
    print(USAGE, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
