# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""NRRD and MetaImage files, through SimpleITK."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.engine_values import engine_values
from medsam_engine.io.extras import require
from medsam_engine.io.input_file import open_input
from medsam_engine.io.itk.meta_header import META
from medsam_engine.io.itk.nrrd_header import NRRD
from medsam_engine.io.itk.nrrd_segments import segment_fields
from medsam_engine.io.itk.numeric_locale import numeric_locale_c
from medsam_engine.io.itk.plain_header import HeaderFormat, PlainHeader, canonical_file
from medsam_engine.io.medical_image import ItkSource, MedicalImage, chosen_volume


def _reason(error: RuntimeError) -> str:
    """What ITK says happened, out of the many lines in which it says where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next(
        (line for line in reversed(lines) if "ERROR" in line or "rror" in line), lines[-1] if lines else "ITK failed"
    )


@numeric_locale_c()
def _read(path: Path, limit: ByteLimit) -> tuple[Any, bool]:
    """ITK's image, and whether its components may be colors: NRRD names their kind, MetaImage cannot."""
    sitk = require("SimpleITK", f"reading {path}")
    form = META if path.suffix.lower() in (".mha", ".mhd") else NRRD
    with open_input(path) as file:
        header = form.read(file, path)
        may_be_color = form is META or "RGB-color" in header.fields.get("kinds", "").split()
        return _read_canonical(sitk, header, form, file, path, limit), may_be_color


def _read_canonical(
    sitk: Any, header: PlainHeader, form: HeaderFormat, file: BinaryIO, path: Path, limit: ByteLimit
) -> Any:
    with canonical_file(header, form, file, path, limit) as whole:
        before = sitk.ProcessObject.GetGlobalWarningDisplay()
        sitk.ProcessObject.SetGlobalWarningDisplay(False)  # ITK prints; what matters is checked below
        try:
            return sitk.ReadImage(str(whole), imageIO=form.image_io)
        except RuntimeError as error:
            if "Bad direction" in str(error) or "determinant" in str(error):
                raise InvalidArgument(
                    f"geometry: got a singular orientation in {path}, expected three independent axes; "
                    "correct the file's header"
                ) from error
            raise InvalidArgument(
                f"image: got {path}, expected a readable NRRD or MetaImage file; "
                f"{_reason(error).replace(str(whole), str(path))}"
            ) from error
        finally:
            sitk.ProcessObject.SetGlobalWarningDisplay(before)


def read_itk(path: Path, volume: int | None, limit: ByteLimit) -> MedicalImage:
    """Reads one image or volume: (D, H, W) of a 3D or 4D file, (H, W) of a 2D one, with a last axis of 3 for RGB.

    Raises:
        InvalidArgument: a damaged file, a header that is not of the plain form or names other files, more than the
            limit, several volumes and none chosen, a singular or sheared grid, NaN.
        Unsupported: SimpleITK is not installed.
    """
    image, may_be_color = _read(path, limit)
    dimension, components = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    sitk = require("SimpleITK", f"reading {path}")
    values: NDArray[np.generic] = sitk.GetArrayFromImage(image)
    color = components == 3 and values.dtype == np.uint8 and may_be_color
    if dimension > 4 or dimension < 2:
        raise InvalidArgument(f"image: got {dimension} axes in {path}, expected 2 to 4; split the file")
    if dimension == 4:
        values = values[chosen_volume(values.shape[0], volume, path)]
    if components > 1 and not color:  # Slicer keeps the volumes of a sequence as the components of a voxel
        values = values[..., chosen_volume(components, volume, path)]
    elif dimension < 4 and volume is not None:
        chosen_volume(1, volume, path)
    kept = min(dimension, 3)
    spacing, origin, direction = np.ones(3), np.zeros(3), np.eye(3)
    spacing[:kept], origin[:kept] = image.GetSpacing()[:kept], image.GetOrigin()[:kept]
    direction[:kept, :kept] = np.reshape(image.GetDirection(), (dimension, dimension))[:kept, :kept]
    return MedicalImage(
        array=engine_values(values, path),
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        direction=direction,
        modality="",
        path=path,
        color=color,
        source=ItkSource(kept),
    )


@numeric_locale_c()
def itk_bytes(
    path: Path, labels: NDArray[np.generic], reference: MedicalImage, names: Mapping[int, str] | None = None
) -> bytes:
    """A file of unsigned integer labels (D, H, W) or (H, W) on the grid of `reference`, compressed, for `path`.

    Labels of a slice that lies in space (a DICOM image) become a volume of one slice; those of a flat file stay flat.
    A NRRD file gets 3D Slicer's fields of its segments where there are `names`, and a .seg.nrrd always.
    """
    sitk = require("SimpleITK", f"writing {path}")
    flat = labels.ndim == 2 and not _lies_in_space(reference)
    image = sitk.GetImageFromArray(labels if flat or labels.ndim == 3 else labels[np.newaxis])
    axes = 2 if flat else 3
    image.SetSpacing(reference.spacing[:axes])
    image.SetOrigin(reference.origin[:axes])
    image.SetDirection(reference.direction[:axes, :axes].ravel().tolist())
    if path.suffix.lower() == ".nrrd" and (names is not None or path.name.lower().endswith(".seg.nrrd")):
        for key, value in segment_fields(labels, names).items():
            image.SetMetaData(key, value)
    # ITK writes files by name only; the content then goes the way of every other file.
    with tempfile.TemporaryDirectory(prefix="medsam-engine-") as folder:
        whole = Path(folder) / f"labels{path.suffix.lower()}"
        try:
            sitk.WriteImage(image, str(whole), useCompression=True)
        except RuntimeError as error:
            raise InvalidArgument(
                f"output: got {path}, expected a place for a temporary copy; {_reason(error)}"
            ) from error
        return whole.read_bytes()


def _lies_in_space(reference: MedicalImage) -> bool:
    if isinstance(reference.source, ItkSource):
        return reference.source.dimension > 2
    return reference.positioned
