# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Runs a wheel's medsam-npz, and examples/c_minimal built against the wheel, for Linux on Arm with an old glibc.

``try_old_glibc.py WHEEL BUNDLE LABELS.npy GLIBC WORK``: GLIBC is a folder with Debian's unpacked libc6, whose loader
qemu takes; LABELS.npy what tests/wheel/smoke.py has written, whose folder is on PYTHONPATH. Both answers must be those
labels. Debian has no CPython 3.10 or newer for so old a glibc, so that the module is not tried. Prints a line per
check, and exits 1 if one fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from smoke import BOX, disc_image

ROOT = Path(__file__).resolve().parents[2]
ZIG: list[str | Path] = [ROOT / "build" / "zig" / "ziglang" / "zig", "cc", "-target", "aarch64-linux-gnu.2.28"]


def run(*words: str | Path, **environment: str) -> str:
    """What a program writes; an error where it fails."""
    done = subprocess.run(words, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def main(wheel: Path, bundle: Path, labels: Path, glibc: Path, work: Path) -> int:
    """The command."""
    shutil.rmtree(work, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work)
    package, cases = work / "medsam_engine", work / "cases"
    for program in (package / "bin").iterdir():
        program.chmod(0o755)  # zipfile does not keep it
    cases.mkdir()
    image, _ = disc_image()
    np.savez(cases / "2D_disc.npz", imgs=np.repeat(image[..., None], 3, axis=2), boxes=np.array([BOX]))
    (work / "image.pgm").write_bytes(b"P5\n%d %d\n255\n" % image.shape[::-1] + image.tobytes())

    flags = run("pkg-config", "--cflags", "--libs", "medsam_engine", PKG_CONFIG_PATH=str(package / "lib" / "pkgconfig"))
    source = ROOT / "examples" / "c_minimal" / "main.c"
    run(*ZIG, "-std=c11", "-O2", source, *flags.split(), "-o", work / "c_minimal")

    old: list[str | Path] = ["qemu-aarch64-static", "-cpu", "max", "-L", glibc]
    run(*old, package / "bin" / "medsam-npz", "-q", "-i", cases, "-o", work / "answers", "--bundle", bundle)
    run(*old, work / "c_minimal", bundle, work / "image.pgm", *map(str, BOX), work / "mask.pgm")
    mask = np.frombuffer((work / "mask.pgm").read_bytes()[-image.size :], np.uint8).reshape(image.shape)
    expected, version = np.load(labels), next(glibc.rglob("libc-*.so")).stem.removeprefix("libc-")
    good = bool(expected.any())
    for name, answer in (
        ("medsam-npz", np.load(work / "answers" / "2D_disc.npz")["segs"]),
        ("c_minimal", mask // 255),
    ):
        same = bool(np.array_equal(answer, expected))
        print(f"{'ok' if same else 'FAILED'}: {name}, with glibc {version}: the labels are the other machine's")
        good = good and same
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
