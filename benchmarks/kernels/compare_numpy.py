# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The fused kernels against OpenCV + NumPy doing the same steps, single-threaded, in one process.

Usage, from the repository root:
    python -m benchmarks.kernels.compare_numpy PROBE_LIBRARY [--rounds N] [--only pre|post]

Contestants take turns (interleaved), medians are compared; results are checked for equality first (pre: to the bit;
post: but for values within 1e-4 of the threshold).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from benchmarks.kernels.probe import Probe
from numpy.typing import NDArray

SIZES = ((256, 256), (512, 512), (1024, 1024), (1700, 2600))
SIDE = 256


def medians_ms(contestants: Sequence[Callable[[], Any]], rounds: int) -> list[float]:
    """Median time of each contestant in ms; they take turns, after three rounds of warm-up."""
    times: list[list[float]] = [[] for _ in contestants]
    for turn in range(rounds + 3):
        for run, samples in zip(contestants, times, strict=True):
            begin = time.perf_counter()
            run()
            if turn >= 3:
                samples.append(time.perf_counter() - begin)
    return [float(np.median(samples)) * 1e3 for samples in times]


def resized(height: int, width: int) -> tuple[int, int]:
    """(height, width) with the longest side at SIDE, rounded as the published scripts do."""
    scale = SIDE / max(height, width)
    return int(height * scale + 0.5), int(width * scale + 0.5)


def pre_numpy(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The published LiteMedSAM steps: resize, min-max, pad, to (3, SIDE, SIDE)."""
    height, width = resized(image.shape[0], image.shape[1])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    value_range: Any = np.clip(small.max() - small.min(), 1e-8, None)
    scaled = (small - small.min()) / value_range
    if scaled.ndim == 2:
        scaled = np.repeat(scaled[:, :, None], 3, -1)
    padded = np.pad(scaled, ((0, SIDE - height), (0, SIDE - width), (0, 0)))
    return np.ascontiguousarray(padded.transpose(2, 0, 1), dtype=np.float32)


def post_numpy(logits: NDArray[np.float32], crop: tuple[int, int], out: NDArray[np.uint16]) -> tuple[int, ...]:
    """Crop, upsample, threshold, write label 1, area and box."""
    mask = cv2.resize(logits[: crop[0], : crop[1]], out.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0
    out[mask] = 1
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (int(mask.sum()), int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1]))


def report(name: str, tables: Sequence[str], times: Sequence[float]) -> None:
    """One line: the reference's time, and each table's time and ratio."""
    cells = [f"{table} {ms:.3f} ({times[0] / ms:.1f}x)" for table, ms in zip(tables, times[1:], strict=True)]
    print(f"{name:<28} OpenCV+NumPy {times[0]:8.3f} ms   " + "  ".join(cells))


def compare_pre(probe: Probe, rounds: int) -> None:
    """Pre-processing of u8 images, 3 and 1 channels."""
    rng = np.random.default_rng(0)
    tables = probe.tables()
    for size in SIZES:
        for channels in (3, 1):
            image = rng.integers(0, 256, (*size, 3) if channels == 3 else size).astype(np.uint8)
            out = np.empty((3, SIDE, SIDE), np.float32)
            runs = [probe.resize_normalize(table, image, resized(*size), out) for table in tables]
            expected = pre_numpy(image)
            for run, table in zip(runs, tables, strict=True):
                out[:] = np.nan
                if not run() or not np.array_equal(out, expected):
                    raise SystemExit(f"{table}: differs from OpenCV + NumPy at {size}, {channels} channels")
            numpy_run = lambda image=image: pre_numpy(image)  # noqa: E731  (binds the loop's value)
            report(f"pre  {size[1]}x{size[0]}x{channels}", tables, medians_ms([numpy_run, *runs], rounds))


def compare_post(probe: Probe, rounds: int) -> None:
    """Post-processing of an organ-sized disc (a tenth of the image) and of a mask that covers the whole image."""
    rng = np.random.default_rng(0)
    tables = probe.tables()
    y, x = np.mgrid[:SIDE, :SIDE]
    for size in SIZES:
        crop = resized(*size)
        for name, radius in (("organ", 0.18 * min(crop)), ("whole", 1e4)):
            disc = radius - np.hypot(y - crop[0] / 2, x - crop[1] / 2)
            logits = (disc / 4 + 0.3 * rng.standard_normal((SIDE, SIDE))).astype(np.float32)
            out, expected = np.zeros(size, np.uint16), np.zeros(size, np.uint16)
            post_numpy(logits, crop, expected)
            clear = np.abs(cv2.resize(logits[: crop[0], : crop[1]], size[::-1], interpolation=cv2.INTER_LINEAR)) > 1e-4
            runs = [probe.upsample_threshold(table, logits, crop, out) for table in tables]
            for run, table in zip(runs, tables, strict=True):
                out[:] = 0
                run()
                if not np.array_equal(out[clear], expected[clear]):
                    raise SystemExit(f"{table}: differs from OpenCV + NumPy at {size}")
            numpy_run = lambda a=logits, b=crop, c=expected: post_numpy(a, b, c)  # noqa: E731  (likewise)
            report(f"post {size[1]}x{size[0]} {name}", tables, medians_ms([numpy_run, *runs], rounds))


def main() -> None:
    """Run the comparisons that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--only", choices=("pre", "post"))
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    probe = Probe(arguments.library)
    if arguments.only != "post":
        compare_pre(probe, arguments.rounds)
    if arguments.only != "pre":
        compare_post(probe, arguments.rounds)


if __name__ == "__main__":
    main()
