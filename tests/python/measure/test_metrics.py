# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Scores against hand-computed ones, the challenge's odd rules, and a folder with bad files in it."""

import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument
from medsam_engine.measure.metrics import (
    dice,
    evaluate_folder,
    object_dice,
    object_surface_dice,
    score_case,
    surface_dice,
)

pytest.importorskip("surface_distance", reason="surface-distance comes with the extra [eval]")
RNG = np.random.default_rng(6)


def block(shape: tuple[int, ...], *slices: slice) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = np.zeros(shape, np.bool_)
    mask[slices] = True
    return mask


def test_dice_by_hand() -> None:
    a, b = block((10, 10), slice(0, 4), slice(0, 4)), block((10, 10), slice(2, 4), slice(0, 8))
    assert dice(a, b) == 2 * 8 / (16 + 16)
    assert dice(a, a) == 1.0
    assert dice(a, np.zeros_like(a)) == 0.0
    assert math.isnan(dice(np.zeros_like(a), np.zeros_like(a)))


def test_absent_objects_never_reach_the_library() -> None:
    full, empty = block((8, 8, 8), slice(2, 5), slice(2, 5), slice(2, 5)), np.zeros((8, 8, 8), np.bool_)
    assert surface_dice(full, empty, (1, 1, 1)) == 0.0
    assert surface_dice(empty, full, (1, 1, 1)) == 0.0
    assert math.isnan(surface_dice(empty, empty, (1, 1, 1)))
    assert surface_dice(full, full, (1, 1, 1)) == 1.0


def test_surface_dice_of_a_shifted_plate() -> None:
    # Two plates three voxels apart in z: all of both surfaces is 3 voxels away, but for the ends' rims, which are
    # nearer to nothing. The spacing decides whether that is within 2.
    a = block((20, 8, 8), slice(5, 6), slice(None), slice(None))
    b = block((20, 8, 8), slice(8, 9), slice(None), slice(None))
    assert surface_dice(a, b, (0.5, 1.0, 1.0)) == 1.0  # 1.5 mm
    assert surface_dice(a, b, (2.0, 1.0, 1.0)) == 0.0  # the nearest sides are 4 mm apart


def reference_nsd(a: NDArray[np.bool_], b: NDArray[np.bool_], tolerance: float) -> float:
    """NSD by brute force: surface points are the corners where voxels inside and outside meet, each counting as one."""

    def surface(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        padded = np.pad(mask, 1).astype(int)
        around = sum(
            padded[z : padded.shape[0] - 1 + z, y : padded.shape[1] - 1 + y, x : padded.shape[2] - 1 + x]
            for z in (0, 1)
            for y in (0, 1)
            for x in (0, 1)
        )
        return np.argwhere((around > 0) & (around < 8))

    points = surface(a), surface(b)
    distances = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1)
    near = (distances.min(axis=1) <= tolerance).sum() + (distances.min(axis=0) <= tolerance).sum()
    return float(near / (len(points[0]) + len(points[1])))


def test_surface_dice_against_an_independent_computation() -> None:
    z, y, x = np.mgrid[:24, :24, :24]
    ball = (z - 11) ** 2 + (y - 11) ** 2 + (x - 11) ** 2 < 64
    egg = ((z - 12) / 1.4) ** 2 + (y - 11) ** 2 + (x - 13) ** 2 < 50
    # The library weighs each corner with its piece of surface, the reference does not: a few percent on smooth shapes.
    assert surface_dice(ball, egg, (1, 1, 1)) == pytest.approx(reference_nsd(ball, egg, 2.0), abs=0.03)
    assert surface_dice(ball, egg, (1, 1, 1), 1.0) == pytest.approx(reference_nsd(ball, egg, 1.0), abs=0.03)
    assert 0.4 < surface_dice(ball, egg, (1, 1, 1), 1.0) < surface_dice(ball, egg, (1, 1, 1)) < 0.99


def test_objects_one_by_one_are_objects_at_once() -> None:
    truth = RNG.integers(0, 4, (6, 9, 9)).astype(np.uint16)
    prediction = np.where(RNG.random(truth.shape) < 0.7, truth, RNG.integers(0, 7, truth.shape)).astype(np.uint8)
    expected = [
        (dice(truth == k, prediction == k), surface_dice(truth == k, prediction == k, (1, 2, 3))) for k in (1, 2, 3)
    ]
    np.testing.assert_allclose(object_dice(truth, prediction), [e[0] for e in expected])
    np.testing.assert_allclose(object_surface_dice(truth, prediction, (1, 2, 3)), [e[1] for e in expected])


def two_objects() -> NDArray[np.uint16]:
    truth = np.zeros((12, 16, 16), np.uint16)
    truth[2:6, 2:8, 2:8] = 1
    truth[6:10, 9:14, 9:14] = 2
    return truth


def test_rules_of_the_challenge() -> None:
    truth, spacing = two_objects(), (1.0, 1.0, 1.0)
    dsc, nsd, objects = score_case(truth, truth, spacing)
    assert (dsc, nsd, objects) == (1.0, 1.0, (1.0, 1.0))
    # A label above the highest of the truth does not count.
    extra = truth.copy()
    extra[0, 0, 0] = 9
    assert score_case(extra, truth, spacing)[:2] == (1.0, 1.0)
    # An object that was not found is 0 in both, and counts.
    missed = np.where(truth == 2, 0, truth)
    assert score_case(missed, truth, spacing)[:2] == (0.5, 0.5)
    # A label that neither has makes DSC NaN, and NSD 0.
    gap = np.where(truth == 2, 3, truth)
    dsc, nsd, objects = score_case(gap, gap, spacing)
    assert math.isnan(dsc)
    assert nsd == 0.0
    assert objects[0] == objects[2] == 1.0
    # ... but one that only the prediction has is a plain 0.
    assert score_case(np.where(truth == 1, 2, gap), gap, spacing)[2][1] == 0.0
    # Nothing in the truth.
    empty = np.zeros_like(truth)
    assert math.isnan(score_case(truth, empty, spacing)[0])
    assert score_case(truth, empty, spacing)[1:] == (0.0, ())


def test_nsd_only_above_the_threshold() -> None:
    # The shifted object has no voxel in common with the truth, but lies within 2 of it.
    truth = np.zeros((12, 12, 12), np.uint8)
    truth[5, 2:10, 2:10] = 1
    shifted = np.roll(truth, 1, axis=0)
    assert surface_dice(truth == 1, shifted == 1, (1, 1, 1)) == 1.0
    assert score_case(shifted, truth, (1.0, 1.0, 1.0))[:2] == (0.0, 0.0)


def test_order_of_the_spacing() -> None:
    truth = np.zeros((20, 12, 12), np.uint8)
    truth[4:12, 2:10, 2:10] = 1
    shifted = np.roll(truth, 3, axis=0)  # three slices of 5 mm each, if the order is right
    spacing = (0.5, 0.5, 5.0)
    as_published = score_case(shifted, truth, spacing)[1]
    corrected = score_case(shifted, truth, spacing, "corrected")[1]
    assert as_published == 1.0  # 3 x 0.5 mm
    assert corrected < 0.9


def test_images_have_pixels() -> None:
    truth = np.zeros((30, 30), np.uint8)
    truth[5:20, 5:20] = 1
    dsc, nsd, _ = score_case(np.roll(truth, 2, 1), truth)
    assert dsc == pytest.approx(2 * 15 * 13 / 450)
    assert nsd == 1.0
    assert score_case(np.roll(truth, 4, 1), truth)[1] < 1.0


def test_bad_arguments() -> None:
    truth = two_objects()
    for prediction, spacing, message in (
        (truth[:-1], (1, 1, 1), "shape"),
        (truth, None, "spacing"),
        (truth, (1, 1), "spacing"),
        (truth.astype(np.float32), (1, 1, 1), "integers"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            score_case(prediction, truth, spacing)


def test_a_folder(tmp_path: Path) -> None:
    segs, gts = tmp_path / "segs", tmp_path / "gts"
    segs.mkdir()
    gts.mkdir()
    truth = two_objects()
    flat = truth[3].copy()
    for name in ("3DBox_CT_b_1", "3DBox_CT_a_1", "3DBox_MR_bad_1", "3DBox_MR_missing_1", "3DBox_MR_shape_1"):
        np.savez(gts / f"{name}.npz", gts=truth, spacing=np.array([1.0, 1.0, 2.0]))
        np.savez(segs / f"{name}.npz", segs=truth)
    np.savez(gts / "2DBox_US_a_1.npz", gts=flat)
    np.savez(segs / "2DBox_US_a_1.npz", segs=np.where(flat, 1, 0))
    np.savez(segs / "3DBox_CT_b_1.npz", segs=np.where(truth == 2, 0, truth))
    (segs / "3DBox_MR_missing_1.npz").unlink()
    (segs / "3DBox_MR_bad_1.npz").write_bytes(b"PK")
    np.savez(segs / "3DBox_MR_shape_1.npz", segs=truth[:3])
    seen: list[tuple[int, int, str]] = []
    result = evaluate_folder(segs, gts, progress=lambda *step: seen.append(step))
    assert [(score.case, score.modality, score.dsc, score.nsd) for score in result.cases] == [
        ("2DBox_US_a_1.npz", "US", 1.0, 1.0),
        ("3DBox_CT_a_1.npz", "CT", 1.0, 1.0),
        ("3DBox_CT_b_1.npz", "CT", 0.5, 0.5),
    ]
    assert [(g.name, g.cases, g.dsc) for g in result.by_modality()] == [("CT", 2, 0.75), ("US", 1, 1.0)]
    assert result.mean().dsc == pytest.approx(2.5 / 3)
    assert [case for case, _ in result.problems] == [
        "3DBox_MR_bad_1.npz",
        "3DBox_MR_missing_1.npz",
        "3DBox_MR_shape_1.npz",
    ]
    assert len(seen) == 6
    with pytest.raises(InvalidArgument, match="no such folder"):
        evaluate_folder(tmp_path / "no", gts)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArgument, match="no case"):
        evaluate_folder(segs, tmp_path / "empty")


def test_the_published_scripts_masks_score_as_published() -> None:
    """The means of the published script's answers on the test data (docs/test_data.md); two modalities, for time."""
    shared = Path(__file__).resolve().parents[4] / "shared"
    segs, gts = shared / "reference" / "litemedsam" / "open", shared / "data" / "open"
    if not (segs.is_dir() and gts.is_dir()):
        pytest.skip("needs ../shared, which has the real cases")
    expected = {"Fundus": 0.527, "PET": 0.205, "MR": 0.273}
    for modality, mean in expected.items():
        scores = []
        for truth in sorted(gts.glob(f"*Box_{modality}_*.npz")):
            with np.load(truth) as t, np.load(segs / truth.name) as s:
                scores.append(float(np.mean(object_dice(t["gts"], s["segs"]))))
        assert np.mean(scores) == pytest.approx(mean, abs=5e-4)
