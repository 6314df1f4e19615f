# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Measures whether an approximation keeps the masks, and says so in the bundle's manifest (docs/precision.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam_engine import Engine
from medsam_engine.base.printable import csv_cell
from medsam_engine.base.whole_file import make_private_folder, write_atomically
from medsam_engine.errors import Error
from medsam_engine.io.boxes import boxes_from_labels
from medsam_engine.io.npz_file import challenge_modality, load_arrays
from medsam_engine.measure.metrics import dice
from medsam_engine.prompts import box3d_array, box_array
from medsam_engine_tools.approximate.reference import reference_of, usual_stages
from medsam_engine_tools.approximate.run_apart import run_apart
from medsam_engine_tools.bundle import manifest, variants
from medsam_engine_tools.errors import ExportError

Progress = Callable[[str], None]
Labels = NDArray[np.generic]

SLICES = (0.3, 0.5, 0.7)  # of a volume's labeled range: images of their own beside the volume
LARGE_PIXELS, RIGHT_DICE = 400, 0.7  # an object that must not be lost: so large, and so well found by f32


@dataclass(frozen=True)
class Case:
    """An image or a volume with its boxes, and its ground truth where there is one: label k + 1 is boxes[k]'s."""

    name: str
    modality: str
    pixels: Labels  # (H, W[, 3]) or (D, H, W)
    boxes: NDArray[np.float64]  # (N, 4) or (N, 6)
    truth: Labels | None

    @property
    def is_volume(self) -> bool:
        """Whether the boxes are in space."""
        return bool(self.boxes.shape[1] == 6)


@dataclass(frozen=True)
class Row:
    """One object: pixels of f32's mask, DSC of the approximation with f32, and of both with the truth."""

    case: str
    object: int
    pixels: int
    agreement: float
    truth_f32: float | None
    truth: float | None


def _slices(case: Case) -> Iterator[Case]:
    """Some slices of a volume with a ground truth, as images, each object's box tight around its label."""
    assert case.truth is not None
    labeled = np.flatnonzero(case.truth.reshape(len(case.truth), -1).any(axis=1))
    if not labeled.size:
        return
    # A flat volume has fewer slices than parts.
    for z in sorted({int(labeled[0] + part * (labeled[-1] - labeled[0])) for part in SLICES}):
        boxes, values = boxes_from_labels(case.truth[z])
        if not len(values):
            continue
        truth = np.zeros(case.truth[z].shape, np.uint16)
        for k, value in enumerate(values):
            truth[case.truth[z] == value] = k + 1
        yield Case(f"{case.name}, slice {z}", case.modality, case.pixels[z], boxes.astype(np.float64), truth)


def read_cases(folder: Path, use_truth: bool) -> Iterator[Case]:
    """The challenge cases (NAME.npz with imgs and boxes) of a folder, and slices of its volumes that have `gts`."""
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise ExportError(f"images: got no *.npz in '{folder}', expected challenge cases with imgs and boxes")
    for path in paths:
        arrays = load_arrays(path, "imgs", ("boxes", "gts"))
        if "boxes" not in arrays:
            raise ExportError(f"images: got no boxes in '{path}', expected the challenge's key boxes")
        wide = arrays["boxes"].shape[-1] == 6
        boxes = box3d_array(arrays["boxes"]) if wide else box_array(arrays["boxes"])
        truth = arrays.get("gts") if use_truth else None
        case = Case(path.stem, challenge_modality(path.name), arrays["imgs"], boxes, truth)
        yield case
        if case.is_volume and truth is not None:
            yield from _slices(case)


def _masks(engine: Engine, case: Case) -> Iterator[NDArray[np.bool_]]:
    modality = case.modality or None
    if case.is_volume:
        # One object at a time, so that no object is painted over by another.
        for box in case.boxes:
            yield engine.segment_volume(case.pixels, box[np.newaxis], modality=modality) != 0
        return
    # As `segment` answers a box, with the windows of a profile that zooms.
    embedding = engine.encode(case.pixels, modality=modality)
    for box in case.boxes:
        yield engine.segment(embedding, box[np.newaxis]) != 0


def _answers(engine: Engine, case: Case) -> Iterator[NDArray[np.bool_]]:
    """As _masks; of an image, the model's own answers, without the windows of a profile that zooms."""
    if case.is_volume:
        yield from _masks(engine, case)
        return
    prediction = engine.predict(engine.encode(case.pixels, modality=case.modality or None), box=case.boxes)
    for k in range(len(case.boxes)):
        yield prediction.mask(k)


def compare(case: Case, exact: Engine, approximate: Engine, windows: bool = True) -> Iterator[Row]:
    """One row per object. An object that both leave empty agrees. `windows`: of a profile that zooms, in images."""
    masks = _masks if windows else _answers
    pairs = zip(masks(exact, case), masks(approximate, case), strict=True)
    for k, (mask_f32, mask) in enumerate(pairs):
        agreement = dice(mask_f32, mask)
        truth = None if case.truth is None else case.truth == k + 1
        known = truth is not None and bool(truth.any())
        yield Row(
            case.name,
            k + 1,
            int(mask_f32.sum()),
            1.0 if np.isnan(agreement) else agreement,
            dice(truth, mask_f32) if truth is not None and known else None,
            dice(truth, mask) if truth is not None and known else None,
        )


def compare_all(
    cases: Iterable[Case], exact: Engine, approximate: Engine, report: Progress, windows: bool = True
) -> tuple[list[Row], int]:
    """The rows of all cases and how many cases there were. ExportError when an engine fails or there is no object."""
    rows: list[Row] = []
    count = 0
    try:
        for case in cases:
            found = list(compare(case, exact, approximate, windows))
            count += 1
            rows += found
            report(f"{case.name}: agreement {min((r.agreement for r in found), default=1.0):.4f} at worst")
    except Error as error:
        raise ExportError(str(error)) from error
    if not rows:
        raise ExportError("images: got no box in any case, expected cases with objects")
    return rows, count


def summary(rows: list[Row], images: int) -> dict[str, Any]:
    """The certificate's `measured`, without the machine."""
    with_truth = [(r.pixels, r.truth_f32, r.truth) for r in rows if r.truth_f32 is not None and r.truth is not None]
    losses = [f32 - other for pixels, f32, other in with_truth if pixels >= LARGE_PIXELS and f32 >= RIGHT_DICE]
    return {
        "images": images,
        "objects": len(rows),
        "agreement_mean": float(np.mean([r.agreement for r in rows])),
        "agreement_worst": float(min(r.agreement for r in rows)),
        "truth_f32": float(np.mean([f32 for _, f32, _ in with_truth])) if with_truth else None,
        "truth": float(np.mean([other for _, _, other in with_truth])) if with_truth else None,
        "worst_loss": float(max(losses, default=0.0)) if with_truth else None,
    }


def _replaced(certificates: Iterable[Any], certificate: Mapping[str, Any]) -> list[Any]:
    key = ("stages", "backend", "device")
    return [*(c for c in certificates if any(c.get(k) != certificate[k] for k in key)), dict(certificate)]


def _remember(file: Path, certificate: Mapping[str, Any]) -> None:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = []
    listed = [c for c in known if isinstance(c, dict)] if isinstance(known, list) else []
    try:
        make_private_folder(file.parent)
    except OSError as error:
        raise ExportError(f"cache: got '{file.parent}', expected a folder to write; {error.strerror}") from error
    write_atomically(file, (json.dumps(_replaced(listed, certificate), indent=1) + "\n").encode(), private=True)


def add_certificate(bundle: Path, certificate: Mapping[str, Any], remembered_in: str) -> None:
    """Puts a certificate into the manifest in place of an older one of the same stages, backend and device.

    What a manifest says, anybody may have written: that it was measured on this machine is remembered in the file
    `remembered_in`, EngineInfo.certificates_file ("" = not at all). The two are equal in every field.
    """
    content = manifest.read(bundle)
    if content is None:
        raise ExportError(f"bundle '{bundle}' has no manifest of this version; export it again")
    content["certificates"] = _replaced(content["certificates"], certificate)
    manifest.replace(bundle, content)
    if remembered_in:
        _remember(Path(remembered_in), certificate)


def try_int8(folder: Path, content: Mapping[str, Any]) -> None:
    """Runs the int8 encoder in another process first. ExportError where it does not run here."""
    entry = variants.stage_entry(content, "encoder", "int8")
    assert entry is not None
    size = content["image"]["input_size"]
    output, why = run_apart(folder / entry["file"], np.zeros((1, 3, size, size), np.float32), entry["rest"])
    if output is None:
        raise ExportError(
            f"the int8 encoder does not run here ({why}); quantize the bundle again with a smaller budget"
        )


def certify(
    bundle: str | os.PathLike[str],
    images: str | os.PathLike[str],
    *,
    encoder: str | None = None,
    decoder: str | None = None,
    truth: bool = True,
    profile: str = "clinical",
    reference: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Any], list[Row]]:
    """Runs a bundle in f32 and with these stage precisions over a folder of cases, and adds the certificate to it.

    A stage that is None is measured in the precision of usual_stages(). `reference`: for a bundle without graphs, one
    of the same weights with them, which runs in f32 in its place.

    Whether it holds is decided where it is read (docs/bundle.md, "Certificates"); a bad one is added too, so that it
    can be seen why. Returns the certificate and the rows behind it. Raises ExportError.
    """
    report: Progress = progress or (lambda _: None)
    folder = Path(bundle)
    usual = usual_stages(folder)
    stages = {"encoder": encoder or usual[0], "decoder": decoder or usual[1]}
    precision = f"{stages['encoder']}/{stages['decoder']}"
    if precision == "f32/f32":
        raise ExportError("precision: got f32 for both stages, expected an approximation")
    kinds = [p.removesuffix("_mixed").removesuffix("_fused") for p in stages.values()]
    # A volume is run object by object: with room for its slices each is encoded once.
    options: dict[str, Any] = {"profile": profile, "cache_bytes": 1 << 30}
    content = manifest.read(folder) or {}
    if stages["encoder"] == "int8":
        try_int8(folder, content)
    exact_bundle = reference_of(folder, content, None if reference is None else Path(reference))
    try:
        exact = Engine(exact_bundle, precision="f32/f32", **options)
        approximate = Engine(folder, precision=precision, allow_uncertified=True, **options)
    except Error as error:
        raise ExportError(str(error)) from error
    # Two ways to compute in f32 are compared by single answers: the mean of two is 0 within rounding at some pixel of a
    # few hundred objects, and of a small object, one pixel is more than the bar for equal masks allows.
    windows = any(kind != "f32" for kind in kinds)
    rows, count = compare_all(read_cases(Path(images), truth), exact, approximate, report, windows)
    info = approximate.info
    backends = {"encoder": info.encoder_backend, "decoder": info.decoder_backend}
    certificate = {
        "precision": next((kind for kind in kinds if kind != "f32"), "f32"),
        "stages": stages,
        **variants.certified_files(content, stages, backends),
        "model_hash": info.model_hash,
        "backend": exact.info.backend,
        "device": "CPU",
        "measured": {"machine": exact.info.device, "profile": profile, **summary(rows, count)},
    }
    add_certificate(folder, certificate, info.certificates_file)
    return certificate, rows


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    return '"' + (csv_cell(value) if isinstance(value, str) else str(value)).replace('"', '""') + '"'


def table(rows: list[Row]) -> str:
    """The rows as CSV."""
    fields = list(asdict(rows[0]))
    lines = [",".join(fields)]
    for row in rows:
        values = asdict(row).values()
        lines.append(",".join("" if v is None else _cell(v) for v in values))
    return "\n".join(lines) + "\n"
