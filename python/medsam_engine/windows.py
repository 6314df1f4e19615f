# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Scanner values to the 0 to 255 that the published models were trained on. Needs NumPy only.

The rules are those with which the MedSAM-on-laptop challenge prepared its data (bowang-lab/MedSAM, branch LiteMedSAM,
pre_CT_MR.py): clip, stretch what is left from its minimum to its maximum. The published script cuts off the fraction
where this rounds, which is at most one of 255 steps.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.percentiles import positive_percentiles

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
    """Values clipped to level - width / 2 .. level + width / 2; the minimum left becomes 0 and the maximum 255.

    Args:
        values: any shape, Hounsfield units.
        width: of the window, above 0.
        level: its centre.
        padding: as in `apply_window`.
    """
    return _whole(values, _ct_stretch(values, width, level, padding), padding)


def percentile_window(values: NDArray[np.generic], padding: Padding = ()) -> NDArray[np.uint8]:
    """Values clipped to the 0.5 and 99.5 percentile of those above 0, stretched; voxels that were 0 stay 0.

    The percentiles are of the whole array: give the volume, not a slice. Padding (as in `apply_window`) has no part.
    """
    return _whole(values, _percentile_stretch(values, padding), padding)


def full_window(values: NDArray[np.generic], padding: Padding = ()) -> NDArray[np.uint8]:
    """The minimum of the array becomes 0, the maximum 255. Padding (as in `apply_window`) has no part in either."""
    return _whole(values, _stretch(values, -np.inf, np.inf, padding), padding)


@dataclass(frozen=True)
class _Stretch:
    """Clips to low .. high, then maps darkest .. brightest to 0 .. 255; all is 0 where these two are one."""

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
    """From the smallest to the largest of the values that low .. high leaves."""
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
    """The padding of values[k]: of a slice, or of a row of a flat image, which has one for all rows."""
    return padding[0 if values.ndim == 2 else k] if padding else None


def _measured(values: NDArray[np.generic], padding: Padding) -> Iterator[NDArray[np.generic]]:
    """The values that are no padding, slice by slice (of a flat image, row by row)."""
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
    """An image or volume as a window shows it, made slice by slice: a slice never asked for takes no memory.

    The window itself is of the whole volume: a slice is the same whichever others are asked for.
    """

    def __init__(self, values: NDArray[np.generic], stretch: _Stretch | None, padding: Padding = ()) -> None:
        """For `windowed`. Without `stretch` values stay, but padding becomes 0."""
        self.unchanged = stretch is None and not any(padding)
        self._values, self._stretch, self._padding = values, stretch, padding
        # Zeros that the system gives when they are first looked at: memory follows the slices that are made.
        self._pixels: NDArray[np.generic] = values if self.unchanged else np.zeros(values.shape, np.uint8)
        self._made = np.full(len(values), self.unchanged)

    def slices(self, numbers: Iterable[int]) -> NDArray[np.generic]:
        """An array of the shape of the values, in which at least these slices are made; others may still be 0.

        It is the same array at each call, and the values themselves where the window leaves them as they are.
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
    """The name of the challenge's rule for a modality (DICOM's words): CT abdomen, MR and PT percentile, else full.

    A CT whose values are not Hounsfield units takes percentile.
    """
    rules = {"CT": "abdomen", "MR": "percentile", "MRI": "percentile", "PT": "percentile", "PET": "percentile"}
    name = rules.get(modality.upper(), "full")
    return "percentile" if name in CT_PRESETS and not hounsfield else name


def apply_window(
    values: NDArray[np.generic],
    window: str | None,
    modality: str = "",
    colour: bool = False,
    *,
    padding: Padding = (),
    hounsfield: bool = True,
) -> NDArray[np.generic]:
    """Makes an image or volume ready for a model.

    Args:
        values: any shape; the whole volume at once.
        window: abdomen, lung, brain, mediastinum, bone, percentile, full, "WIDTH,LEVEL", or none (values as they are).
            None chooses by `modality`, and leaves uint8 as it is: it has been prepared, or never needed to be.
        modality: DICOM's word, for the default.
        colour: RGB values are never windowed by default; asking for a window is an error.
        padding: MedicalImage.padding: for each slice (one pair for a flat image) the lowest and highest value, ends
            inclusive, of voxels that hold no measurement, or None. They have no part in the window and become 0.
        hounsfield: MedicalImage.hounsfield: False when a CT's values are no Hounsfield units.

    Returns:
        uint8 of the same shape; with "none", `values`.

    Raises:
        InvalidArgument: an unknown name, a width that is not positive, a window for a colour image, a CT window by name
            for values that are no Hounsfield units, padding for another number of slices.
    """
    return windowed(values, window, modality, colour, padding=padding, hounsfield=hounsfield).slices(range(len(values)))


def windowed(
    values: NDArray[np.generic],
    window: str | None,
    modality: str = "",
    colour: bool = False,
    *,
    padding: Padding = (),
    hounsfield: bool = True,
) -> Windowed:
    """What `apply_window` gives, slice by slice: the window is of the whole volume, its pixels are made when asked for.

    Takes and raises what `apply_window` does. Do not change `values` meanwhile. Not for several threads at once.
    """
    if padding and len(padding) != (1 if values.ndim == 2 else len(values)):
        raise InvalidArgument(
            f"padding: got {len(padding)} intervals for values of shape {values.shape}, expected one for each slice"
        )
    if window == "none" or (window is None and colour):
        return Windowed(values, None)
    if window is None and values.dtype == np.uint8:
        return Windowed(values, None, padding)
    if colour:
        raise InvalidArgument(f"window: got {window} for a colour image, expected none; leave it out")
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
    """Says before an image is read that `window` is not one. InvalidArgument."""
    if window is not None and window != "none":
        apply_window(np.zeros(1, np.int16), window)
