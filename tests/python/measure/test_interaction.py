# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The simulated user's boxes and clicks, and the scores and areas, against values computed by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("scipy", reason="scipy comes with the extra [eval]")
pytest.importorskip("surface_distance", reason="surface-distance comes with the extra [eval]")

from medsam_engine import InvalidArgument
from medsam_engine.measure.interaction import (
    Case,
    CaseResult,
    Curve,
    ObjectResult,
    Protocol,
    area,
    chosen_labels,
    interact,
)
from medsam_engine.measure.interaction_means import InteractiveEvaluation
from medsam_engine.measure.simulated_user import Click, deepest_pixel, middle_slice, next_click, tight_box


def rectangle(shape: tuple[int, ...], *ranges: tuple[int, int]) -> NDArray[np.bool_]:
    """True from the first to before the last index along each axis."""
    mask = np.zeros(shape, np.bool_)
    mask[tuple(slice(*ends) for ends in ranges)] = True
    return mask


def test_tight_boxes_begin_with_x() -> None:
    assert tight_box(rectangle((9, 9), (2, 5), (4, 9))) == (4, 2, 8, 4)
    assert tight_box(rectangle((4, 9, 9), (1, 3), (2, 5), (4, 9))) == (4, 2, 1, 8, 4, 2)


def test_the_middle_slice_has_the_object() -> None:
    truth = np.zeros((9, 4, 4), np.bool_)
    truth[[1, 2, 7], 0, 0] = True
    assert middle_slice(truth) == 2  # of 1 to 7 the middle is 4, where there is nothing
    truth[6] = True
    assert middle_slice(truth) == 2  # as far from 4 as 6, and lower


def test_the_deepest_pixel_and_its_distance() -> None:
    assert deepest_pixel(rectangle((20, 20), (3, 8), (5, 16))) == (3.0, 5, 7)  # of five on the middle row the first
    assert deepest_pixel(rectangle((4, 4), (0, 4), (0, 4))) == (2.0, 1, 1)  # the border of the image is an edge
    # A plus sign: the nearest pixel outside lies diagonally. City-block distances would be 2.
    plus = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.bool_)
    assert deepest_pixel(np.pad(plus, 1)) == (math.sqrt(2), 2, 2)
    assert deepest_pixel(np.zeros((3, 3), np.bool_)) == (0.0, 0, 0)


def test_clicks_are_on_the_worst_error() -> None:
    shape = (3, 20, 20)
    truth = rectangle(shape, (0, 3), (2, 13), (2, 13))
    assert next_click(truth, truth) is None
    assert next_click(truth, np.zeros(shape, np.bool_)) == Click(7, 7, 0, True)
    mask = truth.copy()
    mask[1, 2:13, 8:13] = False  # 55 voxels missed, the deepest of them at 3
    mask[2, 2:6, 2:6] = False  # 16 voxels
    assert next_click(truth, mask) == Click(10, 4, 1, True)
    mask[1, 2:13, 13:20] = True  # 77 too many, the deepest at 4
    assert next_click(truth, mask) == Click(16, 5, 1, False)


def test_of_equally_deep_errors_the_first() -> None:
    truth, mask = rectangle((1, 9, 9), (0, 1), (4, 5), (2, 3)), rectangle((1, 9, 9), (0, 1), (4, 5), (6, 7))
    assert next_click(truth, mask) == Click(2, 4, 0, True)
    assert next_click(mask, truth) == Click(2, 4, 0, False)


def test_the_area_leaves_out_the_start_as_the_challenge_does() -> None:
    assert area([0.1, 0.5, 0.6, 0.9]) == pytest.approx((0.5 + 0.6) / 2 + (0.6 + 0.9) / 2)
    assert area([0.0, 1, 1, 1, 1, 1]) == 4.0
    assert area([0.1, 0.5]) == 0.0
    assert math.isnan(area([0.1]))


def test_which_objects_are_taken() -> None:
    truth = np.repeat([0, 7, 2, 300], [50, 5, 20, 9])
    assert chosen_labels(truth, Protocol()) == [(2, 20), (7, 5), (300, 9)]
    assert chosen_labels(truth, Protocol(limit=1, least=10)) == [(2, 20)]
    assert chosen_labels(truth, Protocol(limit=1, least=6)) == [(2, 20)]
    assert chosen_labels(truth, Protocol(least=6)) == [(2, 20), (300, 9)]
    assert chosen_labels(truth, Protocol(least=21)) == []


class Repairing:
    """A session that draws nothing at first and, with each click, the truth in the rows up to the click's."""

    def __init__(self, truth: NDArray[np.bool_]) -> None:
        self.truth, self.drawn, self.calls = truth, np.zeros_like(truth), list[Any]()

    def add_box(self, _: str, box: Any, plane: int | None = None) -> None:
        self.calls.append(("box", tuple(box), plane))

    def add_click(self, _: str, point: Any, positive: bool, plane: int | None) -> None:
        self.calls.append(("click", tuple(point), positive, plane))
        part = ... if plane is None else plane
        self.drawn[part][: point[1] + 1] = self.truth[part][: point[1] + 1]

    def propagate(self, _: str) -> None:
        self.calls.append("propagate")

    def mask(self, _: str) -> NDArray[np.bool_]:
        return self.drawn.copy()

    def reset(self) -> None:
        self.drawn[...] = False


def run(truth: NDArray[np.bool_], protocol: Protocol, spacing: Any = (1.0, 1.0, 1.0)) -> tuple[ObjectResult, list[Any]]:
    session: Any = Repairing(truth)
    case = Case("a.npz", "US", np.zeros(truth.shape, np.uint8), truth.astype(np.uint8) * 3, spacing, None)
    result = interact(lambda _: session, case, protocol)
    assert result is not None
    return result.objects[0], session.calls


def test_an_image_from_a_box() -> None:
    truth = rectangle((30, 30), (4, 12), (4, 12))  # rows 4 to 11; the deepest pixel is (7, 7)
    found, calls = run(truth, Protocol(interactions=5), None)
    assert calls == [
        ("box", (4, 4, 11, 11), None),
        ("click", (7, 7), True, None),  # rows 8 to 11 are left, of which (9, 5) is the first of the deepest
        ("click", (5, 9), True, None),
        ("click", (4, 10), True, None),
        ("click", (4, 11), True, None),
    ]
    half, most, nearly = 2 * 32 / (64 + 32), 2 * 48 / (64 + 48), 2 * 56 / (64 + 56)
    assert found.curve.dsc == pytest.approx((0.0, half, most, nearly, 1.0, 1.0))  # no click is left for the sixth
    assert found.curve.dsc_auc == pytest.approx((half + most) / 2 + (most + nearly) / 2 + (nearly + 1) / 2 + 1)
    assert (found.curve.nsd[0], found.curve.nsd[-1]) == (0.0, 1.0)
    assert (found.label, found.voxels, len(found.seconds)) == (3, 64, 5)


@pytest.mark.parametrize(
    ("start", "propagate", "calls"),
    [
        ("box", False, [("box", (4, 4, 1, 11, 11, 3), None), ("click", (7, 7), True, 1)]),
        ("click", False, [("click", (7, 7), True, 1), "propagate", ("click", (7, 7), True, 2)]),
        ("slice-box", False, [("box", (4, 4, 11, 11), 2), "propagate", ("click", (7, 7), True, 1)]),
        ("box", True, [("box", (4, 4, 1, 11, 11, 3), None), ("click", (7, 7), True, 1), "propagate"]),
    ],
)
def test_a_volume(start: Any, propagate: bool, calls: list[Any]) -> None:
    truth = rectangle((5, 30, 30), (1, 4), (4, 12), (4, 12))
    assert run(truth, Protocol(start, 1, propagate))[1] == calls


def test_a_volume_needs_its_spacing_and_a_case_an_object() -> None:
    truth = rectangle((5, 30, 30), (1, 4), (4, 12), (4, 12))
    with pytest.raises(InvalidArgument, match="spacing"):
        run(truth, Protocol(start="click", interactions=2), None)
    case = Case("a", "", np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), None, None)
    assert interact(lambda _: pytest.fail("a session without an object"), case, Protocol()) is None


def test_means_of_cases_and_of_objects() -> None:
    def result(name: str, modality: str, *scores: float) -> CaseResult:
        objects = [ObjectResult(1, 9, Curve((s, 1.0), (0.0, s)), (0.5, s)) for s in scores]
        return CaseResult(name, modality, tuple(objects))

    evaluation = InteractiveEvaluation((result("a", "US", 0.0), result("b", "US", 0.4, 0.8), result("c", "CT", 0.2)))
    assert [(g.name, g.cases, g.objects) for g in evaluation.by_modality()] == [("CT", 1, 1), ("US", 2, 3)]
    assert evaluation.by_modality()[1].curve.dsc == pytest.approx((0.3, 1.0))
    cases, objects = evaluation.mean(), evaluation.mean_of_objects()
    assert cases is not None
    assert objects is not None
    assert cases.curve.dsc == pytest.approx(((0.0 + 0.6 + 0.2) / 3, 1.0))
    assert objects.curve.dsc == pytest.approx((1.4 / 4, 1.0))
    assert (evaluation.start_times().calls, evaluation.start_times().median) == (4, 0.5)
    assert evaluation.correction_times().median == pytest.approx(0.3)
    nothing = InteractiveEvaluation(())
    assert (nothing.by_modality(), nothing.mean(), nothing.mean_of_objects()) == ([], None, None)
    assert math.isnan(nothing.start_times().median)
