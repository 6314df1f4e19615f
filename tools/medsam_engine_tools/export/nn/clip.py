# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""CLIP's image and text towers under the tensor names of `transformers` (models/clip/modeling_clip.py).

Paper: Radford et al., Learning transferable visual models from natural language supervision, arXiv 2103.00020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


def quick_gelu(x: Tensor) -> Tensor:
    """OpenAI's approximation of GELU."""
    return x * (1.702 * x).sigmoid()


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"quick_gelu": quick_gelu, "gelu": functional.gelu}


@dataclass(frozen=True)
class TowerSize:
    """One tower. activation: a key of ACTIVATIONS."""

    width: int
    depth: int
    num_heads: int
    hidden_dim: int
    activation: str
    norm_eps: float


@dataclass(frozen=True)
class ClipSize:
    """Both towers. image_side and patch: pixels; tokens: of the longest text; features: of an image or a text."""

    vision: TowerSize
    text: TowerSize
    image_side: int
    patch: int
    vocabulary: int
    tokens: int
    features: int


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, size: TowerSize) -> None:
        super().__init__()
        self.num_heads, self.head_dim = size.num_heads, size.width // size.num_heads
        self.k_proj = nn.Linear(size.width, size.width)
        self.v_proj = nn.Linear(size.width, size.width)
        self.q_proj = nn.Linear(size.width, size.width)
        self.out_proj = nn.Linear(size.width, size.width)

    def heads(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> (batch, heads, tokens, head_dim)."""
        batch, tokens, _ = x.shape
        return x.view(batch, tokens, self.num_heads, self.head_dim).transpose(1, 2)

    def forward(self, query: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        scores = self.heads(self.q_proj(query) * self.head_dim**-0.5) @ self.heads(self.k_proj(x)).transpose(-2, -1)
        if mask is not None:
            scores = scores + mask
        attended = scores.softmax(dim=-1) @ self.heads(self.v_proj(x))
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return out


class Feedforward(nn.Module):
    """Two linear layers; tensors `fc1.*`, `fc2.*`."""

    def __init__(self, size: TowerSize) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[size.activation]
        self.fc1 = nn.Linear(size.width, size.hidden_dim)
        self.fc2 = nn.Linear(size.hidden_dim, size.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(self.activation(self.fc1(x)))
        return out


class Layer(nn.Module):
    """A pre-norm transformer layer; `rows`: how many of the first tokens are wanted, all without it."""

    def __init__(self, size: TowerSize) -> None:
        super().__init__()
        self.self_attn = Attention(size)
        self.layer_norm1 = nn.LayerNorm(size.width, size.norm_eps)
        self.mlp = Feedforward(size)
        self.layer_norm2 = nn.LayerNorm(size.width, size.norm_eps)

    def forward(self, x: Tensor, mask: Tensor | None = None, rows: int | None = None) -> Tensor:
        normed = self.layer_norm1(x)
        x = x[:, :rows] + self.self_attn(normed[:, :rows], normed, mask)
        out: Tensor = x + self.mlp(self.layer_norm2(x))
        return out


class Layers(nn.Module):
    """The layers of a tower; tensors `layers.<i>.*`."""

    def __init__(self, size: TowerSize) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(size) for _ in range(size.depth))


class PatchEmbeddings(nn.Module):
    """Image patches and a class token, with learned positions."""

    def __init__(self, size: ClipSize) -> None:
        super().__init__()
        width = size.vision.width
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.patch_embedding = nn.Conv2d(3, width, size.patch, stride=size.patch, bias=False)
        self.position_embedding = nn.Embedding((size.image_side // size.patch) ** 2 + 1, width)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch_embedding(images).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(patches.shape[0], 1, -1)
        return torch.cat([first, patches], dim=1) + self.position_embedding.weight


class VisionTower(nn.Module):
    """Vision transformer; (N, 3, side, side) -> (N, width), the class token's answer."""

    def __init__(self, size: ClipSize) -> None:
        super().__init__()
        self.embeddings = PatchEmbeddings(size)
        self.pre_layrnorm = nn.LayerNorm(size.vision.width, size.vision.norm_eps)  # the published spelling
        self.encoder = Layers(size.vision)
        self.post_layernorm = nn.LayerNorm(size.vision.width, size.vision.norm_eps)

    def forward(self, images: Tensor) -> Tensor:
        x = self.pre_layrnorm(self.embeddings(images))
        last = len(self.encoder.layers) - 1
        for i, layer in enumerate(self.encoder.layers):
            # Nothing but the class token leaves the tower, so the last layer answers for it alone.
            x = layer(x, rows=1 if i == last else None)
        out: Tensor = self.post_layernorm(x[:, 0])
        return out


class TokenEmbeddings(nn.Module):
    """Tokens of a vocabulary, with learned positions."""

    def __init__(self, size: ClipSize) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(size.vocabulary, size.text.width)
        self.position_embedding = nn.Embedding(size.tokens, size.text.width)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.token_embedding(tokens) + self.position_embedding.weight[: tokens.shape[1]]
        return out


class TextTower(nn.Module):
    """Causal transformer; (1, T) token ids, the last of them the end of the text -> (1, width), that token's answer."""

    def __init__(self, size: ClipSize) -> None:
        super().__init__()
        self.embeddings = TokenEmbeddings(size)
        self.encoder = Layers(size.text)
        self.final_layer_norm = nn.LayerNorm(size.text.width, size.text.norm_eps)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embeddings(tokens)
        mask = torch.full((x.shape[1], x.shape[1]), -torch.inf).triu(1)
        for layer in self.encoder.layers:
            x = layer(x, mask)
        out: Tensor = self.final_layer_norm(x[:, -1])
        return out


class Clip(nn.Module):
    """Both towers and their projections into one space; features are not normalized."""

    def __init__(self, size: ClipSize) -> None:
        super().__init__()
        self.logit_scale = nn.Parameter(torch.zeros(()))
        self.text_model = TextTower(size)
        self.vision_model = VisionTower(size)
        self.visual_projection = nn.Linear(size.vision.width, size.features, bias=False)
        self.text_projection = nn.Linear(size.text.width, size.features, bias=False)

    def text_features(self, tokens: Tensor) -> Tensor:
        """(1, T) token ids up to and with the end of the text -> (1, features).

        Attention is causal and the answer that of the first end token, so padding behind it could not change it.
        """
        out: Tensor = self.text_projection(self.text_model(tokens))
        return out


class ImageFeatures(nn.Module):
    """(N, 3, side, side) images as CLIP is to see them -> (N, features)."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.vision_model, self.visual_projection = clip.vision_model, clip.visual_projection

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.visual_projection(self.vision_model(images))
        return out
