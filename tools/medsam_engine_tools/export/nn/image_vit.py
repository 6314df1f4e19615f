# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""SAM's ViT image encoder: windowed and global attention with decomposed relative positions.

Papers: Kirillov et al., Segment Anything, arXiv 2304.02643; Li et al., ViTDet, arXiv 2203.16527. The published code
this agrees with: facebookresearch/segment-anything modeling/image_encoder.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsam_engine_tools.export.nn.layers import LayerNorm2d

NORM_EPS = 1e-6


@dataclass(frozen=True)
class Size:
    """A published size; `global_blocks` are the blocks whose attention spans the whole grid."""

    dim: int
    depth: int
    num_heads: int
    global_blocks: tuple[int, ...]


VIT_B = Size(768, 12, 12, (2, 5, 8, 11))
VIT_L = Size(1024, 24, 16, (5, 11, 17, 23))
VIT_H = Size(1280, 32, 16, (7, 15, 23, 31))


class PatchEmbed(nn.Module):
    """(B, 3, S, S) -> (B, S / patch, S / patch, dim)."""

    def __init__(self, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.proj(x).permute(0, 2, 3, 1)
        return out


class Attention(nn.Module):
    """Multi-head attention over `side`^2 tokens with decomposed relative positions.

    To the score of a query and a key come the products of the query, unscaled, with an embedding of their row offset
    and with one of their column offset (image_encoder.py:add_decomposed_rel_pos).
    """

    def __init__(self, dim: int, num_heads: int, side: int) -> None:
        super().__init__()
        self.num_heads, self.side = num_heads, side
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, dim // num_heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, dim // num_heads))
        position = torch.arange(side)
        self.offset: Tensor
        self.register_buffer("offset", position[:, None] - position + side - 1, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, side^2, dim) -> the same shape, before the output projection `proj`."""
        _, tokens, dim = x.shape
        side, head_dim = self.side, dim // self.num_heads
        # Apart they give q, k and v in the layout that attention wants; the exporter folds this into constants.
        weight, bias = self.qkv.weight.view(3, dim, dim), self.qkv.bias.view(3, dim)
        heads = (-1, tokens, self.num_heads, head_dim)
        q, k, v = (functional.linear(x, weight[i], bias[i]).view(heads).transpose(1, 2) for i in range(3))
        scores = (q * head_dim**-0.5) @ k.transpose(-2, -1)
        # (side, head_dim, side) tables: for each row, or column, of the query those of the keys.
        by_row, by_column = (table[self.offset].transpose(1, 2) for table in (self.rel_pos_h, self.rel_pos_w))
        grid = q.reshape(-1, self.num_heads, side, side, head_dim)
        rows = (grid @ by_row).view(-1, self.num_heads, tokens, side, 1)
        columns = (grid.transpose(2, 3) @ by_column).transpose(2, 3).reshape(-1, self.num_heads, tokens, 1, side)
        scores = (scores.view(-1, self.num_heads, tokens, side, side) + rows + columns).view(scores.shape)
        attended: Tensor = scores.softmax(dim=-1) @ v
        return attended.transpose(1, 2).reshape(-1, tokens, dim)


class Feedforward(nn.Module):
    """Two linear layers with GELU between; tensors `lin1.*`, `lin2.*`."""

    def __init__(self, dim: int, expand_ratio: int = 4) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, dim * expand_ratio)
        self.lin2 = nn.Linear(dim * expand_ratio, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.lin2(functional.gelu(self.lin1(x)))
        return out


class Block(nn.Module):
    """Pre-norm transformer block on a `grid` x `grid` of tokens; attention inside windows of `window`^2, 0 for all."""

    def __init__(self, dim: int, num_heads: int, grid: int, window: int) -> None:
        super().__init__()
        self.grid, self.window = grid, window or grid
        self.padding = -grid % self.window
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = Attention(dim, num_heads, self.window)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Feedforward(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, grid^2, dim) -> the same shape."""
        attend = self.attn if self.window == self.grid else self.attend
        x = x + self.attn.proj(attend(self.norm1(x)))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out

    def attend(self, x: Tensor) -> Tensor:
        """The attention of each token to those of its window; (B, grid^2, dim) -> the same shape."""
        dim, grid, window, padding = x.shape[2], self.grid, self.window, self.padding
        # Zero tokens right and below take part in the attention unmasked, as in the published code.
        x = functional.pad(x.view(-1, grid, grid, dim), (0, 0, 0, padding, 0, padding))
        side = (grid + padding) // window
        x = x.view(-1, side, window, side, window, dim).transpose(2, 3).reshape(-1, window * window, dim)
        x = self.attn(x).view(-1, side, side, window, window, dim).transpose(2, 3)
        out: Tensor = x.reshape(-1, side * window, side * window, dim)[:, :grid, :grid]
        return out.reshape(-1, grid * grid, dim)


class ImageVit(nn.Module):
    """The image encoder: (B, 3, S, S) f32 -> image embedding (B, out_channels, S / patch, S / patch) f32."""

    def __init__(
        self, size: Size, input_size: int = 1024, patch: int = 16, window: int = 14, out_channels: int = 256
    ) -> None:
        super().__init__()
        self.grid = input_size // patch
        self.patch_embed = PatchEmbed(size.dim, patch)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid, self.grid, size.dim))
        self.blocks = nn.Sequential(
            *(
                Block(size.dim, size.num_heads, self.grid, 0 if i in size.global_blocks else window)
                for i in range(size.depth)
            )
        )
        self.neck = nn.Sequential(
            nn.Conv2d(size.dim, out_channels, 1, bias=False),
            LayerNorm2d(out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            LayerNorm2d(out_channels),
        )

    def forward(self, image: Tensor) -> Tensor:
        tokens = (self.patch_embed(image) + self.pos_embed).flatten(1, 2)
        x = self.blocks(tokens).view(-1, self.grid, self.grid, tokens.shape[2]).permute(0, 3, 1, 2)
        out: Tensor = self.neck(x)
        return out
