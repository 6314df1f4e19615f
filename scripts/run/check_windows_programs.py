# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Runs the programs and the C library of a Windows build under wine, and compares their masks with the native build's.

``check_windows_programs.py BUILD WINE ZIG``: medsam-npz on open cases of shared/ with the bundle
build/bundles/litemedsam-native, in a folder whose name is in no code page and whose path is longer than 260 units, and
examples/c_minimal over the C API. Prints a line per check; exits 1 if one fails, and says why where there is nothing to
check with.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from medsam_engine import Engine

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "build" / "bundles" / "litemedsam-native"
OPEN = ROOT.parent / "shared" / "data" / "open"
CASES = ("2DBox_US_busi_2.npz", "3DBox_PET_sts_2.npz")
# Latin, Greek, Chinese, and a character outside the basic plane; no code page has them all.
NAME = "M\u00fcller \u0394\u03bf\u03ba\u03b9\u03bc\u03ae \u75c5\u4f8b \U0001f9e0"
LONG = "a path longer than two hundred and sixty units"


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the least Dice of the labels of two segmentations; 1.0 where both are empty."""
    labels = sorted(set(np.unique(a)) | set(np.unique(b)) - {0})
    overlaps = [2 * ((a == n) & (b == n)).sum() / ((a == n).sum() + (b == n).sum()) for n in labels]
    return min(overlaps, default=1.0)


def run(words: list[str | Path]) -> subprocess.CompletedProcess[str]:
    """Runs a program and returns what it wrote, both streams together."""
    return subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", check=False
    )


def compare(got: Path, wanted: Path, what: str) -> bool:
    """Prints how two answers compare; returns whether they agree."""
    ours, native = np.load(got)["segs"], np.load(wanted)["segs"]
    overlap = dice(ours, native)
    same = "bit-equal" if np.array_equal(ours, native) else f"least DSC {overlap:.6f}"
    print(f"windows: {what}: {got.name}: {same} to the native build's, {int((native != 0).sum())} labeled")
    return ours.shape == native.shape and overlap >= 0.9999


def check_npz(build: Path, wine: str, work: Path) -> bool:
    """Runs medsam-npz natively and under wine: plain names, then names in no code page and a long path."""
    plain = work / "in"
    plain.mkdir(parents=True)
    for case in CASES:
        shutil.copy(OPEN / case, plain)
    native = Path(sys.prefix) / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "medsam_engine" / "bin"
    run([native / "medsam-npz", "-q", "-i", plain, "-o", work / "native", "--bundle", BUNDLE]).check_returncode()
    deep = work / NAME
    while len(str(deep)) < 300:
        deep /= LONG
    deep.mkdir(parents=True)
    named = f"2DBox_US_{NAME}.npz"
    shutil.copy(OPEN / CASES[0], deep / named)
    named_bundle = work / NAME / "bundle"  # not as deep: wine 8 does not say where a file of so long a path lies
    shutil.copytree(BUNDLE, named_bundle)
    program: list[str | Path] = [wine, build / "cpp" / "medsam-npz.exe", "-q"]
    good = True
    for what, folder, output, bundle, cases in (
        ("medsam-npz", plain, work / "windows", BUNDLE, {case: case for case in CASES}),
        (f"medsam-npz, path of {len(str(deep))} characters", deep, deep / "out", named_bundle, {named: CASES[0]}),
    ):
        done = run([*program, "-i", folder, "-o", output, "--bundle", bundle, "--csv", output.parent / "times.csv"])
        if done.returncode != 0:
            print(f"windows: {what}: status {done.returncode}\n{done.stdout}")
            good = False
            continue
        for case, wanted in cases.items():
            good &= compare(output / case, work / "native" / wanted, what)
            if f"{case},done" not in (output.parent / "times.csv").read_text(encoding="utf-8"):
                print(f"windows: {what}: {case}: not in the table of times")
                good = False
    return good


def check_c(build: Path, wine: str, zig: str, work: Path) -> bool:
    """Builds examples/c_minimal against the DLL and compares its mask with the Python package's."""
    case = np.load(OPEN / CASES[0])
    image, box = np.ascontiguousarray(case["imgs"][..., 0]), case["boxes"][0].tolist()
    height, width = image.shape
    (work / "image.pgm").write_bytes(b"P5 %d %d 255\n" % (width, height) + image.tobytes())
    program = work / "c_minimal.exe"
    include = [f"-I{folder}" for folder in (ROOT / "cpp" / "include", build / "cpp" / "generated")]
    compile_it: list[str | Path] = [zig, "cc", "-target", "x86_64-windows-gnu", "-std=c11", "-o", program]
    source, library = ROOT / "examples" / "c_minimal" / "main.c", build / "cpp" / "libmedsam_engine.dll.a"
    built = run([*compile_it, *include, source, library])
    if built.returncode != 0:
        print(f"windows: c_minimal: not built\n{built.stdout}")
        return False
    shutil.copy(build / "cpp" / "medsam_engine.dll", work)
    done = run([wine, program, BUNDLE, work / "image.pgm", *(str(v) for v in box), work / "mask.pgm"])
    if done.returncode != 0:
        print(f"windows: c_minimal: status {done.returncode}\n{done.stdout}")
        return False
    ours = np.frombuffer((work / "mask.pgm").read_bytes()[-height * width :], np.uint8).reshape(height, width)
    engine = Engine(BUNDLE)
    native = engine.predict(engine.encode(image), box=box).mask(0)
    print(f"windows: c_minimal: {'bit-equal' if np.array_equal(ours != 0, native != 0) else 'another mask'}")
    return dice(ours != 0, native != 0) >= 0.9999


def main(build: Path, wine: str, zig: str) -> int:
    """Checks both; returns 1 where one fails."""
    if not (BUNDLE / "manifest.json").is_file() or not OPEN.is_dir():
        print("windows: programs not run: there is no build/bundles/litemedsam-native or no shared/data/open")
        return 0
    work = build / "programs"
    shutil.rmtree(work, ignore_errors=True)
    results = [check_npz(build, wine, work), check_c(build, wine, zig, work)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]))
