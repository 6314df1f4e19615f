# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Axes say the coordinates that --box and --box-mm take, and nothing where no axis can."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam_engine.io import MedicalImage
from medsam_engine.io.boxes import boxes_from_mm
from medsam_engine.show.slice_axes import decimals, slice_axes, tick_step, ticks


def image(direction: object = None, **changes: object) -> MedicalImage:
    known = {
        "array": np.zeros((5, 40, 60), np.uint8),
        "spacing": (0.7, 0.9, 3.0),
        "origin": (-100.0, 50.0, 7.5),
        "direction": np.eye(3) if direction is None else np.asarray(direction, float),
        "modality": "",
        "path": Path("scan"),
    }
    return MedicalImage(**{**known, **changes})  # type: ignore[arg-type]  # fields of several types


TURNS = {
    "axial": np.eye(3),
    "NIfTI's RAS order": np.diag([-1.0, -1.0, 1.0]),
    "feet up": np.diag([1.0, 1.0, -1.0]),
    "coronal": [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
    "sagittal": [[0, 0, 1], [1, 0, 0], [0, -1, 0]],
}


@pytest.mark.parametrize("name", TURNS)
def test_millimeters_of_the_axes_are_those_of_box_mm(name: str) -> None:
    scan = image(TURNS[name])
    mm = slice_axes(scan).mm
    assert mm is not None
    index = (11, 22, 3)
    point = {scale.name: scale.at(k) for scale, k in zip(mm, index, strict=True)}
    corner = [point[axis] for axis in "xyz"]
    np.testing.assert_array_equal(boxes_from_mm([corner * 2], scan), [index * 2])


def test_an_image_without_position_counts_from_its_first_pixel() -> None:
    flat = image(array=np.zeros((40, 60), np.uint8), positioned=False, origin=(0.0, 0.0, 0.0))
    mm = slice_axes(flat).mm
    assert mm is not None
    corner = [mm[0].at(11), mm[1].at(22)]
    np.testing.assert_array_equal(boxes_from_mm([corner * 2], flat), [[11, 22, 11, 22]])
    assert slice_axes(flat).title(0) == ""


def test_oblique_and_unknown_grids_have_voxels_only() -> None:
    def turned(degrees: float) -> list[list[float]]:
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        return [[c, -s, 0], [s, c, 0], [0, 0, 1]]

    oblique = slice_axes(image(turned(20.0)))
    assert oblique.mm is None
    assert "oblique" in oblique.note
    assert slice_axes(image(turned(0.2))).mm is not None  # less than half a voxel over the whole grid
    assert slice_axes(image(turned(2.0))).mm is None
    unknown = slice_axes(image(spaced=False))
    assert unknown.mm is None
    assert "no pixel spacing" in unknown.note
    assert unknown.title(3) == "slice 3"


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": (1e6, 0.0, 0.0)},
        {"origin": (1e5, 0.0, 0.0), "spacing": (1e-5, 1.0, 1.0)},
        {"spacing": (1e-7, 1e6, 1.0)},
        {"spacing": (1.0, 1.0, 1e6)},
        {"origin": (-1000.0, 0.0, 0.0), "spacing": (1e-7, 1.0, 1.0)},
    ],
)
@pytest.mark.parametrize("flat", [False, True])
def test_implausible_places_have_voxels_only_and_can_be_drawn(changes: dict[str, Any], flat: bool) -> None:
    pytest.importorskip("PIL", reason="Pillow is not in a thin installation")
    from medsam_engine.show.axes_picture import image_tile
    from medsam_engine.show.preview import contact_sheet

    scan = image(**changes)
    axes = slice_axes(scan)
    assert axes.mm is None
    assert "implausible" in axes.note
    tile = image_tile(scan.grid[1:], axes.spacing) if flat else 64
    sheet = contact_sheet(scan.array, scan.array, tile=tile, slices=[0], axes=axes)
    assert max(sheet.shape) < 6000


def test_titles_name_the_slice_and_its_place() -> None:
    assert slice_axes(image()).title(2) == "slice 2   z 13.5 mm"
    assert slice_axes(image(TURNS["sagittal"])).title(1) == "slice 1   x -97.0 mm"
    flat = image(array=np.zeros((40, 60), np.uint8))
    assert slice_axes(flat).title(0) == "z 7.5 mm"  # which --box-mm asks for


@given(st.floats(-1e4, 1e4), st.floats(1e-4, 1e4), st.integers(1, 40), st.booleans(), st.booleans())
def test_ticks_are_round_few_and_inside(first: float, span: float, most: int, whole: bool, reverse: bool) -> None:
    ends = (first, first + span)
    values, step = ticks(*(ends[::-1] if reverse else ends), most, whole)
    assert len(values) <= most + 1
    assert all(ends[0] - 1e-5 * step <= value <= ends[1] + 1e-5 * step for value in values)
    assert np.allclose(np.diff(values), step)
    if whole:
        assert step >= 1
        assert all(float(value).is_integer() for value in values)
    assert round(step / 10 ** np.floor(np.log10(step) + 1e-9), 6) in (1, 2, 5)


def test_steps_and_decimals() -> None:
    assert [tick_step(511, n) for n in (6, 12, 30)] == [100, 50, 20]
    assert [decimals(step) for step in (50, 1, 0.5, 0.2, 0.05, 0.001)] == [0, 0, 1, 1, 2, 3]
