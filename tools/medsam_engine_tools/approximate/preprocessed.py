# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Images as a bundle's encoder gets them, made by the engine itself.

The engine shows the encoder's output, not its input. So it is given a bundle whose encoder passes its input on: what
comes out of `encode` is the image, resized, normalized and padded by the same kernels and rules as in use.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from medsam_engine import Engine
from medsam_engine_tools.bundle import manifest

_OPSET = 17
_POINTS = ("point_coords", TensorProto.FLOAT, ["N", "T", 2]), ("point_labels", TensorProto.INT32, ["N", "T"])
_MASKS = ("mask_index", TensorProto.INT32, ["M"])


def _model(
    nodes: list[Any], inputs: Iterable[Any], outputs: Iterable[Any], constants: Iterable[Any] = ()
) -> onnx.ModelProto:
    ports = [[helper.make_tensor_value_info(*spec) for spec in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, "stand-in", ports[0], ports[1], list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)


def _encoder(size: int) -> onnx.ModelProto:
    shape = ["B", 3, size, size]
    node = helper.make_node("Identity", ["image"], ["image_embedding"])
    return _model([node], [("image", TensorProto.FLOAT, shape)], [("image_embedding", TensorProto.FLOAT, shape)])


def _decoder(size: int) -> onnx.ModelProto:
    """Every mask is one pixel of zero: it is there because a bundle has one."""
    nodes = [
        helper.make_node("Shape", ["point_coords"], ["prompts"], end=1),
        helper.make_node("Shape", ["mask_index"], ["masks"]),
        helper.make_node("Concat", ["prompts", "masks"], ["pair"], axis=0),
        helper.make_node("Concat", ["pair", "pixel"], ["four"], axis=0),
        helper.make_node("ConstantOfShape", ["four"], ["low_res_logits"]),
        helper.make_node("ConstantOfShape", ["pair"], ["iou_predictions"]),
    ]
    inputs = [("image_embedding", TensorProto.FLOAT, [1, 3, size, size]), *_POINTS, _MASKS]
    outputs = [
        ("low_res_logits", TensorProto.FLOAT, ["N", "M", 1, 1]),
        ("iou_predictions", TensorProto.FLOAT, ["N", "M"]),
    ]
    pixel = helper.make_tensor("pixel", TensorProto.INT64, [2], [1, 1])
    return _model(nodes, inputs, outputs, [pixel])


def _entry(model: onnx.ModelProto, path: Path) -> dict[str, Any]:
    onnx.save(model, path)
    kinds = {TensorProto.FLOAT: "f32", TensorProto.INT32: "i32"}

    def ports(values: Iterable[Any]) -> list[dict[str, Any]]:
        return [
            {
                "name": value.name,
                "dtype": kinds[value.type.tensor_type.elem_type],
                "shape": [d.dim_value or -1 for d in value.type.tensor_type.shape.dim],
            }
            for value in values
        ]

    return {**manifest.file_entry(path), "inputs": ports(model.graph.input), "outputs": ports(model.graph.output)}


def write_stand_in(content: dict[str, Any], folder: Path) -> None:
    """A bundle with the image rules of the manifest `content`, whose embedding is the encoder's input."""
    size = content["image"]["input_size"]
    models = {
        "encoder": _entry(_encoder(size), folder / "encoder.onnx"),
        "decoder": _entry(_decoder(size), folder / "decoder.onnx"),
    }
    prompt = {**content["prompt"], "mask_input": None, "from_box": "corners"}
    kept = {key: content[key] for key in ("schema_version", "family", "profile", "image")}
    empty: dict[str, Any] = {"provenance": {}, "parity": {}, "certificates": []}
    manifest.write(folder, {**kept, "prompt": prompt, "models": models, **empty})


def encoder_inputs(content: dict[str, Any], images: Iterable[NDArray[Any]]) -> Iterator[NDArray[np.float32]]:
    """For each image, what the encoder of the bundle with the manifest `content` would get: (1, 3, S, S) float32."""
    with tempfile.TemporaryDirectory(prefix="medsam-engine-") as folder:
        write_stand_in(content, Path(folder))
        engine = Engine(folder, cache_dir="none", cache_bytes=0)
        for image in images:
            yield np.array(engine.encode(image).array, np.float32)
