# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""`medsam-engine quantize`: the graph work on hand-made graphs, the whole on a small encoder where there is NNCF."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("onnx", reason="the export tools need onnx: make setup")
pytest.importorskip("torch", reason="the export tools need torch: make setup")

import onnx
from onnx import TensorProto, helper, numpy_helper

from medsam_engine import Engine
from medsam_engine_tools.approximate import certify, preprocessed, qdq, quantize
from medsam_engine_tools.approximate.qdq import Unit
from medsam_engine_tools.approximate.run_apart import run_apart
from medsam_engine_tools.bundle import manifest
from medsam_engine_tools.errors import ExportError

TINY = Path(__file__).resolve().parents[3] / "data" / "tiny_bundle"
RNG = np.random.default_rng(3)
Q, V, P, OUT = (RNG.standard_normal(shape).astype(np.float32) for shape in ((8, 8), (8, 8), (8, 8), (8, 4)))
SMOOTH = np.linspace(0.5, 2, 8, dtype=np.float32)


def _graph(nodes: list[Any], constants: dict[str, NDArray[Any]]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 6, 8])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["B", 6, 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def _exact() -> onnx.ModelProto:
    nodes = [
        helper.make_node("MatMul", ["image", "wq"], ["q"], name="q"),
        helper.make_node("MatMul", ["image", "wv"], ["v"], name="v"),
        helper.make_node("MatMul", ["image", "wp"], ["p"], name="p"),
        helper.make_node("MatMul", ["image", "wv"], ["r"], name="r"),
        helper.make_node("Sum", ["q", "v", "p", "r"], ["sum"], name="sum"),
        helper.make_node("MatMul", ["sum", "wo"], ["out"], name="o"),
    ]
    return _graph(nodes, {"wq": Q, "wv": V, "wp": P, "wo": OUT})


def _int8(name: str, weights: NDArray[np.float32]) -> tuple[Any, dict[str, NDArray[Any]]]:
    scale = np.float32(np.abs(weights).max() / 127)
    node = helper.make_node("DequantizeLinear", [f"{name}_int8", f"{name}_scale"], [f"{name}_dq"])
    return node, {f"{name}_int8": np.round(weights / scale).astype(np.int8), f"{name}_scale": np.array(scale)}


def _pair(source: str, name: str) -> list[Any]:
    return [
        helper.make_node("QuantizeLinear", [source, f"{name}_step", "zero"], [f"{name}_q"]),
        helper.make_node("DequantizeLinear", [f"{name}_q", f"{name}_step", "zero"], [f"{name}_dq"]),
    ]


def _quantized() -> onnx.ModelProto:
    """Layers q and v read one pair through a Reshape, after a Mul of SmoothQuant; o has a pair of its own.

    p is smoothed and not quantized, r has v's weights and is small, as NNCF leaves such layers.
    """
    wq, cq = _int8("wq", Q / SMOOTH[:, np.newaxis])
    wv, cv = _int8("wv", V / SMOOTH[:, np.newaxis])
    wo, co = _int8("wo", OUT)
    nodes = [
        helper.make_node("Mul", ["image", "smooth"], ["scaled"], name="smooth"),
        *_pair("scaled", "x"),
        helper.make_node("Reshape", ["x_dq", "same"], ["moved"], name="move"),
        *(wq, wv, wo),
        helper.make_node("MatMul", ["moved", "wq_dq"], ["q"], name="q"),
        helper.make_node("MatMul", ["moved", "wv_dq"], ["v"], name="v"),
        helper.make_node("Mul", ["image", "smooth"], ["scaled_p"], name="smooth_p"),
        helper.make_node("MatMul", ["scaled_p", "wp"], ["p"], name="p"),
        helper.make_node("MatMul", ["scaled_p", "wv_dq"], ["r"], name="r"),
        helper.make_node("Sum", ["q", "v", "p", "r"], ["sum"], name="sum"),
        *_pair("sum", "s"),
        helper.make_node("MatMul", ["s_dq", "wo_dq"], ["out"], name="o"),
    ]
    grid: dict[str, NDArray[Any]] = {
        "x_step": np.array(0.064, np.float32),
        "s_step": np.array(0.2, np.float32),
        "zero": np.array(0, np.int8),
        "same": np.array([0, 6, 8], np.int64),
    }
    return _graph(nodes, {**cq, **cv, **co, **grid, "smooth": SMOOTH, "wp": P / SMOOTH[:, np.newaxis]})


def _run(model: onnx.ModelProto, folder: Path) -> NDArray[np.float32]:
    path = folder / "model.onnx"
    onnx.save(model, path)
    inputs = np.random.default_rng(5).standard_normal((3, 6, 8)).astype(np.float32)
    output, why = run_apart(path, inputs)
    assert output is not None, why
    return output


def test_work_is_counted_for_products_with_constants_only() -> None:
    assert qdq.layer_work(_exact()) == {**dict.fromkeys("qvpr", 2 * 6 * 8 * 8), "o": 2 * 6 * 8 * 4}
    assert qdq.large_layers(_exact()) == qdq.layer_work(_exact())
    encoder = onnx.load(TINY / "encoder.onnx")  # one 4 x 4 convolution
    assert qdq.layer_work(encoder) == {}


def _large() -> dict[str, int]:
    return {name: work for name, work in qdq.layer_work(_exact()).items() if name != "r"}


def test_layers_of_one_pair_are_one_unit() -> None:
    units = qdq.quantized_units(_quantized(), _large())
    assert sorted(sorted(unit.layers) for unit in units) == [["o"], ["q", "v"]]
    assert {unit.flops for unit in units} == {2 * 6 * 8 * 8 * 2, 2 * 6 * 8 * 4}


def test_what_is_not_chosen_leaves_no_trace(tmp_path: Path) -> None:
    exact, quantized = _exact(), _quantized()
    units = qdq.quantized_units(quantized, _large())
    reference = _run(exact, tmp_path)
    restored = qdq.only(quantized, exact, [])
    assert np.array_equal(_run(restored, tmp_path), reference)
    assert {node.op_type for node in restored.graph.node} == {"MatMul", "Sum", "Reshape"}
    assert {tensor.name for tensor in restored.graph.initializer} == {"wq", "wv", "wp", "wo", "same"}
    for unit in units:
        one = qdq.only(quantized, exact, [unit])
        assert sum(node.op_type == "QuantizeLinear" for node in one.graph.node) == 1
        assert sum(node.op_type == "DequantizeLinear" for node in one.graph.node) == 1 + len(unit.layers)
        error = quantize.relative_error(_run(one, tmp_path), reference)
        assert 0 < error < 0.05
    both = qdq.only(quantized, exact, units)
    assert sum(node.op_type == "Mul" for node in both.graph.node) == 1
    assert 0 < quantize.relative_error(_run(both, tmp_path), reference) < 0.05


def test_the_budget_goes_to_the_layers_that_lose_least_for_their_work() -> None:
    def unit(name: str, error: float, flops: int) -> Unit:
        return Unit(frozenset({name}), frozenset(), error, flops)

    units = [unit("bad", 0.5, 100), unit("good", 0.03, 100), unit("small", 0.03, 1), unit("fair", 0.04, 100)]
    assert [next(iter(u.layers)) for u in qdq.choose(units, 0.05)] == ["good", "fair"]  # 0.03^2 + 0.04^2 = 0.05^2
    assert [next(iter(u.layers)) for u in qdq.choose(units, 0.045)] == ["good", "small"]
    assert qdq.choose(units, 0.01) == []


def test_a_crash_ends_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no model")
    output, why = run_apart(path, np.zeros((1, 6, 8), np.float32))
    assert output is None
    assert why
    crash = tmp_path / "python"
    crash.write_text("#!/bin/sh\nkill -FPE $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crash))
    output, why = run_apart(path, np.zeros((1, 6, 8), np.float32))
    assert output is None
    assert "signal 8" in why


def test_inputs_are_what_the_encoder_gets() -> None:
    image = np.random.default_rng(1).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    content = manifest.read(TINY)
    assert content is not None
    [got] = preprocessed.encoder_inputs(content, [image])
    assert got.shape == (1, 3, 32, 32)
    # The tiny encoder: means of 4 x 4 blocks of channel min(c, 2), plus c.
    means = got.reshape(3, 8, 4, 8, 4).mean(axis=(2, 4))
    expected = np.stack([means[min(c, 2)] + c for c in range(4)])
    embedding = Engine(TINY, cache_dir="none").encode(image).array[0]
    np.testing.assert_allclose(embedding, expected, rtol=1e-6, atol=1e-6)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The tiny bundle with an encoder that has 1x1 convolutions."""
    rng = np.random.default_rng(11)
    shapes = {"w0": (16, 3, 4, 4), "w1": (64, 16, 1, 1), "w2": (4, 64, 1, 1)}
    nodes = [
        helper.make_node("Conv", ["image", "w0"], ["a"], name="patches", kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["a", "w1"], ["b"], name="wide", kernel_shape=[1, 1]),
        helper.make_node("Relu", ["b"], ["c"], name="relu"),
        helper.make_node("Conv", ["c", "w2"], ["image_embedding"], name="narrow", kernel_shape=[1, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 3, 32, 32])],
        [helper.make_tensor_value_info("image_embedding", TensorProto.FLOAT, ["B", 4, 8, 8])],
        [numpy_helper.from_array((rng.standard_normal(s) / 5).astype(np.float32), n) for n, s in shapes.items()],
    )
    folder = tmp_path / "bundle"
    shutil.copytree(TINY, folder)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), folder / "encoder.onnx"
    )
    content = json.loads((folder / "manifest.json").read_text())
    content["models"]["encoder"] |= manifest.file_entry(folder / "encoder.onnx")
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    folder = tmp_path / "cases"
    folder.mkdir()
    rng = np.random.default_rng(2)
    for i in range(3):
        pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        np.savez(folder / f"2DBox_Endoscopy_{i}.npz", imgs=pixels, boxes=np.array([[4, 4, 30, 30]]))
    return folder


def test_an_int8_encoder_is_added_and_needs_its_certificate(bundle: Path, cases: Path, tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="quantize needs NNCF: pip install nncf")
    before = Engine(bundle, cache_dir="none").info
    out = tmp_path / "out"
    done = quantize.quantize(bundle, cases, out=out, budget=0.2)
    assert manifest.read(bundle) == json.loads((bundle / "manifest.json").read_text())
    assert "quantized" not in json.loads((bundle / "manifest.json").read_text())
    assert (done.layers, done.candidates) == (2, 2)
    assert 0 < done.error < 0.1
    graph = onnx.load(out / quantize.FILE)
    assert {node.op_type for node in graph.graph.node} >= {"QuantizeLinear", "DequantizeLinear"}
    exact = Engine(out, cache_dir="none", precision="auto")
    assert exact.info.precision == "f32"
    assert exact.info.model_hash == before.model_hash
    with pytest.raises(Exception, match="certif"):
        Engine(out, cache_dir="none", precision="int8")
    int8 = Engine(out, cache_dir="none", precision="int8", allow_uncertified=True)
    assert int8.info.encoder_precision == "int8"
    with np.load(cases / "2DBox_Endoscopy_0.npz") as case:
        image = case["imgs"]
    one, other = exact.encode(image).array, int8.encode(image).array
    assert 0 < quantize.relative_error(other, one) < 0.1
    certificate, rows = certify.certify(out, cases, encoder="int8", decoder="f32")
    assert certificate["precision"] == "int8"
    content = manifest.read(out)
    assert content is not None
    assert certificate["quantized"]["encoder"] == content["quantized"]["encoder"]["sha256"]
    assert len(rows) == 3
    # Quantized again, the measurement of the older encoder goes.
    quantize.quantize(out, cases, budget=0.2)
    again = manifest.read(out)
    assert again is not None
    assert again["certificates"] == []
    assert quantize.FILE in manifest.model_files(again)


def test_what_cannot_be_quantized_is_one_line(bundle: Path, cases: Path, tmp_path: Path) -> None:
    def refused(match: str, folder: Path = bundle, images: Path = cases, **options: Any) -> None:
        with pytest.raises(ExportError, match=match) as error:
            quantize.quantize(folder, images, **options)
        assert len(str(error.value).splitlines()) == 1

    refused("no large linear", TINY.parent / "tiny_bundle", out=tmp_path / "a")
    refused("experts", TINY.parent / "tiny_routed")
    refused("rest", rest="int8")
    refused("budget", budget=0.0)
    refused("there already", out=cases)
    refused("no manifest", tmp_path)
    refused("npz", images=tmp_path / "bundle")
    with pytest.raises(ExportError, match="no int8 encoder"):
        certify.certify(bundle, cases, encoder="int8", decoder="f32")
    assert sorted(path.name for path in bundle.iterdir()) == sorted(path.name for path in TINY.iterdir())
