# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""EfficientViT's native weights against the modules in torch that they stand for."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open

from medsam_engine_tools.export import families, recognition
from medsam_engine_tools.export.native.efficient_vit import EfficientVitSize, NativeEfficientVit
from medsam_engine_tools.export.native.model import NativeModel
from medsam_engine_tools.export.nn.efficient_vit import ConvLayer, EfficientVit

SMALL = EfficientVitSize(
    (1, 1, 1, 1),
    1,
    dims=(32, 64, 32, 32),
    kinds=("fused", "inverted", "attention"),
    expand_ratios=(1, 1, 1),
    neck_dim=32,
)
NATIVE = NativeModel({"encoder": NativeEfficientVit(SMALL, 64)}, {})


def arrays(encoder: EfficientVit) -> dict[str, NDArray[np.generic]]:
    return {f"image_encoder.{name}": value.numpy() for name, value in encoder.state_dict().items()}


def test_a_small_layout_is_the_torch_modules() -> None:
    expected = {name: value.shape for name, value in arrays(EfficientVit(SMALL, 64)).items()}
    assert NATIVE.layout() == expected


def test_batch_norms_are_folded_in_f64(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = EfficientVit(SMALL, 64).eval().requires_grad_(False)
    layers = {
        "stem": encoder.get_submodule("backbone.stages.0.op_list.0"),
        "stages.1.blocks.0.spatial": encoder.get_submodule("backbone.stages.1.op_list.1.main.spatial_conv"),
        "stages.3.blocks.0.proj": encoder.get_submodule("backbone.stages.3.op_list.1.context_module.main.proj"),
        "neck.inputs.2": encoder.get_submodule("neck.input_ops.2.op_list.0"),
    }
    for layer in layers.values():  # ill-conditioned: f32 would lose the digits of 1e-6 beside the variance's root
        assert isinstance(layer, ConvLayer)
        assert isinstance(layer.norm, torch.nn.BatchNorm2d)
        assert layer.norm.running_mean is not None
        assert layer.norm.running_var is not None
        layer.norm.running_var.uniform_(1e-8, 1e-6)
        layer.norm.running_mean.normal_(0, 1e-3)
    path = NATIVE.write(arrays(encoder), tmp_path)["encoder"]
    with safe_open(path, "np") as file:
        assert json.loads(file.metadata()["medsam_engine"]) == {
            "format": "medsam-engine fused 1",
            "architecture": "efficient_vit",
            "input_size": [64],
        }
        for name, layer in layers.items():
            assert isinstance(layer, ConvLayer)
            exact = copy.deepcopy(layer).double().fused()[0]
            assert isinstance(exact, torch.nn.Conv2d)
            assert exact.bias is not None
            weight = exact.weight.permute(2, 3, 1, 0).flatten(0, 2)
            np.testing.assert_array_equal(file.get_tensor(f"{name}.weight"), weight.float().numpy())
            np.testing.assert_array_equal(file.get_tensor(f"{name}.bias"), exact.bias.float().numpy())


def test_the_second_scales_groups_are_matrices_of_their_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = EfficientVit(SMALL, 64).eval().requires_grad_(False)
    mixing = encoder.get_submodule("backbone.stages.3.op_list.1.context_module.main.aggreg.0.1")
    with safe_open(NATIVE.write(arrays(encoder), tmp_path)["encoder"], "np") as file:
        assert file.get_tensor("stages.3.blocks.0.scale.weight").shape == (25, 96)
        groups = torch.from_numpy(file.get_tensor("stages.3.blocks.0.groups.weight")).reshape(3, 32, 32)
    x = torch.randn(1, 96, 1, 1)
    expected = mixing(x).reshape(3, 32)
    found = torch.einsum("gi,gio->go", x.reshape(3, 32), groups)
    torch.testing.assert_close(found, expected)


def test_every_size_has_the_published_layout() -> None:
    for name in ("medficientsam", "medficientsam_torch", "efficientvit_sam"):
        family = families.get(name)
        assert family.native.keys() == family.sizes.keys()
        for size, native in family.native.items():
            published = recognition.layout(family, size)
            encoder = {key: tuple(shape) for key, shape in published.items() if key.startswith("image_encoder.")}
            layout = {key: s for key, s in native.layout().items() if key.startswith("image_encoder.")}
            assert layout == encoder
            assert family.of_size(size).input_size == native.models["encoder"].inputs[0].shape[-1]
