# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Bundles of experts: which checkpoint becomes which expert, what they share, and what the manifest says."""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from medsam_engine_tools.bundle import profiles
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import families, onnx_export, parity
from medsam_engine_tools.export.export import export
from medsam_engine_tools.export.family import BOX_ONLY, Family, Graph, TensorSpec
from medsam_engine_tools.export.target import check_target

SIDE, CHANNELS = 16, 4
TABLE = {"CT": "3D", "MR": "3D", "US": "US", "OCT": "OCT"}
DAFT_TABLE = {"CT": "3D", "MR": "3D", "PET": "3D"} | {
    name: name for name in ("XRay", "US", "Fundus", "Endoscopy", "Dermoscopy", "Microscopy", "Mammography", "OCT")
}


class Tiny(nn.Module):
    """A family in small: an encoder of `layers` and a decoder."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(layers)), nn.Conv2d(3, CHANNELS, 4, stride=4))
        self.decoder = nn.Linear(CHANNELS, 1)


def graphs(model: nn.Module) -> tuple[Graph, ...]:
    assert isinstance(model, Tiny)
    image = TensorSpec("image", "f32", ("batch", 3, SIDE, SIDE))
    embedding = TensorSpec("image_embedding", "f32", ("batch", CHANNELS, 4, 4))
    tokens = TensorSpec("tokens", "f32", ("batch", 4, CHANNELS))
    cases = (torch.rand(2, 3, SIDE, SIDE),), (torch.rand(2, 4, CHANNELS),)
    return (
        Graph("encoder", model.encoder, (image,), (embedding,), (cases[0],)),
        Graph("decoder", model.decoder, (tokens,), (TensorSpec("iou", "f32", ("batch", 4, 1)),), (cases[1],)),
    )


BoxFamily = partial(Family, trained_prompts=BOX_ONLY)
TINY = BoxFamily("tiny", SIDE, SIDE, "daft", {"one": partial(Tiny, 1)}, graphs, experts=TABLE, fallback="general")
OTHER = BoxFamily("other", SIDE, SIDE, "litemedsam", {"two": partial(Tiny, 2)}, graphs)
BIG = BoxFamily("big", 2 * SIDE, SIDE, "litemedsam", {"three": partial(Tiny, 3)}, graphs)
LINEAR = BoxFamily("linear", SIDE, SIDE, "medficientsam", {"four": partial(Tiny, 4)}, graphs)
SHIFTED = BoxFamily("shifted", SIDE, SIDE, "litemedsam", {"five": partial(Tiny, 5)}, graphs, point_shift=0.0)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny families instead of the real ones."""
    known = {family.name: f"tiny_families.{family.name}" for family in (TINY, OTHER, BIG, LINEAR, SHIFTED)}
    for family in (TINY, OTHER, BIG, LINEAR, SHIFTED):
        monkeypatch.setitem(sys.modules, known[family.name], SimpleNamespace(FAMILY=family))
    monkeypatch.setattr(families, "REGISTRY", known)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes the weights' hash for an ONNX file, which takes no time and is as much a function of them."""

    def write(graph: Graph, path: Path, _: object) -> None:
        values = b"".join(v.numpy().tobytes() for v in graph.module.state_dict().values())
        path.write_text(hashlib.sha256(values).hexdigest())

    monkeypatch.setattr(onnx_export, "write_onnx", write)
    monkeypatch.setattr(parity, "measure", lambda *_: 1e-6)


def tiny_weights(layers: int, encoder_seed: int, decoder_seed: int) -> dict[str, Tensor]:
    torch.manual_seed(encoder_seed)
    model = Tiny(layers)
    torch.manual_seed(1000 + decoder_seed)
    nn.init.normal_(model.decoder.weight)
    nn.init.normal_(model.decoder.bias)
    return model.state_dict()


Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Writes a checkpoint of a tiny family and returns its path."""

    def write(name: str, layers: int = 1, encoder: int = 0, decoder: int = 0) -> Path:
        path = tmp_path / f"{name}.pth"
        torch.save({"model": {f"module.{k}": v for k, v in tiny_weights(layers, encoder, decoder).items()}}, path)
        return path

    return write


def manifest_of(bundle: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((bundle / "manifest.json").read_text())
    return read


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_daft_has_the_published_table() -> None:
    daft = families.get("daft")
    assert (daft.experts, daft.fallback) == (DAFT_TABLE, "general")
    assert len(daft.expert_names()) == 10
    assert daft.expert_names()[-1] == "general"


@pytest.mark.usefixtures("registry", "quick")
def test_absent_experts_are_absent_from_the_table(save: Save, tmp_path: Path) -> None:
    files = {"general": save("g", encoder=1, decoder=1), "3D": save("a", encoder=2, decoder=2)}
    bundle = export("tiny", None, tmp_path / "bundle", experts=files)
    content = manifest_of(bundle)
    assert content["modality"] == {"experts": {"CT": "3D", "MR": "3D"}, "fallback": "general"}
    assert content["experts"] == {
        "3D": {"encoder": "3D.encoder", "decoder": "3D.decoder"},
        "general": {"encoder": "general.encoder", "decoder": "general.decoder"},
    }
    assert list(content["models"]) == ["3D.encoder", "3D.decoder", "general.encoder", "general.decoder"]
    assert set(content["parity"]) == set(content["models"])
    assert content["provenance"]["experts"] == {
        name: {"family": "tiny", "checkpoint_sha256": sha256(files[name])} for name in ("3D", "general")
    }
    assert "checkpoint_sha256" not in content["provenance"]
    named = {entry["file"] for entry in content["models"].values()}
    assert {path.name for path in bundle.iterdir()} == named | {"manifest.json"}
    check_target(bundle)


@pytest.mark.usefixtures("registry", "quick")
def test_without_a_general_expert_there_is_no_fallback(save: Save, tmp_path: Path) -> None:
    content = manifest_of(export("tiny", None, tmp_path / "bundle", experts={"US": save("u")}))
    assert content["modality"] == {"experts": {"US": "US"}}


@pytest.mark.usefixtures("registry", "quick")
def test_a_single_checkpoint_is_the_fallback(save: Save, tmp_path: Path) -> None:
    content = manifest_of(export("tiny", save("g"), tmp_path / "bundle"))
    assert content["modality"] == {"experts": {}, "fallback": "general"}
    assert list(content["experts"]) == ["general"]


@pytest.mark.usefixtures("registry", "quick")
def test_equal_files_are_written_once(save: Save, tmp_path: Path) -> None:
    lines: list[str] = []
    files = {"OCT": save("o", encoder=3, decoder=1), "3D": save("a", encoder=2, decoder=1)}
    files["US"] = files["3D"]
    bundle = export("tiny", None, tmp_path / "bundle", progress=lines.append, experts=files)
    content = manifest_of(bundle)
    assert content["experts"] == {
        "3D": {"encoder": "3D.encoder", "decoder": "3D.decoder"},
        "US": {"encoder": "3D.encoder", "decoder": "3D.decoder"},
        "OCT": {"encoder": "OCT.encoder", "decoder": "3D.decoder"},
    }
    assert sorted(path.name for path in bundle.iterdir()) == [
        "3D.decoder.onnx",
        "3D.encoder.onnx",
        "OCT.encoder.onnx",
        "manifest.json",
    ]
    assert "expert US has the checkpoint of 3D" in lines
    assert "OCT.decoder.onnx is the same as 3D.decoder.onnx" in lines


@pytest.mark.usefixtures("registry", "quick")
def test_the_order_of_the_arguments_does_not_matter(save: Save, tmp_path: Path) -> None:
    files = {name: save(name, encoder=i, decoder=i % 2) for i, name in enumerate(("general", "US", "3D", "OCT"))}
    one = export("tiny", None, tmp_path / "one", experts=files)
    other = export("tiny", None, tmp_path / "other", experts=dict(reversed(files.items())))
    assert (one / "manifest.json").read_bytes() == (other / "manifest.json").read_bytes()
    assert list(manifest_of(one)["experts"]) == ["3D", "US", "OCT", "general"]


@pytest.mark.usefixtures("registry", "quick")
def test_an_expert_of_another_architecture(save: Save, tmp_path: Path) -> None:
    files = {"general": save("g"), "US": save("u", layers=2)}
    content = manifest_of(export("tiny", None, tmp_path / "bundle", experts=files))
    assert content["provenance"]["experts"]["US"]["family"] == "other"
    assert content["experts"]["US"]["encoder"] == "US.encoder"
    assert content["family"] == "tiny"
    assert content["profile"] == profiles.load("daft")


@pytest.mark.usefixtures("registry", "quick")
def test_a_single_expert_has_its_graphs_alone(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine refuses a bundle with both experts and native models."""
    natives: Any = SimpleNamespace(networks={"decoder": None}, models={}, file_name=str, write=lambda *_: {})
    other = replace(OTHER, native={"two": natives})
    monkeypatch.setitem(sys.modules, "tiny_families.other", SimpleNamespace(FAMILY=other))
    lines: list[str] = []
    content = manifest_of(export("tiny", None, tmp_path / "b", lines.append, experts={"US": save("u", layers=2)}))
    assert list(content["experts"]) == ["US"]
    assert not [line for line in lines if "exporting decoder" in line and ".onnx" not in line]
    assert "fused" not in content


@pytest.mark.usefixtures("registry", "quick")
@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        (3, "big's input size is 32, not 16"),
        (4, "linear's image rules is"),
        (5, "shifted's point shift is 0.0, not 0.5"),
        (6, "fits no known family; the closest is"),
    ],
)
def test_an_expert_of_other_rules_is_refused(layers: int, reason: str, save: Save, tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        export("tiny", save("g"), tmp_path / "bundle", experts={"US": save("u", layers=layers)})
    message = str(caught.value)
    assert message.startswith("expert 'US': ")
    assert reason in message
    assert "\n" not in message
    assert not (tmp_path / "bundle").exists()


@pytest.mark.usefixtures("registry", "quick")
@pytest.mark.parametrize(
    ("family", "checkpoint", "experts", "reason"),
    [
        ("tiny", False, ["Liver"], "has no expert 'Liver'; expected one of: 3D, US, OCT, general"),
        ("tiny", True, ["general"], "expert 'general' is given twice"),
        ("tiny", False, [], "needs a checkpoint or one for each expert: 3D, US, OCT, general"),
        ("other", True, ["US"], "family 'other' has no experts"),
        ("other", False, [], "family 'other' needs a checkpoint"),
        ("auto", True, ["US"], "name the family where experts are given"),
        ("auto", False, [], "name the family where experts are given"),
    ],
)
def test_arguments_that_make_no_bundle(
    family: str, checkpoint: bool, experts: list[str], reason: str, save: Save, tmp_path: Path
) -> None:
    file = save("g")
    with pytest.raises(ExportError, match=reason):
        export(family, file if checkpoint else None, tmp_path / "bundle", experts=dict.fromkeys(experts, file))
    assert not (tmp_path / "bundle").exists()


@pytest.mark.usefixtures("registry", "quick")
def test_ten_experts(save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    daft = replace(TINY, experts=DAFT_TABLE)
    monkeypatch.setitem(sys.modules, "tiny_families.tiny", SimpleNamespace(FAMILY=daft))
    files = {name: save(name, encoder=i, decoder=i) for i, name in enumerate(daft.expert_names())}
    content = manifest_of(export("tiny", None, tmp_path / "bundle", experts=files))
    assert content["modality"] == {"experts": DAFT_TABLE, "fallback": "general"}
    assert len(content["experts"]) == 10
    assert len(content["models"]) == 20
    assert len({entry["sha256"] for entry in content["models"].values()}) == 20


@pytest.mark.usefixtures("registry")
def test_real_graphs_are_shared_by_their_bytes(save: Save, tmp_path: Path) -> None:
    files = {"general": save("g", encoder=1), "US": save("u", layers=2, encoder=2), "3D": save("a", encoder=3)}
    content = manifest_of(export("tiny", None, tmp_path / "bundle", experts=files))
    assert {name: roles["decoder"] for name, roles in content["experts"].items()} == dict.fromkeys(
        ("3D", "US", "general"), "3D.decoder"
    )
    assert all(0 <= error < 1e-5 for error in content["parity"].values())
    assert len(content["models"]) == 4


@pytest.mark.slow
def test_daft_with_an_expert_that_is_litemedsam(weights: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(weights, tmp_path / "us.pth")
    torch.manual_seed(0)
    torch.save(families.get("daft").build().state_dict(), tmp_path / "general.pth")
    content = manifest_of(export("daft", tmp_path / "general.pth", tmp_path / "b", experts={"US": tmp_path / "us.pth"}))
    assert content["modality"] == {"experts": {"US": "US"}, "fallback": "general"}
    assert [entry["family"] for entry in content["provenance"]["experts"].values()] == ["litemedsam", "daft"]
    assert set(content["models"]) == {f"{e}.{r}" for e in ("US", "general") for r in content["experts"]["US"]}
