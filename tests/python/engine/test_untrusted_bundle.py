# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Attacks on a bundle's files, with the real backend; tests/cpp/bundle/test_verified_model.cpp has more."""

import json
import mmap
import shutil
from pathlib import Path

import pytest

from medsam_engine import Engine, ModelError

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDSAM_ENGINE_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(TINY, tmp_path / "bundle"))


@pytest.mark.needs("openvino")
def test_a_change_that_the_times_do_not_show_is_not_compiled(bundle: Path) -> None:
    with (bundle / "encoder.onnx").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        middle = len(mapped) // 2
        mapped[middle] = mapped[middle]  # dirty: the next write to the page leaves the times alone
        Engine(bundle, threads=1)
        mapped[middle] ^= 1
        Engine(bundle, threads=1)  # comes compiled from the cache; the file is not read
        with pytest.raises(ModelError, match="SHA-256"):
            Engine(bundle, threads=2)
        with pytest.raises(ModelError, match="SHA-256"):
            Engine(bundle, threads=1, verify=True)


def test_a_manifest_of_many_objects_is_read_in_its_length(bundle: Path) -> None:
    """470 KiB of them took 12 s, and the time of twice as many was four times that."""
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="ascii"))
    manifest["parity"] = [{}] * 240_000
    (bundle / "manifest.json").write_text(json.dumps(manifest, separators=(",", ":")), encoding="ascii")
    assert Engine(bundle).info.family


def test_a_model_of_a_tebibyte_is_refused_at_once(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="ascii"))
    manifest["models"]["encoder"]["bytes"] = 1 << 40
    (bundle / "manifest.json").write_text(json.dumps(manifest), encoding="ascii")
    try:
        with (bundle / "encoder.onnx").open("r+b") as file:
            file.truncate(1 << 40)
    except OSError:
        pytest.skip("no sparse files here")
    with pytest.raises(ModelError, match="from 1 to 4294967296"):
        Engine(bundle)
