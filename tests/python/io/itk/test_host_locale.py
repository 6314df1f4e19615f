# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Every format in and out of a host that has called setlocale in a language with decimal commas."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, io
from medsam_engine.measure.metrics import evaluate_folder

sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
pydicom = pytest.importorskip("pydicom", reason="pydicom is not in a thin installation")
Image = pytest.importorskip("PIL.Image", reason="Pillow is not in a thin installation")

from comma_locale import comma_locale, printed
from dicom_builder import write_series

from medsam_engine.io.itk.numeric_locale import numeric_locale_c

SPACING, ORIGIN = (1.75, 1.85, 2.5), (-10.5, 20.25, 30.75)
VALUES = np.random.default_rng(3).integers(-900, 900, (3, 8, 10)).astype(np.int16)


def grid(array: NDArray[np.generic] = VALUES) -> io.MedicalImage:
    return io.MedicalImage(array, SPACING, ORIGIN, np.eye(3), "", Path("x"))


def assert_same(one: io.MedicalImage, other: io.MedicalImage) -> None:
    np.testing.assert_array_equal(one.array, other.array)
    np.testing.assert_array_equal(one.affine, other.affine)


def test_the_guard_is_of_its_scope(tmp_path: Path) -> None:
    with comma_locale(tmp_path):
        with numeric_locale_c():
            assert printed(1.75) == "1.75"
            with numeric_locale_c():
                assert printed(1.75) == "1.75"
            assert printed(1.75) == "1.75"
        assert printed(1.75) == "1,75"


@pytest.mark.parametrize("suffix", ["nrrd", "nhdr", "mha", "mhd", "nii", "nii.gz"])
def test_volumes_are_read_as_in_c(tmp_path: Path, suffix: str) -> None:
    image = sitk.GetImageFromArray(VALUES)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    path = tmp_path / f"in.{suffix}"
    sitk.WriteImage(image, str(path))
    expected = io.read(path)
    np.testing.assert_allclose(expected.spacing, SPACING, rtol=1e-6)
    with comma_locale(tmp_path):
        assert_same(io.read(path), expected)


def test_dicom_npz_and_pictures_are_read_as_in_c(tmp_path: Path) -> None:
    positions = np.array([[0.25, -1.5, 2.5 * k] for k in range(3)])
    write_series(tmp_path / "s", VALUES, positions, PixelSpacing=[0.85, 0.75], RescaleSlope="0.5")
    np.savez(tmp_path / "a.npz", imgs=VALUES, spacing=np.array(SPACING))
    Image.fromarray(VALUES[0].astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(VALUES[0].astype(np.float32) / 8).save(tmp_path / "a.tif")
    names = ["s", "s/001.dcm", "a.npz", "a.png", "a.tif"]
    expected = [io.read(tmp_path / name) for name in names]
    with comma_locale(tmp_path):
        for name, image in zip(names, expected, strict=True):
            assert_same(io.read(tmp_path / name), image)


@pytest.mark.parametrize("suffix", ["nrrd", "mha", "nii", "nii.gz", "npz", "png", "dcm"])
def test_masks_are_written_as_in_c(tmp_path: Path, suffix: str) -> None:
    if suffix == "dcm":
        pytest.importorskip("highdicom", reason="highdicom is not in a thin installation")
        positions = np.array([[0.25, -1.5, 2.5 * k] for k in range(3)])
        write_series(tmp_path / "s", VALUES, positions, PixelSpacing=[0.85, 0.75])
    reference = io.read(tmp_path / "s") if suffix == "dcm" else grid(VALUES[:1] if suffix == "png" else VALUES)
    labels = (VALUES[: len(reference.array)] > 0).astype(np.uint8)
    io.write(tmp_path / f"c.{suffix}", labels, reference)
    with comma_locale(tmp_path):
        io.write(tmp_path / f"comma.{suffix}", labels, reference)
    if suffix != "dcm":  # which has new identifiers and the time in it
        assert (tmp_path / f"comma.{suffix}").read_bytes() == (tmp_path / f"c.{suffix}").read_bytes()
        return
    one, other = (pydicom.dcmread(tmp_path / f"{name}.dcm") for name in ("c", "comma"))
    assert one.PixelData == other.PixelData
    for frames in zip(one.PerFrameFunctionalGroupsSequence, other.PerFrameFunctionalGroupsSequence, strict=True):
        first, second = (f.PlanePositionSequence[0].ImagePositionPatient for f in frames)
        assert first == second


def test_a_stored_model_is_the_one_that_was_compiled(tmp_path: Path, bundle: Path, image: NDArray[np.uint8]) -> None:
    """OpenVINO wrote "0,5" into the cache: the next engine, in any locale, found nothing and said nothing."""

    def labels(cache: str) -> NDArray[np.generic]:
        engine = Engine(bundle, cache_dir=tmp_path / cache, cache_bytes=0)
        return engine.segment(engine.encode(image), [[30, 20, 90, 70]])

    expected = labels("c")
    assert expected.any()
    with comma_locale(tmp_path):
        np.testing.assert_array_equal(labels("comma"), expected)
        np.testing.assert_array_equal(labels("comma"), expected)  # from the cache now
        np.testing.assert_array_equal(labels("c"), expected)
    np.testing.assert_array_equal(labels("comma"), expected)


def test_scores_do_not_change(tmp_path: Path) -> None:
    pytest.importorskip("surface_distance", reason="comes with the extra [eval]")
    for name in ("segs", "gts"):
        (tmp_path / name).mkdir()
        labels = np.zeros((3, 8, 10), np.uint8)
        labels[:, 2:6, 2 : 6 + (name == "gts")] = 1
        arrays: dict[str, NDArray[np.generic]] = {name: labels, "spacing": np.array(SPACING)}
        np.savez(tmp_path / name / "3DBox_CT_a.npz", allow_pickle=False, **arrays)
    expected = evaluate_folder(tmp_path / "segs", tmp_path / "gts")
    with comma_locale(tmp_path):
        assert evaluate_folder(tmp_path / "segs", tmp_path / "gts") == expected
