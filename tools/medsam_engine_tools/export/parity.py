# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Compares an exported graph under OpenVINO in f32 with the PyTorch module it came from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import torch
from numpy.typing import NDArray

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export.family import Graph

LIMIT = 1e-3


def relative_error(value: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """max|value - reference| / max|reference|; raises ExportError where the shapes differ."""
    if value.shape != reference.shape:
        raise ExportError(f"parity: shape {value.shape} is not the reference's {reference.shape}")
    return float(np.abs(value - reference).max() / np.abs(reference).max())


def run_openvino(path: Path, cases: list[list[NDArray[np.generic]]]) -> list[list[NDArray[np.float32]]]:
    """Every case's outputs from the ONNX file on the CPU in f32, inputs and outputs in the order of the file."""
    # Stated, not left to the vendor's default: OpenVINO would pick bf16 or f16 where the hardware has it.
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(path, "CPU", options).create_infer_request()
    answers = []
    for case in cases:
        request.infer(case)
        # Copies: an output tensor is one buffer that the next case overwrites.
        answers.append([np.array(tensor.data, copy=True) for tensor in request.output_tensors])
    return answers


def measure(graph: Graph, path: Path) -> float:
    """The worst relative error over the graph's parity cases and outputs.

    Raises ExportError where it is above LIMIT or not a number, or where an output has another shape.
    """
    answers = run_openvino(path, [[tensor.numpy() for tensor in case] for case in graph.cases])
    worst = 0.0
    for case, answer in zip(graph.cases, answers, strict=True):
        with torch.no_grad():
            reference = graph.module(*case)
        references = (reference,) if isinstance(reference, torch.Tensor) else reference
        for spec, got, expected in zip(graph.outputs, answer, references, strict=True):
            error = relative_error(got, expected.numpy())
            if not error <= LIMIT:
                raise ExportError(
                    f"parity of '{graph.key}': {spec.name} differs from PyTorch by {error:.2g}, at most {LIMIT:g} is"
                    " right; the bundle was not written, report this with the versions of torch and openvino"
                )
            worst = max(worst, error)
    return worst
