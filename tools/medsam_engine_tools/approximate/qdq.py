# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Work on an ONNX graph whose large layers are quantized: which they are, and undoing it for all but some.

A quantized layer reads its weights through a DequantizeLinear and its activations through a pair QuantizeLinear,
DequantizeLinear, perhaps with operators that only move values in between, and perhaps with a Mul before the pair that
SmoothQuant put there (its inverse is in the weights).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import onnx

LARGE_SHARE = 0.004
"""Of the work of all layers with constant weights; a smaller layer would not pay for its quantization."""

_MOVING = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)


@dataclass(frozen=True)
class Unit:
    """Layers that read the same quantized activations, such as q, k and v: they are quantized together or not."""

    layers: frozenset[str]
    activations: frozenset[str]  # outputs of the DequantizeLinear nodes they read
    error: float = math.nan  # of the encoder's output when this unit alone is quantized
    flops: int = 0


def _producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {name: node for node in model.graph.node for name in node.output}


def _constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    return {tensor.name: tensor for tensor in model.graph.initializer}


def layer_work(model: onnx.ModelProto) -> dict[str, int]:
    """FLOPs of each layer that int8 can serve, for one image: matrix products with constants, 1x1 convolutions.

    Only these: depthwise convolutions and products of activations lose more in int8 than they gain.
    """
    still = onnx.ModelProto()
    still.CopyFrom(model)
    for value in still.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    # The shapes written at export have the batch's name in them.
    del still.graph.value_info[:]
    still = onnx.shape_inference.infer_shapes(still, data_prop=True)
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in still.graph.value_info}
    shapes |= {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in still.graph.output}
    constants = {name: list(tensor.dims) for name, tensor in _constants(model).items()}
    work = {}
    for node in model.graph.node:
        if node.op_type not in ("MatMul", "Conv") or node.input[1] not in constants:
            continue
        weights, out = constants[node.input[1]], shapes.get(node.output[0], [])
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        if node.op_type == "Conv" and (groups != 1 or math.prod(weights[2:]) != 1):
            continue
        depth = weights[1] if node.op_type == "Conv" else weights[0]
        if out and math.prod(out) > 0:
            work[node.name] = 2 * math.prod(out) * depth
    return work


def large_layers(model: onnx.ModelProto) -> dict[str, int]:
    """Those of layer_work that are large, with their FLOPs."""
    work = layer_work(model)
    least = LARGE_SHARE * sum(work.values())
    return {name: flops for name, flops in work.items() if flops >= least}


def _sources(node: onnx.NodeProto, producers: Mapping[str, onnx.NodeProto]) -> set[str]:
    """The DequantizeLinear outputs that a layer's activations come from."""
    todo, found = [node.input[0]], set()
    while todo:
        producer = producers.get(todo.pop())
        if producer is None:
            continue
        if producer.op_type == "DequantizeLinear":
            found.add(producer.output[0])
        elif producer.op_type in _MOVING:
            todo += list(producer.input) if producer.op_type == "Concat" else [producer.input[0]]
    return found


def quantized_units(model: onnx.ModelProto, work: Mapping[str, int]) -> list[Unit]:
    """The units of a quantized graph, whose layers have the names in `work`."""
    producers = _producers(model)
    units: list[Unit] = []
    for node in model.graph.node:
        weights = producers.get(node.input[1]) if len(node.input) > 1 else None
        if node.name not in work or weights is None or weights.op_type != "DequantizeLinear":
            continue
        layers, sources = {node.name}, _sources(node, producers)
        for unit in [u for u in units if u.activations & sources]:
            layers |= unit.layers
            sources |= unit.activations
            units.remove(unit)
        flops = sum(work[layer] for layer in layers)
        units.append(Unit(frozenset(layers), frozenset(sources), flops=flops))
    return units


def only(quantized: onnx.ModelProto, exact: onnx.ModelProto, units: Iterable[Unit]) -> onnx.ModelProto:
    """A copy of `quantized` in which these units alone are, and everything else computes as in `exact`.

    That takes back what NNCF did beyond what it was asked: it smooths layers that it then does not quantize, and
    quantizes the weights of a small layer that shares them with a large one.
    """
    model = onnx.ModelProto()
    model.CopyFrom(quantized)
    units = list(units)
    layers = {name for unit in units for name in unit.layers}
    activations = {name for unit in units for name in unit.activations}
    producers, known = _producers(model), {node.name: node for node in exact.graph.node}
    weights = _constants(exact)

    def unsmoothed(name: str) -> str:
        scale = producers.get(name)
        if scale is None or scale.op_type != "Mul" or scale.name in known:
            return name
        return str(scale.input[0])

    restored = set()
    for node in model.graph.node:
        original = known.get(node.name)
        if node.op_type not in ("MatMul", "Conv") or node.name in layers or original is None:
            continue
        if original.input[1] in weights:
            node.input[0], node.input[1] = unsmoothed(node.input[0]), original.input[1]
            restored.add(str(original.input[1]))
    renamed = {}
    for node in model.graph.node:
        pair = producers.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if pair is not None and pair.op_type == "QuantizeLinear" and node.output[0] not in activations:
            renamed[str(node.output[0])] = unsmoothed(pair.input[0])
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)
    there = _constants(model)
    for name in sorted(restored):
        (there[name] if name in there else model.graph.initializer.add()).CopyFrom(weights[name])
    return _without_dead_nodes(model)


def _without_dead_nodes(model: onnx.ModelProto) -> onnx.ModelProto:
    makers = {name: i for i, node in enumerate(model.graph.node) for name in node.output}
    todo = [output.name for output in model.graph.output]
    alive: set[int] = set()
    used: set[str] = set()
    while todo:
        name = todo.pop()
        used.add(name)
        if name in makers and makers[name] not in alive:
            alive.add(makers[name])
            todo += [i for i in model.graph.node[makers[name]].input if i]
    lean = onnx.ModelProto()
    lean.CopyFrom(model)
    del lean.graph.node[:]
    lean.graph.node.extend([node for i, node in enumerate(model.graph.node) if i in alive])
    del lean.graph.initializer[:]
    lean.graph.initializer.extend([tensor for tensor in model.graph.initializer if tensor.name in used])
    return lean


def choose(units: Collection[Unit], budget: float) -> list[Unit]:
    """The units to quantize: most work for an error of at most `budget` together.

    Errors of layers are taken for independent, so that their squares add up (measured on LiteMedSAM: 50 units gave
    0.185 where the sum says 0.183).
    """
    chosen, squares = [], 0.0
    for unit in sorted(units, key=lambda u: u.error**2 / u.flops):
        if squares + unit.error**2 <= budget**2:
            squares += unit.error**2
            chosen.append(unit)
    return chosen
