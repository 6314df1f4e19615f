# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Scanner values to the 0 to 255 that the published models were trained on. Needs NumPy only.

The rules are those with which the MedSAM-on-laptop challenge prepared its data (bowang-lab/MedSAM, branch LiteMedSAM,
pre_CT_MR.py): clip, stretch what is left from its minimum to its maximum. The published script cuts off the fraction
where this rounds, which is at most one of 255 steps.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

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
    """Values clipped to level - width / 2 .. level + width / 2; the minimum left becomes 0 and the maximum 255.

    Args:
        values: any shape, Hounsfield units.
        width: of the window, above 0.
        level: its centre.
        padding: as in `apply_window`.
    """
    if not (np.isfinite([width, level]).all() and width > 0):
        raise InvalidArgument(
            f"window: got width {width:g}, level {level:g}, expected a positive width; 400,40 is abdomen"
        )
    return _stretched(values, level - width / 2, level + width / 2, padding)


def percentile_window(values: NDArray[np.generic], padding: Padding = ()) -> NDArray[np.uint8]:
    """Values clipped to the 0.5 and 99.5 percentile of those above 0, stretched; voxels that were 0 stay 0.

    The percentiles are of the whole array: give the volume, not a slice. Padding (as in `apply_window`) has no part.
    """
    above = [part[np.greater(part, 0)] for part in _measured(values, padding)]
    positive = np.concatenate(above).astype(np.float32) if above else np.empty(0, np.float32)  # exact for 16 bits
    if not positive.size:
        return np.zeros(values.shape, np.uint8)
    low, high = np.percentile(positive.astype(np.float64), _PERCENTILES)
    stretched = _stretched(values, float(low), float(high), padding)
    stretched[np.equal(values, 0)] = 0
    return stretched


def full_window(values: NDArray[np.generic], padding: Padding = ()) -> NDArray[np.uint8]:
    """The minimum of the array becomes 0, the maximum 255. Padding (as in `apply_window`) has no part in either."""
    return _stretched(values, -np.inf, np.inf, padding)


def _slices(
    values: NDArray[np.generic], padding: Padding
) -> Iterator[tuple[NDArray[np.generic], NDArray[np.bool_] | None]]:
    """Slice by slice, and where each is padding; None where nowhere."""
    for part, interval in zip(values[np.newaxis] if values.ndim == 2 else values, padding, strict=True):
        yield part, None if interval is None else (part >= interval[0]) & (part <= interval[1])


def _measured(values: NDArray[np.generic], padding: Padding) -> list[NDArray[np.generic]]:
    """The values that are no padding: all of them as one array, or what is left of each slice."""
    if not any(padding):
        return [values]
    return [part if hit is None else part[~hit] for part, hit in _slices(values, padding)]


def _stretched(values: NDArray[np.generic], low: float, high: float, padding: Padding) -> NDArray[np.uint8]:
    """Clipped to low .. high, then its minimum to 0 and its maximum to 255, rounded; padding is 0."""
    stretched = np.zeros(values.shape, np.uint8)
    parts = [part for part in _measured(values, padding) if part.size]
    if not parts:
        return stretched
    ends = min(float(part.min()) for part in parts), max(float(part.max()) for part in parts)
    darkest, brightest = (float(np.clip(end, low, high)) for end in ends)
    if brightest > darkest:
        for k, part in enumerate(values):  # slice by slice: float64 of a whole volume is 1 GB for 512 x 512 x 512
            clipped = np.clip(np.asarray(part, dtype=np.float64), low, high)
            # Padding may lie outside of what is left; it is made black below.
            stretched[k] = np.rint(np.clip((clipped - darkest) / (brightest - darkest), 0.0, 1.0) * 255.0)
    return _without_padding(stretched, values, padding)


def _without_padding(pixels: NDArray[np.uint8], values: NDArray[np.generic], padding: Padding) -> NDArray[np.uint8]:
    """`pixels`, written to: 0 where `values` are padding."""
    if any(padding):
        slices = pixels[np.newaxis] if pixels.ndim == 2 else pixels
        for part, (_, hit) in zip(slices, _slices(values, padding), strict=True):
            if hit is not None:
                part[hit] = 0
    return pixels


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
    if padding and len(padding) != (1 if values.ndim == 2 else len(values)):
        raise InvalidArgument(
            f"padding: got {len(padding)} intervals for values of shape {values.shape}, expected one for each slice"
        )
    if window == "none" or (window is None and colour):
        return values
    if window is None and values.dtype == np.uint8:
        return _without_padding(values.astype(np.uint8), values, padding) if any(padding) else values
    if colour:
        raise InvalidArgument(f"window: got {window} for a colour image, expected none; leave it out")
    name = (window or default_window(modality, hounsfield)).strip().lower()
    if name in CT_PRESETS and not hounsfield:
        raise InvalidArgument(
            f"window: got {name} for a CT that is not in Hounsfield units, expected percentile, full, none or "
            "WIDTH,LEVEL in the values of the file; leave it out"
        )
    if name in CT_PRESETS:
        return ct_window(values, *CT_PRESETS[name], padding)
    if name == "percentile":
        return percentile_window(values, padding)
    if name == "full":
        return full_window(values, padding)
    return ct_window(values, *_width_level(name), padding)


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
