# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The fused encoder: a TinyViT's weights in one safetensors file, for the engine's own kernels (docs/bundle.md).

Every batch norm, the weight and bias of every layer norm before a linear layer, and the attention's scale are folded
into the layer beside them, as in the exported graph. A matrix is (in, out), so that out is contiguous; a convolution's
is (height * width * in, out), a depthwise one's (height * width, channels).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from medsam_engine_tools.export.nn.layers import ConvBN, LayerNorm2d, fold_norm
from medsam_engine_tools.export.nn.tiny_vit import (
    ConvStage,
    MBConv,
    PatchMerging,
    TinyVit,
    TinyVitBlock,
    TransformerStage,
)

FORMAT = "medsam-engine fused 1"  # cpp/src/backends/native/weights.cpp reads it

Named = Iterator[tuple[str, Tensor]]


def fused_convolution(layer: object) -> nn.Conv2d:
    """A convolution with the batch norm behind it, if there is one."""
    convolution = layer.fused() if isinstance(layer, ConvBN) else layer
    assert isinstance(convolution, nn.Conv2d)
    return convolution


def convolution(name: str, module: object) -> Named:
    """A convolution of all channels, or a depthwise one."""
    layer = fused_convolution(module)
    yield f"{name}.weight", layer.weight.permute(2, 3, 1, 0).flatten(0, 2)
    if layer.bias is not None:
        yield f"{name}.bias", layer.bias


def bottleneck(name: str, block: MBConv | PatchMerging) -> Named:
    """1x1, depthwise 3x3, 1x1."""
    for part, layer in (("expand", block.conv1), ("depthwise", block.conv2), ("project", block.conv3)):
        yield from convolution(f"{name}.{part}", layer)


def linear(name: str, weight: Tensor, bias: Tensor) -> Named:
    """A linear layer; `weight` is (out, in)."""
    yield f"{name}.weight", weight.t()
    yield f"{name}.bias", bias


def transformer_block(name: str, block: TinyVitBlock) -> Named:
    """Window attention, depthwise convolution, perceptron."""
    projections = block.attn.projections()
    yield f"{name}.qkv.weight", torch.cat([weight for weight, _ in projections], dim=1)
    yield f"{name}.qkv.bias", torch.cat([bias for _, bias in projections])
    yield f"{name}.attention_biases", block.attn.attention_biases
    yield from linear(f"{name}.proj", block.attn.proj.weight, block.attn.proj.bias)
    yield from convolution(f"{name}.depthwise", block.local_conv)
    yield from linear(f"{name}.fc1", *fold_norm(block.mlp.norm, block.mlp.fc1))
    yield from linear(f"{name}.fc2", block.mlp.fc2.weight, block.mlp.fc2.bias)


def tensors(encoder: TinyVit) -> Named:
    """Every tensor of the file, by name."""
    for i in (0, 1):
        yield from convolution(f"patch_embed.{i}", encoder.patch_embed.seq[2 * i])
    for i, stage in enumerate(encoder.layers.children()):
        assert isinstance(stage, ConvStage | TransformerStage)
        for j, block in enumerate(stage.blocks.children()):
            name = f"stages.{i}.blocks.{j}"
            if isinstance(block, MBConv):
                yield from bottleneck(name, block)
            elif isinstance(block, TinyVitBlock):
                yield from transformer_block(name, block)
        if stage.downsample is not None:
            yield from bottleneck(f"stages.{i}.merge", stage.downsample)
    for i in (0, 1):
        yield from convolution(f"neck.{i}", encoder.neck[2 * i])
        norm = encoder.neck[2 * i + 1]
        assert isinstance(norm, LayerNorm2d)
        yield f"neck.{i}.norm.weight", norm.weight
        yield f"neck.{i}.norm.bias", norm.bias


def strides(encoder: TinyVit) -> list[int]:
    """Of the two patch embedding convolutions, then of each merge."""
    merges = [stage.downsample for stage in encoder.layers.children()]
    layers = [encoder.patch_embed.seq[0], encoder.patch_embed.seq[2]]
    layers += [merge.conv2 for merge in merges if isinstance(merge, PatchMerging)]
    return [fused_convolution(layer).stride[0] for layer in layers]


def windows(encoder: TinyVit) -> list[int]:
    """Of each stage with attention."""
    stages = [stage for stage in encoder.layers.children() if isinstance(stage, TransformerStage)]
    firsts = [next(stage.blocks.children()) for stage in stages]
    return [block.attn.window for block in firsts if isinstance(block, TinyVitBlock)]


def write(encoder: nn.Module, input_size: int, path: Path) -> None:
    """Writes the file; the same weights give the same bytes."""
    if not isinstance(encoder, TinyVit):
        raise TypeError(f"fused encoder: got {type(encoder).__name__}, expected a TinyVit")
    # Folded in f64: in f32 the order of a sum, which is the processor's, would show in the bytes, and a certificate
    # names the file.
    exact = copy.deepcopy(encoder).double()
    content = {name: tensor.detach().float().contiguous() for name, tensor in tensors(exact)}
    numbers = {"input_size": [input_size], "strides": strides(encoder), "windows": windows(encoder)}
    # One entry: safetensors writes several in an order that changes from run to run.
    header = {"format": FORMAT, "architecture": "tiny_vit", **numbers}
    # Not save_file: it goes by way of a temporary of mode 0600, so that nobody else could read the bundle.
    path.write_bytes(save(content, {"medsam_engine": json.dumps(header, sort_keys=True)}))
