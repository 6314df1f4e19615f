# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""EfficientViT's native weights (cpp/src/backends/native/efficient_vit.cpp), from its published tensors.

A matrix is (in, out), so that out is contiguous; a convolution's is (height * width * in, out), a depthwise one's
(height * width, channels). Every batch norm is folded into the convolution before it, in f64.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

ARCHITECTURE = "efficient_vit"
NORM_EPS = 1e-6  # export/nn/efficient_vit.py

State = Mapping[str, NDArray[Any]]
Named = Iterator[tuple[str, NDArray[np.float64]]]


def exact(state: State, name: str) -> NDArray[np.float64]:
    """A tensor in f64."""
    return np.asarray(state[name], np.float64)


def folded(state: State, layer: str) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Kernel (out, in, height, width) and bias of a convolution with the batch norm behind it, if there is one."""
    weight = exact(state, f"{layer}.conv.weight")
    bias = exact(state, f"{layer}.conv.bias") if f"{layer}.conv.bias" in state else None
    if f"{layer}.norm.weight" not in state:
        return weight, bias
    gain = exact(state, f"{layer}.norm.weight") / np.sqrt(exact(state, f"{layer}.norm.running_var") + NORM_EPS)
    shift = exact(state, f"{layer}.norm.bias") - gain * exact(state, f"{layer}.norm.running_mean")
    return weight * gain[:, None, None, None], shift if bias is None else shift + gain * bias


def matrix(kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """A kernel as a matrix; of groups, the rows of one after the other."""
    out, inside, height, width = kernel.shape
    return kernel.transpose(2, 3, 1, 0).reshape(height * width * inside, out)


def convolution(state: State, name: str, layer: str) -> Named:
    """A convolution of all channels, or a depthwise one."""
    kernel, bias = folded(state, layer)
    yield f"{name}.weight", matrix(kernel)
    if bias is not None:
        yield f"{name}.bias", bias


def bottleneck(state: State, name: str, block: str) -> Named:
    """3x3 and 1x1 convolution, or 1x1, depthwise 3x3 and 1x1."""
    if f"{block}.spatial_conv.conv.weight" in state:
        parts = {"spatial": "spatial_conv", "project": "point_conv"}
    else:
        parts = {"expand": "inverted_conv", "depthwise": "depth_conv", "project": "point_conv"}
    for part, layer in parts.items():
        yield from convolution(state, f"{name}.{part}", f"{block}.{layer}")


def attention(state: State, name: str, block: str) -> Named:
    """Linear attention of two scales."""
    yield from convolution(state, f"{name}.qkv", f"{block}.qkv")
    yield f"{name}.scale.weight", matrix(exact(state, f"{block}.aggreg.0.0.weight"))
    # Groups of 32 channels: (groups * 32 outputs, 32 inputs) to each group's own (inputs, outputs).
    groups = exact(state, f"{block}.aggreg.0.1.weight")[:, :, 0, 0]
    inside = groups.shape[1]
    yield f"{name}.groups.weight", groups.reshape(-1, inside, inside).transpose(0, 2, 1).reshape(-1, inside)
    yield from convolution(state, f"{name}.proj", f"{block}.proj")


def stage(state: State, name: str, ops: str) -> Named:
    """What opens a stage, and its blocks."""
    if f"{ops}.0.conv.weight" in state:
        yield from convolution(state, "stem", f"{ops}.0")
    else:
        yield from bottleneck(state, f"{name}.merge", f"{ops}.0.main")
    for i in count():
        block, to = f"{ops}.{i + 1}", f"{name}.blocks.{i}"
        if f"{block}.main.conv1.conv.weight" in state:
            yield from convolution(state, f"{to}.first", f"{block}.main.conv1")
            yield from convolution(state, f"{to}.second", f"{block}.main.conv2")
        elif f"{block}.context_module.main.qkv.conv.weight" in state:
            yield from attention(state, to, f"{block}.context_module.main")
            yield from bottleneck(state, to, f"{block}.local_module.main")
        elif f"{block}.main.point_conv.conv.weight" in state:
            yield from bottleneck(state, to, f"{block}.main")
        else:
            return


def tensors(state: State) -> Named:
    """Every tensor of the file, by name, in f64. `state`: the encoder's published tensors, without its prefix."""
    for i in count():
        ops = f"backbone.stages.{i}.op_list"
        if not any(name.startswith(f"{ops}.") for name in state):
            break
        yield from stage(state, f"stages.{i}", ops)
    for i in count():  # the coarsest map first
        layer = f"neck.input_ops.{i}.op_list.0"
        if f"{layer}.conv.weight" not in state:
            break
        yield from convolution(state, f"neck.inputs.{i}", layer)
    for i in count():
        block = f"neck.middle.op_list.{i}.main"
        if f"{block}.point_conv.conv.weight" not in state:
            break
        yield from bottleneck(state, f"neck.blocks.{i}", block)
    yield from convolution(state, "neck.output", "neck.output_ops.0.op_list.0")
    yield "neck.norm.weight", exact(state, "norm.weight")
    yield "neck.norm.bias", exact(state, "norm.bias")
