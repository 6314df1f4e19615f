# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""TinyViT image encoder of LiteMedSAM and MobileSAM.

Paper: Wu et al., TinyViT, arXiv 2207.10666. The published code this agrees with: bowang-lab/MedSAM (LiteMedSAM branch)
tiny_vit_sam.py, ChaoningZhang/MobileSAM mobile_sam/modeling/tiny_vit_sam.py. Where these differ from the paper
(LiteMedSAM's 1x1 patch embedding of stride 1, no last down-sampling), so does this.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsam_engine_tools.nn.layers import ConvBN, LayerNorm2d, to_map, to_tokens


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


class WindowAttention(nn.Module):
    """Multi-head attention inside windows of `window`^2 tokens, with a learned bias for each absolute offset."""

    def __init__(self, dim: int, num_heads: int, window: int) -> None:
        super().__init__()
        self.num_heads, self.window = num_heads, window
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(num_heads, window * window))
        self.bias_index: Tensor
        self.register_buffer("bias_index", attention_bias_index(window), persistent=False)

    def projections(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of the query (scaled), key and value projections.

        The published layer interleaves them by head. Apart they give q, k and v in the layout that attention wants,
        with no transposition at run time; the exporter folds this into constants.
        """
        dim = self.qkv.in_features
        weight = self.qkv.weight.view(self.num_heads, 3, -1, dim)
        bias = self.qkv.bias.view(self.num_heads, 3, -1)
        scales = ((dim // self.num_heads) ** -0.5, 1.0, 1.0)
        return [(weight[:, i].reshape(dim, dim) * s, bias[:, i].reshape(dim) * s) for i, s in enumerate(scales)]

    def forward(self, x: Tensor) -> Tensor:
        """(windows, tokens, dim) -> the same shape, before the output projection `proj`."""
        _, tokens, dim = x.shape
        x = self.norm(x)
        heads = (-1, tokens, self.num_heads, dim // self.num_heads)
        q, k, v = (functional.linear(x, w, b).view(heads).transpose(1, 2) for w, b in self.projections())
        attention = torch.softmax(q @ k.transpose(-2, -1) + self.attention_biases[:, self.bias_index], dim=-1)
        return (attention @ v).transpose(1, 2).reshape(-1, tokens, dim)


class Feedforward(nn.Module):
    """Pre-norm two-layer perceptron of a transformer block."""

    def __init__(self, dim: int, expand_ratio: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, dim * expand_ratio)
        self.fc2 = nn.Linear(dim * expand_ratio, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(self.norm(x))))
        return out


class TinyVitBlock(nn.Module):
    """Window attention, depthwise 3x3 convolution, perceptron, on a fixed `grid` x `grid` of tokens."""

    def __init__(self, dim: int, num_heads: int, window: int, grid: int) -> None:
        super().__init__()
        self.grid, self.window = grid, window
        self.padding = -grid % window
        self.attn = WindowAttention(dim, num_heads, window)
        self.mlp = Feedforward(dim)
        self.local_conv = ConvBN(dim, dim, 3, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, grid^2, dim) -> the same shape.

        Tokens stay in three axes wherever they can: OpenVINO takes four for a feature map and reorders it.
        """
        dim, grid, window = x.shape[2], self.grid, self.window
        # Zero tokens right and below take part in the attention unmasked, as in the published code.
        y = functional.pad(x.view(-1, grid, grid, dim), (0, 0, 0, self.padding, 0, self.padding))
        side = (grid + self.padding) // window
        y = y.view(-1, side, window, side, window, dim).transpose(2, 3).reshape(-1, window * window, dim)
        y = self.attn(y).view(-1, side, side, window, window, dim).transpose(2, 3)
        y = y.reshape(-1, side * window, side * window, dim)[:, :grid, :grid].reshape(-1, grid * grid, dim)
        x = x + self.attn.proj(y)  # here rather than inside: the padding has no use for it
        x = to_tokens(self.local_conv(to_map(x, grid)))
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

    def __init__(
        self,
        input_size: int,
        patch_kernel: int,
        patch_stride: int,
        dims: Sequence[int] = (64, 128, 160, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (2, 4, 5, 10),
        windows: Sequence[int] = (7, 7, 14, 7),
        merge_strides: Sequence[int] = (2, 2, 1),
        out_channels: int = 256,
        classes: int = 0,
    ) -> None:
        """classes: of the classification head, which MobileSAM's file keeps and nothing uses; 0 for none."""
        super().__init__()
        self.patch_embed = PatchEmbed(dims[0], patch_kernel, patch_stride)
        grid = input_size // patch_stride**2 // merge_strides[0]
        stages: list[nn.Module] = [ConvStage(dims[0], dims[1], depths[0], merge_strides[0])]
        for i in range(1, len(dims)):
            out_dim, stride = (None, 1) if i == len(dims) - 1 else (dims[i + 1], merge_strides[i])
            stages.append(TransformerStage(dims[i], depths[i], num_heads[i], windows[i], grid, out_dim, stride))
            grid //= stride
        self.layers = nn.Sequential(*stages)
        self.grid = grid
        if classes > 0:
            self.norm_head = nn.LayerNorm(dims[-1])
            self.head = nn.Linear(dims[-1], classes)
        self.neck = nn.Sequential(
            nn.Conv2d(dims[-1], out_channels, 1, bias=False),
            LayerNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            LayerNorm2d(out_channels),
        )

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.neck(self.layers(self.patch_embed(image)))
        return out
