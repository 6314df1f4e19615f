# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""LiteMedSAM with the released weights, in the published order of operations: what the baselines run."""

from pathlib import Path

import torch
from benchmarks.compare.baselines.plain_decoder import GRID, MaskDecoder, PromptEncoder
from benchmarks.compare.baselines.plain_encoder import ImageEncoder
from torch import Tensor, nn


class PlainModel(nn.Module):
    """The three parts under the checkpoint's names."""

    def __init__(self) -> None:
        super().__init__()
        self.image_encoder, self.prompt_encoder, self.mask_decoder = ImageEncoder(), PromptEncoder(), MaskDecoder()


class PlainDecoder(nn.Module):
    """Prompt encoder and mask decoder in one."""

    def __init__(self, model: PlainModel) -> None:
        super().__init__()
        self.prompt_encoder, self.mask_decoder = model.prompt_encoder, model.mask_decoder

    def forward(self, image_embedding: Tensor, boxes: Tensor) -> Tensor:
        """(1, 256, 64, 64), (1, 4) xyxy in the 256 frame -> low_res_logits (1, 1, 256, 256)."""
        prompts = self.prompt_encoder
        dense = prompts.no_mask_embed.weight.reshape(1, -1, 1, 1).expand(boxes.shape[0], -1, GRID, GRID)
        masks, _ = self.mask_decoder(image_embedding, prompts.dense_positions(), prompts(boxes), dense)
        out: Tensor = masks
        return out


def plain_model(checkpoint: Path) -> PlainModel:
    """The released checkpoint, every tensor of it used and none missing (RuntimeError otherwise)."""
    model = PlainModel()
    model.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))
    return model.eval().requires_grad_(False)
