# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""SAM's prompt encoder and mask decoder as one native network, for the models decoder and decoder_mask.

What is computed from its tensors is nn/prompt_encoder.py, nn/transformer.py and nn/mask_decoder.py. Two projections of
the image, which act on the few tokens instead, stay (inner, dim). The attentions' scales and the first up-scaling's
subtraction of the mean are folded in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from medsam_engine_tools.export.native import fold
from medsam_engine_tools.export.native.source import Named, Source

POINTS = 4  # learned tokens: background, foreground, a box's corners
TORCH_EPSILON = 1e-5  # of a layer norm
# How a file says which epsilon its norms have, where it is not torch's: a file that does not say keeps its hash.
LAYER_NORM_EPSILONS = {TORCH_EPSILON: None, 1e-6: "1e-6"}
DOWNSAMPLE = 2  # of the width inside the attentions between tokens and image


@dataclass(frozen=True)
class NativeSamDecoder:
    """The decoder, from a checkpoint's arrays `prompt_encoder.*` and `mask_decoder.*`.

    grid: side of the image embedding; frame: side of the square of the prompts' coordinates; point_shift: what is added
    to a coordinate; mask_channels: of the mask input's last but one map, None where the prompt encoder takes no mask;
    layer_norm_epsilon: of the transformer's norms, one of LAYER_NORM_EPSILONS.
    """

    grid: int
    frame: int
    point_shift: float = 0.5
    mask_channels: int | None = 16
    dim: int = 256
    depth: int = 2
    heads: int = 8
    hidden: int = 2048
    masks: int = 4
    layer_norm_epsilon: float = TORCH_EPSILON
    architecture: ClassVar[str] = "sam_decoder"

    def entries(self) -> dict[str, Any]:
        """What the shapes do not determine."""
        norms = LAYER_NORM_EPSILONS[self.layer_norm_epsilon]
        return {
            "grid": [self.grid],
            "frame": [self.frame],
            "heads": [self.heads],
            "masks": [self.masks],
            "mask_channels": [] if self.mask_channels is None else [self.mask_channels],
            "point_shift": f"{self.point_shift:g}",
            **({} if norms is None else {"layer_norm_epsilon": norms}),
        }

    def tensors(self, checkpoint: Source) -> Named:
        """Every tensor of the file, by name."""
        yield from self._prompts(checkpoint.below("prompt_encoder"))
        source = checkpoint.below("mask_decoder")
        tokens = [
            source.array("iou_token.weight", 1, self.dim),
            source.array("mask_tokens.weight", self.masks, self.dim),
        ]
        yield "tokens", np.concatenate(tokens)
        yield from self._transformer(source.below("transformer"))
        yield from self._upscaling(source.below("output_upscaling"))
        for i in range(self.masks):
            yield from self._perceptron(f"hyper.{i}", source.below(f"output_hypernetworks_mlps.{i}"), self.dim // 8)
        yield from self._perceptron("iou", source.below("iou_prediction_head"), self.masks)

    def _prompts(self, source: Source) -> Named:
        """The positional encoding, the learned tokens, and the mask input's convolutions where there are any."""
        yield "prompt.gaussian", source.array("pe_layer.positional_encoding_gaussian_matrix", 2, self.dim // 2)
        names = ["not_a_point_embed", *(f"point_embeddings.{i}" for i in range(POINTS))]
        yield "prompt.points", np.concatenate([source.array(f"{name}.weight", 1, self.dim) for name in names])
        yield "prompt.no_mask", source.array("no_mask_embed.weight", 1, self.dim)[0]
        if self.mask_channels is None:
            return
        masks, channels = source.below("mask_downscaling"), (1, self.mask_channels // 4, self.mask_channels)
        for i in (0, 1):
            yield from fold.convolution(f"mask.{i}", masks.below(str(3 * i)), channels[i], channels[i + 1], 2)
            yield from fold.plain(f"mask.{i}.norm", masks.below(str(3 * i + 1)), channels[i + 1])
        yield from fold.convolution("mask.2", masks.below("6"), self.mask_channels, self.dim, 1)

    def _transformer(self, source: Source) -> Named:
        """The two-way blocks and the last attention."""
        for i in range(self.depth):
            layer, name = source.below(f"layers.{i}"), f"layers.{i}"
            yield from self._self_attention(f"{name}.self", layer.below("self_attn"))
            yield from self._to_image(f"{name}.to_image", layer.below("cross_attn_token_to_image"))
            yield from fold.linear(f"{name}.mlp.fc1", layer.below("mlp.lin1"), self.dim, self.hidden)
            yield from fold.linear(f"{name}.mlp.fc2", layer.below("mlp.lin2"), self.hidden, self.dim)
            yield from self._to_tokens(f"{name}.to_tokens", layer.below("cross_attn_image_to_token"))
            for norm in ("norm1", "norm2", "norm3", "norm4"):
                yield from fold.plain(f"{name}.{norm}", layer.below(norm), self.dim)
        yield from self._to_image("final", source.below("final_attn_token_to_image"))
        yield from fold.plain("final.norm", source.below("norm_final_attn"), self.dim)

    def _scale(self, inner: int) -> float:
        """Of the scores of an attention: its head's width to the power of -1/2."""
        return float((inner // self.heads) ** -0.5)

    def _self_attention(self, name: str, source: Source) -> Named:
        """The tokens ask one another."""
        yield from fold.linear(f"{name}.query", source.below("q_proj"), self.dim, self.dim, self._scale(self.dim))
        yield from fold.linear(f"{name}.key", source.below("k_proj"), self.dim, self.dim)
        yield from fold.linear(f"{name}.value", source.below("v_proj"), self.dim, self.dim)
        yield from fold.linear(f"{name}.out", source.below("out_proj"), self.dim, self.dim)

    def _to_image(self, name: str, source: Source) -> Named:
        """The tokens ask the image; the key's projection acts on the tokens."""
        inner = self.dim // DOWNSAMPLE
        yield from fold.linear(f"{name}.query", source.below("q_proj"), self.dim, inner, self._scale(inner))
        yield f"{name}.key.weight", source.array("k_proj.weight", inner, self.dim)
        source.array("k_proj.bias", inner)  # one number in all scores of a token: the softmax takes it out again
        yield from fold.linear(f"{name}.value", source.below("v_proj"), self.dim, inner)
        yield from fold.linear(f"{name}.out", source.below("out_proj"), inner, self.dim)

    def _to_tokens(self, name: str, source: Source) -> Named:
        """The image asks the tokens; the query's projection acts on the tokens, and the scale is on their side."""
        inner = self.dim // DOWNSAMPLE
        yield f"{name}.query.weight", source.array("q_proj.weight", inner, self.dim)
        yield f"{name}.query.bias", source.array("q_proj.bias", inner)
        yield from fold.linear(f"{name}.key", source.below("k_proj"), self.dim, inner, self._scale(inner))
        yield from fold.linear(f"{name}.value", source.below("v_proj"), self.dim, inner)
        yield from fold.linear(f"{name}.out", source.below("out_proj"), inner, self.dim)

    def _upscaling(self, source: Source) -> Named:
        """Two transposed convolutions; the subtraction of the mean, of the norm between them, is in the first."""
        first, second = self.dim // 4, self.dim // 8
        yield from transposed_convolution("upscale.0", source.below("0"), self.dim, first, centered=True)
        yield from fold.plain("upscale.0.norm", source.below("1"), first)
        yield from transposed_convolution("upscale.1", source.below("3"), first, second, centered=False)

    def _perceptron(self, name: str, source: Source, outs: int) -> Named:
        """Three linear layers with ReLU between them."""
        for i, width in enumerate((self.dim, self.dim, outs)):
            yield from fold.linear(f"{name}.{i}", source.below(f"layers.{i}"), self.dim, width)


def transposed_convolution(name: str, source: Source, ins: int, outs: int, centered: bool) -> Named:
    """Kernel 2, stride 2: (in, 4 * out), a column for each channel of each of the 2x2 children, row-major.

    centered: less the mean over the channels.
    """
    weight, bias = source.array("weight", ins, outs, 2, 2).transpose(0, 2, 3, 1), source.array("bias", outs)
    if centered:
        weight, bias = weight - weight.mean(axis=3, keepdims=True), bias - bias.mean()
    yield f"{name}.weight", weight.reshape(ins, -1)
    yield f"{name}.bias", np.tile(bias, 4)
