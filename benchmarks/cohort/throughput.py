# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a run over many cases costs beside the engine: throughput, time per case, and memory over many small cases.

    .venv/bin/python -m benchmarks.cohort.throughput --bundle build/bundles/litemedsam

- engine: the same pixels and boxes in arrays, one after the other; the bound of any run
- run: `cohort.segment` over the files, first in the pictures' own format
- process per case: the command once for each of a few cases, as a loop in a shell has it
- memory: resident memory after every hundredth of many small cases
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.cohort.made_cases import make_cases

from medsam_engine import Engine, io
from medsam_engine.cohort import CaseSpec, RunOptions, read_cases, segment
from medsam_engine.io.input_file import read_input


def resident_mib() -> float:
    """Resident memory of this process."""
    fields = read_input("/proc/self/smaps_rollup", "memory").decode().split()
    return int(fields[fields.index("Rss:") + 1]) / 1024


def engine_seconds(engine: Engine, cases: list[CaseSpec]) -> tuple[float, float]:
    """Seconds of the engine alone, for cases that lie in memory, and of the processors."""
    images = [(io.read(case.path), np.array([row.box for row in case.objects])) for case in cases]
    started, busy = time.perf_counter(), time.process_time()
    for image, boxes in images:
        call = engine.segment_volume_objects if image.is_volume else engine.segment_objects
        call(image.array, boxes)
    return time.perf_counter() - started, time.process_time() - busy


def measured_kind(engine: Engine, kind: str, given: argparse.Namespace, count: int, side: int) -> dict[str, Any]:
    """Throughput of one kind of case: the engine alone and the run, alternating, the median of the rounds."""
    folder = given.folder / kind
    cases = read_cases(make_cases(folder / "cases", count, side, given.depth, [kind])).cases
    engine_seconds(engine, cases[:2])
    alone, run, results, busy = [], [], [], []
    for k in range(given.rounds):
        seconds, engine_busy = engine_seconds(engine, cases)
        alone.append(seconds)
        started, processors = time.perf_counter(), time.process_time()
        results = segment(cases, RunOptions(str(folder / f"answers{k}"), window="none"), engine=engine)
        run.append(time.perf_counter() - started)
        busy.append(time.process_time() - processors - engine_busy)
        assert all(end.status == "done" for end in results), results
    engine_s, run_s = float(np.median(alone)), float(np.median(run))
    again = time.perf_counter()
    segment(cases, RunOptions(str(folder / "answers0"), window="none"), engine=engine)
    skip_s = time.perf_counter() - again
    return {
        "kind": kind, "cases": count, "side": side, "engine_s": engine_s, "run_s": run_s,
        "of_engine": float(np.median([a / b for a, b in zip(alone, run, strict=True)])),
        "overhead_ms_per_case": (run_s - engine_s) / count * 1000, "skip_ms_per_case": skip_s / count * 1000,
        "processor_ms_per_case_beside_engine": float(np.median(busy)) / count * 1000,
        "per_hour": 3600 * count / run_s,
    }  # fmt: skip


def process_per_case(given: argparse.Namespace, kind: str, count: int) -> dict[str, Any]:
    """Seconds per case where each has a process of its own."""
    cases = read_cases(given.folder / kind / "cases" / "cases.csv").cases[:count]
    started = time.perf_counter()
    for case in cases:
        boxes = [word for row in case.objects for word in ("--box", ",".join(f"{number:g}" for number in row.box))]
        out = given.folder / "single" / f"{Path(case.path).name}.nii.gz"
        out.parent.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "medsam_engine", "segment", case.path, *boxes, "-o", str(out)]
        subprocess.run([*command, "--bundle", given.bundle], check=True, capture_output=True)
    seconds = (time.perf_counter() - started) / len(cases)
    return {"kind": kind, "s_per_case": seconds, "per_hour": 3600 / seconds}


def memory(engine: Engine, given: argparse.Namespace) -> list[float]:
    """MiB after every hundredth of many small cases."""
    cases = read_cases(make_cases(given.folder / "small" / "cases", given.small, 64, 2, ["png", "npz"])).cases
    seen, ended = [], 0

    def note(_end: object) -> None:
        nonlocal ended
        ended += 1
        if ended % 100 == 0:
            seen.append(round(resident_mib(), 1))

    segment(cases, RunOptions(str(given.folder / "small" / "answers"), window="none"), engine=engine, finished=note)
    return seen


def main() -> None:
    """Prints a JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--volumes", type=int, default=4)
    parser.add_argument("--depth", type=int, default=24)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("build/cohort_throughput"), help="made anew")
    given = parser.parse_args()
    shutil.rmtree(given.folder, ignore_errors=True)
    engine = Engine(given.bundle, precision="auto", threads=given.threads, cache_bytes=0)
    found: dict[str, Any] = {"precision": engine.info.precision, "threads": engine.info.threads, "kinds": []}
    for kind, count in (("png", given.images), ("nii.gz", given.volumes)):
        if count:
            found["kinds"].append(measured_kind(engine, kind, given, count, given.side))
            print(json.dumps(found["kinds"][-1]), flush=True)
    if given.images:
        found["process_per_case"] = process_per_case(given, "png", 5)
    if given.small:
        found["resident_mib_per_100"] = memory(engine, given)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
