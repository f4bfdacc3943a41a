"""Which backend this run is about."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# test_django_plain.py runs tests of this folder once more with Django's own backend.
ENGINE = os.environ.get("PYMY_DJANGO_ENGINE", "pymy.django")
