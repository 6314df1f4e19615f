# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""MCP-MedSAM beyond its golden logits: the classifier that no graph holds, fused blocks, the contract."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

pytest.importorskip("transformers", reason="CLIP needs transformers: make setup")

from clip_stand_in import clip_model, write_clip

from medsam_engine_tools.bundle.file_hash import file_sha256
from medsam_engine_tools.export import checkpoint, onnx_export, parity
from medsam_engine_tools.export.families import mcp_medsam
from medsam_engine_tools.export.family import Graph
from medsam_engine_tools.export.nn.layers import fuse_batch_norms
from medsam_engine_tools.export.nn.mcp import CropNet, ResidualBlock

# The order of get_category in the published infer.py.
PUBLISHED = ["CT", "MR", "Endoscopy", "XRay", "PET", "Dermoscopy", "Mammography", "US", "OCT", "Fundus", "Microscopy"]


def test_the_unused_classifier_is_loaded_right(golden_case: Callable[[str], Any]) -> None:
    golden = golden_case("mcp_medsam")
    model = mcp_medsam.build()
    checkpoint.load_strict(model, golden.weights(), "mcp_medsam")
    model.eval().requires_grad_(False)
    model.text_features = torch.from_numpy(golden.fill("clip_text_features", (1, 1, 512)))[0].expand(11, -1)
    decoder = mcp_medsam.Decoder(model)
    corners = torch.from_numpy(golden.arrays["boxes"].reshape(-1, 2, 2))
    features = torch.from_numpy(golden.fill("clip_image_features", (1, 1, 512)))[0]
    modality = torch.from_numpy(golden.arrays["category"])
    sparse = decoder.sparse(corners, torch.tensor([[2, 3]], dtype=torch.int32), features, modality)
    dense = model.prompt_encoder.crop_nets(torch.from_numpy(golden.image(64, "opencrop"))[None])
    embedding = model.image_encoder(torch.from_numpy(golden.image(256))[None])
    positions = model.prompt_encoder.dense_positions()
    tokens, _ = model.mask_decoder.attend_content(embedding, positions, dense, sparse)
    found = model.mask_decoder.category_logits(tokens).numpy()
    assert parity.relative_error(found, golden.arrays["category_logits"]) < 1e-4


@pytest.mark.parametrize("is_closed", [True, False])
def test_fused_blocks_give_the_same(is_closed: bool) -> None:
    torch.manual_seed(0)
    block = ResidualBlock(8, is_closed)
    for name, value in block.state_dict().items():
        if "batch_norm" in name and value.is_floating_point():
            torch.nn.init.uniform_(value, 0.5, 2)
    block.eval().requires_grad_(False)
    x = torch.randn(2, 8, 9, 9)
    expected = block(x)
    fused = block.fused()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fused.modules())
    assert torch.allclose(fused(x), expected, atol=1e-5)
    assert isinstance(block.batch_norm1, torch.nn.BatchNorm2d)  # the original is as it was


def test_every_block_of_the_crop_net_is_fused() -> None:
    net = CropNet(8).eval().requires_grad_(False)
    fuse_batch_norms(net)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in net.modules())


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Graph]:
    torch.manual_seed(0)
    model = mcp_medsam.build().eval().requires_grad_(False)
    folder = write_clip(tmp_path_factory.mktemp("mcp") / "clip", clip_model())
    assert mcp_medsam.attach_clip(model, folder) == file_sha256(folder / "model.safetensors")
    return {graph.key: graph for graph in mcp_medsam.graphs(model)}


@pytest.fixture(scope="module")
def decoder(graphs: dict[str, Graph], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("decoder") / "decoder.onnx"
    onnx_export.write_onnx(graphs["decoder"], path, ("test", "0"))
    return path


def test_the_family_says_what_the_engine_has_to_fill_in(graphs: dict[str, Graph]) -> None:
    family = mcp_medsam.FAMILY
    assert family.modality_index == {name: i for i, name in enumerate(PUBLISHED)}
    assert family.accepts == ("box",)
    assert family.mask_input is None
    assert set(graphs) == {"encoder", "crop_encoder", "decoder"}
    inputs = {spec.name: spec.shape for spec in graphs["decoder"].inputs}
    assert inputs["crop"] == ("prompts", 3, 64, 64)
    assert inputs["crop_features"] == ("prompts", 512)
    assert inputs["modality"] == (1,)
    assert graphs["crop_encoder"].inputs[0].shape == ("prompts", 3, 224, 224)


def test_the_decoder_holds_constants_instead_of_the_text_perceptrons(decoder: Path) -> None:
    graph = onnx.load(decoder).graph
    shapes = [tuple(value.dims) for value in graph.initializer]
    assert shapes.count((11, 256)) == 1
    assert (512, 512) not in shapes  # mlps.fc1
    assert (64, 256) not in shapes  # category_prediction_head.fc1
    assert not [node for node in graph.node if node.op_type == "BatchNormalization"]


def test_prompts_do_not_depend_on_their_batch_and_modalities_differ(decoder: Path) -> None:
    rng = np.random.default_rng(0)
    embedding = rng.standard_normal((1, 256, 64, 64), np.float32)
    corners = np.array([[[20, 30], [90, 80]], [[100, 10], [200, 240]]], np.float32)
    labels = np.array([[2, 3]] * 2, np.int32)
    token = np.array([0], np.int32)
    crops, features = rng.random((2, 3, 64, 64), np.float32), rng.standard_normal((2, 512), np.float32)

    def case(rows: slice, modality: int) -> list[Any]:
        index = np.array([modality], np.int32)
        return [embedding, corners[rows], labels[rows], token, crops[rows], features[rows], index]

    cases = [case(slice(0, 2), 1), case(slice(0, 1), 1), case(slice(1, 2), 1), case(slice(0, 2), 10)]
    both, first, second, other = (out[0] for out in parity.run_openvino(decoder, cases))
    assert parity.relative_error(np.concatenate([first, second]), both) < 1e-4
    assert parity.relative_error(other, both) > 1e-3
