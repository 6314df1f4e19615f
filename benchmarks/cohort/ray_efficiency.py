# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Cases per hour of Ray's actors beside one process with as many threads.

``python -m benchmarks.cohort.ray_efficiency --bundle BUNDLE --images 100 --actors 2 --size 512``

Both do the same images: noise of `--size`, one box each. The rate is that of a run that goes on: from the end of the
case with which every engine has had one to the end of the last, so that loading a model and starting Ray are not in it;
they are given beside it. `--repeat` pairs are measured in turns, and the medians are told.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from medsam_engine.cohort import CaseResult, CaseSpec, RayOptions, RunOptions, segment


def _cases(folder: Path, count: int, size: int) -> list[CaseSpec]:
    cases = []
    for k in range(count):
        path = folder / f"us{k}.png"
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (size, size, 3), np.uint8)).save(path)
        cases.append(CaseSpec.of(str(path), [[size // 8, size // 8, size // 2, size // 2]]))
    return cases


def _measure(cases: list[CaseSpec], options: RunOptions, ray: RayOptions | None, warm: int) -> tuple[float, float]:
    """Cases per hour once all engines are at work, and the seconds until the first answer."""
    started = time.perf_counter()
    ends: list[float] = []

    def finished(end: CaseResult) -> None:
        if end.status != "done":
            raise SystemExit(f"{end.name}: {end.status} {end.message}")
        ends.append(time.perf_counter() - started)

    segment(cases, options, ray=ray, finished=finished)
    return 3600 * (len(ends) - warm) / (ends[-1] - ends[warm - 1]), ends[0]


def main() -> None:
    """Prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each actor")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    together = options.actors * options.threads
    rates: dict[str, list[tuple[float, float]]] = {"process": [], "ray": []}
    with tempfile.TemporaryDirectory() as folder:
        cases = _cases(Path(folder), options.images, options.size)
        warm = 4 * options.actors
        for k in range(options.repeat):
            for name, threads, ray in (
                ("process", together, None),
                ("ray", options.threads, RayOptions(actors=options.actors)),
            ):
                run = RunOptions(f"{folder}/{name}{k}", bundle=options.bundle, threads=threads)
                rates[name].append(_measure(cases, run, ray, warm))
    rate = {name: statistics.median(pair[0] for pair in pairs) for name, pairs in rates.items()}
    first = {name: statistics.median(pair[1] for pair in pairs) for name, pairs in rates.items()}
    found = {
        "images": options.images,
        "size": options.size,
        "actors": options.actors,
        "threads of an actor": options.threads,
        "images per hour": {name: round(value) for name, value in rate.items()},
        "seconds to the first answer": {name: round(value, 2) for name, value in first.items()},
        "efficiency": round(rate["ray"] / rate["process"], 3),
    }
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
