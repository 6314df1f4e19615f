# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The lower bound of a graph's time: what it multiplies, over the rate at which this processor multiplies.

FLOPs are counted from the graph (2 a multiply-add of every matrix product and convolution; nothing else counts). The
rate is that of one large matrix product through OpenVINO, read from its own profile, hence without the copies around
it. The one module here that needs no torch.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13

LARGE = (2048, 2048, 2048)

Shape = tuple[int, int, int]  # m, k, n of a product (m, k) x (k, n)


@cache
def _core() -> ov.Core:
    return ov.Core()


@dataclass
class Work:
    """What a graph multiplies: FLOPs by operator type, and those of its products with constants by shape."""

    by_type: Counter[str] = field(default_factory=Counter)
    by_shape: Counter[Shape] = field(default_factory=Counter)

    @property
    def flops(self) -> int:
        """Of all operators."""
        return sum(self.by_type.values())


def count(model: ov.Model) -> Work:
    """The work of one inference of `model`, whose shapes must be static."""
    work = Work()
    for op in model.get_ordered_ops():
        kind = op.get_type_name()
        if kind == "MatMul":
            first, out = op.input(0).get_shape(), op.output(0).get_shape()
            depth = first[-2 if op.get_attributes()["transpose_a"] else -1]
            flops = 2 * math.prod(out) * depth
            if op.input_value(1).get_node().get_type_name() in ("Constant", "Transpose"):
                work.by_shape[math.prod(out[:-1]), depth, out[-1]] += flops
        elif kind in ("Convolution", "GroupConvolution"):
            # Weights (out, in, kh, kw), with groups (groups, out / groups, in / groups, kh, kw).
            weights = op.input(1).get_shape()
            flops = 2 * math.prod(op.output(0).get_shape()) * math.prod(weights[2 if kind[0] == "G" else 1 :])
        elif kind == "ConvolutionBackpropData":  # weights (in, out, kh, kw)
            flops = 2 * math.prod(op.input(0).get_shape()) * math.prod(op.input(1).get_shape()[1:])
        else:
            continue
        work.by_type[kind] += flops
    return work


def settings(precision: str, threads: int) -> dict[str, object]:
    """OpenVINO's options of a measured graph: every choice that could depend on the machine is stated."""
    options: dict[str, object] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32" if precision == "int8" else precision,
        "EXECUTION_MODE_HINT": "ACCURACY" if precision == "f32" else "PERFORMANCE",
    }
    return options | ({"INFERENCE_NUM_THREADS": threads} if threads else {})


def product(shape: Shape, precision: str) -> ov.Model:
    """Data (m, k) times constant weights (k, n); for int8 both quantized, as the runtime wants them."""
    m, k, n = shape
    x = opset13.parameter([m, k], np.float32)
    weights = opset13.constant(np.random.default_rng(0).random((k, n), np.float32) - 0.5)
    factors = [x, weights]
    if precision == "int8":
        low, high = (opset13.constant(np.float32(v)) for v in (-0.5, 0.5))
        factors = [opset13.fake_quantize(f, low, high, low, high, levels) for f, levels in ((x, 256), (weights, 255))]
    return ov.Model([opset13.matmul(*factors, False, False)], [x])


def gemm_rate(shape: Shape, precision: str, threads: int, repeats: int) -> tuple[float, str]:
    """GFLOP/s of one product, the median over `repeats`, and the name of the kernel that ran it.

    Of "bf16_mixed", "bf16_fused" and "f32_fused" the rate of their products.
    """
    precision = precision.removesuffix("_mixed").removesuffix("_fused")
    options = settings(precision, threads) | {"PERF_COUNT": True}
    request = _core().compile_model(product(shape, precision), "CPU", options).create_infer_request()
    request.set_input_tensor(ov.Tensor(np.random.default_rng(1).random(shape[:2], np.float32) - 0.5))
    seconds, kernel = [], ""
    for run in range(repeats + 2):
        request.infer()
        nodes = [node for node in request.get_profiling_info() if node.node_type in ("FullyConnected", "MatMul")]
        kernel = nodes[0].exec_type
        if run >= 2:
            seconds.append(nodes[0].real_time.total_seconds())
    return 2 * math.prod(shape) / statistics.median(seconds) / 1e9, kernel


def prepare(path: Path, prompts: int) -> tuple[ov.Model, dict[str, NDArray[np.generic]]]:
    """A graph with static shapes (batch or prompts, 2 tokens a prompt, 1 mask), and inputs for it."""
    model = _core().read_model(path)
    values: dict[str, NDArray[np.generic]] = {}
    random = np.random.default_rng(2)
    for port in model.inputs:
        name, partial = port.get_any_name(), port.get_partial_shape()
        first = {"mask_index": 1, "image": 1, "modality": 1}.get(name, prompts)
        rest = [2 if axis.is_dynamic else axis.get_length() for axis in list(partial)[1:]]
        shape = [first if partial[0].is_dynamic else partial[0].get_length(), *rest]
        if name == "point_labels":
            values[name] = np.tile(np.array([2, 3], np.int32), (prompts, 1))
        elif name == "point_coords":
            values[name] = np.tile(np.array([[50, 75], [175, 225]], np.float32), (prompts, 1, 1))
        elif port.get_element_type() == ov.Type.i32:
            values[name] = np.zeros(shape, np.int32)
        else:
            values[name] = random.random(shape, np.float32)
    model.reshape({name: list(value.shape) for name, value in values.items()})
    return model, values
