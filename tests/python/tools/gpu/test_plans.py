# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Plans built ahead of time: their fingerprints, which the CUDA plugin must compute alike, and their files.

The texts here are those of tests/cpp/backends/tensorrt/test_plan.cpp.
"""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from medsam_engine_tools.errors import ExportError
from medsam_engine_tools.gpu import plans

TINY = Path(__file__).resolve().parents[3] / "data" / "tiny_bundle"


def model_of(role: str) -> plans.PlanModel:
    return {model.role: model for model in plans.bundle_models(TINY)}[role]


def test_the_fingerprint_is_the_plugins() -> None:
    manifest = json.loads((TINY / "manifest.json").read_text())
    assert plans.fingerprint(model_of("encoder"), "TensorRT-RTX 1.7.1.116", "sm_89") == (
        "medsam-engine plan 2\nlibrary TensorRT-RTX 1.7.1.116\ntarget sm_89\nprecision f32\n"
        f"model {manifest['models']['encoder']['sha256']}\ninput image 1x3x32x32 1x3x32x32 1x3x32x32\n"
    )
    decoder = plans.fingerprint(model_of("decoder"), "L", "sm_120")
    assert "\ninput image_embedding 1x4x8x8 1x4x8x8 1x4x8x8\n" in decoder
    assert "\ninput point_coords 1x1x2 4x2x2 16x64x2\n" in decoder
    assert decoder.endswith("\ninput mask_index 1 1 8\n")


def test_a_graph_with_a_data_file_is_named_by_both(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "b")
    (tmp_path / "b" / "w.data").write_bytes(b"weights")
    path = tmp_path / "b" / "manifest.json"
    manifest = json.loads(path.read_text())
    entry = manifest["models"]["encoder"]
    digest = hashlib.sha256(b"weights").hexdigest()
    entry["data"] = [{"file": "w.data", "bytes": 7, "sha256": digest}]
    path.write_text(json.dumps(manifest))
    found = next(m for m in plans.bundle_models(tmp_path / "b") if m.role == "encoder")
    assert found.content_hash == hashlib.sha256(f"{entry['sha256']}\n{digest} 7 w.data\n".encode()).hexdigest()
    (tmp_path / "b" / "w.data").write_bytes(b"weighty")
    with pytest.raises(ExportError, match="is not the manifest's"):
        plans.build(found, None)


def test_experts_give_each_graph_once() -> None:
    routed = TINY.with_name("tiny_routed")
    manifest = json.loads((routed / "manifest.json").read_text())
    found = plans.bundle_models(routed)
    assert sorted(m.role for m in found) == ["crop_encoder", "decoder", "encoder", "encoder"]
    assert len(manifest["experts"]) == 2


def test_only_a_whole_plan_of_the_fingerprint_counts(tmp_path: Path) -> None:
    text = plans.fingerprint(model_of("decoder"), "L 1", "sm_89")
    assert not plans.is_stored(tmp_path, text)
    path = plans.store(tmp_path, text, b"\0plan\n\n")
    assert plans.is_stored(tmp_path, text)
    assert (
        path.read_bytes()
        == text.encode() + b"sha256 " + hashlib.sha256(b"\0plan\n\n").hexdigest().encode() + b"\n\n\0plan\n\n"
    )
    assert not plans.is_stored(tmp_path, plans.fingerprint(model_of("decoder"), "L 2", "sm_89"))
    whole = path.read_bytes()
    for changed in (whole[:-1], whole + b"x", whole.replace(b"sm_89", b"sm_90"), b""):
        path.write_bytes(changed)
        assert not plans.is_stored(tmp_path, text)


def test_a_plan_in_the_cache_is_its_users_alone(tmp_path: Path) -> None:
    path = plans.store(tmp_path / "cache", "fingerprint\n", b"plan")
    assert plans.is_stored(tmp_path / "cache", "fingerprint\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == path.parent.parent.stat().st_mode & 0o777 == 0o700


def test_the_cache_folder_is_the_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MEDSAM_ENGINE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert plans.cache_folder() == tmp_path / ".cache" / "medsam-engine"
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert plans.cache_folder() == Path("/x/medsam-engine")
    monkeypatch.setenv("MEDSAM_ENGINE_CACHE", "/y")
    assert plans.cache_folder() == Path("/y")
    assert plans.cache_folder("/z") == Path("/z")
    with pytest.raises(ExportError, match="none"):
        plans.cache_folder("none")


class TestWithTensorRt:
    """With the library, without a GPU."""

    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("tensorrt_rtx", reason="no TensorRT for RTX: scripts/setup.sh cuda")

    def test_every_graph_is_built_once(self, tmp_path: Path) -> None:
        lines: list[str] = []
        files = plans.build_plans(TINY, ["sm_89", "sm_120"], cache=tmp_path, progress=lines.append)
        assert len(set(files)) == 6
        assert all(path.stat().st_size > 1000 for path in files)
        before = [path.stat().st_mtime_ns for path in files]
        assert plans.build_plans(TINY, ["sm_89", "sm_120"], cache=tmp_path, progress=lines.append) == files
        assert [path.stat().st_mtime_ns for path in files] == before
        assert sum("is there" in line for line in lines) == 6

    def test_an_unknown_target_is_refused_with_those_there_are(self, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match=r"'sm_42', expected of .*sm_89.*sm_120"):
            plans.build_plans(TINY, ["sm_42"], cache=tmp_path)

    def test_a_file_that_is_no_graph_is_one_line(self, tmp_path: Path) -> None:
        bad = tmp_path / "encoder.onnx"
        bad.write_bytes(b"not a model")
        files = (("encoder.onnx", hashlib.sha256(b"not a model").hexdigest()),)
        with pytest.raises(ExportError, match=r"encoder\.onnx") as caught:
            plans.build(plans.PlanModel("encoder", bad, "f32", "0", ("image",), ((1, 3, 32, 32),), files), "sm_89")
        assert "\n" not in str(caught.value)
