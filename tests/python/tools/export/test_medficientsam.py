# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What tells MedficientSAM's two programs apart, which share their weights."""

import torch

from medsam_engine_tools.bundle import profiles
from medsam_engine_tools.export import families
from medsam_engine_tools.export.sam import Sam


def test_the_torch_program_encodes_coordinates_half_a_pixel_further() -> None:
    plain, shifted = (families.get(name).build("l0") for name in ("medficientsam", "medficientsam_torch"))
    assert isinstance(plain, Sam)
    assert isinstance(shifted, Sam)
    torch.manual_seed(0)
    plain.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.normal_()
    shifted.prompt_encoder.load_state_dict(plain.prompt_encoder.state_dict())
    corners = torch.tensor([[[60.0, 80.0], [240.0, 300.0]]])
    labels = torch.tensor([[2, 3]], dtype=torch.int32)
    moved = plain.prompt_encoder.tokens(corners + 0.5, labels)
    assert torch.equal(shifted.prompt_encoder.tokens(corners, labels), moved)
    assert not torch.equal(plain.prompt_encoder.tokens(corners, labels), moved)
    # The image's own positions are the same: each is the center of a token in both.
    assert torch.equal(plain.prompt_encoder.dense_positions(), shifted.prompt_encoder.dense_positions())


def test_the_profiles_differ_in_rounding_alone() -> None:
    plain, truncated = (profiles.load(families.get(name).profile) for name in ("medficientsam", "medficientsam_torch"))
    plain["name"] = "medficientsam_torch"
    plain["prompt"]["box_rounding"] = plain["volume"]["down_fallback_rounding"] = "truncate"
    assert truncated == plain
