# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Telling a checkpoint's family and size from its tensors."""

import pytest
import torch
from torch import Tensor

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import checkpoint, families, recognition

SIZES = [(name, size) for name in families.REGISTRY for size in families.get(name).sizes]
# The sizes of a family that have the layout of an earlier one, which is therefore recognized.
SAME_LAYOUT = {
    **{("medficientsam_torch", size): "medficientsam" for size in ("l0", "l1", "l2")},
    **{("efficientvit_sam", size): "medficientsam" for size in ("l0", "l1", "l2")},
    ("daft", "l0"): "medficientsam",
    **{("sam", size): "medsam" for size in ("vit_b", "vit_l", "vit_h")},
}


def tensors(family: str, size: str) -> dict[str, Tensor]:
    layout = recognition.layout(families.get(family), size)
    return {name: torch.empty(shape, device="meta") for name, shape in layout.items()}


@pytest.mark.parametrize(("family", "size"), SIZES)
def test_every_size_is_recognized(family: str, size: str) -> None:
    match = recognition.recognize(tensors(family, size))
    assert (match.family, match.size) == (SAME_LAYOUT.get((family, size), family), size)
    assert (family in match.also) == ((family, size) in SAME_LAYOUT)
    assert recognition.closest_size(families.get(family), tensors(family, size)) == size


def test_the_note_names_families_of_the_same_layout() -> None:
    assert str(recognition.recognize(tensors("litemedsam", "tiny_vit"))) == "recognized litemedsam (tiny_vit)"
    note = str(recognition.recognize(tensors("sam", "vit_b")))
    assert note == "recognized medsam (vit_b); sam has the same layout, name it if it is meant"
    note = str(recognition.recognize(tensors("medficientsam", "l1")))
    others = "medficientsam_torch, efficientvit_sam"
    assert note == f"recognized medficientsam (l1); {others} have the same layout, name the one that is meant"


@pytest.mark.parametrize(("family", "size"), SIZES)
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model."])
def test_every_family_may_be_wrapped_as_training_scripts_do(prefix: str, family: str, size: str) -> None:
    expected = tensors(family, size)
    named = {prefix + name: value for name, value in expected.items()}
    for content in (named, {"model": named, "optimizer": {}, "epoch": 3}, {"state_dict": named}):
        assert set(checkpoint.unwrap(content)) == set(expected)


def test_an_unknown_checkpoint_is_refused_with_the_closest() -> None:
    altered = tensors("medsam", "vit_l")
    del altered["image_encoder.pos_embed"]
    altered["image_encoder.cls_token"] = torch.empty(1, 1, 1024, device="meta")
    altered["mask_decoder.mask_tokens.weight"] = torch.empty(3, 256, device="meta")
    with pytest.raises(ExportError) as caught:
        recognition.recognize(altered)
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "fits no known family; the closest is 'medsam' (vit_l, ",
        "1 missing: image_encoder.pos_embed",
        "1 surplus: image_encoder.cls_token",
        "1 of another shape: mask_decoder.mask_tokens.weight is (3, 256) not (4, 256)",
        "known: daft, efficientvit_sam, litemedsam, ",
    ):
        assert part in message


def test_the_closest_size_is_told_from_an_imperfect_checkpoint() -> None:
    altered = tensors("medficientsam", "l2")
    del altered["image_encoder.norm.weight"]
    assert recognition.closest_size(families.get("medficientsam"), altered) == "l2"
