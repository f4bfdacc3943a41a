"""Datadirs: made once per server version, then copied."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from .cache import Progress, building, cache_dir, locked, make_folder
from .errors import SandboxError
from .flavours import MYSQL_INIT, Flavour, Program
from .process import Process, last_words

BOOTSTRAP_TIMEOUT = 180.0  # seconds; 2 s on an idle machine


def template(flavour: Flavour, program: Program, progress: Progress) -> Path:
    """Name the datadir to copy for this program, making it when the cache has none."""
    flags = flavour.flags(program)
    sql = flavour.bootstrap_sql(program) if flavour.bootstrap_sql else MYSQL_INIT
    recipe = json.dumps([program.argv, program.version, flags, sql])
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    name = f"{flavour.name}-{digest}"
    target = cache_dir() / "datadirs" / name
    if target.is_dir():
        return target
    make_folder("datadirs")
    with locked(name, progress):
        if not target.is_dir():
            progress(f"Preparing a database folder for {flavour.title} {program.version}")
            with building(target) as folder:
                bootstrap(flavour, program, [*program.base_flags(), *flags], sql, folder)
    return target


def bootstrap(flavour: Flavour, program: Program, flags: list[str], sql: str, folder: Path) -> None:
    scratch = Path(tempfile.mkdtemp(prefix="pymy-bootstrap-"))
    source, log = scratch / "bootstrap.sql", scratch / "server.log"
    argv = [*program.argv, *flags, f"--datadir={folder}", f"--tmpdir={scratch}"]
    argv += (
        ["--bootstrap"]
        if flavour.bootstrap_sql
        else ["--initialize-insecure", f"--init-file={source}"]
    )
    process = Process(
        argv, log=log, folder=scratch, stdin=source if flavour.bootstrap_sql else None
    )
    try:
        source.write_text(sql)
        process.start()
        if not process.wait(BOOTSTRAP_TIMEOUT) or process.exit_code:
            raise SandboxError(
                f"{flavour.title} {program.version} could not prepare its database "
                f"folder; its log ends:\n{last_words(log)}"
            )
    finally:
        process.close()
    # Two servers must not share a uuid.
    (folder / "auto.cnf").unlink(missing_ok=True)


def copy_template(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    target.chmod(0o700)
