# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Builds the library, the CUDA plugin and the tests for the check of a GPU, and runs the tests on it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "gpu-check"

Report = dict[str, Any]


def run(words: Sequence[str | Path], variables: dict[str, str] | None = None) -> str:
    """Runs a command; its output. Raises CalledProcessError."""
    done = subprocess.run(
        [str(w) for w in words], check=True, capture_output=True, text=True, env={**os.environ, **(variables or {})}
    )
    return done.stdout + done.stderr


def build(tensorrt: Path) -> Report:
    """Builds the library, the plugin and the tests."""
    started = time.perf_counter()
    options = ["-DMEDSAM_ENGINE_TESTS=ON", "-DMEDSAM_ENGINE_TENSORRT=ON", f"-DTENSORRT_ROOT={tensorrt}"]
    python = f"-DPython_EXECUTABLE={sys.executable}"
    run(["cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", python, *options])
    run(["cmake", "--build", BUILD, "--target", "test_openvino", "test_plan", "medsam_engine_tensorrt"])
    return {"passed": True, "seconds": time.perf_counter() - started}


def conformance(tests: Path, dry: bool) -> Report:
    """The backends' suite and an engine's on the device; a skipped test is a failed check.

    A dry run has them over the stand-in for CUDA, and is content where that was not built.
    """
    words: list[str | Path] = [tests / "tests/cpp/test_openvino", "--gtest_filter=*Conformance*:CudaEngine.*"]
    stand_in = tests / "tests/cpp/stand_in"
    if dry and not (stand_in / "libmedsam_engine_tensorrt.so").is_file():
        return {"passed": True, "left_out": f"no stand-in for CUDA in {stand_in}: no TensorRT headers"}
    try:
        text = run(words, {"MEDSAM_ENGINE_PLUGIN_DIR": str(stand_in)} if dry else None)
    except subprocess.CalledProcessError as error:
        text = error.stdout + error.stderr
    return read_tests(text)


def read_tests(text: str) -> Report:
    """What a run of the tests said."""
    found = {
        word: len(set(re.findall(rf"\[ +{word} +\] (\S+cuda\S*|CudaEngine\S+)", text))) for word in ("OK", "FAILED")
    }
    skipped = sorted(set(re.findall(r"\[ +SKIPPED +\] (\S+)", text)))
    passed = found["OK"] > 0 and found["FAILED"] == 0 and not skipped
    return {"passed": passed, "ok": found["OK"], "failed": found["FAILED"], "skipped": skipped, "tail": text[-2000:]}
