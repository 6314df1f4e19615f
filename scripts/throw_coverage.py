# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Says which places that raise an error no test has reached: ``throw_coverage.py BUILD``, a build tree with --coverage.

Every `throw` of cpp/src, and every call of a function there that only throws, is one documented error (docs/errors.md).
`make throws` builds, runs the C++ tests and calls this. Exits 1 when a place is not reached and not in ALLOWED.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Functions that end by throwing; their calls count as throws.
RAISES = r"(?:damaged|garbled|refuse|fail|unreadable|not_understood|cannot_start|reader\.fail|Reader::refuse)\("
PLACE = re.compile(rf"^\s*(?:.*[\s);{{])?(?:throw\s+\w|{RAISES})")
DEFINITION = re.compile(r"\[\[noreturn\]\]|^\s*(?:void|static|std::\w+)\s")
# Not reachable by a test of this machine, and why. Part of the source line: reason.
ALLOWED: dict[str, str] = {}


def executed(build: Path) -> dict[str, dict[int, int]]:
    """Source file: line: how often, summed over the tests' object files."""
    counts: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for data in sorted(build.rglob("*.gcda")):
        if "cpp/CMakeFiles" not in str(data):
            continue
        done = subprocess.run(
            ["gcov", "--json-format", "--stdout", data.name],
            cwd=data.parent,
            check=True,
            capture_output=True,
            text=True,
        )
        for line in done.stdout.splitlines():
            for file in json.loads(line)["files"]:
                path = (build / file["file"]).resolve()
                if path.is_relative_to(ROOT / "cpp" / "src"):
                    for entry in file["lines"]:
                        counts[str(path.relative_to(ROOT))][entry["line_number"]] += entry["count"]
    return counts


def main() -> int:
    """The command."""
    build = Path(sys.argv[1]).resolve()
    places, missed = 0, []
    for name, lines in sorted(executed(build).items()):
        for number, text in enumerate((ROOT / name).read_text(encoding="ascii").splitlines(), 1):
            code = text.split("//")[0]
            if number not in lines or not PLACE.match(code) or DEFINITION.search(code):
                continue
            places += 1
            if lines[number] == 0 and not any(part in text for part in ALLOWED):
                missed.append(f"{name}:{number}: {text.strip()}")
    print("\n".join([*missed, f"throws: {places} places, {len(missed)} not reached, {len(ALLOWED)} allowed"]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
