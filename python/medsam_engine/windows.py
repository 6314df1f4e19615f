# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Maps scanner values to 0 to 255, the range that the published models were trained on. Needs NumPy only.

The rules are those with which the MedSAM-on-laptop challenge prepared its data (bowang-lab/MedSAM, branch LiteMedSAM,
pre_CT_MR.py): clip the values, then stretch the range from the minimum to the maximum that remain. The published script
truncates where this module rounds; the results differ by at most one of 255 steps.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base.percentiles import positive_percentiles
from medsam_engine.base.renamed import renamed
from medsam_engine.errors import InvalidArgument

Padding = Sequence[tuple[float, float] | None]
# Width, level in Hounsfield units. Abdomen to mediastinum: pre_CT_MR.py (after 3D Slicer's presets); bone: the same
# order of width as clinical viewers use.
CT_PRESETS: dict[str, tuple[float, float]] = {
    "abdomen": (400.0, 40.0),
    "lung": (1500.0, -600.0),
    "brain": (80.0, 40.0),
    "mediastinum": (350.0, 50.0),
    "bone": (1800.0, 400.0),
}
_PERCENTILES = (0.5, 99.5)
_NAMES = f"{', '.join(CT_PRESETS)}, percentile, full, none or WIDTH,LEVEL"


def ct_window(values: NDArray[np.generic], width: float, level: float, padding: Padding = ()) -> NDArray[np.uint8]:
    """Clips values to level - width / 2 .. level + width / 2; the remaining minimum becomes 0, the maximum 255.

    Args:
        values: any shape, in Hounsfield units.
        width: width of the window in Hounsfield units, above 0.
        level: center of the window in Hounsfield units.
        padding: as in `apply_window`.
    """
    return _whole(values, _ct_stretch(values, width, level, padding), padding)


def percentile_window(values: NDArray[np.generic], padding: Padding = ()) -> NDArray[np.uint8]:
    """Clips values to the 0.5 and 99.5 percentiles of those above 0 and stretches them; voxels that were 0 stay 0.

    The percentiles are those of the whole array, so pass the volume and not a slice. Padding (as in `apply_window`) is
    not counted.
    """
    return _whole(values, _percentile_stretch(values, padding), padding)


def full_window(values: NDArray[np.generic], padding: Padding = ()) -> NDArray[np.uint8]:
    """Maps the minimum of the array to 0 and the maximum to 255. Padding (as in `apply_window`) is not counted."""
    return _whole(values, _stretch(values, -np.inf, np.inf, padding), padding)


@dataclass(frozen=True)
class _Stretch:
    """Clips to low .. high, then maps darkest .. brightest to 0 .. 255; everything is 0 if these two are equal."""

    low: float
    high: float
    darkest: float
    brightest: float
    zeros_stay: bool = False

    def shown(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Any part of the array that it was made for."""
        if self.brightest <= self.darkest:
            return np.zeros(values.shape, np.uint8)
        clipped = np.clip(np.asarray(values, dtype=np.float64), self.low, self.high)
        # Padding may lie outside of what is left; it is made black by Windowed.
        share = np.clip((clipped - self.darkest) / (self.brightest - self.darkest), 0.0, 1.0)
        made: NDArray[np.uint8] = np.asarray(np.rint(share * 255.0)).astype(np.uint8)
        return np.where(np.equal(values, 0), np.uint8(0), made) if self.zeros_stay else made


_NOTHING = _Stretch(0.0, 0.0, 0.0, 0.0)


def _stretch(values: NDArray[np.generic], low: float, high: float, padding: Padding) -> _Stretch:
    """Stretches from the smallest to the largest value after clipping to low .. high."""
    ends = [(float(part.min()), float(part.max())) for part in _measured(values, padding) if part.size]
    if not ends:
        return _NOTHING
    darkest, brightest = min(low for low, _ in ends), max(high for _, high in ends)
    return _Stretch(low, high, float(np.clip(darkest, low, high)), float(np.clip(brightest, low, high)))


def _ct_stretch(values: NDArray[np.generic], width: float, level: float, padding: Padding) -> _Stretch:
    if not (np.isfinite([width, level]).all() and width > 0):
        raise InvalidArgument(
            f"window: got width {width:g}, level {level:g}, expected a positive width; 400,40 is abdomen"
        )
    return _stretch(values, level - width / 2, level + width / 2, padding)


def _percentile_stretch(values: NDArray[np.generic], padding: Padding) -> _Stretch:
    found = positive_percentiles(lambda: _measured(values, padding), _PERCENTILES)
    if found is None:
        return _NOTHING
    return replace(_stretch(values, found[0], found[1], padding), zeros_stay=True)


def _interval(values: NDArray[np.generic], padding: Padding, k: int) -> tuple[float, float] | None:
    """The padding of values[k], a slice or a row of a flat image; all rows of an image share one padding."""
    return padding[0 if values.ndim == 2 else k] if padding else None


def _measured(values: NDArray[np.generic], padding: Padding) -> Iterator[NDArray[np.generic]]:
    """The values other than padding, slice by slice (row by row for a flat image)."""
    if values.ndim == 1 and not any(padding):
        yield values
        return
    for k, part in enumerate(values):
        interval = _interval(values, padding, k)
        yield part if interval is None else np.asarray(part)[~_within(part, interval)]


def _within(values: NDArray[np.generic], interval: tuple[float, float]) -> NDArray[np.bool_]:
    return np.asarray((values >= interval[0]) & (values <= interval[1]))  # type: ignore[operator]


def _whole(values: NDArray[np.generic], stretch: _Stretch, padding: Padding) -> NDArray[np.uint8]:
    return Windowed(values, stretch, padding).slices(range(len(values))).astype(np.uint8, copy=False)


class Windowed:
    """An image or volume after windowing, computed slice by slice; slices that are never asked for take no memory.

    The window is computed from the whole volume, so a slice does not depend on which others are asked for.
    """

    def __init__(self, values: NDArray[np.generic], stretch: _Stretch | None, padding: Padding = ()) -> None:
        """For `windowed`. Without `stretch`, values stay as they are, but padding becomes 0."""
        self.unchanged = stretch is None and not any(padding)
        self._values, self._stretch, self._padding = values, stretch, padding
        # Zeros that the system gives when they are first looked at: memory follows the slices that are made.
        self._pixels: NDArray[np.generic] = values if self.unchanged else np.zeros(values.shape, np.uint8)
        self._made = np.full(len(values), self.unchanged)

    def slices(self, numbers: Iterable[int]) -> NDArray[np.generic]:
        """An array of the shape of the values in which at least these slices are computed; others may still be 0.

        Every call returns the same array. If the window changes nothing, it is the array of the values itself.
        """
        for k in numbers:
            if not self._made[k]:
                self._pixels[k] = self._shown(k)
                self._made[k] = True
        return self._pixels

    def _shown(self, k: int) -> NDArray[np.generic]:
        part, interval = self._values[k], _interval(self._values, self._padding, k)
        shown = part if self._stretch is None else self._stretch.shown(part)
        return shown if interval is None else np.where(_within(part, interval), np.uint8(0), shown)


def default_window(modality: str, hounsfield: bool = True) -> str:
    """The challenge's window for a modality (DICOM's code): abdomen for CT, percentile for MR and PT, otherwise full.

    For a CT whose values are not Hounsfield units, it is percentile.
    """
    rules = {"CT": "abdomen", "MR": "percentile", "MRI": "percentile", "PT": "percentile", "PET": "percentile"}
    name = rules.get(modality.upper(), "full")
    return "percentile" if name in CT_PRESETS and not hounsfield else name


@renamed(colour="color")
def apply_window(
    values: NDArray[np.generic],
    window: str | None,
    modality: str = "",
    color: bool = False,
    *,
    padding: Padding = (),
    hounsfield: bool = True,
) -> NDArray[np.generic]:
    """Prepares an image or volume for a model.

    Args:
        values: any shape; for a volume, all slices at once.
        window: abdomen, lung, brain, mediastinum, bone, percentile, full, "WIDTH,LEVEL", or none (values unchanged).
            With None, `modality` decides; uint8 values stay as they are, because they need no further preparation.
        modality: DICOM's code, for the default window.
        color: whether the values are RGB. They are not windowed by default, and asking for a window is an error.
        padding: MedicalImage.padding: per slice (one entry for a flat image), the lowest and the highest value, both
            inclusive, of voxels that hold no measurement, or None. These voxels do not affect the window and become 0.
        hounsfield: MedicalImage.hounsfield: False if the values of a CT are not Hounsfield units.

    Returns:
        uint8 array of the same shape; with "none", `values` itself.

    Raises:
        InvalidArgument: the name is unknown, the width is not positive, the image is in color, a CT window is named for
            values that are not Hounsfield units, or the padding is for another number of slices.
    """
    return windowed(values, window, modality, color, padding=padding, hounsfield=hounsfield).slices(range(len(values)))


def windowed(
    values: NDArray[np.generic],
    window: str | None,
    modality: str = "",
    color: bool = False,
    *,
    padding: Padding = (),
    hounsfield: bool = True,
) -> Windowed:
    """As `apply_window`, but slices are computed on demand, with the window of the whole volume.

    Arguments and errors are those of `apply_window`. Do not change `values` while the result is in use. It is not
    thread-safe.
    """
    if padding and len(padding) != (1 if values.ndim == 2 else len(values)):
        raise InvalidArgument(
            f"padding: got {len(padding)} intervals for values of shape {values.shape}, expected one for each slice"
        )
    if window == "none" or (window is None and color):
        return Windowed(values, None)
    if window is None and values.dtype == np.uint8:
        return Windowed(values, None, padding)
    if color:
        raise InvalidArgument(f"window: got {window} for a color image, expected none; leave it out")
    name = (window or default_window(modality, hounsfield)).strip().lower()
    if name in CT_PRESETS and not hounsfield:
        raise InvalidArgument(
            f"window: got {name} for a CT that is not in Hounsfield units, expected percentile, full, none or "
            "WIDTH,LEVEL in the values of the file; leave it out"
        )
    if name == "percentile":
        stretch = _percentile_stretch(values, padding)
    elif name == "full":
        stretch = _stretch(values, -np.inf, np.inf, padding)
    else:
        stretch = _ct_stretch(values, *(CT_PRESETS.get(name) or _width_level(name)), padding)
    return Windowed(values, stretch, padding)


def _width_level(text: str) -> tuple[float, float]:
    try:
        width, level = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidArgument(f"window: got '{text}', expected {_NAMES}; e.g. --window lung") from None
    return width, level


def check_window(window: str | None) -> None:
    """Raises InvalidArgument if `window` is not a window. Needs no image."""
    if window is not None and window != "none":
        apply_window(np.zeros(1, np.int16), window)
