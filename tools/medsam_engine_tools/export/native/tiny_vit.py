# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""TinyViT as a native network; what is computed from its tensors is nn/tiny_vit.py."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

from medsam_engine_tools.export.native import fold
from medsam_engine_tools.export.native.source import Array, Named, Source

EXPAND_RATIO = 4  # of the bottlenecks and of the perceptrons


@dataclass(frozen=True)
class TinyVitSizes:
    """The sizes of a TinyViT.

    merge_strides: of the down-sampling behind each stage but the last; classes: of the classification head, which
    MobileSAM's file keeps and nothing uses; 0 for none.
    """

    input_size: int
    patch_kernel: int
    patch_stride: int
    dims: tuple[int, ...] = (64, 128, 160, 320)
    depths: tuple[int, ...] = (2, 2, 6, 2)
    num_heads: tuple[int, ...] = (2, 4, 5, 10)
    windows: tuple[int, ...] = (7, 7, 14, 7)
    merge_strides: tuple[int, ...] = (2, 2, 1)
    out_channels: int = 256
    classes: int = 0

    def grids(self) -> list[int]:
        """Sides of the maps that the stages compute on."""
        return list(
            accumulate(self.merge_strides, lambda side, s: side // s, initial=self.input_size // self.patch_stride**2)
        )

    @property
    def grid(self) -> int:
        """Side of the image embedding."""
        return self.grids()[-1]


@dataclass(frozen=True)
class NativeTinyVit:
    """The image encoder, from a checkpoint's arrays `image_encoder.*`."""

    sizes: TinyVitSizes
    architecture: ClassVar[str] = "tiny_vit"

    def entries(self) -> dict[str, Any]:
        """What the shapes do not determine: strides of the two patch convolutions and of the merges; windows."""
        sizes = self.sizes
        return {
            "input_size": [sizes.input_size],
            "strides": [sizes.patch_stride, sizes.patch_stride, *sizes.merge_strides],
            "windows": list(sizes.windows[1:]),
        }

    def tensors(self, checkpoint: Source) -> Named:
        """Every tensor of the file, by name."""
        source, sizes = checkpoint.below("image_encoder"), self.sizes
        half = sizes.dims[0] // 2
        for i, (ins, outs) in enumerate(((3, half), (half, sizes.dims[0]))):
            yield from fold.batch_normed(
                f"patch_embed.{i}", source.below(f"patch_embed.seq.{2 * i}"), ins, outs, sizes.patch_kernel
            )
        for i, dim in enumerate(sizes.dims):
            stage = source.below(f"layers.{i}")
            for j in range(sizes.depths[i]):
                name, block = f"stages.{i}.blocks.{j}", stage.below(f"blocks.{j}")
                if i == 0:
                    yield from bottleneck(name, block, dim, dim * EXPAND_RATIO, dim)
                else:
                    yield from transformer_block(name, block, dim, sizes.num_heads[i], sizes.windows[i])
            if i + 1 < len(sizes.dims):
                outs = sizes.dims[i + 1]
                yield from bottleneck(f"stages.{i}.merge", stage.below("downsample"), dim, outs, outs)
        yield from self._neck(source.below("neck"))
        if sizes.classes > 0:  # published, and of no use here
            for name, *shape in (("weight", sizes.classes, sizes.dims[-1]), ("bias", sizes.classes)):
                source.array(f"head.{name}", *shape)
                source.array(f"norm_head.{name}", sizes.dims[-1])

    def _neck(self, source: Source) -> Named:
        outs = self.sizes.out_channels
        for i, (ins, kernel) in enumerate(((self.sizes.dims[-1], 1), (outs, 3))):
            yield f"neck.{i}.weight", fold.matrix(source.array(f"{2 * i}.weight", outs, ins, kernel, kernel))
            yield from fold.plain(f"neck.{i}.norm", source.below(str(2 * i + 1)), outs)


def bottleneck(name: str, source: Source, ins: int, hidden: int, outs: int) -> Named:
    """1x1, depthwise 3x3, 1x1."""
    yield from fold.batch_normed(f"{name}.expand", source.below("conv1"), ins, hidden, 1)
    yield from fold.batch_normed(f"{name}.depthwise", source.below("conv2"), 1, hidden, 3)
    yield from fold.batch_normed(f"{name}.project", source.below("conv3"), hidden, outs, 1)


def query_key_value(weight: Array, heads: int) -> Array:
    """(..., 3 * dim), interleaved by head as published, -> query (scaled), key and value one behind the other."""
    *rows, columns = weight.shape
    dim = columns // 3
    apart = np.moveaxis(weight.reshape(*rows, heads, 3, dim // heads), -2, -3)
    scales = np.array([(dim // heads) ** -0.5, 1.0, 1.0])
    scaled: Array = apart * scales[:, None, None]
    return scaled.reshape(*rows, columns)


def transformer_block(name: str, source: Source, dim: int, heads: int, window: int) -> Named:
    """Window attention, depthwise convolution, perceptron."""
    attention, perceptron, hidden = source.below("attn"), source.below("mlp"), dim * EXPAND_RATIO
    weight, bias = fold.after_norm(attention.below("norm"), attention.below("qkv"), dim, 3 * dim)
    yield f"{name}.qkv.weight", query_key_value(weight.T, heads)
    yield f"{name}.qkv.bias", query_key_value(bias, heads)
    yield f"{name}.attention_biases", attention.array("attention_biases", heads, window**2)
    yield from fold.linear(f"{name}.proj", attention.below("proj"), dim, dim)
    yield from fold.batch_normed(f"{name}.depthwise", source.below("local_conv"), 1, dim, 3)
    weight, bias = fold.after_norm(perceptron.below("norm"), perceptron.below("fc1"), dim, hidden)
    yield f"{name}.fc1.weight", weight.T
    yield f"{name}.fc1.bias", bias
    yield from fold.linear(f"{name}.fc2", perceptron.below("fc2"), hidden, dim)
