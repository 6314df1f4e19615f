# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Writes tests/data/tiny_routed: two experts, a modality index, crops, and an encoder output beside the embedding.

encoder a, b: image_embedding as the tiny bundle's; brightness = mean of the input (expert b: twice that).
crop_encoder: crop_features = twice the mean of the crop (6 x 6).
decoder (one file for both experts, its inputs in an order of its own): every logit is
modality + 10 crop_features + 100 mean of the crop (4 x 4) + 1000 brightness, and so is iou.

Run this again only to change the bundle:
    python tests/data/make_tiny_routed.py
"""

from pathlib import Path

import numpy as np
import onnx
from make_tiny_bundle import CHANNELS, INPUT, MASK, SIDE, constant, encoder, manifest_of, model, model_entry
from onnx import TensorProto as T
from onnx import helper as h

n, value = h.make_node, h.make_tensor_value_info


def routed_encoder(scale: float) -> onnx.ModelProto:
    base = encoder().graph
    nodes = [
        *base.node,
        n("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),
        n("Mul", ["mean", "scale"], ["scaled"]),
        n("Unsqueeze", ["scaled", "one"], ["brightness"]),
    ]
    constants = [
        *base.initializer,
        constant("scale", np.array(scale, np.float32)),
        constant("one", np.array([1], np.int64)),
    ]
    outputs = [*base.output, value("brightness", T.FLOAT, ["B", 1])]
    return model(nodes, constants, list(base.input), outputs)


def crop_encoder() -> onnx.ModelProto:
    nodes = [
        n("ReduceMean", ["crop"], ["mean"], axes=[1, 2, 3], keepdims=0),
        n("Unsqueeze", ["mean", "one"], ["column"]),
        n("Mul", ["column", "two"], ["crop_features"]),
    ]
    constants = [constant("one", np.array([1], np.int64)), constant("two", np.array(2, np.float32))]
    crop = [value("crop", T.FLOAT, ["N", 3, 6, 6])]
    return model(nodes, constants, crop, [value("crop_features", T.FLOAT, ["N", 1])])


def routed_decoder() -> onnx.ModelProto:
    nodes = [
        n("Cast", ["modality"], ["modality_f"], to=T.FLOAT),
        n("ReduceMean", ["crop"], ["crop_mean"], axes=[1, 2, 3], keepdims=0),
        n("Unsqueeze", ["crop_mean", "one"], ["crop_column"]),
        n("Mul", ["crop_column", "hundred"], ["crop_term"]),
        n("Mul", ["crop_features", "ten"], ["feature_term"]),
        n("Mul", ["brightness", "thousand"], ["bright_term"]),
        n("Add", ["modality_f", "crop_term"], ["sum0"]),
        n("Add", ["sum0", "feature_term"], ["sum1"]),
        n("Add", ["sum1", "bright_term"], ["column"]),  # (N, 1)
        # So that every input takes part: nothing is added for the embedding, the tokens and the masks.
        n("ReduceMean", ["point_coords"], ["coords_mean"], axes=[1, 2], keepdims=0),
        n("Unsqueeze", ["coords_mean", "one"], ["coords_column"]),
        n("Cast", ["point_labels"], ["labels_f"], to=T.FLOAT),
        n("ReduceMean", ["labels_f"], ["labels_column"], axes=[1], keepdims=1),
        n("ReduceMean", ["image_embedding"], ["embedding_mean"], axes=[1, 2, 3], keepdims=0),
        n("Add", ["coords_column", "labels_column"], ["unused0"]),
        n("Add", ["unused0", "embedding_mean"], ["unused1"]),
        n("Mul", ["unused1", "zero"], ["nothing"]),
        n("Add", ["column", "nothing"], ["whole"]),
        n("Cast", ["mask_index"], ["mask_f"], to=T.FLOAT),
        n("Mul", ["mask_f", "zero"], ["mask_zero"]),  # (M)
        n("Add", ["whole", "mask_zero"], ["iou_predictions"]),  # (N, M)
        n("Unsqueeze", ["iou_predictions", "last_two"], ["square"]),
        n("Add", ["square", "plane"], ["low_res_logits"]),
    ]
    constants = [
        constant("one", np.array([1], np.int64)),
        constant("last_two", np.array([2, 3], np.int64)),
        constant("zero", np.array(0, np.float32)),
        constant("ten", np.array(10, np.float32)),
        constant("hundred", np.array(100, np.float32)),
        constant("thousand", np.array(1000, np.float32)),
        constant("plane", np.zeros((MASK, MASK), np.float32)),
    ]
    inputs = [
        value("modality", T.INT32, [1]),
        value("crop", T.FLOAT, ["N", 3, 4, 4]),
        value("point_labels", T.INT32, ["N", "T"]),
        value("brightness", T.FLOAT, [1, 1]),
        value("point_coords", T.FLOAT, ["N", "T", 2]),
        value("crop_features", T.FLOAT, ["N", 1]),
        value("image_embedding", T.FLOAT, [1, CHANNELS, SIDE, SIDE]),
        value("mask_index", T.INT32, ["M"]),
    ]
    outputs = [
        value("low_res_logits", T.FLOAT, ["N", "M", MASK, MASK]),
        value("iou_predictions", T.FLOAT, ["N", "M"]),
    ]
    return model(nodes, constants, inputs, outputs)


def main() -> None:
    folder = Path(__file__).parent / "tiny_routed"
    folder.mkdir(exist_ok=True)
    graphs = {
        "a.encoder": routed_encoder(1),
        "b.encoder": routed_encoder(2),
        "crop_encoder": crop_encoder(),
        "decoder": routed_decoder(),
    }
    models = {name: model_entry(folder, name, graph) for name, graph in graphs.items()}
    manifest_of(
        folder,
        models,
        prompt={"frame": INPUT, "point_shift": 0.5, "accepts": ["box"], "mask_input": None, "from_box": "corners"},
        trained_prompts=[["box"]],
        modality={
            "index": {"CT": 3, "MR": 7, "US": 1},
            "experts": {"CT": "a", "MR": "b"},
            "fallback": "a",
        },
        experts={
            name: {"encoder": f"{name}.encoder", "decoder": "decoder", "crop_encoder": "crop_encoder"} for name in "ab"
        },
    )


if __name__ == "__main__":
    main()
