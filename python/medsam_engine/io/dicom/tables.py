# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Lookup tables of DICOM files: palettes (PS3.3 C.7.9) and Modality LUTs (C.11.1)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.errors import InvalidArgument
from medsam_engine.io.extras import require
from medsam_engine.io.palettes import eight_bit_palette

_COLORS = ("Red", "Green", "Blue")


@dataclass(frozen=True)
class _Table:
    first: int  # the stored value of the first entry
    entries: NDArray[np.integer]

    def look_up(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """Values outside take the first or last entry, as the standard has it."""
        index = np.clip(values.astype(np.int64) - self.first, 0, len(self.entries) - 1)
        return np.asarray(self.entries[index])


def palette_colors(values: NDArray[np.generic], dataset: Any, path: Path) -> NDArray[np.uint8]:
    """Stored values (...) as colors (..., 3) uint8. InvalidArgument: tables that are absent or do not fit."""
    segmented = any(f"Segmented{color}PaletteColorLookupTableData" in dataset for color in _COLORS)
    tables = []
    for color in _COLORS:
        descriptor = _descriptor(dataset, f"{color}PaletteColorLookupTableDescriptor", path)
        if segmented:
            tables.append(_expanded(dataset, descriptor, path, _COLORS.index(color)))
        else:
            tables.append(_table(dataset, f"{color}PaletteColorLookupTableData", descriptor, dataset, path))
    if len({(table.first, len(table.entries)) for table in tables}) != 1:
        raise InvalidArgument(
            f"image: got palettes of different range for red, green and blue in {path}, expected one; convert it to RGB"
        )
    colors = eight_bit_palette(np.stack([table.entries for table in tables], axis=-1))
    index = np.clip(values.astype(np.int64) - tables[0].first, 0, len(colors) - 1)
    return colors[index]


def modality_values(values: NDArray[np.generic], dataset: Any, path: Path) -> tuple[NDArray[np.generic], str, int]:
    """Stored values through the Modality LUT, its type ("HU", "US", "OD", ...) and its largest possible output.

    Raises:
        InvalidArgument: a table that is damaged.
    """
    item = dataset.ModalityLUTSequence[0]
    descriptor = _descriptor(item, "LUTDescriptor", path, dataset)
    table = _table(item, "LUTData", descriptor, dataset, path)
    kind = str(item.get("ModalityLUTType") or "").strip().upper()
    return table.look_up(values), kind, (1 << descriptor[2]) - 1


def _descriptor(holder: Any, name: str, path: Path, dataset: Any = None) -> tuple[int, int, int]:
    """Number of entries, first stored value, bits of an entry."""
    try:
        count, first, bits = (int(part) for part in holder[name].value)
    except Exception as error:  # absent, empty, of another kind: pydicom raises nearly every kind
        raise InvalidArgument(
            f"image: got no usable {name} in {path}, expected three numbers; convert the image"
        ) from error
    signed = int((holder if dataset is None else dataset).get("PixelRepresentation") or 0) == 1
    count %= 1 << 16  # read as signed where the file says SS
    first = first % (1 << 16)
    if signed and first >= 1 << 15:
        first -= 1 << 16
    if not 8 <= bits <= 16:
        raise InvalidArgument(f"image: got {name} of {bits} bits in {path}, expected 8 to 16; convert the image")
    return count or 1 << 16, first, bits


def _table(holder: Any, name: str, descriptor: tuple[int, int, int], dataset: Any, path: Path) -> _Table:
    count, first, bits = descriptor
    little = _is_little_endian(dataset)
    try:
        value = holder[name].value
        # US or SS gives numbers, OW bytes.
        data = bytes(value) if isinstance(value, (bytes, bytearray)) else None
        words = np.atleast_1d(np.asarray(value)).astype(np.int64) if data is None else None
    except Exception as error:  # as above
        raise InvalidArgument(f"image: got no usable {name} in {path}, expected a table; convert the image") from error
    if words is not None:
        entries: NDArray[np.integer] = (words % (1 << 16)).astype(np.uint16)
        if bits == 8 and len(entries) == (count + 1) // 2 != count:  # two entries a word, the first in the low byte
            entries = entries.astype("<u2").view(np.uint8)[:count].astype(np.uint16)
    elif bits == 8 and len(data or b"") in (count, count + count % 2):
        single = np.frombuffer(data or b"", np.uint8)
        if not little and len(single) % 2 == 0:  # words were swapped as words
            single = single.reshape(-1, 2)[:, ::-1].ravel()
        entries = single[:count]
    else:
        whole = (data or b"")[: len(data or b"") // 2 * 2]
        entries = np.frombuffer(whole, "<u2" if little else ">u2").astype(np.uint16)
    if len(entries) != count:
        raise InvalidArgument(
            f"image: got {len(entries)} entries of {name} in {path}, expected {count} of its descriptor; "
            "the file is damaged"
        )
    return _Table(first, entries)


def _expanded(dataset: Any, descriptor: tuple[int, int, int], path: Path, channel: int) -> _Table:
    """A table that is stored in segments (C.7.9.2), expanded by pydicom: a ramp through it gives its entries."""
    count, first, bits = descriptor
    pixels = require("pydicom.pixels", "palettes")
    try:
        ramp = np.arange(first, first + count, dtype=np.int64)
        entries = np.asarray(pixels.apply_color_lut(ramp, dataset))[:, channel]
    except Exception as error:  # as above
        raise InvalidArgument(
            f"image: got a segmented palette in {path} that cannot be expanded, expected {count} entries of {bits} "
            f"bits; convert it to RGB ({' '.join(str(error).split())})"
        ) from error
    return _Table(first, entries)


def _is_little_endian(dataset: Any) -> bool:
    encoding = getattr(dataset, "original_encoding", (None, None))
    return encoding[1] is not False
