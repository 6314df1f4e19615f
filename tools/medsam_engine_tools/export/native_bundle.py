# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""From a published checkpoint to native weights: beside the graphs, or a bundle of their own that needs no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medsam_engine_tools.bundle import manifest
from medsam_engine_tools.export import families
from medsam_engine_tools.export.family import Family
from medsam_engine_tools.export.native.source import Arrays
from medsam_engine_tools.export.part import Part, check_companion, named_files
from medsam_engine_tools.export.state_dict import distance, expect_layout
from medsam_engine_tools.export.target import Progress, check_target, staged
from medsam_engine_tools.export.torch_file import reader


def arrays_of(tensors: Mapping[str, Any]) -> Arrays:
    """The tensors of a checkpoint as arrays, whichever library has read it; a view where it can be one."""
    return {name: t if isinstance(t, np.ndarray) else t.detach().float().numpy() for name, t in tensors.items()}


def native_entries(part: Part, folder: Path, progress: Progress) -> dict[str, Any]:
    """Writes the native weights of `part` into `folder`; what the manifest says about each model, by its name.

    {} where the engine has no kernels for the model. ExportError: a weight that is not finite.
    """
    model = part.family.native.get(part.size)
    if model is None:
        return {}
    progress(f"exporting {', '.join(model.file_name(stage) for stage in model.networks)}")
    paths = model.write(arrays_of(part.source.tensors), folder)
    files = {stage: manifest.file_entry(path) for stage, path in paths.items()}
    return {
        name: {**files[stage], **manifest.tensors_entry(tensors)}
        for name, tensors in model.models.items()
        if (stage := model.stage(name)) in files
    }


def closest_size(family: Family, tensors: Mapping[str, Any]) -> str:
    """The size of `family` whose layout is nearest to `tensors`; the first of several."""
    return min(family.native, key=lambda size: distance(family.native[size].layout(), tensors))


def export_native(
    family: str,
    checkpoint: str | os.PathLike[str] | None,
    out_dir: str | os.PathLike[str],
    progress: Progress | None = None,
    companion: str | os.PathLike[str] | None = None,
    experts: Mapping[str, str | os.PathLike[str]] | None = None,
    kept: Path | None = None,
) -> Path:
    """Exports `checkpoint`, a published weights file of `family`, as a bundle of native weights in `out_dir`.

    For the families in families.NATIVE. Reads the file itself and imports no torch; a second and a quarter of a GB for
    LiteMedSAM. Everything else as export.export does it, without graphs and so without a parity check: tests hold the
    kernels to the graphs. Returns the bundle's folder; raises ExportError, leaving `out_dir` as it was.
    """
    report: Progress = progress or (lambda _: None)
    chosen = families.get(family)
    main = None if checkpoint is None else Path(checkpoint).expanduser()
    files = named_files(chosen, main, {name: Path(path) for name, path in (experts or {}).items()})
    check_companion(chosen, None if companion is None else Path(companion))
    target = Path(out_dir).expanduser().resolve()
    check_target(target)
    report("reading the checkpoint")
    source = reader.read(files[""])
    size = closest_size(chosen, source.tensors)
    model = chosen.native[size]
    expect_layout(model.layout(), source.tensors, family)
    part = Part("", chosen, size, source)
    with staged(target, kept) as folder:
        fused = native_entries(part, folder, report)
        models = {name: manifest.tensors_entry(tensors) for name, tensors in model.models.items()}
        manifest.write(folder, manifest.build(chosen, [part], models, {}, {"": {}}, fused))
    return target
