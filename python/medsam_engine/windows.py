# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Maps scanner values to 0 to 255, the range that the published models were trained on.

The rules are those with which the MedSAM-on-laptop challenge prepared its data (bowang-lab/MedSAM, branch LiteMedSAM,
pre_CT_MR.py): clip the values, then stretch the range from the minimum to the maximum that remain. The published script
truncates where this module rounds; the results differ by at most one of 255 steps. They are computed in the core
(medsam/window.hpp), which has them for hosts in C++, too.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from medsam_engine import _core
from medsam_engine.base.renamed import renamed

Padding = Sequence[tuple[float, float] | None]
# Width, level in Hounsfield units.
CT_PRESETS: dict[str, tuple[float, float]] = _core.ct_presets()


def ct_window(values: NDArray[np.generic], width: float, level: float, padding: Padding = ()) -> NDArray[np.uint8]:
    """Clips values to level - width / 2 .. level + width / 2; the remaining minimum becomes 0, the maximum 255.

    Args:
        values: any shape, in Hounsfield units.
        width: width of the window in Hounsfield units, above 0.
        level: center of the window in Hounsfield units.
        padding: as in `apply_window`.

    Raises:
        InvalidArgument: as `apply_window`.
    """
    return _whole(values, f"{float(width)!r},{float(level)!r}", padding)


def percentile_window(values: NDArray[np.generic], padding: Padding = ()) -> NDArray[np.uint8]:
    """Clips values to the 0.5 and 99.5 percentiles of those above 0 and stretches them; voxels that were 0 stay 0.

    The percentiles are those of the whole array, so pass the volume and not a slice. Padding (as in `apply_window`) is
    not counted.
    """
    return _whole(values, "percentile", padding)


def full_window(values: NDArray[np.generic], padding: Padding = ()) -> NDArray[np.uint8]:
    """Maps the minimum of the array to 0 and the maximum to 255. Padding (as in `apply_window`) is not counted."""
    return _whole(values, "full", padding)


def _whole(values: NDArray[np.generic], window: str, padding: Padding) -> NDArray[np.uint8]:
    return windowed(values, window, padding=padding).slices(range(len(values))).astype(np.uint8, copy=False)


def _as_slices(values: NDArray[np.generic], padding: Padding) -> NDArray[np.generic]:
    """The values along an axis of slices, each of which has its padding: one for an image, however many rows it has."""
    if values.ndim == 2 or (values.ndim == 1 and not padding):
        return values[np.newaxis]
    return values


class Windowed:
    """An image or volume after windowing, computed slice by slice; slices that are never asked for take no memory.

    The window is computed from the whole volume, so a slice does not depend on which others are asked for.
    """

    def __init__(self, values: NDArray[np.generic], window: _core.IntensityWindow, padding: Padding = ()) -> None:
        """For `windowed`."""
        self.unchanged = window.unchanged
        self._values, self._window, self._padding = values, window, padding
        # Zeros that the system gives when they are first looked at: memory follows the slices that are made.
        self._pixels = np.zeros(0 if self.unchanged else values.shape, np.uint8)
        self._made = np.full(len(values), self.unchanged)

    def slices(self, numbers: Iterable[int]) -> NDArray[np.generic]:
        """An array of the shape of the values in which at least these slices are computed; others may still be 0.

        Every call returns the same array. If the window changes nothing, it is the array of the values itself.
        """
        for k in numbers:
            if not self._made[k]:
                self._show(k)
                self._made[k] = True
        return self._values if self.unchanged else self._pixels

    def _show(self, k: int) -> None:
        """Computes slice k, or row k of a flat image, all of whose rows share one padding."""
        interval = self._padding[0 if self._values.ndim == 2 else k] if self._padding else None
        _core.apply_window(self._window, self._values[k, ...], interval, self._pixels[k, ...])


def default_window(modality: str, hounsfield: bool = True) -> str:
    """The challenge's window for a modality (DICOM's code): abdomen for CT, percentile for MR and PT, otherwise full.

    For a CT whose values are not Hounsfield units, it is percentile.
    """
    return _core.default_window(modality, hounsfield)


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
            With None or "", `modality` decides; uint8 values stay as they are, because they need no further
            preparation.
        modality: DICOM's code, for the default window.
        color: whether the values are RGB. They are not windowed by default, and asking for a window is an error.
        padding: MedicalImage.padding: per slice (one entry for a flat image), the lowest and the highest value, both
            inclusive, of voxels that hold no measurement, or None. These voxels do not affect the window and become 0.
        hounsfield: MedicalImage.hounsfield: False if the values of a CT are not Hounsfield units.

    Returns:
        uint8 array of the same shape; with "none", `values` itself.

    Raises:
        InvalidArgument: the name is unknown, the width is not positive, the image is in color, a CT window is named for
            values that are not Hounsfield units, the padding is for another number of slices, a value that is no
            padding is NaN, or the values are no real numbers.
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
    resolved = _core.resolve_window(
        _as_slices(values, padding), window or "", modality, color, hounsfield, tuple(padding)
    )
    return Windowed(values, resolved, padding)


def check_window(window: str | None) -> None:
    """Raises InvalidArgument if `window` is not a window. Needs no image."""
    _core.check_window(window or "")
