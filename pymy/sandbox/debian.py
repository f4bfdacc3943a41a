"""Get a server and its libraries out of a Debian suite, without root or touching the machine.

apt-get does the talking, with a state folder of its own: the mirror, proxies, credentials and
archive keys are those this machine already uses, indexes are checked against the signed InRelease
file and each package against the index. The suite's current version is taken, since sid keeps only
one.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .cache import Progress, make_folder, sha256
from .errors import SandboxError
from .sources import Source, debian_archive, stanzas

# apt's hooks belong to the machine's own package database, not to this private one.
APT_CONF = """\
#clear APT::Update;
#clear DPkg::Post-Invoke;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::CNF;
Dir::State "{state}";
Dir::State::Lists "{state}/lists";
Dir::State::status "{state}/status";
Dir::Cache "{state}";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{state}/sources";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Debug::NoLocking "1";
APT::Sandbox::User "";
APT::Default-Release "";
Acquire::Languages "none";
Acquire::GzipIndexes "false";
Acquire::Retries "3";
Acquire::PDiffs "false";
"""


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    filename: str
    size: int
    sha256: str
    depends: tuple[str, ...]

    @property
    def basename(self) -> str:
        return self.filename.rpartition("/")[2]


def parse_package(stanza: Mapping[str, str]) -> Package:
    wanted = ", ".join(filter(None, (stanza.get("pre-depends"), stanza.get("depends"))))
    # Of alternatives the first is Debian's default; versions are consistent within one suite.
    names = (re.split(r"[\s(:|]", clause.strip(), maxsplit=1)[0] for clause in wanted.split(","))
    try:
        return Package(
            stanza["package"],
            stanza["version"],
            stanza["filename"],
            int(stanza["size"]),
            stanza["sha256"],
            tuple(dict.fromkeys(filter(None, names))),
        )
    except (KeyError, ValueError) as error:
        name = stanza.get("package", "?")
        raise SandboxError(f"the package index has a broken entry for {name}: {error}") from None


class Index:
    """A suite's Packages file; stanzas are parsed only when asked for."""

    def __init__(self, text: str) -> None:
        self._text = f"\n{text}"

    def get(self, name: str) -> Package | None:
        start = self._text.find(f"\nPackage: {name}\n")
        if start < 0:
            return None
        end = self._text.find("\n\n", start)
        return parse_package(next(stanzas(self._text[start + 1 : end if end > 0 else None])))

    def closure(self, roots: Iterable[str]) -> list[Package]:
        """List the roots and every shared library below them.

        Debian's shared libraries live in packages named lib*; the rest (perl, adduser, start
        scripts) serves an installed server, not one run from a folder. A library's new soname is
        followed by itself.
        """
        found: dict[str, Package] = {}
        todo = list(roots)
        for name in todo:
            if self.get(name) is None:
                raise SandboxError(f"the suite has no package {name}")
        while todo:
            name = todo.pop()
            package = None if name in found else self.get(name)
            if package is None:
                continue
            found[name] = package
            todo += [
                need
                for need in package.depends
                if need.startswith(("lib", "zlib"))
                and not need.endswith(("-perl", "-common", "-data"))
            ]
        return sorted(found.values(), key=lambda package: package.name)


class Suite:
    """One suite of the machine's Debian archive, read through a private apt state."""

    def __init__(self, suite: str, flavour: str, progress: Progress) -> None:
        self.suite = suite
        self.flavour = flavour
        self.progress = progress
        self.archive: Source = debian_archive()
        if not shutil.which("apt-get"):
            raise SandboxError(f"apt-get is not on PATH. {self._advice()}")

    def __enter__(self) -> Suite:
        # One name per flavour, whose lock the caller holds: what a killed process left is swept
        # here.
        self.state = make_folder() / f"apt.{self.flavour}"
        shutil.rmtree(self.state, ignore_errors=True)
        for folder in ("lists/partial", "archives/partial", "sources"):
            (self.state / folder).mkdir(parents=True)
        (self.state / "status").touch()
        source = self.archive.for_suite(self.suite, architecture())
        (self.state / "sources" / "suite.sources").write_text(source)
        (self.state / "apt.conf").write_text(APT_CONF.format(state=self.state))
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.state, ignore_errors=True)

    def _advice(self) -> str:
        install = "`apt-get install mariadb-server` (a mariadbd on PATH is used as it is), or "
        return (
            f"To get this server: {install if self.flavour == 'mariadb' else ''}"
            f"`python -m pymy sandbox fetch {self.flavour}` once the Debian archive can be reached."
        )

    def _apt(self, *command: str, label: str, cwd: Path) -> None:
        argv = ["apt-get", "-c", str(self.state / "apt.conf"), "-q", "-oAPT::Status-Fd=1", *command]
        environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        with tempfile.TemporaryFile("w+") as errors:
            with subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                errors="replace",
                cwd=cwd,
                env=environment,
            ) as apt:
                assert apt.stdout is not None
                shown = -1
                for line in apt.stdout:
                    if found := re.match(r"dlstatus:\d+:(\d+)", line):
                        percent = int(found[1]) // 10 * 10
                        if percent > shown:
                            shown = percent
                            self.progress(f"{label} ... {percent} %")
            errors.seek(0)
            report = errors.read()
        # `update` exits with 0 and a warning when the mirror is away.
        failed = re.search(r"^(E:|W: Failed to fetch)", report, re.MULTILINE)
        if apt.returncode or failed:
            last = "\n".join(report.strip().splitlines()[-5:])
            raise SandboxError(
                f"apt-get could not read {self.suite} of this machine's Debian archive:\n{last}\n"
                f"{self._advice()}"
            )

    def index(self) -> Index:
        """Fetch the suite's package index (11 MB for sid)."""
        self._apt("update", label=f"Reading the package index of {self.suite}", cwd=self.state)
        lists = sorted((self.state / "lists").glob("*_Packages"))
        if not lists:
            raise SandboxError(f"apt-get got no package index of {self.suite}. {self._advice()}")
        return Index("\n\n".join(path.read_text(errors="replace") for path in lists))

    def download(self, packages: Iterable[Package], title: str) -> list[Path]:
        """Fetch what the cache lacks; return the checked .deb files in the order given."""
        debs = make_folder("debs")
        # Kept when interrupted: whole files are taken over, apt-get goes on with a partial one.
        incoming = make_folder("debs", f"incoming.{self.flavour}")
        packages = list(packages)
        paths = [debs / package.basename for package in packages]
        missing = [
            package
            for package, path in zip(packages, paths, strict=True)
            if not intact(path, package) and not adopt(incoming, package, debs)
        ]
        if missing:
            size = sum(package.size for package in missing) / 1e6
            self._apt(
                "download",
                *(f"{package.name}={package.version}" for package in missing),
                label=f"Fetching {title} ({len(missing)} packages, {size:.0f} MB)",
                cwd=incoming,
            )
            for package in missing:
                if not adopt(incoming, package, debs):
                    shutil.rmtree(incoming)
                    raise SandboxError(
                        f"{package.basename}: missing or checksum mismatch; what came was "
                        "thrown away. "
                        "Try again; if it stays so, the mirror or a proxy changes what it serves."
                    )
        shutil.rmtree(incoming)
        return paths


def intact(path: Path, package: Package) -> bool:
    return path.is_file() and path.stat().st_size == package.size and sha256(path) == package.sha256


def adopt(folder: Path, package: Package, debs: Path) -> bool:
    """Move a download into the cache; False when it is absent or not what the index promises."""
    # apt-get download writes an epoch's colon as %3a; the archive's own file name has no epoch.
    version = package.version.replace(":", "%3a")
    for path in folder.glob(f"{glob.escape(f'{package.name}_{version}')}_*.deb"):
        if intact(path, package):
            path.replace(debs / package.basename)
            return True
    return False


def architecture() -> str:
    """Ask apt for the machine's architecture; indexes of foreign ones are not wanted."""
    answer = subprocess.run(
        ["apt-config", "shell", "ARCH", "APT::Architecture"], capture_output=True, text=True
    )
    found = re.search(r"ARCH='([^']+)'", answer.stdout)
    if not found:
        raise SandboxError(f"apt-config does not tell the architecture: {answer.stderr.strip()}")
    return found[1]
