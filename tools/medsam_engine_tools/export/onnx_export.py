# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Writes one graph of a family as a deterministic ONNX file.

torch's dynamo exporter at opset 20 was chosen by measurement: one LiteMedSAM encoder gave 474 nodes, 1288 with the
legacy exporter; layer norm, softmax and GELU are single operators, and a fixed grid needs no shape arithmetic.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import onnx_ir
import torch
from onnx_ir import external_data
from onnxscript import optimizer

from medsam_engine_tools.bundle.manifest import data_path
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export.family import Graph
from medsam_engine_tools.export.nn.layers import fuse_batch_norms

OPSET = 20  # the first with a GELU operator
FOLD_LIMIT = 1 << 24  # elements of a constant that may be computed at export
FILE_LIMIT = (1 << 31) - (1 << 24)  # bytes of weights in one file: a protobuf holds 2 GiB at most, the graph included
DATA_MINIMUM = 1 << 10  # bytes of a weight that goes beside the file; smaller ones are the shapes that its readers want


@contextmanager
def quiet_torch() -> Iterator[None]:
    """Keeps the exporter's notes (an absent torchvision, deprecations inside torch) off the caller's stderr."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def strip_notes(message: Any) -> None:
    """Removes every doc string and metadata entry of a protobuf: they hold paths and stack traces of this machine."""
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif field.type == field.TYPE_MESSAGE:
            for child in [value] if hasattr(value, "ListFields") else value:
                strip_notes(child)


def export_program(graph: Graph) -> torch.onnx.ONNXProgram:
    """The ONNX program of `graph`, batch norms fused; raises ExportError where torch cannot export it."""
    module = copy.deepcopy(graph.module).eval().requires_grad_(False)
    fuse_batch_norms(module)
    dims: dict[str, torch.export.Dim] = {}
    dynamic_shapes = tuple(
        {axis: dims.setdefault(d, torch.export.Dim(d)) for axis, d in enumerate(spec.shape) if isinstance(d, str)}
        for spec in graph.inputs
    )
    try:
        with quiet_torch(), torch.no_grad():
            program = torch.onnx.export(
                module,
                graph.cases[0],
                dynamo=True,
                optimize=False,  # done by the caller, with wider limits
                opset_version=OPSET,
                input_names=[spec.name for spec in graph.inputs],
                output_names=[spec.name for spec in graph.outputs],
                dynamic_shapes=dynamic_shapes,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ExportError(f"torch {torch.__version__} cannot export the graph '{graph.key}' ({reason})") from error
    if program is None:
        raise ExportError(f"torch {torch.__version__} gave no ONNX program for the graph '{graph.key}'")
    return program


def write_onnx(graph: Graph, path: Path, producer: tuple[str, str]) -> None:
    """Exports `graph` to `path`, batch norms fused, constants folded; the same weights give the same bytes.

    Weights beyond FILE_LIMIT are written beside it, to data_path(path), in the order of the graph and without gaps.
    producer: name and version that the file is to state. Raises ExportError where torch cannot export the graph.
    """
    model = export_program(graph).model
    # The exporter's own folding leaves large constants alone, such as the gathered attention biases.
    optimizer.optimize_ir(model, input_size_limit=FOLD_LIMIT, output_size_limit=FOLD_LIMIT)
    weights = [value.const_value for value in model.graph.initializers.values() if value.const_value is not None]
    if sum(weight.nbytes for weight in weights) > FILE_LIMIT:
        model = external_data.unload_from_model(
            model, path.parent, data_path(path).name, size_threshold_bytes=DATA_MINIMUM
        )
    proto = onnx_ir.to_proto(model)
    strip_notes(proto)
    proto.producer_name, proto.producer_version = producer
    path.write_bytes(proto.SerializeToString(deterministic=True))
    onnx.checker.check_model(path)  # by its path: only then does it find the weights beside the file
