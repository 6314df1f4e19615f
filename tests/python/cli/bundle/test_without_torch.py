# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`fetch` and `export` where there is no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch_zip

pytest.importorskip("typer", reason="typer is not in a thin installation")

from medsam_engine import Engine, Unsupported
from medsam_engine.base.packages import pip_install
from medsam_engine_tools.bundle import manifest
from medsam_engine_tools.export import families

HIDDEN = ("torch", "onnx", "onnxscript", "safetensors")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process that has none of the exporter's libraries."""
    code = f"import sys; sys.modules.update(dict.fromkeys({HIDDEN!r})); from medsam_engine.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LiteMedSAM's tensors, of random numbers."""
    random = np.random.default_rng(0)
    arrays = {}
    for name, shape in families.get("litemedsam").native["tiny_vit"].layout().items():
        values = random.standard_normal(shape, dtype=np.float32) * np.float32(0.05)
        arrays[name] = np.abs(values) + np.float32(0.5) if name.endswith("running_var") else np.asarray(values)
        if name.endswith("num_batches_tracked"):
            arrays[name] = np.array(3)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch_zip.save_arrays(path, arrays)
    return path


@pytest.fixture(scope="module")
def bundle(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "bundle"
    done = command("export", "litemedsam", "--checkpoint", str(weights), "--out", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == f"wrote {folder}"
    return folder


def test_a_bundle_of_native_weights(bundle: Path) -> None:
    content = json.loads((bundle / "manifest.json").read_text())
    assert {path.name for path in bundle.iterdir()} == {"manifest.json", *manifest.model_files(content)}
    assert set(content["models"]) == set(content["fused"]) == {"encoder", "decoder", "decoder_mask"}
    for name, model in content["models"].items():
        assert set(model) == {"inputs", "outputs"}
        assert {key: content["fused"][name][key] for key in model} == model
    assert content["fused"]["decoder"]["file"] == content["fused"]["decoder_mask"]["file"]
    assert "torch" not in content["provenance"]
    assert content["parity"] == {}
    assert content["certificates"] == []


def test_the_engine_runs_it(bundle: Path) -> None:
    image = (np.arange(64 * 80 * 3) % 251).astype(np.uint8).reshape(64, 80, 3)
    try:
        engine = Engine(bundle)
    except Unsupported as error:
        pytest.skip(str(error))
    assert engine.segment(image, [[10, 10, 50, 40]]).shape[-2:] == (64, 80)


def test_the_same_weights_give_the_same_bytes(bundle: Path, weights: Path, tmp_path: Path) -> None:
    assert command("export", "litemedsam", "--checkpoint", str(weights), "--out", str(tmp_path / "b")).returncode == 0
    for path in bundle.iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_what_is_given_beside_the_checkpoint_is_refused(weights: Path, tmp_path: Path) -> None:
    for option, words in (("--expert=a=b", "has no experts"), ("--clip=b", "is built on no other model")):
        done = command("export", "litemedsam", "--checkpoint", str(weights), "--out", str(tmp_path / "b"), option)
        assert done.returncode == 2
        assert words in done.stderr
    done = command("export", "litemedsam", "--out", str(tmp_path / "b"))
    assert "needs a checkpoint" in done.stderr


def test_a_checkpoint_of_another_layout_is_refused(tmp_path: Path) -> None:
    torch_zip.save_arrays(tmp_path / "c.pth", {"image_encoder.a": np.zeros(3)})
    done = command("export", "litemedsam", "--checkpoint", str(tmp_path / "c.pth"), "--out", str(tmp_path / "b"))
    assert done.returncode == 2
    assert "checkpoint does not fit family 'litemedsam' (435 tensors)" in done.stderr
    assert "1 surplus: image_encoder.a" in done.stderr
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("fetch", "litemedsam", "--onnx"),
        ("export", "litemedsam", "--checkpoint", "a.pth", "--out", "b", "--onnx"),
        ("export", "medsam", "--checkpoint", "a.pth", "--out", "b"),
        ("export", "auto", "--checkpoint", "a.pth", "--out", "b"),
    ],
    ids=" ".join,
)
def test_graphs_need_torch(arguments: tuple[str, ...]) -> None:
    done = command(*arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert pip_install(*HIDDEN) in done.stderr
