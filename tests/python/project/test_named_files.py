# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files that pages, comments and the Makefile name are there: a move that forgets a mention is noticed."""

import re
import subprocess
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = "cpp|kernels|python|tools|tests|benchmarks|scripts|cmake|docs|fuzz|profiles|examples"
NAMED = re.compile(rf"(?<![\w/.:{{}}$-])((?:{FOLDERS})/[\w./-]+\.(?:cpp|hpp|h|cu|cuh|cmake|py|pyi|sh|md|json))\b")
HISTORY = ("CHANGELOG.md", "benchmarks/reports/")  # say what was there
ELSEWHERE = {  # files of other repositories, and of repositories that a test makes
    "cpp/src/main.cpp",
    "tools/medsam_engine_tools/new.py",
}
PREFIXES = ("", "tests/", "tests/cpp/")  # where an include or a relative mention begins


def test_every_named_file_exists() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = set(listed.stdout.splitlines())
    missing = [
        f"{name}: {named}"
        for name in sorted(files)
        if not name.startswith(HISTORY) and PurePosixPath(name).suffix not in {".png", ".npz", ".onnx", ".cdx.json"}
        for named in NAMED.findall((ROOT / name).read_text(encoding="utf-8", errors="replace"))
        if named not in ELSEWHERE and not any(prefix + named in files for prefix in PREFIXES)
    ]
    assert files
    assert not missing
