# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Runs the programs and the C library of a Windows build under wine, and compares their masks with the native build's.

``check_windows_programs.py BUILD WINE ZIG``: medsam-npz on open cases of shared/ with the bundle
build/bundles/litemedsam-native, in f32 and, where this processor has it, bf16, and in a folder whose name is in no code
page and whose path is longer than 260 units; and examples/c_minimal over the C API. Prints a line per check; exits 1 if
one fails, and says why where there is nothing to check with.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from medsam_engine import Engine

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "build" / "bundles" / "litemedsam-native"
OPEN = ROOT.parent / "shared" / "data" / "open"
CASES = ("2DBox_US_*.npz", "2DBox_XRay_*.npz", "3DBox_PET_sts_2.npz")
IMAGE = "2DBox_US_busi_2.npz"
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


def native_program() -> Path:
    """The medsam-npz of this machine, of the installed package."""
    packages = Path(sys.prefix) / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    return packages / "medsam_engine" / "bin" / "medsam-npz"


def certified() -> float:
    """The least Dice of a mask in bf16 to that in f32 in the bundle's certificate."""
    certificates = json.loads((BUNDLE / "manifest.json").read_text(encoding="utf-8"))["certificates"]
    return min(float(entry["measured"]["agreement_worst"]) for entry in certificates if entry["precision"] == "bf16")


def compare(pairs: list[tuple[Path, Path]], what: str, bar: float = 0.9999) -> bool:
    """Prints how pairs of answers compare, the Windows build's first; returns whether no Dice is below `bar`."""
    if not pairs:
        print(f"windows: {what}: no answers to compare")
        return False
    equal, least = 0, 1.0
    for got, wanted in pairs:
        ours, native = np.load(got)["segs"], np.load(wanted)["segs"]
        if ours.shape != native.shape or not native.any():
            print(f"windows: {what}: {got.name}: shape {ours.shape}, {int((native != 0).sum())} labeled natively")
            return False
        equal += np.array_equal(ours, native)
        least = min(least, dice(ours, native))
    print(f"windows: {what}: {equal} of {len(pairs)} answers bit-equal to the native build's, least DSC {least:.6f}")
    return least >= bar


def npz(program: list[str | Path], folders: tuple[Path, Path], bundle: Path, precision: str) -> str:
    """Runs medsam-npz on a folder, with a table of times beside the answers; returns "", or why it was not done so."""
    source, output = folders
    table = output.parent / f"{output.name}.csv"
    options: list[str | Path] = ["--bundle", bundle, "--precision", precision, "--csv", table]
    done = run([*program, "-i", source, "-o", output, *options])
    if done.returncode != 0:
        return f"status {done.returncode}: {done.stdout}"
    if f", {precision} on " not in done.stdout:
        return f"not in {precision}: {done.stdout}"
    times = table.read_text(encoding="utf-8")
    absent = [path.name for path in sorted(source.glob("*.npz")) if f"{path.name},done" not in times]
    return f"not in the table of times: {absent}" if absent else ""


def check_npz(build: Path, wine: str, work: Path) -> bool:
    """Runs medsam-npz natively and under wine: in f32 and bf16, then with names in no code page and on a long path."""
    plain = work / "in"
    plain.mkdir(parents=True)
    for case in CASES:
        for path in OPEN.glob(case):
            shutil.copy(path, plain)
    windows: list[str | Path] = [wine, build / "cpp" / "medsam-npz.exe"]
    good = True
    for precision in ("f32", "bf16"):
        native, ours = work / f"native-{precision}", work / f"windows-{precision}"
        refused = npz([native_program()], (plain, native), BUNDLE, precision)
        if refused:  # by a processor without bf16
            print(f"windows: medsam-npz in {precision}: not compared, natively {refused.strip()}")
            good &= precision == "bf16"
            continue
        failed = npz(windows, (plain, ours), BUNDLE, precision)
        if failed:
            print(f"windows: medsam-npz in {precision}: {failed}")
            good = False
            continue
        # Another compiler's sums differ in f32's last digits, and in bf16 some numbers are then rounded the other way.
        # So its masks are held to what the certificate says of them: how near they are to those in f32.
        bar = 0.9999 if precision == "f32" else certified()
        for other in ["f32"] if precision == "f32" else ["bf16", "f32"]:
            pairs = [(ours / path.name, path) for path in sorted((work / f"native-{other}").glob("*.npz"))]
            good &= compare(pairs, f"medsam-npz in {precision}, beside {other}", bar)
    return check_names(windows, work) and good


def check_names(windows: list[str | Path], work: Path) -> bool:
    """Likewise with a name in no code page, on a path of more than 260 characters."""
    deep = work / NAME
    while len(str(deep)) < 300:
        deep /= LONG
    deep.mkdir(parents=True)
    named = f"2DBox_US_{NAME}.npz"
    shutil.copy(OPEN / IMAGE, deep / named)
    named_bundle = work / NAME / "bundle"  # not as deep: wine 8 does not say where a file of so long a path lies
    shutil.copytree(BUNDLE, named_bundle)
    what = f"medsam-npz, path of {len(str(deep))} characters"
    failed = npz(windows, (deep, deep / "out"), named_bundle, "f32")
    if failed:
        print(f"windows: {what}: {failed}")
    return not failed and compare([(deep / "out" / named, work / "native-f32" / IMAGE)], what)


def check_c(build: Path, wine: str, zig: str, work: Path) -> bool:
    """Builds examples/c_minimal against the DLL and compares its mask with the Python package's."""
    case = np.load(OPEN / IMAGE)
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
