"""SQLAlchemy's own pytest plugin, which takes the place of pymy's fixtures in this folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")
sys.path.insert(0, str(Path(__file__).parent))

# how SQLAlchemy's suite makes and drops databases on these servers
import sqlalchemy.dialects.mysql.provision  # noqa: E402, F401
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403
