# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Windows in NumPy alone, as medsam_engine had them before they moved to C++, which has to give the same bits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from percentile_reference import positive_percentiles

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


def _shown(values: NDArray[np.generic], k: int, stretch: _Stretch | None, padding: Padding) -> NDArray[np.generic]:
    part, interval = values[k], _interval(values, padding, k)
    shown = part if stretch is None else stretch.shown(part)
    return shown if interval is None else np.where(_within(part, interval), np.uint8(0), shown)


def reference_window(values: NDArray[np.generic], window: str, padding: Padding = ()) -> NDArray[np.generic]:
    """The whole array through a window that is named: a name, "WIDTH,LEVEL", or "" for prepared values with padding."""
    stretch: _Stretch | None = None
    if not window:
        pass
    elif window == "percentile":
        stretch = _percentile_stretch(values, padding)
    elif window == "full":
        stretch = _stretch(values, -np.inf, np.inf, padding)
    else:
        width, level = CT_PRESETS.get(window) or (float(part) for part in window.split(","))
        stretch = _stretch(values, level - width / 2, level + width / 2, padding)
    return np.stack([_shown(values, k, stretch, padding) for k in range(len(values))]).reshape(values.shape)
