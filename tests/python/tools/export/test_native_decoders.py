# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Every family whose decoder is SAM's: the native decoder against the graph of the same bundle, object by object.

The decoder is the family's with stand-in weights; its encoder, whose export takes minutes, is a small one in its place.
"""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medsam_engine import Engine, Prediction, Unsupported
from medsam_engine.measure.metrics import dice
from medsam_engine_tools.approximate.certify import certify
from medsam_engine_tools.bundle import manifest
from medsam_engine_tools.export import families
from medsam_engine_tools.export.export import write_bundle
from medsam_engine_tools.export.part import Part
from medsam_engine_tools.export.sam import Sam, sam_graphs
from medsam_engine_tools.export.state_dict import Checkpoint

sys.path.append(str(Path(__file__).resolve().parents[3] / "data" / "golden"))

import stand_in

# Of the logits, in parts of the largest; the worst object's DSC, of objects of so many pixels: a certificate, too, lets
# an approximation lose smaller ones. Measured: 2e-6 and 1; 0.013 and 0.98.
LIMITS = {"f32_fused": (2e-5, 0.9999, 0), "bf16_fused": (0.03, 0.97, 400)}
# In every run the one whose norms have an epsilon of their own; the others, whose exports take as long, by test-slow.
QUICK = ("efficientvit_sam",)
NAMES = ("rep_medsam", "medficientsam", "medficientsam_torch", "efficientvit_sam", "medsam", "sam", "mobile_sam")
FAMILIES = [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in NAMES]
BOXES = np.array([[20, 14, 68, 52], [40, 10, 90, 60], [2, 30, 50, 70]])
POINTS = np.array([[[44, 33], [5, 60]], [[60, 20], [80, 8]]], np.float32)


class SmallEncoder(nn.Module):
    """(B, 3, S, S) -> (B, 256, grid, grid)."""

    def __init__(self, grid: int) -> None:
        super().__init__()
        self.grid = grid
        self.mix = nn.Conv2d(3, 256, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        stride = image.shape[-1] // self.grid
        out: Tensor = self.mix(functional.avg_pool2d(image, stride))
        return out


def with_small_encoder(name: str) -> Sam:
    """The family's first size, without memory for its own encoder."""
    with torch.device("meta"):
        model = families.get(name).build()
    assert isinstance(model, Sam)
    model.image_encoder = SmallEncoder(model.prompt_encoder.grid)
    return model.to_empty(device="cpu")


@pytest.fixture(scope="module")
def bundle_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    @cache
    def of(name: str) -> Path:
        family = families.get(name)
        size = next(iter(family.sizes))
        small = replace(
            family,
            sizes={size: partial(with_small_encoder, name)},
            graphs=partial(sam_graphs, input_size=family.input_size, frame=family.prompt_frame),
            native={size: replace(family.native[size], networks={"decoder": family.native[size].networks["decoder"]})},
        )
        weights = stand_in.state_dict(small.build().state_dict())
        folder = tmp_path_factory.mktemp(name)
        write_bundle(small, [Part("", small, size, Checkpoint(weights, "0" * 64))], folder, lambda _: None)
        return folder

    return of


def image() -> NDArray[np.uint8]:
    y, x = np.mgrid[:72, :96]
    waves = np.stack([np.sin(x / 9 + c) + np.cos(y / (13 + c)) + (x > y) for c in range(3)], axis=-1)
    return (np.clip(waves / 3, 0, 1) * 255).astype(np.uint8)


def answers(bundle: Path, precision: str) -> list[Prediction]:
    """Of boxes, of points with all their masks, and of boxes with a mask."""
    engine = Engine(bundle, precision=precision, allow_uncertified=True)
    embedding = engine.encode(image())
    predict = partial(engine.predict, embedding, allow_untrained=True)
    boxes = predict(box=BOXES)
    points = predict(point_coords=POINTS, point_labels=[[1, 0], [1, 1]], multimask_output=True)
    # The same mask for both decoders.
    masks = np.random.default_rng(3).normal(0, 5, (len(BOXES), *boxes.low_res_logits.shape[-2:]))
    masked = predict(box=BOXES, mask_input=masks.astype(np.float32))
    return [boxes, points, masked]


def worst_dice(found: Prediction, exact: Prediction, pixels: int) -> float:
    """Of all masks of all prompts that have so many pixels; those that are empty on both sides are the same."""
    pairs = zip(found.masks.reshape(-1, *image().shape[:2]), exact.masks.reshape(-1, *image().shape[:2]), strict=True)
    worst = [dice(expected, got) for got, expected in pairs if (got | expected).any() and expected.sum() >= pixels]
    return min(worst, default=1.0)


@pytest.mark.parametrize("precision", LIMITS)
@pytest.mark.parametrize("family", FAMILIES)
def test_native_decoder_agrees_with_the_graph(family: str, precision: str, bundle_of: Callable[[str], Path]) -> None:
    bundle = bundle_of(family)
    fused = (manifest.read(bundle) or {})["fused"]
    assert set(fused) == {"decoder", "decoder_mask"}
    try:
        found = answers(bundle, f"f32/{precision}")
    except Unsupported as error:
        pytest.skip(str(error))
    limit, least, pixels = LIMITS[precision]
    for got, exact in zip(found, answers(bundle, "f32/f32"), strict=True):
        logits, expected = got.low_res_logits, exact.low_res_logits
        assert (logits != expected).any(), "another decoder must have run"
        assert np.abs(logits - expected).max() < limit * np.abs(expected).max()
        assert worst_dice(got, exact, pixels) >= least
        np.testing.assert_allclose(got.iou_predictions, exact.iou_predictions, atol=limit)


def test_a_stage_without_kernels_is_refused(bundle_of: Callable[[str], Path]) -> None:
    bundle = bundle_of(QUICK[0])
    with pytest.raises(Unsupported, match=r"bf16_fused|f32_fused"):
        Engine(bundle, precision="f32_fused/f32_fused", allow_uncertified=True)
    info = Engine(bundle, precision="auto").info
    assert (info.encoder_precision, info.decoder_precision) == ("f32", "f32"), "nothing is certified"


def test_a_certified_pair_is_chosen(
    bundle_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle of a native decoder beside an encoder's graph, from its certificate to what runs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # where what was measured here is remembered
    bundle = shutil.copytree(bundle_of(QUICK[0]), tmp_path / "bundle")
    images = tmp_path / "images"
    images.mkdir()
    for i in range(40):  # the least that a certificate counts from
        np.savez(images / f"2DBox_US_{i:02}.npz", imgs=np.roll(image(), 2 * i, axis=1), boxes=BOXES[i % 3][np.newaxis])
    certificate, _ = certify(bundle, images, encoder="f32", decoder="f32_fused", profile="efficientvit_sam")
    fused = (manifest.read(bundle) or {})["fused"]["decoder"]
    info = Engine(bundle, precision="f32").info
    assert certificate["fused"] == {"decoder": fused["sha256"], "decoder_backend": info.decoder_backend}
    # What "f32" asks of a certificate (docs/precision.md).
    assert certificate["measured"]["agreement_mean"] >= 0.9999
    assert certificate["measured"]["agreement_worst"] >= 0.999
    assert Path(info.certificates_file).is_relative_to(tmp_path)
    assert (info.encoder_precision, info.decoder_precision) == ("f32", "f32_fused")
    assert info.encoder_backend == info.backend
    assert info.decoder_backend.startswith("fused decoder ")
