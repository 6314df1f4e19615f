# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Folders of DICOM slices: order, geometry against SimpleITK, and every way in which they are no volume."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import InvalidArgument, io

pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")

from dicom_builder import AXIAL, slice_dataset, straight, write_series

RNG = np.random.default_rng(5)


def volume(depth: int = 5) -> NDArray[np.int16]:
    return RNG.integers(-900, 900, (depth, 12, 10)).astype(np.int16)


def rotated(degrees: tuple[float, float, float]) -> tuple[float, ...]:
    """Row and column cosines of a scanner turned about all three axes."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        a, b = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return (*matrix[:, 0], *matrix[:, 1])


@pytest.mark.parametrize(
    "directions",
    [AXIAL, (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0), rotated((9, -14, 23))],
    ids=["axial", "sagittal", "flipped", "oblique"],
)
def test_geometry_and_values_are_those_of_simpleitk(tmp_path: Path, directions: tuple[float, ...]) -> None:
    values = volume()
    write_series(tmp_path / "s", values, straight(5, 2.5, directions), directions)
    image = io.read(tmp_path / "s")
    np.testing.assert_array_equal(image.array, values)
    assert image.array.dtype == np.int16
    assert image.modality == "CT"
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "s")))
    expected = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(expected), image.array)
    np.testing.assert_allclose(image.spacing, expected.GetSpacing(), atol=1e-6)
    np.testing.assert_allclose(image.origin, expected.GetOrigin(), atol=1e-6)
    np.testing.assert_allclose(image.direction.ravel(), expected.GetDirection(), atol=1e-6)
    assert image.spacing[:2] == (0.75, 0.5)  # PixelSpacing is rows first


def test_two_series_are_listed_and_chosen(tmp_path: Path) -> None:
    first, second = volume(3), volume(4)
    write_series(tmp_path, first, straight(3, 2.0), SeriesInstanceUID="1.2.3")
    for path in write_series(tmp_path / "b", second, straight(4, 2.0), SeriesInstanceUID="1.2.4"):
        path.rename(tmp_path / f"b{path.name}")
    with pytest.raises(InvalidArgument) as caught:
        io.read(tmp_path)
    for words in ("1.2.3: 3 files", "1.2.4: 4 files", "--series UID"):
        assert words in str(caught.value)
    np.testing.assert_array_equal(io.read(tmp_path, series="1.2.3").array, first)
    np.testing.assert_array_equal(io.read(tmp_path, series="1.2.4").array, second)
    with pytest.raises(InvalidArgument, match=r"1\.2\.5.*1\.2\.3"):
        io.read(tmp_path, series="1.2.5")


def test_a_missing_slice_is_named(tmp_path: Path) -> None:
    files = write_series(tmp_path, volume(6), straight(6, 2.0))
    files[2].unlink()
    with pytest.raises(InvalidArgument) as caught:
        io.read(tmp_path)
    message = str(caught.value)
    for words in ("4.00 mm", files[1].name, files[3].name, "expected 2.00 mm", "about 1 missing"):
        assert words in message
    assert "\n" not in message


def test_one_of_three_slices_missing(tmp_path: Path) -> None:
    write_series(tmp_path, volume(3), straight(4, 2.0)[[0, 1, 3]])
    with pytest.raises(InvalidArgument, match="about 1 missing"):
        io.read(tmp_path)


def test_small_unevenness_of_real_scanners_is_accepted(tmp_path: Path) -> None:
    positions = straight(5, 2.0)
    positions[2, 2] += 0.05
    write_series(tmp_path, volume(5), positions)
    assert io.read(tmp_path).spacing[2] == pytest.approx(2.0)


def test_two_slices_in_one_place(tmp_path: Path) -> None:
    write_series(tmp_path, volume(4), straight(4, 2.0)[[0, 1, 1, 2]])
    with pytest.raises(InvalidArgument, match="1 pairs of slices in one place") as caught:
        io.read(tmp_path)
    assert "32.00 mm" in str(caught.value)


def test_gantry_tilt_is_refused(tmp_path: Path) -> None:
    positions = straight(5, 2.0)
    positions[:, 1] += np.arange(5) * 2.0 * np.tan(np.radians(15))
    write_series(tmp_path, volume(5), positions)
    with pytest.raises(InvalidArgument, match=r"15\.0 degrees.*gantry tilt"):
        io.read(tmp_path)


def test_a_small_tilt_adds_up(tmp_path: Path) -> None:
    """2 degrees, which highdicom takes for straight: 2.1 mm from the first slice to the last."""
    positions = straight(31, 2.0)
    positions[:, 1] += np.arange(31) * 2.0 * np.tan(np.radians(2))
    write_series(tmp_path, volume(31), positions)
    with pytest.raises(InvalidArgument, match=r"2\.1 mm \(2\.0 degrees\).*gantry tilt"):
        io.read(tmp_path)


def test_a_localizer_in_the_series(tmp_path: Path) -> None:
    write_series(tmp_path, volume(3), straight(3, 2.0), SeriesInstanceUID="1.2.3")
    localizer = slice_dataset(
        np.zeros((12, 10), np.int16),
        SeriesInstanceUID="1.2.3",
        ImageOrientationPatient=[0, 1, 0, 0, 0, -1],
    )
    localizer.save_as(tmp_path / "zzz.dcm", enforce_file_format=True)
    with pytest.raises(InvalidArgument, match=r"different orientation.*localizers"):
        io.read(tmp_path)
    slice_dataset(np.zeros((9, 10), np.int16), SeriesInstanceUID="1.2.3").save_as(tmp_path / "zzz.dcm")
    with pytest.raises(InvalidArgument, match="one size"):
        io.read(tmp_path)
    slice_dataset(np.zeros((12, 10), np.int16), SeriesInstanceUID="1.2.3", ImagePositionPatient=None).save_as(
        tmp_path / "zzz.dcm"
    )
    with pytest.raises(InvalidArgument, match="position"):
        io.read(tmp_path)


def test_other_files_are_left_out_and_said(tmp_path: Path) -> None:
    values = volume(3)
    write_series(tmp_path, values, straight(3, 2.0))
    (tmp_path / "readme.txt").write_text("not DICOM")
    slice_dataset(np.zeros((4, 4), np.int16), Modality="RTDOSE", SeriesInstanceUID="9.9").save_as(tmp_path / "dose")
    image = io.read(tmp_path)
    np.testing.assert_array_equal(image.array, values)
    assert set(image.notes) == {"1 files left out: RTDOSE", "1 files left out: no DICOM file"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArgument, match="no DICOM image"):
        io.read(tmp_path / "empty")


def test_slopes_that_differ_by_slice(tmp_path: Path) -> None:
    stored = RNG.integers(0, 30000, (3, 6, 5)).astype(np.uint16)
    for k, slope in enumerate((0.5, 1.25, 3.0)):
        position = [0.0, 0.0, 2.0 * k]
        slice_dataset(
            stored[k], RescaleSlope=slope, Modality="PT", ImagePositionPatient=position, SeriesInstanceUID="1.2.3"
        ).save_as(tmp_path / f"{k}.dcm", enforce_file_format=True)
    image = io.read(tmp_path)
    assert image.array.dtype == np.float32
    np.testing.assert_allclose(image.array.astype(float), stored * np.array([0.5, 1.25, 3.0])[:, None, None], rtol=1e-6)


def test_a_damaged_slice_is_named(tmp_path: Path) -> None:
    files = write_series(tmp_path, volume(3), straight(3, 2.0))
    files[1].write_bytes(files[1].read_bytes()[:-60])
    with pytest.raises(InvalidArgument, match=files[1].name):
        io.read(tmp_path)
