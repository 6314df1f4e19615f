# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Writes tests/data/tiny_bundle: a bundle of a few kB whose answers can be worked out by hand.

encoder: embedding[c, i, j] = mean of the 4 x 4 input block of channel min(c, 2), plus c.
decoder: a mask is +1 inside the rectangle of the box corners (labels 2 and 3; the far ends plus 1 pixel) and within 4
pixels of any point of label 1, -1 elsewhere, plus mask token / 100; iou = 0.5 + mask token / 10 + embedding[0, 0, 0].
decoder_mask: the same logits plus mask_input.

tests/cpp/support/fake_backend.cpp computes the same without a runtime. Run this again only to change the bundle:
    python tests/data/make_tiny_bundle.py
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

INPUT, CHANNELS, SIDE, MASK = 32, 4, 8, 16


def constant(name: str, value: np.ndarray) -> onnx.TensorProto:
    return nh.from_array(value, name)


def encoder() -> onnx.ModelProto:
    weight = np.zeros((CHANNELS, 3, 4, 4), np.float32)
    for c in range(CHANNELS):
        weight[c, min(c, 2)] = 1 / 16
    node = h.make_node("Conv", ["image", "w", "b"], ["image_embedding"], kernel_shape=[4, 4], strides=[4, 4])
    return model(
        [node],
        [constant("w", weight), constant("b", np.arange(CHANNELS, dtype=np.float32))],
        [h.make_tensor_value_info("image", T.FLOAT, ["B", 3, INPUT, INPUT])],
        [h.make_tensor_value_info("image_embedding", T.FLOAT, ["B", CHANNELS, SIDE, SIDE])],
    )


def decoder(mask: bool) -> onnx.ModelProto:
    centre = (np.arange(MASK, dtype=np.float32) + 0.5) * (INPUT / MASK)
    gx = np.broadcast_to(centre, (MASK, MASK)).reshape(1, 1, -1)
    gy = np.broadcast_to(centre[:, None], (MASK, MASK)).reshape(1, 1, -1)
    n = h.make_node
    nodes = [
        n("Split", ["point_coords", "ones"], ["x", "y"], axis=2),  # (N, T, 1) each
        n("Unsqueeze", ["point_labels", "two"], ["labels"]),
        *(n("Equal", ["labels", f"label{k}"], [f"is{k}"]) for k in (1, 2, 3)),
        # Points: any token of label 1 within 4 pixels.
        n("Sub", ["gx", "x"], ["dx"]),
        n("Sub", ["gy", "y"], ["dy"]),
        n("Mul", ["dx", "dx"], ["dx2"]),
        n("Mul", ["dy", "dy"], ["dy2"]),
        n("Add", ["dx2", "dy2"], ["d2"]),
        n("LessOrEqual", ["d2", "radius2"], ["near"]),
        n("And", ["near", "is1"], ["hit"]),
        n("Cast", ["hit"], ["hit_f"], to=T.FLOAT),
        n("ReduceMax", ["hit_f"], ["point_f"], axes=[1], keepdims=1),
        # The box: corners picked by label; without a corner of label 2 the rectangle is empty.
        *(n("Cast", [f"is{k}"], [f"f{k}"], to=T.FLOAT) for k in (2, 3)),
        n("ReduceMax", ["f2"], ["has_box"], axes=[1], keepdims=1),
        *(
            node
            for k in (2, 3)
            for a in "xy"
            for node in (
                n("Mul", [a, f"f{k}"], [f"{a}{k}_t"]),
                n("ReduceSum", [f"{a}{k}_t", "one"], [f"{a}{k}"], keepdims=1),
            )
        ),
        n("Add", ["x3", "fone"], ["x3p"]),
        n("Add", ["y3", "fone"], ["y3p"]),
        n("GreaterOrEqual", ["gx", "x2"], ["c0"]),
        n("GreaterOrEqual", ["gy", "y2"], ["c1"]),
        n("LessOrEqual", ["gx", "x3p"], ["c2"]),
        n("LessOrEqual", ["gy", "y3p"], ["c3"]),
        n("And", ["c0", "c1"], ["c01"]),
        n("And", ["c2", "c3"], ["c23"]),
        n("And", ["c01", "c23"], ["c"]),
        n("Cast", ["c"], ["c_f"], to=T.FLOAT),
        n("Mul", ["c_f", "has_box"], ["box_f"]),
        n("Max", ["box_f", "point_f"], ["inside"]),
        n("Mul", ["inside", "ftwo"], ["inside2"]),
        n("Sub", ["inside2", "fone"], ["base"]),  # (N, 1, P)
        n("Cast", ["mask_index"], ["token"], to=T.FLOAT),
        n("Reshape", ["token", "row"], ["token_row"]),  # (1, M, 1)
        n("Div", ["token_row", "hundred"], ["offset"]),
        n("Add", ["base", "offset"], ["flat"]),  # (N, M, P)
        n("Reshape", ["flat", "image_shape"], ["logits" if mask else "low_res_logits"]),
        # iou
        n("Slice", ["image_embedding", "zero4", "one4"], ["first"]),
        n("Reshape", ["first", "scalar"], ["first_s"]),
        n("Div", ["token", "ten"], ["tenth"]),
        n("Add", ["tenth", "half"], ["tenth_half"]),
        n("Add", ["tenth_half", "first_s"], ["iou_row"]),  # (M)
        n("Reshape", ["has_box", "column"], ["has_column"]),  # (N, 1)
        n("Mul", ["has_column", "fzero"], ["zeros"]),
        n("Add", ["zeros", "iou_row"], ["iou_predictions"]),
    ]
    i64, f32 = np.int64, np.float32
    constants = [
        constant("ones", np.array([1, 1], i64)),
        constant("two", np.array([2], i64)),
        constant("one", np.array([1], i64)),
        *(constant(f"label{k}", np.array(k, np.int32)) for k in (1, 2, 3)),
        constant("gx", np.ascontiguousarray(gx)),
        constant("gy", np.ascontiguousarray(gy)),
        constant("radius2", np.array(16, f32)),
        constant("fzero", np.array(0, f32)),
        constant("fone", np.array(1, f32)),
        constant("ftwo", np.array(2, f32)),
        constant("half", np.array(0.5, f32)),
        constant("ten", np.array(10, f32)),
        constant("hundred", np.array(100, f32)),
        constant("row", np.array([1, -1, 1], i64)),
        constant("column", np.array([-1, 1], i64)),
        constant("scalar", np.array([1], i64)),
        constant("image_shape", np.array([0, 0, MASK, MASK], i64)),
        constant("zero4", np.zeros(4, i64)),
        constant("one4", np.ones(4, i64)),
    ]
    inputs = [
        h.make_tensor_value_info("image_embedding", T.FLOAT, [1, CHANNELS, SIDE, SIDE]),
        h.make_tensor_value_info("point_coords", T.FLOAT, ["N", "T", 2]),
        h.make_tensor_value_info("point_labels", T.INT32, ["N", "T"]),
        h.make_tensor_value_info("mask_index", T.INT32, ["M"]),
    ]
    if mask:
        nodes.append(n("Add", ["logits", "mask_input"], ["low_res_logits"]))
        inputs.append(h.make_tensor_value_info("mask_input", T.FLOAT, ["N", 1, MASK, MASK]))
    outputs = [
        h.make_tensor_value_info("low_res_logits", T.FLOAT, ["N", "M", MASK, MASK]),
        h.make_tensor_value_info("iou_predictions", T.FLOAT, ["N", "M"]),
    ]
    return model(nodes, constants, inputs, outputs)


def model(nodes: list[Any], constants: list[Any], inputs: list[Any], outputs: list[Any]) -> onnx.ModelProto:
    graph = h.make_graph(nodes, "tiny", inputs, outputs, constants)
    made = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def tensors(values: list[Any]) -> list[dict[str, Any]]:
    dtype = {T.FLOAT: "f32", T.INT32: "i32"}
    return [
        {
            "name": v.name,
            "dtype": dtype[v.type.tensor_type.elem_type],
            "shape": [d.dim_value or -1 for d in v.type.tensor_type.shape.dim],
        }
        for v in values
    ]


def model_entry(folder: Path, name: str, made: onnx.ModelProto) -> dict[str, Any]:
    """Writes a graph and says what the manifest says about it."""
    data = made.SerializeToString(deterministic=True)
    (folder / f"{name}.onnx").write_bytes(data)
    return {
        "file": f"{name}.onnx",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "inputs": tensors(made.graph.input),
        "outputs": tensors(made.graph.output),
    }


def manifest_of(folder: Path, models: dict[str, Any], **fields: Any) -> None:
    """Writes a manifest of the tiny family with these models and fields."""
    manifest = {
        "schema_version": 1,
        "family": "tiny",
        "profile": {
            "name": "tiny",
            "image": {
                "fit": "longest_side",
                "interpolation": "area",
                "normalize": {"kind": "min_max", "min_range": 1e-8},
            },
            "prompt": {"box_rounding": "none"},
            "mask": {"upsample": "logits", "labels": "count", "overlap": "later"},
            "volume": {
                "z_range": "closed",
                "next_box": "mask",
                "box_shift": 0,
                "within_user_box": False,
                "down_fallback_rounding": "none",
                "choice": "propagated",
            },
        },
        "image": {"input_size": INPUT},
        **fields,
        "models": models,
        "provenance": {"exporter": "tests/data/make_tiny_bundle.py"},
        "parity": {},
        "certificates": [],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def main() -> None:
    folder = Path(__file__).parent / "tiny_bundle"
    folder.mkdir(exist_ok=True)
    graphs = {"encoder": encoder(), "decoder": decoder(False), "decoder_mask": decoder(True)}
    manifest_of(
        folder,
        {role: model_entry(folder, role, made) for role, made in graphs.items()},
        prompt={
            "frame": INPUT,
            "point_shift": 0.5,
            "accepts": ["box", "points"],
            "mask_input": "logits",
            "from_box": "corners",
        },
        # All that the graphs take: which prompts are refused is the matter of tests that change this.
        trained_prompts=[
            ["box"],
            ["points"],
            ["box", "points"],
            ["box", "mask"],
            ["points", "mask"],
            ["box", "points", "mask"],
            ["mask"],
        ],
    )


if __name__ == "__main__":
    main()
