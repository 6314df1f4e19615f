# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""From a published checkpoint to a bundle with graphs, by torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from medsam_engine_tools.bundle import manifest
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import checkpoint as checkpoints
from medsam_engine_tools.export import experts as expert_parts
from medsam_engine_tools.export import families, onnx_export, parity, recognition
from medsam_engine_tools.export.family import Family
from medsam_engine_tools.export.native_bundle import native_entries
from medsam_engine_tools.export.part import Part, check_companion
from medsam_engine_tools.export.target import Progress, check_target, staged


@dataclass(frozen=True)
class Written:
    """The model files so far: what the manifest says about each, and its parity, by name."""

    models: dict[str, dict[str, Any]]
    parity: dict[str, float]


def recognized(checkpoint: Path | None, experts: Mapping[str, Path], progress: Progress) -> Family:
    """The family of `checkpoint`, told from its tensors; raises ExportError where there is nothing to tell it from."""
    if checkpoint is None or experts:
        raise ExportError("the family is told from a single checkpoint; name the family where experts are given")
    match = recognition.recognize(checkpoints.read(checkpoint).tensors)
    progress(str(match))
    return families.get(match.family)


def load(part: Part) -> nn.Module:
    """The model of `part` with its weights, in eval mode."""
    model = part.family.build(part.size)
    checkpoints.load_strict(model, part.source.tensors, part.family.name)
    # Only now: some published encoders derive constants from their weights when they are switched to eval mode.
    return model.eval().requires_grad_(False)


def write_graphs(part: Part, model: nn.Module, written: Written, folder: Path, progress: Progress) -> dict[str, str]:
    """Writes the graphs of `part` into `folder` and adds them to `written`; the name of each role's model.

    A graph whose file has the bytes of an earlier one is that one: experts that share weights share the file.
    """
    roles = {}
    for graph in part.family.graphs(model):
        name = f"{part.expert}.{graph.key}" if part.expert else graph.key
        path = folder / f"{name}.onnx"
        progress(f"exporting {path.name}")
        onnx_export.write_onnx(graph, path, (manifest.EXPORTER, manifest.exporter_version()))
        entry = manifest.model_entry(graph, path)
        twin = next((name for name, other in written.models.items() if manifest.same_model(other, entry)), None)
        if twin is None:
            progress(f"checking {path.name} against PyTorch")
            written.parity[name] = parity.measure(graph, path)
            written.models[name] = entry
        else:
            path.unlink()
            progress(f"{path.name} is the same as {twin}.onnx")
        roles[graph.key] = name if twin is None else twin
    return roles


def write_bundle(
    family: Family, parts: Sequence[Part], folder: Path, progress: Progress, companion: Path | None = None
) -> None:
    """Writes the models of `parts` and the manifest of `family` into the empty `folder`."""
    written = Written({}, {})
    extra: dict[str, str] = {}
    experts: dict[str, dict[str, str]] = {}
    for part in parts:
        same = next((p for p in parts if p.expert in experts and p.source.sha256 == part.source.sha256), None)
        if same is not None:
            progress(f"expert {part.expert} has the checkpoint of {same.expert}")
            experts[part.expert] = experts[same.expert]
            continue
        model = load(part)
        if family.companion is not None and companion is not None:
            progress(f"reading {companion.name}, {family.companion.what}")
            extra["companion_sha256"] = family.companion.attach(model, companion)
        experts[part.expert] = write_graphs(part, model, written, folder, progress)
    # The manifest has no room for those of several experts (docs/bundle.md).
    fused = native_entries(parts[0], folder, progress) if family.experts is None else {}
    content = manifest.build(family, parts, written.models, written.parity, experts, fused)
    content["provenance"] |= extra
    manifest.write(folder, content)


def export(
    family: str,
    checkpoint: str | os.PathLike[str] | None,
    out_dir: str | os.PathLike[str],
    progress: Progress | None = None,
    companion: str | os.PathLike[str] | None = None,
    experts: Mapping[str, str | os.PathLike[str]] | None = None,
    kept: Path | None = None,
) -> Path:
    """Exports `checkpoint`, a published weights file of `family`, as a bundle in the folder `out_dir`.

    The size of the family is told from the tensors, and with "auto" so is the family. `companion` is the folder of the
    second model that some families are built on (`Family.companion`). `experts` are the checkpoints of a family with
    experts, by their names; `checkpoint` is then the fallback's and may be None.

    The bundle is written beside `out_dir` and moved there when complete and checked against PyTorch; an older bundle is
    replaced (and gets the name `kept`, where that is given), any other content refused. Takes some 30 s and 1 GB of
    memory for LiteMedSAM. Returns the bundle's folder; raises ExportError, leaving `out_dir` as it was.
    """
    report: Progress = progress or (lambda _: None)
    chosen = None if family == recognition.AUTO else families.get(family)
    target = Path(out_dir).expanduser().resolve()
    check_target(target)
    report("reading the checkpoint")
    main = None if checkpoint is None else Path(checkpoint).expanduser()
    files = {name: Path(path).expanduser() for name, path in (experts or {}).items()}
    if chosen is None:
        chosen = recognized(main, files, report)
    parts = expert_parts.parts(chosen, main, files)
    second = None if companion is None else Path(companion).expanduser()
    check_companion(chosen, second)
    with staged(target, kept) as folder:
        write_bundle(chosen, parts, folder, report, second)
    return target
