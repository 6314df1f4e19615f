# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Prompts as callers write them (SAM's shapes) into the arrays the compiled core takes; nothing is cast in silence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam_engine.errors import InvalidArgument


@dataclass(frozen=True)
class PromptArrays:
    """N prompts. Each member is None when no prompt has that part; all are C-ordered."""

    count: int
    boxes: NDArray[np.float64] | None  # (N, 4)
    point_coords: NDArray[np.float64] | None  # (N, P, 2)
    point_labels: NDArray[np.int32] | None  # (N, P)
    mask_input: NDArray[np.float32] | None  # (N, h, w)
    scribble: NDArray[np.uint8] | None  # (N, H, W)


def plain_array(name: str, value: ArrayLike, expected: str) -> NDArray[np.generic]:
    """The value as an array of whatever dtype it has. InvalidArgument: a masked array, or rows of different lengths."""
    if np.ma.isMaskedArray(value):
        raise InvalidArgument(f"{name}: got a masked array, expected {expected}; fill it with {name}.filled(value)")
    try:
        return np.asarray(value)
    except ValueError as error:  # a ragged list
        raise InvalidArgument(f"{name}: got rows of different lengths, expected {expected}; make them equal") from error


def _array(name: str, value: ArrayLike, kinds: str, expected: str) -> NDArray[np.generic]:
    array = plain_array(name, value, expected)
    if array.size and array.dtype.kind not in kinds:
        raise InvalidArgument(f"{name}: got dtype {array.dtype}, expected {expected}; convert it explicitly")
    return array


def _shape_error(name: str, array: NDArray[np.generic], expected: str, remedy: str) -> InvalidArgument:
    return InvalidArgument(f"{name}: got shape {array.shape}, expected {expected}; {remedy}")


def _boxes(name: str, value: ArrayLike, ends: str) -> NDArray[np.float64]:
    width = len(ends.split())
    expected = f"numbers ({width},) or (N, {width}), each {ends}"
    array = _array(name, value, "iuf", expected)
    if array.shape == (0,):
        array = array.reshape(0, width)
    if array.ndim not in (1, 2) or array.shape[-1] != width:
        raise _shape_error(name, array, expected, "give the two corners of each box")
    return np.ascontiguousarray(array.reshape(-1, width), dtype=np.float64)


def box_array(box: ArrayLike) -> NDArray[np.float64]:
    """Boxes as (N, 4) float64, [x0, y0, x1, y1] each; (4,) is one box and an empty list is none. InvalidArgument."""
    return _boxes("box", box, "x0, y0, x1, y1")


def box3d_array(boxes: ArrayLike) -> NDArray[np.float64]:
    """Boxes as (N, 6) float64, [x0, y0, z0, x1, y1, z1] each; (6,) is one box, an empty list none. InvalidArgument."""
    return _boxes("boxes", boxes, "x0, y0, z0, x1, y1, z1")


def _point_arrays(
    point_coords: ArrayLike | None, point_labels: ArrayLike | None
) -> tuple[NDArray[np.float64] | None, NDArray[np.int32] | None]:
    if point_coords is None and point_labels is None:
        return None, None
    if point_coords is None or point_labels is None:
        got, missing = ("labels", "point_coords") if point_coords is None else ("coordinates", "point_labels")
        raise InvalidArgument(
            f"points: got {got} alone, expected point_coords and point_labels; give {missing} of the same length"
        )
    expected = "numbers (P, 2) or (N, P, 2), each x, y"
    coords = _array("point_coords", point_coords, "iuf", expected)
    if coords.ndim not in (2, 3) or coords.shape[-1] != 2:
        raise _shape_error("point_coords", coords, expected, "give x and y of each point")
    labels = _array("point_labels", point_labels, "iu", "integers 1 (object), 0 (background) or -1 (no point)")
    if labels.shape != coords.shape[:-1]:
        raise _shape_error("point_labels", labels, f"{coords.shape[:-1]}", "give one label for each point")
    # Checked before the cast: 2**32 + 1 would become a valid 1.
    if not np.isin(labels, (-1, 0, 1)).all():
        wrong = labels[~np.isin(labels, (-1, 0, 1))].flat[0]
        raise InvalidArgument(
            f"point_labels: got {wrong}, expected 1 (object), 0 (background) or -1 (no point); "
            "boxes have their own argument"
        )
    if coords.ndim == 2:
        coords, labels = coords[np.newaxis], labels[np.newaxis]
    return np.ascontiguousarray(coords, dtype=np.float64), np.ascontiguousarray(labels, dtype=np.int32)


def _mask_array(mask_input: ArrayLike) -> NDArray[np.float32]:
    expected = "float32 logits (h, w), (N, h, w) or (N, 1, h, w), as Prediction.low_res_logits"
    array = _array("mask_input", mask_input, "f", expected)
    if array.dtype != np.float32:
        raise InvalidArgument(f"mask_input: got dtype {array.dtype}, expected {expected}; use .astype(numpy.float32)")
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    elif array.ndim == 2:
        array = array[np.newaxis]
    if array.ndim != 3:
        raise _shape_error("mask_input", array, expected, "choose one of the alternatives, e.g. logits[:, m]")
    return np.ascontiguousarray(array, dtype=np.float32)


def _scribble_array(scribble: ArrayLike) -> NDArray[np.uint8]:
    expected = "bool or uint8 (H, W) or (N, H, W), not 0 where drawn"
    array = _array("scribble", scribble, "bu", expected)
    if array.dtype.itemsize != 1:
        raise InvalidArgument(f"scribble: got dtype {array.dtype}, expected {expected}; convert it explicitly")
    if array.ndim == 2:
        array = array[np.newaxis]
    if array.ndim != 3:
        raise _shape_error("scribble", array, expected, "give one plane for each prompt")
    return np.ascontiguousarray(array).view(np.uint8)


def prompt_arrays(
    box: ArrayLike | None,
    point_coords: ArrayLike | None,
    point_labels: ArrayLike | None,
    mask_input: ArrayLike | None,
    scribble: ArrayLike | None = None,
) -> PromptArrays:
    """Checks types and shapes and finds N. Ranges (inside the image, finite, not reversed) are the core's to check.

    Raises:
        InvalidArgument: a wrong type or shape, no prompt at all, or parts that disagree about N.
    """
    boxes = None if box is None else box_array(box)
    coords, labels = _point_arrays(point_coords, point_labels)
    masks = None if mask_input is None else _mask_array(mask_input)
    strokes = None if scribble is None else _scribble_array(scribble)
    counts = {
        name: len(array)
        for name, array in (("box", boxes), ("point_coords", coords), ("mask_input", masks), ("scribble", strokes))
        if array is not None
    }
    if not counts:
        raise InvalidArgument("prompt: got none, expected a box, points or a mask; give box=[x0, y0, x1, y1] or points")
    if len(set(counts.values())) != 1:
        got = ", ".join(f"{count} from {name}" for name, count in counts.items())
        raise InvalidArgument(
            f"prompts: got {got}, expected the same number from each; one row of each array makes one prompt"
        )
    return PromptArrays(next(iter(counts.values())), boxes, coords, labels, masks, strokes)
