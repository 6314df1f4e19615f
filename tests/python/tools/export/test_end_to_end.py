# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Every family from a checkpoint to masks: export, a folder of NPZ cases, the program and Python give the same labels.

The weights are stand-ins, so the masks mean nothing; what is shown is that each family's bundle is one that the engine
runs, in 2D and 3D, by its published rules and by `clinical`. That the graphs compute what the published code computes
is shown by test_golden.py and test_published_golden.py.
"""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

import medsam_engine
from medsam_engine import Engine
from medsam_engine_tools.export import families
from medsam_engine_tools.export.export import export

DATA = Path(__file__).resolve().parents[3] / "data"
ROUTED = DATA / "tiny_routed"
sys.path.append(str(DATA / "golden"))

import stand_in

PATIENCE_S = 1200  # a bound for a hung process, not a measure of speed
# Each family's smallest size: in every run the one that is exported for other tests anyway, the others by test-slow.
QUICK = ("litemedsam",)
FAMILIES = [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in families.REGISTRY]
PROFILES = [pytest.param(None, id="published"), "clinical"]
IMAGE, VOLUME, UNKNOWN = "2DBox_US_0001.npz", "3DBox_CT_0002.npz", "2DBox_OCT_0003.npz"

Labels = NDArray[np.generic]


@dataclass
class Exported:
    """A family's bundle, and a folder for its compiled models."""

    family: str
    path: Path
    cache: Path


def stand_in_weights(family: str, seed: str = "") -> dict[str, Tensor]:
    """The smallest size's tensors: floats by name and `seed`, integers (tables of indices) as the model has them."""
    size = next(iter(families.get(family).sizes))
    return {
        name: stand_in.tensor(seed + name, value.shape, value.dtype) if value.dtype.is_floating_point else value
        for name, value in families.get(family).build(size).state_dict().items()
    }


def save(folder: Path, name: str, tensors: dict[str, Tensor]) -> Path:
    torch.save(tensors, folder / f"{name}.pth")
    return folder / f"{name}.pth"


def export_family(family: str, folder: Path, litemedsam: dict[str, Tensor]) -> Path:
    """Exports stand-in weights of `family`; DAFT gets three experts, one of them `litemedsam` for ultrasound."""
    checkpoint = save(folder, family, stand_in_weights(family))
    if family == "daft":
        experts = {"3D": save(folder, "3D", stand_in_weights(family, "3D.")), "US": save(folder, "US", litemedsam)}
        return export(family, checkpoint, folder / "bundle", experts=experts)
    if families.get(family).companion is None:
        return export(family, checkpoint, folder / "bundle")
    pytest.importorskip("transformers", reason="CLIP needs transformers: make setup")
    from clip_stand_in import clip_model, write_clip

    return export(family, checkpoint, folder / "bundle", companion=write_clip(folder / "clip", clip_model()))


@pytest.fixture(scope="session")
def bundle_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, weights: dict[str, Tensor]
) -> Callable[[str], Exported]:
    """The bundle of a family, exported once."""

    @functools.cache
    def of(family: str) -> Exported:
        folder = tmp_path_factory.mktemp(family)
        # LiteMedSAM's is there for the other tests too.
        own = request.getfixturevalue("bundle") if family == "litemedsam" else export_family(family, folder, weights)
        return Exported(family, own, folder / "cache")

    return of


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A color image with a box of one pixel's width, a volume with two boxes that overlap, a gray image."""
    folder = tmp_path_factory.mktemp("cases")
    rng = np.random.default_rng(11)
    z, y, x = np.mgrid[:5, :72, :96]
    ellipse = ((x - 44) / 22) ** 2 + ((y - 33) / 17) ** 2 < 1 - (z - 2) ** 2 / 9
    volume = (np.where(ellipse, 190, 50) + rng.integers(0, 40, ellipse.shape)).astype(np.uint8)
    color = np.stack([volume[2], 255 - volume[2], volume[1] // 2], axis=-1)
    boxes = np.array([[20, 14, 68, 52], [40, 10, 40, 60], [2, 30, 50, 70]])
    np.savez_compressed(folder / IMAGE, imgs=color, boxes=boxes)
    boxes3d = np.array([[22, 15, 0, 67, 51, 4], [40, 20, 1, 80, 66, 3]])
    np.savez_compressed(folder / VOLUME, imgs=volume, boxes=boxes3d)
    np.savez_compressed(folder / UNKNOWN, imgs=volume[2], boxes=boxes[:1])
    return folder


def modality_of(name: str) -> str:
    return name.split("_")[1]


def answer(engine: Engine, case: Path) -> Labels:
    """The case through Python."""
    with np.load(case) as file:
        imgs, boxes = file["imgs"], file["boxes"]
    if case.name.startswith("3DBox"):
        return engine.segment_volume(imgs, boxes, modality=modality_of(case.name))
    return engine.segment(imgs, boxes, modality=modality_of(case.name))


def run_program(bundle: Exported, cases: Path, out: Path, profile: str | None) -> None:
    """The folder through medsam-npz, whose own default is the published script's rules too."""
    program = Path(os.environ.get("MEDSAM_NPZ", Path(medsam_engine.__file__).parent / "bin" / "medsam-npz"))
    if not program.is_file():
        pytest.skip(f"no program at {program}; build the package or set MEDSAM_NPZ")
    command: list[str | Path] = [program, "-i", cases, "-o", out, "--bundle", bundle.path, "--cache-dir", bundle.cache]
    command += ["--profile", profile or families.get(bundle.family).profile]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def segs(path: Path) -> Labels:
    with np.load(path) as file:
        assert file.files == ["segs"]
        labels: Labels = file["segs"]
    return labels


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_program_and_python_agree(
    family: str, profile: str | None, bundle_of: Callable[[str], Exported], cases: Path, tmp_path: Path
) -> None:
    bundle, out = bundle_of(family), tmp_path / "out"
    run_program(bundle, cases, out, profile)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in cases.iterdir())
    engine = Engine(bundle.path, profile=profile, cache_dir=bundle.cache)
    assert engine.info.profile == (profile or families.get(family).profile)
    for case in sorted(cases.iterdir()):
        expected, found = answer(engine, case), segs(out / case.name)
        assert found.dtype == expected.dtype == np.uint16
        np.testing.assert_array_equal(found, expected, err_msg=case.name)
        share = np.bincount(expected.ravel(), minlength=4) / expected.size
        assert 0 < share[0] < 1, (case.name, share)  # the masks of stand-in weights are something, and not everything


@pytest.mark.slow
def test_each_case_is_answered_by_its_own_expert(
    bundle_of: Callable[[str], Exported], bundle: Path, cases: Path, tmp_path: Path
) -> None:
    daft = bundle_of("daft")
    engine = Engine(daft.path, profile=None, cache_dir=daft.cache)
    assert engine.info.experts == ("3D", "US", "general")
    alone = {
        VOLUME: expert_alone(daft.path, "3D", tmp_path / "3D"),
        IMAGE: bundle,  # the ultrasound expert is LiteMedSAM, here as its own family exports it
        UNKNOWN: expert_alone(daft.path, "general", tmp_path / "general"),
    }
    for name, path in alone.items():
        found = answer(engine, cases / name)
        expected = answer(Engine(path, profile="daft", cache_dir=daft.cache), cases / name)
        np.testing.assert_array_equal(found, expected, err_msg=name)
        for other in alone.values():
            if other != path:
                rest = answer(Engine(other, profile="daft", cache_dir=daft.cache), cases / name)
                assert not np.array_equal(found, rest), (name, other)


def expert_alone(bundle: Path, expert: str, folder: Path) -> Path:
    """A copy of `bundle` with that expert for everything."""
    content = json.loads((bundle / "manifest.json").read_text())
    roles = content["experts"][expert]
    content["experts"] = {expert: roles}
    content["modality"] = content["modality"] | {"experts": {}, "fallback": expert}
    content["models"] = {name: content["models"][name] for name in roles.values()}
    content["parity"] = {name: error for name, error in content["parity"].items() if name in content["models"]}
    folder.mkdir()
    for model in content["models"].values():
        shutil.copyfile(bundle / model["file"], folder / model["file"])
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def ten_experts(tmp_path: Path) -> Path:
    """DAFT's table over tests/data/tiny_routed: ten encoders that differ, one decoder."""
    folder = tmp_path / "ten"
    shutil.copytree(ROUTED, folder)
    content = json.loads((folder / "manifest.json").read_text())
    daft = families.get("daft")
    assert daft.experts is not None
    encoder = onnx.load(folder / "a.encoder.onnx")
    [scale] = [value for value in encoder.graph.initializer if value.name == "scale"]
    entry = content["models"]["a.encoder"]
    content["models"] = {name: model for name, model in content["models"].items() if not name.endswith(".encoder")}
    for k, name in enumerate(daft.expert_names(), start=1):
        scale.CopyFrom(numpy_helper.from_array(np.array(k, np.float32), "scale"))
        data = encoder.SerializeToString()
        file = f"{name}.encoder.onnx"
        (folder / file).write_bytes(data)
        sizes = {"file": file, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        content["models"][f"{name}.encoder"] = entry | sizes
    content["experts"] = {
        name: {"encoder": f"{name}.encoder", "decoder": "decoder", "crop_encoder": "crop_encoder"}
        for name in daft.expert_names()
    }
    index = {modality: i for i, modality in enumerate(medsam_engine.modality_names())}
    content["modality"] = {"index": index, "experts": dict(daft.experts), "fallback": daft.fallback}
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


def test_ten_experts_answer_right_with_three_held(ten_experts: Path, tmp_path: Path) -> None:
    """Each modality by its own expert, also after that was put out for others and loaded again."""
    table = families.get("daft").experts
    assert table is not None
    image = np.random.default_rng(5).integers(0, 256, (32, 32), np.uint8)
    engine = Engine(ten_experts, profile=None, cache_dir=tmp_path / "cache", cache_bytes=0, expert_limit=3)
    assert set(engine.info.experts) == {*table.values(), "general"}
    assert len(engine.info.experts) == 10

    def ask(one: Engine, modality: str) -> float:
        found = one.predict(one.encode(image, modality=modality), box=(3, 4, 20, 25))
        return float(found.iou_predictions.item())

    expected = {}
    for modality, expert in table.items():
        alone = expert_alone(ten_experts, expert, tmp_path / modality)
        expected[modality] = ask(Engine(alone, profile=None, cache_dir="none", cache_bytes=0), modality)
    assert len(set(expected.values())) == len(table)
    kept = {modality: engine.encode(image, modality=modality) for modality in table}
    rng = np.random.default_rng(0)
    for _ in range(3):
        for modality in rng.permutation(list(table)):
            assert ask(engine, str(modality)) == expected[modality], modality
    for modality, embedding in kept.items():  # of experts that have been put out since
        assert engine.predict(embedding, box=(3, 4, 20, 25)).iou_predictions.item() == expected[modality], modality
