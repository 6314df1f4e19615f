# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""How far a bundle's graphs are from what this processor's matrix units can do.

    python -m benchmarks.studies.roofline BUNDLE [--threads N] [--repeats 15] [--prompts 1 16]

FLOPs of the encoder and the decoder are counted from their graphs (2 a multiply-add of every matrix product and
convolution; nothing else counts). The rate is that of one large matrix product through OpenVINO, read from its own
profile, hence without the copies around it. FLOPs / rate is the lower bound of a stage; the last column says by how
much the graph misses it. The rates of the graph's own largest products say what their shapes cost.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from medsam_engine_tools.roofline import LARGE, count, gemm_rate, prepare, settings

PRECISIONS = ("f32", "bf16", "int8")
CORE = ov.Core()


def seconds_of(
    model: ov.Model, values: dict[str, NDArray[np.generic]], precision: str, threads: int, repeats: int
) -> float:
    """Median seconds of one inference."""
    request = CORE.compile_model(model, "CPU", settings(precision, threads)).create_infer_request()
    for name, value in values.items():
        request.set_tensor(name, ov.Tensor(value))
    times = []
    for run in range(repeats + 2):
        begin = time.perf_counter()
        request.infer()
        if run >= 2:
            times.append(time.perf_counter() - begin)
    return statistics.median(times)


def stages(bundle: Path, prompts: Iterable[int]) -> dict[str, tuple[ov.Model, dict[str, NDArray[np.generic]]]]:
    """The stages that are measured, by title."""
    decoders = {f"decoder, {n} prompts": prepare(bundle / "decoder.onnx", n) for n in prompts}
    return {"encoder": prepare(bundle / "encoder.onnx", 1), **decoders}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--prompts", type=int, nargs="+", default=[1, 16])
    arguments = parser.parse_args()
    threads, repeats = arguments.threads, arguments.repeats
    measured = stages(arguments.bundle, arguments.prompts)
    works = {title: count(model) for title, (model, _) in measured.items()}
    print(f"{CORE.get_property('CPU', 'FULL_DEVICE_NAME')}, OpenVINO {ov.__version__}, threads {threads or 'all'}\n")
    rates = {precision: gemm_rate(LARGE, precision, threads, repeats) for precision in PRECISIONS}
    largest = [shape for shape, _ in sum((w.by_shape for w in works.values()), Counter()).most_common(6)]
    print("| product (m, k) x (k, n) | " + " | ".join(f"{p} GFLOP/s" for p in PRECISIONS) + " |")
    print("| --- |" + " ---: |" * len(PRECISIONS))
    for shape in [LARGE, *largest]:
        row = [rates[p] if shape == LARGE else gemm_rate(shape, p, threads, repeats) for p in PRECISIONS]
        print(f"| {shape} | " + " | ".join(f"{rate:.0f} ({kernel})" for rate, kernel in row) + " |")
    print("\n| stage | GFLOP | precision | bound ms | measured ms | measured / bound |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for title, (model, values) in measured.items():
        flops = works[title].flops
        for precision in ("f32", "bf16"):
            bound = flops / rates[precision][0] / 1e6
            ms = seconds_of(model, values, precision, threads, repeats) * 1e3
            print(f"| {title} | {flops / 1e9:.2f} | {precision} | {bound:.2f} | {ms:.2f} | {ms / bound:.2f} |")
        print(f"| | {', '.join(f'{kind} {f / 1e9:.2f}' for kind, f in works[title].by_type.most_common())} | | | | |")


if __name__ == "__main__":
    main()
