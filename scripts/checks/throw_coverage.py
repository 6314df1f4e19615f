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

ROOT = Path(__file__).resolve().parents[2]
# Functions that end by throwing; their calls count as throws.
RAISES = (
    r"(?:damaged|garbled|refuse|fail|unreadable|not_understood|cannot_start"
    r"|reader\.fail|Reader::refuse|weights\.refuse)\("
)
PLACE = re.compile(rf"^\s*(?:.*[\s);{{])?(?:throw\s+\w|{RAISES})")
DEFINITION = re.compile(r"\[\[noreturn\]\]|^\s*(?:void|static|std::\w+)\s")
# Not reachable by a test of this machine, and why. Part of the statement: reason.
ALLOWED: dict[str, str] = {
    "cannot be read; check its permissions": "root, who runs the tests, may read everything",
    'got \\"f32\\", but " + device_name_': "needs an NPU",
    'got version " + version + ", expected "': "needs a plugin of another build",
    'but this bundle has no model \\"': "prompt_tokens refuses such a prompt before",
    "crop encoder: ": "the fake backend has no crop encoder, and OpenVINO's answers as its graph says",
    "throw Unsupported(e.what());": "a SIMD target that is not there: read once per process (test_dispatch.cpp)",
    "used in a child process after fork": "tests/python/engine/test_engine.py",
    "output: got a label volume of": "needs 4 GiB of labels in one file",
    "expected at most the machine's": "needs a machine of less memory than the 8 GiB that a case may have",
    "got another size than prompt 0's": "tests/cpp/c_api/test_c_api_structs.cpp does not reach it yet",
}


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
        source = (ROOT / name).read_text(encoding="ascii").splitlines()
        for number, text in enumerate(source, 1):
            code = text.split("//")[0]
            if number not in lines or not PLACE.match(code) or DEFINITION.search(code):
                continue
            places += 1
            if lines[number] == 0 and not any(part in " ".join(source[number - 1 : number + 2]) for part in ALLOWED):
                missed.append(f"{name}:{number}: {text.strip()}")
    print("\n".join([*missed, f"throws: {places} places, {len(missed)} not reached, {len(ALLOWED)} allowed"]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
