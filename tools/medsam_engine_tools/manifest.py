# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Writes a bundle's manifest.json, schema 1 of docs/bundle.md; cpp/src/bundle.cpp reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from medsam_engine_tools import profiles
from medsam_engine_tools.checkpoint import file_sha256
from medsam_engine_tools.family import Family, Graph, TensorSpec

SCHEMA_VERSION = 1
FILE_NAME = "manifest.json"
EXPORTER = "medsam_engine_tools"


def exporter_version() -> str:
    """The version of the installed medsam-engine; "0+unknown" where the tools run from a source tree only."""
    try:
        return metadata.version("medsam-engine")
    except metadata.PackageNotFoundError:
        return "0+unknown"


def tensor_entry(spec: TensorSpec) -> dict[str, Any]:
    """A tensor as the manifest words it; a dynamic dimension is -1."""
    return {"name": spec.name, "dtype": spec.dtype, "shape": [-1 if isinstance(d, str) else d for d in spec.shape]}


def model_entry(graph: Graph, path: Path) -> dict[str, Any]:
    """What the manifest says about one model file."""
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
        "inputs": [tensor_entry(spec) for spec in graph.inputs],
        "outputs": [tensor_entry(spec) for spec in graph.outputs],
    }


def prompt_entry(family: Family) -> dict[str, Any]:
    """How the family's prompt encoder is to be asked."""
    return {
        "frame": family.prompt_frame,
        "point_shift": family.point_shift,
        "accepts": list(family.accepts),
        "mask_input": family.mask_input,
        "from_box": family.from_box,
    }


def build(
    family: Family, models: Mapping[str, dict[str, Any]], parity: Mapping[str, float], checkpoint_sha256: str
) -> dict[str, Any]:
    """The manifest of a bundle. `models` and `parity` are keyed by graph; parity is kept to two digits.

    Holds no time and no path, so the same checkpoint and exporter give the same bytes.
    """
    modality = {} if family.modality_index is None else {"modality": {"index": dict(family.modality_index)}}
    return {
        "schema_version": SCHEMA_VERSION,
        "family": family.name,
        "profile": profiles.load(family.profile),
        "image": {"input_size": family.input_size},
        "prompt": prompt_entry(family),
        **modality,
        "models": dict(models),
        "provenance": {
            "checkpoint_sha256": checkpoint_sha256,
            "exporter": f"{EXPORTER} {exporter_version()}",
            "torch": torch.__version__.partition("+")[0],
        },
        "parity": {key: float(f"{error:.1e}") for key, error in parity.items()},
        "certificates": [],
    }


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes manifest.json into `folder`."""
    (folder / FILE_NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any] | None:
    """The manifest of the bundle in `folder`, or None where there is no bundle of this schema."""
    try:
        content = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("schema_version") == SCHEMA_VERSION else None
