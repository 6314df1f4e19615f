# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Every family against the outputs of its published code: 1e-4 in PyTorch, 1e-3 as ONNX under OpenVINO f32."""

import functools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from decoder_of_file import FileDecoder
from numpy.typing import NDArray
from safetensors import safe_open

from medsam_engine import Engine, Unsupported
from medsam_engine_tools.approximate import certify, half, half_bundle
from medsam_engine_tools.bundle import manifest
from medsam_engine_tools.bundle.file_hash import file_sha256
from medsam_engine_tools.export import checkpoint, families, native_bundle, parity
from medsam_engine_tools.export.export import export, write_bundle
from medsam_engine_tools.export.native.efficient_vit import GRID, L0, NativeEfficientVit
from medsam_engine_tools.export.native.model import NativeModel
from medsam_engine_tools.export.part import Part
from medsam_engine_tools.export.sam_tensors import sam_tensors
from medsam_engine_tools.gpu import plans

Array = NDArray[np.generic]
Run = Callable[[str, list[Array]], list[NDArray[np.float32]]]  # graph key and its inputs -> its outputs
Outputs = dict[str, NDArray[np.float32]]  # by the names of the golden file

BOX_LABELS = np.array([[2, 3]], np.int32)
POINTS = np.array([[[80, 90], [20, 30], [0, 0]]], np.float32)  # the last is the padding of a prompt without a box
POINT_LABELS = np.array([[1, 0, -1]], np.int32)
SINGLE = np.array([0], np.int32)
MULTI = np.array([1, 2, 3], np.int32)
INPUTS = {"boxes", "points", "point_labels", "scribble", "category"}  # what a golden file says it asked with
# What no graph gives out: test_swin.py, test_mcp.py.
INSIDE = {*(f"skip{i}_s8" for i in range(4)), "category_logits"}


def embed(run: Run, golden: Any) -> NDArray[np.float32]:
    [embedding] = run("encoder", [golden.image(golden.input_size)[np.newaxis]])
    return embedding


def decode_boxes(run: Run, golden: Any, embedding: NDArray[np.float32]) -> Outputs:
    corners = golden.arrays["boxes"].reshape(-1, 2, 2)
    logits, iou = run("decoder", [embedding, corners, BOX_LABELS.repeat(len(corners), axis=0), SINGLE])
    return {"embedding_s4": embedding[:, ::4, ::4, ::4], "box_logits": logits, "box_iou": iou}


def boxes_in_pixels(run: Run, golden: Any) -> Outputs:
    return decode_boxes(run, golden, embed(run, golden))


def every_prompt(run: Run, golden: Any) -> Outputs:
    embedding = embed(run, golden)
    out = decode_boxes(run, golden, embedding)
    out["points_logits"], out["points_iou"] = run("decoder", [embedding, POINTS, POINT_LABELS, SINGLE])
    logits, out["points_multimask_iou"] = run("decoder", [embedding, POINTS, POINT_LABELS, MULTI])
    out["points_multimask_logits"] = logits[..., ::2, ::2]
    mask = golden.image(256, "openm")[np.newaxis, :1] * 8 - 4
    corners = golden.arrays["boxes"].reshape(-1, 2, 2)
    out["mask_logits"], out["mask_iou"] = run("decoder_mask", [embedding, corners[:1], BOX_LABELS, SINGLE, mask])
    return out


def boxes_in_unit_square(run: Run, golden: Any) -> Outputs:
    """Boxes stored divided by the input size; logits upsampled to it, every second pixel."""
    size = golden.input_size
    embedding = embed(run, golden)
    corners = golden.arrays["boxes"].reshape(-1, 2, 2) * np.float32(size)
    logits, _ = run("decoder", [embedding, corners, BOX_LABELS.repeat(len(corners), axis=0), SINGLE])
    full = torch.nn.functional.interpolate(torch.from_numpy(logits), (size, size), mode="bilinear", align_corners=False)
    return {"embedding_s4": embedding[:, ::4, ::4, ::4], "mask_logits_s2": full.numpy()[..., ::2, ::2]}


def box_points_and_scribble(run: Run, golden: Any) -> Outputs:
    """Four points and a box's corners, a scribble, and all that the encoder gives."""
    embedding, *terms, foreground = run("encoder", [golden.image(golden.input_size)[np.newaxis]])
    assert np.array_equal(foreground, golden.image(golden.input_size).any(axis=0)[np.newaxis, np.newaxis])
    coords = np.concatenate([golden.arrays["points"], golden.arrays["boxes"].reshape(1, 2, 2)], axis=1)
    labels = np.concatenate([golden.arrays["point_labels"].astype(np.int32), BOX_LABELS], axis=1)
    scribble = golden.arrays["scribble"].astype(np.float32)
    logits, iou = run("decoder_mask", [embedding, *terms, coords, labels, SINGLE, scribble])
    return {
        "embedding_s4": embedding[:, ::4, ::4, ::4],
        "box_points_scribble_logits": logits,
        "box_points_scribble_iou": iou,
    }


def box_crop_and_modality(run: Run, golden: Any) -> Outputs:
    """A box with stand-in features of its crop; those of the modality's text are the companion's."""
    embedding = embed(run, golden)
    corners = golden.arrays["boxes"].reshape(-1, 2, 2)
    crop = golden.image(64, "opencrop")[np.newaxis]
    features = golden.fill("clip_image_features", (1, 1, 512))[0]
    modality = golden.arrays["category"].astype(np.int32)
    logits, iou = run("decoder", [embedding, corners, BOX_LABELS, SINGLE, crop, features, modality])
    return {"embedding_s4": embedding[:, ::4, ::4, ::4], "box_logits": logits, "box_iou": iou}


def clip_with_golden_texts(folder: Path, golden: Any) -> Path:
    pytest.importorskip("transformers", reason="CLIP needs transformers: make setup")
    from clip_stand_in import write_clip_saying

    made: Path = write_clip_saying(folder, torch.from_numpy(golden.fill("clip_text_features", (1, 1, 512)))[0, 0])
    return made


@dataclass(frozen=True)
class Case:
    """A folder of ../shared/golden and what it holds the outputs of.

    prefix: of the tensors' names in the published file, which is a training dict then; big: its native decoder is
    that of a smaller case and not compared again; shared_layout: another family is recognized in it, so this one
    has to be named; graphs: what stands before the roles in the names of the bundle's files; companion: writes the
    folder of the model that the family is built on.
    """

    folder: str
    family: str
    size: str
    outputs: Callable[[Run, Any], Outputs]
    prefix: str = ""
    big: bool = False
    shared_layout: bool = False
    graphs: str = ""
    companion: Callable[[Path, Any], Path] | None = None


CASES = [
    Case("litemedsam", "litemedsam", "tiny_vit", every_prompt),
    Case("daft", "daft", "l0", boxes_in_pixels, shared_layout=True, graphs="general."),
    Case("rep_medsam", "rep_medsam", "m1_0", boxes_in_pixels),
    Case("medficientsam_l0", "medficientsam", "l0", boxes_in_unit_square, prefix="model."),
    Case("medficientsam_l1", "medficientsam", "l1", boxes_in_unit_square, prefix="model.", big=True),
    Case("medficientsam_l2", "medficientsam", "l2", boxes_in_unit_square, prefix="model.", big=True),
    Case("swin_litemedsam", "swin_litemedsam", "swin_tiny", box_points_and_scribble),
    Case(
        "mcp_medsam",
        "mcp_medsam",
        "tiny_vit",
        box_crop_and_modality,
        companion=clip_with_golden_texts,
    ),
    Case("medsam_vit_b", "medsam", "vit_b", boxes_in_pixels, big=True),
]
# The exports of the others take a minute or more: `make test-slow`.
QUICK_EXPORTS = ("litemedsam", "daft", "rep_medsam", "medficientsam_l0")
EXPORTS = [
    pytest.param(case, marks=[] if case.folder in QUICK_EXPORTS else [pytest.mark.slow], id=case.folder)
    for case in CASES
]
MODELS = [
    pytest.param(case, marks=[pytest.mark.slow] if case.family == "medsam" else [], id=case.folder) for case in CASES
]


def check(found: Outputs, expected: Outputs, limit: float) -> None:
    assert set(found) == set(expected) - INPUTS - INSIDE
    errors = {name: parity.relative_error(value, expected[name]) for name, value in found.items()}
    assert {name: error for name, error in errors.items() if not error <= limit} == {}


@pytest.mark.parametrize("case", MODELS)
def test_pytorch_agrees_with_the_published_code(case: Case, golden_case: Callable[[str], Any], tmp_path: Path) -> None:
    golden = golden_case(case.folder)
    family = families.get(case.family)
    model = family.build(case.size)
    checkpoint.load_strict(model, golden.weights(), case.family)
    model.eval().requires_grad_(False)
    if case.companion is not None and family.companion is not None:
        family.companion.attach(model, case.companion(tmp_path, golden))
    modules = {graph.key: graph.module for graph in family.graphs(model)}

    embeddings: list[list[NDArray[np.float32]]] = []

    def run(key: str, inputs: list[Array]) -> list[NDArray[np.float32]]:
        result = modules[key](*(torch.from_numpy(value) for value in inputs))
        outputs = [t.numpy() for t in ((result,) if isinstance(result, torch.Tensor) else result)]
        embeddings.extend([outputs] if key == "encoder" else [])
        return outputs

    check(case.outputs(run, golden), golden.arrays, 1e-4)
    native = family.native.get(case.size)
    if native is not None and not case.big:  # whose decoders are those of the small ones
        decoder = file_decoder(native.write(native_bundle.arrays_of(golden.weights()), tmp_path)["decoder"])
        of_file = partial(run_of_file, decoder, embeddings[0])
        check(case.outputs(of_file, golden), golden.arrays, 1e-4)


def file_decoder(path: Path) -> FileDecoder:
    with safe_open(path, "np") as file:
        names = file.keys()  # it is no mapping, and cannot be iterated over
        tensors = {name: file.get_tensor(name) for name in names}
        return FileDecoder(tensors, json.loads(file.metadata()["medsam_engine"]))


def run_of_file(
    decoder: FileDecoder, embedding: list[NDArray[np.float32]], key: str, inputs: list[Array]
) -> list[NDArray[np.float32]]:
    """The decoder of a native file in f64; of the encoder, the embedding that it gave before."""
    if key == "encoder":
        return embedding
    image, coords, labels, mask_index, *masks = inputs
    image = image[0].astype(np.float64)
    prompts = zip(coords.astype(np.float64), labels.astype(np.int32), *(mask[:, 0] for mask in masks), strict=True)
    answers = [decoder.answer(image, *prompt) for prompt in prompts]
    logits, iou = (np.stack(values)[:, mask_index].astype(np.float32) for values in zip(*answers, strict=True))
    return [logits, iou]


@pytest.fixture(scope="module")
def bundle_of_case(
    golden_case: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[Case], Path]:
    """The bundle of a case's weights, exported once."""

    @functools.cache
    def of(case: Case) -> Path:
        if case.family == "litemedsam":  # is there for the other tests too
            made: Path = request.getfixturevalue("bundle")
            return made
        return export_as_published(case, golden_case(case.folder), tmp_path_factory.mktemp(case.folder))

    return of


@pytest.mark.parametrize("case", EXPORTS)
def test_onnx_agrees_with_the_published_code(
    case: Case, golden_case: Callable[[str], Any], bundle_of_case: Callable[[Case], Path]
) -> None:
    golden = golden_case(case.folder)
    bundle = bundle_of_case(case)

    def run(key: str, inputs: list[Array]) -> list[NDArray[np.float32]]:
        return parity.run_openvino(bundle / f"{case.graphs}{key}.onnx", [inputs])[0]

    check(case.outputs(run, golden), golden.arrays, 1e-3)


# The export takes most of the time, so it is here; families without a quick one are in test_family_plans.py.
@pytest.mark.parametrize("case", EXPORTS)
def test_tensorrt_compiles_encoder_and_decoder_in_both_types(
    case: Case, bundle_of_case: Callable[[Case], Path], tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="no TensorRT for RTX: scripts/setup.sh cuda")
    models = [model for model in plans.bundle_models(bundle_of_case(case)) if model.role in {"encoder", "decoder"}]
    assert sorted(model.role for model in models) == ["decoder", "encoder"]
    for model in models:
        path = tmp_path / model.path.name
        onnx.save(half.to_f16(onnx.load(model.path)), path)
        halved = replace(model, path=path, precision="f16", files=((path.name, file_sha256(path)),))
        exact, smaller = plans.build(model, "sm_89"), plans.build(halved, "sm_89")
        assert 0 < len(smaller) < len(exact), model.role


def test_f16_overflows_nowhere_in_an_efficient_vit(bundle_of_case: Callable[[Case], Path], tmp_path: Path) -> None:
    """The field's best known overflow, in its linear attention, looked for as `medsam-engine half --images` does."""
    case = next(case for case in CASES if case.folder == "medficientsam_l0")
    bundle = half_bundle.add_half(shutil.copytree(bundle_of_case(case), tmp_path / "b"))
    pixels = np.random.default_rng(7).integers(0, 256, (384, 512, 3), np.uint8)
    boxes = np.array([[30, 40, 200, 180], [250, 100, 400, 300]], np.float64)
    largest = half_bundle.largest_value(bundle, [certify.Case("noise", "MR", pixels, boxes, None)])
    assert 1 < largest < half.LARGEST / 2


@pytest.fixture(scope="module")
def daft_without_experts(golden_case: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of DAFT's weights as a family of one model: those with experts have no native weights yet."""
    golden, folder = golden_case("daft"), tmp_path_factory.mktemp("daft_alone")
    torch.save(golden.weights(), folder / "stand_in.pth")
    encoder = NativeModel({"encoder": NativeEfficientVit(L0, 256)}, {"encoder": sam_tensors(256, GRID)["encoder"]})
    family = replace(families.get("daft"), experts=None, fallback=None, native={"l0": encoder})
    (folder / "bundle").mkdir()
    part = Part("", family, "l0", checkpoint.read(folder / "stand_in.pth"))
    write_bundle(family, [part], folder / "bundle", lambda _: None)
    return folder / "bundle"


@pytest.mark.parametrize(("precision", "limit"), [("f32_fused", 2e-5), ("bf16_fused", 0.03)])
@pytest.mark.parametrize("folder", ["medficientsam_l0", pytest.param("daft", marks=pytest.mark.slow)])
def test_a_native_efficient_vit_agrees_with_the_exact_graph(
    folder: str,
    precision: str,
    limit: float,
    golden_case: Callable[[str], Any],
    bundle_of_case: Callable[[Case], Path],
    request: pytest.FixtureRequest,
) -> None:
    """The graph agrees with the published code (above), of inputs of 512 and of 256."""
    golden_case(folder)
    [case] = [case for case in CASES if case.folder == folder]
    bundle = request.getfixturevalue("daft_without_experts") if folder == "daft" else bundle_of_case(case)
    pixels = np.random.default_rng(7).integers(0, 256, (384, 512, 3), np.uint8)
    try:
        close = Engine(bundle, precision=f"{precision}/f32", allow_uncertified=True)
    except Unsupported as error:
        pytest.skip(str(error))
    found, exact = (np.asarray(e.encode(pixels).array) for e in (close, Engine(bundle, precision="f32/f32")))
    assert parity.relative_error(found, exact) < limit
    assert (found != exact).any(), "another encoder must have run"
    with pytest.raises(Unsupported, match="no certificate for it"):
        Engine(bundle, precision=f"{precision}/f32")


def test_a_bundle_with_experts_has_no_native_weights(bundle_of_case: Callable[[Case], Path]) -> None:
    [case] = [case for case in CASES if case.folder == "daft"]
    assert "fused" not in (manifest.read(bundle_of_case(case)) or {})


def export_as_published(case: Case, golden: Any, folder: Path) -> Path:
    """The bundle of a file as the family publishes it; family and size recognized, but for a layout that is shared."""
    tensors = {case.prefix + name: value for name, value in golden.weights().items()}
    torch.save({"epoch": 1, "state_dict": tensors} if case.prefix else tensors, folder / "stand_in.pth")
    if case.shared_layout:
        return export(case.family, folder / "stand_in.pth", folder / "bundle")
    lines: list[str] = []
    companion = None if case.companion is None else case.companion(folder / "companion", golden)
    bundle = export("auto", folder / "stand_in.pth", folder / "bundle", lines.append, companion)
    assert lines[1].startswith(f"recognized {case.family} ({case.size})")
    return bundle


@pytest.mark.parametrize("name", sorted(families.REGISTRY))
def test_registry_names_its_families(name: str) -> None:
    assert families.get(name).name == name
