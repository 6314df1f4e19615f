# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""SAM's decoder computed in f64 from the tensors of decoder.fused.safetensors alone, in the published order.

Written apart from what writes the file: the image is projected, heads are split, and feature maps are upscaled as the
published code does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import erf
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_ERF = np.frompyfunc(erf, 1, 1)


def gelu(x: Array) -> Array:
    erf_of_x: Array = _ERF(x / np.sqrt(2)).astype(np.float64)
    return x * 0.5 * (1 + erf_of_x)


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(-1, keepdims=True))
    total: Array = powers.sum(-1, keepdims=True)
    shares: Array = powers / total
    return shares


def split(x: Array, heads: int) -> Array:
    """(tokens, inner) -> (heads, tokens, head_dim)."""
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


@dataclass
class FileDecoder:
    """The tensors of a file, by name, and its header entry."""

    tensors: Mapping[str, NDArray[Any]]
    header: Mapping[str, Any]

    def tensor(self, name: str) -> Array:
        return self.tensors[name].astype(np.float64)

    def linear(self, name: str, x: Array) -> Array:
        product: Array = x @ self.tensor(f"{name}.weight")
        return product + self.tensor(f"{name}.bias")

    def norm(self, name: str, x: Array, eps: float | None = None) -> Array:
        """eps: by default that of the transformer's norms."""
        if eps is None:
            eps = float(self.header.get("layer_norm_epsilon", 1e-5))
        centered = x - x.mean(-1, keepdims=True)
        scaled = centered / np.sqrt((centered**2).mean(-1, keepdims=True) + eps)
        normed: Array = scaled * self.tensor(f"{name}.weight")
        return normed + self.tensor(f"{name}.bias")

    def attend(self, name: str, query: Array, key: Array, value: Array) -> Array:
        """With the three projected; the scale is in one of them already."""
        heads = self.header["heads"][0]
        scores = softmax(split(query, heads) @ split(key, heads).transpose(0, 2, 1))
        mixed = (scores @ split(value, heads)).transpose(1, 0, 2).reshape(len(query), -1)
        return self.linear(f"{name}.out", mixed)

    def self_attention(self, name: str, query: Array, value: Array) -> Array:
        q, k = self.linear(f"{name}.query", query), self.linear(f"{name}.key", query)
        return self.attend(name, q, k, self.linear(f"{name}.value", value))

    def to_image(self, name: str, tokens: Array, image_key: Array, image: Array) -> Array:
        key = image_key @ self.tensor(f"{name}.key.weight").T
        return self.attend(name, self.linear(f"{name}.query", tokens), key, self.linear(f"{name}.value", image))

    def to_tokens(self, name: str, image_key: Array, tokens_key: Array, tokens: Array) -> Array:
        query = image_key @ self.tensor(f"{name}.query.weight").T + self.tensor(f"{name}.query.bias")
        key, value = self.linear(f"{name}.key", tokens_key), self.linear(f"{name}.value", tokens)
        return self.attend(name, query, key, value)

    def positions(self, xy: Array) -> Array:
        phase = 2 * np.pi * ((2 * xy - 1) @ self.tensor("prompt.gaussian"))
        return np.concatenate([np.sin(phase), np.cos(phase)], axis=-1)

    def image_positions(self) -> Array:
        center = (np.arange(self.header["grid"][0]) + 0.5) / self.header["grid"][0]
        y, x = np.meshgrid(center, center, indexing="ij")
        return self.positions(np.stack([x, y], -1).reshape(-1, 2))

    def prompt_tokens(self, coords: Array, labels: NDArray[np.int32]) -> Array:
        points = self.tensor("prompt.points")
        encoded = self.positions((coords + float(self.header["point_shift"])) / self.header["frame"][0])
        return np.where(labels[:, None] >= 0, encoded, 0) + points[labels + 1]

    def dense(self, mask: Array | None) -> Array:
        """(grid^2, dim), or (dim,) without a mask."""
        if mask is None:
            return self.tensor("prompt.no_mask")
        x = mask[:, :, None]
        for i in (0, 1):
            height, width, channels = x.shape
            x = x.reshape(height // 2, 2, width // 2, 2, channels).transpose(0, 2, 1, 3, 4)
            x = self.linear(f"mask.{i}", x.reshape(height // 2, width // 2, -1))
            x = gelu(self.norm(f"mask.{i}.norm", x, 1e-6))
        return self.linear("mask.2", x).reshape(-1, self.tensor("mask.2.bias").size)

    def transform(self, tokens: Array, image: Array) -> tuple[Array, Array]:
        code, image_code = tokens, self.image_positions()
        for i in (0, 1):
            name = f"layers.{i}"
            query = tokens if i == 0 else tokens + code
            attended = self.self_attention(f"{name}.self", query, tokens)
            tokens = self.norm(f"{name}.norm1", attended if i == 0 else tokens + attended)
            found = self.to_image(f"{name}.to_image", tokens + code, image + image_code, image)
            tokens = self.norm(f"{name}.norm2", tokens + found)
            hidden = np.maximum(self.linear(f"{name}.mlp.fc1", tokens), 0)
            tokens = self.norm(f"{name}.norm3", tokens + self.linear(f"{name}.mlp.fc2", hidden))
            told = self.to_tokens(f"{name}.to_tokens", image + image_code, tokens + code, tokens)
            image = self.norm(f"{name}.norm4", image + told)
        final = self.to_image("final", tokens + code, image + image_code, image)
        return self.norm("final.norm", tokens + final), image

    def perceptron(self, name: str, x: Array) -> Array:
        for i in range(3):
            x = self.linear(f"{name}.{i}", x if i == 0 else np.maximum(x, 0))
        return x

    def upscale(self, x: Array, name: str) -> Array:
        """(height, width, in) -> (2 height, 2 width, out)."""
        height, width, _ = x.shape
        children = self.linear(name, x).reshape(height, width, 2, 2, -1)
        return children.transpose(0, 2, 1, 3, 4).reshape(2 * height, 2 * width, -1)

    def answer(
        self, embedding: Array, coords: Array, labels: NDArray[np.int32], mask: Array | None = None
    ) -> tuple[Array, Array]:
        """One prompt: embedding (dim, grid, grid), coords (T, 2), labels (T,), mask (side, side) -> all the masks."""
        grid, count = self.header["grid"][0], self.header["masks"][0]
        image = embedding.reshape(len(embedding), -1).T + self.dense(mask)
        tokens = np.concatenate([self.tensor("tokens"), self.prompt_tokens(coords, labels)])
        tokens, image = self.transform(tokens, image)
        x = self.upscale(image.reshape(grid, grid, -1), "upscale.0")
        # The mean is folded in: what is left of the norm must give the same with and without subtracting it.
        np.testing.assert_allclose(x.mean(-1), 0, atol=1e-5 * np.abs(x).max())
        x = gelu(self.norm("upscale.0.norm", x, 1e-6))
        x = gelu(self.upscale(x, "upscale.1"))
        kernels = np.stack([self.perceptron(f"hyper.{i}", tokens[1 + i]) for i in range(count)])
        return np.moveaxis(x @ kernels.T, -1, 0), self.perceptron("iou", tokens[0])
