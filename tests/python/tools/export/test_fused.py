# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The fused encoder's file, and what the engine computes from it against the exact graph."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from medsam_engine import Engine, ModelError, Unsupported
from medsam_engine_tools.bundle import manifest
from medsam_engine_tools.export import fused
from medsam_engine_tools.export.families import litemedsam
from medsam_engine_tools.export.nn.tiny_vit import TinyVit

# Of the embedding, relative, root mean square: 0.021 and 1e-5 measured on images, where a window, a tap or a channel in
# a wrong place gives 0.5 and more.
EMBEDDING_ERROR = {"bf16_fused": 0.03, "f32_fused": 5e-5}


def small_encoder() -> TinyVit:
    torch.manual_seed(0)
    return TinyVit(64, 1, 1, dims=(32, 32, 64, 64), depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2), out_channels=64).eval()


def image(height: int, width: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 9 + c) + np.cos(y / (13 + c)) + (x > y) for c in range(3)], axis=-1)
    return (np.clip(waves / 3, 0, 1) * 255).astype(np.uint8)


def engine(bundle: Path, precision: str) -> Engine:
    try:
        return Engine(bundle, precision=precision, allow_uncertified=True)
    except Unsupported as error:
        pytest.skip(str(error))


def test_file_is_the_same_for_the_same_weights(tmp_path: Path) -> None:
    for name in ("one", "two"):
        fused.write(small_encoder(), 64, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_file_is_readable_as_the_umask_says(umask: int, tmp_path: Path) -> None:
    older = os.umask(umask)
    try:
        fused.write(small_encoder(), 64, tmp_path / "file")
    finally:
        os.umask(older)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~umask


def test_file_says_what_the_weights_do_not(tmp_path: Path) -> None:
    fused.write(small_encoder(), 64, tmp_path / "file")
    with safe_open(tmp_path / "file", "np") as file:
        header = json.loads(file.metadata()["medsam_engine"])
        assert file.get_tensor("stages.2.blocks.0.qkv.weight").shape == (64, 192)
        assert file.get_tensor("stages.0.blocks.0.depthwise.weight").shape == (9, 128)
    assert header == {
        "format": "medsam-engine fused 1",
        "architecture": "tiny_vit",
        "input_size": [64],
        "strides": [1, 1, 2, 2, 1],
        "windows": [7, 14, 7],
    }


def test_another_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="expected a TinyVit"):
        fused.write(torch.nn.Linear(1, 1), 64, tmp_path / "file")


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


def test_only_a_tiny_vit_has_one() -> None:
    assert litemedsam.FAMILY.fused_encoder is not None
    assert isinstance(litemedsam.FAMILY.fused_encoder(litemedsam.build()), TinyVit)
