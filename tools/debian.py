"""Fetch packages of another Debian suite with the machine's own apt, without touching its state."""

from __future__ import annotations

import subprocess
from pathlib import Path


def _mirror() -> str:
    """Return the address this machine's own package lists come from."""
    lines = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(LABEL)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    for line in lines:
        site, release, label = line.split(maxsplit=2)
        if label == "Debian" and "-" not in release:
            return site
    raise SystemExit("No Debian mirror is configured on this machine; see its apt sources.")


def unpack(packages: list[str], folder: Path, suite: str = "sid") -> dict[str, str]:
    """Download `packages` of `suite`, unpack each into folder/<package>, return their versions."""
    state = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial", "debs"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    (state / "sources.list").write_text(f"deb {_mirror()} {suite} main\n")
    options = {
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Etc::SourceList": state / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Cache": state / "cache",
        "Debug::NoLocking": 1,
        "APT::Sandbox::User": "",
    }
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items())]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", *packages], check=True, cwd=state / "debs")

    versions = {}
    for deb in (state / "debs").glob("*.deb"):
        query = ["dpkg-deb", "--show", "--showformat", "${Package} ${Version}", str(deb)]
        shown = subprocess.run(query, check=True, capture_output=True, text=True).stdout
        package, version = shown.split()
        versions[package] = version
        subprocess.run(["dpkg-deb", "-x", str(deb), str(folder / package)], check=True)
    return versions
