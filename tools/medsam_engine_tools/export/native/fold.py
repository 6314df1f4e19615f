# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Layers in the form of the kernels, with the norms and scales beside them folded in, in f64.

A matrix is (in, out), so that `x @ weight + bias` and out is contiguous; a convolution's is (height * width * in, out),
a depthwise one's (height * width, channels). In f32 the order of a sum, which is the processor's, would show in the
bytes, and a certificate names the file.
"""

from __future__ import annotations

import numpy as np

from medsam_engine_tools.export.native.source import Array, Named, Source

BATCH_NORM_EPS = 1e-5  # torch's


def plain(name: str, source: Source, channels: int) -> Named:
    """A norm's weight and bias as they are."""
    yield f"{name}.weight", source.array("weight", channels)
    yield f"{name}.bias", source.array("bias", channels)


def linear(name: str, source: Source, ins: int, outs: int, scale: float = 1.0) -> Named:
    """A linear layer; `scale` of its result."""
    yield f"{name}.weight", source.array("weight", outs, ins).T * scale
    yield f"{name}.bias", source.array("bias", outs) * scale


def after_norm(norm: Source, layer: Source, ins: int, outs: int) -> tuple[Array, Array]:
    """Weight (out, in) and bias of a linear layer behind a layer norm, as they act on what is only normalized."""
    weight, bias = layer.array("weight", outs, ins), layer.array("bias", outs)
    shift = norm.array("bias", ins)
    return weight * norm.array("weight", ins), bias + (weight * shift).sum(axis=1)


def matrix(weight: Array) -> Array:
    """A convolution's weight, torch's (out, in, height, width), as a matrix."""
    return weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])


def convolution(name: str, source: Source, ins: int, outs: int, kernel: int) -> Named:
    """A convolution with a bias."""
    yield f"{name}.weight", matrix(source.array("weight", outs, ins, kernel, kernel))
    yield f"{name}.bias", source.array("bias", outs)


def with_batch_norm(name: str, weight: Array, norm: Source, eps: float) -> Named:
    """A convolution of torch's `weight` and without bias, then a batch norm."""
    outs = weight.shape[0]
    norm.array("num_batches_tracked")  # published, and of no use here
    scale = norm.array("weight", outs) / np.sqrt(norm.array("running_var", outs) + eps)
    yield f"{name}.weight", matrix(weight * scale[:, None, None, None])
    yield f"{name}.bias", norm.array("bias", outs) - norm.array("running_mean", outs) * scale


def batch_normed(name: str, source: Source, ins: int, outs: int, kernel: int) -> Named:
    """A convolution without bias (`c`), then a batch norm (`bn`); depthwise with `ins` 1."""
    weight = source.array("c.weight", outs, ins, kernel, kernel)
    yield from with_batch_norm(name, weight, source.below("bn"), BATCH_NORM_EPS)
