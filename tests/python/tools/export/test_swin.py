# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the golden case cannot show of Swin-LiteMedSAM: the maps inside, the -inf masks, the unused tensors."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import checkpoint, families, parity
from medsam_engine_tools.export.families.swin_litemedsam import build
from medsam_engine_tools.export.nn.layers import fuse_batch_norms
from medsam_engine_tools.export.nn.swin import WindowAttention
from medsam_engine_tools.export.nn.swin_decoder import SKIP_CHANNELS, SwinMaskDecoder


def test_skip_features_agree_with_the_published_code(golden_case: Callable[[str], Any]) -> None:
    golden = golden_case("swin_litemedsam")
    model = build()
    checkpoint.load_strict(model, golden.weights(), "swin_litemedsam")
    model.eval().requires_grad_(False)
    image = torch.from_numpy(golden.image(golden.input_size))[None]
    for fused in (False, True):  # the patch embedding takes its second convolution apart either way
        if fused:
            fuse_batch_norms(model)
        _, skips = model.image_encoder(image)
        assert [skip.shape[1] for skip in skips] == list(SKIP_CHANNELS)
        for i, skip in enumerate(skips):
            expected = golden.arrays[f"skip{i}_s8"]
            assert parity.relative_error(skip[:, ::8, ::8, ::8].numpy(), expected) < 1e-4


def published_masks(window: int) -> tuple[Tensor, Tensor]:
    """upper_lower_mask and left_right_mask of the published checkpoint: -inf between a window's two halves."""
    half = torch.arange(window) >= window - window // 2
    row, column = half.repeat_interleave(window), half.repeat(window)
    infinite = torch.tensor(float("-inf"))
    apart = [side[:, None] != side for side in (row, column)]
    return torch.where(apart[0], infinite, 0.0), torch.where(apart[1], infinite, 0.0)


def test_infinite_masks_keep_the_ends_of_a_shifted_map_apart() -> None:
    torch.manual_seed(0)
    grid, window = 16, 8
    attention = WindowAttention(64, num_heads=2, window=window, grid=grid, shifted=True).requires_grad_(False)
    masks = published_masks(window)
    attention.upper_lower_mask.copy_(masks[0])
    attention.left_right_mask.copy_(masks[1])
    x = torch.randn(1, grid, grid, 64)
    before = attention(x.flatten(1, 2)).view(1, grid, grid, 64)
    x[:, : window // 2] += torch.randn(1, window // 2, grid, 64)  # the rows that the roll takes to the other end
    after = attention(x.flatten(1, 2)).view(1, grid, grid, 64)
    assert bool(after.isfinite().all())
    assert torch.equal(before[:, window // 2 :], after[:, window // 2 :])
    assert not torch.equal(before[:, : window // 2], after[:, : window // 2])


def test_image_terms_are_the_published_concatenations() -> None:
    """The decoder with `image_terms` against the same layers on concatenated maps, as published."""
    torch.manual_seed(1)
    decoder = SwinMaskDecoder().eval().requires_grad_(False)
    grid = 8
    skips = [torch.randn(1, c, g, g) for c, g in zip(SKIP_CHANNELS, (2 * grid, grid, grid, grid), strict=True)]
    image, kernels = torch.randn(3, grid**2, 256), torch.randn(3, 2, 32)
    found = decoder.upscale(image, kernels, decoder.image_terms(skips))

    def repeat(x: Tensor) -> Tensor:
        return x.expand(3, -1, -1, -1)

    gelu = torch.nn.functional.gelu
    x = torch.cat([image.transpose(1, 2).view(3, 256, grid, grid), repeat(decoder.neck(torch.cat(skips[1:], 1)))], 1)
    x = torch.cat([gelu(decoder.output_upscaling1(x)), repeat(skips[0])], 1)
    x = gelu(decoder.output_upscaling2(x)).flatten(2)
    expected = (kernels @ x).view(3, 2, 4 * grid, 4 * grid)
    assert parity.relative_error(found.numpy(), expected.numpy()) < 1e-5


def test_tensors_that_no_graph_uses_are_required_all_the_same() -> None:
    model = build()
    tensors = dict(model.state_dict())
    unused = [name for name in tensors if name.startswith(("mask_decoder.prompt1.", "mask_decoder.prompt2."))]
    assert len(unused) == 8
    del tensors[unused[0]]
    with pytest.raises(ExportError, match=r"1 missing: mask_decoder\.prompt1\.prompt_param"):
        checkpoint.load_strict(model, tensors, "swin_litemedsam")


def test_family_asks_for_points_and_a_scribble() -> None:
    family = families.get("swin_litemedsam")
    assert (family.mask_input, family.from_box) == ("scribble", "points_and_scribble")
