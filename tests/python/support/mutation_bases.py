# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Sound files to change: one that nibabel ships, and made ones."""

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import header_mutations
import mutations
import numpy as np
import pytest

VOXELS = np.random.default_rng(4).integers(-900, 2000, (3, 5, 6)).astype(np.int16)


@dataclass(frozen=True)
class Base:
    """A sound file: the reader's kind, the name's ending, how to get its bytes, and how to change them."""

    kind: str
    suffix: str
    content: Callable[[], bytes]
    changes: Callable[[bytes], mutations.Strategy]


def _nibabel(name: str) -> bytes:
    nib = pytest.importorskip("nibabel", reason="nibabel is a test dependency")
    return (Path(nib.__file__).parent / "tests" / "data" / name).read_bytes()


def _made_nifti(dtype: Any = np.int16, shear: float = 0.0) -> bytes:
    nib = pytest.importorskip("nibabel", reason="nibabel is a test dependency")
    affine = np.array([[-0.7, 0, 0, 30], [0, 0.8, shear, -20], [0, 0, 2.5, 10], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image((VOXELS.T % 200).astype(dtype), affine)
    if not shear:
        image.set_qform(affine, 1)
    return bytes(image.to_bytes())


def _itk(suffix: str, packed: bool = False, dtype: Any = np.int16, color: bool = False) -> bytes:
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
    import tempfile

    values = (VOXELS % 200).astype(dtype)
    image = sitk.GetImageFromArray(np.stack([values] * 3, axis=-1) if color else values, isVector=color)
    image.SetSpacing((0.5, 0.75, 3.0))
    image.SetOrigin((1.0, -2.0, 3.5))
    image.SetDirection((0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / f"a{suffix}"
        sitk.WriteImage(image, str(path), packed)
        return path.read_bytes()


def _tiff(**options: Any) -> bytes:
    tifffile = pytest.importorskip("tifffile", reason="tifffile is not in a thin installation")
    values = options.pop("values", VOXELS[0])
    written = io.BytesIO()
    tifffile.imwrite(written, values, **options)
    return written.getvalue()


def _npz() -> bytes:
    written = io.BytesIO()
    np.savez(written, imgs=VOXELS, spacing=np.array([0.5, 0.75, 3.0]))
    return written.getvalue()


def _npz_changes(content: bytes) -> mutations.Strategy:
    with np.load(io.BytesIO(content)) as file:
        arrays = {key: file[key] for key in file}
    return mutations.either(header_mutations.npz_arrays(arrays), mutations.damaged(content))


def _nifti_changes(content: bytes) -> mutations.Strategy:
    return mutations.either(header_mutations.nifti_header(content), mutations.damaged(content))


def _nrrd_changes(content: bytes) -> mutations.Strategy:
    return mutations.either(header_mutations.text_header(content, b"\n\n", ": "), mutations.damaged(content))


def _meta_changes(content: bytes) -> mutations.Strategy:
    return mutations.either(
        header_mutations.text_header(content, b"ElementDataFile = LOCAL\n", " = "), mutations.damaged(content)
    )


def _tiff_changes(content: bytes) -> mutations.Strategy:
    return mutations.either(header_mutations.tiff_tags(content), mutations.damaged(content))


def _bytes_only(content: bytes) -> mutations.Strategy:
    return mutations.damaged(content)


BASES = {
    "nifti": Base("nifti", ".nii", _made_nifti, _nifti_changes),
    "nifti uint8": Base("nifti", ".nii", lambda: _made_nifti(np.uint8), _nifti_changes),
    "nifti sheared": Base("nifti", ".nii", lambda: _made_nifti(np.float32, 0.01), _nifti_changes),
    "nifti 2": Base("nifti", ".nii", lambda: gzip.decompress(_nibabel("example_nifti2.nii.gz")), _nifti_changes),
    "nifti gzip": Base("nifti", ".nii.gz", lambda: gzip.compress(_made_nifti(), mtime=0), _bytes_only),
    "nrrd": Base("itk", ".nrrd", lambda: _itk(".nrrd"), _nrrd_changes),
    "nrrd gzip": Base("itk", ".nrrd", lambda: _itk(".nrrd", True), _nrrd_changes),
    "nrrd color": Base("itk", ".nrrd", lambda: _itk(".nrrd", dtype=np.uint8, color=True), _nrrd_changes),
    "mha": Base("itk", ".mha", lambda: _itk(".mha"), _meta_changes),
    "mha zlib": Base("itk", ".mha", lambda: _itk(".mha", True), _meta_changes),
    "mha color": Base("itk", ".mha", lambda: _itk(".mha", dtype=np.uint8, color=True), _meta_changes),
    "tiff": Base("tiff", ".tif", _tiff, _tiff_changes),
    "tiff rgb": Base(
        "tiff", ".tif", lambda: _tiff(values=(VOXELS.T % 200).astype(np.uint8), photometric="rgb"), _tiff_changes
    ),
    "tiff big endian": Base(
        "tiff", ".tif", lambda: _tiff(values=VOXELS[0].astype(np.uint16), byteorder=">"), _tiff_changes
    ),
    "tiff lzw": Base("tiff", ".tif", lambda: _tiff(compression="lzw", predictor=True), _tiff_changes),
    "npz": Base("npz", ".npz", _npz, _npz_changes),
}
