# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The check of an exported graph against its PyTorch module."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import parity
from medsam_engine_tools.export.family import Graph, TensorSpec

DOUBLE = Graph(
    "double",
    torch.nn.Identity(),
    (TensorSpec("x", "f32", ("n",)),),
    (TensorSpec("y", "f32", ("n",)),),
    ((torch.tensor([1.0, -4.0]),), (torch.tensor([2.0, 1.0]),)),
)


def test_relative_error_is_over_the_largest_reference() -> None:
    assert parity.relative_error(np.array([1.0, -4.2], np.float32), np.array([1.0, -4.0], np.float32)) == pytest.approx(
        0.05, rel=1e-5
    )


def test_shapes_must_agree() -> None:
    with pytest.raises(ExportError, match="shape"):
        parity.relative_error(np.zeros((1, 2), np.float32), np.ones(2, np.float32))


@pytest.mark.parametrize(("shift", "passes"), [(0.0, True), (1e-3, True), (8e-3, False), (np.nan, False)])
def test_measure_takes_the_worst_case(shift: float, passes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [[np.array([1.0, -4.0 + shift], np.float32)], [np.array([2.0, 1.0], np.float32)]]
    monkeypatch.setattr(parity, "run_openvino", lambda *_: answers)
    if passes:
        assert parity.measure(DOUBLE, Path("double.onnx")) == pytest.approx(shift / 4, abs=1e-6)
    else:
        with pytest.raises(ExportError, match=r"^parity of 'double': y differs[^\n]*$"):
            parity.measure(DOUBLE, Path("double.onnx"))


def test_dynamic_sizes_other_than_the_exported_ones(bundle: Path) -> None:
    """One call with N prompts equals N calls with one, for sizes that the export did not see."""
    rng = np.random.default_rng(3)
    embedding = rng.standard_normal((1, 256, 64, 64)).astype(np.float32)
    coords = rng.uniform(0, 256, (5, 7, 2)).astype(np.float32)
    labels = np.tile(np.array([1, 0, 1, 1, 0, 2, 3], np.int32), (5, 1))
    masks = np.array([3, 0], np.int32)
    together: list[NDArray[np.generic]] = [embedding, coords, labels, masks]
    alone: list[list[NDArray[np.generic]]] = [
        [embedding, coords[i : i + 1], labels[i : i + 1], masks] for i in range(5)
    ]
    (logits, iou), *singles = parity.run_openvino(bundle / "decoder.onnx", [together, *alone])
    assert logits.shape == (5, 2, 256, 256)
    assert iou.shape == (5, 2)
    assert parity.relative_error(np.concatenate([single[0] for single in singles]), logits) < 1e-5
    assert parity.relative_error(np.concatenate([single[1] for single in singles]), iou) < 1e-5
