# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The check for GPU machines, run against the CPU: what it measures and what it refuses to call passed."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT))

from benchmarks.gpu import build as gpu_build
from benchmarks.gpu import check as gpu_check
from benchmarks.gpu import subject as gpu_subject

TINY = ROOT / "tests" / "data" / "tiny_bundle"


def test_a_device_that_agrees_passes(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    words = ["--bundle", str(TINY), "--out", str(out), "--device", "CPU", "--skip-build", "--repeats", "2"]
    assert gpu_check.main(words) == 0
    report = json.loads(out.read_text())
    assert report["passed"]
    assert report["machine"]["device"]
    [parity] = report["parity"]
    assert parity["precision"] == "f32"
    assert parity["agreement"] == 1
    [times] = report["latency"]["tiny_bundle"]
    assert {"encode", "prompt_1", "prompt_8", "prompt_32", "end_to_end", "memory_mb"} <= set(times)


def test_a_device_that_is_not_there_fails_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_PLUGIN_DIR", str(tmp_path))
    out = tmp_path / "report.json"
    assert gpu_check.main(["--bundle", str(TINY), "--out", str(out), "--skip-build"]) == 1
    report = json.loads(out.read_text())
    assert not report["passed"]
    assert "libmedsam_engine_tensorrt.so" in report["parity"][0]["failed"]


def test_a_device_that_differs_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gpu_check.MASK_BARS, "f32", 1.1)
    assert not gpu_check.parity(gpu_subject.Subject(TINY, "CPU"), "f32")["passed"]
    assert gpu_check.parity(gpu_subject.Subject(TINY, "CPU", real=False), "f32")["passed"], "of stand-in weights"


def test_a_dry_run_emulates_f16_and_says_what_it_leaves_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx", reason="the f16 graphs need onnx: make setup")
    from medsam_engine_tools.approximate import half_bundle

    bundle = with_named_f16_graphs(tmp_path / "bundle")
    emulated = []

    def write_emulation(_: Path, folder: Path) -> None:
        emulated.append(folder)
        shutil.copytree(TINY, folder, dirs_exist_ok=True)

    monkeypatch.setattr(half_bundle, "write_emulation", write_emulation)
    out = tmp_path / "report.json"
    words = ["--bundle", str(bundle), "--out", str(out), "--dry-run", "--repeats", "2", "--tests", str(tmp_path)]
    assert gpu_check.main(words) == 0
    report = json.loads(out.read_text())
    assert report["dry_run"]
    assert "stand-in" in report["conformance"]["left_out"]
    assert [found["precision"] for found in report["parity"]] == ["f32", "f16"]
    assert [times["precision"] for times in report["latency"]["bundle"]] == ["f32", "f16"]
    assert len(emulated) == 2


def with_named_f16_graphs(folder: Path) -> Path:
    """The tiny bundle; its f16 graphs are the exact ones under other names: nothing runs them here."""
    bundle = Path(shutil.copytree(TINY, folder))
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["f16"] = {}
    for name, entry in manifest["models"].items():
        shutil.copyfile(bundle / entry["file"], bundle / f"{name}.f16.onnx")
        manifest["f16"][name] = entry | {"file": f"{name}.f16.onnx"}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return bundle


def test_stand_in_weights_beyond_f16_are_left_out_and_real_ones_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx", reason="the f16 graphs need onnx: make setup")
    from medsam_engine_tools.approximate import half_bundle

    def broken(_: Path, folder: Path) -> None:
        shutil.copytree(TINY, folder, dirs_exist_ok=True)
        (folder / "encoder.onnx").write_bytes(b"no model")

    monkeypatch.setattr(half_bundle, "write_emulation", broken)
    bundle = with_named_f16_graphs(tmp_path / "bundle")
    stand_in = gpu_check.check([gpu_subject.Subject(bundle, "CPU", real=False)], 1)["parity"]
    assert [found["passed"] for found in stand_in] == [True, True]
    assert "encoder.onnx" in stand_in[1]["left_out"]
    real = gpu_check.check([gpu_subject.Subject(bundle, "CPU")], 1)["parity"]
    assert [found["passed"] for found in real] == [True, False]


def test_one_bundle_that_fails_leaves_the_others_their_turn(tmp_path: Path) -> None:
    broken = Path(shutil.copytree(TINY, tmp_path / "broken"))
    (broken / "encoder.onnx").write_bytes(b"no model")
    out = tmp_path / "report.json"
    words = ["--bundle", str(broken), "--bundle", str(TINY), "--out", str(out), "--device", "CPU", "--skip-build"]
    assert gpu_check.main([*words, "--repeats", "1"]) == 1
    report = json.loads(out.read_text())
    assert [found["passed"] for found in report["parity"]] == [False, True]
    assert "encoder.onnx" in report["parity"][0]["failed"]


def test_tests_that_were_skipped_are_no_pass() -> None:
    one, other = "Devices/BackendConformance.RunsWithFixedShapes/cuda0", "CudaEngine.GivesIt"
    ok = f"[       OK ] {one} (1 ms)\n[       OK ] {other} (2 ms)\n"
    assert gpu_build.read_tests(ok) | {"tail": ""} == {"passed": True, "ok": 2, "failed": 0, "skipped": [], "tail": ""}
    skipped = gpu_build.read_tests(ok + "[  SKIPPED ] CudaEngine.KeepsItsPlans (0 ms)\n")
    assert (skipped["passed"], skipped["skipped"]) == (False, ["CudaEngine.KeepsItsPlans"])
    assert not gpu_build.read_tests(ok + "[  FAILED  ] CudaEngine.KeepsItsPlans (0 ms)\n")["passed"]
    assert not gpu_build.read_tests("[       OK ] Devices/BackendConformance.RunsWithFixedShapes/CPU (1 ms)")["passed"]


def test_the_filter_takes_no_test_that_a_gpu_skips() -> None:
    folder = ROOT / "tests" / "cpp" / "backends" / "tensorrt"
    source = "".join((folder / f"{name}.cpp").read_text() for name in ("test_cuda_engine", "test_cuda_plans"))
    for name in ("CudaEngineOnStandIn", "CudaEngineInF16"):  # what needs the stand-in has a fixture of its own
        assert f"TEST_F({name}, " in source
    assert "CudaEngine.*" in Path(gpu_build.__file__).read_text()


def test_pytorch_runs_the_same_prompts() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch's times need torch: make setup")
    from benchmarks.gpu import pytorch as gpu_torch

    from medsam_engine_tools.export.family import Graph, TensorSpec

    class Decoder(torch.nn.Module):  # type: ignore[misc,name-defined]  # of a module that is imported here
        def forward(self, embedding: Any, coords: Any, labels: Any, index: Any) -> Any:
            assert embedding.shape == (1, 4, 8, 8)
            assert (coords.shape[1:], labels.shape[1:], index.shape) == ((2, 2), (2,), (1,))
            return coords.sum(dim=(1, 2)) + labels.sum()

    class Encoder(torch.nn.Conv2d):  # type: ignore[misc,name-defined]
        def forward(self, image: Any) -> Any:
            assert image.shape == (1, 3, 16, 16)
            return super().forward(image)

    specs = (
        TensorSpec("image_embedding", "f32", (1, 4, 8, 8)),
        TensorSpec("point_coords", "f32", ("prompts", "tokens", 2)),
        TensorSpec("point_labels", "i32", ("prompts", "tokens")),
        TensorSpec("mask_index", "i32", ("masks",)),
    )
    case = (torch.zeros(1, 4, 8, 8), torch.zeros(3, 5, 2), torch.zeros(3, 5, dtype=torch.int32), torch.arange(3))
    decoder = Graph("decoder", Decoder(), specs, (), (case,))
    assert gpu_torch.inputs_of(decoder, 8, torch.device("cpu"))[1].shape == (8, 2, 2)
    image = TensorSpec("image", "f32", ("images", 3, 16, 16))
    encoder = Graph("encoder", Encoder(3, 4, 1), (image,), (), ((torch.zeros(2, 3, 16, 16),),))
    report = gpu_torch.measure_graphs((encoder, decoder), "cpu", (1, 8), 2, modes=("eager_f32", "eager_f16"))
    for mode in ("eager_f32", "eager_f16"):
        assert set(report[mode]) == {"encode", "prompt_1", "prompt_8"}, report[mode]
    broken = Graph("encoder", torch.nn.Linear(5, 5), (image,), (), ((torch.zeros(2, 3, 16, 16),),))
    failed = gpu_torch.measure_graphs((broken, decoder), "cpu", (1,), 1, modes=("eager_f32",))
    assert "RuntimeError" in failed["eager_f32"]["failed"]


def test_masks_that_are_both_empty_agree() -> None:
    nothing = np.zeros((3, 4), bool)
    assert gpu_check.dice(nothing, nothing) == 1
    assert gpu_check.dice(nothing, ~nothing) == 0
