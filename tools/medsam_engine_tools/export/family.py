# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What a family of models has to say about itself to be exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a family with native weights is exported without torch
    from torch import Tensor, nn

    from medsam_engine_tools.export.native.model import NativeModel

# Combinations of prompts, as docs/bundle.md words `trained_prompts`.
Prompts = tuple[tuple[str, ...], ...]
BOX_ONLY: Prompts = (("box",),)
# SAM's training loop: a box or a point first, then points with the mask of the round before, and rounds with nothing
# new but that mask; a mask never comes alone (Kirillov et al., Segment Anything, arXiv 2304.02643, appendix A).
SAM_PROMPTS: Prompts = (
    ("box",),
    ("points",),
    ("box", "points"),
    ("box", "mask"),
    ("points", "mask"),
    ("box", "points", "mask"),
)


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a graph: its name, dtype ("f32" or "i32") and shape.

    A dynamic dimension is a name; the same name in two tensors of a graph is the same size.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class ModelTensors:
    """The inputs and outputs of a model, in their order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Graph:
    """One ONNX file of a bundle.

    `key` names it in the manifest and gives the file its name; `module` takes and returns tensors in the order of
    `inputs` and `outputs`; `cases` are fixed inputs for the parity check, of which the first also guides the export
    (so its dynamic sizes are above 1).
    """

    key: str
    module: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    cases: tuple[tuple[Tensor, ...], ...]


@dataclass(frozen=True)
class Companion:
    """A second published model that a family is built on, in a folder of its own.

    option: of `medsam-engine export`, which names the folder; what: the folder, in words; attach: reads it into the
    loaded model, and returns the SHA-256 of the weights file (hex).
    """

    option: str
    what: str
    attach: Callable[[nn.Module, Path], str]


@dataclass(frozen=True)
class Family:
    """A published architecture: how to build it, and the graphs that its bundle holds.

    input_size: side of the encoder's input, pixels; prompt_frame: side of the frame of `point_coords`, pixels;
    profile: name of the profile that reproduces the published script (profiles/<name>.json); sizes: the published
    sizes, each with what makes the architecture with untrained weights; the checkpoint's tensors tell which it is;
    point_shift, accepts, mask_input, from_box and modality_index: as docs/bundle.md words `prompt` and `modality`;
    trained_prompts: what the published weights were trained with, which every family has to say, since its graphs take
    more;
    companion: what else the bundle is made of; input_sizes: by size, where they differ; experts, fallback: where a
    checkpoint is one of several experts, which of them answers a modality, and which any other; native: by size, the
    networks that the engine's own kernels compute, too.
    """

    name: str
    input_size: int
    prompt_frame: int
    profile: str
    sizes: Mapping[str, Callable[[], nn.Module]]
    graphs: Callable[[nn.Module], tuple[Graph, ...]]
    point_shift: float = 0.5
    accepts: tuple[str, ...] = ("box", "points")
    mask_input: str | None = "logits"
    from_box: str = "corners"
    modality_index: Mapping[str, int] | None = None
    companion: Companion | None = None
    input_sizes: Mapping[str, int] | None = None
    experts: Mapping[str, str] | None = None
    fallback: str | None = None
    native: Mapping[str, NativeModel] = field(default_factory=dict)
    trained_prompts: Prompts = field(kw_only=True)

    def build(self, size: str | None = None) -> nn.Module:
        """The architecture with untrained weights, of the first size unless another is named."""
        return self.sizes[size if size is not None else next(iter(self.sizes))]()

    def of_size(self, size: str) -> Family:
        """The family with the input size that `size` has."""
        return self if self.input_sizes is None else replace(self, input_size=self.input_sizes[size])

    def expert_names(self) -> tuple[str, ...]:
        """The experts in the order of the table, the fallback last; () for a family without any."""
        named = () if self.experts is None else tuple(dict.fromkeys(self.experts.values()))
        return named if self.fallback is None else (*named, self.fallback)
