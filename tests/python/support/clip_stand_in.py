# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A CLIP folder as transformers saves it: untrained, small, with a tokenizer of single letters."""

import json
import string
from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPModel

LETTERS = string.ascii_lowercase + "-"
START, END = "<|startoftext|>", "<|endoftext|>"
VOCABULARY = [*LETTERS, *(letter + "</w>" for letter in LETTERS), START, END]


def clip_model(features: int = 512) -> CLIPModel:
    """Two layers a tower, at CLIP ViT-B/32's image side and patch."""
    torch.manual_seed(0)
    start, end = VOCABULARY.index(START), VOCABULARY.index(END)
    tower = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 48, "intermediate_size": 96}
    text = {**tower, "vocab_size": len(VOCABULARY), "bos_token_id": start, "eos_token_id": end, "pad_token_id": end}
    config = CLIPConfig(text_config=text, vision_config=tower, projection_dim=features)
    model = CLIPModel(config).eval().requires_grad_(False)
    with torch.no_grad():
        for (
            value
        ) in model.parameters():  # transformers starts with weights so small that half of a tower could be absent
            value.add_(torch.randn_like(value) * 0.2)
    return model


def write_clip(folder: Path, model: CLIPModel) -> Path:
    """Saves `model` with the tokenizer's files; returns `folder`."""
    model.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(VOCABULARY)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
    return folder


def write_clip_saying(folder: Path, text_features: torch.Tensor) -> Path:
    """A CLIP folder whose text tower answers `text_features`, (512,), to every text."""
    model = clip_model()
    norm = model.text_model.final_layer_norm
    with torch.no_grad():
        norm.weight.zero_()
        norm.bias.zero_()
        norm.bias[0] = 1
        model.text_projection.weight[:, 0] = text_features
    return write_clip(folder, model)
