# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The native networks' files: against the modules in torch that they stand for, and as files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decoder_of_file import FileDecoder
from numpy.typing import NDArray
from safetensors import safe_open

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.export import families, recognition
from medsam_engine_tools.export.families import mobile_sam
from medsam_engine_tools.export.native import source
from medsam_engine_tools.export.native.model import NativeModel
from medsam_engine_tools.export.native.sam_decoder import NativeSamDecoder
from medsam_engine_tools.export.native.tiny_vit import NativeTinyVit, TinyVitSizes
from medsam_engine_tools.export.nn.layers import ConvBN, fold_norm
from medsam_engine_tools.export.nn.mask_decoder import MaskDecoder
from medsam_engine_tools.export.nn.prompt_encoder import PromptEncoder
from medsam_engine_tools.export.nn.tiny_vit import TinyVit
from medsam_engine_tools.export.sam import Decoder, Sam

SIZES = TinyVitSizes(64, 1, 1, dims=(32, 32, 64, 64), depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2), out_channels=64)
GRID, FRAME = 4, 64
SMALL = NativeModel({"encoder": NativeTinyVit(SIZES), "decoder": NativeSamDecoder(GRID, FRAME, point_shift=0.0)}, {})
Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def model() -> Sam:
    """A small encoder, and a decoder of the published widths, with weights that no fold leaves alone."""
    prompts = PromptEncoder(256, GRID, FRAME, point_shift=0.0)
    sam = Sam(TinyVit(SIZES), prompts, MaskDecoder()).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for name, value in sam.state_dict().items():
        if value.is_floating_point():
            random = torch.randn(value.shape, generator=generator) * (
                0.3 if value.ndim < 2 else value[0].numel() ** -0.5
            )
            value.copy_(random.abs() + 0.5 if name.endswith(("running_var", "norm.weight")) else random)
    return sam


@pytest.fixture(scope="module")
def arrays(model: Sam) -> Arrays:
    return {name: value.numpy() for name, value in model.state_dict().items()}


def read(path: Path) -> tuple[Arrays, dict[str, object]]:
    with safe_open(path, "np") as file:
        names = file.keys()  # it is no mapping, and cannot be iterated over
        return {name: file.get_tensor(name) for name in names}, json.loads(file.metadata()["medsam_engine"])


def test_a_layout_is_the_torch_modules() -> None:
    for name in families.REGISTRY:
        family = families.get(name)
        assert set(family.native) in (set(), set(family.sizes))
        for size, native in family.native.items():
            published = {key: tuple(s) for key, s in recognition.layout(family, size).items()}
            if "encoder" not in native.networks:
                published = {key: s for key, s in published.items() if not key.startswith("image_encoder.")}
            assert native.layout() == published
            assert set(native.models) == {"decoder", "decoder_mask", *native.networks}


def test_families_without_torch_have_every_network() -> None:
    for name in families.NATIVE:
        native = families.get(name).native
        assert native
        assert all(set(model.networks) == {"encoder", "decoder"} for model in native.values())


# The others' decoders are not SAM's, or, in DAFT's experts, stay graphs.
SAM_FAMILIES = sorted(set(families.REGISTRY) - {"daft", "mcp_medsam", "swin_litemedsam"})


@pytest.mark.parametrize("name", SAM_FAMILIES)
def test_a_decoder_has_what_no_tensor_says(name: str) -> None:
    """Grid, frame, shift and epsilon: of a wrong one no shape would tell."""
    family = families.get(name)
    assert family.native
    for size, native in family.native.items():
        with torch.device("meta"):
            model = family.build(size)
        assert isinstance(model, Sam)
        network, prompts = native.networks["decoder"], model.prompt_encoder
        assert isinstance(network, NativeSamDecoder)
        assert (network.grid, network.frame, network.point_shift) == (prompts.grid, prompts.frame, prompts.point_shift)
        assert (network.frame, network.point_shift) == (family.prompt_frame, family.point_shift)
        norms = [module for module in model.mask_decoder.modules() if isinstance(module, torch.nn.LayerNorm)]
        assert len(norms) == 4 * network.depth + 1
        assert {norm.eps for norm in norms} == {network.layer_norm_epsilon}
        assert native.models["decoder"].inputs[0].shape == (1, 256, network.grid, network.grid)


def test_a_head_that_nothing_uses_is_part_of_the_layout() -> None:
    sizes = TinyVitSizes(1024, patch_kernel=3, patch_stride=2, classes=mobile_sam.CLASSES)
    native = NativeModel({"encoder": NativeTinyVit(sizes), "decoder": NativeSamDecoder(sizes.grid, 1024)}, {})
    expected = recognition.layout(mobile_sam.FAMILY, "vit_t")
    assert native.layout() == {key: tuple(shape) for key, shape in expected.items()}


def test_an_encoders_tensors_are_the_modules(model: Sam, arrays: Arrays, tmp_path: Path) -> None:
    found, header = read(SMALL.write(arrays, tmp_path)["encoder"])
    encoder: Any = model.image_encoder.double()  # its parts are reached by index
    try:
        block = encoder.layers[2].blocks[0]
        projections = block.attn.projections()
        expected = {
            "stages.2.blocks.0.qkv.weight": torch.cat([weight for weight, _ in projections], dim=1),
            "stages.2.blocks.0.qkv.bias": torch.cat([bias for _, bias in projections]),
            "stages.2.blocks.0.fc1.weight": fold_norm(block.mlp.norm, block.mlp.fc1)[0].t(),
            "stages.2.blocks.0.fc1.bias": fold_norm(block.mlp.norm, block.mlp.fc1)[1],
            "stages.2.blocks.0.attention_biases": block.attn.attention_biases,
            "neck.1.weight": encoder.neck[2].weight.permute(2, 3, 1, 0).flatten(0, 2),
        }
        for name, layer in (
            ("patch_embed.1", encoder.patch_embed.seq[2]),
            ("stages.0.blocks.0.depthwise", encoder.layers[0].blocks[0].conv2),
            ("stages.1.merge.project", encoder.layers[1].downsample.conv3),
        ):
            assert isinstance(layer, ConvBN)
            convolution = layer.fused()
            expected[f"{name}.weight"] = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)
            assert convolution.bias is not None
            expected[f"{name}.bias"] = convolution.bias
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value.detach().float().numpy(), err_msg=name)
    finally:
        encoder.float()
    assert header == {
        "format": "medsam-engine fused 1",
        "architecture": "tiny_vit",
        "input_size": [64],
        "strides": [1, 1, 2, 2, 1],
        "windows": [7, 14, 7],
    }


@pytest.mark.parametrize("masked", [False, True])
def test_a_decoder_of_the_file_is_the_modules(model: Sam, arrays: Arrays, masked: bool, tmp_path: Path) -> None:
    decoder = FileDecoder(*read(SMALL.write(arrays, tmp_path)["decoder"]))
    random = np.random.default_rng(0)
    embedding = random.standard_normal((1, 256, GRID, GRID), dtype=np.float32)
    coords = random.uniform(0, FRAME, (1, 4, 2)).astype(np.float32)
    labels = np.array([[1, -1, 2, 3]], np.int32)
    mask = random.standard_normal((1, 1, 4 * GRID, 4 * GRID), dtype=np.float32) if masked else None
    inputs = (embedding, coords, labels, np.arange(4, dtype=np.int32), *((mask,) if mask is not None else ()))
    logits, iou = Decoder(model)(*map(torch.from_numpy, inputs))
    given = None if mask is None else mask[0, 0].astype(np.float64)
    found = decoder.answer(embedding[0].astype(np.float64), coords[0].astype(np.float64), labels[0], given)
    for got, expected in zip(found, (logits[0], iou[0]), strict=True):
        assert np.abs(got - expected.numpy()).max() < 2e-5 * np.abs(expected.numpy()).max()


def test_a_prompt_encoder_without_masks(arrays: Arrays, tmp_path: Path) -> None:
    network = NativeSamDecoder(GRID, FRAME, mask_channels=None)
    tensors, header = read(NativeModel({"decoder": network}, {}).write(arrays, tmp_path)["decoder"])
    assert header["mask_channels"] == []
    assert header["point_shift"] == "0.5"
    assert not [name for name in tensors if name.startswith("mask.")]
    assert not [name for name in NativeModel({"decoder": network}, {}).layout() if "mask_downscaling" in name]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_a_weight_that_is_not_finite_is_refused(arrays: Arrays, value: float, tmp_path: Path) -> None:
    name = "mask_decoder.iou_token.weight"
    damaged = arrays | {name: np.full(arrays[name].shape, value)}
    with pytest.raises(ExportError, match="not finite in tokens"), np.errstate(over="ignore"):
        SMALL.write(damaged, tmp_path)


def test_weights_of_another_dtype_are_those_of_the_graphs(arrays: Arrays, tmp_path: Path) -> None:
    name = "mask_decoder.iou_token.weight"
    taken = source.of_arrays({"a": np.array([1 / 3])}).array("a", 1)
    assert taken.dtype == np.float64
    assert taken[0] == np.float32(1 / 3)
    tensors, _ = read(SMALL.write(arrays | {name: arrays[name].astype(np.float64)}, tmp_path)["decoder"])
    np.testing.assert_array_equal(tensors["tokens"][:1], arrays[name])


def test_files_are_the_same_for_the_same_weights(arrays: Arrays, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    one, two = SMALL.write(arrays, tmp_path), SMALL.write(dict(reversed(arrays.items())), tmp_path / "two")
    for stage, path in one.items():
        assert path.read_bytes() == two[stage].read_bytes()


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_files_are_readable_as_the_umask_says(arrays: Arrays, umask: int, tmp_path: Path) -> None:
    older = os.umask(umask)
    try:
        path = SMALL.write(arrays, tmp_path)["encoder"]
    finally:
        os.umask(older)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_frame_changes_the_header_alone(arrays: Arrays, tmp_path: Path) -> None:
    network = SMALL.networks["decoder"]
    assert isinstance(network, NativeSamDecoder)
    other, header = read(NativeModel({"decoder": replace(network, frame=99)}, {}).write(arrays, tmp_path)["decoder"])
    assert header["frame"] == [99]
    assert "layer_norm_epsilon" not in header, "or every certificate of LiteMedSAM's file would be void"
    np.testing.assert_array_equal(other["tokens"][:1], arrays["mask_decoder.iou_token.weight"])


def test_native_families_are_known_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from medsam_engine_tools.export import families, native_bundle; "
    code += "[families.get(name) for name in families.NATIVE]"
    subprocess.run([sys.executable, "-c", code], check=True)
