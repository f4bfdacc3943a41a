from __future__ import annotations

from pathlib import Path

import pytest

from pymy.sandbox.errors import SandboxError
from pymy.sandbox.sources import debian_archive, parse_deb822, parse_one_line, stanzas

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian http://second.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""


def test_deb822_takes_enabled_binary_sources_with_their_key():
    first, second = parse_deb822(DEB822)
    assert first.uri == "http://mirror.example/debian"
    assert second.uri == "http://second.example/debian"
    assert first.suites == ("bookworm", "bookworm-updates")
    assert first.components == ("main", "contrib")
    assert "\n abc\n" in dict(first.options)["Signed-By"]


def test_another_suite_keeps_mirror_and_key():
    text = next(parse_deb822(DEB822)).for_suite("sid", "arm64")
    (fields,) = stanzas(text)
    assert fields["uris"] == "http://mirror.example/debian"
    assert fields["suites"] == "sid"
    assert fields["architectures"] == "arm64"
    assert fields["components"] == "main"
    assert fields["signed-by"].endswith("-----END PGP PUBLIC KEY BLOCK-----")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://m.example/debian trixie main non-free", ("trixie", ("main", "non-free"), {})),
        ("deb  [ arch=amd64 signed-by=/k.gpg ] http://m.example/debian sid main # why",
         ("sid", ("main",), {"Signed-By": "/k.gpg"})),
        ("deb [trusted=yes] http://m.example/ sid main", ("sid", ("main",), {"Trusted": "yes"})),
    ],
)  # fmt: skip
def test_one_line_style(line, expected):
    (source,) = parse_one_line(line)
    assert source.uri.startswith("http://m.example/")
    assert (source.suites[0], source.components, dict(source.options)) == expected


@pytest.mark.parametrize(
    "line", ["", "# deb http://m.example/debian sid main", "deb-src http://m/ sid main", "deb x"]
)
def test_one_line_style_ignores(line):
    assert list(parse_one_line(line)) == []


def write(etc: Path, name: str, text: str) -> None:
    path = etc / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_archive_is_debian_proper(tmp_path):
    write(tmp_path, "sources.list", "deb http://packages.example/tool stable-tool main\n")
    write(
        tmp_path,
        "sources.list.d/a.sources",
        "Types: deb\nURIs: http://s.example/s\nSuites: bookworm-security\nComponents: main\n",
    )
    write(tmp_path, "sources.list.d/b.list.disabled", "deb http://off.example/debian sid main\n")
    write(tmp_path, "sources.list.d/c.list", "deb http://m.example/debian bookworm main\n")
    assert debian_archive(tmp_path).uri == "http://m.example/debian"


def test_no_archive_says_what_to_do(tmp_path):
    write(tmp_path, "sources.list", "deb http://u.example/other noble main\n")
    with pytest.raises(SandboxError, match="apt-get install mariadb-server"):
        debian_archive(tmp_path)


def test_no_host_is_named_in_the_source():
    import pymy.sandbox

    for path in Path(pymy.sandbox.__file__).parent.rglob("*.py"):
        text = path.read_text()
        for scheme in ("http:", "https:", "ftp:"):
            assert f"{scheme}//" not in text, path
        # The names of Debian's and npm's hosts, spelt so that this file does not hold them either.
        for host in ("debian" + ".org", "npmjs" + ".", "pypi" + ".", "pythonhosted" + "."):
            assert host not in text, path
