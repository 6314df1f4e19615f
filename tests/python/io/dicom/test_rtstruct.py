# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Boxes of RTSTRUCT, made by hand: geometry on an oblique series, odd contours, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsam_engine import InvalidArgument, io

pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
from dicom_builder import item, slice_dataset, straight, write_series
from label_objects import contour, headers, in_mm, rtstruct_dataset, saved

ROW, COLUMN = np.array([0.936, 0.352, 0.0]), np.array([-0.352, 0.936, 0.0])
OBLIQUE = (*(ROW / np.linalg.norm(ROW)), *(COLUMN / np.linalg.norm(COLUMN)))
SQUARE = [[2.6, 3.6], [7.3, 3.6], [7.3, 8.4], [2.6, 8.4]]  # the centers of columns 3 to 7 and rows 4 to 8
BOX = [3, 4, 1, 7, 8, 3]


@pytest.fixture
def series(tmp_path: Path) -> io.MedicalImage:
    write_series(tmp_path / "series", np.zeros((6, 12, 10), np.int16), straight(6, 2.5, OBLIQUE), OBLIQUE)
    return io.read(tmp_path / "series")


def squares(image: io.MedicalImage, slices: tuple[float, ...] = (1, 2, 3), **tags: Any) -> list[Any]:
    return [contour(in_mm(image, SQUARE, k), **tags) for k in slices]


def read(folder: Path, made: Any, image: io.MedicalImage) -> io.NamedBoxes:
    return io.read_boxes(saved(folder / "rs.dcm", made), image)


def test_numbers_names_and_voxel_centers(tmp_path: Path, series: io.MedicalImage) -> None:
    other = [contour(in_mm(series, [[0.2, 9.2], [3.3, 10.7], [0.6, 11.4]], 5))]
    made = rtstruct_dataset(series, {12: ("GTV \u809d", squares(series)), 3: ("", other)})
    found = read(tmp_path, made, series)
    np.testing.assert_array_equal(found.labels, [3, 12])
    np.testing.assert_array_equal(found.boxes, [[1, 10, 5, 2, 11, 5], BOX])
    assert (found.names, found.notes) == (("label 3", "GTV \u809d"), ())
    assert io.read_names(tmp_path / "rs.dcm") == {12: "GTV \u809d", 3: "label 3"}


def test_a_single_image(tmp_path: Path) -> None:
    image = io.read(saved(tmp_path / "a.dcm", slice_dataset(np.zeros((12, 10), np.uint16))))
    found = read(tmp_path, rtstruct_dataset(image, {1: ("a", squares(image, (0,)))}), image)
    np.testing.assert_array_equal(found.boxes, [[3, 4, 7, 8]])


def test_holes_and_doubled_contours_do_not_change_a_box(tmp_path: Path, series: io.MedicalImage) -> None:
    hole = [contour(in_mm(series, [[4, 5], [6, 5], [6, 7], [4, 7]], 2))]
    made = rtstruct_dataset(series, {1: ("a", [*squares(series), *hole, *squares(series)])})
    np.testing.assert_array_equal(read(tmp_path, made, series).boxes, [BOX])


def test_contours_of_the_type_xor_are_combined_in_their_plane(tmp_path: Path, series: io.MedicalImage) -> None:
    kind = "CLOSEDPLANAR_XOR"
    left = contour(in_mm(series, [[2.6, 3.6], [4.5, 3.6], [4.5, 8.4], [2.6, 8.4]], 2), kind)
    made = rtstruct_dataset(series, {1: ("a", [contour(in_mm(series, SQUARE, 2), kind), left])})
    np.testing.assert_array_equal(read(tmp_path, made, series).boxes, [[5, 4, 2, 7, 8, 2]])


@pytest.mark.parametrize(("written", "read_as"), [("a\\b", "a\\b"), ("a\\\\b", "a\\\\b"), ("", "label 1")])
def test_a_name_with_a_backslash_stays_text(
    tmp_path: Path, series: io.MedicalImage, written: str, read_as: str
) -> None:
    """It separates values, so pydicom makes a list of it."""
    made = rtstruct_dataset(series, {1: (written, squares(series))})
    assert read(tmp_path, made, series).names == (read_as,)


def test_points_and_open_contours_are_left_out_with_a_note(tmp_path: Path, series: io.MedicalImage) -> None:
    others = [
        contour(in_mm(series, [[9, 11]], 5), "POINT"),
        contour(in_mm(series, [[0, 0], [9, 11]], 5), "OPEN_PLANAR"),
        contour(in_mm(series, [[0, 0], [9, 11]], 5), "OPEN_PLANAR"),
    ]
    point = [contour(in_mm(series, [[9, 11]], 5), "POINT")]
    made = rtstruct_dataset(series, {1: ("a", [*squares(series), *others]), 2: ("isocenter", point)})
    found = read(tmp_path, made, series)
    np.testing.assert_array_equal(found.boxes, [BOX])
    assert found.notes == (
        "rs.dcm: 1 contours of ROI 1 (a) left out: POINT, expected CLOSED_PLANAR",
        "rs.dcm: 2 contours of ROI 1 (a) left out: OPEN_PLANAR, expected CLOSED_PLANAR",
        "rs.dcm: 1 contours of ROI 2 (isocenter) left out: POINT, expected CLOSED_PLANAR",
        "rs.dcm: no voxel of 2 (isocenter) in the image; left out",
    )


def test_contours_between_slices_count_for_the_nearest(tmp_path: Path, series: io.MedicalImage) -> None:
    made = rtstruct_dataset(series, {1: ("a", squares(series, (0.6, 1, 2, 3.4)))})
    found = read(tmp_path, made, series)
    np.testing.assert_array_equal(found.boxes, [BOX])
    assert found.notes == ("rs.dcm: 2 contours of ROI 1 (a) lie between slices; each counts for the nearest one",)


def test_contours_beyond_the_image_are_noted(tmp_path: Path, series: io.MedicalImage) -> None:
    wide = [contour(in_mm(series, [[-4, 3.6], [7.3, 3.6], [7.3, 30], [-4, 30]], 1))]
    made = rtstruct_dataset(series, {1: ("a", [*squares(series, (-2, -0.6, 4, 5.4, 7)), *wide])})
    found = read(tmp_path, made, series)
    np.testing.assert_array_equal(found.boxes, [[0, 4, 1, 7, 11, 5]])
    assert "rs.dcm: 3 contours of ROI 1 (a) left out: beyond the first or last slice of the image" in found.notes
    assert "rs.dcm: 1 contours of ROI 1 (a) reach beyond the image's sides; its box ends there" in found.notes


def test_an_object_between_voxel_centers(tmp_path: Path, series: io.MedicalImage) -> None:
    thin = [contour(in_mm(series, [[4.2, 5.3], [4.7, 5.3], [4.7, 5.6]], k)) for k in (2, 3)]
    found = read(tmp_path, rtstruct_dataset(series, {1: ("nerve", thin)}), series)
    np.testing.assert_array_equal(found.boxes, [[4, 5, 2, 5, 6, 3]])
    assert "2 contours of ROI 1 (nerve) hold no voxel center" in found.notes[0]


def test_roi_numbers_from_0_are_counted_anew(tmp_path: Path, series: io.MedicalImage) -> None:
    made = rtstruct_dataset(series, {0: ("a", squares(series)), 1: ("b", squares(series, (5,)))})
    found = read(tmp_path, made, series)
    np.testing.assert_array_equal(found.labels, [1, 2])
    assert found.names == ("a", "b")
    assert "ROI numbers below 1" in found.notes[0]


def test_slices_are_where_their_files_say(tmp_path: Path) -> None:
    """Steps may differ; the even grid would put this contour onto the next slice."""
    along = np.array([0, 2.6, 5.2, 7.8, 10.3, 12.8])
    places = np.array([10.0, -20.0, 30.0]) + np.outer(along, np.cross(OBLIQUE[:3], OBLIQUE[3:]))
    write_series(tmp_path / "series", np.zeros((6, 12, 10), np.int16), places, OBLIQUE)
    image = io.read(tmp_path / "series")
    limit = 2.5 + 0.025  # between the middles of slices 2 and 3 by the even grid (2.5) and by the files (6.5 mm)
    made = rtstruct_dataset(image, {1: ("a", squares(image, (limit,)))})
    assert read(tmp_path, made, image).boxes[0, 2] == 2


def test_another_series_on_the_same_slices_is_noted(tmp_path: Path, series: io.MedicalImage) -> None:
    made = rtstruct_dataset(series, {1: ("a", squares(series))})
    study = made.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    study.RTReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3"
    assert "refers to another series (1.2.3)" in read(tmp_path, made, series).notes[0]


@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, when the file is made
def test_text_of_any_length_is_cut(tmp_path: Path, series: io.MedicalImage) -> None:
    made = rtstruct_dataset(series, {1: ("n" * 9000, squares(series)), 2: ("b", squares(series, kind="K" * 9000))})
    found = read(tmp_path, made, series)
    assert found.names == ("n" * 253 + "...",)
    assert max(map(len, found.notes)) < 200
    made.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "1" * 9000
    with pytest.raises(InvalidArgument, match="frame of reference 11") as caught:
        read(tmp_path, made, series)
    assert len(str(caught.value)) < 2000


def data(*words: str) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        broken = made.ROIContourSequence[0].ContourSequence[0]
        text = "\\".join(words).encode()
        tag = pydicom.tag.Tag("ContourData")
        broken._dict[tag] = pydicom.dataelem.RawDataElement(tag, "DS", len(text), text, 0, False, True)

    return change


def points_across(made: Any) -> None:
    values = made.ROIContourSequence[0].ContourSequence[0].ContourData
    values[2] = float(values[2]) + 1.0


def refers_to(k: int) -> Callable[[Any], None]:
    def change(made: Any) -> None:
        made.ROIContourSequence[0].ContourSequence[0].ContourImageSequence = [item(ReferencedSOPInstanceUID=UIDS[k])]

    return change


UIDS: list[str] = []
REFUSED: dict[str, tuple[Callable[[Any], None], str]] = {
    "another frame of reference": (
        lambda made: setattr(made.StructureSetROISequence[0], "ReferencedFrameOfReferenceUID", "1.2.3"),
        r"ROI 1 \(a\) of the frame of reference 1.2.3",
    ),
    "a contour across the slices": (points_across, r"contour 1 of ROI 1 \(a\) in .* spans 1.00 mm across"),
    "a reference to another slice": (refers_to(5), "at slice 1 of .* refers to slice 5"),
    "an ROI without a name item": (lambda made: made.StructureSetROISequence.pop(), "without a StructureSet"),
    "contours of an ROI twice": (
        lambda made: made.ROIContourSequence.append(made.ROIContourSequence[0]), "ROI 1 twice",
    ),
    "an ROI number twice": (
        lambda made: made.StructureSetROISequence.append(made.StructureSetROISequence[0]), "ROI number 1 twice",
    ),
    "two numbers for a point": (data("1", "2"), "got 2 numbers for 4 points"),
    "another count": (data(*"123"), "got 3 numbers for 4 points"),
    "none": (data(), "got 0 numbers for 4 points"),
    "a decimal comma": (data(*["1,5"] * 12), "expected numbers"),
    "an underscore": (data(*["1_5"] * 12), "expected numbers"),
    "no number": (data(*["nan"] * 12), "within 100 m"),
    "far away": (data(*["1e300"] * 12), "within 100 m"),
    "no contours": (lambda made: made.__delattr__("ROIContourSequence"), "no object with a voxel"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(tmp_path: Path, series: io.MedicalImage, name: str) -> None:
    UIDS[:] = [str(header.SOPInstanceUID) for header in headers(series)]
    change, words = REFUSED[name]
    made = rtstruct_dataset(series, {1: ("a", squares(series))})
    change(made)
    with pytest.raises(InvalidArgument, match=words) as caught:
        read(tmp_path, made, series)
    assert str(caught.value).startswith("labels: got ")
    assert str(caught.value).isprintable()


def test_an_image_that_does_not_lie_in_space(tmp_path: Path, series: io.MedicalImage) -> None:
    absent = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient"))
    image = io.read(saved(tmp_path / "a.dcm", slice_dataset(np.zeros((12, 10), np.uint16), Modality="DX", **absent)))
    with pytest.raises(InvalidArgument, match="has no position"):
        read(tmp_path, rtstruct_dataset(series, {1: ("a", squares(series))}), image)


def test_images_are_told_from_contours(tmp_path: Path, series: io.MedicalImage) -> None:
    path = saved(tmp_path / "rs.dcm", rtstruct_dataset(series, {1: ("a", squares(series))}))
    with pytest.raises(InvalidArgument, match=r"no pixels in .* \(RTSTRUCT\).*--boxes-from"):
        io.read(path)
