# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Rewrites a graph to f16 for runtimes that take precision from the graph's types (TensorRT), and emulates it in f32.

Matrix products, convolutions and what is elementwise around them become f16, weights included. What has lost masks in
f16 elsewhere stays f32: LayerNorm and every other reduction, softmax, the coordinates on their way to the positional
encoding, and linear attention, whose sums over all positions overflow (mit-han-lab/efficientvit issues 113, 116, 142).
Inputs and outputs stay as they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from medsam_engine_tools.errors import ExportError

LARGEST = 65504.0  # of f16
SPLITTER = 8193.0  # 2^13 + 1: leaves 11 of f32's 24 bits (Veltkamp's splitting; Dekker 1971, Numer. Math. 18)

COMPUTES = {"Add", "Conv", "ConvTranspose", "Gelu", "Gemm", "HardSwish", "LeakyRelu", "MatMul", "Mul", "Relu"}
MOVES = {
    "Concat",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Pad",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
LARGEST_OUTPUT = "half/largest_seen"
ALL_DATA = {"Add", "Concat", "Conv", "ConvTranspose", "Gemm", "MatMul", "Mul"}  # every input is data; else the first


@dataclass
class _Graph:
    """What the rewrite looks up: who makes a tensor, which tensors are f32 now, and constants."""

    model: onnx.ModelProto
    makers: dict[str, onnx.NodeProto] = field(default_factory=dict)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.model.graph
        if any(a.HasField("g") or a.graphs for node in graph.node for a in node.attribute) or self.model.functions:
            raise ExportError("f16: got a graph with subgraphs or functions, expected a flat one; export it again")
        self.makers = {name: node for node in graph.node for name in node.output}
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
        for value in (*graph.input, *graph.value_info, *graph.output):
            self.kinds[value.name] = value.type.tensor_type.elem_type

    def is_float(self, node: onnx.NodeProto) -> bool:
        """Whether the node's first output is f32."""
        kind = self.kinds.get(node.output[0])
        if kind is None:
            raise ExportError(f"f16: the type of '{node.output[0]}' is not known; export the bundle again")
        return bool(kind == TensorProto.FLOAT)


def _ancestors(graph: _Graph, names: Iterator[str], through: set[str] | None = None) -> Iterator[onnx.NodeProto]:
    """Every node that leads to these tensors, only by way of the operators `through` where given."""
    stack, seen = list(names), set()
    while stack:
        node = graph.makers.get(stack.pop())
        if node is None or id(node) in seen or (through is not None and node.op_type not in through):
            continue
        seen.add(id(node))
        yield node
        stack += node.input


def _normalizing_product(graph: _Graph, division: onnx.NodeProto) -> onnx.NodeProto | None:
    """The matrix product of which both sides of a division are parts: linear attention's."""
    sides = [
        {id(n): n for n in _ancestors(graph, iter([name]), MOVES | {"Add", "MatMul"}) if n.op_type == "MatMul"}
        for name in division.input
    ]
    # The nearest: its own inputs may hold another product, which the walk has met later.
    return next((node for key, node in sides[0].items() if key in sides[1]), None)


def protected(graph: _Graph) -> set[int]:
    """The nodes (by id) that stay f32 whatever they are."""
    kept: set[int] = set()
    for node in graph.model.graph.node:
        if node.op_type in {"Sin", "Cos"}:
            kept.update(id(n) for n in _ancestors(graph, iter(node.input)))
        if node.op_type != "Div" or node.input[1] in graph.constants:
            continue
        product = _normalizing_product(graph, node)
        if product is not None:
            kept.add(id(product))
            kept.update(id(n) for n in _ancestors(graph, iter(node.input), MOVES | {"Add"}))
            kept.update(id(n) for n in _ancestors(graph, iter(product.input), MOVES | {"MatMul", "Relu"}))
    return kept


class _Rewrite:
    """One pass over the nodes in order, with casts where the type changes; each tensor is cast once."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = _Graph(model)
        self.kept = protected(self.graph)
        self.half: set[str] = set()  # tensors that are f16 now
        self.cast: dict[tuple[str, int], str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, onnx.TensorProto] = {}

    def _weight(self, name: str) -> str | None:
        """An f16 copy of a constant; None where it does not fit."""
        values = numpy_helper.to_array(self.graph.constants[name])
        if np.abs(values).max(initial=0.0) > LARGEST:
            return None
        copy = f"{name}/f16"
        self.weights[copy] = numpy_helper.from_array(values.astype(np.float16), copy)
        return copy

    def _as(self, name: str, half: bool) -> str:
        """The tensor in the type asked for."""
        if not name or (name in self.half) == half or self.graph.kinds.get(name) != TensorProto.FLOAT:
            return name
        kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        known = self.cast.get((name, kind))
        if known is None and half and name in self.graph.constants:
            known = self._weight(name)
        if known is None:
            known = f"{name}/{'f16' if half else 'f32'}"
            self.nodes.append(helper.make_node("Cast", [name], [known], name=f"{known}/cast", to=kind))
        self.cast[name, kind] = known
        return known

    def _wants_half(self, node: onnx.NodeProto) -> bool:
        if id(node) in self.kept or not self.graph.is_float(node):
            return False
        if node.op_type in COMPUTES:
            return True
        data = node.input if node.op_type in ALL_DATA else node.input[:1]
        return node.op_type in MOVES and any(name in self.half for name in data)

    def run(self) -> onnx.ModelProto:
        """The rewritten model."""
        for node in self.graph.model.graph.node:
            half = self._wants_half(node)
            made = onnx.NodeProto()
            made.CopyFrom(node)
            data = len(node.input) if not half or node.op_type in ALL_DATA or node.op_type == "Pad" else 1
            for i, name in enumerate(node.input[:data]):
                made.input[i] = self._as(name, half)
            self.nodes.append(made)
            if half:
                self.half.update(node.output)
        return self._assembled()

    def _assembled(self) -> onnx.ModelProto:
        made = onnx.ModelProto()
        made.CopyFrom(self.graph.model)
        graph = made.graph
        outputs = {value.name for value in graph.output if value.name in self.half}
        for node in self.nodes:  # an output that is f16 gets another name, and a cast its own
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    names[i] = f"{name}/f16" if name in outputs else name
        self.nodes += [
            helper.make_node("Cast", [f"{name}/f16"], [name], name=f"{name}/cast", to=TensorProto.FLOAT)
            for name in sorted(outputs)
        ]
        used = {name for node in self.nodes for name in node.input}
        constants = {**self.graph.constants, **self.weights}
        for field_, values in (
            ("node", self.nodes),
            ("initializer", [tensor for name, tensor in constants.items() if name in used]),
            ("value_info", []),
        ):
            graph.ClearField(field_)
            getattr(graph, field_).extend(values)
        return made


def to_f16(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` in f16, its inputs and outputs as they were. ExportError."""
    return _Rewrite(model).run()


def half_tensors(model: onnx.ModelProto) -> list[str]:
    """The tensors that a rewritten model computes in f16, casts to f16 included; moved ones are their sources'."""
    half: set[str] = {t.name for t in model.graph.initializer if t.data_type == TensorProto.FLOAT16}
    computed = []
    for node in model.graph.node:
        if node.op_type == "Cast":
            if next(a.i for a in node.attribute if a.name == "to") == TensorProto.FLOAT16:
                half.update(node.output)
                computed += node.output
        elif (node.op_type in COMPUTES or node.op_type in MOVES) and any(name in half for name in node.input):
            half.update(node.output)
            if node.op_type in COMPUTES:
                computed += node.output
    return computed


def emulated(model: onnx.ModelProto, *, largest: bool = False) -> onnx.ModelProto:
    """An f32 model that rounds where `model` computes in f16, for runtimes without f16 arithmetic.

    Products are summed in f32, as tensor cores do; numbers below f16's normal range are not flushed. A value beyond
    65504 becomes NaN. With `largest` it stays as it is, since NaN would hide it from a maximum, and there is one output
    more: the largest magnitude of all f16 tensors.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    computed = set(half_tensors(model))
    graph = made.graph
    constants = {"half/splitter": SPLITTER}
    if not largest:
        constants |= {"half/largest": LARGEST, "half/nan": float("nan")}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        rounds = node.output[0] in computed
        if node.op_type == "Cast" and node.attribute[0].i in {TensorProto.FLOAT16, TensorProto.FLOAT}:
            copy = helper.make_node("Identity", list(node.input), list(node.output), name=node.name)
        nodes.append(copy)
        if rounds:
            exact = f"{node.output[0]}/exact"
            copy.output[0] = exact
            nodes += _rounding(exact, node.output[0], overflow=not largest)
    graph.ClearField("node")
    graph.node.extend(nodes)
    weights = [
        numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float32), t.name)
        if t.data_type == TensorProto.FLOAT16
        else t
        for t in model.graph.initializer
    ]
    weights += [numpy_helper.from_array(np.array(v, np.float32), name) for name, v in constants.items()]
    graph.ClearField("initializer")
    graph.initializer.extend(weights)
    if largest:
        parts = []
        for name in sorted(computed):
            graph.node.append(helper.make_node("Abs", [f"{name}/exact"], [f"{name}/abs"]))
            graph.node.append(helper.make_node("ReduceMax", [f"{name}/abs"], [f"{name}/most"], keepdims=0))
            parts.append(f"{name}/most")
        graph.node.append(helper.make_node("Max", parts, [LARGEST_OUTPUT]))
        graph.output.append(helper.make_tensor_value_info(LARGEST_OUTPUT, TensorProto.FLOAT, []))
    return made


def _rounding(exact: str, rounded: str, overflow: bool) -> list[onnx.NodeProto]:
    """To f16's 11 bits, in f32 arithmetic; with `overflow` NaN beyond f16's range."""
    t = [f"{rounded}/round{i}" for i in range(5)]
    nodes = [
        helper.make_node("Mul", [exact, "half/splitter"], [t[0]]),
        helper.make_node("Sub", [t[0], exact], [t[1]]),
        helper.make_node("Sub", [t[0], t[1]], [t[2] if overflow else rounded]),
    ]
    if overflow:
        nodes += [
            helper.make_node("Abs", [t[2]], [t[3]]),
            helper.make_node("Greater", [t[3], "half/largest"], [t[4]]),
            helper.make_node("Where", [t[4], "half/nan", t[2]], [rounded]),
        ]
    return nodes
