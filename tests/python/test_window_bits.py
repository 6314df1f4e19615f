# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Windows in C++ give NumPy's bits, for every type, layout and padding; what has no such bits is refused."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from window_reference import reference_window

from medsam_engine import InvalidArgument, windows
from medsam_engine.windows import apply_window, check_window, ct_window, full_window, percentile_window, windowed

INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
TINY = float(np.finfo(np.float32).smallest_subnormal)
SHAPES = arrays.array_shapes(min_dims=1, max_dims=4, max_side=6)
NAMES = [*windows.CT_PRESETS, "percentile", "full", "7,1", "0.1,-0.3", "1e6,1e4"]


def elements(dtype: np.dtype[Any]) -> st.SearchStrategy[object]:
    """Small numbers, which meet, and the extremes of the type."""
    if dtype.kind == "f":
        width: Any = 8 * dtype.itemsize
        wide = 60000.0 if width == 16 else 2.0**100
        special = st.sampled_from([0.0, -0.0, 127.5, 0.1] + ([TINY, -TINY, 3 * TINY] if width > 16 else []))
        return st.floats(-4, 4, width=width) | st.floats(-wide, wide, width=width) | special.map(dtype.type)
    info = np.iinfo(dtype)
    return st.integers(max(-5, int(info.min)), 5) | st.integers(int(info.min), int(info.max))


DTYPES = st.sampled_from([np.dtype(kind) for kind in [*INTEGERS, np.float16, np.float32, np.float64]])
VALUES: st.SearchStrategy[NDArray[np.generic]] = DTYPES.flatmap(
    lambda dtype: arrays.arrays(dtype, SHAPES, elements=elements(dtype))
)


@settings(max_examples=600, deadline=None)
@given(VALUES, st.sampled_from(NAMES))
@example(np.array([[-32768, 0, 32767]], np.int16), "full")
@example(np.array([[0, 1, TINY, 1e-40, 3e38]], np.float32), "percentile")
@example(np.array([[1e-300, 5.0, 7.0]]), "percentile")  # above 0, but 0 as float32
@example(np.array([[2**63 + 3, 2**64 - 1, 1]], np.uint64), "percentile")
@example(np.array([[2**53 + 1, 2**54 + 2, 1]], np.int64), "percentile")
@example(np.array([[0.0, 0.5, 1.5, 2.5, 255.0]]), "full")  # halves to even
def test_bits_are_those_of_numpy(values: NDArray[np.generic], window: str) -> None:
    made = apply_window(values, window)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made, reference_window(values, window))


@settings(max_examples=600, deadline=None)
@given(VALUES, st.sampled_from(NAMES), st.data())
def test_bits_with_padding_are_those_of_numpy(values: NDArray[np.generic], window: str, data: st.DataObject) -> None:
    wide = st.floats(-1e6, 1e6)
    if values.dtype != np.float16:  # which C++ reads as float32
        wide = wide | st.sampled_from([0.1, -0.1, 2.0**40, -np.inf, np.inf, np.nan])
    end = st.sampled_from(values.ravel()[:3].astype(np.float64).tolist()) | wide
    if values.dtype == np.float16:
        end = end.map(lambda number: float(np.float16(np.clip(number, -60000, 60000))))
    count = 1 if values.ndim == 2 else len(values)
    padding = data.draw(st.lists(st.none() | st.tuples(end, end), min_size=count, max_size=count))
    with np.errstate(over="ignore"):
        expected = reference_window(values, window, padding)
    np.testing.assert_array_equal(apply_window(values, window, padding=padding), expected)


def test_prepared_values_with_padding() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    padding = [(3.0, 9.5), None, (-7.0, 1000.0), (200.0, 100.0)]
    made = apply_window(values, None, padding=padding)
    np.testing.assert_array_equal(made, reference_window(values, "", padding))


LAYOUTS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "Fortran order": np.asfortranarray,
    "reversed": lambda values: np.ascontiguousarray(values[::-1, :, ::-1])[::-1, :, ::-1],
    "every second column": lambda values: np.repeat(values, 2, axis=2)[:, :, ::2],
    "the other byte order": lambda values: values.astype(values.dtype.newbyteorder()),
    "read-only": lambda values: np.frombuffer(values.tobytes(), values.dtype).reshape(values.shape),
    "misaligned": lambda values: np.frombuffer(b"x" + values.tobytes(), values.dtype, offset=1).reshape(values.shape),
    "broadcast": lambda values: np.broadcast_to(values[:1], values.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
def test_every_layout_is_read(layout: str, dtype: type[np.generic]) -> None:
    values = LAYOUTS[layout](np.random.default_rng(5).normal(100, 300, (3, 7, 9)).astype(dtype))
    for window in ("abdomen", "percentile"):
        np.testing.assert_array_equal(apply_window(values, window), reference_window(values, window))


def test_masks_and_long_doubles() -> None:
    mask = np.array([[True, False]])
    np.testing.assert_array_equal(apply_window(mask, None), [[255, 0]])  # a bool is no prepared 8-bit value
    np.testing.assert_array_equal(apply_window(np.array([[0, 1, 2]], np.longdouble), "full"), [[0, 128, 255]])


def test_the_functions_for_one_window() -> None:
    values = np.random.default_rng(5).normal(100, 300, (3, 7, 9)).astype(np.float32)
    np.testing.assert_array_equal(ct_window(values, 1 / 3, 1e-7), reference_window(values, f"{1 / 3!r},{1e-7!r}"))
    np.testing.assert_array_equal(percentile_window(values), reference_window(values, "percentile"))
    np.testing.assert_array_equal(full_window(values), reference_window(values, "full"))
    prepared = np.array([[50, 150]], np.uint8)
    np.testing.assert_array_equal(ct_window(prepared, 400, 40), [[0, 255]])
    with pytest.raises(InvalidArgument, match="width 0, level 3"):
        ct_window(values, 0, 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("window", ["abdomen", "percentile", "full"])
def test_what_is_no_number_is_refused(window: str, dtype: type[np.generic]) -> None:
    values = np.array([[[1, 2], [np.nan, 3]]], dtype)
    with pytest.raises(InvalidArgument, match="NaN"):
        apply_window(values, window)


def test_infinities_are_clipped_or_refused() -> None:
    values = np.array([[-np.inf, 0, 40, 100, np.inf]], np.float32)
    np.testing.assert_array_equal(apply_window(values, "abdomen"), reference_window(values, "abdomen"))
    for window in ("full", "percentile"):
        with pytest.raises(InvalidArgument, match="finite"):
            apply_window(values, window)
    with pytest.raises(InvalidArgument, match="finite"):
        apply_window(np.array([[-1.7e308, 1.7e308]]), "full")
    hidden = apply_window(values[:, 1:], "full", padding=((np.inf, np.inf),))
    np.testing.assert_array_equal(hidden, [[0, 102, 255, 0]])


@pytest.mark.parametrize("dtype", [np.complex64, object, "M8[s]", "U3"])
def test_what_is_not_real_is_refused(dtype: str) -> None:
    with pytest.raises(InvalidArgument, match="expected real numbers"):
        apply_window(np.zeros((2, 3), dtype), "full")


def test_masked_arrays_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="masked"):
        apply_window(np.ma.masked_greater(np.arange(6).reshape(2, 3), 4), "full")


def test_an_empty_window_is_that_of_the_modality() -> None:
    check_window("")
    values = np.arange(-6, 6, dtype=np.int16).reshape(3, 4)
    np.testing.assert_array_equal(apply_window(values, "", "MR"), apply_window(values, "percentile"))


def test_slices_are_made_by_several_threads_at_once() -> None:
    """Each with a Windowed of its own: C++ works without the GIL."""
    values = np.random.default_rng(5).normal(100, 300, (30, 64, 64)).astype(np.float32)
    expected = reference_window(values, "percentile")
    made: list[NDArray[np.generic]] = []

    def work() -> None:
        made.append(windowed(values, "percentile").slices(range(len(values))))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    for each in made:
        np.testing.assert_array_equal(each, expected)
