# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""A device that is not here: one line that names what is missing, at once, and the CPU goes on."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medsam_engine import Engine
from medsam_engine.errors import Unsupported

TINY = Path(__file__).resolve().parents[2] / "data" / "tiny_bundle"


def engine(device: str) -> Engine:
    return Engine(TINY, device=device, profile="", cache_dir="none")


def message(device: str) -> str:
    with pytest.raises(Unsupported) as caught:
        engine(device)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_the_plugin_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_PLUGIN_DIR", str(tmp_path))
    text = message("cuda:0")
    assert "medsam_engine_tensorrt" in text
    assert str(tmp_path) in text


def test_the_library_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "medsam_engine_tensorrt" in message("cuda:0"):
        pytest.skip("this build has no CUDA plugin: no TensorRT headers")
    monkeypatch.setenv("TENSORRT_ROOT", str(tmp_path))
    text = message("cuda:0")
    # Once loaded the library stays: where the first call found it, the driver is what is missing.
    assert ("tensorrt-rtx-cu13" in text and str(tmp_path) in text) or "NVIDIA driver" in text


@pytest.mark.needs("openvino")
def test_the_cpu_runs_after_a_failure(
    image: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDSAM_ENGINE_PLUGIN_DIR", str(tmp_path))
    message("cuda:0")
    cpu = engine("CPU")
    assert cpu.predict(cpu.encode(image), box=(30, 20, 90, 70)).iou_predictions.shape == (1, 1)


@pytest.mark.parametrize("device", ["GPU.7", "NPU.7"])
def test_openvino_says_which_devices_there_are(device: str) -> None:
    assert "OpenVINO finds only" in message(device)


def test_auto_is_a_device_of_openvino() -> None:
    assert engine("AUTO").info.backend == engine("CPU").info.backend


def test_another_name_is_refused_with_those_there_are() -> None:
    assert "cuda:N" in message("TPU")
