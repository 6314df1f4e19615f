# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Everything that has to be seen on a real GPU, in one go: build, conformance, parity, latency, memory; a JSON report.

    python -m benchmarks.gpu_check --bundle build/bundles/litemedsam --tensorrt TENSORRT_ROOT --out report.json

Exits 1 when a check fails. Parity and latency need the installed package and its CUDA plugin only; docs/gpu.md tells
how to build that. `--skip-build` leaves the first two out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Engine
from medsam_engine.errors import Error

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "gpu-check"
BATCHES = (1, 8, 32)
REPEATS = 50
# max|difference| / max|reference| of logits. f32 on two libraries differs by the order of sums; f16 is bounded, and its
# masks are what its certificate is about.
BARS = {"f32": 1e-3, "f16": 5e-2}
MASK_BARS = {"f32": 0.999, "f16": 0.98}  # DSC with the CPU's masks, mean over the prompts

Report = dict[str, Any]


def image_of(seed: int, height: int = 384, width: int = 512) -> NDArray[np.uint8]:
    """Bright ellipses on a noisy background, (H, W) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pixels = rng.integers(0, 60, (height, width))
    for _ in range(6):
        cx, cy, rx, ry = rng.uniform((40, 40, 15, 15), (width - 40, height - 40, 60, 60))
        pixels[((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1] += int(rng.integers(60, 180))
    return pixels.clip(0, 255).astype(np.uint8)


def boxes_of(count: int, seed: int, height: int = 384, width: int = 512) -> NDArray[np.float64]:
    """`count` boxes inside the image, (N, 4)."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform((0, 0), (width - 100, height - 100), (count, 2))
    return np.concatenate([corner, corner + rng.uniform(20, 99, (count, 2))], axis=1)


def run(words: Sequence[str | Path], variables: dict[str, str] | None = None) -> str:
    """Runs a command; its output. Raises CalledProcessError."""
    done = subprocess.run(
        [str(w) for w in words], check=True, capture_output=True, text=True, env={**os.environ, **(variables or {})}
    )
    return done.stdout + done.stderr


def build(tensorrt: Path) -> Report:
    """Builds the library, the plugin and the tests."""
    started = time.perf_counter()
    options = ["-DMEDSAM_ENGINE_TESTS=ON", "-DMEDSAM_ENGINE_TENSORRT=ON", f"-DTENSORRT_ROOT={tensorrt}"]
    python = f"-DPython_EXECUTABLE={sys.executable}"
    run(["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", python, *options])
    run(["cmake", "--build", BUILD, "--target", "test_openvino", "test_plan", "medsam_engine_tensorrt"])
    return {"passed": True, "seconds": time.perf_counter() - started}


def conformance() -> Report:
    """The backends' suite and an engine's on the device; a skipped test is a failed check."""
    words: list[str | Path] = [BUILD / "tests/cpp/test_openvino", "--gtest_filter=*Conformance*:CudaEngine.*"]
    try:
        text = run(words)
    except subprocess.CalledProcessError as error:
        text = error.stdout + error.stderr
    found = {
        word: len(set(re.findall(rf"\[ +{word} +\] (\S+cuda\S*|CudaEngine\S+)", text))) for word in ("OK", "FAILED")
    }
    skipped = sorted(set(re.findall(r"\[ +SKIPPED +\] (\S+)", text)))
    passed = found["OK"] > 0 and found["FAILED"] == 0 and not skipped
    return {"passed": passed, "ok": found["OK"], "failed": found["FAILED"], "skipped": skipped, "tail": text[-2000:]}


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """DSC of two masks; 1 where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 1.0 if total == 0 else 2 * int((one & other).sum()) / total


def parity(bundle: Path, device: str, precision: str, modality: str | None) -> Report:
    """The device's logits and masks against the CPU's in f32, on three images of eight boxes and one box."""
    cpu = Engine(bundle, profile="")
    other = Engine(bundle, profile="", device=device, precision=precision, allow_uncertified=precision != "f32")
    errors, agreements = [], []
    for seed, count in ((1, 8), (2, 8), (3, 1)):
        image, boxes = image_of(seed), boxes_of(count, seed)
        want, got = (e.predict(e.encode(image, modality=modality), box=boxes) for e in (cpu, other))
        reference = want.low_res_logits
        errors.append(float(np.abs(got.low_res_logits - reference).max() / np.abs(reference).max()))
        agreements += [dice(got.mask(n), want.mask(n)) for n in range(count)]
    passed = max(errors) <= BARS[precision] and float(np.mean(agreements)) >= MASK_BARS[precision]
    found = {"family": cpu.info.family, "precision": precision, "backend": other.info.backend}
    return {"passed": passed, **found, "error": max(errors), "agreement": float(np.mean(agreements))}


def timed(work: Callable[[], object], repeats: int) -> Report:
    """Median and 95th percentile, milliseconds, after three calls that do not count."""
    for _ in range(3):
        work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1e3)
    return {"median_ms": float(np.median(times)), "p95_ms": float(np.percentile(times, 95)), "n": repeats}


def latency(bundle: Path, device: str, precision: str, modality: str | None, repeats: int) -> Report:
    """Encode, prompts in batches, and an image with one box from pixels to mask."""
    started = time.perf_counter()
    uncertified = precision != "f32"
    engine = Engine(
        bundle, profile="", device=device, precision=precision, allow_uncertified=uncertified, cache_bytes=0
    )
    load = time.perf_counter() - started
    image = image_of(1)
    embedding = engine.encode(image, modality=modality)
    report: Report = {"precision": precision, "load_s": load}
    report["encode"] = timed(lambda: engine.encode(image, modality=modality), repeats)
    for count in BATCHES:
        boxes = boxes_of(count, 5)
        report[f"prompt_{count}"] = timed(partial(engine.predict, embedding, box=boxes), repeats)
    box = boxes_of(1, 5)
    end = timed(lambda: engine.predict(engine.encode(image, modality=modality), box=box).mask(0), repeats)
    report["end_to_end"] = end
    report["memory_mb"] = memory_mb()
    return report


def memory_mb() -> float | None:
    """Device memory of this process, as nvidia-smi counts it; None where there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    listed = run(["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"])
    rows = [line.split(",") for line in listed.splitlines() if line.count(",") == 1]
    own = [float(used) for pid, used in rows if int(pid) == os.getpid() and used.strip().isdigit()]
    return sum(own) if own else None


def machine(engine: Engine) -> Report:
    """What the numbers were measured on."""
    driver = None
    if shutil.which("nvidia-smi") is not None:
        driver = run(["nvidia-smi", "--query-gpu=driver_version,name", "--format=csv,noheader"]).strip()
    return {"device": engine.info.device, "backend": engine.info.backend, "driver": driver, "host": platform.machine()}


def check(bundles: Sequence[Path], device: str, modality: str | None, repeats: int) -> Report:
    """Parity and latency of every bundle, in f32 and, where a bundle has its graphs, f16."""
    report: Report = {"parity": [], "latency": {}}
    for bundle in bundles:
        halved = "f16" in json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        for precision in ("f32", "f16") if halved else ("f32",):
            report["parity"].append(parity(bundle, device, precision, modality))
            times = latency(bundle, device, precision, modality, repeats)
            report["latency"].setdefault(bundle.name, []).append(times)
    report["machine"] = machine(Engine(bundles[0], profile="", device=device))
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the checks, writes the report; 0 when all passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bundle", type=Path, action="append", required=True, help="model folder; repeatable")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--modality", help="of the images, for a model that asks")
    parser.add_argument("--tensorrt", type=Path, help="folder with TensorRT's include/, to build the plugin")
    parser.add_argument("--skip-build", action="store_true", help="only parity, latency and memory")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args(arguments)
    report: Report = {}
    try:
        if not options.skip_build:
            if options.tensorrt is None:
                parser.error("--tensorrt is needed to build; or give --skip-build")
            report["build"] = build(options.tensorrt)
            report["conformance"] = conformance()
        report |= check(options.bundle, options.device, options.modality, options.repeats)
    except (Error, subprocess.CalledProcessError) as error:
        detail = getattr(error, "stdout", None) or ""
        report["failed"] = f"{error} {str(detail)[-2000:]}".strip()
    checks = [report.get(name, {}).get("passed", True) for name in ("build", "conformance")]
    checks += [found["passed"] for found in report.get("parity", [])]
    report["passed"] = "failed" not in report and all(checks)
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{'passed' if report['passed'] else 'FAILED'}: {options.out}")
    return 0 if report["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
