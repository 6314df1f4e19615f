# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The values of one DICOM file: decompressed, in RGB or in the units of its rescale rule, bright always bright."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base.printable import one_line
from medsam_engine.errors import InvalidArgument
from medsam_engine.io.byte_limit import ByteLimit
from medsam_engine.io.dicom.decoding import decompressed
from medsam_engine.io.dicom.header import PREAMBLE, check_data_set, starts_as_data_set
from medsam_engine.io.dicom.limit import inflated
from medsam_engine.io.dicom.quiet import quiet_dicom
from medsam_engine.io.dicom.rescale import in_units
from medsam_engine.io.dicom.stored import is_padding, stored_values
from medsam_engine.io.dicom.tables import palette_colors
from medsam_engine.io.dicom.tags import check_numbers
from medsam_engine.io.engine_values import engine_values
from medsam_engine.io.extras import require
from medsam_engine.io.input_file import open_input, size_of
from medsam_engine.io.medical_image import Interval

_COLOR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")


@dataclass
class DicomPixels:
    """(H, W), (F, H, W), (H, W, 3) or (F, H, W, 3) in a type the engine takes.

    Attributes:
        values: the pixels.
        color: whether the last axis of `values` is RGB.
        notes: what was done to them.
        padding: for each frame, the values that hold no measurement; None where there are none.
        units: what the file says of them: "HU", "unstated", or the name of another unit.
        below_zero: whether a value that is no padding lies from -1024 to below 0, as air does in Hounsfield units.
    """

    values: NDArray[np.generic]
    color: bool
    notes: list[str] = field(default_factory=list)
    padding: tuple[Interval | None, ...] = ()
    units: str = "unstated"
    below_zero: bool = False


def read_dataset(path: Path, limit: ByteLimit, *, pixels: bool = True) -> Any:
    """The file as a pydicom Dataset; without `pixels` up to them.

    Raises:
        InvalidArgument: no DICOM file, a damaged one, a file or a deflated dataset of more than the limit, or text
            where numbers belong.
    """
    pydicom = require("pydicom", f"reading {path}")
    try:
        with quiet_dicom(), open_input(path) as file:
            limit.check_file(size_of(file), path)
            bare = starts_as_data_set(file.read(PREAMBLE))
            file.seek(0)
            dataset = None if bare else _inflated_dataset(pydicom, file, path, limit)
            if dataset is None:
                dataset = pydicom.dcmread(file, stop_before_pixels=not pixels, force=bare)
            if bare:
                check_data_set(dataset, path)
            check_numbers(dataset, path)
            return dataset
    except InvalidArgument:
        raise
    except pydicom.errors.InvalidDicomError as error:
        raise InvalidArgument(f"image: got {path}, expected a DICOM file; it has no DICOM header") from error
    except (EOFError, ValueError, KeyError, AttributeError, NotImplementedError, zlib.error) as error:
        raise InvalidArgument(f"image: got {path}, expected a whole DICOM file; {one_line(error)}") from error


def _inflated_dataset(pydicom: Any, file: BinaryIO, path: Path, limit: ByteLimit) -> Any:
    """The dataset of a deflated file, which pydicom would inflate without a bound; None for other files, rewound."""
    preamble = pydicom.filereader.read_preamble(file, False)
    meta = pydicom.filereader.read_dataset(file, False, True, stop_when=lambda tag, *_: tag.group != 2)
    if meta.get("TransferSyntaxUID") != pydicom.uid.DeflatedExplicitVRLittleEndian:
        file.seek(0)
        return None
    dataset = pydicom.filereader.read_dataset(inflated(file, path, limit), False, True)
    meta = pydicom.dataset.FileMetaDataset(meta)
    whole = pydicom.dataset.FileDataset(str(path), dataset, preamble, meta, False, True)
    whole.set_original_encoding(False, True, dataset.original_character_set)
    return whole


def decode(dataset: Any, path: Path, limit: ByteLimit) -> DicomPixels:
    """Decompresses and rescales.

    Raises:
        InvalidArgument: no pixels, cut off, more than the limit, other than the header says, or a photometric
            interpretation that is no image of values or colors.
        Unsupported: compressed in a way for which no decoder is installed.
    """
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        contours = ", and this file with --boxes-from (io.read_boxes)" if dataset.get("Modality") == "RTSTRUCT" else ""
        raise InvalidArgument(
            f"image: got no pixels in {path} ({dataset.get('Modality', 'no modality')}), expected an image; "
            f"name the image series{contours}"
        )
    if dataset.get("Modality") == "SEG" or dataset.get("BitsAllocated") == 1:
        raise InvalidArgument(
            f"image: got a segmentation object in {path}, expected an image; name the image series, and this file "
            "with --boxes-from (io.read_boxes)"
        )
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    samples = int(dataset.get("SamplesPerPixel", 1))
    gray = samples == 1 and photometric in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
    if not gray and not (samples == 3 and photometric in _COLOR):
        raise InvalidArgument(
            f"image: got {samples} samples per pixel as '{photometric}' in {path}, expected gray, RGB, YBR or a "
            "palette; convert it"
        )
    notes: list[str] = []
    values = decompressed(dataset, path, notes, gray, limit)
    _check_shape(values, dataset, samples, path)
    if not gray and values.dtype.kind != "u":
        raise InvalidArgument(
            f"image: got signed colors ({values.dtype}) in {path}, expected PixelRepresentation 0; correct the tag"
        )
    if not gray:
        return DicomPixels(engine_values(values, path), True, notes)
    stored = stored_values(values, dataset, path, notes)
    if photometric == "PALETTE COLOR":
        notes.append("palette replaced by its colors")
        return DicomPixels(palette_colors(stored, dataset, path), True, notes)
    padded = is_padding(stored, dataset)
    scaled = in_units(stored, dataset, path, photometric == "MONOCHROME1", notes)
    intervals, below_zero = _intervals(scaled.values, padded, notes)
    return DicomPixels(engine_values(scaled.values, path), False, notes, intervals, scaled.units, below_zero)


def _intervals(
    values: NDArray[np.generic], padded: NDArray[np.bool_] | None, notes: list[str]
) -> tuple[tuple[Interval | None, ...], bool]:
    """The values that padding has come to, frame by frame, and whether any other is below 0 as air is."""
    intervals: list[Interval | None] = []
    below_zero = False
    frames = values if values.ndim == 3 else values[np.newaxis]
    for k, frame in enumerate(frames):
        hit = None if padded is None else padded.reshape(frames.shape)[k]
        others = frame if hit is None else frame[~hit]
        below_zero = below_zero or bool(((others < 0) & (others >= -1024)).any())
        if hit is None or not hit.any():
            intervals.append(None)
            continue
        low, high = float(frame[hit].min()), float(frame[hit].max())
        if ((others >= low) & (others <= high)).any():  # a lookup table gave both the same value
            note = "padding has values that other pixels have, too; it stays in the window"
            notes += [note] if note not in notes else []
            intervals.append(None)
        else:
            # As float32, in which the values may be handed on.
            intervals.append((float(np.float32(low)), float(np.float32(high))))
    return tuple(intervals), below_zero


def _check_shape(values: NDArray[np.generic], dataset: Any, samples: int, path: Path) -> None:
    frames = int(dataset.get("NumberOfFrames") or 1)
    shape = (int(dataset.Rows), int(dataset.Columns), *((samples,) if samples > 1 else ()))
    wanted = (frames, *shape) if frames > 1 else shape
    if values.shape != wanted:
        raise InvalidArgument(
            f"image: got pixels of shape {values.shape} in {path}, expected {wanted} of NumberOfFrames, Rows and "
            "Columns; correct the tags"
        )
