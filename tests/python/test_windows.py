# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Windows against hand-computed values, and against the real volumes that the challenge's rules were applied to."""

from pathlib import Path

import numpy as np
import pytest

from medsam_engine import InvalidArgument, io
from medsam_engine.windows import CT_PRESETS, apply_window, check_window, default_window


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
    assert apply_window(wide, None, "US", colour=True) is wide
    assert apply_window(wide, "none", "CT") is wide
    assert apply_window(prepared, "full").max() == 255
    with pytest.raises(InvalidArgument, match="colour"):
        apply_window(prepared, "lung", colour=True)


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
    pytest.importorskip("SimpleITK", reason="SimpleITK comes with the extra [medical]")
    pytest.importorskip("openjpeg", reason="pylibjpeg-openjpeg comes with the extra [medical]")
    image, expected = io.read(data / "raw" / raw), io.read(data / "open" / f"{case}.npz")
    made = apply_window(image.array, None, modality)
    # The prepared volumes are in LPS order; a file may store an axis the other way round.
    flips = tuple(slice(None, None, int(np.sign(image.direction[k, k]))) for k in (2, 1, 0))
    np.testing.assert_array_equal(made[flips], expected.array)
    np.testing.assert_allclose(image.spacing, expected.spacing, rtol=1e-6)
