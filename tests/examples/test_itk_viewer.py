# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""examples/itk_viewer: the labels and their geometry, against SimpleITK's reading of the same series."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import dicom_builder
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 (sitk is the name that SimpleITK's documentation uses)
from numpy.typing import NDArray

from medsam_engine import Engine
from medsam_engine.windows import ct_window, full_window

Program = Callable[..., CompletedProcess[str]]
ROOT = Path(__file__).resolve().parents[2]

SHARED = ROOT.parent / "shared" / "data" / "raw"
# Row and column direction of a stack turned by 20 degrees about x and 10 about z.
TURN = np.array([[np.cos(0.17), -np.sin(0.17), 0], [np.sin(0.17), np.cos(0.17), 0], [0, 0, 1]]) @ np.array(
    [[1, 0, 0], [0, np.cos(0.35), -np.sin(0.35)], [0, np.sin(0.35), np.cos(0.35)]]
)


def read_series(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def check(
    program: Program,
    engine: Engine,
    bundle: Path,
    folder: Path,
    box: tuple[int, ...],
    window: tuple[float, float] | None,
    out: Path,
) -> NDArray[np.uint8]:
    """Runs the viewer and compares what it wrote; returns the labels."""
    series = read_series(folder)
    values = sitk.GetArrayFromImage(series).astype(np.float32)
    pixels = full_window(values) if window is None else ct_window(values, *window)
    options = [] if window is None else ["--window", f"{window[0]:g},{window[1]:g}"]
    words = ",".join(map(str, box))
    result = program("itk_viewer", bundle, folder, words, out, *options, "--preview", out.with_name("slice.png"))
    assert result.returncode == 0, result.stderr

    written = sitk.ReadImage(str(out))
    assert written.GetSize() == series.GetSize()
    # NIfTI keeps float32, and a direction as a quaternion of float32.
    np.testing.assert_allclose(written.GetSpacing(), series.GetSpacing(), rtol=1e-6)
    np.testing.assert_allclose(written.GetOrigin(), series.GetOrigin(), rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(written.GetDirection(), series.GetDirection(), atol=1e-5)
    corner = [size - 1 for size in series.GetSize()]
    np.testing.assert_allclose(
        written.TransformIndexToPhysicalPoint(corner), series.TransformIndexToPhysicalPoint(corner), atol=1e-2
    )
    labels: NDArray[np.uint8] = sitk.GetArrayFromImage(written)
    np.testing.assert_array_equal(labels, engine.segment_volume(pixels, [box]))
    assert labels.any()
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(out.with_name("slice.png"))))
    assert picture.shape == (*labels.shape[1:], 3)
    assert (picture == (0, 220, 255)).all(axis=-1).any(), "the outline is drawn"
    assert f"{int(labels.sum())} voxels" in result.stdout
    return labels


def test_an_oblique_series(program: Program, engine: Engine, bundle: Path, tmp_path: Path) -> None:
    z, y, x = np.mgrid[:8, :64, :80]
    ball = (x - 40) ** 2 + (y - 32) ** 2 + (4 * (z - 4)) ** 2 < 18**2
    noise = np.random.default_rng(3).integers(0, 40, ball.shape)
    volume = (np.where(ball, 160, 40) + noise).astype(np.int16)
    positions = np.array([-30.5, 12.25, 100.0]) + np.outer(np.arange(8) * 2.5, TURN[:, 2])
    dicom_builder.write_series(tmp_path / "series", volume, positions, tuple(TURN[:, 0]) + tuple(TURN[:, 1]))
    out = tmp_path / "labels.nii.gz"
    labels = check(program, engine, bundle, tmp_path / "series", (20, 12, 1, 60, 52, 7), (200.0, 100.0), out)
    overlap = 2 * np.count_nonzero((labels == 1) & ball) / (np.count_nonzero(labels) + np.count_nonzero(ball))
    assert overlap > 0.8


@pytest.mark.parametrize(
    ("name", "box", "window"),
    [
        ("ct_series_uncompressed", (30, 30, 20, 80, 80, 26), (400.0, 40.0)),
        ("mr_series_oblique", (150, 150, 3, 220, 220, 8), None),
    ],
)
def test_a_real_series(
    name: str,
    box: tuple[int, ...],
    window: tuple[float, float] | None,
    program: Program,
    engine: Engine,
    bundle: Path,
    tmp_path: Path,
) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip(f"../shared/data/raw/{name} is not here")
    check(program, engine, bundle, SHARED / name, box, window, tmp_path / "labels.nii.gz")


def test_errors_are_one_line(program: Program, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = program("itk_viewer", bundle, tmp_path / "empty", "0,0,0,1,1,1", tmp_path / "out.nii.gz")
    assert result.returncode == 1
    assert "0 DICOM series, expected one" in result.stderr
    assert not (tmp_path / "out.nii.gz").exists()
