# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What one box costs after its image is encoded: a bundle's models beside those of a port that keeps nothing.

    python -m benchmarks.studies.box_cost BUNDLE [--plain FILE ...] [--threads 2] [--repeats 15]

BUNDLE is a folder with decoder.onnx and, where the family has one, crop_encoder.onnx; the plain files are run one after
the other for one box (say text tower, image tower, prompt encoder and mask decoder). OpenVINO's CPU plugin, precision
f32, latency hint, one process, inputs of random numbers. All take turns (A B C A B C), so a noisy machine hits all;
medians in ms a box are printed, of the clock and of the processor time of all threads.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

FIXED = {  # where random numbers would not do
    "point_labels": np.array([2, 3], np.int32),
    "mask_index": np.array([0], np.int32),
}
SINGLE = ("image_embedding", "mask_index", "modality")  # inputs that the boxes of a call share


def values(port: ov.Output, boxes: int, rng: np.random.Generator) -> NDArray[np.generic]:
    """A tensor for one input: dynamic dimensions are boxes first, then the two corners."""
    name, dtype = port.any_name, port.element_type.to_dtype()
    shape = [d.get_length() if d.is_static else 2 for d in port.partial_shape]
    if port.partial_shape.rank.get_length() and port.partial_shape[0].is_dynamic and name not in SINGLE:
        shape[0] = boxes
    if name in FIXED:
        return np.broadcast_to(FIXED[name], [*shape[:-1], FIXED[name].size]).copy()
    if np.issubdtype(dtype, np.floating):
        return rng.random(shape, np.float32)
    return np.zeros(shape, dtype)


def caller(files: list[Path], boxes: int, threads: int) -> Callable[[], None]:
    """Runs `files` one after the other for `boxes` boxes."""
    core, rng = ov.Core(), np.random.default_rng(0)
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    requests = [core.compile_model(file, "CPU", options).create_infer_request() for file in files]
    inputs = [[values(port, boxes, rng) for port in request.model_inputs] for request in requests]

    def call() -> None:
        for request, tensors in zip(requests, inputs, strict=True):
            request.infer(tensors)

    return call


def measure(calls: dict[str, Callable[[], None]], repeats: int) -> dict[str, NDArray[np.float64]]:
    """Medians of each call, ms by the clock and of processor time, after one round that does not count."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, call in calls.items():
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {name: np.median(found[1:], axis=0) * 1e3 for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--plain", type=Path, nargs="*", default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    models = [path for path in (args.bundle / f"{name}.onnx" for name in ("crop_encoder", "decoder")) if path.is_file()]
    cases = {f"{path.stem}, {boxes} box(es)": ([path], boxes) for path in models for boxes in (1, 4)}
    cases |= {f"plain {path.stem}, 1 box(es)": ([path], 1) for path in args.plain}
    found = measure({n: caller(files, boxes, args.threads) for n, (files, boxes) in cases.items()}, args.repeats)
    rows = {name: ms / cases[name][1] for name, ms in found.items()}
    for boxes in (1, 4):
        rows[f"bundle, {boxes} box(es)"] = np.sum([rows[f"{path.stem}, {boxes} box(es)"] for path in models], axis=0)
    if args.plain:
        rows["plain, 1 box(es)"] = np.sum([ms for name, ms in rows.items() if name.startswith("plain ")], axis=0)
    print(f"{'ms a box':40} {'clock':>9} {'processor':>9}")
    for name, (wall, cpu) in rows.items():
        print(f"{name:40} {wall:9.1f} {cpu:9.1f}")


if __name__ == "__main__":
    main()
