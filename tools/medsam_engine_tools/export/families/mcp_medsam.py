# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""MCP-MedSAM: LiteMedSAM's TinyViT, prompted by modality and by content besides the box (dong845/MCP-MedSAM)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import clip_folder
from medsam_engine_tools.export.family import BOX_ONLY, Companion, Family, Graph, TensorSpec
from medsam_engine_tools.export.native.tiny_vit import TinyVitSizes
from medsam_engine_tools.export.nn.clip import ImageFeatures
from medsam_engine_tools.export.nn.mcp import CLIP_FEATURES, McpMaskDecoder, McpPromptEncoder
from medsam_engine_tools.export.nn.tiny_vit import TinyVit
from medsam_engine_tools.export.sam import Sam, decoder_cases, smooth_maps

INPUT_SIZE = 256
# Our names of the modalities at the published index, and the text that goes with each (infer.py:get_category and
# change_name). The script spells the text as the file's name does; these are the challenge's spellings.
MODALITIES = {
    "CT": "CT Image",
    "MR": "MR Image",
    "Endoscopy": "Endoscopy Image",
    "XRay": "X-Ray Image",
    "PET": "PET Image",
    "Dermoscopy": "Dermoscopy Image",
    "Mammography": "Mammography Image",
    "US": "US Image",
    "OCT": "OCT Image",
    "Fundus": "Fundus Image",
    "Microscopy": "Microscopy Image",
}


class Mcp(Sam):
    """The published parts, and what `attach_clip` adds: the crop encoder and the features of the modalities' texts."""

    prompt_encoder: McpPromptEncoder
    mask_decoder: McpMaskDecoder
    crop_encoder: ImageFeatures
    crop_side: int  # of the crop encoder's input, pixels
    text_features: Tensor  # (11, 512)


class Decoder(nn.Module):
    """Prompt encoder and mask decoder of `mcp` as one graph; the tokens a modality can give are constants of it."""

    def __init__(self, mcp: Mcp) -> None:
        super().__init__()
        self.prompt_encoder, self.mask_decoder = mcp.prompt_encoder, mcp.mask_decoder
        self.modality_tokens: Tensor
        with torch.no_grad():
            self.register_buffer("modality_tokens", mcp.prompt_encoder.modality_tokens(mcp.text_features))

    def sparse(self, point_coords: Tensor, point_labels: Tensor, crop_features: Tensor, modality: Tensor) -> Tensor:
        """(N, T + 2, dim): the prompt's own tokens, the crop's, the modality's."""
        prompt = self.prompt_encoder.tokens(point_coords, point_labels)
        content = self.prompt_encoder.clip_img_mlp(crop_features).unsqueeze(1)
        by_modality = self.modality_tokens.index_select(0, modality).expand(prompt.shape[0], 1, -1)
        return torch.cat([prompt, content, by_modality], dim=1)

    def forward(
        self,
        image_embedding: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_index: Tensor,
        crop: Tensor,
        crop_features: Tensor,
        modality: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The inputs and outputs of docs/bundle.md's decoder."""
        sparse = self.sparse(point_coords, point_labels, crop_features, modality)
        dense = self.prompt_encoder.crop_nets(crop)
        positions = self.prompt_encoder.dense_positions()
        logits, iou = self.mask_decoder.decode(image_embedding, positions, dense, sparse, mask_index)
        return logits, iou


def attach_clip(model: nn.Module, folder: Path) -> str:
    """Reads the CLIP in `folder` for `model`; returns its SHA-256. Raises ExportError where it cannot serve."""
    assert isinstance(model, Mcp)
    source = clip_folder.read(folder)
    if source.size.features != CLIP_FEATURES:
        raise ExportError(
            f"CLIP in '{folder}' gives {source.size.features} features, MCP-MedSAM takes {CLIP_FEATURES};"
            " give PubMedCLIP ViT-B/32"
        )
    model.crop_encoder = ImageFeatures(source.clip).eval()
    model.crop_side = source.size.image_side
    model.text_features = source.text_features(tuple(MODALITIES.values()))
    return source.sha256


def crop_graph(model: Mcp) -> Graph:
    """crop_encoder: CLIP's image tower and projection."""
    side = model.crop_side
    crops = torch.stack([smooth_maps(3, side), 1 - smooth_maps(3, side)])
    return Graph(
        "crop_encoder",
        model.crop_encoder,
        (TensorSpec("crop", "f32", ("prompts", 3, side, side)),),
        (TensorSpec("crop_features", "f32", ("prompts", CLIP_FEATURES)),),
        ((crops,), (crops[:1],)),
    )


def decoder_graph(model: Mcp, embedding: Tensor) -> Graph:
    """decoder: prompts, crops and modality about one embedding."""
    _, channels, grid, _ = embedding.shape
    boxes, _, _, one_box = decoder_cases(embedding, INPUT_SIZE)
    crops = torch.stack([smooth_maps(3, grid), 1 - smooth_maps(3, grid), smooth_maps(3, grid).flip(1)])
    with torch.no_grad():
        features = model.crop_encoder(torch.nn.functional.interpolate(crops, (model.crop_side, model.crop_side)))
    cases = tuple(
        (*case, crops[: len(case[1])], features[: len(case[1])], torch.tensor([modality], dtype=torch.int32))
        for case, modality in ((boxes, 3), (one_box, len(MODALITIES) - 1))
    )
    side = 4 * grid
    return Graph(
        "decoder",
        Decoder(model).eval(),
        (
            TensorSpec("image_embedding", "f32", (1, channels, grid, grid)),
            TensorSpec("point_coords", "f32", ("prompts", "tokens", 2)),
            TensorSpec("point_labels", "i32", ("prompts", "tokens")),
            TensorSpec("mask_index", "i32", ("masks",)),
            TensorSpec("crop", "f32", ("prompts", 3, grid, grid)),
            TensorSpec("crop_features", "f32", ("prompts", CLIP_FEATURES)),
            TensorSpec("modality", "i32", (1,)),
        ),
        (
            TensorSpec("low_res_logits", "f32", ("prompts", "masks", side, side)),
            TensorSpec("iou_predictions", "f32", ("prompts", "masks")),
        ),
        cases,
    )


def graphs(model: nn.Module) -> tuple[Graph, ...]:
    """encoder, crop_encoder and decoder of an Mcp whose CLIP is attached."""
    assert isinstance(model, Mcp)
    images = torch.stack([smooth_maps(3, INPUT_SIZE), 1 - smooth_maps(3, INPUT_SIZE)])
    with torch.no_grad():
        embedding: Tensor = model.image_encoder(images[:1])
    encoder = Graph(
        "encoder",
        model.image_encoder,
        (TensorSpec("image", "f32", ("batch", 3, INPUT_SIZE, INPUT_SIZE)),),
        (TensorSpec("image_embedding", "f32", ("batch", *embedding.shape[1:])),),
        ((images,), (images[:1],)),
    )
    return encoder, crop_graph(model), decoder_graph(model, embedding)


def build() -> Mcp:
    """The architecture with untrained weights; its CLIP is attached later."""
    encoder = TinyVit(TinyVitSizes(INPUT_SIZE, patch_kernel=1, patch_stride=1))
    return Mcp(encoder, McpPromptEncoder(256, encoder.grid, frame=INPUT_SIZE), McpMaskDecoder())


FAMILY = Family(
    name="mcp_medsam",
    input_size=INPUT_SIZE,
    prompt_frame=INPUT_SIZE,
    profile="mcp_medsam",
    trained_prompts=BOX_ONLY,
    sizes={"tiny_vit": build},
    graphs=graphs,
    accepts=("box",),
    mask_input=None,
    modality_index={name: index for index, name in enumerate(MODALITIES)},
    companion=Companion(
        option="--clip",
        what="the CLIP it was trained with, a transformers folder (PubMedCLIP ViT-B/32)",
        attach=attach_clip,
    ),
)
