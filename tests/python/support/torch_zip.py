# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Files as torch.save writes them, made without torch: a pickle by its operations, and the ZIP file around it."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

KINDS = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage"}
NO_HOOKS = b"ccollections\nOrderedDict\n)R"


def text(value: str) -> bytes:
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def number(value: int) -> bytes:
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(key: str, count: int, kind: str = "FloatStorage") -> bytes:
    return (
        b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key) + text("cpu") + number(count) + b"tQ"
    )


def tensor(stored: bytes, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> bytes:
    arguments = stored + number(offset) + numbers(shape) + numbers(strides) + b"\x89" + NO_HOOKS
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def mapping(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def pickled(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def save(path: Path, pickle: bytes, storages: Mapping[str, bytes] | None = None, **more: bytes) -> None:
    """The ZIP file of a pickle and its storages; `more` are other members, by name."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle)
        archive.writestr("archive/version", b"3\n")
        for key, content in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", content)
        for name, content in more.items():
            archive.writestr(f"archive/{name}", content)


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """A state dict of contiguous tensors, each with a storage of its own."""
    items, storages = {}, {}
    for key, (name, array) in enumerate(arrays.items()):
        strides = tuple(prod(array.shape[axis + 1 :]) for axis in range(array.ndim))
        items[name] = tensor(storage(str(key), array.size, KINDS[array.dtype.name]), array.shape, strides)
        storages[str(key)] = array.tobytes()
    save(path, pickled(mapping(items)), storages)
