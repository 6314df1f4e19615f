# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A new user's road: every command and every Python block of README and of the guides, word for word, with its time.

In a clean clone with an empty home. Samples under the names of the pages are made once there is a model. Blocks marked
``<!-- not run: ... -->`` are listed and left out. ``walkthrough.py [PAGE ...]``; it takes from ten minutes up, and
installs, compiles and downloads (with CCACHE_DIR set, what was compiled before comes from there).
tests/python/project/test_docs.py is the short form for CI.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from page_blocks import Block, blocks

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "docs/install.md",
    "docs/guide_2d.md",
    "docs/guide_3d.md",
    "docs/guide_interactive.md",
    "docs/guide_dicom.md",
    "docs/medical_files.md",
    "docs/python.md",
    "docs/cpp.md",
    "docs/c.md",
)
ACTIVATE = "source .venv/bin/activate"
# What make_samples makes, so that a page is run again in a clone where it has been run before.
SAMPLES = "slice.png scan.nii.gz series cases truth path"
MAKE_SAMPLES = """
import sys
from pathlib import Path
sys.path.insert(0, "tests/guides")
from page_samples import make_samples
from medsam_engine import find_bundle
make_samples(Path(), find_bundle())
"""
README_NAMES = """
import sys
sys.path.insert(0, "tests/guides")
from page_samples import readme_names
globals().update(readme_names())
"""


class Road:
    """The clone and its shell, in which a page's commands follow each other."""

    def __init__(self, clone: Path, home: Path) -> None:
        self.clone = clone
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "LANG", "LC_"))}
        path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if not p.startswith(str(ROOT)))
        self.environment = kept | {"HOME": str(home), "PATH": path, "TERM": "dumb"}
        if "CCACHE_DIR" in os.environ:  # asked for: a second walk without the compiler's time
            cache = {"CCACHE_DIR": os.environ["CCACHE_DIR"], "CCACHE_BASEDIR": str(clone), "CCACHE_NOHASHDIR": "1"}
            self.environment |= cache | {"CMAKE_CXX_COMPILER_LAUNCHER": "ccache"}
        self.times: list[tuple[str, str, float, int]] = []

    def run(self, page: str, what: str, script: str) -> int:
        """One step in the shell; its status."""
        start = time.monotonic()
        print(f"\n[{page}] {what}", flush=True)
        shell = ["bash", "-e", "-o", "pipefail", "-c", script]
        done = subprocess.run(shell, cwd=self.clone, env=self.environment, check=False)
        self.times.append((page, what, time.monotonic() - start, done.returncode))
        return done.returncode

    def state(self, before: list[str]) -> str:
        """What of the commands before a command changes the shell itself."""
        kept = [line for line in before if line.startswith(("source ", "cd ", "export "))]
        if (self.clone / ".venv" / "bin" / "activate").exists() and ACTIVATE not in kept:
            kept.insert(0, ACTIVATE)
        return "".join(f"{line}\n" for line in kept)

    def make_samples(self) -> None:
        """Anew for each page, once there is a model."""
        model = self.environment["HOME"] + "/.local/share/medsam-engine/bundles/litemedsam/manifest.json"
        if Path(model).is_file():
            script = f"{ACTIVATE}\nrm -rf {SAMPLES}\npython - <<'END'{MAKE_SAMPLES}END\n"
            subprocess.run(["bash", "-e", "-c", script], cwd=self.clone, env=self.environment, check=True)

    def walk(self, page: str) -> None:
        """The page, from its first block to its last."""
        before: list[str] = []
        python: list[Block] = []
        self.make_samples()
        for block in blocks(ROOT / page):
            if block.not_run is not None:
                print(f"\n[{page}] line {block.line}: not run: {block.not_run}")
                continue
            if block.is_shell:
                for command in block.commands():
                    self.run(page, command, self.state(before) + command)
                    before.append(command)
                    if command.startswith(("make demo", "medsam-engine fetch")):
                        self.make_samples()
            elif block.language == "python":
                python.append(block)
        if python:
            code = "\n".join(block.text for block in python)
            names = README_NAMES if page == "README.md" else ""
            script = f"{self.state(before)}python - <<'END_OF_PAGE'\n{names}{code}\nEND_OF_PAGE\n"
            self.run(page, f"its Python ({len(python)} blocks)", script)


def main() -> int:
    """Walks the pages; 1 when a step failed."""
    wanted = sys.argv[1:] or PAGES
    with tempfile.TemporaryDirectory(prefix="medsam-walkthrough-") as name:
        place = Path(name)
        (place / "home").mkdir()
        clone = place / "medsam-engine"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        road = Road(clone, place / "home")
        for page in wanted:
            road.walk(page)
    print("\nseconds  page and step")
    for page, what, seconds, status in road.times:
        print(f"{seconds:7.1f}  {page}: {what}{'' if status == 0 else f'   FAILED ({status})'}")
    failed = sum(status != 0 for *_, status in road.times)
    print(f"walkthrough: {len(road.times)} steps, {failed} failed, {sum(t for _, _, t, _ in road.times):.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
