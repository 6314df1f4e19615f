# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What the engine computes from the fused encoder's file, against the exact graph."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine, ModelError, Unsupported
from medsam_engine_tools.bundle import manifest

# Of the embedding, relative, root mean square: 0.021 and 1e-5 measured on images, where a window, a tap or a channel in
# a wrong place gives 0.5 and more.
EMBEDDING_ERROR = {"bf16_fused": 0.03, "f32_fused": 5e-5}


def image(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 9 + c) + np.cos(y / (13 + c)) + (x > y) for c in range(3)], axis=-1)
    return (np.clip(waves / 3, 0, 1) * 255).astype(np.uint8)


def engine(bundle: Path, precision: str) -> Engine:
    try:
        return Engine(bundle, precision=precision, allow_uncertified=True)
    except Unsupported as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("size", [(256, 256), (300, 470), (97, 33)])
@pytest.mark.parametrize("precision", EMBEDDING_ERROR)
def test_embedding_is_the_exact_graphs(bundle: Path, precision: str, size: tuple[int, int]) -> None:
    exact = np.asarray(engine(bundle, "f32/f32").encode(image(*size)).array, np.float64)
    close = np.asarray(engine(bundle, f"{precision}/f32").encode(image(*size)).array, np.float64)
    assert np.sqrt(np.mean((close - exact) ** 2) / np.mean(exact**2)) < EMBEDDING_ERROR[precision]
    assert (close != exact).any(), "another encoder must have run"


@pytest.mark.parametrize("precision", EMBEDDING_ERROR)
def test_embedding_does_not_depend_on_the_threads(bundle: Path, precision: str) -> None:
    engine(bundle, f"{precision}/f32")
    embeddings = [
        Engine(bundle, precision=f"{precision}/f32", allow_uncertified=True, threads=n).encode(image(256, 256)).array
        for n in (1, 2)
    ]
    np.testing.assert_array_equal(embeddings[0], embeddings[1])


def test_precisions_do_not_share_embeddings(bundle: Path) -> None:
    exact = engine(bundle, "f32/f32")
    assert exact.info.encoder_backend == exact.info.backend
    fused = [engine(bundle, f"{precision}/f32") for precision in EMBEDDING_ERROR]
    for one in fused:
        assert one.info.encoder_backend.startswith("fused ")
        for other in (exact, *fused):
            if other is not one:
                with pytest.raises(ModelError, match="another model or precision"):
                    other.predict(one.encode(image(64, 64)), box=[[1, 1, 20, 20]])


def test_a_changed_file_is_refused(bundle: Path, tmp_path: Path) -> None:
    engine(bundle, "bf16_fused/f32")
    copy = shutil.copytree(bundle, tmp_path / "bundle")
    entry = (manifest.read(copy) or {})["fused"]["encoder"]
    content = bytearray((copy / entry["file"]).read_bytes())
    content[-3] ^= 1
    (copy / entry["file"]).write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256"):
        Engine(copy, precision="bf16_fused/f32", allow_uncertified=True)
