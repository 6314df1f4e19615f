# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""EfficientViT image encoder (series L and XL) of EfficientViT-SAM, MedficientSAM and DAFT.

Papers: Cai et al., EfficientViT, arXiv 2205.14756; Zhang et al., EfficientViT-SAM, arXiv 2402.05008. The published code
this agrees with: mit-han-lab/efficientvit models/nn/ops.py, models/efficientvit/{backbone,sam}.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from medsam_engine_tools.export.native.efficient_vit import GRID, HEAD, MAPS, NORM_EPS, EfficientVitSize
from medsam_engine_tools.export.nn.layers import Fusable, LayerNorm2d


class ConvLayer(Fusable):
    """Convolution, then batch norm and GELU where wanted; tensors `conv.*`, `norm.*` (ops.py:ConvLayer)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
        norm: bool = True,
        act: bool = False,
    ) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=bias)
        self.norm = nn.BatchNorm2d(out_channels, eps=NORM_EPS) if norm else nn.Identity()
        self.act = nn.GELU(approximate="tanh") if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.norm(self.conv(x)))
        return out

    def fused(self) -> nn.Sequential:
        norm = self.norm
        conv = fuse_conv_bn_eval(self.conv, norm) if isinstance(norm, nn.BatchNorm2d) else self.conv
        return nn.Sequential(conv, self.act)


class ResBlock(nn.Module):
    """Two 3x3 convolutions."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1 = ConvLayer(dim, dim, 3, act=True)
        self.conv2 = ConvLayer(dim, dim, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.conv1(x))
        return out


class FusedMBConv(nn.Module):
    """A 3x3 convolution to `expand_ratio` times the channels, then 1x1."""

    def __init__(self, dim: int, out_dim: int, expand_ratio: int, stride: int = 1) -> None:
        super().__init__()
        self.spatial_conv = ConvLayer(dim, dim * expand_ratio, 3, stride, act=True)
        self.point_conv = ConvLayer(dim * expand_ratio, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.point_conv(self.spatial_conv(x))
        return out


class MBConv(nn.Module):
    """1x1 to `expand_ratio` times the channels, depthwise 3x3, 1x1; only the last has a norm here."""

    def __init__(self, dim: int, out_dim: int, expand_ratio: int, stride: int = 1) -> None:
        super().__init__()
        hidden = dim * expand_ratio
        self.inverted_conv = ConvLayer(dim, hidden, bias=True, norm=False, act=True)
        self.depth_conv = ConvLayer(hidden, hidden, 3, stride, groups=hidden, bias=True, norm=False, act=True)
        self.point_conv = ConvLayer(hidden, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.point_conv(self.depth_conv(self.inverted_conv(x)))
        return out


class LinearAttention(nn.Module):
    """Multi-scale attention whose kernel is ReLU, so its cost is linear in the tokens (ops.py:LiteMLA)."""

    def __init__(self, dim: int, scale: int, head_dim: int = HEAD, eps: float = 1e-15) -> None:
        super().__init__()
        self.head_dim, self.eps = head_dim, eps
        width = 3 * dim
        self.qkv = ConvLayer(dim, width, norm=False)
        self.aggreg = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Conv2d(width, width, scale, padding=scale // 2, groups=width, bias=False),
                    nn.Conv2d(width, width, 1, groups=width // head_dim, bias=False),
                )
            ]
        )
        self.proj = ConvLayer(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        _, _, height, width = x.shape
        qkv = self.qkv(x)
        scales = torch.cat([qkv, self.aggreg[0](qkv)], dim=1)
        # Each head's query, key and value lie side by side in the channels: (B, heads, 3, head_dim, tokens).
        q, k, v = scales.view(-1, scales.shape[1] // (3 * self.head_dim), 3, self.head_dim, height * width).unbind(2)
        q, k = functional.relu(q), functional.relu(k)
        # A row of ones below v gathers the sums of the weights, by which the others are divided.
        weighted = (functional.pad(v, (0, 0, 0, 1), value=1.0) @ k.transpose(-2, -1)) @ q
        attended = weighted[:, :, :-1] / (weighted[:, :, -1:] + self.eps)
        out: Tensor = self.proj(attended.reshape(-1, scales.shape[1] // 3, height, width))
        return out


class Residual(nn.Module):
    """x + main(x); tensors `main.*`."""

    def __init__(self, main: nn.Module) -> None:
        super().__init__()
        self.main = main

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.main(x)
        return out


class Transition(nn.Module):
    """The first block of a stage, which halves the grid; a residual block's tensor names, without the residual."""

    def __init__(self, main: nn.Module) -> None:
        super().__init__()
        self.main = main

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.main(x)
        return out


class AttentionBlock(nn.Module):
    """Linear attention, then an inverted bottleneck."""

    def __init__(self, dim: int, expand_ratio: int, scale: int) -> None:
        super().__init__()
        self.context_module = Residual(LinearAttention(dim, scale))
        self.local_module = Residual(MBConv(dim, dim, expand_ratio))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.local_module(self.context_module(x))
        return out


class OpList(nn.Module):
    """Layers one after another; tensors `op_list.<i>.*`."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.op_list = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.op_list:
            x = layer(x)
        return x


class Backbone(nn.Module):
    """Stages each of which halves the grid: convolutions first, attention in the last one or two."""

    def __init__(self, size: EfficientVitSize) -> None:
        super().__init__()
        dims, depths = size.dims, size.depths
        first = [ConvLayer(3, dims[0], 3, stride=2, act=True), *(Residual(ResBlock(dims[0])) for _ in range(depths[0]))]
        stages = [OpList(first)]
        for i, (kind, ratio) in enumerate(zip(size.kinds, size.expand_ratios, strict=True), start=1):
            # The opening expands four times as far as the blocks after it (backbone.py:EfficientViTLargeBackbone).
            bottleneck = FusedMBConv if kind == "fused" else MBConv
            opening = Transition(bottleneck(dims[i - 1], dims[i], 4 * ratio, stride=2))
            blocks: list[nn.Module] = [
                AttentionBlock(dims[i], ratio, size.scale)
                if kind == "attention"
                else Residual(bottleneck(dims[i], dims[i], ratio))
                for _ in range(depths[i])
            ]
            stages.append(OpList([opening, *blocks]))
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, S, S) -> the maps of the last three stages, the coarsest first."""
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps[: -MAPS - 1 : -1])


class Neck(nn.Module):
    """Brings the three maps to one width and grid, adds them up, and mixes (sam.py:SamNeck)."""

    def __init__(self, size: EfficientVitSize) -> None:
        super().__init__()
        dim = size.neck_dim
        self.input_ops = nn.ModuleList(OpList([ConvLayer(c, dim)]) for c in size.dims[: -MAPS - 1 : -1])
        self.middle = OpList([Residual(FusedMBConv(dim, dim, size.neck_expand_ratio)) for _ in range(size.neck_depth)])
        self.output_ops = nn.ModuleList([OpList([ConvLayer(dim, dim, bias=True, norm=False)])])

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        merged = [upsample(op(x)) for op, x in zip(self.input_ops, maps, strict=True)]
        out: Tensor = self.output_ops[0](self.middle(merged[0] + merged[1] + merged[2]))
        return out


def upsample(x: Tensor) -> Tensor:
    """To GRID x GRID by torch's bicubic (a = -0.75, half-pixel centers); a map that is there already stays as it is."""
    if x.shape[-1] == GRID:
        return x
    return functional.interpolate(x, size=(GRID, GRID), mode="bicubic", align_corners=False)


class EfficientVit(nn.Module):
    """The image encoder: (B, 3, S, S) f32 -> image embedding (B, 256, 64, 64) f32.

    S is `input_size`, a multiple of 64; no tensor depends on it.
    """

    def __init__(self, size: EfficientVitSize, input_size: int) -> None:
        super().__init__()
        self.input_size, self.grid = input_size, GRID
        self.backbone = Backbone(size)
        self.neck = Neck(size)
        self.norm = LayerNorm2d(size.neck_dim, eps=NORM_EPS)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.norm(self.neck(self.backbone(image)))
        return out
