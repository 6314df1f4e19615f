# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Counts the tests of GoogleTest's and pytest's reports: how many were run, passed and skipped on a platform.

``count_tests.py PLATFORM REPORT...``, a line per report and one for all. A report that is not there is of a program
that did not come to its end: exit 1.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import NamedTuple


class Counts(NamedTuple):
    """What became of the tests of a program."""

    passed: int = 0
    skipped: int = 0
    failed: int = 0

    def __str__(self) -> str:
        """Returns the counts in words."""
        return f"{sum(self)} tests, {self.passed} passed, {self.skipped} skipped, {self.failed} failed"


def counts_of(report: Path) -> Counts:
    """Returns the counts of one report; tests that a filter left out are not among them."""
    passed = skipped = failed = 0
    for case in ET.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.get("result") == "skipped" or case.find("skipped") is not None:
            skipped += 1
        elif case.get("status", "run") == "run":  # pytest gives none
            passed += 1
    return Counts(passed, skipped, failed)


def main(platform: str, reports: list[Path]) -> int:
    """Prints the counts of each report and of all; returns 1 where one is missing or a test failed."""
    total = Counts()
    complete = True
    for report in reports:
        if not report.is_file():
            print(f"{platform}: {report.stem}: no report, it did not come to its end")
            complete = False
            continue
        counts = counts_of(report)
        print(f"{platform}: {report.stem}: {counts}")
        total = Counts(*(a + b for a, b in zip(total, counts, strict=True)))
    print(f"{platform}: {total}")
    return 0 if complete and total.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], [Path(name) for name in sys.argv[2:]]))
