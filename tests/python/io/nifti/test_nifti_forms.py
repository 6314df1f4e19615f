# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NIfTI's sform, qform and pixdim where they contradict each other, are damaged or absent."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from nifti_builder import PIXDIM, QFORM_CODE, QUATERN, SFORM_CODE, SROW, affine, patched, save

from medsam_engine import InvalidArgument, io

nib = pytest.importorskip("nibabel", reason="nibabel is a test dependency")
RNG = np.random.default_rng(11)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def test_singular_and_sheared_affines(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.zeros((4, 4, 4), np.uint8), affine())
    patched(path, SROW, "12f", *[1, 1, 0, 0, 0, 0, 1, 0, 2, 2, 1, 0])
    with pytest.raises(InvalidArgument, match="singular affine"):
        io.read(path)
    patched(path, SROW, "12f", *[0] * 12)
    with pytest.raises(InvalidArgument, match="singular affine"):
        io.read(path)
    patched(path, SROW, "12f", *[1, 0.2, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0])
    with pytest.raises(InvalidArgument, match=r"11\.31 degrees off a right angle"):
        io.read(path)
    patched(path, SROW, "12f", *[float("nan")] * 12)
    with pytest.raises(InvalidArgument, match="NaN"):
        io.read(path)


@pytest.mark.parametrize("degrees", [0.1, 0.2, 0.95])
def test_a_slight_shear_of_the_sform_leaves_the_qform(tmp_path: Path, degrees: float) -> None:
    values = RNG.integers(-500, 500, (6, 5, 4)).astype(np.int16)
    sound, sheared = affine(2), affine(2)
    sheared[:3, 1] += np.tan(np.radians(degrees)) * np.linalg.norm(sound[:3, 1]) * sound[:3, 0] / 0.7
    source = nib.Nifti1Image(values, sound)
    source.set_qform(sound, code=1)
    source.set_sform(sheared, code=2)
    nib.save(source, tmp_path / "a.nii")
    image = io.read(tmp_path / "a.nii")
    np.testing.assert_array_equal(image.array, values.T)
    np.testing.assert_allclose(image.affine, LPS @ nib.load(tmp_path / "a.nii").get_qform(), atol=1e-5)
    assert any(f"{degrees:.2f} degrees off a right angle: the qform is used" in note for note in image.notes)
    io.write(tmp_path / "m.nii", np.ones((4, 5, 6), np.uint8), image)
    mask = nib.load(tmp_path / "m.nii")
    np.testing.assert_array_equal(mask.get_sform(), nib.load(tmp_path / "a.nii").get_sform())
    np.testing.assert_array_equal(mask.get_qform(), nib.load(tmp_path / "a.nii").get_qform())
    np.testing.assert_allclose(io.read(tmp_path / "m.nii").affine, image.affine)


@pytest.mark.parametrize(("degrees", "code"), [(0.5, 0), (1.1, 1)])
def test_a_shear_that_nothing_makes_good(tmp_path: Path, degrees: float, code: int) -> None:
    """No qform beside it, or more than rounding and registrations leave."""
    sheared = affine(2)
    sheared[:3, 1] += np.tan(np.radians(degrees)) * 0.8 * affine(2)[:3, 0] / 0.7
    source = nib.Nifti1Image(np.zeros((6, 5, 4), np.int16), affine(2))
    source.set_qform(affine(2), code=code)
    source.set_sform(sheared, code=2)
    nib.save(source, tmp_path / "a.nii")
    with pytest.raises(InvalidArgument, match="degrees off a right angle"):
        io.read(tmp_path / "a.nii")


def test_a_shear_beside_a_damaged_qform(tmp_path: Path) -> None:
    source = nib.Nifti1Image(np.zeros((6, 5, 4), np.int16), affine(2))
    source.set_qform(affine(2), code=1)
    nib.save(source, tmp_path / "a.nii")
    patched(tmp_path / "a.nii", SROW, "12f", *[1, 0.003, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0])
    patched(tmp_path / "a.nii", SFORM_CODE, "h", 2)
    assert io.read(tmp_path / "a.nii").spacing == pytest.approx((0.7, 0.8, 3.0))
    for numbers in ([np.nan, 0, 0], [3.0, 0, 0]):
        with pytest.raises(InvalidArgument, match="right angle"):
            io.read(patched(tmp_path / "a.nii", QUATERN, "3f", *numbers))


def test_an_sform_of_zeros_leaves_the_qform(tmp_path: Path) -> None:
    source = nib.Nifti1Image(np.zeros((6, 5, 4), np.int16), affine(2))
    source.set_qform(affine(2), code=1)
    source.set_sform(affine(2), code=1)
    nib.save(source, tmp_path / "a.nii")
    image = io.read(patched(tmp_path / "a.nii", SROW, "12f", *[0] * 12))
    np.testing.assert_allclose(image.affine, LPS @ affine(2), atol=1e-5)
    assert any("sform is all zeros" in note for note in image.notes)
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
    np.testing.assert_allclose(image.origin, sitk.ReadImage(str(tmp_path / "a.nii")).GetOrigin(), atol=1e-4)


@pytest.mark.parametrize("form", ["none", "qform", "sform"])
def test_a_flat_file_needs_no_third_spacing(tmp_path: Path, form: str) -> None:
    values = RNG.integers(-500, 500, (6, 5)).astype(np.int16)
    made = np.diag([0.7, 0.8, 1.0, 1.0])
    source = nib.Nifti1Image(values, made)
    source.set_qform(made, code=int(form == "qform"))
    source.set_sform(made if form != "sform" else np.diag([0.7, 0.8, 0.0, 1.0]), code=int(form == "sform"))
    nib.save(source, tmp_path / "a.nii")
    image = io.read(patched(tmp_path / "a.nii", PIXDIM + 12, "f", 0.0))
    assert image.spacing == pytest.approx((0.7, 0.8, 1.0))
    np.testing.assert_array_equal(image.array[0], values.T)
    io.write(tmp_path / "m.nii", np.ones(image.grid, np.uint8), image)
    assert io.read(tmp_path / "m.nii").spacing == pytest.approx((0.7, 0.8, 1.0))


def test_a_negative_pixdim(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nii", np.zeros((4, 4, 4), np.uint8), affine())
    patched(patched(path, QFORM_CODE, "h", 0), SFORM_CODE, "h", 0)
    image = io.read(patched(path, PIXDIM + 4, "3f", -0.7, 0.8, -3.0))
    assert image.spacing == pytest.approx((0.7, 0.8, 3.0))
    np.testing.assert_array_equal(image.direction, np.eye(3))
    assert any("negative pixdim" in note for note in image.notes)
    with pytest.raises(InvalidArgument, match="beside a qform"):
        io.read(patched(path, QFORM_CODE, "h", 1))


@pytest.mark.parametrize("quatern", [(-138.0, 0.0, 0.0), (0.0, 1e38, 0.0), (0.9, 0.5, 0.1), (float("nan"), 0.0, 0.0)])
def test_a_quaternion_longer_than_one_is_no_rotation(tmp_path: Path, quatern: tuple[float, float, float]) -> None:
    """It was made shorter, whatever its length, where nibabel refuses it."""
    path = save(tmp_path / "a.nii", np.zeros((4, 4, 4), np.uint8), affine())
    patched(path, QFORM_CODE, "h", 1)
    patched(path, SFORM_CODE, "h", 0)
    patched(path, QUATERN, "3f", *quatern)
    with pytest.raises(InvalidArgument, match="quaternion"):
        io.read(path)
    patched(path, QUATERN, "3f", 0.6, 0.8, 1e-4)  # as rounding leaves it
    io.read(path)


@pytest.mark.parametrize("raising", [False, True])
@pytest.mark.parametrize("value", [float("inf"), 1.7e38])
def test_nothing_is_warned_of_what_a_header_holds(tmp_path: Path, value: float, raising: bool) -> None:
    """NumPy's warnings reached the host's standard error; a host that lets NumPy raise got another answer."""
    path = save(tmp_path / "a.nii", np.zeros((4, 4, 4), np.uint8), affine())
    patched(path, QFORM_CODE, "h", 1)
    patched(path, QUATERN, "3f", value, value, 0)
    patched(path, PIXDIM + 4, "f", value)
    with (
        np.errstate(all="raise" if raising else "warn"),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        image = io.read(path)
    assert not [str(warning.message) for warning in caught]
    np.testing.assert_allclose(image.affine, LPS @ affine(), atol=1e-5)
