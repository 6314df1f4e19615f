# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Writes a bundle's manifest.json, schema 1 of docs/bundle.md; cpp/src/bundle/bundle.cpp reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medsam_engine.base.whole_file import write_atomically
from medsam_engine_tools.bundle import profiles, variants
from medsam_engine_tools.bundle.content_hash import content_hash
from medsam_engine_tools.bundle.file_hash import file_sha256

if TYPE_CHECKING:  # of a room above
    from medsam_engine_tools.export.family import Family, Graph, ModelTensors, TensorSpec
    from medsam_engine_tools.export.part import Part

SCHEMA_VERSION = 1
FILE_NAME = "manifest.json"
EXPORTER = "medsam_engine_tools"


def exporter_version() -> str:
    """The version of the installed medsam-engine; "0+unknown" where the tools run from a source tree only."""
    try:
        return metadata.version("medsam-engine")
    except metadata.PackageNotFoundError:
        return "0+unknown"


def data_path(path: Path) -> Path:
    """Where the weights of the ONNX file `path` are, if they are too many for it."""
    return path.with_name(f"{path.name}.data")


def tensor_entry(spec: TensorSpec) -> dict[str, Any]:
    """A tensor as the manifest words it; a dynamic dimension is -1."""
    return {"name": spec.name, "dtype": spec.dtype, "shape": [-1 if isinstance(d, str) else d for d in spec.shape]}


def file_entry(path: Path) -> dict[str, Any]:
    """What the manifest says about one file."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": file_sha256(path)}


def tensors_entry(model: ModelTensors | Graph) -> dict[str, Any]:
    """What the manifest says about a model's inputs and outputs; the whole entry of one without a graph."""
    return {
        "inputs": [tensor_entry(spec) for spec in model.inputs],
        "outputs": [tensor_entry(spec) for spec in model.outputs],
    }


def model_entry(graph: Graph, path: Path) -> dict[str, Any]:
    """What the manifest says about one model file, and the file of its weights where it has one."""
    data = data_path(path)
    return {**file_entry(path), **({"data": [file_entry(data)]} if data.exists() else {}), **tensors_entry(graph)}


def same_model(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two entries are of one content under two names; a file that names its data file never is."""
    return all(one.get(key) == other.get(key) for key in {*one, *other} - {"file"})


def model_files(content: Mapping[str, Any]) -> set[str]:
    """The names of all files of the models in a manifest."""
    entries = [entry for model in variants.models(content) for entry in (model, *model.get("data", ()))]
    return {str(entry["file"]) for entry in entries if "file" in entry}


def prompt_entry(family: Family) -> dict[str, Any]:
    """How the family's prompt encoder is to be asked."""
    return {
        "frame": family.prompt_frame,
        "point_shift": family.point_shift,
        "accepts": list(family.accepts),
        "mask_input": family.mask_input,
        "from_box": family.from_box,
    }


def trained_prompts_entry(family: Family) -> list[list[str]]:
    """The combinations of prompts that the family's weights were trained with."""
    return [list(combination) for combination in family.trained_prompts]


def modality_entry(family: Family, experts: Container[str]) -> dict[str, Any]:
    """How the image's modality is used; an expert that is not there has no row in the table."""
    if family.modality_index is not None:
        return {"modality": {"index": dict(family.modality_index)}}
    if family.experts is None:
        return {}
    table = {modality: expert for modality, expert in family.experts.items() if expert in experts}
    fallback = {"fallback": family.fallback} if family.fallback in experts else {}
    return {"modality": {"experts": table, **fallback}}


def provenance_entry(parts: Sequence[Part], torch: bool) -> dict[str, Any]:
    """Where the weights come from; torch: whether its version is part of that."""
    if parts[0].expert:
        named = {p.expert: {"family": p.family.name, "checkpoint_sha256": p.source.sha256} for p in parts}
        origin: dict[str, Any] = {"experts": named}
    else:
        origin = {"checkpoint_sha256": parts[0].source.sha256}
    return {
        **origin,
        "exporter": f"{EXPORTER} {exporter_version()}",
        **({"torch": metadata.version("torch").partition("+")[0]} if torch else {}),
    }


def build(
    family: Family,
    parts: Sequence[Part],
    models: Mapping[str, dict[str, Any]],
    parity: Mapping[str, float],
    experts: Mapping[str, Mapping[str, str]],
    fused: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The manifest of a bundle; `fused` is what it says about the native models, by role.

    `models` and `parity` are keyed by the model's name; parity is kept to two digits. `experts` says which model plays
    which role for each part, under "" where the family has no experts.

    Holds no time and no path, so the same checkpoint and exporter give the same bytes.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "family": family.name,
        "profile": profiles.load(family.profile),
        "image": {"input_size": parts[0].family.of_size(parts[0].size).input_size},
        "prompt": prompt_entry(family),
        "trained_prompts": trained_prompts_entry(family),
        **modality_entry(family, experts),
        "models": dict(models),
        **variants.fused_field(fused),
        **({} if "" in experts else {"experts": {name: dict(roles) for name, roles in experts.items()}}),
        "provenance": provenance_entry(parts, torch=any("file" in model for model in models.values())),
        "parity": {key: float(f"{error:.1e}") for key, error in parity.items()},
        "certificates": shipped_certificates(models, fused=fused),
    }


def model_hash(models: Mapping[str, Mapping[str, Any]], fused: Mapping[str, Mapping[str, Any]] | None = None) -> str:
    """The hash over all models of a bundle, which EngineInfo and certificates name.

    `fused`: the native models by role, which are what is hashed where `models` have no graphs.
    """

    def line(name: str) -> str:
        if "file" in models[name]:
            return f"{name}:{content_hash(models[name])}\n"
        return f"{name}:native {content_hash((fused or {})[name])}\n"

    return hashlib.sha256("".join(line(name) for name in sorted(models)).encode()).hexdigest()


def shipped_certificates(
    models: Mapping[str, Mapping[str, Any]],
    f16: str | None = None,
    fused: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """The certificates in certificates.json that were measured on these very models (docs/precision.md).

    Those of f16 graphs only where `f16` is the hash of these, and then no others. `fused` as model_hash has it.
    """
    known = json.loads(Path(__file__).with_name("certificates.json").read_text(encoding="utf-8"))
    wanted = model_hash(models, fused)
    return [c for c in known if c["model_hash"] == wanted and c.get(variants.F16) == f16]


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes manifest.json into `folder`."""
    (folder / FILE_NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def replace(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes manifest.json into `folder` in place of the one there; at no time is there half of it."""
    write_atomically(folder / FILE_NAME, (json.dumps(content, indent=2) + "\n").encode())


def read(folder: Path) -> dict[str, Any] | None:
    """The manifest of the bundle in `folder`, or None where there is no bundle of this schema."""
    try:
        content = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("schema_version") == SCHEMA_VERSION else None
