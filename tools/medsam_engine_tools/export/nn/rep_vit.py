# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""RepViT image encoder of Rep-MedSAM.

Paper: Wang et al., RepViT, arXiv 2307.09283. The published code this agrees with: muxin-wei/Rep-MedSAM repvit.py and
repvit_cfgs.py. Against the paper's classifier, the stem keeps the resolution and so does the last change of width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from medsam_engine_tools.export.nn.layers import ConvBN, Fusable, LayerNorm2d


@dataclass(frozen=True)
class Stage:
    """Blocks of one width: the first may change the width (and halves the grid where `stride` is 2)."""

    dim: int
    depth: int
    stride: int = 1


class RepDepthwise(Fusable):
    """Depthwise 3x3 with a 1x1 and an identity branch beside it (repvit.py:RepVGGDW); fused, one 3x3 convolution."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = ConvBN(dim, dim, 3, groups=dim)
        self.conv1 = nn.Conv2d(dim, dim, 1, groups=dim)
        self.bn = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.bn(self.conv(x) + self.conv1(x) + x)
        return out

    def fused(self) -> nn.Conv2d:
        conv = self.conv.fused()
        assert conv.bias is not None and self.conv1.bias is not None
        with torch.no_grad():
            conv.weight += functional.pad(self.conv1.weight + 1, (1, 1, 1, 1))
            conv.bias += self.conv1.bias
        return fuse_conv_bn_eval(conv, self.bn)


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate that its mean over the map decides; tensors `fc1.*`, `fc2.*`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = (dim // 4 + 4) // 8 * 8  # the nearest multiple of 8
        self.fc1 = nn.Conv2d(dim, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.fc2(functional.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * gate.sigmoid()


class Residual(nn.Module):
    """x + m(x)."""

    def __init__(self, m: nn.Module) -> None:
        super().__init__()
        self.m = m

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.m(x)
        return out


class RepVitBlock(nn.Module):
    """Token mixer (depthwise, per channel), then channel mixer (1x1)."""

    def __init__(self, dim: int, out_dim: int, stride: int, squeeze: bool) -> None:
        super().__init__()
        if stride == 2:
            self.token_mixer = nn.Sequential(
                ConvBN(dim, dim, 3, stride, groups=dim), nn.Identity(), ConvBN(dim, out_dim, 1)
            )
            dim = out_dim
        else:
            self.token_mixer = nn.Sequential(RepDepthwise(dim), SqueezeExcite(dim) if squeeze else nn.Identity())
        hidden = 2 * dim
        mixer = nn.Sequential(ConvBN(dim, hidden, 1), nn.GELU(), ConvBN(hidden, out_dim, 1))
        self.channel_mixer: nn.Module = Residual(mixer) if dim == out_dim else mixer

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.channel_mixer(self.token_mixer(x))
        return out


def stage_blocks(dim: int, stages: Sequence[Stage]) -> list[RepVitBlock]:
    """The blocks of all stages. Every other one squeezes, from the second of its stage on and never the last of it.

    The first stage has no change of width to open it, so there it is from the first on (repvit_cfgs.py).
    """
    blocks = []
    for number, stage in enumerate(stages):
        for i in range(stage.depth):
            position = i + 1 if number == 0 else i
            squeeze = position % 2 == 1 and i < stage.depth - 1
            blocks.append(RepVitBlock(dim, stage.dim, stage.stride if i == 0 else 1, squeeze))
            dim = stage.dim
    return blocks


class RepVit(nn.Module):
    """The image encoder: (B, 3, S, S) f32 -> image embedding (B, out_channels, grid, grid) f32."""

    def __init__(self, input_size: int, stages: Sequence[Stage], out_channels: int = 256) -> None:
        super().__init__()
        dim = stages[0].dim
        stem = nn.Sequential(ConvBN(3, dim // 2, 3), nn.GELU(), ConvBN(dim // 2, dim, 3))
        self.features = nn.Sequential(stem, *stage_blocks(dim, stages))
        self.grid = input_size
        for stage in stages:
            self.grid //= stage.stride
        self.neck = nn.Sequential(
            nn.Conv2d(stages[-1].dim, out_channels, 1, bias=False),
            LayerNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            LayerNorm2d(out_channels),
        )

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.neck(self.features(image))
        return out
