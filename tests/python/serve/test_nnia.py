# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The packed arrays: what the official client packs and unpacks, and bytes that lie."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import blosc2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from nnInteractive.inference.remote.serialization import pack_array, unpack_array
from numpy.typing import NDArray

from medsam_engine.serve.nnia import BadArray, pack, unpack

LIMIT = 1 << 20
DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]


def some_arrays() -> st.SearchStrategy[NDArray[Any]]:
    shapes = arrays.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=9)
    return st.sampled_from(DTYPES).flatmap(lambda dtype: arrays.arrays(dtype, shapes))


def same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@settings(max_examples=60, deadline=None)
@given(some_arrays())
def test_round_trips_with_the_official_client(array: NDArray[Any]) -> None:
    assert same(unpack(pack(array), LIMIT), array)
    assert same(unpack(pack_array(array), LIMIT), array)
    assert same(unpack_array(pack(array)), array)


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_constant_arrays(value: int, dtype: str) -> None:
    """Blosc2 has chunks of their own kind for them."""
    array = np.full((3, 50, 70), value, dtype)
    assert same(unpack(pack_array(array), LIMIT), array)
    assert same(unpack_array(pack(array)), array)


def test_arrays_without_values() -> None:
    assert unpack(pack(np.zeros((2, 0, 3), np.uint8)), LIMIT).shape == (2, 0, 3)


def test_chunks_that_nobody_compressed() -> None:
    """A client without Blosc2 can write them; LZ4 is the protocol's other codec."""
    raw = bytes(range(200))
    memcpyed = struct.pack("<BBBBIII", 5, 1, 0x07, 1, 200, 200, 232) + bytes(16) + raw
    lz4 = blosc2.compress2(raw * 1, typesize=1, codec=blosc2.Codec.LZ4, filters=[blosc2.Filter.SHUFFLE])
    for codec, chunk in ((1, memcpyed), (2, lz4)):
        data = header(codec=codec, shape=(200,)) + struct.pack("<IQQ", 1, 200, len(chunk)) + chunk
        assert unpack(data, LIMIT).tobytes() == raw


def header(
    magic: bytes = b"NNIA",
    version: int = 1,
    codec: int = 1,
    name: bytes = b"uint8",
    shape: tuple[int, ...] = (4,),
    axes: int | None = None,
) -> bytes:
    start = struct.pack("<4sBBBB", magic, version, codec, len(shape) if axes is None else axes, len(name))
    return start + name + struct.pack(f"<{len(shape)}q", *shape)


def one_chunk(raw: int, chunk: bytes, packed: int | None = None) -> bytes:
    return struct.pack("<IQQ", 1, raw, len(chunk) if packed is None else packed) + chunk


FOUR = blosc2.compress2(b"\1\2\3\4", typesize=1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "end within its header"),
        (b"PK\3\4" + bytes(40), "no packed array"),
        (header(version=2) + one_chunk(4, FOUR), "no packed array"),
        (header(codec=3) + one_chunk(4, FOUR), "no packed array"),
        (header(name=b"object") + one_chunk(4, FOUR), "dtype"),
        (header(name=b"V8,O") + one_chunk(4, FOUR), "dtype"),
        (header(name=b"\xff\xfe") + one_chunk(4, FOUR), "dtype"),
        (header(shape=(1, 1, 1, 1, 4)) + one_chunk(4, FOUR), "5 axes"),
        (header(shape=(), axes=0) + one_chunk(4, FOUR), "0 axes"),
        (header(shape=(-4,)) + one_chunk(4, FOUR), "negative"),
        (header(shape=(-2, -2)) + one_chunk(4, FOUR), "negative"),
        (header(shape=(1 << 62, 1 << 62, 1 << 62, 1 << 62)) + one_chunk(4, FOUR), "at most"),
        (header(shape=(LIMIT + 1,)) + one_chunk(4, FOUR), "at most"),
        (header(shape=(0, 1 << 62, 4)) + struct.pack("<I", 0), "at most"),  # what fuzz_serve.py found
        (header(shape=(5,)) + one_chunk(4, FOUR), "4 bytes in chunks, expected 5"),
        (header(shape=(3,)) + one_chunk(4, FOUR), "chunk of 4 bytes"),
        (header() + one_chunk(0, FOUR), "chunk of 0 bytes"),
        (header() + one_chunk(1 << 63, FOUR), "chunk of"),
        (header(name=b"int16", shape=(3,)) + one_chunk(3, FOUR), "in steps of 2"),
        (header() + one_chunk(4, FOUR, packed=1 << 40), "end within its chunk"),
        (header() + one_chunk(4, FOUR[:16], packed=16), "chunk of 16 bytes"),
        (header() + one_chunk(4, FOUR[:-1], packed=len(FOUR) - 1), "header says"),
        (header() + one_chunk(2, FOUR) + b"", "header says 4 bytes"),
        (header() + one_chunk(4, FOUR) + b"more", "4 bytes after the last chunk"),
        (header() + struct.pack("<I", 0xFFFFFFFF), "end within its chunk"),
        (header() + struct.pack("<I", 0), "0 bytes in chunks"),
    ],
)
def test_bytes_that_lie(data: bytes, said: str) -> None:
    with pytest.raises(BadArray, match=said):
        unpack(data, LIMIT)


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 9),
        (2, 0x01),
        (2, 0x6D),
        (2, 0xE5),
        (3, 0),
        (16, 3),
        (17, 4),
        (21, 160),
        (31, 0x40),
        (31, 0x20),
        (31, 0x08),
        (31, 0x01),
    ],
)
def test_features_of_blosc2_that_are_not_taken(at: int, value: int) -> None:
    """Other formats and codecs, delta and plug-in filters, uninitialized and NaN chunks, lazy ones, dictionaries."""
    chunk = bytearray(blosc2.compress2(bytes(1000), typesize=1))
    chunk[at] = value
    with pytest.raises(BadArray, match="features of Blosc2"):
        unpack(header(shape=(1000,)) + one_chunk(1000, bytes(chunk)), LIMIT)


def test_a_bomb_is_refused_before_memory_is_taken() -> None:
    """32 bytes that stand for a gibibyte of zeros, and a shape to match."""
    chunk = bytearray(blosc2.compress2(bytes(1024), typesize=1))
    chunk[4:8] = struct.pack("<I", 1 << 30)
    with pytest.raises(BadArray, match="at most 1048576"):
        unpack(header(shape=(1 << 30,)) + one_chunk(1 << 30, bytes(chunk)), LIMIT)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_raise_the_typed_error_only(data: bytes, with_magic: bool) -> None:
    with contextlib.suppress(BadArray):
        assert unpack((b"NNIA\1\1" if with_magic else b"") + data, LIMIT).nbytes <= LIMIT


BASES = [
    pack_array(np.arange(300, dtype=np.int16)),
    pack_array(np.zeros((4, 40, 40), np.uint8)),
    pack_array(np.random.default_rng(0).integers(0, 3, (2, 30, 30)).astype(np.float32)),
    pack(np.random.default_rng(0).integers(0, 255, 900).astype(np.uint8)),
]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(BASES), st.data())
def test_changed_bytes_raise_the_typed_error_only(base: bytes, data: st.DataObject) -> None:
    changed = bytearray(base)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(base) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(base)))
    for taken in (bytes(changed), bytes(changed[:end])):
        try:
            array = unpack(taken, LIMIT)
        except BadArray:
            continue
        assert array.nbytes <= LIMIT
        assert array.ndim <= 4


@pytest.mark.parametrize("array", [np.zeros(3, object), np.zeros((1, 1, 1, 1, 1)), np.zeros(3, "datetime64[s]")])
def test_what_cannot_be_packed(array: NDArray[Any]) -> None:
    with pytest.raises(BadArray):
        pack(array)
