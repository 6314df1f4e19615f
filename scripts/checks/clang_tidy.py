# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Runs clang-tidy over the project's own C++ sources, on all cores, and skips files that passed unchanged.

Usage: ``clang_tidy.py BUILD_DIR [--analyzer]``, a build tree with compile_commands.json (preset ``tidy``). A file is
skipped when it, every project header, .clang-tidy and its compile command are what they were when it last passed.
With ``--analyzer`` the static analyzer's checks run instead of .clang-tidy's; it takes as long again.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN_SOURCES = ("cpp/src", "cpp/apps", "kernels", "python/bindings")
# .clang-tidy gives the reasons of those that are off.
ANALYZER = (
    "--checks=-*,clang-analyzer-*,-clang-analyzer-core.UndefinedBinaryOperatorResult,"
    "-clang-analyzer-core.uninitialized*,-clang-analyzer-security.ArrayBound"
)
CLANG_TIDY = Path(sys.executable).with_name("clang-tidy")


def shared_state() -> bytes:
    """Returns a digest of what every result depends on: the configuration and all project headers."""
    headers = sorted(path for folder in ("cpp", "kernels", "python/bindings") for path in (ROOT / folder).rglob("*.h*"))
    digest = hashlib.sha256()
    for path in [ROOT / ".clang-tidy", Path(__file__), *headers]:
        digest.update(path.read_bytes())
    return digest.digest()


def check(source: Path, command: str, build: Path, state: bytes, options: list[str]) -> tuple[Path, bool, str]:
    """Runs clang-tidy on one file unless it passed before; returns (file, clean, output)."""
    key = hashlib.sha256(state + " ".join([command, *options]).encode() + source.read_bytes()).hexdigest()
    passed = build / "clang-tidy-passed" / key
    if passed.exists():
        return source, True, ""
    start = time.monotonic()
    result = subprocess.run(
        [str(CLANG_TIDY), "--quiet", "-p", str(build), *options, str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"clang-tidy {source.relative_to(ROOT)} ({time.monotonic() - start:.1f} s)", flush=True)
    if result.returncode == 0:
        passed.parent.mkdir(exist_ok=True)
        passed.touch()
        return source, True, ""
    return source, False, result.stdout + result.stderr


def main() -> int:
    """Checks all files; returns 0 when every one is clean, else 1."""
    build = Path(sys.argv[1]).resolve()
    commands: dict[Path, str] = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        source = (Path(entry["directory"]) / entry["file"]).resolve()
        if any(source.is_relative_to(ROOT / folder) for folder in OWN_SOURCES):
            commands[source] = entry["command"]
    if not commands:
        print(f"clang-tidy: {build} names none of the project's sources", file=sys.stderr)
        return 1
    state = shared_state()
    options = [ANALYZER] if "--analyzer" in sys.argv[2:] else []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(lambda item: check(item[0], item[1], build, state, options), sorted(commands.items())))
    for source, clean, output in results:
        if not clean:
            print(f"\n{source.relative_to(ROOT)}:\n{output}")
    failed = sum(not clean for _, clean, _ in results)
    print(f"clang-tidy: {len(results) - failed} files clean, {failed} not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
