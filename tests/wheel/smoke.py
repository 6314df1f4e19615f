# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a wheel must do in an environment of its own. Run by scripts/release/wheel_parts.sh.

Usage: ``smoke.py BUNDLE [thin] [LABELS.npy]``; thin: installed without its dependencies, beside only numpy and
openvino. LABELS.npy: the label map that another machine gives, which ``smoke.py BUNDLE write LABELS.npy`` writes there;
that of this wheel must be equal to it, and the bundle need not be one that finds the disc. Not collected by pytest,
which that environment lacks.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

start = time.perf_counter()
import medsam_engine

import_s = time.perf_counter() - start
BOX = [108, 58, 192, 142]


def check(condition: bool, what: str) -> None:
    """Ends the run with status 1 unless `condition` holds."""
    print(f"{'ok' if condition else 'FAILED'}: {what}")
    if not condition:
        sys.exit(1)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    words = [sys.executable, "-m", "medsam_engine", *arguments]
    return subprocess.run(words, cwd="/", capture_output=True, text=True, check=False)


def check_command(bundle: str) -> None:
    """The command and the readers of medical files come with the package."""
    found = command("info", bundle)
    check(found.returncode == 0 and "encoder" in found.stdout, "the command shows the bundle")
    listed = command("--help").stdout
    for option in ("--cmake-dir", "--pkgconfig-dir"):
        check(option in listed, f"its help lists {option}")
        check(command(option).stdout.startswith(sys.prefix), f"{option} names a folder of this environment")
    for module in ("typer", "rich", "PIL", "tifffile", "imagecodecs", "SimpleITK", "pydicom", "highdicom", "pylibjpeg"):
        check(importlib.util.find_spec(module) is not None, f"{module} is installed")


def check_thin(bundle: str) -> None:
    """An error that names an absent package names the command that installs it, too."""
    from medsam_engine import io

    for absent in ("typer", "PIL", "SimpleITK", "pydicom"):
        check(importlib.util.find_spec(absent) is None, f"{absent} is not installed here")
    found = command("info", bundle)
    lines = found.stderr.strip().splitlines()
    named = len(lines) == 1 and '; pip install "typer' in lines[0]
    check(found.returncode != 0 and named, f"the command says in one line what it needs: {lines}")
    check(command("--cmake-dir").returncode == 0, "C++ and C projects find the library")
    with tempfile.TemporaryDirectory() as folder:
        for name, magic, package in (("a.png", b"\x89PNG\r\n\x1a\n", "Pillow"), ("a.tif", b"II*\0", "Pillow")):
            path = Path(folder, name)
            path.write_bytes(magic + bytes(64))
            try:
                io.read(path)
            except medsam_engine.Unsupported as error:
                check(f'; pip install "{package}' in str(error), f"{name}: {error}")
            else:
                check(False, f"{name} needs {package}")


def disc_image() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """An image, and the disc in it."""
    yy, xx = np.mgrid[0:200, 0:300]
    disc = (xx - 150) ** 2 + (yy - 100) ** 2 < 40**2
    return np.where(disc, 200, 40).astype(np.uint8), disc


def check_labels(labels: NDArray[np.generic], disc: NDArray[np.bool_], expected: str) -> None:
    """The disc is found, or what another machine finds."""
    if expected:
        check(bool(np.array_equal(labels, np.load(expected))), "the labels are those of the other machine")
        return
    overlap = 2 * int((labels[disc] == 1).sum()) / (int(disc.sum()) + int((labels == 1).sum()))
    check(overlap > 0.9, f"a bright disc is found (DSC {overlap:.3f})")


def main(bundle: str, thin: bool, expected: str) -> None:
    """Runs every check."""
    print(f"medsam-engine {medsam_engine.__version__}, imported after numpy in {import_s * 1e3:.0f} ms")
    check(importlib.metadata.version("medsam-engine") == medsam_engine.__version__, "wheel and library are one version")
    for absent in ("torch", "onnx"):
        check(importlib.util.find_spec(absent) is None, f"{absent} is not installed here")
    for unwanted in ("torch", "openvino"):
        check(unwanted not in sys.modules, f"the package did not import {unwanted}")

    image, disc = disc_image()
    engine = medsam_engine.Engine(bundle, cache_dir="none")
    labels = engine.segment(image, [BOX])
    check(labels.shape == image.shape, "a label map of the image's size")
    check_labels(labels, disc, expected)
    try:
        engine.segment(image, [[192, 58, 108, 142]])
    except medsam_engine.InvalidArgument as error:
        check(isinstance(error, ValueError), f"a reversed box is refused: {error}")
    else:
        check(False, "a reversed box is refused")

    prediction = engine.predict(engine.encode(image), box=BOX)
    check(bool((prediction.mask(0) == (labels == 1)).all()), "predict gives the mask of segment")
    (check_thin if thin else check_command)(bundle)


if __name__ == "__main__":
    given = sys.argv[2:]
    if given[:1] == ["write"]:
        np.save(given[1], medsam_engine.Engine(sys.argv[1], precision="f32").segment(disc_image()[0], [BOX]))
    else:
        main(sys.argv[1], "thin" in given, next((word for word in given if word != "thin"), ""))
