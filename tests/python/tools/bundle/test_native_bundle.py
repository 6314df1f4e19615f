# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A bundle without graphs, as the tools read it: its hash, and what they refuse to make of it."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medsam_engine_tools.approximate.half_bundle import add_half
from medsam_engine_tools.approximate.quantize import quantize
from medsam_engine_tools.bundle import manifest, variants
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.gpu.plans import bundle_models

TINY = Path(__file__).resolve().parents[3] / "data" / "tiny_bundle"


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """The tiny bundle with native weights alone, of any content."""
    folder = tmp_path / "alone"
    folder.mkdir()
    shutil.copy(TINY / "manifest.json", folder)
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    fused = {}
    for role, model in content["models"].items():
        stage = "encoder" if role == "encoder" else "decoder"
        path = folder / f"{stage}.fused.safetensors"
        path.write_bytes(f"{stage}'s weights".encode())
        fused[role] = {**model, **manifest.file_entry(path)}
        for field in ("file", "bytes", "sha256"):
            del model[field]
    manifest.write(folder, content | variants.fused_field(fused))
    return folder


def read(folder: Path) -> dict[str, Any]:
    content = manifest.read(folder)
    assert content is not None
    return content


# The C++ side states the same: tests/cpp/bundle/test_native_models.cpp.
def test_its_hash_is_over_the_native_weights(alone: Path) -> None:
    content = read(alone)
    encoder, decoder = (hashlib.sha256(f"{stage}'s weights".encode()).hexdigest() for stage in ("encoder", "decoder"))
    lines = f"decoder:native {decoder}\ndecoder_mask:native {decoder}\nencoder:native {encoder}\n"
    assert manifest.model_hash(content["models"], content["fused"]) == hashlib.sha256(lines.encode()).hexdigest()
    assert manifest.shipped_certificates(content["models"], fused=content["fused"]) == []


def test_a_bundle_with_graphs_is_hashed_by_them() -> None:
    content = read(TINY)
    lines = "".join(f"{name}:{content['models'][name]['sha256']}\n" for name in sorted(content["models"]))
    for fused in (None, {"encoder": {"sha256": "any"}}):
        assert manifest.model_hash(content["models"], fused) == hashlib.sha256(lines.encode()).hexdigest()
    assert variants.has_graphs(content)


def test_its_files_are_the_weights(alone: Path) -> None:
    content = read(alone)
    assert not variants.has_graphs(content)
    assert manifest.model_files(content) == {"encoder.fused.safetensors", "decoder.fused.safetensors"}


@pytest.mark.parametrize("make", [add_half, lambda bundle: quantize(bundle, bundle), bundle_models])
def test_other_forms_of_its_graphs_are_refused_with_the_remedy(make: Callable[[Path], object], alone: Path) -> None:
    before = {path.name: path.read_bytes() for path in alone.iterdir()}
    with pytest.raises(ExportError) as raised:
        make(alone)
    assert str(raised.value) == (
        "bundle: got one of native weights alone, expected one with graphs; export it with --onnx"
    )
    assert {path.name: path.read_bytes() for path in alone.iterdir()} == before
