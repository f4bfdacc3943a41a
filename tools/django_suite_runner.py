"""Django's test runner, with a record of what came out; Django's process imports it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from django.test.runner import DiscoverRunner


def name(test: Any) -> str:
    """Return a test's name; a subtest counts as its test, which parameters may name at random."""
    return getattr(test, "test_case", test).id()


class Recorder(DiscoverRunner):
    def run_suite(self, suite: Any, **options: Any) -> Any:
        # testsRun counts skipped tests in some versions of Python and not in others
        self.count = suite.countTestCases()
        return super().run_suite(suite, **options)

    def suite_result(self, suite: Any, result: Any, **options: Any) -> int:
        record = {
            "tests": self.count,
            "failed": sorted(
                {name(test) for test, _ in (*result.failures, *result.errors)}
                | {name(test) for test in result.unexpectedSuccesses}
            ),
            "skipped": len(result.skipped),
            "expected": len(result.expectedFailures),
        }
        Path(os.environ["DJANGO_SUITE_RECORD"]).write_text(json.dumps(record))
        return super().suite_result(suite, result, **options)
