# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Adds an int8 encoder to a bundle (docs/precision.md, "int8").

Weights and activations of its large layers, with NNCF's SmoothQuant (Xiao et al., 2023, arXiv:2211.10438) on real
images, but for the layers that lose most by it.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from medsam_engine.base.packages import pip_install
from medsam_engine.base.whole_file import check_writable, write_atomically
from medsam_engine.errors import Error
from medsam_engine_tools.approximate import certify, preprocessed, qdq
from medsam_engine_tools.approximate.qdq import Unit
from medsam_engine_tools.approximate.run_apart import run_apart
from medsam_engine_tools.bundle import manifest, variants
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import onnx_export

Progress = Callable[[str], None]
Array = NDArray[np.float32]

FILE = "encoder.int8.onnx"
BUDGET = 0.02
"""Error of the embedding, relative to its spread, that is allowed (docs/precision.md, "int8", what came of it)."""
IMAGES = 32  # calibrated on at most so many: more change the ranges little, and each costs seconds
PROBES = 4  # images that a layer's error is measured on
SMOOTHING = 0.95  # NNCF's alpha for transformers: how much of the activations' range moves into the weights


@dataclass(frozen=True)
class Quantized:
    """What was done: the layers in int8, their share of the encoder's work, the embedding's error, and the file."""

    layers: int
    candidates: int
    share: float
    error: float
    path: Path


def relative_error(value: Array, reference: Array) -> float:
    """RMS of the difference over the reference's standard deviation, mean over the first axis."""
    axes = tuple(range(1, reference.ndim))
    rms = np.sqrt(((value - reference) ** 2).mean(axis=axes))
    return float((rms / reference.std(axis=axes)).mean())


def _spread(items: Sequence[Any], count: int) -> list[Any]:
    """`count` of them, evenly spaced."""
    places = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))
    return [items[i] for i in places]


def calibration(content: Mapping[str, Any], images: Path) -> Array:
    """The encoder's inputs of at most IMAGES images and slices of the cases in a folder. ExportError."""
    pixels = [case.pixels for case in certify.read_cases(images, use_truth=True) if not case.is_volume]
    if not pixels:
        raise ExportError(f"images: got only volumes without gts in '{images}', expected images, or volumes with gts")
    return np.concatenate(list(preprocessed.encoder_inputs(dict(content), _spread(pixels, IMAGES))))


def _with_nncf(model: onnx.ModelProto, layers: Mapping[str, int], inputs: Array) -> onnx.ModelProto:
    """`model` with these layers quantized."""
    os.environ.setdefault("NNCF_CI", "1")  # its only switch for the reports that it would send to its makers
    try:
        import nncf
    except ModuleNotFoundError as error:
        raise ExportError(f"got no module {error.name}, expected NNCF; {pip_install('nncf', 'onnxruntime')}") from error
    nncf.set_log_level(logging.ERROR)
    name = model.graph.input[0].name
    data = nncf.Dataset(list(inputs[:, np.newaxis]), lambda one: {name: one})
    others = [node.name for node in model.graph.node if node.name not in layers]
    smoothing = nncf.AdvancedSmoothQuantParameters(matmul=SMOOTHING)
    # Its bias correction is left out: it would bend the layers that become exact again.
    advanced = nncf.AdvancedQuantizationParameters(disable_bias_correction=True, smooth_quant_alphas=smoothing)
    with contextlib.redirect_stdout(io.StringIO()):  # progress bars
        return nncf.quantize(
            model,
            data,
            subset_size=len(inputs),
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(names=others),
            advanced_parameters=advanced,
        )


def _written(model: onnx.ModelProto, path: Path) -> Path:
    onnx_export.strip_notes(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def measured_units(
    exact: onnx.ModelProto,
    quantized: onnx.ModelProto,
    units: Sequence[Unit],
    probes: Array,
    path: Path,
    report: Progress,
) -> list[Unit]:
    """The units with their errors; those with which the runtime fails are left out."""
    reference, why = run_apart(_written(exact, path), probes)
    if reference is None:
        raise ExportError(f"the exact encoder does not run ({why}); export the bundle again")
    found = []
    for i, unit in enumerate(units):
        output, why = run_apart(_written(qdq.only(quantized, exact, [unit]), path), probes)
        if output is None:
            report(f"left out {', '.join(sorted(unit.layers))}: {why}")
            continue
        error = relative_error(output, reference)
        report(f"{i + 1} of {len(units)}: {', '.join(sorted(unit.layers))}: error {error:.4f}")
        found.append(replace(unit, error=error))
    return found


def quantized_encoder(exact: onnx.ModelProto, inputs: Array, budget: float, path: Path, report: Progress) -> Quantized:
    """Writes to `path` the encoder `exact` with int8 layers whose errors together stay within `budget`. ExportError."""
    work = qdq.large_layers(exact)
    if not work:
        raise ExportError("the encoder has no large linear or 1x1 layer; leave it as it is")
    report(f"quantizing {len(work)} layers on {len(inputs)} images")
    quantized = _with_nncf(exact, work, inputs)
    probes = np.stack(_spread(list(inputs), PROBES))
    units = measured_units(exact, quantized, qdq.quantized_units(quantized, work), probes, path, report)
    chosen = qdq.choose(units, budget)
    if not chosen:
        raise ExportError(f"budget: got {budget:g}, at which no layer can be quantized; allow more")
    reference, _ = run_apart(_written(exact, path), probes)
    output, why = run_apart(_written(qdq.only(quantized, exact, chosen), path), probes)
    if output is None or reference is None:
        raise ExportError(f"the quantized encoder does not run ({why}); try a smaller --budget")
    share = sum(unit.flops for unit in chosen) / sum(qdq.layer_work(exact).values())
    layers = sum(len(unit.layers) for unit in chosen)
    return Quantized(layers, len(work), share, relative_error(output, reference), path)


def _checked_source(bundle: Path) -> dict[str, Any]:
    content = manifest.read(bundle)
    if content is None:
        raise ExportError(f"bundle '{bundle}' has no manifest of this version; export it again")
    if "experts" in content:
        raise ExportError("bundle: got one with experts, expected one encoder; int8 is not made for experts yet")
    variants.expect_graphs(content)
    if content["models"]["encoder"].get("data"):
        raise ExportError("bundle: got an encoder with its weights in a second file, which is not quantized yet")
    return content


def quantize(
    bundle: str | os.PathLike[str],
    images: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    budget: float = BUDGET,
    rest: str = "f32",
    progress: Progress | None = None,
) -> Quantized:
    """Adds an int8 encoder to `bundle`, or to a copy of it in the folder `out`; it runs once it is certified.

    Args:
        bundle: a bundle with one encoder.
        images: challenge cases, *.npz with imgs and boxes; the ranges of the activations are taken from them.
        out: where to write; None = into `bundle`.
        budget: error of the embedding that is allowed, relative to its spread.
        rest: what the layers that are not int8 compute in, f32 or bf16.
        progress: called with one line at a time.

    Takes some minutes. Raises ExportError, leaving the bundle as it was.
    """
    report: Progress = progress or (lambda _: None)
    if rest not in ("f32", "bf16"):
        raise ExportError(f"rest: got '{rest}', expected f32 or bf16")
    if not 0 < budget < 1:
        raise ExportError(f"budget: got {budget:g}, expected more than 0 and less than 1")
    source = Path(bundle)
    content = _checked_source(source)
    target = source if out is None else Path(out)
    if target != source and target.exists():
        raise ExportError(f"output '{target}' is there already; give a folder that is absent")
    try:
        if target == source:
            check_writable(target / FILE)
        with tempfile.TemporaryDirectory(prefix="medsam-engine-") as name:
            work = Path(name) / FILE
            inputs = calibration(content, Path(images))
            exact = onnx.load(source / content["models"]["encoder"]["file"])
            done = quantized_encoder(exact, inputs, budget, work, report)
            if rest != "f32" and run_apart(work, inputs[:1], rest)[0] is None:
                raise ExportError(f"the quantized encoder does not run in {rest}; use --rest f32")
            if target != source:
                shutil.copytree(source, target)
            write_atomically(target / FILE, work.read_bytes())
        _declare(target, content, rest)
    except (Error, OSError) as error:
        raise ExportError(str(error)) from error
    return replace(done, path=target / FILE)


def _declare(folder: Path, content: dict[str, Any], rest: str) -> None:
    encoder = content["models"]["encoder"]
    entry = {**manifest.file_entry(folder / FILE), "rest": rest}
    variants.set_int8(content, {**entry, "inputs": encoder["inputs"], "outputs": encoder["outputs"]})
    manifest.replace(folder, content)
