# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""SAM's mask decoder (segment_anything/modeling/mask_decoder.py), on image tokens instead of feature maps.

Keeping the channels last makes every layer norm one operator and lets the up-scaling run as matrix products: a
transposed convolution whose kernel equals its stride is a linear layer that gives each token its 2x2 children. Only the
wanted masks are put back into raster order, at the very end. The values are those of the published code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsam_engine_tools.export.nn.layers import MLP, LayerNorm2d
from medsam_engine_tools.export.nn.transformer import TwoWayTransformer


def split_tokens(x: Tensor, conv: nn.ConvTranspose2d, norm: LayerNorm2d | None = None) -> Tensor:
    """(..., in) -> (..., 4, out): each token's 2x2 children, row-major, as `conv` (kernel 2, stride 2) makes them.

    With the `norm` that follows: its subtraction of the mean over the channels is folded into the weights of `conv`,
    and OpenVINO has one operator for what is left of it.
    """
    assert conv.kernel_size == (2, 2) and conv.stride == (2, 2) and conv.bias is not None
    weight, bias = conv.weight.permute(2, 3, 1, 0), conv.bias
    if norm is not None:
        weight, bias = weight - weight.mean(dim=2, keepdim=True), bias - bias.mean()
    weight = weight.reshape(4 * conv.out_channels, conv.in_channels)
    x = functional.linear(x, weight, bias.repeat(4)).view(*x.shape[:-1], 4, conv.out_channels)
    if norm is None:
        return x
    return x * torch.rsqrt(x.pow(2).mean(dim=-1, keepdim=True) + norm.eps) * norm.weight + norm.bias


def raster_masks(masks: Tensor, grid: int) -> Tensor:
    """(N, M, 16 grid^2), tokens split twice by `split_tokens`, -> (N, M, 4 grid, 4 grid)."""
    # (row, column, row in 2, column in 2, row in 4, column in 4) to raster order.
    prompts, count, _ = masks.shape
    masks = masks.view(prompts, count, grid, grid, 2, 2, 2, 2).permute(0, 1, 2, 4, 6, 3, 5, 7)
    return masks.reshape(prompts, count, 4 * grid, 4 * grid)


class MaskDecoder(nn.Module):
    """Predicts the wanted ones of `num_masks` masks, and their quality, for each prompt."""

    def __init__(self, dim: int = 256, num_masks: int = 4, iou_hidden_dim: int = 256, iou_depth: int = 3) -> None:
        super().__init__()
        self.num_masks = num_masks
        self.transformer = TwoWayTransformer(dim)
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(num_masks, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, 2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(dim, dim, dim // 8, 3) for _ in range(num_masks))
        self.iou_prediction_head = MLP(dim, iou_hidden_dim, num_masks, iou_depth)

    def forward(self, image: Tensor, image_pe: Tensor, sparse: Tensor, mask_index: Tensor) -> tuple[Tensor, Tensor]:
        """Decodes N prompts.

        image (1 or N, grid^2, dim) with the dense prompt added; image_pe (grid^2, dim); sparse (N, T, dim);
        mask_index (M,) i32, each in [0, num_masks) -> low_res_logits (N, M, 4 grid, 4 grid), iou_predictions (N, M).
        """
        tokens, image = self.attend(image, image_pe, sparse)
        kernels, iou = self.predictions(tokens, mask_index)
        return self.logits(image, kernels), iou

    def attend(self, image: Tensor, image_pe: Tensor, sparse: Tensor) -> tuple[Tensor, Tensor]:
        """The transformer on the decoder's own tokens, then `sparse`: tokens (N, ., dim), image (N, grid^2, dim)."""
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(sparse.shape[0], -1, -1), sparse], dim=1)
        tokens, image = self.transformer(tokens, image, image_pe)
        return tokens, image

    def predictions(self, tokens: Tensor, mask_index: Tensor) -> tuple[Tensor, Tensor]:
        """Kernels (N, M, dim / 8) and iou_predictions (N, M) of the wanted masks."""
        iou = self.iou_prediction_head(tokens[:, 0]).index_select(1, mask_index)
        return self.kernels(tokens[:, 1 : 1 + self.num_masks]).index_select(1, mask_index), iou

    def kernels(self, mask_tokens: Tensor) -> Tensor:
        """(N, num_masks, dim) -> (N, num_masks, dim / 8), each mask token through its own perceptron."""
        return torch.stack([mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)], dim=1)

    def logits(self, image: Tensor, kernels: Tensor) -> Tensor:
        """(N, grid^2, dim) image tokens and (N, M, dim / 8) kernels -> (N, M, 4 grid, 4 grid)."""
        first, norm, _, second, _ = self.output_upscaling
        assert isinstance(first, nn.ConvTranspose2d) and isinstance(second, nn.ConvTranspose2d)
        assert isinstance(norm, LayerNorm2d)
        grid = round(image.shape[1] ** 0.5)
        x = functional.gelu(split_tokens(image, first, norm))
        x = functional.gelu(split_tokens(x, second)).flatten(1, 3)
        return raster_masks(kernels @ x.transpose(1, 2), grid)
