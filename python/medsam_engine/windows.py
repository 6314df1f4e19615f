# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Scanner values to the 0 to 255 that the published models were trained on. Needs NumPy only.

The rules are those with which the MedSAM-on-laptop challenge prepared its data (bowang-lab/MedSAM, branch LiteMedSAM,
pre_CT_MR.py): clip, stretch what is left from its minimum to its maximum. The published script cuts off the fraction
where this rounds, which is at most one of 255 steps.
"""

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument

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


def ct_window(values: NDArray[np.generic], width: float, level: float) -> NDArray[np.uint8]:
    """Values clipped to level - width / 2 .. level + width / 2; the minimum left becomes 0 and the maximum 255.

    Args:
        values: any shape, Hounsfield units.
        width: of the window, above 0.
        level: its centre.
    """
    if not (np.isfinite([width, level]).all() and width > 0):
        raise InvalidArgument(
            f"window: got width {width:g}, level {level:g}, expected a positive width; 400,40 is abdomen"
        )
    return _stretched(values, level - width / 2, level + width / 2)


def percentile_window(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Values clipped to the 0.5 and 99.5 percentile of those above 0, stretched; voxels that were 0 stay 0.

    The percentiles are of the whole array: give the volume, not a slice.
    """
    positive = np.asarray(values[np.greater(values, 0)], dtype=np.float32)  # exact for 16-bit integers
    if not positive.size:
        return np.zeros(values.shape, np.uint8)
    low, high = np.percentile(positive.astype(np.float64), _PERCENTILES)
    stretched = _stretched(values, float(low), float(high))
    stretched[np.equal(values, 0)] = 0
    return stretched


def full_window(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """The minimum of the array becomes 0, the maximum 255."""
    return _stretched(values, -np.inf, np.inf)


def _stretched(values: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    """Clipped to low .. high, then its minimum to 0 and its maximum to 255, rounded."""
    stretched = np.zeros(values.shape, np.uint8)
    if not values.size:
        return stretched
    darkest, brightest = (float(np.clip(float(end), low, high)) for end in (values.min(), values.max()))
    if brightest > darkest:
        for k, part in enumerate(values):  # slice by slice: float64 of a whole volume is 1 GB for 512 x 512 x 512
            clipped = np.clip(np.asarray(part, dtype=np.float64), low, high)
            stretched[k] = np.rint((clipped - darkest) / (brightest - darkest) * 255.0)
    return stretched


def default_window(modality: str) -> str:
    """The name of the challenge's rule for a modality (DICOM's words): CT abdomen, MR and PT percentile, else full."""
    return {"CT": "abdomen", "MR": "percentile", "MRI": "percentile", "PT": "percentile", "PET": "percentile"}.get(
        modality.upper(), "full"
    )


def apply_window(
    values: NDArray[np.generic], window: str | None, modality: str = "", colour: bool = False
) -> NDArray[np.generic]:
    """Makes an image or volume ready for a model.

    Args:
        values: any shape; the whole volume at once.
        window: abdomen, lung, brain, mediastinum, bone, percentile, full, "WIDTH,LEVEL", or none (values as they are).
            None chooses by `modality`, and leaves uint8 as it is: it has been prepared, or never needed to be.
        modality: DICOM's word, for the default.
        colour: RGB values are never windowed by default; asking for a window is an error.

    Returns:
        uint8 of the same shape; with "none", `values`.

    Raises:
        InvalidArgument: an unknown name, a width that is not positive, a window for a colour image.
    """
    if window == "none" or (window is None and (colour or values.dtype == np.uint8)):
        return values
    if colour:
        raise InvalidArgument(f"window: got {window} for a colour image, expected none; leave it out")
    name = (window or default_window(modality)).strip().lower()
    if name in CT_PRESETS:
        return ct_window(values, *CT_PRESETS[name])
    if name == "percentile":
        return percentile_window(values)
    if name == "full":
        return full_window(values)
    return ct_window(values, *_width_level(name))


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
