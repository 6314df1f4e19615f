# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Windows against hand-computed values, and against the real volumes that the challenge's rules were applied to."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from percentile_reference import positive_percentiles

from medsam_engine import InvalidArgument, _core, io
from medsam_engine.windows import CT_PRESETS, apply_window, check_window, default_window, windowed


def test_a_ct_window_by_hand() -> None:
    values = np.array([-1000, -160, 40, 39, 240, 3000], np.int16)
    np.testing.assert_array_equal(apply_window(values, "abdomen"), [0, 0, 128, 127, 255, 255])
    np.testing.assert_array_equal(apply_window(values, "400,40"), apply_window(values, "abdomen"))
    # What is left after the clip is stretched: values that do not reach the window's ends still become 0 and 255.
    np.testing.assert_array_equal(apply_window(np.array([0, 50, 100], np.int16), "lung"), [0, 128, 255])


@pytest.mark.parametrize("name", CT_PRESETS)
def test_presets(name: str) -> None:
    width, level = CT_PRESETS[name]
    values = np.array([-5000, level - width / 4, level, level + width / 4, 5000], np.float32)
    np.testing.assert_allclose(apply_window(values, name).astype(float), [0, 63.75, 127.5, 191.25, 255], atol=0.75)


def test_percentiles_by_hand() -> None:
    values = np.concatenate([[0, 0, 0, -7], np.arange(1, 202)]).astype(np.float32)
    made = apply_window(values, "percentile")
    # Of 1 to 201 the 0.5 percentile is 2 and the 99.5 percentile is 200.
    expected = np.rint((np.clip(values, 2, 200) - 2) / 198 * 255)
    expected[values == 0] = 0
    np.testing.assert_array_equal(made, expected)
    assert made.dtype == np.uint8


def test_degenerate_volumes() -> None:
    for window in ("percentile", "full", "brain"):
        assert not apply_window(np.zeros((2, 3), np.int16), window).any()
        assert not apply_window(np.full((2, 3), 40, np.int16), window).any()
        assert apply_window(np.zeros((0, 3), np.int16), window).shape == (0, 3)
    assert not apply_window(np.full((2, 3), -40, np.int16), "percentile").any()


@pytest.mark.parametrize("window", ["abdomen", "percentile", "full", "3000,1500"])
@pytest.mark.parametrize("interval", [(65000.0, 65535.0), (-2000.0, -2000.0), (1500.0, 1500.0)])
def test_padding_has_no_part_in_a_window(window: str, interval: tuple[float, float]) -> None:
    """A window of values that are no padding, by the same rule applied to those values alone; padding is black."""
    rng = np.random.default_rng(3)
    values = rng.integers(1, 1400, (3, 8, 9)).astype(np.float32)
    whole = apply_window(values.reshape(3, -1), window).reshape(values.shape)
    padded = np.concatenate([values, np.tile(np.array(interval, np.float32), 54).reshape(3, 4, 9)], axis=1)
    made = apply_window(padded, window, padding=(interval, interval, interval))
    np.testing.assert_array_equal(made[:, :8], whole)
    assert not made[:, 8:].any()
    flat = apply_window(padded[0], window, padding=(interval,))
    np.testing.assert_array_equal(flat[:8], apply_window(values[0], window))
    assert not flat[8:].any()
    mixed = padded.copy()
    mixed[1] = padded[1, 0, 0]  # a slice without any
    assert not apply_window(mixed, window, padding=(interval, None, interval))[[0, 2], 8:].any()


def test_padding_of_prepared_values_and_of_nothing_else() -> None:
    values = np.array([[10, 255], [20, 30]], np.uint8)
    np.testing.assert_array_equal(apply_window(values, None, padding=((255.0, 255.0),)), [[10, 0], [20, 30]])
    assert values[0, 1] == 255
    assert apply_window(values, None, padding=(None,)) is values
    assert not apply_window(np.full((2, 3), 7, np.int16), "full", padding=((7.0, 7.0),)).any()
    with pytest.raises(InvalidArgument, match="2 intervals"):
        apply_window(values, "full", padding=((255.0, 255.0), None))


def test_values_that_are_no_hounsfield_units() -> None:
    values = np.arange(900, 1300, dtype=np.uint16).reshape(20, 20)
    assert default_window("CT", hounsfield=False) == "percentile"
    np.testing.assert_array_equal(
        apply_window(values, None, "CT", hounsfield=False), apply_window(values, "percentile")
    )
    for name in CT_PRESETS:
        with pytest.raises(InvalidArgument, match=f"{name} for a CT that is not in Hounsfield units"):
            apply_window(values, name, "CT", hounsfield=False)
    for name in ("400,1064", "full"):
        np.testing.assert_array_equal(apply_window(values, name, "CT", hounsfield=False), apply_window(values, name))
    assert apply_window(values, None, "MR", hounsfield=False).any()


def test_defaults_follow_the_modality() -> None:
    values = np.linspace(-500, 900, 4096).astype(np.float32)
    for modality, window in {"CT": "abdomen", "MR": "percentile", "PT": "percentile", "CR": "full", "": "full"}.items():
        assert default_window(modality) == window
        np.testing.assert_array_equal(apply_window(values, None, modality), apply_window(values, window))


def test_what_stays_as_it_is() -> None:
    prepared = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert apply_window(prepared, None, "CT") is prepared
    wide = prepared.astype(np.uint16)
    assert apply_window(wide, None, "US", color=True) is wide
    assert apply_window(wide, "none", "CT") is wide
    assert apply_window(prepared, "full").max() == 255
    with pytest.raises(InvalidArgument, match="color"):
        apply_window(prepared, "lung", color=True)


@pytest.mark.parametrize("window", ["liver", "400", "400,40,1", "0,40", "-400,40", "nan,0", "a,b"])
def test_bad_windows(window: str) -> None:
    with pytest.raises(InvalidArgument, match="window"):
        check_window(window)


@pytest.mark.parametrize(
    ("raw", "case", "modality"),
    [
        ("ct-3slice", "3DBox_CT_dcmqi_1", "CT"),
        ("ct_series_uncompressed", "3DBox_CT_sts_1", "CT"),
        ("ct_sts002_image.nii.gz", "3DBox_CT_sts_1", "CT"),
        ("ct_series_jpeg2000", "3DBox_CT_totalseg-dicom_1", "CT"),
        ("mr_brain.nrrd", "3DBox_MR_pyradiomics-brain_1", "MR"),
    ],
)
def test_raw_files_become_the_prepared_ones(raw: str, case: str, modality: str) -> None:
    data = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not data.is_dir():
        pytest.skip("needs ../shared/data, which has the originals")
    pytest.importorskip("SimpleITK", reason="SimpleITK is not in a thin installation")
    pytest.importorskip("openjpeg", reason="pylibjpeg-openjpeg is not in a thin installation")
    image, expected = io.read(data / "raw" / raw), io.read(data / "open" / f"{case}.npz")
    made = apply_window(image.array, None, modality)
    # The prepared volumes are in LPS order; a file may store an axis the other way round.
    flips = tuple(slice(None, None, int(np.sign(image.direction[k, k]))) for k in (2, 1, 0))
    np.testing.assert_array_equal(made[flips], expected.array)
    np.testing.assert_allclose(image.spacing, expected.spacing, rtol=1e-6)


SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))
VOLUMES: st.SearchStrategy[NDArray[np.generic]] = st.one_of(
    arrays.arrays(np.int16, SHAPES, elements=st.integers(-5, 5) | st.integers(-(2**15), 2**15 - 1)),
    arrays.arrays(np.uint16, SHAPES, elements=st.integers(0, 3) | st.integers(0, 2**16 - 1)),
    arrays.arrays(np.float32, SHAPES, elements=st.floats(-4, 4, width=32) | st.floats(-(2.0**80), 2.0**80, width=32)),
)
WINDOWS = st.sampled_from(["abdomen", "percentile", "full", "7,1", "none"])


def ends_of(values: NDArray[np.generic]) -> list[float]:
    """The percentiles that a window clips to."""
    window = _core.resolve_window(values, "percentile", "", False, True, ())
    return [window.low, window.high]


@settings(max_examples=300, deadline=None)
@given(VOLUMES, st.lists(st.floats(0, 100), min_size=1, max_size=3))
def test_counting_is_sorting(values: NDArray[np.generic], percentiles: list[float]) -> None:
    positive = values[np.greater(values, 0)].astype(np.float32).astype(np.float64)
    expected = [0.0, 0.0] if not positive.size else np.percentile(positive, [0.5, 99.5]).tolist()
    assert ends_of(values) == expected
    reference = positive_percentiles(lambda: iter(values), percentiles)
    assert reference == (np.percentile(positive, percentiles).tolist() if positive.size else None)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
def test_counting_is_sorting_for_many_values(dtype: type[np.generic]) -> None:
    values = (np.random.default_rng(3).gamma(2.0, 300.0, (7, 90, 80)) - 200).clip(0, 30000).astype(dtype)
    positive = values[np.greater(values, 0)].astype(np.float64)
    assert ends_of(values) == np.percentile(positive, [0.5, 99.5]).tolist()


def sorted_window(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The percentile window as the challenge's script has it: the whole volume sorted and stretched at once."""
    positive = values[np.greater(values, 0)].astype(np.float64)
    if not positive.size:
        return np.zeros(values.shape, np.uint8)
    clipped = np.clip(values.astype(np.float64), *np.percentile(positive, [0.5, 99.5]))
    low, high = float(clipped.min()), float(clipped.max())
    made = np.rint((clipped - low) / (high - low) * 255.0) if high > low else np.zeros(values.shape)
    made[np.equal(values, 0)] = 0
    return made.astype(np.uint8)


@settings(max_examples=200, deadline=None)
@given(VOLUMES)
def test_the_percentile_window_is_of_the_whole_volume(values: NDArray[np.generic]) -> None:
    np.testing.assert_array_equal(apply_window(values, "percentile"), sorted_window(values))


@settings(max_examples=300, deadline=None)
@given(VOLUMES, WINDOWS, st.data())
def test_slices_are_those_of_the_whole_volume(values: NDArray[np.generic], window: str, data: st.DataObject) -> None:
    depth = len(values)
    interval = st.none() | st.just((float(values.flat[0]), float(values.flat[0])))
    padding = data.draw(st.just(()) | st.tuples(*[interval] * depth)) if window != "none" else ()
    whole = apply_window(values, window, padding=padding)
    shown = windowed(values, window, padding=padding)
    first = data.draw(st.sets(st.integers(0, depth - 1)))
    later = data.draw(st.sets(st.integers(0, depth - 1)))
    made = shown.slices(first)
    if window == "none":
        assert made is values
        return
    assert made.dtype == np.uint8
    for k in range(depth):
        np.testing.assert_array_equal(made[k], whole[k] if k in first else np.zeros_like(whole[k]))
    assert shown.slices(later) is made
    for k in first | later:
        np.testing.assert_array_equal(made[k], whole[k])
