# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The engine's steps through Python (pytest-benchmark): `make bench`, with $MEDSAM_ENGINE_BUNDLE naming the model."""

import os

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from medsam_engine import Engine, ImageEmbedding

SIZES = {"256": (256, 256), "512": (512, 512), "1024": (1024, 1024), "mammogram": (2600, 1700)}


@pytest.fixture(scope="session")
def engine() -> Engine:
    bundle = os.environ.get("MEDSAM_ENGINE_BUNDLE")
    if not bundle:
        pytest.skip("MEDSAM_ENGINE_BUNDLE names no bundle")
    return Engine(bundle, cache_bytes=0)


def picture(name: str) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 255, (*SIZES[name], 3)).astype(np.uint8)


@pytest.fixture(scope="session")
def embedding(engine: Engine) -> ImageEmbedding:
    return engine.encode(picture("1024"))


@pytest.mark.parametrize("name", SIZES)
def test_encode(benchmark: BenchmarkFixture, engine: Engine, name: str) -> None:
    benchmark(engine.encode, picture(name))


@pytest.mark.parametrize("name", SIZES)
def test_encode_again_from_the_cache(benchmark: BenchmarkFixture, engine: Engine, name: str) -> None:
    del engine
    cached = Engine(os.environ["MEDSAM_ENGINE_BUNDLE"])
    image = picture(name)
    cached.encode(image)
    benchmark(cached.encode, image)
    assert cached.cache_stats().misses == 1


@pytest.mark.parametrize("boxes", [1, 2, 4, 16])
def test_predict(benchmark: BenchmarkFixture, engine: Engine, embedding: ImageEmbedding, boxes: int) -> None:
    prompts = [[200 + 10 * i, 300, 700, 900] for i in range(boxes)]
    benchmark(engine.predict, embedding, box=prompts)


def test_predict_nothing(benchmark: BenchmarkFixture, engine: Engine, embedding: ImageEmbedding) -> None:
    """What a call through Python costs by itself."""
    benchmark(engine.predict, embedding, box=[])


def test_mask(benchmark: BenchmarkFixture, engine: Engine, embedding: ImageEmbedding) -> None:
    prediction = engine.predict(embedding, box=[200, 300, 700, 900])
    benchmark(prediction.mask, 0)


def test_next_prompt_to_mask(benchmark: BenchmarkFixture, engine: Engine, embedding: ImageEmbedding) -> None:
    benchmark(lambda: engine.predict(embedding, box=[200, 300, 700, 900]).mask(0))
