# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Swin-LiteMedSAM's mask decoder: SAM's, with the encoder's feature maps joined in while it scales up.

Paper: Gao et al., arXiv 2409.07172. The published code this agrees with: RuochenGao/Swin_LiteMedSAM
models/mask_decoder.py:MaskDecoder_Prompt. What it does with the feature maps depends on no prompt: a neck on the last
three, and one half each of two 1x1 convolutions, since conv(cat(a, b)) = Wa a + (Wb b + bias). `image_terms` computes
that once an image; the published code does it for every box.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from medsam_engine_tools.export.nn.layers import LayerNorm2d, to_tokens
from medsam_engine_tools.export.nn.mask_decoder import MaskDecoder, raster_masks, split_tokens

SKIP_CHANNELS = (128, 160, 320, 320)


class UnusedPromptBlock(nn.Module):
    """Tensors of the published PromptGenBlock, whose calls are commented out there: loaded, checked, never run."""

    def __init__(self, dim: int, size: int, length: int = 5) -> None:
        super().__init__()
        self.prompt_param = nn.Parameter(torch.zeros(1, length, dim, size, size))
        self.linear_layer = nn.Linear(dim, length)
        self.conv3x3 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)


def split_conv(conv: nn.Module, channels: int) -> tuple[Tensor, Tensor, Tensor]:
    """The weights (out, in) of a 1x1 convolution for its first `channels` inputs and for the rest, and its bias."""
    assert isinstance(conv, nn.Conv2d) and conv.bias is not None
    weight = conv.weight.flatten(1)
    return weight[:, :channels], weight[:, channels:], conv.bias


def children(x: Tensor) -> Tensor:
    """(B, C, 2 grid, 2 grid) -> (B, grid^2, 4, C): the pixels in the order in which `split_tokens` makes them."""
    batch, channels, side, _ = x.shape
    cells = x.view(batch, channels, side // 2, 2, side // 2, 2).permute(0, 2, 4, 3, 5, 1)
    return cells.reshape(batch, (side // 2) ** 2, 4, channels)


class SwinMaskDecoder(MaskDecoder):
    """As MaskDecoder, with `image_terms` of the skip features added on the way up."""

    def __init__(self, dim: int = 256) -> None:
        super().__init__(dim)
        del self.output_upscaling
        self.neck = nn.Sequential(
            nn.Conv2d(sum(SKIP_CHANNELS[1:]), dim, 1, bias=False),
            LayerNorm2d(dim),
            nn.Conv2d(dim, dim, 3, padding=1, bias=False),
            LayerNorm2d(dim),
        )
        self.prompt1 = UnusedPromptBlock(dim // 2, size=128)
        self.prompt2 = UnusedPromptBlock(dim // 8, size=256)
        self.output_upscaling1 = nn.Sequential(
            nn.Conv2d(2 * dim, dim, 1), LayerNorm2d(dim), nn.GELU(), nn.ConvTranspose2d(dim, dim // 2, 2, stride=2)
        )
        self.output_upscaling2 = nn.Sequential(
            nn.Conv2d(dim // 2 + SKIP_CHANNELS[0], dim // 4, 1),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, 2, stride=2),
        )

    def image_terms(self, skips: list[Tensor]) -> tuple[Tensor, Tensor]:
        """(B, grid^2, dim) and (B, grid^2, 4, dim / 4): what the two up-scalings add for the encoder's maps."""
        large, *small = skips
        deep = to_tokens(self.neck(torch.cat(small, dim=1)))
        _, weight1, bias1 = split_conv(self.output_upscaling1[0], deep.shape[2])
        shallow = children(large)
        weight2, bias2 = split_conv(self.output_upscaling2[0], shallow.shape[3])[1:]
        return functional.linear(deep, weight1, bias1), functional.linear(shallow, weight2, bias2)

    def forward_with(
        self, image: Tensor, image_pe: Tensor, sparse: Tensor, mask_index: Tensor, terms: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """As MaskDecoder.forward, with the `image_terms` of the one image."""
        tokens, image = self.attend(image, image_pe, sparse)
        kernels, iou = self.predictions(tokens, mask_index)
        return self.upscale(image, kernels, terms), iou

    def upscale(self, image: Tensor, kernels: Tensor, terms: tuple[Tensor, Tensor]) -> Tensor:
        """(N, grid^2, dim) image tokens and (N, M, dim / 8) kernels -> (N, M, 4 grid, 4 grid)."""
        conv1, norm1, _, up1 = self.output_upscaling1
        conv2, norm2, _, up2 = self.output_upscaling2
        assert isinstance(norm1, LayerNorm2d) and isinstance(norm2, LayerNorm2d)
        assert isinstance(up1, nn.ConvTranspose2d) and isinstance(up2, nn.ConvTranspose2d)
        grid = round(image.shape[1] ** 0.5)
        x = functional.linear(image, split_conv(conv1, image.shape[2])[0]) + terms[0]
        x = functional.gelu(split_tokens(functional.gelu(norm1.tokens(x)), up1))
        x = functional.linear(x, split_conv(conv2, x.shape[3])[0]) + terms[1]
        x = functional.gelu(split_tokens(functional.gelu(norm2.tokens(x)), up2)).flatten(1, 3)
        return raster_masks(kernels @ x.transpose(1, 2), grid)
