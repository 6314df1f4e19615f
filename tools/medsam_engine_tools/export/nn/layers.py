# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Layers that several architectures share."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval


def to_tokens(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h w, C), row-major."""
    # In this order, and not flatten then transpose, OpenVINO merges the permutation into the convolution's own layout.
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def to_map(tokens: Tensor, height: int) -> Tensor:
    """(B, h w, C) -> (B, C, h, w)."""
    _, count, channels = tokens.shape
    return tokens.reshape(-1, height, count // height, channels).permute(0, 3, 1, 2)


class Fusable(nn.Module):
    """Layers that in eval mode are, to rounding, fewer layers."""

    def fused(self) -> nn.Module:
        """The fewer layers."""
        raise NotImplementedError


class ConvBN(nn.Sequential, Fusable):
    """Convolution without bias, then batch norm; tensors `c.*` and `bn.*` (TinyViT's and RepViT's Conv2d_BN)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, groups=groups, bias=False
        )
        self.add_module("c", conv)
        self.add_module("bn", nn.BatchNorm2d(out_channels))

    def fused(self) -> nn.Conv2d:
        conv, norm = self
        assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        return fuse_conv_bn_eval(conv, norm)


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of an NCHW tensor (segment_anything/modeling/common.py:LayerNorm2d)."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def tokens(self, x: Tensor) -> Tensor:
        """The same norm for a tensor whose last axis holds the channels: one fused operator in the exported graph."""
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)

    def forward(self, x: Tensor) -> Tensor:
        return to_map(self.tokens(to_tokens(x)), x.shape[2])


def normalize(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """`norm` without its weight and bias, for a linear layer that has them from `fold_norm`."""
    return functional.layer_norm(x, norm.normalized_shape, eps=norm.eps)


def fold_norm(norm: nn.LayerNorm, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias of `linear` after `norm`, as they act on `normalize(norm, x)`: one pass over x less."""
    return linear.weight * norm.weight, linear.bias + linear.weight @ norm.bias


class MLP(nn.Module):
    """`num_layers` linear layers with ReLU between them; tensors `layers.<i>.*` (SAM's mask_decoder.py:MLP)."""

    def __init__(self, in_dim: int, hidden_dim: int, out_dim: int, num_layers: int) -> None:
        super().__init__()
        dims = [in_dim, *[hidden_dim] * (num_layers - 1), out_dim]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(dims))

    def forward(self, x: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(x) if i == 0 else layer(functional.relu(x))
        return x


def fuse_batch_norms(module: nn.Module) -> None:
    """Replaces, in place, every Fusable below `module` by its fewer layers. The module must be in eval mode."""
    for name, child in module.named_children():
        if isinstance(child, Fusable):
            setattr(module, name, child.fused())
        else:
            fuse_batch_norms(child)
