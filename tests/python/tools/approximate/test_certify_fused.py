# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""What `certify` says about fused stages, and against which graphs it measures native weights alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from certify_stand_in import DECODER, StandIn, bundle_with_entries

from medsam_engine_tools.approximate.certify import certify
from medsam_engine_tools.errors import ExportError


@pytest.mark.parametrize(
    ("encoder", "decoder", "name", "named"),
    [
        ("bf16_fused", "bf16_fused", "bf16", ("encoder", "decoder")),
        ("f32_fused", "f32_fused", "f32", ("encoder", "decoder")),
        ("bf16", "f32_fused", "bf16", ("decoder",)),
        ("f32", "bf16_fused", "bf16", ("decoder",)),
        ("f32_fused", "f32", "f32", ("encoder",)),
    ],
)
def test_each_fused_stage_is_named_with_its_kernels(
    images: Path, tmp_path: Path, engines: list[StandIn], encoder: str, decoder: str, name: str, named: tuple[str, ...]
) -> None:
    bundle = bundle_with_entries(tmp_path / "bundle")
    certificate, _ = certify(bundle, images, encoder=encoder, decoder=decoder)
    known = {
        "encoder": {"encoder": "the fused hash", "backend": "kernels 2"},
        "decoder": {"decoder": "the decoder's hash", "decoder_backend": "decoder kernels 1"},
    }
    assert certificate["fused"] == {key: value for stage in named for key, value in known[stage].items()}
    assert certificate["precision"] == name
    assert certificate["stages"] == {"encoder": encoder, "decoder": decoder}
    assert [engine.options["precision"] for engine in engines] == ["f32/f32", f"{encoder}/{decoder}"]


def without_graphs(bundle: Path, folder: Path) -> Path:
    """A copy of the bundle with the native weights alone."""
    shutil.copytree(bundle, folder)
    file = folder / "manifest.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    for model in content["models"].values():
        for field in ("file", "bytes", "sha256"):
            del model[field]
    del content["quantized"]
    file.write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_native_weights_alone_are_measured_against_the_graphs_of_another_bundle(
    images: Path, tmp_path: Path, engines: list[StandIn]
) -> None:
    full = bundle_with_entries(tmp_path / "full")
    alone = without_graphs(full, tmp_path / "alone")
    certificate, _ = certify(alone, images, reference=full)
    assert certificate["stages"] == {"encoder": "bf16_fused", "decoder": "bf16_fused"}, "what it is for"
    assert [(engine.bundle, engine.options["precision"]) for engine in engines] == [
        (full, "f32/f32"),
        (alone, "bf16_fused/bf16_fused"),
    ]
    assert json.loads((alone / "manifest.json").read_text(encoding="utf-8"))["certificates"] == [certificate]
    assert json.loads((full / "manifest.json").read_text(encoding="utf-8"))["certificates"] == []


def test_the_reference_is_of_the_same_weights(images: Path, tmp_path: Path, engines: list[StandIn]) -> None:
    full = bundle_with_entries(tmp_path / "full")
    alone = without_graphs(full, tmp_path / "alone")
    with pytest.raises(ExportError, match=r"^reference: got none, but this bundle has native weights alone; .*--onnx"):
        certify(alone, images)
    with pytest.raises(ExportError, match=r"^reference: got one, but this bundle has graphs of its own; leave"):
        certify(full, images, reference=full)
    with pytest.raises(ExportError, match=r"^reference: got one of native weights alone, expected one with graphs"):
        certify(alone, images, reference=alone)
    with pytest.raises(ExportError, match=r"^reference '.*images' has no manifest"):
        certify(alone, images, reference=images)
    file = full / "manifest.json"
    good = json.loads(file.read_text(encoding="utf-8"))

    def changed(**fields: Any) -> None:
        file.write_text(json.dumps(good | fields), encoding="utf-8")
        with pytest.raises(ExportError, match=r"whose checkpoint, rules or native weights are not those of"):
            certify(alone, images, reference=full)

    changed(provenance=good["provenance"] | {"checkpoint_sha256": "another"})
    changed(fused=good["fused"] | {"decoder": DECODER | {"sha256": "another"}})
    changed(image={"input_size": 64})
    changed(profile=good["profile"] | {"name": "another"})
    assert engines == []
    # Two bundles that do not say of which checkpoint they are may be of two.
    for folder in (full, alone):
        content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        content["provenance"] = {}
        (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ExportError, match=r"whose checkpoint, rules"):
        certify(alone, images, reference=full)
