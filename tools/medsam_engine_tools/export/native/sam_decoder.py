# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""SAM's prompt encoder and mask decoder as one native network, for the roles decoder and decoder_mask.

From the arrays of a checkpoint with SAM's names (`prompt_encoder.*`, `mask_decoder.*`); what is computed from them is
nn/prompt_encoder.py, nn/transformer.py and nn/mask_decoder.py. A matrix is (in, out), so that `x @ weight + bias`; two
projections of the image, which act on the few tokens instead, stay (inner, dim). The attentions' scales and the first
up-scaling's subtraction of the mean are folded in, in f64.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine_tools.export.native.weights_file import Arrays

ARCHITECTURE = "sam_decoder"
HEADS = 8  # of every attention, in every published model; no tensor's shape says it

Array = NDArray[np.float64]
Named = Iterator[tuple[str, Array]]


@dataclass(frozen=True)
class Source:
    """The arrays below a prefix of names, in f64."""

    arrays: Arrays
    prefix: str

    def below(self, name: str) -> Source:
        """The arrays below a longer prefix."""
        return Source(self.arrays, f"{self.prefix}{name}.")

    def has(self, name: str) -> bool:
        """Whether there is an array of that name."""
        return self.prefix + name in self.arrays

    def __getitem__(self, name: str) -> Array:
        return np.asarray(self.arrays[self.prefix + name], np.float64)

    def count(self, name: str) -> int:
        """How many numbers, from 0 on, follow `name` in the names: the length of a torch ModuleList."""
        start = f"{self.prefix}{name}."
        return len({key[len(start) :].split(".")[0] for key in self.arrays if key.startswith(start)})


def plain(name: str, source: Source) -> Named:
    """A weight and a bias as they are: of a norm."""
    yield f"{name}.weight", source["weight"]
    yield f"{name}.bias", source["bias"]


def linear(name: str, source: Source, scale: float = 1.0) -> Named:
    """A linear layer, (in, out); `scale` of its result."""
    yield f"{name}.weight", source["weight"].T * scale
    yield f"{name}.bias", source["bias"] * scale


def convolution(name: str, source: Source) -> Named:
    """A convolution whose stride is its kernel: (height * width * in, out)."""
    weight = source["weight"]
    yield f"{name}.weight", weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])
    yield f"{name}.bias", source["bias"]


def head_scale(query: Array) -> float:
    """What the scores are multiplied by; `query` is the projection (inner, dim)."""
    return float((query.shape[0] // HEADS) ** -0.5)


def self_attention(name: str, source: Source) -> Named:
    """The tokens ask one another."""
    yield from linear(f"{name}.query", source.below("q_proj"), head_scale(source["q_proj.weight"]))
    yield from linear(f"{name}.key", source.below("k_proj"))
    yield from linear(f"{name}.value", source.below("v_proj"))
    yield from linear(f"{name}.out", source.below("out_proj"))


def to_image(name: str, source: Source) -> Named:
    """The tokens ask the image. The key's bias adds one number to all scores of a token: the softmax takes it out."""
    yield from linear(f"{name}.query", source.below("q_proj"), head_scale(source["q_proj.weight"]))
    yield f"{name}.key.weight", source["k_proj.weight"]
    yield from linear(f"{name}.value", source.below("v_proj"))
    yield from linear(f"{name}.out", source.below("out_proj"))


def to_tokens(name: str, source: Source) -> Named:
    """The image asks the tokens: the scale is on the tokens' side, which is the key."""
    yield from plain(f"{name}.query", source.below("q_proj"))
    yield from linear(f"{name}.key", source.below("k_proj"), head_scale(source["q_proj.weight"]))
    yield from linear(f"{name}.value", source.below("v_proj"))
    yield from linear(f"{name}.out", source.below("out_proj"))


def transformer(source: Source) -> Named:
    """The two-way blocks and the last attention."""
    for i in range(source.count("layers")):
        layer, name = source.below(f"layers.{i}"), f"layers.{i}"
        yield from self_attention(f"{name}.self", layer.below("self_attn"))
        yield from to_image(f"{name}.to_image", layer.below("cross_attn_token_to_image"))
        yield from linear(f"{name}.mlp.fc1", layer.below("mlp.lin1"))
        yield from linear(f"{name}.mlp.fc2", layer.below("mlp.lin2"))
        yield from to_tokens(f"{name}.to_tokens", layer.below("cross_attn_image_to_token"))
        for norm in ("norm1", "norm2", "norm3", "norm4"):
            yield from plain(f"{name}.{norm}", layer.below(norm))
    yield from to_image("final", source.below("final_attn_token_to_image"))
    yield from plain("final.norm", source.below("norm_final_attn"))


def prompt_encoder(source: Source) -> Named:
    """The positional encoding, the learned tokens, and the mask input's convolutions where there are any."""
    yield "prompt.gaussian", source["pe_layer.positional_encoding_gaussian_matrix"]
    points = [source[f"point_embeddings.{i}.weight"] for i in range(source.count("point_embeddings"))]
    yield "prompt.points", np.concatenate([source["not_a_point_embed.weight"], *points])
    yield "prompt.no_mask", source["no_mask_embed.weight"][0]
    if mask_channels(source):
        masks = source.below("mask_downscaling")
        for i, layer in enumerate((0, 3, 6)):
            yield from convolution(f"mask.{i}", masks.below(str(layer)))
        for i, layer in enumerate((1, 4)):
            yield from plain(f"mask.{i}.norm", masks.below(str(layer)))


def mask_channels(source: Source) -> list[int]:
    """Channels of the mask input's last but one map; [] where the prompt encoder takes no mask."""
    name = "mask_downscaling.3.weight"
    return [source[name].shape[0]] if source.has(name) else []


def transposed_convolution(name: str, source: Source, centered: bool) -> Named:
    """Kernel 2, stride 2: (in, 4 * out), a column for each channel of each of the 2x2 children, row-major.

    centered: the subtraction of the mean over the channels, of the norm that follows, is folded in.
    """
    weight, bias = source["weight"].transpose(0, 2, 3, 1), source["bias"]
    if centered:
        weight, bias = weight - weight.mean(axis=3, keepdims=True), bias - bias.mean()
    yield f"{name}.weight", weight.reshape(weight.shape[0], -1)
    yield f"{name}.bias", np.tile(bias, 4)


def perceptron(name: str, source: Source) -> Named:
    """Linear layers with ReLU between them."""
    for i in range(source.count("layers")):
        yield from linear(f"{name}.{i}", source.below(f"layers.{i}"))


def mask_decoder(source: Source) -> Named:
    """The decoder's own tokens, the transformer, the up-scaling and the heads."""
    yield "tokens", np.concatenate([source["iou_token.weight"], source["mask_tokens.weight"]])
    yield from transformer(source.below("transformer"))
    upscaling = source.below("output_upscaling")
    yield from transposed_convolution("upscale.0", upscaling.below("0"), centered=True)
    yield from plain("upscale.0.norm", upscaling.below("1"))
    yield from transposed_convolution("upscale.1", upscaling.below("3"), centered=False)
    for i in range(source.count("output_hypernetworks_mlps")):
        yield from perceptron(f"hyper.{i}", source.below(f"output_hypernetworks_mlps.{i}"))
    yield from perceptron("iou", source.below("iou_prediction_head"))


def tensors(arrays: Arrays) -> dict[str, Array]:
    """Every tensor of the file, by name, in f64."""
    prompts, masks = Source(arrays, "prompt_encoder."), Source(arrays, "mask_decoder.")
    return {**dict(prompt_encoder(prompts)), **dict(mask_decoder(masks))}


def entries(arrays: Arrays, grid: int, frame: int, point_shift: float) -> dict[str, Any]:
    """What the shapes do not determine: sides of the embedding and of the prompts' frame, the shift of a point."""
    return {
        "grid": [grid],
        "frame": [frame],
        "heads": [HEADS],
        "masks": [len(arrays["mask_decoder.mask_tokens.weight"])],
        "mask_channels": mask_channels(Source(arrays, "prompt_encoder.")),
        "point_shift": f"{point_shift:g}",
    }
