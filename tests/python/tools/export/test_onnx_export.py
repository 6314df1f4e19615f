# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Weights beside the ONNX file, where one protobuf cannot hold them."""

import hashlib
import json
import shutil
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from medsam_engine_tools.bundle import manifest
from medsam_engine_tools.bundle.manifest import data_path
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import onnx_export, parity
from medsam_engine_tools.export.family import Graph, TensorSpec
from medsam_engine_tools.export.target import check_target

PRODUCER = ("test", "0")


class Layers(nn.Module):
    """Weights above and below the size that goes beside the file."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.scale = nn.Linear(24, 40), nn.Linear(40, 24), nn.Parameter(torch.rand(24))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.second(torch.relu(self.first(x))) * self.scale
        return out


@pytest.fixture
def graph() -> Graph:
    specs = (TensorSpec("x", "f32", ("batch", 24)),), (TensorSpec("y", "f32", ("batch", 24)),)
    return Graph("layers", Layers().eval(), *specs, cases=((torch.rand(3, 24),), (torch.rand(1, 24),)))


@pytest.fixture
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "FILE_LIMIT", 4096)


def write(graph: Graph, folder: Path) -> Path:
    folder.mkdir()
    path = folder / "layers.onnx"
    onnx_export.write_onnx(graph, path, PRODUCER)
    return path


def test_a_small_graph_keeps_its_weights(graph: Graph, tmp_path: Path) -> None:
    path = write(graph, tmp_path / "a")
    assert [entry.name for entry in path.parent.iterdir()] == ["layers.onnx"]
    assert "data" not in manifest.model_entry(graph, path)


@pytest.mark.usefixtures("low_limit")
def test_weights_beyond_the_limit_go_beside_the_file(graph: Graph, tmp_path: Path) -> None:
    path = write(graph, tmp_path / "a")
    data = path.parent / "layers.onnx.data"
    assert data.stat().st_size == 2 * 24 * 40 * 4  # the two matrices, without gaps
    locations = {
        entry.value
        for tensor in onnx.load(path, load_external_data=False).graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    assert locations == {"layers.onnx.data"}
    assert parity.measure(graph, path) < 1e-6
    # In another folder, as a bundle that was moved there.
    shutil.move(path.parent, tmp_path / "moved")
    assert parity.measure(graph, tmp_path / "moved" / path.name) < 1e-6


@pytest.mark.usefixtures("low_limit")
def test_the_same_weights_give_the_same_bytes(graph: Graph, tmp_path: Path) -> None:
    one, other = write(graph, tmp_path / "a"), write(graph, tmp_path / "b")
    assert one.read_bytes() == other.read_bytes()
    assert data_path(one).read_bytes() == data_path(other).read_bytes()
    assert b"/" + tmp_path.name.encode() not in one.read_bytes()


@pytest.mark.usefixtures("low_limit")
def test_the_manifest_states_the_data_file(graph: Graph, tmp_path: Path) -> None:
    path = write(graph, tmp_path / "a")
    entry = manifest.model_entry(graph, path)
    data = (path.parent / "layers.onnx.data").read_bytes()
    assert entry["data"] == [
        {"file": "layers.onnx.data", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    ]
    content = {"schema_version": 1, "models": {"layers": entry}}
    assert manifest.model_files(content) == {"layers.onnx", "layers.onnx.data"}
    (path.parent / "manifest.json").write_text(json.dumps(content))
    check_target(path.parent)
    (path.parent / "layers.onnx.data2").touch()
    with pytest.raises(ExportError, match=r"holds 'layers\.onnx\.data2'"):
        check_target(path.parent)


@pytest.mark.usefixtures("low_limit")
def test_other_weights_are_another_model(graph: Graph, tmp_path: Path) -> None:
    entry = manifest.model_entry(graph, write(graph, tmp_path / "a"))
    assert isinstance(graph.module, Layers)
    with torch.no_grad():
        graph.module.first.weight[0, 0] += 1
    changed = manifest.model_entry(graph, write(graph, tmp_path / "b"))
    assert changed["sha256"] == entry["sha256"]  # the file beside it alone differs
    assert not manifest.same_model(entry, changed)
