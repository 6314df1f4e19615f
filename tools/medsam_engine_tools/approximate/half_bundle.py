# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Adds f16 graphs to a bundle and measures on the CPU whether they keep the masks (docs/precision.md, "f16 graphs")."""

from __future__ import annotations

import copy
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from medsam_engine import Engine
from medsam_engine.base.whole_file import write_atomically
from medsam_engine.errors import Error
from medsam_engine_tools.approximate import certify, half, preprocessed
from medsam_engine_tools.approximate.certify import Case
from medsam_engine_tools.bundle import manifest, variants
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import parity

Progress = Callable[[str], None]

SUFFIX = ".f16.onnx"
IMAGES = 8  # whose largest values are looked at; one image takes seconds
ANYWHERE = {"backend": "the graph's types", "device": "any"}


def _content(bundle: Path) -> dict[str, Any]:
    content = manifest.read(bundle)
    if content is None:
        raise ExportError(f"bundle '{bundle}' has no manifest of this version; export it again")
    return content


def add_half(bundle: str | os.PathLike[str], progress: Progress | None = None) -> Path:
    """Writes every graph of a bundle once more in f16 beside it, and the manifest that says so. ExportError.

    Nothing changes for who asks for f32. Certificates of other f16 graphs go, as they would not hold for these.
    """
    report: Progress = progress or (lambda _: None)
    folder = Path(bundle)
    content = _content(folder)
    variants.expect_graphs(content)
    entries = {}
    for name, entry in content["models"].items():
        path = folder / f"{name}{SUFFIX}"
        report(f"writing {path.name}")
        rewritten = half.to_f16(onnx.load(folder / entry["file"]))
        write_atomically(path, rewritten.SerializeToString(deterministic=True))
        entries[name] = {**manifest.file_entry(path), "inputs": entry["inputs"], "outputs": entry["outputs"]}
    variants.set_f16(content, entries)
    content["certificates"] += manifest.shipped_certificates(content["models"], variants.f16_hash(content))
    manifest.replace(folder, content)
    return folder


def write_emulation(bundle: Path, folder: Path) -> None:
    """A bundle in `folder` whose f32 graphs round where the f16 graphs of `bundle` compute in f16."""
    content = copy.deepcopy(_content(bundle))
    graphs = variants.f16_models(content)
    variants.remove_all(content)
    for name, entry in graphs.items():
        path = folder / f"{name}.onnx"
        onnx.save(half.emulated(onnx.load(bundle / entry["file"])), path)
        content["models"][name] = {
            **manifest.file_entry(path),
            "inputs": entry["inputs"],
            "outputs": entry["outputs"],
        }
    manifest.write(folder, content)


def _spread(cases: list[Case], count: int) -> list[Case]:
    places = np.unique(np.linspace(0, len(cases) - 1, min(count, len(cases))).round().astype(int))
    return [cases[i] for i in places]


def _corners(case: Case, frame: int) -> NDArray[np.float32]:
    """The case's boxes (N, 2, 2) in the prompt frame of a bundle that keeps an image's aspect."""
    scale = frame / max(case.pixels.shape[:2])
    corners: NDArray[np.float32] = (case.boxes * scale).reshape(-1, 2, 2).astype(np.float32)
    return corners


def largest_value(bundle: Path, cases: Iterable[Case], progress: Progress | None = None) -> float:
    """The largest magnitude of any f16 tensor of encoder and decoder on these images. ExportError."""
    report: Progress = progress or (lambda _: None)
    content = _content(bundle)
    graphs = variants.f16_models(content)
    plain = {"image_embedding", "point_coords", "point_labels", "mask_index"}
    if "experts" in content or {t["name"] for t in content["models"]["decoder"]["inputs"]} != plain:
        raise ExportError("f16: got a bundle with experts, or whose decoder asks for more than boxes; not measured yet")
    chosen = list(cases)
    inputs = preprocessed.encoder_inputs(content, (case.pixels for case in chosen))
    most = 0.0
    with tempfile.TemporaryDirectory(prefix="medsam-engine-") as name:
        paths = {}
        for role in ("encoder", "decoder"):
            paths[role] = Path(name) / f"{role}.onnx"
            onnx.save(half.emulated(onnx.load(bundle / graphs[role]["file"]), largest=True), paths[role])
        for case, image in zip(chosen, inputs, strict=True):
            [encoded] = parity.run_openvino(paths["encoder"], [[image]])
            corners = _corners(case, content["prompt"]["frame"])[:16]
            labels = np.tile(np.array([[2, 3]], np.int32), (len(corners), 1))
            [decoded] = parity.run_openvino(paths["decoder"], [[encoded[0], corners, labels, np.zeros(1, np.int32)]])
            found = [float(encoded[-1]), float(decoded[-1])]
            report(f"{case.name}: largest value {found[0]:.0f} in the encoder, {found[1]:.0f} in the decoder")
            if not np.isfinite(found).all():
                return float("inf")
            most = max(most, *found)
    return most


def certify_half(
    bundle: str | os.PathLike[str],
    images: str | os.PathLike[str],
    *,
    truth: bool = True,
    profile: str = "clinical",
    volumes: bool = True,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], list[certify.Row]]:
    """Runs the exact graphs and the emulated f16 graphs over a folder of cases; adds the certificate to the bundle.

    The certificate names the f16 graphs themselves, whose types ask for the very rounding that is emulated, so it holds
    wherever they are run. `volumes` = False leaves volumes out but for their slices. ExportError.
    """
    report: Progress = progress or (lambda _: None)
    folder = Path(bundle)
    content = _content(folder)
    if not variants.has_f16(content):
        raise ExportError("f16: got a bundle without f16 graphs; add them with `medsam-engine half`")
    cases = [case for case in certify.read_cases(Path(images), truth) if volumes or not case.is_volume]
    largest = largest_value(folder, _spread([c for c in cases if not c.is_volume], IMAGES), report)
    if not largest <= half.LARGEST:
        raise ExportError(f"f16: a value of {largest:g} overflows; this model stays f32")
    with tempfile.TemporaryDirectory(prefix="medsam-engine-") as name:
        write_emulation(folder, Path(name))
        try:
            exact = Engine(folder, precision="f32/f32", profile=profile, cache_bytes=1 << 30)
            emulated = Engine(name, precision="f32/f32", profile=profile, cache_bytes=1 << 30, cache_dir="none")
        except Error as error:
            raise ExportError(str(error)) from error
        rows, _ = certify.compare_all(cases, exact, emulated, report)
    measured = {"machine": exact.info.device, "profile": profile, **certify.summary(rows, len(cases))}
    certificate = {
        "precision": "f16",
        "stages": {"encoder": "f16", "decoder": "f16"},
        variants.F16: variants.f16_hash(content),
        "model_hash": exact.info.model_hash,
        **ANYWHERE,
        "measured": {**measured, "largest": largest},
    }
    certify.add_certificate(folder, certificate, exact.info.certificates_file)
    return certificate, rows
