# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The manifest against docs/bundle.md, whose example is read from the page itself."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

import medsam_engine
from medsam_engine_tools.bundle import manifest, profiles
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import families

ROOT = Path(__file__).resolve().parents[4]
ONNX_DTYPES = {"f32": onnx.TensorProto.FLOAT, "i32": onnx.TensorProto.INT32}


@pytest.fixture(scope="module")
def content(bundle: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((bundle / "manifest.json").read_text())
    return read


@pytest.fixture(scope="module")
def documented() -> dict[str, Any]:
    page = (ROOT / "docs" / "bundle.md").read_text()
    found = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert found
    read: dict[str, Any] = json.loads(found.group(1))
    return read


def test_fields_are_the_documented_ones(content: dict[str, Any], documented: dict[str, Any]) -> None:
    assert set(content) == {*documented, "fused"}
    for key in ("schema_version", "family", "image", "prompt", "trained_prompts"):
        assert content[key] == documented[key]
    assert set(content["models"]) == set(documented["models"]) == set(content["parity"])
    assert set(content["provenance"]) == set(documented["provenance"])


def test_certificates_are_those_of_these_models(content: dict[str, Any], bundle: Path) -> None:
    digest = medsam_engine.Engine(bundle).info.model_hash
    assert manifest.model_hash(content["models"]) == digest
    assert content["certificates"] == manifest.shipped_certificates(content["models"])
    assert all(certificate["model_hash"] == digest for certificate in content["certificates"])
    assert manifest.shipped_certificates({"encoder": content["models"]["encoder"]}) == []


# A wrong line here would let a prompt through that gives wrong masks: stated a second time, by hand.
ALL_BUT_A_MASK_ALONE = {"box", "points", "box points", "box mask", "points mask", "box points mask"}
TRAINED = {
    "litemedsam": {"box"},
    "rep_medsam": {"box"},
    "medficientsam": {"box"},
    "medficientsam_torch": {"box"},
    "daft": {"box"},
    "efficientvit_sam": ALL_BUT_A_MASK_ALONE,
    "mcp_medsam": {"box"},
    "medsam": {"box"},
    "swin_litemedsam": {"box points scribble"},  # a box alone gets the others, by `from_box`
    "sam": ALL_BUT_A_MASK_ALONE,
    "mobile_sam": ALL_BUT_A_MASK_ALONE,
}


def test_every_family_states_what_its_weights_were_trained_with() -> None:
    stated = {name: manifest.trained_prompts_entry(families.get(name)) for name in families.REGISTRY}
    assert {name: {" ".join(kinds) for kinds in listed} for name, listed in stated.items()} == TRAINED
    assert all(len(listed) == len(TRAINED[name]) for name, listed in stated.items()), "no combination twice"
    for name, listed in stated.items():
        if any("scribble" in kinds for kinds in listed):
            assert families.get(name).mask_input == "scribble"
            assert families.get(name).from_box == "points_and_scribble"


@pytest.mark.parametrize("key", ["encoder", "decoder"])
def test_tensors_are_the_documented_ones(key: str, content: dict[str, Any], documented: dict[str, Any]) -> None:
    assert set(content["models"][key]) == set(documented["models"][key])
    for field in ("file", "inputs", "outputs"):
        assert content["models"][key][field] == documented["models"][key][field]


def test_decoder_mask_takes_one_more_input(content: dict[str, Any]) -> None:
    models = content["models"]
    mask_input = {"name": "mask_input", "dtype": "f32", "shape": [-1, 1, 256, 256]}
    assert models["decoder_mask"]["inputs"] == [*models["decoder"]["inputs"], mask_input]
    assert models["decoder_mask"]["outputs"] == models["decoder"]["outputs"]


@pytest.mark.parametrize("key", ["encoder", "decoder", "decoder_mask"])
def test_files_are_as_stated(key: str, content: dict[str, Any], bundle: Path) -> None:
    entry = content["models"][key]
    data = (bundle / entry["file"]).read_bytes()
    assert len(data) == entry["bytes"]
    assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    graph = onnx.load_from_string(data).graph
    for stated, held in (("inputs", graph.input), ("outputs", graph.output)):
        assert [tensor["name"] for tensor in entry[stated]] == [value.name for value in held]
        for tensor, value in zip(entry[stated], held, strict=True):
            kind = value.type.tensor_type
            assert kind.elem_type == ONNX_DTYPES[tensor["dtype"]]
            assert [-1 if d.dim_param else d.dim_value for d in kind.shape.dim] == tensor["shape"]


def test_folder_holds_nothing_else(content: dict[str, Any], bundle: Path) -> None:
    named = {model["file"] for part in ("models", "fused") for model in content[part].values()}
    assert {entry.name for entry in bundle.iterdir()} == named | {"manifest.json"}


def test_profile_and_provenance(content: dict[str, Any], checkpoint_file: Path) -> None:
    assert content["profile"] == json.loads((ROOT / "profiles" / "litemedsam.json").read_text())
    assert content["provenance"] == {
        "checkpoint_sha256": hashlib.sha256(checkpoint_file.read_bytes()).hexdigest(),
        "exporter": f"medsam_engine_tools {manifest.exporter_version()}",
        "torch": torch.__version__.partition("+")[0],
    }


def test_parity_was_measured(content: dict[str, Any]) -> None:
    assert all(0 < error < 1e-4 for error in content["parity"].values())


def test_unknown_profile() -> None:
    with pytest.raises(ExportError, match="profile 'none' is missing"):
        profiles.load("none")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"schema_version": 2}'])
def test_read_takes_only_its_own_schema(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    assert manifest.read(tmp_path) is None
