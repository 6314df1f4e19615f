# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The exported LiteMedSAM bundle, one engine on it, and a small image that has something to find."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from system_marks import skip_absent

from medsam_engine import Engine, ImageEmbedding

ROOT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH = 96, 128
BOX = (30, 20, 90, 70)

# `--hypothesis-profile emulator`: how long inputs take to be made says nothing there.
settings.register_profile("emulator", deadline=None, suppress_health_check=[HealthCheck.too_slow])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture is made."""
    skip_absent(item)


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell's background job ignores SIGINT, its children too; the tests of Ctrl-C need a terminal's default."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def bundle() -> Path:
    """$MEDSAM_ENGINE_BUNDLE, else the one that `make bundle` writes."""
    named = os.environ.get("MEDSAM_ENGINE_BUNDLE")
    path = Path(named) if named else ROOT / "build" / "bundles" / "litemedsam"
    if not (path / "manifest.json").is_file():
        if named:
            pytest.fail(f"MEDSAM_ENGINE_BUNDLE names {named}, which is no bundle")
        pytest.skip("no bundle at build/bundles/litemedsam; run `make bundle`")
    return path


@pytest.fixture(scope="session")
def engine(bundle: Path) -> Engine:
    # Without the cache, or tests that compare encodings would compare one with itself.
    return Engine(bundle, cache_bytes=0)


@pytest.fixture(scope="session")
def image() -> NDArray[np.uint8]:
    """A bright ellipse inside BOX on a noisy background, (96, 128, 3) uint8, read-only."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ellipse = ((x - 60) / 28) ** 2 + ((y - 45) / 23) ** 2 < 1
    noise = np.random.default_rng(7).integers(0, 40, (HEIGHT, WIDTH, 3))
    pixels = (np.where(ellipse, 190, 40)[..., np.newaxis] + noise).astype(np.uint8)
    pixels.setflags(write=False)
    return pixels


@pytest.fixture(scope="session")
def embedding(engine: Engine, image: NDArray[np.uint8]) -> ImageEmbedding:
    return engine.encode(image)


@pytest.fixture(scope="session")
def tiny_engine() -> Engine:
    """An engine on the tiny bundle, whose mask is the box that it is asked for."""
    return Engine(Path(__file__).resolve().parents[1] / "data" / "tiny_bundle", cache_dir="none", profile="clinical")
