# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The arguments of a Session as callers write them, into what the compiled core takes; nothing is cast silently.

Ranges (inside the image, finite, above 0) are the core's to check.
"""

from __future__ import annotations  # keeps ArrayLike short in help()

import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine.engine import Engine
from medsam_engine.errors import InvalidArgument
from medsam_engine.prompts import plain_array
from medsam_engine.windows import apply_window


def windowed_pixels(image: object, window: str | None, modality: object) -> tuple[NDArray[np.generic], bool]:
    """The pixels for the core, (D, H, W) or (1, H, W, 3), and whether the image is flat.

    Raises:
        InvalidArgument: no array of numbers, a masked one, a wrong shape, a value that is not finite, a wrong window or
            modality.
    """
    shapes = "(H, W), (H, W, 3) or (D, H, W)"
    if not isinstance(image, np.ndarray):
        raise InvalidArgument(f"image: got {type(image).__name__}, expected a numpy.ndarray {shapes}")
    if isinstance(image, np.ma.MaskedArray):
        raise InvalidArgument("image: got a masked array, expected plain values; choose them with its filled(value)")
    if image.dtype.kind not in "iuf":
        raise InvalidArgument(f"image: got dtype {image.dtype}, expected integers or real numbers")
    color = image.ndim > 2 and image.shape[-1] == 3
    flat = image.ndim == 2 or (color and image.ndim == 3)
    if not flat and image.ndim != 3:
        raise InvalidArgument(f"image: got shape {image.shape}, expected {shapes}")
    if not image.size:
        raise InvalidArgument(f"image: got shape {image.shape}, expected at least one pixel")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise InvalidArgument("image: got values that are not finite, expected finite ones; see numpy.nan_to_num")
    if not (modality is None or isinstance(modality, str)):
        raise InvalidArgument(f"modality: got {type(modality).__name__}, expected text, such as CT")
    if not (window is None or isinstance(window, str)):
        raise InvalidArgument(f'window: got {type(window).__name__}, expected a name or text such as "400,40"')
    pixels = apply_window(image, window, modality or "", color)
    return (pixels[np.newaxis] if flat else pixels), flat


def core_modality(engine: Engine, modality: str | None) -> str:
    """The modality for the model; DICOM's codes that it need not know are for the window alone."""
    return (modality or "") if engine.info.modalities else ""


def core_bytes(name: str, value: int) -> int:
    """A number of bytes. InvalidArgument: no whole number from 0 to 2^63 - 1."""
    number = whole_number(name, value)
    if not 0 <= number < 1 << 63:
        raise InvalidArgument(f"{name}: got {number}, expected 0 or more, below 2^63")
    return number


def whole_number(name: str, value: int) -> int:
    """A Python int below 2^63. InvalidArgument: another type, such as float or text."""
    try:
        number = operator.index(value)
    except TypeError:
        raise InvalidArgument(f"{name}: got {value!r}, expected a whole number") from None
    if abs(number) >= 1 << 63:
        raise InvalidArgument(f"{name}: got {number}, expected a whole number below 2^63")
    return number


def object_name(name: str) -> str:
    """InvalidArgument: no text, or text that UTF-8 does not have."""
    if not isinstance(name, str):
        raise InvalidArgument(f"object: got a name of type {type(name).__name__}, expected text")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"object: got the name {name!a}, expected text that UTF-8 has") from None
    return name


def array_axis(axis: int) -> int:
    """InvalidArgument: no whole number from 0 to 2."""
    number = whole_number("axis", axis)
    if not 0 <= number <= 2:
        raise InvalidArgument(f"plane: got axis {number}, expected 0 (z), 1 (y) or 2 (x)")
    return number


def optional_plane(name: str, value: int | None) -> int | None:
    """The number of a plane or None. InvalidArgument: another type."""
    return None if value is None else whole_number(name, value)


def voxel_box(box: Sequence[int] | None) -> tuple[int, int, int, int, int, int] | None:
    """Six whole numbers or None. InvalidArgument: another type or number of them."""
    if box is None:
        return None
    try:
        numbers = tuple(whole_number("box", value) for value in box)
    except TypeError:  # one number, say
        raise InvalidArgument(f"box: got {box!r}, expected x0, y0, z0, x1, y1, z1") from None
    if len(numbers) != 6:
        raise InvalidArgument(f"box: got {len(numbers)} numbers, expected x0, y0, z0, x1, y1, z1")
    return numbers


def optional_amount(name: str, value: float | None) -> float | None:
    """A number or None. InvalidArgument: another type."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidArgument(f"{name}: got {value!r}, expected a number")
    try:
        return float(value)
    except OverflowError:
        raise InvalidArgument(f"{name}: got a number beyond those of float64, expected a smaller one") from None


def direction(name: str) -> str:
    """InvalidArgument: no direction."""
    if name not in ("both", "up", "down"):
        raise InvalidArgument(f'direction: got {name!r}, expected "both", "up" or "down"')
    return name


def true_or_false(name: str, value: bool) -> bool:
    """InvalidArgument: no bool."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidArgument(f"{name}: got {type(value).__name__}, expected True or False")
    return bool(value)


def numbers(name: str, value: ArrayLike, sizes: tuple[int, ...], expected: str) -> NDArray[np.float64]:
    """`sizes` numbers in a row, float64. InvalidArgument: another number or type of them."""
    array = plain_array(name, value, expected)
    if array.dtype.kind not in "iuf" or array.ndim != 1 or array.size not in sizes:
        raise InvalidArgument(f"{name}: got {array.dtype} of shape {array.shape}, expected {expected}")
    return np.ascontiguousarray(array, dtype=np.float64)


def points(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """(N, 2) float64. InvalidArgument: another shape or type."""
    array = plain_array(name, value, "(N, 2)")
    if array.dtype.kind not in "iuf" or array.ndim != 2 or array.shape[1] != 2:
        raise InvalidArgument(f"{name}: got {array.dtype} of shape {array.shape}, expected (N, 2)")
    return np.ascontiguousarray(array, dtype=np.float64)


def line_ends(line: ArrayLike) -> NDArray[np.float64]:
    """x0, y0, x1, y1 of (4,) or (2, 2), float64. InvalidArgument: another number or type of them."""
    expected = "x0, y0, x1, y1 or (2, 2)"
    ends = plain_array("line", line, expected)
    return numbers("line", ends.reshape(-1) if ends.shape == (2, 2) else ends, (4,), expected)


def mask_voxels(mask: object, flat: bool) -> NDArray[np.uint8]:
    """A mask as (D, H, W) uint8. InvalidArgument: no plain array of bool or uint8, or another number of axes."""
    if not isinstance(mask, np.ndarray) or isinstance(mask, np.ma.MaskedArray):
        raise InvalidArgument(f"mask: got {type(mask).__name__}, expected a plain numpy.ndarray of bool or uint8")
    if mask.dtype not in (np.bool_, np.uint8):
        raise InvalidArgument(f"mask: got dtype {mask.dtype}, expected bool or uint8; compare it, e.g. labels == 3")
    if mask.ndim != (2 if flat else 3):
        raise InvalidArgument(f"mask: got shape {mask.shape}, expected the image's {'(H, W)' if flat else '(D, H, W)'}")
    return np.ascontiguousarray(mask[np.newaxis] if flat else mask).view(np.uint8)
