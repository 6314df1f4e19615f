# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""README's quick start, word for word, where only the wheel is installed, with its extra [eval].

Usage: ``quick_start.py BUNDLE``; scripts/release/build_wheels.sh runs it.
tests/python/project/test_docs.py does the same in the development environment, for the guides too,
and ``make walkthrough`` from a clean clone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts" / "docs"), str(ROOT / "tests" / "guides")]
from page_blocks import blocks
from page_samples import make_samples, readme_names

# Minutes, or the network.
LEFT_OUT = {"bench", "tune", "quantize", "fetch"}


def run_python(code: str) -> None:
    """The Python of the page."""
    names = readme_names()
    exec(compile(code, "README.md", "exec"), names)
    if not np.any(np.asarray(names["labels"])) or not np.any(np.asarray(names["mask"])):
        sys.exit("README.md: its Python found nothing in the image, expected a mask and labels")
    print("ok: README's Python runs word for word")


def run_shell(lines: list[str]) -> None:
    """The commands of the page, by the program that the wheel installed."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for line in lines:
        done = subprocess.run(line, shell=True, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"README.md: `{line}` ended with {done.returncode}, expected 0: {done.stderr.strip()}")
    print(f"ok: {len(lines)} of README's commands run word for word")


def main(bundle: Path) -> None:
    """Runs both in a folder of their own."""
    found = [block for block in blocks(ROOT / "README.md") if block.not_run is None]
    python = "\n".join(block.text for block in found if block.language == "python")
    commands = [command for block in found if block.is_shell for command in block.commands()]
    lines = [line for line in commands if line.startswith("medsam-engine ") and line.split()[1] not in LEFT_OUT]
    if not lines:
        sys.exit("README.md: got no command, expected some of medsam-engine")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ |= {"MEDSAM_ENGINE_BUNDLE": str(bundle), "MEDSAM_ENGINE_CACHE": f"{folder}/cache"}
        make_samples(Path(), bundle)
        run_python(python)
        run_shell(lines)
        os.chdir("/")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
