# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""The check for GPU machines, run against the CPU: what it measures and what it refuses to call passed."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT))

from benchmarks import gpu_check

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
    assert "libmedsam_engine_tensorrt.so" in report["failed"]


def test_a_device_that_differs_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(gpu_check.MASK_BARS, "f32", 1.1)
    assert not gpu_check.parity(TINY, "CPU", "f32", None)["passed"]


def test_masks_that_are_both_empty_agree() -> None:
    nothing = np.zeros((3, 4), bool)
    assert gpu_check.dice(nothing, nothing) == 1
    assert gpu_check.dice(nothing, ~nothing) == 0
