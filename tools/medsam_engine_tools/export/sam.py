# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""SAM's two graphs, an image encoder and a prompt-conditioned mask decoder, as docs/bundle.md words them.

Families that only exchange the image encoder use `sam_graphs` as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medsam_engine_tools.export.family import Graph
from medsam_engine_tools.export.nn.mask_decoder import MaskDecoder
from medsam_engine_tools.export.nn.prompt_encoder import NOT_A_POINT, PromptEncoder
from medsam_engine_tools.export.sam_tensors import sam_tensors


class Sam(nn.Module):
    """The three published parts; their names are the prefixes of the checkpoint's tensors."""

    def __init__(self, image_encoder: nn.Module, prompt_encoder: PromptEncoder, mask_decoder: MaskDecoder) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder


class Decoder(nn.Module):
    """Prompt encoder and mask decoder of `sam` as one graph."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.prompt_encoder, self.mask_decoder = sam.prompt_encoder, sam.mask_decoder

    def forward(
        self,
        image_embedding: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_index: Tensor,
        mask_input: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The inputs and outputs of docs/bundle.md's decoder."""
        image = image_embedding.flatten(2).transpose(1, 2) + self.prompt_encoder.dense(mask_input)
        sparse = self.prompt_encoder.tokens(point_coords, point_labels)
        logits, iou = self.mask_decoder(image, self.prompt_encoder.dense_positions(), sparse, mask_index)
        return logits, iou


def smooth_maps(count: int, size: int) -> Tensor:
    """(count, size, size) f32 in [0, 1]: smooth test images, the same on every machine."""
    step = torch.arange(size, dtype=torch.float64) / size
    y, x = step[:, None], step[None, :]
    waves = [torch.sin(6.283 * ((1 + i) * x + (2 + i % 3) * y) + i) for i in range(count)]
    chirps = [torch.cos(9.42 * (i + 2) * x * y) for i in range(count)]
    stacked = torch.stack(waves) + torch.stack(chirps)
    return ((stacked - stacked.min()) / (stacked.max() - stacked.min())).float()


def decoder_cases(embedding: Tensor, frame: int) -> tuple[tuple[Tensor, ...], ...]:
    """Prompts of every kind about one (1, C, h, w) embedding: boxes, points, both, one box."""

    def prompt(tokens: list[list[tuple[float, float, int]]], masks: list[int]) -> tuple[Tensor, ...]:
        packed = torch.tensor(tokens, dtype=torch.float32)
        coords = packed[..., :2] * frame
        return embedding, coords, packed[..., 2].int(), torch.tensor(masks, dtype=torch.int32)

    boxes = prompt(
        [[(0.12, 0.16, 2), (0.47, 0.59, 3)], [(0.31, 0.08, 2), (0.78, 0.70, 3)], [(0.0, 0.0, 2), (0.87, 0.87, 3)]],
        [0, 1, 2, 3],
    )
    points = prompt([[(0.31, 0.35, 1), (0.08, 0.12, 0), (0.0, 0.0, NOT_A_POINT)]] * 2, [1, 2, 3])
    both = prompt([[(0.4, 0.4, 1), (0.5, 0.2, 0), (0.2, 0.3, 2), (0.6, 0.7, 3)]], [0])
    return boxes, points, both, prompt([[(0.2, 0.3, 2), (0.6, 0.7, 3)]], [0])


def sam_graphs(model: nn.Module, input_size: int, frame: int) -> tuple[Graph, ...]:
    """encoder, decoder and decoder_mask of a Sam; runs the image encoder once for the parity cases."""
    assert isinstance(model, Sam)
    images = torch.stack([smooth_maps(3, input_size), 1 - smooth_maps(3, input_size)])
    with torch.no_grad():
        embedding: Tensor = model.image_encoder(images[:1])
    cases = decoder_cases(embedding, frame)
    _, channels, grid, _ = embedding.shape
    masks = (smooth_maps(4, 4 * grid) * 16 - 8).unsqueeze(1)
    tensors = sam_tensors(input_size, grid, channels)
    decoder = Decoder(model)
    masked = tuple((*case, masks[: case[1].shape[0]]) for case in cases)
    rows: dict[str, tuple[nn.Module, tuple[tuple[Tensor, ...], ...]]] = {
        "encoder": (model.image_encoder, ((images,), (images[:1],))),
        "decoder": (decoder, cases),
        "decoder_mask": (decoder, masked),
    }
    return tuple(
        Graph(key, module, tensors[key].inputs, tensors[key].outputs, inputs) for key, (module, inputs) in rows.items()
    )
