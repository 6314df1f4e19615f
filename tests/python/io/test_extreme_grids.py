# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Spacings and origins that no format, or not every one, can hold are refused by every reader; all others are kept."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medsam_engine import InvalidArgument, io

nib = pytest.importorskip("nibabel", reason="nibabel is a test dependency")
pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
from dicom_builder import save, slice_dataset, write_series

VOXELS = np.random.default_rng(3).integers(0, 200, (3, 5, 6)).astype(np.uint8)


def meta_image(path: Path, spacing: float, origin: float) -> Path:
    header = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"Offset = {origin!r} 0 0\nElementSpacing = {spacing!r} {spacing!r} {spacing!r}\nDimSize = 6 5 3\n"
        "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(header.encode() + VOXELS.tobytes())
    return path


def nrrd(path: Path, spacing: float, origin: float) -> Path:
    header = (
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 6 5 3\n"
        f"space directions: ({spacing!r},0,0) (0,{spacing!r},0) (0,0,{spacing!r})\nspace origin: ({origin!r},0,0)\n"
        "encoding: raw\nkinds: domain domain domain\n\n"
    )
    path.write_bytes(header.encode() + VOXELS.tobytes())
    return path


def nifti(path: Path, spacing: float, origin: float) -> Path:
    affine = np.diag([-spacing, spacing, spacing, 1.0])
    affine[0, 3] = -origin
    image = nib.Nifti2Image(VOXELS.T, np.eye(4))
    image.header.set_sform(affine, 1)
    image.header["pixdim"][1:4] = spacing
    content = bytearray(image.header.binaryblock)
    content[168:176] = np.int64(544).tobytes()  # vox_offset
    path.write_bytes(bytes(content) + bytes(4) + VOXELS.tobytes())
    return path


def npz(path: Path, spacing: float, _origin: float) -> Path:
    np.savez(path, imgs=VOXELS, spacing=np.full(3, spacing))
    return path


def dicom(path: Path, spacing: float, origin: float) -> Path:
    text = f"{spacing:.9g}"
    dataset = slice_dataset(VOXELS[0], ImagePositionPatient=[f"{origin:.9g}", "0", "0"], PixelSpacing=[text, text])
    save(path, dataset)
    return path


def series(path: Path, spacing: float, origin: float) -> Path:
    positions = np.array([[origin, 0.0, k * spacing] for k in range(3)])
    write_series(path, VOXELS, positions)
    return path


WRITERS = {".mha": meta_image, ".nrrd": nrrd, ".nii": nifti, ".npz": npz, ".dcm": dicom, "": series}


@pytest.mark.parametrize(("suffix", "write"), WRITERS.items())
@pytest.mark.parametrize("spacing", [1e-298, 1e-110, 1e-50, 9e-8, 1.1e6, 1e30, 1e200])
def test_a_spacing_beyond_all_sense(
    tmp_path: Path, suffix: str, write: Callable[[Path, float, float], Path], spacing: float
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        io.read(write(tmp_path / f"a{suffix}", spacing, 0.0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii", ".dcm", ""])
@pytest.mark.parametrize("origin", [1.1e6, -1e30, 1e200])
def test_an_origin_beyond_all_sense(tmp_path: Path, suffix: str, origin: float) -> None:
    with pytest.raises(InvalidArgument, match="origin"):
        io.read(WRITERS[suffix](tmp_path / f"a{suffix}", 1.0, origin))


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii", ".npz"])
@pytest.mark.parametrize(("spacing", "origin"), [(1e-7, 0.0), (1e6, -1e6), (0.5, 1e6), (1e-3, 4.0)])
def test_every_mask_of_what_is_read_can_be_read(tmp_path: Path, suffix: str, spacing: float, origin: float) -> None:
    image = io.read(WRITERS[suffix](tmp_path / f"a{suffix}", spacing, origin))
    np.testing.assert_allclose(image.spacing, spacing, rtol=1e-6)
    for output in (".nii.gz", ".nrrd", ".mha", ".npz"):
        io.write(tmp_path / f"m{output}", np.ones(VOXELS.shape, np.uint8), image)
        labels, read = io.read_labels(tmp_path / f"m{output}")
        assert labels.all()
        if read.spaced:
            np.testing.assert_allclose(read.spacing, spacing, rtol=1e-6)
        if image.positioned and read.positioned:
            np.testing.assert_allclose(read.affine, image.affine, rtol=1e-6, atol=1e-12)
