"""Find the Debian archive this machine already uses, so that no mirror is named here.

Formats: sources.list(5), both the one-line and the deb822 style.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import SandboxError

# The archive carries all of these next to each other; a machine that has one of them can reach the
# rest.
DEBIAN_SUITES = frozenset(
    (
        *("bullseye", "bookworm", "trixie", "forky", "duke", "sid"),
        *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
    )
)


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of apt's configuration; `options` are deb822 fields such as Signed-By."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: tuple[tuple[str, str], ...] = ()

    def for_suite(self, suite: str, architecture: str) -> str:
        """Write the same source for another suite, deb822 style."""
        fields = (
            ("Types", "deb"),
            ("URIs", self.uri),
            ("Suites", suite),
            ("Components", "main"),
            ("Architectures", architecture),
            *self.options,
        )
        return "".join(f"{name}: {value}\n" for name, value in fields)


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Split deb822 text into its stanzas; field names come out in lower case."""
    fields: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, last = {}, ""
        elif line[0] in " \t":
            if last:
                fields[last] += f"\n{line}"
        elif ":" in line:
            name, _, value = line.partition(":")
            last = name.strip().lower()
            fields[last] = value.strip()
    if fields:
        yield fields


def parse_deb822(text: str) -> Iterator[Source]:
    for fields in stanzas(text):
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        options = tuple((n.title(), fields[n]) for n in ("signed-by", "trusted") if n in fields)
        for uri in fields.get("uris", "").split():
            yield Source(
                uri,
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                options,
            )


ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<uri>\S+)\s+(?P<rest>\S.*)")


def parse_one_line(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        found = ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if not found:
            continue
        options = tuple(
            (name.title(), value.replace(",", " "))
            for name, _, value in (o.partition("=") for o in (found["options"] or "").split())
            if name.lower() in ("signed-by", "trusted")
        )
        suite, *components = found["rest"].split()
        yield Source(found["uri"], (suite,), tuple(components), options)


def read_sources(etc: Path) -> Iterator[Source]:
    """Read every source of an apt folder, files in apt's own order."""
    for path in (etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))):
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        text = path.read_text(errors="replace")
        yield from parse_deb822(text) if path.suffix == ".sources" else parse_one_line(text)


def debian_archive(etc: Path = Path("/etc/apt")) -> Source:
    """Pick the machine's source of Debian proper (not security, not a third party's)."""
    for source in read_sources(etc):
        if DEBIAN_SUITES.intersection(source.suites) and "main" in source.components:
            return source
    raise SandboxError(
        f"no Debian archive in {etc}, so no server can be fetched. Install one with this system's "
        "own tool (for MariaDB `apt-get install mariadb-server` or the like): a mariadbd on PATH "
        "is used as it is, and Server(flavour, program='/path/to/mysqld') names any other."
    )
