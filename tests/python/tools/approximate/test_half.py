# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""f16 graphs: which nodes become f16, that nothing else changes, and that the emulation rounds as f16 does."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from medsam_engine import Engine
from medsam_engine_tools.approximate import half, half_bundle
from medsam_engine_tools.bundle import manifest, variants
from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import onnx_export, parity
from medsam_engine_tools.export.family import Graph, TensorSpec
from medsam_engine_tools.export.nn.efficient_vit import LinearAttention
from medsam_engine_tools.gpu import plans

TINY = Path(__file__).resolve().parents[3] / "data" / "tiny_bundle"


def linear(values: NDArray[np.float32], *nodes: Any) -> onnx.ModelProto:
    """From x (B, 8): product with `values` (8, 8) -> nodes -> y."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["a"], name="product"), *nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", 8])],
        [numpy_helper.from_array(values, "w")],
        value_info=[helper.make_tensor_value_info("a", TensorProto.FLOAT, ["B", 8])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, path: Path, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    onnx.save(model, path)
    return parity.run_openvino(path, [[x]])[0]


def test_products_are_f16_and_what_the_caller_sees_is_not() -> None:
    made = half.to_f16(linear(np.eye(8, dtype=np.float32), helper.make_node("Softmax", ["a"], ["y"])))
    onnx.checker.check_model(made, full_check=True)
    types = {v.name: v.type.tensor_type.elem_type for v in (*made.graph.input, *made.graph.output)}
    assert set(types.values()) == {TensorProto.FLOAT}
    assert [n.op_type for n in made.graph.node] == ["Cast", "MatMul", "Cast", "Softmax"]
    assert {t.data_type for t in made.graph.initializer} == {TensorProto.FLOAT16}


def test_an_output_that_is_f16_is_cast() -> None:
    made = half.to_f16(linear(np.eye(8, dtype=np.float32), helper.make_node("Relu", ["a"], ["y"])))
    onnx.checker.check_model(made, full_check=True)
    assert made.graph.node[-1].op_type == "Cast"
    assert made.graph.node[-1].output == ["y"]


def test_the_emulation_rounds_as_f16_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((500, 8)) * 10.0 ** rng.integers(-3, 4, (500, 8))).astype(np.float32)
    made = half.to_f16(linear(np.eye(8, dtype=np.float32), helper.make_node("Softplus", ["a"], ["y"])))
    exact = linear(np.eye(8, dtype=np.float32), helper.make_node("Softplus", ["a"], ["y"]))
    rounded = x.astype(np.float16).astype(np.float32)
    normal = np.abs(x) > 2.0**-14
    [got] = run(half.emulated(made), tmp_path / "e.onnx", x)
    [want] = run(exact, tmp_path / "r.onnx", rounded)
    np.testing.assert_array_equal(got[normal], want[normal])


@pytest.mark.parametrize(("scale", "overflows"), [(60000.0, False), (70000.0, True)])
def test_an_overflow_is_seen(tmp_path: Path, scale: float, overflows: bool) -> None:
    model = half.to_f16(linear(np.eye(8, dtype=np.float32) * 100, helper.make_node("Softplus", ["a"], ["y"])))
    x = np.full((1, 8), scale / 100, np.float32)
    _, largest = run(half.emulated(model, largest=True), tmp_path / "l.onnx", x)
    assert largest == pytest.approx(scale, rel=1e-3)
    [got] = run(half.emulated(model), tmp_path / "m.onnx", x)
    assert np.isnan(got).all() == overflows


def test_an_overflow_is_not_hidden_by_what_comes_after(tmp_path: Path) -> None:
    model = linear(
        np.eye(8, dtype=np.float32),
        helper.make_node("Add", ["a", "a"], ["b"]),
        helper.make_node("Mul", ["b", "w0"], ["c"]),
        helper.make_node("Softmax", ["c"], ["y"]),
    )
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "w0"))
    model.graph.value_info.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, ["B", 8]) for n in "bc")
    x = np.full((1, 8), 40000, np.float32)
    x[0, 1:] = 0
    _, largest = run(half.emulated(half.to_f16(model), largest=True), tmp_path / "l.onnx", x)
    assert largest == 80000


def test_a_weight_that_does_not_fit_stays_and_is_cast() -> None:
    made = half.to_f16(linear(np.full((8, 8), 1e5, np.float32), helper.make_node("Softmax", ["a"], ["y"])))
    assert [t.data_type for t in made.graph.initializer] == [TensorProto.FLOAT]


@pytest.fixture
def released() -> Path:
    """The bundle of `make bundle`."""
    path = Path(__file__).resolve().parents[4] / "build" / "bundles" / "litemedsam"
    if not (path / "manifest.json").is_file():
        pytest.skip("no bundle at build/bundles/litemedsam; run `make bundle`")
    return path


@pytest.fixture(scope="module")
def attention(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    """One linear attention with weights of its own, as ONNX."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("attention") / "attention.onnx"
    image = TensorSpec("x", "f32", (1, 64, 8, 8))
    graph = Graph("attention", LinearAttention(64, 5).eval(), (image,), (image,), ((torch.randn(1, 64, 8, 8),),))
    onnx_export.write_onnx(graph, path, ("test", "0"))
    return onnx.load(path)


class TestLinearAttention:
    """EfficientViT's: sums over all positions, divided by one another."""

    def test_stays_f32_from_relu_to_the_division(self, attention: onnx.ModelProto) -> None:
        made = half.to_f16(attention)
        onnx.checker.check_model(made, full_check=True)
        computed = set(half.half_tensors(made))
        products = [n for n in made.graph.node if n.op_type == "MatMul"]
        assert len(products) == 2
        assert not {n.output[0] for n in products} & computed
        assert not {n.output[0] for n in made.graph.node if n.op_type in {"Relu", "Div"}} & computed
        convolutions = [n for n in made.graph.node if n.op_type == "Conv"]
        assert {n.output[0] for n in convolutions} <= computed

    def test_survives_values_that_overflow_f16(self, attention: onnx.ModelProto, tmp_path: Path) -> None:
        x = np.random.default_rng(0).standard_normal((1, 64, 8, 8)).astype(np.float32) * 300
        [exact] = run(attention, tmp_path / "x.onnx", x)
        [got] = run(half.emulated(half.to_f16(attention)), tmp_path / "e.onnx", x)
        assert np.isfinite(got).all()
        assert np.abs(got - exact).max() < 0.01 * np.abs(exact).max()


class TestBundle:
    """A bundle with f16 graphs beside the exact ones."""

    @pytest.fixture
    def halved(self, tmp_path: Path, bundle: Path) -> Path:
        return half_bundle.add_half(shutil.copytree(bundle, tmp_path / "b"))

    def test_runs_as_before(self, halved: Path, bundle: Path) -> None:
        before, after = (Engine(f, cache_dir="none").info for f in (bundle, halved))
        assert after.model_hash == before.model_hash
        assert after.fingerprint == before.fingerprint

    def test_the_manifest_names_every_graph(self, halved: Path) -> None:
        content = manifest.read(halved)
        assert content is not None
        assert set(content["f16"]) == set(content["models"])
        assert len(variants.f16_hash(content)) == 64
        assert manifest.model_files(content) == {p.name for p in halved.iterdir()} - {"manifest.json"}
        halves, wholes = (sum(content[part][name]["bytes"] for name in content["models"]) for part in ("f16", "models"))
        assert halves < 0.75 * wholes

    def test_again_gives_the_same_bytes(self, halved: Path) -> None:
        before = {p.name: p.read_bytes() for p in halved.glob("*.onnx")}
        half_bundle.add_half(halved)
        assert {p.name: p.read_bytes() for p in halved.glob("*.onnx")} == before

    def test_the_emulation_is_close_and_not_the_same(self, halved: Path, tmp_path: Path) -> None:
        (tmp_path / "e").mkdir()
        half_bundle.write_emulation(halved, tmp_path / "e")
        image = np.random.default_rng(3).integers(0, 256, (60, 80), np.uint8)
        exact, emulated = (Engine(f, cache_dir="none", cache_bytes=0) for f in (halved, tmp_path / "e"))
        one, other = (np.asarray(e.encode(image).array) for e in (exact, emulated))
        error = np.abs(one - other).max() / np.abs(one).max()
        assert 1e-6 < error < 0.05

    def test_its_plans_are_built(self, halved: Path) -> None:
        pytest.importorskip("tensorrt_rtx", reason="no TensorRT for RTX: scripts/setup.sh cuda")
        [decoder] = [m for m in plans.bundle_models(halved) if m.precision == "f16" and m.role == "decoder"]
        assert len(plans.build(decoder, "sm_89")) > 1000


def test_the_shipped_certificate_reaches_the_graphs_that_were_measured(released: Path, tmp_path: Path) -> None:
    """LiteMedSAM's released weights, where they are at hand: other bytes would need another measurement."""
    halved = half_bundle.add_half(shutil.copytree(released, tmp_path / "b"))
    content = manifest.read(halved)
    assert content is not None
    [certificate] = [c for c in content["certificates"] if "f16" in c]
    assert certificate["f16"] == variants.f16_hash(content)
    assert certificate["measured"]["images"] >= 40
    assert certificate["measured"]["agreement_mean"] >= 0.98
    assert certificate["measured"]["largest"] <= half.LARGEST / 2


def test_certifying_without_f16_graphs_is_refused(tmp_path: Path) -> None:
    bundle = shutil.copytree(TINY, tmp_path / "b")
    with pytest.raises(ExportError, match="medsam-engine half"):
        half_bundle.certify_half(bundle, tmp_path)
