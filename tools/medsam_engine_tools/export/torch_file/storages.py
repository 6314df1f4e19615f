# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The numbers of a torch file, and tensors as views of them: every one inside its storage, whatever the pickle says."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine.base.printable import one_line
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export.torch_file.archive import Archive

BFLOAT16 = "BFloat16Storage"
# torch's names for storages, and what the file holds. NumPy has no bfloat16: its bits, which become f32.
DTYPES: dict[str, str] = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    BFLOAT16: "<u2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
MOST_DIMENSIONS = 16
LARGEST_EMPTY = 1 << 31  # product of the dimensions but 0: NumPy refuses large ones of an empty array, too

Numbers = NDArray[Any]


class Storages:
    """The storages of an archive, each read once."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._read: dict[str, tuple[str, Numbers]] = {}

    def get(self, kind: str, key: str, count: int) -> Numbers:
        """The `count` numbers of the storage `key`. ExportError: another size, or two kinds for one storage."""
        if key not in self._read:
            self._read[key] = kind, self._numbers(kind, key)
        found, numbers = self._read[key]
        if found != kind:
            raise ExportError(f"got the storage {one_line(key, 40)} as {found} and as {kind}, expected one kind")
        if len(numbers) != count:
            raise ExportError(
                f"got {count} numbers stated for the storage {one_line(key, 40)}, expected the {len(numbers)} of its"
                " member"
            )
        return numbers

    def _numbers(self, kind: str, key: str) -> Numbers:
        name, dtype = f"data/{key}", np.dtype(DTYPES[kind])
        size = self._archive.size(name)
        if size % dtype.itemsize:
            raise ExportError(f"got {size} bytes in {one_line(name, 60)}, expected whole numbers of {dtype.itemsize}")
        content = self._archive.read(name, size)
        if kind == "BoolStorage":  # any byte may be there
            flags: Numbers = np.frombuffer(content, np.uint8) != 0
            return flags
        numbers = np.frombuffer(content, dtype)
        return (numbers.astype("<u4") << 16).view("<f4") if kind == BFLOAT16 else numbers


def tensor(storage: Numbers, offset: object, shape: object, strides: object) -> Numbers:
    """The tensor as torch lays it out, strides and offset in numbers; a view. ExportError: not inside the storage."""
    sizes, steps = _counts(shape), _counts(strides)
    if sizes is None or steps is None or len(sizes) != len(steps) or type(offset) is not int or offset < 0:
        raise ExportError(
            f"got a tensor of shape {_short(shape)}, strides {_short(strides)} and offset {_short(offset)}, expected"
            f" whole numbers from 0 on and at most {MOST_DIMENSIONS} dimensions"
        )
    count = prod(sizes)
    if count == 0 and prod(filter(None, sizes)) <= LARGEST_EMPTY:
        return np.zeros(sizes, storage.dtype)
    last = offset + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
    # More numbers than the storage has are the same ones again and again (strides of 0): any size from a small file.
    if last >= len(storage) or count > len(storage):
        raise ExportError(
            f"got a tensor of shape {_short(shape)}, strides {_short(strides)} and offset {offset}, expected one inside"
            f" its storage of {len(storage)} numbers"
        )
    # The stride of a dimension of one is never used, and may be any number.
    steps = tuple(step * storage.itemsize if size > 1 else 0 for size, step in zip(sizes, steps, strict=True))
    view: Numbers = np.lib.stride_tricks.as_strided(storage[offset:], sizes, steps, writeable=False)
    return view


def _counts(value: object) -> tuple[int, ...] | None:
    if type(value) is not tuple or len(value) > MOST_DIMENSIONS:
        return None
    return value if all(type(item) is int and item >= 0 for item in value) else None


def _short(value: object) -> str:
    """As a message quotes it; the pickle can make it anything, which may hold itself."""
    if type(value) is tuple and len(value) <= MOST_DIMENSIONS:
        return "(" + ", ".join(_short_number(item) for item in value) + ")"
    return _short_number(value)


def _short_number(value: object) -> str:
    return str(value) if type(value) is int and abs(value) < 1 << 63 else f"a {type(value).__name__}"
