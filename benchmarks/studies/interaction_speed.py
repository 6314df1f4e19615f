# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How long a person waits: a click and a correction on an encoded image, and 300 small boxes with and without zoom.

    python -m benchmarks.studies.interaction_speed --bundle BUNDLE --data ../shared/data/open [--rounds 5]

A click is `Session.add_click` for a new object, at the pixel of an object that is farthest from its edge; a correction
is a second click for the same object, at the pixel of the error that is farthest from the error's edge. Each is
preceded by a box elsewhere, which encodes the image. The boxes are cells of about 40 pixels spread over an image of
2600 x 1700 pixels, nothing cached; the two engines take turns, and their profiles differ in the rule "zoom" only.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medsam_engine import Engine, Session

CLINICAL = Path(__file__).parents[2] / "profiles" / "clinical.json"
SIZE, BOXES = (2600, 1700), 300


def _farthest(region: NDArray[np.bool_]) -> tuple[list[int], float]:
    """The pixel [x, y] of the region that is farthest from its edge, and that distance in pixels."""
    distance = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return [int(x), int(y)], float(distance.max())


def _images(folder: Path) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.bool_]]]:
    for path in sorted(folder.glob("2DBox_*.npz")):
        with np.load(path) as case:
            labels = case["gts"]
            yield path.stem, case["imgs"], labels == np.unique(labels[labels > 0])[0]


def clicks(engine: Engine, folder: Path, rounds: int) -> None:
    """Prints the median milliseconds of a click and of a correction for each image."""
    click_times, correction_times = [], []
    for name, image, truth in _images(folder):
        point, _ = _farthest(truth)
        click, correction = [], []
        for _ in range(rounds):
            session = Session(engine, image, encode_ahead=False)
            session.add_box("elsewhere", [0, 0, image.shape[1] // 2, image.shape[0] // 2])
            started = time.perf_counter()
            session.add_click("object", point)
            click.append(time.perf_counter() - started)
            mask = session.mask("object")
            missing, surplus = _farthest(truth & ~mask), _farthest(mask & ~truth)
            positive = missing[1] >= surplus[1]
            started = time.perf_counter()
            session.add_click("object", (missing if positive else surplus)[0], positive=positive)
            correction.append(time.perf_counter() - started)
        click_times.append(statistics.median(click) * 1000)
        correction_times.append(statistics.median(correction) * 1000)
        print(f"{name:36} {image.shape[:2]!s:14} {click_times[-1]:7.1f} ms {correction_times[-1]:7.1f} ms", flush=True)
    for what, times in (("click", click_times), ("correction", correction_times)):
        print(f"{what}: median {statistics.median(times):.1f} ms, most {max(times):.1f} ms ({len(times)} images)")


def small_boxes(bundle: Path, engine: Engine, precision: str, threads: int, rounds: int) -> None:
    """Prints the seconds of 300 boxes with and without the rule "zoom", in turns."""
    random = np.random.default_rng(3)
    image = random.integers(0, 40, (*SIZE, 3)).astype(np.uint8)
    corners = np.stack([random.integers(0, SIZE[1] - 60, BOXES), random.integers(0, SIZE[0] - 60, BOXES)], axis=1)
    sides = random.integers(30, 50, (BOXES, 2))
    for (x, y), (w, h) in zip(corners, sides, strict=True):
        image[y : y + h, x : x + w] += 150
    boxes = np.concatenate([corners, corners + sides], axis=1)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(bundle, Path(folder) / "without"))
        manifest = json.loads((copy / "manifest.json").read_text())
        clinical = {key: rule for key, rule in json.loads(CLINICAL.read_text()).items() if key != "zoom"}
        manifest["profile"] = {**manifest["profile"], **clinical}
        (copy / "manifest.json").write_text(json.dumps(manifest))
        without = Engine(copy, precision=precision, threads=threads, profile=None, allow_uncertified=True)
        seconds: dict[str, list[float]] = {"with": [], "without": []}
        for turn in range(rounds + 1):
            image[0, 0, 0] = turn  # nothing is cached
            for name, answers in (("with", engine), ("without", without)):
                started = time.perf_counter()
                answers.segment(image, boxes)
                if turn:
                    seconds[name].append(time.perf_counter() - started)
    zoom, plain = (statistics.median(seconds[name]) for name in ("with", "without"))
    print(f"{BOXES} boxes: without zoom {plain:.2f} s, with {zoom:.2f} s, ratio {zoom / plain:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="a folder of 2DBox_*.npz cases with ground truth, for the clicks")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    engine = Engine(options.bundle, precision=options.precision, threads=options.threads)
    print(engine.info)
    if options.data:
        clicks(engine, options.data, options.rounds)
    small_boxes(options.bundle, engine, options.precision, options.threads, options.rounds)


if __name__ == "__main__":
    main()
