"""The settings that the documents show work as they stand, but for the server's address."""

from __future__ import annotations

import re

import pytest
from engine import ENGINE, ROOT
from shop.models import Item

pytestmark = pytest.mark.skipif(ENGINE != "pymy.django", reason="runs by itself")

BLOCKS = [
    pytest.param(found, id=f"{name}-{number}")
    for name in ("README.md", "docs/django.md")
    for number, found in enumerate(
        re.findall(r"^```python\n(.*?)^```$", (ROOT / name).read_text(), re.MULTILINE | re.DOTALL)
    )
    if "pymy.django" in found
]


def test_there_are_such_settings():
    assert [block.id for block in BLOCKS if block.id.startswith("README")] and len(BLOCKS) >= 3


@pytest.mark.parametrize("block", BLOCKS)
def test_settings(use, tables, block):
    namespace: dict[str, object] = {}
    exec(block, namespace)
    (entry,) = namespace["DATABASES"].values()
    assert entry.pop("ENGINE") == ENGINE
    for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT"):
        entry.pop(name, None)
    connection = tables(use(options=entry.pop("OPTIONS"), **entry))
    Item.objects.create(name="one")
    connection.close()
    assert Item.objects.get().name == "one"
