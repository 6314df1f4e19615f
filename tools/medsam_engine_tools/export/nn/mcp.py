# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""MCP-MedSAM's prompt encoder and mask decoder (dong845/MCP-MedSAM:models/prompt_encoder.py, mask_decoder.py).

Paper: Lyu et al., MCP-MedSAM, arXiv 2412.05888. To SAM's corners of a box it adds a token of the crop's CLIP features,
a token of the modality, and the crop itself, through a convolutional net, as the dense prompt.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from medsam_engine_tools.export.nn.layers import Fusable, to_map, to_tokens
from medsam_engine_tools.export.nn.mask_decoder import MaskDecoder
from medsam_engine_tools.export.nn.prompt_encoder import PromptEncoder

CLIP_FEATURES = 512  # of the checkpoint's perceptrons
MODALITIES = 11
SLOPE = 0.1  # of every leaky ReLU


class Perceptron(nn.Module):
    """Two linear layers with GELU between; tensors `fc1.*`, `fc2.*`."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class ResidualBlock(Fusable):
    """Two 3x3 convolutions beside an identity.

    is_closed: the sum is normalized and activated (the prompt encoder's blocks), or left linear (the mask decoder's).
    """

    def __init__(self, dim: int, is_closed: bool) -> None:
        super().__init__()
        self.is_closed = is_closed
        self.conv1 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.batch_norm1: nn.Module = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        if is_closed:
            self.batch_norm2: nn.Module = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(functional.leaky_relu(self.batch_norm1(self.conv1(x)), SLOPE))
        return functional.leaky_relu(self.batch_norm2(y) + x, SLOPE) if self.is_closed else y + x

    def fused(self) -> ResidualBlock:
        block = copy.deepcopy(self)
        assert isinstance(self.batch_norm1, nn.BatchNorm2d)
        block.conv1, block.batch_norm1 = fuse_conv_bn_eval(self.conv1, self.batch_norm1), nn.Identity()
        if self.is_closed:
            assert isinstance(self.batch_norm2, nn.BatchNorm2d)
            block.conv2, block.batch_norm2 = fuse_conv_bn_eval(self.conv2, self.batch_norm2), nn.Identity()
        return block


class CropNet(nn.Module):
    """(N, 3, grid, grid) crops in [0, 1] -> (N, dim, grid, grid), the dense prompt."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, dim, 3, padding=1)
        self.conv1 = ResidualBlock(dim, is_closed=True)
        self.conv2 = ResidualBlock(dim, is_closed=True)
        self.conv3 = ResidualBlock(dim, is_closed=True)
        self.conv4 = nn.Conv2d(dim, dim, 5, padding=2)

    def forward(self, crops: Tensor) -> Tensor:
        out: Tensor = self.conv4(self.conv3(self.conv2(self.conv1(self.conv(crops)))))
        return out


class McpPromptEncoder(PromptEncoder):
    """SAM's prompt encoder without masks, and what the crop and the modality add."""

    def __init__(self, dim: int, grid: int, frame: int) -> None:
        super().__init__(dim, grid, frame, mask_channels=None)
        self.crop_nets = CropNet(dim)
        self.clip_img_mlp = Perceptron(CLIP_FEATURES, dim, dim)
        self.clip_text_mlp = Perceptron(CLIP_FEATURES, dim, dim)
        self.mlps = Perceptron(2 * dim, 2 * dim, dim)
        self.categories = nn.Embedding(MODALITIES, dim)

    def modality_tokens(self, text_features: Tensor) -> Tensor:
        """(11, 512) CLIP features of the modalities' texts -> (11, dim): all tokens a modality can give."""
        out: Tensor = self.mlps(torch.cat([self.clip_text_mlp(text_features), self.categories.weight], dim=-1))
        return out


class McpMaskDecoder(MaskDecoder):
    """SAM's mask decoder with two more branches between transformer and up-scaling (MaskDecoder_F4).

    The last two sparse tokens are the crop's and the modality's.
    """

    def __init__(self, dim: int = 256) -> None:
        super().__init__(dim)
        self.convs = ResidualBlock(dim, is_closed=False)
        self.conv1 = nn.Conv2d(2 * dim, dim, 1)
        self.c_conv = ResidualBlock(dim, is_closed=False)
        self.w_lin = nn.Linear(dim, dim)
        self.b_lin = nn.Linear(dim, dim)
        self.m_conv = ResidualBlock(dim, is_closed=False)
        # Of the training only: no mask depends on it.
        self.category_prediction_head = Perceptron(dim, dim // 4, MODALITIES)

    def attend_content(self, image: Tensor, image_pe: Tensor, dense: Tensor, sparse: Tensor) -> tuple[Tensor, Tensor]:
        """The transformer's tokens (N, ., dim) and map (N, dim, grid, grid).

        image (1, dim, grid, grid), dense (N, dim, grid, grid), sparse (N, T, dim). The crop is part of the image side
        from the start, so the prompts of an image share nothing of it.
        """
        tokens, attended = self.attend(to_tokens(image + dense), image_pe, sparse)
        return tokens, to_map(attended, image.shape[2])

    def blend(self, tokens: Tensor, attended: Tensor, dense: Tensor) -> Tensor:
        """What the modality scales and what the crop's content adds, as one (N, dim, grid, grid) map."""
        content, modality = tokens[:, -2, :, None, None], tokens[:, -1]
        scale, offset = self.w_lin(modality)[..., None, None], self.b_lin(modality)[..., None, None]
        by_modality = self.m_conv(scale * attended + offset + attended)
        by_content = self.convs(dense + attended + content)
        out: Tensor = self.c_conv(self.conv1(torch.cat([by_modality, by_content], dim=1)))
        return out

    def category_logits(self, tokens: Tensor) -> Tensor:
        """The transformer's tokens -> (N, 11), which modality the image seems to be of."""
        modality = tokens[:, -1]
        out: Tensor = self.category_prediction_head(self.w_lin(modality) + self.b_lin(modality) + modality)
        return out

    def decode(
        self, image: Tensor, image_pe: Tensor, dense: Tensor, sparse: Tensor, mask_index: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `attend_content`; mask_index (M,) i32 -> low_res_logits (N, M, 4 grid, 4 grid), iou_predictions (N, M)."""
        tokens, attended = self.attend_content(image, image_pe, dense, sparse)
        kernels, iou = self.predictions(tokens, mask_index)
        return self.logits(to_tokens(self.blend(tokens, attended, dense)), kernels), iou
