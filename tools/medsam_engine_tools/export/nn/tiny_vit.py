# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""TinyViT image encoder of LiteMedSAM and MobileSAM.

Paper: Wu et al., TinyViT, arXiv 2207.10666. The published code this agrees with: bowang-lab/MedSAM (LiteMedSAM branch)
tiny_vit_sam.py, ChaoningZhang/MobileSAM mobile_sam/modeling/tiny_vit_sam.py. Where these differ from the paper
(LiteMedSAM's 1x1 patch embedding of stride 1, no last down-sampling), so does this.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsam_engine_tools.export.native.tiny_vit import TinyVitSizes
from medsam_engine_tools.export.nn.layers import ConvBN, LayerNorm2d, fold_norm, normalize, to_map, to_tokens


class PatchEmbed(nn.Module):
    """(B, 3, S, S) -> (B, dim, S / stride^2, S / stride^2)."""

    def __init__(self, dim: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvBN(3, dim // 2, kernel_size, stride), nn.GELU(), ConvBN(dim // 2, dim, kernel_size, stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.seq(x)
        return out


class MBConv(nn.Module):
    """Inverted bottleneck of the first stage, with a residual connection."""

    def __init__(self, dim: int, expand_ratio: int = 4) -> None:
        super().__init__()
        hidden = dim * expand_ratio
        self.conv1 = ConvBN(dim, hidden, 1)
        self.conv2 = ConvBN(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvBN(hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.gelu(self.conv1(x))
        y = functional.gelu(self.conv2(y))
        return functional.gelu(x + self.conv3(y))


class PatchMerging(nn.Module):
    """Between two stages: changes the channel count and halves the grid where `stride` is 2."""

    def __init__(self, dim: int, out_dim: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvBN(dim, out_dim, 1)
        self.conv2 = ConvBN(out_dim, out_dim, 3, stride, groups=out_dim)
        self.conv3 = ConvBN(out_dim, out_dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.gelu(self.conv1(x))
        out: Tensor = self.conv3(functional.gelu(self.conv2(y)))
        return out


def attention_bias_index(window: int) -> Tensor:
    """(window^2, window^2) int64: which entry of `attention_biases` a pair of window positions uses.

    Pairs with the same absolute offset share an entry; entries are numbered in the order in which the offsets from the
    first position appear (tiny_vit_sam.py:Attention), which is row-major.
    """
    y, x = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    y, x = y.flatten(), x.flatten()
    return (y[:, None] - y).abs() * window + (x[:, None] - x).abs()


class Region(NamedTuple):
    """Windows of one kind on a token grid: whole ones, or what the last row, column or corner of windows has of it."""

    tokens: Tensor  # (windows * count,) i32: numbers of the grid's tokens, window after window
    inside: Tensor  # (count,) int64, count being the tokens of a window: which positions of a whole window these are
    outside: Tensor  # (window^2 - count,) int64: the others, which are padding


def window_regions(grid: int, window: int) -> list[Region]:
    """Whole windows first, then the cut ones; a grid that is a multiple of `window` has no cut ones."""
    whole, rest = grid // window, grid % window
    numbers = torch.arange(grid * grid, dtype=torch.int32).view(grid, grid)
    sides = [(slice(whole * window), window), (slice(whole * window, grid), rest)]
    regions = []
    for rows, height in sides:
        for columns, width in sides:
            part = numbers[rows, columns]
            if not part.numel():
                continue
            tokens = part.reshape(-1, height, part.shape[1] // width, width).transpose(1, 2).flatten()
            positions = {y * window + x for y in range(height) for x in range(width)}
            kept, padded = sorted(positions), sorted(set(range(window**2)) - positions)
            regions.append(Region(tokens, torch.tensor(kept), torch.tensor(padded, dtype=torch.int64)))
    return regions


class WindowAttention(nn.Module):
    """Multi-head attention inside windows of `window`^2 tokens, with a learned bias for each absolute offset.

    The published code pads the grid with zero tokens, which take part in the attention unmasked. They are all the same
    token, so only the bias tells them apart, and sum_j exp(q k + bias_j) = exp(q k + log sum_j exp(bias_j)): one
    constant key stands for all the padding of a cut window. Padding is neither projected nor asked.
    """

    def __init__(self, dim: int, num_heads: int, window: int, grid: int) -> None:
        super().__init__()
        self.num_heads, self.window = num_heads, window
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, window * window))
        self.bias_index: Tensor
        self.register_buffer("bias_index", attention_bias_index(window), persistent=False)
        regions = window_regions(grid, window)
        # The whole windows apart from the cut ones: slices of a common tensor would be copied at run time.
        self.groups = [group for group in (regions[:1], regions[1:]) if group]
        self.raster: Tensor
        self.register_buffer(
            "raster", torch.cat([region.tokens for region in regions]).argsort().int(), persistent=False
        )

    def projections(self) -> list[tuple[Tensor, Tensor]]:
        """Weight (in, out) and bias of the query (scaled), key and value projections of the normalized tokens.

        The published layer interleaves them by head. Apart they give q, k and v in the layout that attention wants,
        with no transposition at run time; the exporter folds this into constants.
        """
        dim = self.qkv.in_features
        folded_weight, folded_bias = fold_norm(self.norm, self.qkv)
        weight = folded_weight.view(self.num_heads, 3, -1, dim)
        bias = folded_bias.view(self.num_heads, 3, -1)
        scales = ((dim // self.num_heads) ** -0.5, 1.0, 1.0)
        return [(weight[:, i].reshape(dim, dim).t() * s, bias[:, i].reshape(dim) * s) for i, s in enumerate(scales)]

    def bias(self, region: Region) -> Tensor:
        """(heads, tokens, keys): what is added to a window's scores; the last key is the padding, if there is any."""
        bias = self.attention_biases[:, self.bias_index[region.inside]]
        own = bias.index_select(2, region.inside)
        if not region.outside.numel():
            return own
        return torch.cat([own, bias.index_select(2, region.outside).logsumexp(dim=2, keepdim=True)], dim=2)

    def heads(self, x: Tensor) -> Tensor:
        """(windows, tokens, dim) -> (windows, heads, tokens, head_dim)."""
        windows, tokens, dim = x.shape
        return x.view(windows, tokens, self.num_heads, dim // self.num_heads).transpose(1, 2)

    def attend(self, region: Region, q: Tensor, k: Tensor, v: Tensor, padding: list[Tensor]) -> Tensor:
        """The attention of a region's windows; q, k, v and the result (B, tokens, dim); padding: its key and value."""
        batch, _, dim = q.shape
        query, *rest = (x.reshape(-1, region.inside.numel(), dim) for x in (q, k, v))
        if region.outside.numel():
            rest = [torch.cat([x, p.expand(x.shape[0], 1, dim)], dim=1) for x, p in zip(rest, padding, strict=True)]
        key, value = (self.heads(x) for x in rest)
        attention = torch.softmax(self.heads(query) @ key.transpose(-2, -1) + self.bias(region), dim=-1)
        return (attention @ value).transpose(1, 2).reshape(batch, -1, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, grid^2, dim) -> the same shape."""
        x = normalize(self.norm, x)
        projections = self.projections()
        padding = [bias for _, bias in projections[1:]]  # a zero token is zero when normalized
        attended = []
        for group in self.groups:
            tokens = x.index_select(1, torch.cat([region.tokens for region in group]))
            sizes = [region.tokens.numel() for region in group]
            qkv = (torch.split(tokens @ w + b, sizes, dim=1) for w, b in projections)
            parts = zip(group, *qkv, strict=True)
            attended += [self.attend(region, q, k, v, padding) for region, q, k, v in parts]
        out: Tensor = self.proj(torch.cat(attended, dim=1).index_select(1, self.raster))
        return out


class Feedforward(nn.Module):
    """Pre-norm two-layer perceptron of a transformer block."""

    def __init__(self, dim: int, expand_ratio: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, dim * expand_ratio)
        self.fc2 = nn.Linear(dim * expand_ratio, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(
            functional.gelu(functional.linear(normalize(self.norm, x), *fold_norm(self.norm, self.fc1)))
        )
        return out


class TinyVitBlock(nn.Module):
    """Window attention, depthwise 3x3 convolution, perceptron, on a fixed `grid` x `grid` of tokens."""

    def __init__(self, dim: int, num_heads: int, window: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.attn = WindowAttention(dim, num_heads, window, grid)
        self.mlp = Feedforward(dim)
        self.local_conv = ConvBN(dim, dim, 3, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, grid^2, dim) -> the same shape.

        Tokens stay in three axes wherever they can: OpenVINO takes four for a feature map and reorders it.
        """
        x = x + self.attn(x)
        x = to_tokens(self.local_conv(to_map(x, self.grid)))
        out: Tensor = x + self.mlp(x)
        return out


class ConvStage(nn.Module):
    """First stage: inverted bottlenecks, then the merge."""

    def __init__(self, dim: int, out_dim: int, depth: int, stride: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(MBConv(dim) for _ in range(depth)))
        self.downsample = PatchMerging(dim, out_dim, stride)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.downsample(self.blocks(x))
        return out


class TransformerStage(nn.Module):
    """A later stage: transformer blocks, then the merge where there is one."""

    def __init__(
        self, dim: int, depth: int, num_heads: int, window: int, grid: int, out_dim: int | None, stride: int
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(TinyVitBlock(dim, num_heads, window, grid) for _ in range(depth)))
        self.downsample = None if out_dim is None else PatchMerging(dim, out_dim, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim, h, w) -> (B, out_dim, h / stride, w / stride)."""
        x = to_map(self.blocks(to_tokens(x)), x.shape[2])
        return x if self.downsample is None else self.downsample(x)


class TinyVit(nn.Module):
    """The image encoder: (B, 3, S, S) f32 -> image embedding (B, out_channels, grid, grid) f32."""

    def __init__(self, sizes: TinyVitSizes) -> None:
        super().__init__()
        dims, grids = sizes.dims, sizes.grids()
        self.patch_embed = PatchEmbed(dims[0], sizes.patch_kernel, sizes.patch_stride)
        stages: list[nn.Module] = [ConvStage(dims[0], dims[1], sizes.depths[0], sizes.merge_strides[0])]
        for i in range(1, len(dims)):
            out_dim, stride = (None, 1) if i == len(dims) - 1 else (dims[i + 1], sizes.merge_strides[i])
            depth, heads, window = sizes.depths[i], sizes.num_heads[i], sizes.windows[i]
            stages.append(TransformerStage(dims[i], depth, heads, window, grids[i], out_dim, stride))
        self.layers = nn.Sequential(*stages)
        self.grid = sizes.grid
        if sizes.classes > 0:
            self.norm_head = nn.LayerNorm(dims[-1])
            self.head = nn.Linear(dims[-1], sizes.classes)
        self.neck = nn.Sequential(
            nn.Conv2d(dims[-1], sizes.out_channels, 1, bias=False),
            LayerNorm2d(sizes.out_channels),
            nn.Conv2d(sizes.out_channels, sizes.out_channels, 3, padding=1, bias=False),
            LayerNorm2d(sizes.out_channels),
        )

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.neck(self.layers(self.patch_embed(image)))
        return out
