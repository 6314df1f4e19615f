# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Reads a CLIP folder as `transformers` saves it: config.json, the weights, the tokenizer's files."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medsam_engine.base.packages import pip_install
from medsam_engine_tools.bundle.file_hash import file_sha256
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import checkpoint
from medsam_engine_tools.export.nn.clip import ACTIVATIONS, Clip, ClipSize, TowerSize
from medsam_engine_tools.export.state_dict import Checkpoint

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
LEGACY_END = (
    2  # in old configurations: the end token is the one of the highest id (modeling_clip.py:CLIPTextTransformer)
)
# Buffers that older versions of transformers saved: 0, 1, 2, ...
COUNTERS = ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids")


@dataclass(frozen=True)
class ClipFolder:
    """A loaded CLIP, its tokenizer, the id that ends a text, and the SHA-256 of the weights file (hex)."""

    clip: Clip
    size: ClipSize
    tokenizer: Any
    end: int
    sha256: str

    def token_ids(self, text: str) -> list[int]:
        """The ids of `text` from its start to its end token; raises ExportError where the tokenizer gives others."""
        ids: list[int] = self.tokenizer(text, max_length=self.size.tokens, truncation=True).input_ids
        if ids[-1] != self.end or self.end in ids[:-1]:
            raise ExportError(
                f"CLIP's tokenizer gives {ids} for '{text}'; expected one end token, {self.end}, and that last;"
                " download the CLIP folder again, whole"
            )
        return ids

    def text_features(self, texts: Sequence[str]) -> Tensor:
        """(len(texts), features)."""
        with torch.no_grad():
            return torch.cat([self.clip.text_features(torch.tensor([self.token_ids(text)])) for text in texts])


def tower(config: Any) -> TowerSize:
    """The size of one tower; raises ExportError where its activation is not known."""
    if config.hidden_act not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ExportError(f"CLIP's activation '{config.hidden_act}' is not supported; expected one of: {known}")
    return TowerSize(
        width=config.hidden_size,
        depth=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        hidden_dim=config.intermediate_size,
        activation=config.hidden_act,
        norm_eps=config.layer_norm_eps,
    )


def clip_size(config: Any) -> ClipSize:
    """What `config` says, in our words."""
    vision, text = config.vision_config, config.text_config
    return ClipSize(
        vision=tower(vision),
        text=tower(text),
        image_side=vision.image_size,
        patch=vision.patch_size,
        vocabulary=text.vocab_size,
        tokens=text.max_position_embeddings,
        features=config.projection_dim,
    )


def read_weights(path: Path) -> Checkpoint:
    """The tensors of either kind of weights file, without running code from it; raises ExportError."""
    if path.suffix != ".safetensors":
        return checkpoint.read(path)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return Checkpoint(load_file(path), file_sha256(path))
    except (SafetensorError, OSError, struct.error) as error:
        raise ExportError(f"CLIP weights '{path}' cannot be read ({error}); download the file again") from error


def read(folder: Path) -> ClipFolder:
    """Reads a CLIP folder; raises ExportError where something of it is absent, damaged or not CLIP's."""
    try:
        from transformers import CLIPConfig, CLIPTokenizer
    except ImportError as error:
        raise ExportError(f"a CLIP folder needs transformers ({error}); {pip_install('transformers')}") from error
    weights = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    # transformers would make up an empty tokenizer, and a default configuration, without a word.
    found = any(all((folder / name).is_file() for name in names) for names in TOKENIZERS)
    if weights is None or not found or not (folder / "config.json").is_file():
        raise ExportError(
            f"'{folder}' is no CLIP folder; expected config.json, {' or '.join(WEIGHTS)}, and the tokenizer's files"
            " (tokenizer.json, or vocab.json and merges.txt), as transformers saves them"
        )
    try:
        config = CLIPConfig.from_pretrained(folder, local_files_only=True)
        tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"CLIP folder '{folder}' cannot be read ({reason}); download it again, whole") from error
    size = clip_size(config)
    if len(tokenizer) != size.vocabulary:
        raise ExportError(
            f"CLIP folder '{folder}' has a tokenizer of {len(tokenizer)} tokens for a model of {size.vocabulary};"
            " download it again, whole"
        )
    source = read_weights(weights)
    clip = Clip(size)
    checkpoint.load_strict(clip, {k: v for k, v in source.tensors.items() if k not in COUNTERS}, "CLIP")
    end = config.text_config.eos_token_id
    end = size.vocabulary - 1 if end == LEGACY_END else end
    return ClipFolder(clip.eval().requires_grad_(False), size, tokenizer, end, source.sha256)
