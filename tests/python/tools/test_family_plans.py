# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Every family's graphs, exact and in f16, as TensorRT for RTX compiles them, without a GPU.

Stand-in weights of each family's smallest size: what is shown is that TensorRT reads every operator in both types.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from medsam_engine_tools import families, half, onnx_export, parity, plans
from medsam_engine_tools.family import Graph

sys.path.append(str(Path(__file__).resolve().parents[2] / "data" / "golden"))

import stand_in

TARGET = "sm_89"


def graphs_of(name: str, folder: Path) -> list[Graph]:
    family = families.get(name)
    size = next(iter(family.sizes))
    model = family.build(size)
    state = {
        key: stand_in.tensor(key, value.shape, value.dtype) if value.dtype.is_floating_point else value
        for key, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    if family.companion is not None:
        from clip_stand_in import clip_model, write_clip

        family.companion.attach(model, write_clip(folder / "clip", clip_model()))
    return list(family.graphs(model.eval().requires_grad_(False)))


def plan_model(graph: Graph, path: Path, precision: str) -> plans.PlanModel:
    shapes = [tuple(-1 if isinstance(d, str) else d for d in spec.shape) for spec in graph.inputs]
    if graph.key == "encoder":
        shapes = [(1, *shape[1:]) for shape in shapes]
    names = tuple(spec.name for spec in graph.inputs)
    return plans.PlanModel(graph.key, path, precision, "0" * 64, names, tuple(shapes))


def test_a_bundles_encoder_and_decoder_become_plans(bundle: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT for RTX: pip install 'medsam-engine[cuda]'")
    for model in plans.bundle_models(bundle):
        if model.role in {"encoder", "decoder"}:
            assert len(plans.build(model, TARGET)) > model.path.stat().st_size // 2


@pytest.mark.slow
@pytest.mark.parametrize("family", families.REGISTRY)
def test_every_graph_becomes_a_plan_in_both_types(family: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT for RTX: pip install 'medsam-engine[cuda]'")
    if families.get(family).companion is not None:
        pytest.importorskip("transformers", reason="CLIP needs transformers: pip install 'medsam-engine[export]'")
    for graph in graphs_of(family, tmp_path):
        path = tmp_path / f"{graph.key}.onnx"
        onnx_export.write_onnx(graph, path, ("test", "0"))
        exact = plans.build(plan_model(graph, path, "f32"), TARGET)
        rewritten = half.to_half(onnx.load(path))
        onnx.save(rewritten, path.with_suffix(".f16.onnx"))
        smaller = plans.build(plan_model(graph, path.with_suffix(".f16.onnx"), "f16"), TARGET)
        assert len(smaller) < len(exact), graph.key


@pytest.mark.slow
def test_f16_overflows_nowhere_in_an_efficient_vit(tmp_path: Path) -> None:
    encoder = next(graph for graph in graphs_of("medficientsam", tmp_path) if graph.key == "encoder")
    path = tmp_path / "encoder.onnx"
    onnx_export.write_onnx(encoder, path, ("test", "0"))
    image = encoder.cases[0][0][:1].numpy()
    [exact] = parity.run_openvino(path, [[image]])[0]
    onnx.save(half.emulated(half.to_half(onnx.load(path)), largest=True), path)
    value, largest = parity.run_openvino(path, [[image]])[0]
    assert largest < half.LARGEST / 2
    assert np.abs(value - exact).max() < 0.01 * np.abs(exact).max()
