# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""SAM's prompt encoder (segment_anything/modeling/prompt_encoder.py), written for batches of prompts.

Paper: Kirillov et al., Segment Anything, arXiv 2304.02643.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from medsam_engine_tools.export.nn.layers import LayerNorm2d

NOT_A_POINT = -1  # the label of a padding token; 0 and 1 are points, 2 and 3 a box's corners


class PositionalEncoding(nn.Module):
    """Random Fourier features of a position in [0, 1]^2."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.positional_encoding_gaussian_matrix: Tensor
        self.register_buffer("positional_encoding_gaussian_matrix", torch.zeros(2, dim // 2))

    def forward(self, xy: Tensor) -> Tensor:
        """(..., 2) as (x, y) -> (..., dim)."""
        phase = 2 * math.pi * ((2 * xy - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([phase.sin(), phase.cos()], dim=-1)


class PromptEncoder(nn.Module):
    """Points and boxes to sparse tokens, mask inputs to dense ones.

    `frame` is the side, in pixels, of the square in which coordinates are given (SAM's input_image_size); `point_shift`
    moves them to pixel centers (0.5 in SAM, 0 in systems that left it out); `grid` is the side of the image embedding;
    without `mask_channels` it takes no mask inputs.
    """

    def __init__(
        self, dim: int, grid: int, frame: int, mask_channels: int | None = 16, point_shift: float = 0.5
    ) -> None:
        super().__init__()
        self.grid, self.frame, self.point_shift = grid, frame, point_shift
        self.pe_layer = PositionalEncoding(dim)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.no_mask_embed = nn.Embedding(1, dim)
        if mask_channels is None:
            return
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_channels // 4, 2, stride=2),
            LayerNorm2d(mask_channels // 4),
            nn.GELU(),
            nn.Conv2d(mask_channels // 4, mask_channels, 2, stride=2),
            LayerNorm2d(mask_channels),
            nn.GELU(),
            nn.Conv2d(mask_channels, dim, 1),
        )

    def tokens(self, point_coords: Tensor, point_labels: Tensor) -> Tensor:
        """(N, T, 2) f32 coordinates and (N, T) i32 labels from -1 to 3 -> (N, T, dim) sparse tokens."""
        by_label = torch.cat([e.weight for e in (self.not_a_point_embed, *self.point_embeddings)])
        encoding = self.pe_layer((point_coords + self.point_shift) / self.frame)
        is_point = (point_labels != NOT_A_POINT).unsqueeze(-1)
        learned = by_label.index_select(0, (point_labels + 1).flatten()).view(encoding.shape)
        return torch.where(is_point, encoding, 0.0) + learned

    def dense_positions(self) -> Tensor:
        """(grid^2, dim): the positional encoding of the image tokens, row-major; a constant of the weights."""
        center = (torch.arange(self.grid, dtype=torch.float32) + 0.5) / self.grid
        y, x = torch.meshgrid(center, center, indexing="ij")
        encoding: Tensor = self.pe_layer(torch.stack([x, y], dim=-1)).flatten(0, 1)
        return encoding

    def dense(self, mask_input: Tensor | None) -> Tensor:
        """What is added to the image tokens: (N, grid^2, dim) for (N, 1, 4 grid, 4 grid) masks, (1, dim) without."""
        if mask_input is None:
            return self.no_mask_embed.weight
        embedding: Tensor = self.mask_downscaling(mask_input)
        return embedding.flatten(2).transpose(1, 2)
