# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Everything that has to be seen on a real GPU, in one go: build, conformance, parity, latency, memory; a JSON report.

    python -m benchmarks.gpu_check --bundle BUNDLE --families all --tensorrt TENSORRT_ROOT --out report.json

Exits 1 when a check fails. `--families` adds bundles with stand-in weights (benchmarks.gpu.families makes them, minutes
the first time) and, beside their times, those of PyTorch with the same weights. Parity and latency need the installed
package and its CUDA plugin only; docs/gpu.md tells how to build that. `--skip-build` leaves the first two out.

`--dry-run` does all of it that a machine without a GPU can: the CPU stands for the device, f16 is emulated, and the
tests run over the stand-in for CUDA where they are built. What it reports is no measurement.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks.gpu.build import BUILD, Report, build, conformance, run
from benchmarks.gpu.subject import Subject, boxes_of, image_of, in_precision, overflows
from benchmarks.gpu.times import timed
from numpy.typing import NDArray

from medsam_engine.errors import Error

BATCHES = (1, 8, 32)
REPEATS = 50
# max|difference| / max|reference| of logits. f32 on two libraries differs by the order of sums; f16 is bounded, and its
# masks are what its certificate is about.
BARS = {"f32": 1e-3, "f16": 5e-2}
MASK_BARS = {"f32": 0.999, "f16": 0.98}  # DSC with the CPU's masks, mean over the prompts


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """DSC of two masks; 1 where both are empty."""
    total = int(one.sum()) + int(other.sum())
    return 1.0 if total == 0 else 2 * int((one & other).sum()) / total


def parity(subject: Subject, precision: str) -> Report:
    """The device's logits and masks against the CPU's in f32, on three images of eight boxes and one box."""
    cpu = subject.engine("CPU")
    modality = subject.modality_of(cpu)
    errors, agreements = [], []
    with in_precision(subject, precision) as (run_as, named):
        other = run_as.engine(subject.device, named)
        for seed, count in ((1, 8), (2, 8), (3, 1)):
            image, boxes = image_of(seed), boxes_of(count, seed)
            want, got = (e.predict(e.encode(image, modality=modality), box=boxes) for e in (cpu, other))
            reference = want.low_res_logits
            errors.append(float(np.abs(got.low_res_logits - reference).max() / np.abs(reference).max()))
            agreements += [dice(got.mask(n), want.mask(n)) for n in range(count)]
    agreement = float(np.mean(agreements))
    passed = max(errors) <= BARS[precision] and (agreement >= MASK_BARS[precision] or not subject.real)
    found = {"family": cpu.info.family, "precision": precision, "backend": other.info.backend, "real": subject.real}
    return {"passed": passed, **found, "error": max(errors), "agreement": agreement}


def latency(subject: Subject, precision: str, repeats: int) -> Report:
    """Encode, prompts in batches, and an image with one box from pixels to mask."""
    image = image_of(1)
    with in_precision(subject, precision) as (run_as, named):
        before, started = memory_mb(), time.perf_counter()
        engine = run_as.engine(subject.device, named, cache_bytes=0)
        report: Report = {"precision": precision, "load_s": time.perf_counter() - started}
        modality = subject.modality_of(engine)
        embedding = engine.encode(image, modality=modality)
        report["encode"] = timed(lambda: engine.encode(image, modality=modality), repeats)
        for count in BATCHES:
            boxes = boxes_of(count, 5)
            report[f"prompt_{count}"] = timed(partial(engine.predict, embedding, box=boxes), repeats)
        box = boxes_of(1, 5)
        end = timed(lambda: engine.predict(engine.encode(image, modality=modality), box=box).mask(0), repeats)
        after = memory_mb()
    report["end_to_end"] = end
    report["memory_mb"] = None if before is None or after is None else after - before
    return report


def memory_mb() -> float | None:
    """Memory in use on the first GPU, by everyone, as nvidia-smi counts it; None where there is none.

    Not by process: in a container nvidia-smi knows processes by other numbers.
    """
    if shutil.which("nvidia-smi") is None:
        return None
    used = run(["nvidia-smi", "--id=0", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]).strip()
    return float(used) if used.isdigit() else None


def machine(subject: Subject) -> Report:
    """What the numbers were measured on."""
    driver = None
    if shutil.which("nvidia-smi") is not None:
        driver = run(["nvidia-smi", "--query-gpu=driver_version,name", "--format=csv,noheader"]).strip()
    info = subject.engine(subject.device).info
    return {"device": info.device, "backend": info.backend, "driver": driver, "host": platform.machine()}


def in_torch(subject: Subject, repeats: int) -> Report:
    """PyTorch's times with the bundle's weights."""
    from benchmarks.gpu import families as gpu_families
    from benchmarks.gpu import pytorch as gpu_torch

    from medsam_engine_tools.export import families

    if subject.weights is None:
        return {"failed": "the bundle's checkpoint is not known"}
    name = json.loads((subject.bundle / "manifest.json").read_text(encoding="utf-8"))["family"]
    model = gpu_families.model_of(name, subject.weights, subject.bundle.parent)
    place = "cpu" if subject.device == "CPU" else subject.device
    return gpu_torch.measure_graphs(families.get(name).graphs(model), place, BATCHES, repeats)


def check(subjects: Sequence[Subject], repeats: int) -> Report:
    """Parity and latency of every bundle, in f32 and, where a bundle has its graphs, f16; PyTorch beside them.

    A bundle that cannot be run is a failed check, and the next one has its turn.
    """
    report: Report = {"parity": [], "latency": {}, "torch": {}}
    for subject in subjects:
        name = subject.bundle.name
        halved = "f16" in json.loads((subject.bundle / "manifest.json").read_text(encoding="utf-8"))
        for precision in ("f32", "f16") if halved else ("f32",):
            why = overflows(subject) if precision == "f16" and not subject.real else None
            if why is not None:
                left_out = f"the CPU cannot run these weights in f16 either: {why}"
                report["parity"].append({"passed": True, "bundle": name, "precision": "f16", "left_out": left_out})
                continue
            try:
                report["parity"].append(parity(subject, precision))
                report["latency"].setdefault(name, []).append(latency(subject, precision, repeats))
                report["machine"] = report.get("machine") or machine(subject)
            except Error as error:
                report["parity"].append({"passed": False, "bundle": name, "precision": precision, "failed": str(error)})
        if subject.weights is not None:
            report["torch"][name] = in_torch(subject, repeats)
    return report


def subjects_of(options: argparse.Namespace) -> list[Subject]:
    """What the command line names."""
    device = "CPU" if options.dry_run else options.device
    chosen = [Subject(bundle, device, options.modality, weights=options.checkpoint) for bundle in options.bundle]
    if not options.families:
        return chosen
    from benchmarks.gpu import families as gpu_families

    from medsam_engine_tools.export import families

    names = sorted(families.REGISTRY) if options.families == "all" else options.families.split(",")
    made = gpu_families.prepare(options.families_dir, names, print)
    return chosen + [
        Subject(bundle, device, None, real=False, weights=gpu_families.weights_path(options.families_dir, name))
        for name, bundle in made.items()
    ]


def arguments_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--bundle", type=Path, action="append", default=[], help="model folder; repeatable")
    parser.add_argument("--checkpoint", type=Path, help="what --bundle was made of, for PyTorch's times")
    parser.add_argument("--families", help='"all" or names, with commas: bundles with stand-in weights')
    parser.add_argument("--families-dir", type=Path, default=BUILD / "families", help="where they are kept")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--modality", help="of the images, for a model that asks")
    parser.add_argument("--tensorrt", type=Path, help="folder with TensorRT's include/, to build the plugin")
    parser.add_argument("--tests", type=Path, default=BUILD, help="build tree with the tests, in a dry run")
    parser.add_argument("--skip-build", action="store_true", help="only parity, latency and memory")
    parser.add_argument("--dry-run", action="store_true", help="what can be seen without a GPU; no measurement")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args(arguments)
    if not options.bundle and not options.families:
        parser.error("got no model; name one with --bundle or --families")
    if options.tensorrt is None and not options.skip_build and not options.dry_run:
        parser.error("--tensorrt is needed to build; or give --skip-build")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the checks, writes the report; 0 when all passed."""
    options = arguments_of(arguments)
    report: Report = {"dry_run": True} if options.dry_run else {}
    try:
        if not options.skip_build:
            if not options.dry_run:
                report["build"] = build(options.tensorrt)
            report["conformance"] = conformance(options.tests if options.dry_run else BUILD, options.dry_run)
        report |= check(subjects_of(options), options.repeats)
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
