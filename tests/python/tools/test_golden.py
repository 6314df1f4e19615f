# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Every family against the outputs of its published code: 1e-4 in PyTorch, 1e-3 as ONNX under OpenVINO f32."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from medsam_engine_tools import checkpoint, families, parity
from medsam_engine_tools.sam import Decoder, Sam

Array = NDArray[np.generic]
Run = Callable[[str, list[Array]], list[NDArray[np.float32]]]  # graph key and its inputs -> its outputs

BOX_LABELS = np.array([[2, 3]], np.int32)
POINTS = np.array([[[80, 90], [20, 30], [0, 0]]], np.float32)  # the last is the padding of a prompt without a box
POINT_LABELS = np.array([[1, 0, -1]], np.int32)
SINGLE = np.array([0], np.int32)
MULTI = np.array([1, 2, 3], np.int32)


def outputs(run: Run, golden: Any) -> dict[str, NDArray[np.float32]]:
    """What `run` gives for the golden case's prompts, under the golden file's names."""
    [embedding] = run("encoder", [golden.image(golden.input_size)[np.newaxis]])
    corners = golden.arrays["boxes"].reshape(-1, 2, 2)
    out = {"embedding_s4": embedding[:, ::4, ::4, ::4]}
    labels = BOX_LABELS.repeat(len(corners), axis=0)
    out["box_logits"], out["box_iou"] = run("decoder", [embedding, corners, labels, SINGLE])
    out["points_logits"], out["points_iou"] = run("decoder", [embedding, POINTS, POINT_LABELS, SINGLE])
    logits, out["points_multimask_iou"] = run("decoder", [embedding, POINTS, POINT_LABELS, MULTI])
    out["points_multimask_logits"] = logits[..., ::2, ::2]
    mask = golden.image(256, "openm")[np.newaxis, :1] * 8 - 4
    out["mask_logits"], out["mask_iou"] = run("decoder_mask", [embedding, corners[:1], BOX_LABELS, SINGLE, mask])
    return out


def check(found: dict[str, NDArray[np.float32]], expected: dict[str, NDArray[np.float32]], limit: float) -> None:
    assert set(found) == set(expected) - {"boxes"}
    errors = {name: parity.relative_error(value, expected[name]) for name, value in found.items()}
    assert {name: error for name, error in errors.items() if not error <= limit} == {}


@pytest.fixture(scope="module")
def model(golden: Any) -> Sam:
    built = families.get("litemedsam").build()
    checkpoint.load_strict(built, golden.weights(), "litemedsam")
    assert isinstance(built, Sam)
    return built.eval().requires_grad_(False)


def test_pytorch_agrees_with_the_published_code(golden: Any, model: Sam) -> None:
    decoder = Decoder(model)
    modules = {"encoder": model.image_encoder, "decoder": decoder, "decoder_mask": decoder}

    def run(key: str, inputs: list[Array]) -> list[NDArray[np.float32]]:
        result = modules[key](*(torch.from_numpy(value) for value in inputs))
        return [t.numpy() for t in ((result,) if isinstance(result, torch.Tensor) else result)]

    check(outputs(run, golden), golden.arrays, 1e-4)


def test_onnx_agrees_with_the_published_code(golden: Any, bundle: Path) -> None:
    def run(key: str, inputs: list[Array]) -> list[NDArray[np.float32]]:
        return parity.run_openvino(bundle / f"{key}.onnx", [inputs])[0]

    check(outputs(run, golden), golden.arrays, 1e-3)


def test_layout_is_the_published_one(golden: Any, model: Sam) -> None:
    assert set(model.state_dict()) == set(golden.weights())


@pytest.mark.parametrize("name", sorted(families.REGISTRY))
def test_registry_names_its_families(name: str) -> None:
    assert families.get(name).name == name
