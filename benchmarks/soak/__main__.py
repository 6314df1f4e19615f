# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A long mixed load on one process: does memory stay flat, does anything fail, do answers stay the same?

``python -m benchmarks.soak --bundle BUNDLE --minutes 60 --cores 0.5 --out report.json``

The jobs (`benchmarks.soak.jobs`) are drawn by a seeded generator. Each has a fixed set of inputs, so the SHA-256 of an
answer must be that of the first time, to the end: an answer that differs is a failure, as is an error that was not
expected. Resident memory is read after every job; after `--warm-up` minutes a least-squares line through it gives the
slope. `--cores` bounds the processor time per second of wall time by pausing between jobs.

Exit status: 0 without errors and differences, 1 otherwise. The slope is reported, not judged.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.soak.jobs import JOBS, Workload

MIB = 1 << 20


@dataclass
class Record:
    """What a run saw."""

    seconds: list[float] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    jobs: Counter[str] = field(default_factory=Counter)
    digests: dict[str, str] = field(default_factory=dict)
    compared: int = 0
    differences: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def rss_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def process_state() -> dict[str, int]:
    """Open file descriptors and threads of this process."""
    return {kind: len(list(Path("/proc/self", kind).iterdir())) for kind in ("fd", "task")}


def slope_mib_per_hour(seconds: list[float], rss_mib: list[float], since: float) -> float | None:
    """The least-squares slope of memory over time from `since` (s) on; None with fewer than 10 samples."""
    points = [(s / 3600, m) for s, m in zip(seconds, rss_mib, strict=True) if s >= since]
    if len(points) < 10:
        return None
    hours, memory = np.array(points).T
    return float(np.polyfit(hours, memory, 1)[0])


def run_job(name: str, workload: Workload, draw: random.Random, record: Record) -> None:
    """Runs one job and compares every answer with the first of its kind."""
    record.jobs[name] += 1
    try:
        answers = JOBS[name](workload, draw)
    except Exception:  # a soak counts failures, whatever they are
        record.errors.append(f"{name}: {traceback.format_exc(limit=3)}")
        return
    for key, digest in answers.items():
        first = record.digests.setdefault(key, digest)
        record.compared += 1
        if digest != first:
            record.differences.append(f"{key}: got {digest[:16]}..., expected {first[:16]}... as the first time")


def soak(workload: Workload, minutes: float, cores: float, seed: int, progress: Path | None) -> Record:
    """Runs jobs for `minutes` of wall time, at most `cores` seconds of processor time a second."""
    record, draw = Record(), random.Random(seed)
    begin, cpu_begin = time.monotonic(), time.process_time()
    order: list[str] = []
    while (elapsed := time.monotonic() - begin) < minutes * 60:
        if not order:
            order = draw.sample(sorted(JOBS), len(JOBS))  # every job comes once a round
        run_job(order.pop(), workload, draw, record)
        gc.collect()  # so that Python's garbage is not taken for the engine's
        record.seconds.append(time.monotonic() - begin)
        record.rss_mib.append(rss_bytes() / MIB)
        owed = (time.process_time() - cpu_begin) / cores - (time.monotonic() - begin)
        if owed > 0:
            time.sleep(owed)
        if progress and len(record.seconds) % 50 == 0:
            line = f"{elapsed:.0f} s, {sum(record.jobs.values())} jobs, {record.rss_mib[-1]:.1f} MiB\n"
            with progress.open("a", encoding="ascii") as file:
                file.write(line)
    return record


def report(record: Record, warm_up_s: float, engine: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """The run as JSON; about 500 samples of memory."""
    samples = [[round(s), round(m, 1)] for s, m in zip(record.seconds, record.rss_mib, strict=True)]
    warm = [m for s, m in zip(record.seconds, record.rss_mib, strict=True) if s >= warm_up_s]
    tenth = max(1, len(warm) // 10)
    return {
        "engine": engine,
        "wall_s": round(record.seconds[-1], 1),
        "warm_up_s": warm_up_s,
        "jobs": dict(sorted(record.jobs.items())),
        "answers_compared": record.compared,
        "distinct_answers": len(record.digests),
        "differences": record.differences,
        "errors": record.errors,
        "rss_mib": {
            "after_warm_up": round(float(np.mean(warm[:tenth])), 1) if warm else None,
            "end": round(float(np.mean(warm[-tenth:])), 1) if warm else None,
            "least": round(min(warm), 1) if warm else None,
            "most": round(max(warm), 1) if warm else None,
            "slope_per_hour": slope_mib_per_hour(record.seconds, record.rss_mib, warm_up_s),
            "slope_per_hour_second_half": slope_mib_per_hour(record.seconds, record.rss_mib, record.seconds[-1] / 2),
        },
        "process": state,
        "samples": samples[:: 1 + len(samples) // 500],
    }


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="A long mixed load on one process.")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--warm-up", type=float, default=10, help="minutes before memory is looked at")
    parser.add_argument("--cores", type=float, default=float(os.cpu_count() or 1), help="processor time a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--progress", type=Path, help="a line every 50 jobs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="medsam-soak-") as folder:
        workload = Workload(options.bundle, Path(folder))
        begin = process_state()
        record = soak(workload, options.minutes, options.cores, options.seed, options.progress)
        engine = workload.described()
        state = {"begin": begin, "end": process_state()}
    result = report(record, options.warm_up * 60, engine, state)
    text = json.dumps(result, indent=1)
    if options.out:
        options.out.write_text(text + "\n", encoding="ascii")
    summary = {k: v for k, v in result.items() if k != "samples"}
    print(json.dumps(summary, indent=1))
    return 1 if record.errors or record.differences else 0


if __name__ == "__main__":
    sys.exit(main())
