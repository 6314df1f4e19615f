# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a wheel must do in an environment that holds only it, numpy and openvino. Run by scripts/test_wheel.sh.

Usage: ``smoke.py BUNDLE``. Not collected by pytest, which that environment lacks.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import time

import numpy as np

start = time.perf_counter()
import medsam_engine  # noqa: E402  (the import is what is timed)

import_s = time.perf_counter() - start


def check(condition: bool, what: str) -> None:
    """Ends the run with status 1 unless `condition` holds."""
    print(f"{'ok' if condition else 'FAILED'}: {what}")
    if not condition:
        sys.exit(1)


def main(bundle: str) -> None:
    """Runs every check."""
    print(f"medsam-engine {medsam_engine.__version__}, imported after numpy in {import_s * 1e3:.0f} ms")
    check(importlib.metadata.version("medsam-engine") == medsam_engine.__version__, "wheel and library are one version")
    for absent in ("torch", "onnx", "typer", "PIL"):
        check(importlib.util.find_spec(absent) is None, f"{absent} is not installed here")
    for unwanted in ("torch", "openvino"):
        check(unwanted not in sys.modules, f"the package did not import {unwanted}")

    yy, xx = np.mgrid[0:200, 0:300]
    disc = (xx - 150) ** 2 + (yy - 100) ** 2 < 40**2
    image = np.where(disc, 200, 40).astype(np.uint8)
    engine = medsam_engine.Engine(bundle, cache_dir="none")
    labels = engine.segment(image, [[108, 58, 192, 142]])
    overlap = 2 * int((labels[disc] == 1).sum()) / (int(disc.sum()) + int((labels == 1).sum()))
    check(labels.shape == image.shape, "a label map of the image's size")
    check(overlap > 0.9, f"a bright disc is found (DSC {overlap:.3f})")
    try:
        engine.segment(image, [[192, 58, 108, 142]])
    except medsam_engine.InvalidArgument as error:
        check(isinstance(error, ValueError), f"a reversed box is refused: {error}")
    else:
        check(False, "a reversed box is refused")

    command = subprocess.run(
        [sys.executable, "-m", "medsam_engine", "info", bundle], cwd="/", capture_output=True, text=True, check=False
    )
    lines = command.stderr.strip().splitlines()
    check(command.returncode != 0 and len(lines) == 1, f"without [cli] the command says so in one line: {lines}")


if __name__ == "__main__":
    main(sys.argv[1])
