# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Every family's graphs, exact and in f16, as TensorRT for RTX compiles them, without a GPU: minutes (`make plans`).

Stand-in weights of each family's smallest size: what is shown is that TensorRT reads every operator in both types.
Those of quick exports are compiled in test_golden.py already.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from medsam_engine_tools.approximate import half
from medsam_engine_tools.bundle.file_hash import file_sha256
from medsam_engine_tools.export import families, onnx_export, parity
from medsam_engine_tools.export.family import Graph
from medsam_engine_tools.gpu import plans

sys.path.append(str(Path(__file__).resolve().parents[3] / "data" / "golden"))

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
    files = ((path.name, file_sha256(path)),)
    return plans.PlanModel(graph.key, path, precision, "0" * 64, names, tuple(shapes), files)


@pytest.fixture(scope="module", params=families.REGISTRY)
def graphs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Graph]:
    """Of each family in turn."""
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT for RTX: scripts/setup.sh cuda")
    if families.get(request.param).companion is not None:
        pytest.importorskip("transformers", reason="CLIP needs transformers: make setup")
    return graphs_of(request.param, tmp_path_factory.mktemp(request.param))


def check_plans(graphs: list[Graph], folder: Path) -> None:
    for graph in graphs:
        exact, halved = folder / f"{graph.key}.onnx", folder / f"{graph.key}.f16.onnx"
        onnx_export.write_onnx(graph, exact, ("test", "0"))
        larger = plans.build(plan_model(graph, exact, "f32"), TARGET)
        onnx.save(half.to_f16(onnx.load(exact)), halved)
        smaller = plans.build(plan_model(graph, halved, "f16"), TARGET)
        assert len(smaller) < len(larger), graph.key
        exact.unlink()  # pytest keeps the folders of several runs
        halved.unlink()


# Most of the time goes into the exports: `make plans` leaves the graphs with a mask prompt to `make test-slow`.
@pytest.mark.slow
def test_encoder_and_decoder_become_plans_in_both_types(graphs: list[Graph], tmp_path: Path) -> None:
    chosen = [graph for graph in graphs if "mask" not in graph.key]
    assert {"encoder", "decoder"} <= {graph.key for graph in chosen}
    check_plans(chosen, tmp_path)


@pytest.mark.slow
def test_the_decoder_with_a_mask_becomes_a_plan_in_both_types(graphs: list[Graph], tmp_path: Path) -> None:
    check_plans([graph for graph in graphs if "mask" in graph.key], tmp_path)


@pytest.mark.slow
def test_f16_overflows_nowhere_in_an_efficient_vit(tmp_path: Path) -> None:
    encoder = next(graph for graph in graphs_of("medficientsam", tmp_path) if graph.key == "encoder")
    path = tmp_path / "encoder.onnx"
    onnx_export.write_onnx(encoder, path, ("test", "0"))
    image = encoder.cases[0][0][:1].numpy()
    [exact] = parity.run_openvino(path, [[image]])[0]
    onnx.save(half.emulated(half.to_f16(onnx.load(path)), largest=True), path)
    value, largest = parity.run_openvino(path, [[image]])[0]
    assert largest < half.LARGEST / 2
    assert np.abs(value - exact).max() < 0.01 * np.abs(exact).max()
