# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The embedding cache, and embeddings that leave the process."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, ImageEmbedding, InvalidArgument, ModelError, load_embedding, save_embedding

BOX = (30, 20, 90, 70)  # around the object of conftest's image


def test_the_same_pixels_again_are_a_hit(bundle: Path, image: NDArray[np.uint8]) -> None:
    engine = Engine(bundle)
    first = engine.encode(image)
    # Another array, another layout, the same pixels.
    again = engine.encode(np.asfortranarray(image))
    np.testing.assert_array_equal(first.array, again.array)
    stats = engine.cache_stats()
    assert (stats.hits, stats.misses, stats.entries) == (1, 1, 1)
    assert 0 < stats.bytes <= stats.budget == 256 << 20
    changed = image.copy()
    changed[50, 60] ^= 1
    engine.encode(changed)
    assert engine.cache_stats().misses == 2
    engine.clear_cache()
    assert engine.cache_stats().entries == 0
    assert "2 misses" in repr(engine.cache_stats())


def test_the_budget_is_kept(bundle: Path, image: NDArray[np.uint8], embedding: ImageEmbedding) -> None:
    engine = Engine(bundle, cache_bytes=embedding.nbytes * 3 // 2)
    engine.encode(image)
    held = engine.encode(image[:50])
    stats = engine.cache_stats()
    assert (stats.entries, stats.evictions) == (1, 1)
    assert stats.bytes <= stats.budget
    engine.clear_cache()
    assert np.isfinite(held.array).all()  # what the caller holds is the caller's


def test_no_cache(engine: Engine, image: NDArray[np.uint8]) -> None:
    before = engine.cache_stats()
    engine.encode(image)
    engine.encode(image)
    after = engine.cache_stats()
    assert (after.hits, after.entries, after.budget) == (before.hits, 0, 0)


def test_threads_encode_an_image_once(bundle: Path, image: NDArray[np.uint8]) -> None:
    engine = Engine(bundle)
    with ThreadPoolExecutor(4) as pool:
        arrays = [e.array for e in pool.map(engine.encode, [image] * 8)]
    assert all((array == arrays[0]).all() for array in arrays)
    assert engine.cache_stats().misses == 1


def test_half_precision(bundle: Path, image: NDArray[np.uint8], embedding: ImageEmbedding) -> None:
    half = Engine(bundle, embedding_storage="f16").encode(image)
    assert half.array.dtype == np.float32
    np.testing.assert_array_equal(half.array, embedding.array.astype(np.float16).astype(np.float32))
    with pytest.raises(InvalidArgument, match=r"embedding_storage.*f7"):
        Engine(bundle, embedding_storage="f7")


@pytest.mark.parametrize("name", ["cache_bytes", "embedding_store_bytes"])
def test_negative_budgets(bundle: Path, name: str) -> None:
    with pytest.raises(InvalidArgument, match=name):
        Engine(bundle, **{name: -1})  # type: ignore[arg-type]


def test_the_store_outlives_the_engine(bundle: Path, image: NDArray[np.uint8], tmp_path: Path) -> None:
    first = Engine(bundle, embedding_store=tmp_path / "store").encode(image)
    tomorrow = Engine(bundle, embedding_store=tmp_path / "store")
    np.testing.assert_array_equal(tomorrow.encode(image).array, first.array)
    assert tomorrow.cache_stats().store_hits == 1


def same(engine: Engine, ours: ImageEmbedding, theirs: ImageEmbedding) -> None:
    assert (ours.original_size, ours.fingerprint) == (theirs.original_size, theirs.fingerprint)
    np.testing.assert_array_equal(ours.array, theirs.array)
    np.testing.assert_array_equal(engine.predict(ours, box=BOX).masks, engine.predict(theirs, box=BOX).masks)


def test_pickle_and_files(engine: Engine, embedding: ImageEmbedding, tmp_path: Path) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        same(engine, pickle.loads(pickle.dumps(embedding, protocol)), embedding)
    save_embedding(embedding, tmp_path / "a.emb")
    same(engine, load_embedding(tmp_path / "a.emb"), embedding)
    assert copy.copy(embedding) is embedding
    assert copy.deepcopy(embedding) is embedding


def test_damage_is_noticed(embedding: ImageEmbedding, tmp_path: Path) -> None:
    data = embedding.to_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    for bad in (b"", b"hello", data[:-1], data + b"x", bytes(flipped)):
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(ModelError):
            load_embedding(tmp_path / "bad")
    with pytest.raises(InvalidArgument, match="no such file"):
        load_embedding(tmp_path / "missing")


def test_an_embedding_of_another_model_is_refused(
    bundle: Path, engine: Engine, embedding: ImageEmbedding, image: NDArray[np.uint8]
) -> None:
    half = Engine(bundle, embedding_storage="f16").encode(image)
    assert half.fingerprint != embedding.fingerprint
    for use in (lambda: engine.predict(half, box=BOX), lambda: engine.segment(half, [BOX])):
        with pytest.raises(ModelError):
            use()
