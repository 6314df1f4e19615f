# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""EfficientViT as a native network; what is computed from its tensors is nn/efficient_vit.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from medsam_engine_tools.export.native import fold
from medsam_engine_tools.export.native.source import Named, Source

NORM_EPS = 1e-6  # the model zoo sets it on every norm of the model
GRID = 64  # the neck brings every input size to this
MAPS = 3  # stages whose maps the neck merges
HEAD = 32  # channels of a query, key or value


@dataclass(frozen=True)
class EfficientVitSize:
    """A published size.

    dims, depths: channels and blocks of each stage; kinds: what the stages after the first are made of ("fused" or
    "inverted" bottlenecks, "attention"), expand_ratios: of their bottlenecks; scale: kernel of the attention's second
    scale; neck_depth, neck_expand_ratio: bottlenecks of the neck; neck_dim: its channels and the embedding's.
    """

    depths: tuple[int, ...]
    neck_depth: int
    dims: tuple[int, ...] = (32, 64, 128, 256, 512)
    kinds: tuple[str, ...] = ("fused", "fused", "inverted", "attention")
    expand_ratios: tuple[int, ...] = (4, 4, 4, 6)
    scale: int = 5
    neck_expand_ratio: int = 1
    neck_dim: int = 256


L0 = EfficientVitSize((1, 1, 1, 4, 4), neck_depth=4)
L1 = EfficientVitSize((1, 1, 1, 6, 6), neck_depth=8)
L2 = EfficientVitSize((1, 2, 2, 8, 8), neck_depth=12)
XL0 = EfficientVitSize(
    (0, 1, 1, 2, 3, 3),
    neck_depth=6,
    dims=(32, 64, 128, 256, 512, 1024),
    kinds=("fused", "fused", "fused", "attention", "attention"),
    expand_ratios=(4, 4, 4, 4, 6),
    scale=3,
    neck_expand_ratio=4,
)
XL1 = replace(XL0, depths=(1, 2, 2, 4, 6, 6), neck_depth=12)


@dataclass(frozen=True)
class NativeEfficientVit:
    """The image encoder, from a checkpoint's arrays `image_encoder.*`; input_size: side of its input, pixels."""

    size: EfficientVitSize
    input_size: int
    architecture: ClassVar[str] = "efficient_vit"

    def entries(self) -> dict[str, Any]:
        """What the shapes do not determine."""
        return {"input_size": [self.input_size]}

    def tensors(self, checkpoint: Source) -> Named:
        """Every tensor of the file, by name."""
        source, dims = checkpoint.below("image_encoder"), self.size.dims
        for i in range(len(dims)):
            yield from self._stage(i, source.below(f"backbone.stages.{i}.op_list"))
        neck, width = source.below("neck"), self.size.neck_dim
        for i, dim in enumerate(dims[: -MAPS - 1 : -1]):  # the coarsest first
            yield from normed(f"neck.inputs.{i}", neck.below(f"input_ops.{i}.op_list.0"), dim, width, 1)
        for i in range(self.size.neck_depth):
            block, hidden = neck.below(f"middle.op_list.{i}.main"), width * self.size.neck_expand_ratio
            yield from fused_bottleneck(f"neck.blocks.{i}", block, width, hidden, width)
        yield from fold.convolution("neck.output", neck.below("output_ops.0.op_list.0.conv"), width, width, 1)
        yield from fold.plain("neck.norm", source.below("norm"), width)

    def _stage(self, index: int, ops: Source) -> Named:
        """What opens a stage, and its blocks."""
        size, dim, name = self.size, self.size.dims[index], f"stages.{index}"
        if index == 0:
            yield from normed("stem", ops.below("0"), 3, dim, 3)
            for i in range(size.depths[0]):
                block = ops.below(f"{i + 1}.main")
                yield from normed(f"{name}.blocks.{i}.first", block.below("conv1"), dim, dim, 3)
                yield from normed(f"{name}.blocks.{i}.second", block.below("conv2"), dim, dim, 3)
            return
        kind, ratio, before = size.kinds[index - 1], size.expand_ratios[index - 1], size.dims[index - 1]
        bottleneck = fused_bottleneck if kind == "fused" else inverted_bottleneck
        # The opening expands four times as far as the blocks after it (backbone.py:EfficientViTLargeBackbone).
        yield from bottleneck(f"{name}.merge", ops.below("0.main"), before, 4 * ratio * before, dim)
        for i in range(size.depths[index]):
            block, to = ops.below(str(i + 1)), f"{name}.blocks.{i}"
            if kind == "attention":
                yield from attention(to, block.below("context_module.main"), dim, size.scale)
                block = block.below("local_module")
            yield from bottleneck(to, block.below("main"), dim, ratio * dim, dim)


def normed(name: str, source: Source, ins: int, outs: int, kernel: int) -> Named:
    """A convolution without bias, then a batch norm (ops.py:ConvLayer)."""
    weight = source.array("conv.weight", outs, ins, kernel, kernel)
    yield from fold.with_batch_norm(name, weight, source.below("norm"), NORM_EPS)


def fused_bottleneck(name: str, source: Source, ins: int, hidden: int, outs: int) -> Named:
    """3x3 and 1x1 (ops.py:FusedMBConv)."""
    yield from normed(f"{name}.spatial", source.below("spatial_conv"), ins, hidden, 3)
    yield from normed(f"{name}.project", source.below("point_conv"), hidden, outs, 1)


def inverted_bottleneck(name: str, source: Source, ins: int, hidden: int, outs: int) -> Named:
    """1x1, depthwise 3x3, 1x1 (ops.py:MBConv)."""
    yield from fold.convolution(f"{name}.expand", source.below("inverted_conv.conv"), ins, hidden, 1)
    yield from fold.convolution(f"{name}.depthwise", source.below("depth_conv.conv"), 1, hidden, 3)
    yield from normed(f"{name}.project", source.below("point_conv"), hidden, outs, 1)


def attention(name: str, source: Source, dim: int, scale: int) -> Named:
    """Linear attention of two scales (ops.py:LiteMLA)."""
    width = 3 * dim
    yield f"{name}.qkv.weight", fold.matrix(source.array("qkv.conv.weight", width, dim, 1, 1))
    second = source.below("aggreg.0")
    yield f"{name}.scale.weight", fold.matrix(second.array("0.weight", width, 1, scale, scale))
    # A matrix for each group of 32 channels, (in, out), one below the other.
    groups = second.array("1.weight", width, HEAD, 1, 1).reshape(-1, HEAD, HEAD)
    yield f"{name}.groups.weight", groups.transpose(0, 2, 1).reshape(-1, HEAD)
    yield from normed(f"{name}.proj", source.below("proj"), 2 * dim, dim, 1)
