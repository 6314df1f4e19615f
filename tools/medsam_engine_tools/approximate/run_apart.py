# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Runs an ONNX model on the CPU in a process of its own.

OpenVINO's low-precision pass divides by zero on some quantized graphs, and SIGFPE would take the caller with it. This
file is also what the process runs: MODEL PRECISION INPUTS.npy OUTPUT.npy.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Without this folder's modules or the current folder's in the way of others: what -P does from Python 3.11 on.
SAFE_PATH = (
    "import runpy, sys; sys.path = [p for p in sys.path if p]; del sys.argv[0]; "
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


def run_apart(
    model: Path, inputs: NDArray[np.float32], precision: str = "f32"
) -> tuple[NDArray[np.float32] | None, str]:
    """The model's first output for each of `inputs` (N, ...), batch by batch of one; None and the reason on a crash."""
    with tempfile.TemporaryDirectory(prefix="medsam-engine-") as name:
        source, target = Path(name) / "inputs.npy", Path(name) / "output.npy"
        np.save(source, inputs)
        own = str(Path(__file__).resolve())
        words = [sys.executable, "-c", SAFE_PATH, own, str(model), precision, str(source), str(target)]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        if done.returncode < 0:
            return None, f"the process ended by signal {-done.returncode}"
        if done.returncode > 0:
            return None, (done.stderr.strip().splitlines() or ["no message"])[-1]
        return np.load(target), ""


def _main(model: str, precision: str, source: str, target: str) -> None:
    import openvino

    inputs = np.load(source)
    core = openvino.Core()
    graph = core.read_model(model)
    graph.reshape([1, *inputs.shape[1:]])
    # As cpp/src/backends/openvino/backend.cpp compiles: a graph that survives here survives there.
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "EXECUTION_MODE_HINT": "ACCURACY",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
    }
    request = core.compile_model(graph, "CPU", options).create_infer_request()
    outputs = []
    for one in inputs:
        request.infer([one[np.newaxis]])
        outputs.append(np.array(request.get_output_tensor(0).data[0], copy=True))
    np.save(target, np.stack(outputs))


if __name__ == "__main__":
    _main(*sys.argv[1:])
