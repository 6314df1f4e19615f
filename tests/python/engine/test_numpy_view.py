# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Arrays in: what is read in place, what is copied, and what is refused; nothing is cast in silence."""

import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, InvalidArgument

Array = NDArray[np.generic]


def encoded(engine: Engine, image: Array) -> NDArray[np.float32]:
    return engine.encode(image).array


def misaligned(image: Array) -> Array:
    """The same values one byte off their type's alignment."""
    buffer = np.zeros(image.nbytes + 1, dtype=np.uint8)
    view = buffer[1:].view(image.dtype).reshape(image.shape)
    view[...] = image
    return view


def padded_rows(image: Array) -> Array:
    return np.pad(image, [(0, 0), (0, 5)] + [(0, 0)] * (image.ndim - 2))[:, :-5]


def upside_down_twice(image: Array) -> Array:
    return np.ascontiguousarray(image[::-1])[::-1]


def mirrored_twice(image: Array) -> Array:
    return np.ascontiguousarray(image[:, ::-1])[:, ::-1]


def channel_first_view(image: Array) -> Array:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(image, -1, 0)), 0, -1)


def every_second_row(image: Array) -> Array:
    return np.repeat(image, 2, axis=0)[::2]


def every_second_column(image: Array) -> Array:
    return np.repeat(image, 2, axis=1)[:, ::2]


def from_bytes(image: Array) -> Array:
    """Read-only and not the owner of its memory, as DICOM readers give."""
    return np.frombuffer(image.tobytes(), dtype=image.dtype).reshape(image.shape)


LAYOUTS: list[Callable[[Array], Array]] = [
    padded_rows,
    upside_down_twice,
    mirrored_twice,
    channel_first_view,
    every_second_row,
    every_second_column,
    from_bytes,
    np.asfortranarray,
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_layout_does_not_matter(engine: Engine, image: NDArray[np.uint8], layout: Callable[[Array], Array]) -> None:
    other = layout(image)
    np.testing.assert_array_equal(other, image)
    before = other.copy()
    np.testing.assert_array_equal(encoded(engine, other), encoded(engine, image))
    np.testing.assert_array_equal(other, before)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
@pytest.mark.parametrize(
    "change", [lambda a: a.astype(a.dtype.newbyteorder(">")), misaligned], ids=["big", "misaligned"]
)
def test_byte_order_and_alignment_do_not_matter(
    engine: Engine, image: NDArray[np.uint8], dtype: type[np.generic], change: Callable[[Array], Array]
) -> None:
    native = image.astype(dtype)
    other = change(native)
    assert other.dtype.isnative is False or other.flags.aligned is False
    np.testing.assert_array_equal(encoded(engine, other), encoded(engine, native))


def test_overlapping_rows_are_copied(engine: Engine) -> None:
    row = np.arange(64, dtype=np.uint8)
    np.testing.assert_array_equal(
        encoded(engine, np.broadcast_to(row, (48, 64))), encoded(engine, np.tile(row, (48, 1)))
    )


def test_gray_shapes_are_one(engine: Engine, image: NDArray[np.uint8]) -> None:
    gray = image[..., 0]
    expected = encoded(engine, np.repeat(gray[..., np.newaxis], 3, axis=2))
    np.testing.assert_array_equal(encoded(engine, gray), expected)
    np.testing.assert_array_equal(encoded(engine, gray[..., np.newaxis]), expected)


def test_one_row_and_one_column(engine: Engine, image: NDArray[np.uint8]) -> None:
    # NumPy leaves the strides of axes of length 1 undefined.
    np.testing.assert_array_equal(encoded(engine, image[3:4]), encoded(engine, image[3:4].copy()))
    np.testing.assert_array_equal(encoded(engine, image[:, 5:6]), encoded(engine, image[:, 5:6].copy()))
    np.testing.assert_array_equal(encoded(engine, image[::-200]), encoded(engine, image[-1:].copy()))


def test_float_image_in_0_to_1_is_not_black(engine: Engine, image: NDArray[np.uint8]) -> None:
    # Another scale of the same values: equal but for the rounding of the division.
    unit = image.astype(np.float32) / np.float32(255)
    same = encoded(engine, image.astype(np.float32))
    np.testing.assert_allclose(encoded(engine, unit), same, atol=1e-3 * float(np.abs(same).max()))
    black = encoded(engine, np.zeros_like(image))
    assert np.abs(encoded(engine, unit) - black).max() > 0.1 * np.abs(same).max()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a > 100, "dtype bool.*uint8"),
        (lambda a: a.astype(np.int8), "dtype int8"),
        (lambda a: a.astype(np.int32), "dtype int32"),
        (lambda a: a.astype(np.int64), "dtype int64"),
        (lambda a: a.astype(np.uint64), "dtype uint64"),
        (lambda a: a.astype(np.float16), "dtype float16"),
        (lambda a: a.astype(np.float64), r"dtype float64.*astype\(numpy.float32\)"),
        (lambda a: a.astype(np.complex64), "dtype complex64"),
        (lambda a: a.astype(object), "dtype object"),
        (lambda a: a.astype("U3"), "dtype <U3"),
        (lambda a: np.ma.masked_greater(a, 100), r"masked array.*filled"),
        (lambda a: a.tolist(), "got list.*numpy.asarray"),
        (lambda _: None, "got NoneType"),
        (lambda a: np.dstack([a, a[..., 0]]), "alpha"),
        (lambda a: a[..., :2], r"shape \(96, 128, 2\)"),
        (lambda a: np.moveaxis(a, -1, 0), "moveaxis"),
        (lambda a: a[np.newaxis], "one image at a time"),
        (lambda a: a[0, :, 0], r"shape \(128,\)"),
        (lambda a: np.stack([a[..., 0]] * 7), "one slice at a time|shape"),
        (lambda a: a[:0], "empty image"),
        (lambda a: a[:, :0], "empty image"),
    ],
)
def test_what_would_need_a_guess_is_refused(
    engine: Engine, image: NDArray[np.uint8], change: Callable[[Array], Array], message: str
) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        engine.encode(change(image))
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_refused(engine: Engine, image: NDArray[np.uint8], value: float) -> None:
    pixels = image.astype(np.float32)
    pixels[-1, -1, -1] = value
    with pytest.raises(InvalidArgument):
        engine.encode(pixels)


def test_no_reference_is_kept_or_lost(engine: Engine, image: NDArray[np.uint8]) -> None:
    strided, fortran = image[:, :100], np.asfortranarray(image)
    for pixels in (strided, fortran):
        before = sys.getrefcount(pixels)
        engine.encode(pixels)
        assert sys.getrefcount(pixels) == before
        with pytest.raises(InvalidArgument):
            engine.segment(pixels, [[5, 5, 1, 1]])
        # pytest's caught exception is gone with the block's frame; the array must be too.
        assert sys.getrefcount(pixels) == before
