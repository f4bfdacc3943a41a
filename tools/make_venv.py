"""Make a virtual environment with pip: ``python3 tools/make_venv.py FOLDER``.

Debian's python3 comes without ensurepip. Where it is missing, pip is taken from the machine's own
pip, or from the wheel in its Debian archive; neither needs root.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHEELS = "python3-pip-whl"
ADVICE = (
    "This Python cannot make environments with pip: its ensurepip is missing.\n"
    "On Debian and Ubuntu, `sudo apt-get install python3-venv` brings it; then run make again."
)


def has_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def debian_wheel(folder: str) -> Path:
    """Take pip's wheel out of the machine's own Debian archive."""
    sys.path.insert(0, str(ROOT))
    from pymy.sandbox.deb import data_tar
    from pymy.sandbox.debian import Suite
    from pymy.sandbox.reporting import printer

    release = dict(
        line.partition("=")[::2]
        for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    )
    with Suite(release["VERSION_CODENAME"].strip('"'), "pip", printer()) as suite:
        package = suite.index().get(WHEELS)
        if package is None:
            raise LookupError(f"the archive has no {WHEELS}")
        (path,) = suite.download([package], WHEELS)
    with data_tar(path) as tar:
        for member in tar:
            name = Path(member.name).name
            content = tar.extractfile(member)
            if content is not None and name.startswith("pip-") and name.endswith(".whl"):
                wheel = Path(folder) / name
                wheel.write_bytes(content.read())
                return wheel
    raise LookupError(f"{WHEELS} holds no wheel of pip")


def add_pip(python: Path) -> None:
    quiet = ["install", "--quiet", "--disable-pip-version-check"]
    if has_module("pip"):
        command = [sys.executable, "-m", "pip", "--python", str(python), *quiet, "pip"]
        if subprocess.run(command).returncode == 0:
            return
    with tempfile.TemporaryDirectory() as folder:
        wheel = debian_wheel(folder)
        # A wheel is a zip file, and Python runs packages inside of zip files.
        subprocess.run(
            [str(python), "-m", "pip", *quiet, "--no-index", str(wheel)],
            env={**os.environ, "PYTHONPATH": str(wheel)},
            check=True,
        )


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python is what it is here for
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"pymy needs Python 3.11 or later, this is {found}: make PYTHON=python3.12 ...")
    folder = Path(sys.argv[1])
    if has_module("ensurepip"):
        venv.create(folder, clear=True, with_pip=True)
        return
    venv.create(folder, clear=True)
    try:
        add_pip(folder / "bin" / "python")
    except Exception as error:
        sys.exit(f"{ADVICE}\nTaking pip from elsewhere failed: {error}")


if __name__ == "__main__":
    main()
