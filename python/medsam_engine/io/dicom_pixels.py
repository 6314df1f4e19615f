# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The values of one DICOM file: decompressed, in RGB or in the units of its rescale rule, bright always bright."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument, Unsupported
from medsam_engine.io.extras import require
from medsam_engine.io.medical_image import engine_values


@dataclass
class DicomPixels:
    """(H, W), (F, H, W), (H, W, 3) or (F, H, W, 3) in a type the engine takes."""

    values: NDArray[np.generic]
    colour: bool
    notes: list[str] = field(default_factory=list)


def read_dataset(path: Path, **options: Any) -> Any:
    """The file as a pydicom Dataset. InvalidArgument: no DICOM file, or a damaged one."""
    pydicom = require("pydicom", "medical", f"reading {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd but readable values; what matters is checked where it is used
            return pydicom.dcmread(path, **options)
    except pydicom.errors.InvalidDicomError as error:
        raise InvalidArgument(f"image: got {path}, expected a DICOM file; it has no DICOM header") from error
    except (EOFError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        raise InvalidArgument(f"image: got {path}, expected a whole DICOM file; {_line(error)}") from error


def _line(error: object) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def decode(dataset: Any, path: Path) -> DicomPixels:
    """Decompresses and rescales.

    Raises:
        InvalidArgument: no pixels, cut off, or a photometric interpretation that is no image of values or colours.
        Unsupported: compressed in a way for which no decoder is installed.
    """
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise InvalidArgument(
            f"image: got no pixels in {path} ({dataset.get('Modality', 'no modality')}), expected an image; "
            "name the image series"
        )
    if dataset.get("Modality") == "SEG" or dataset.get("BitsAllocated") == 1:
        raise InvalidArgument(f"image: got a segmentation object in {path}, expected an image; name the image series")
    notes: list[str] = []
    values = _decompressed(dataset, path, notes)
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if photometric == "PALETTE COLOR":
        notes.append("palette replaced by its colours")
        return DicomPixels(_palette(values, dataset), True, notes)
    samples = int(dataset.get("SamplesPerPixel", 1))
    if samples == 3:
        return DicomPixels(engine_values(values, path), True, notes)
    if samples != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise InvalidArgument(
            f"image: got {samples} samples a pixel as '{photometric}' in {path}, expected grey, RGB, YBR or a palette; "
            "convert it"
        )
    if photometric == "MONOCHROME1":
        # PS3.3 C.7.6.3.1.2: the minimum is displayed white. Every model was trained with bright as large.
        notes.append("MONOCHROME1 inverted")
        values = _inverted(values, dataset)
    return DicomPixels(engine_values(_rescaled(values, dataset), path), False, notes)


@contextmanager
def _quiet_pydicom() -> Iterator[None]:
    """Keeps pydicom from logging the tracebacks of decoders that it tries in turn; the last error is raised anyway."""
    logger = logging.getLogger("pydicom")
    before, handler = logger.propagate, logging.NullHandler()
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(handler)


def _decompressed(dataset: Any, path: Path, notes: list[str]) -> NDArray[np.generic]:
    pixels = require("pydicom.pixels", "medical", f"reading {path}")
    try:
        with _quiet_pydicom(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            values: NDArray[np.generic] = pixels.pixel_array(dataset, raw=False)
    except NotImplementedError as error:
        raise Unsupported(f"image: got {path}, expected a decodable transfer syntax; {_line(error)}") from error
    except RuntimeError as error:
        syntax = dataset.file_meta.TransferSyntaxUID.name
        if "missing dependencies" in str(error) or "does not support" in str(error):
            raise Unsupported(
                f"image: got {syntax} in {path}, expected a compression with a decoder; pip install "
                f"'medsam-engine[medical]', or decompress the file first ({_line(error)})"
            ) from error
        raise InvalidArgument(f"image: got {path}, expected whole pixel data ({syntax}); {_line(error)}") from error
    except (ValueError, AttributeError, EOFError, TypeError, IndexError) as error:
        raise InvalidArgument(f"image: got {path}, expected whole pixel data; {_line(error)}") from error
    notes += [_line(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]
    return values


def _palette(values: NDArray[np.generic], dataset: Any) -> NDArray[np.uint8]:
    pixels = require("pydicom.pixels", "medical", "palettes")
    colours: NDArray[np.integer] = pixels.apply_color_lut(values, dataset)[..., :3]
    bits = int(dataset.RedPaletteColorLookupTableDescriptor[2])
    # Tables of 16 bits hold the colour in the high byte (PS3.3 C.7.9).
    return colours.astype(np.uint8) if bits == 8 or colours.dtype == np.uint8 else (colours // 256).astype(np.uint8)


def _inverted(values: NDArray[np.generic], dataset: Any) -> NDArray[np.generic]:
    if values.dtype.kind == "f":
        return np.asarray(values.min() + values.max() - values)
    bits = int(dataset.BitsStored)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if dataset.PixelRepresentation else (0, (1 << bits) - 1)
    return np.asarray((low + high) - values.astype(np.int64))


def functional_groups(dataset: Any, frame: int) -> list[Any]:
    """Where an enhanced multi-frame object says things about one frame: its own group first, then the shared one."""
    groups = []
    if "PerFrameFunctionalGroupsSequence" in dataset and frame < len(dataset.PerFrameFunctionalGroupsSequence):
        groups.append(dataset.PerFrameFunctionalGroupsSequence[frame])
    if dataset.get("SharedFunctionalGroupsSequence"):
        groups.append(dataset.SharedFunctionalGroupsSequence[0])
    return groups


def _rescale_of(dataset: Any, frame: int) -> tuple[float, float]:
    for group in functional_groups(dataset, frame):
        if group.get("PixelValueTransformationSequence"):
            item = group.PixelValueTransformationSequence[0]
            return float(item.RescaleSlope), float(item.RescaleIntercept)
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    return (1.0 if slope in (None, "") else float(slope)), (0.0 if intercept in (None, "") else float(intercept))


def _rescaled(values: NDArray[np.generic], dataset: Any) -> NDArray[np.generic]:
    if dataset.get("ModalityLUTSequence"):
        pixels = require("pydicom.pixels", "medical", "lookup tables")
        return np.asarray(pixels.apply_modality_lut(values, dataset))
    frames = len(values) if values.ndim == 3 else 1
    rules = [_rescale_of(dataset, frame) for frame in range(frames)]
    if all(rule == (1.0, 0.0) for rule in rules):
        return values
    exact = values.dtype.kind in "iu" and all(part.is_integer() for rule in rules for part in rule)
    wide = values.astype(np.int64 if exact else np.float64).reshape(frames, *values.shape[-2:])
    shape = (frames, 1, 1)
    slopes = np.array([rule[0] for rule in rules]).reshape(shape).astype(wide.dtype)
    intercepts = np.array([rule[1] for rule in rules]).reshape(shape).astype(wide.dtype)
    return np.asarray((wide * slopes + intercepts).reshape(values.shape))
