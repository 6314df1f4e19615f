# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the architectures compute in another order than the published code, against that order, in double precision."""

from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from medsam_engine_tools.export.nn.layers import LayerNorm2d, fold_norm, normalize
from medsam_engine_tools.export.nn.mask_decoder import split_tokens
from medsam_engine_tools.export.nn.tiny_vit import WindowAttention, window_regions
from medsam_engine_tools.export.nn.transformer import Attention, ImageToTokenAttention, TokenToImageAttention

DIM, HEADS = 16, 4
Module = TypeVar("Module", bound=nn.Module)


def randomize(module: Module) -> Module:
    generator = torch.Generator().manual_seed(0)
    for value in module.double().requires_grad_(False).state_dict().values():
        value.copy_(torch.randn(value.shape, generator=generator, dtype=value.dtype))
    return module


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


@pytest.mark.parametrize(("prompts", "images"), [(1, 1), (3, 1), (3, 3)])
@pytest.mark.parametrize("kind", [TokenToImageAttention, ImageToTokenAttention])
def test_projections_on_the_tokens_are_the_attention(kind: type[Attention], prompts: int, images: int) -> None:
    attention, plain = randomize(kind(DIM, HEADS, 2)), Attention(DIM, HEADS, 2).double()
    plain.load_state_dict(attention.state_dict())
    tokens, image, image_key = random(prompts, 5, DIM), random(images, 49, DIM), random(images, 49, DIM) + 1
    repeated = [x.expand(prompts, -1, -1) for x in (image_key, image)]
    if kind is TokenToImageAttention:
        found, expected = attention(tokens, image_key, image), plain(tokens, *repeated)
    else:
        found, expected = attention(image_key, tokens, tokens * 2), plain(repeated[0], tokens, tokens * 2)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def padded_windows(attention: WindowAttention, x: Tensor, grid: int) -> Tensor:
    """As tiny_vit_sam.py has it: zero tokens right and below, attention of all, the padding cut off."""
    batch, _, dim = x.shape
    window, heads = attention.window, attention.num_heads
    side = -(-grid // window)
    extra = side * window - grid
    y = functional.pad(x.view(batch, grid, grid, dim), (0, 0, 0, extra, 0, extra))
    y = y.view(batch, side, window, side, window, dim).transpose(2, 3).reshape(-1, window**2, dim)
    qkv: Tensor = attention.qkv(attention.norm(y)).view(-1, window**2, heads, 3, dim // heads)
    q, k, v = qkv.permute(3, 0, 2, 1, 4)
    scores = q @ k.transpose(-2, -1) * (dim // heads) ** -0.5 + attention.attention_biases[:, attention.bias_index]
    y = functional.linear(
        (scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2), attention.proj.weight, attention.proj.bias
    )
    y = y.view(batch, side, side, window, window, dim).transpose(2, 3).reshape(batch, side * window, -1, dim)
    return y[:, :grid, :grid].reshape(batch, grid**2, dim)


@pytest.mark.parametrize(("grid", "window"), [(8, 4), (9, 4), (11, 4), (3, 4)])
def test_one_key_stands_for_the_padding_of_a_cut_window(grid: int, window: int) -> None:
    attention = WindowAttention(DIM, HEADS, window, grid)
    raster = attention.raster.clone()
    randomize(attention)
    assert torch.equal(attention.raster, raster)
    x = random(2, grid**2, DIM)
    torch.testing.assert_close(attention(x), padded_windows(attention, x, grid), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("grid", "window", "counts"), [(8, 4, [16]), (9, 4, [16, 4, 4, 1]), (3, 4, [9])])
def test_regions_hold_each_token_once(grid: int, window: int, counts: list[int]) -> None:
    regions = window_regions(grid, window)
    assert [region.inside.numel() for region in regions] == counts
    assert sorted(torch.cat([region.tokens for region in regions]).tolist()) == list(range(grid**2))


def test_a_folded_norm_is_the_norm() -> None:
    norm, linear = randomize(nn.LayerNorm(DIM)), randomize(nn.Linear(DIM, 3))
    x = random(2, 5, DIM)
    torch.testing.assert_close(functional.linear(normalize(norm, x), *fold_norm(norm, linear)), linear(norm(x)))


def test_split_tokens_is_the_transposed_convolution_and_its_norm() -> None:
    conv, norm = randomize(nn.ConvTranspose2d(DIM, 8, 2, stride=2)), randomize(LayerNorm2d(8))
    x = random(1, DIM, 3, 3)
    tokens = x.flatten(2).transpose(1, 2)
    for found, expected in (
        (split_tokens(tokens, conv), conv(x)),
        (split_tokens(tokens, conv, norm), norm(conv(x))),
    ):
        children = found.view(1, 3, 3, 2, 2, 8).permute(0, 5, 1, 3, 2, 4).reshape(1, 8, 6, 6)
        torch.testing.assert_close(children, expected)
