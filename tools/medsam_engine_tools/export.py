# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""From a published checkpoint to a bundle."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from medsam_engine_tools import checkpoint as checkpoints
from medsam_engine_tools import families, manifest, onnx_export, parity, recognition
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.family import Family

Progress = Callable[[str], None]  # called with one line, at the start of each step


def check_target(folder: Path) -> None:
    """Raises ExportError unless `folder` is absent, empty, or a bundle with nothing else in it."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ExportError(f"output '{folder}' is a file; expected a folder that is absent, empty or a bundle")
    found = {entry.name for entry in folder.iterdir()}
    known = manifest.read(folder) or {}
    ours = {manifest.FILE_NAME} | {str(model.get("file")) for model in known.get("models", {}).values()}
    if found and (not known or found - ours):
        stranger = sorted(found - ours if known else found)[0]
        raise ExportError(
            f"output '{folder}' holds '{stranger}', which is no part of a bundle;"
            " give a folder that is absent, empty or a bundle"
        )


def replace_folder(staged: Path, target: Path) -> None:
    """Puts `staged` where `target` is; at no time is there half a bundle under that name."""
    if target.exists():
        old = staged.with_name("replaced")
        os.rename(target, old)
    os.rename(staged, target)


def write_bundle(family: Family, source: checkpoints.Checkpoint, folder: Path, progress: Progress) -> None:
    """Writes the models and the manifest of `family` with the tensors of `source` into the empty `folder`."""
    model = family.build(recognition.closest_size(family, source.tensors))
    checkpoints.load_strict(model, source.tensors, family.name)
    # Only now: some published encoders derive constants from their weights when they are switched to eval mode.
    model.eval().requires_grad_(False)
    producer = (manifest.EXPORTER, manifest.exporter_version())
    models, errors = {}, {}
    for graph in family.graphs(model):
        path = folder / f"{graph.key}.onnx"
        progress(f"exporting {path.name}")
        onnx_export.write_onnx(graph, path, producer)
        progress(f"checking {path.name} against PyTorch")
        errors[graph.key] = parity.measure(graph, path)
        models[graph.key] = manifest.model_entry(graph, path)
    manifest.write(folder, manifest.build(family, models, errors, source.sha256))


def export(
    family: str, checkpoint: str | os.PathLike[str], out_dir: str | os.PathLike[str], progress: Progress | None = None
) -> Path:
    """Exports `checkpoint`, a published weights file of `family`, as a bundle in the folder `out_dir`.

    The size of the family is told from the tensors, and with "auto" so is the family.

    The bundle is written beside `out_dir` and moved there when complete and checked against PyTorch; an older bundle is
    replaced, any other content refused. Takes some 30 s and 1 GB of memory for LiteMedSAM. Returns the bundle's folder;
    raises ExportError, leaving `out_dir` as it was.
    """
    report: Progress = progress or (lambda _: None)
    chosen = None if family == recognition.AUTO else families.get(family)
    target = Path(out_dir).expanduser().resolve()
    check_target(target)
    report("reading the checkpoint")
    source = checkpoints.read(Path(checkpoint).expanduser())
    if chosen is None:
        match = recognition.recognise(source.tensors)
        report(str(match))
        chosen = families.get(match.family)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            staged = work / "bundle"
            staged.mkdir()
            write_bundle(chosen, source, staged, report)
            replace_folder(staged, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise ExportError(
            f"output '{target}' cannot be written ({error}); free space or give another folder"
        ) from error
    return target
