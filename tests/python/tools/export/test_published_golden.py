# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Families without a case in ../shared against tests/data/golden, which the published code made (README.md there)."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from medsam_engine_tools.export import checkpoint, families, parity
from medsam_engine_tools.export.export import export
from medsam_engine_tools.export.sam import Decoder, Sam

GOLDEN = Path(__file__).resolve().parents[3] / "data" / "golden"
sys.path.append(str(GOLDEN))

import stand_in

Array = NDArray[np.generic]
Run = Callable[[str, list[Array]], list[NDArray[np.float32]]]  # graph key and its inputs -> its outputs

FAST = [("efficientvit_sam_l0", "efficientvit_sam", "l0"), ("mobile_sam", "mobile_sam", "vit_t")]
BIG = [
    ("efficientvit_sam_xl0", "efficientvit_sam", "xl0"),
    ("efficientvit_sam_xl1", "efficientvit_sam", "xl1"),
    ("sam_vit_l", "sam", "vit_l"),
    ("sam_vit_h", "sam", "vit_h"),
]
CASES = [*FAST, *(pytest.param(*case, marks=pytest.mark.slow) for case in BIG)]
# ViT-L and ViT-H differ from ViT-B, whose ONNX file test_golden.py checks, in their numbers alone.
EXPORTS = [pytest.param(*case, marks=pytest.mark.slow) for case in [*FAST, *BIG] if case[1] != "sam"]


def stand_in_model(family: str, size: str) -> Sam:
    model = families.get(family).build(size)
    assert isinstance(model, Sam)
    checkpoint.load_strict(model, stand_in.state_dict(model.state_dict()), family)
    return model.eval().requires_grad_(False)


def outputs(run: Run, input_size: int, frame: int) -> dict[str, NDArray[np.float32]]:
    """What make_golden.py keeps, through the graphs of a bundle."""
    [embedding] = run("encoder", [stand_in.image(input_size)])
    corners = (stand_in.BOXES * frame).reshape(-1, 2, 2)
    labels = np.array([[2, 3]], np.int32)
    box_logits, box_iou = run("decoder", [embedding, corners, labels.repeat(2, axis=0), np.array([0], np.int32)])
    points = np.concatenate([stand_in.POINTS * np.float32(frame), np.zeros((1, 1, 2), np.float32)], axis=1)
    multi = np.array([1, 2, 3], np.int32)
    points_logits, points_iou = run("decoder", [embedding, points, np.array([[1, 0, -1]], np.int32), multi])
    single = [embedding, corners[:1], labels, np.array([0], np.int32), box_logits[1:]]
    mask_logits, mask_iou = run("decoder_mask", single)
    return {
        "embedding": embedding[:, ::16, ::8, ::8],
        "box_logits": box_logits[..., ::8, ::8],
        "box_iou": box_iou,
        "points_logits": points_logits[..., ::16, ::16],
        "points_iou": points_iou,
        "mask_logits": mask_logits[..., ::16, ::16],
        "mask_iou": mask_iou,
    }


def check(found: dict[str, NDArray[np.float32]], case: str, limit: float) -> None:
    with np.load(GOLDEN / f"{case}.npz") as expected:
        assert set(found) == set(expected.files)
        errors = {name: parity.relative_error(value, expected[name]) for name, value in found.items()}
    assert {name: error for name, error in errors.items() if not error <= limit} == {}


@pytest.mark.parametrize(("case", "family", "size"), CASES)
def test_pytorch_agrees_with_the_published_code(case: str, family: str, size: str) -> None:
    model = stand_in_model(family, size)
    decoder = Decoder(model)
    modules = {"encoder": model.image_encoder, "decoder": decoder, "decoder_mask": decoder}

    def run(key: str, inputs: list[Array]) -> list[NDArray[np.float32]]:
        result = modules[key](*(torch.from_numpy(value) for value in inputs))
        return [t.numpy() for t in ((result,) if isinstance(result, torch.Tensor) else result)]

    sized = families.get(family).of_size(size)
    check(outputs(run, sized.input_size, sized.prompt_frame), case, 1e-4)


@pytest.mark.parametrize(("case", "family", "size"), EXPORTS)
def test_onnx_agrees_with_the_published_code(case: str, family: str, size: str, tmp_path: Path) -> None:
    torch.save(stand_in_model(family, size).state_dict(), tmp_path / "stand_in.pth")
    bundle = export(family, tmp_path / "stand_in.pth", tmp_path / "bundle")

    def run(key: str, inputs: list[Array]) -> list[NDArray[np.float32]]:
        return parity.run_openvino(bundle / f"{key}.onnx", [inputs])[0]

    sized = families.get(family).of_size(size)
    check(outputs(run, sized.input_size, sized.prompt_frame), case, 1e-3)
