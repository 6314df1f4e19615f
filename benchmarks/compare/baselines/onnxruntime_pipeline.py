# Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
"""Baseline (b): the published graphs in ONNX Runtime, from Python; a volume's slices encoded once.

    python -m benchmarks.compare.baselines.onnxruntime_pipeline -i CASES -o MASKS --model FOLDER

FOLDER holds what export_plain.py writes. Needs onnxruntime (dependency group `bench`).
"""

import argparse
from pathlib import Path

import numpy as np
import onnxruntime
from benchmarks.compare.baselines.pipeline import Size, main, threshold
from numpy.typing import NDArray


class OnnxRuntimeModel:
    """Two sessions on the CPU, ONNX Runtime's defaults otherwise."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._encoder, self._decoder = (
            self._session(arguments.model / name, arguments) for name in ("encoder.onnx", "decoder.onnx")
        )

    def _session(self, source: Path, arguments: argparse.Namespace) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = arguments.threads  # 0: its own choice
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    def encode(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """As Model."""
        embedding: NDArray[np.float32] = self._encoder.run(None, {"image": image})[0]
        return embedding

    def decode(
        self, embedding: NDArray[np.float32], box: NDArray[np.float32], new_size: Size, original_size: Size
    ) -> NDArray[np.bool_]:
        """As Model."""
        logits = self._decoder.run(None, {"image_embedding": embedding, "boxes": box})[0]
        return threshold(logits[0, 0], new_size, original_size)


if __name__ == "__main__":
    main(str(__doc__), OnnxRuntimeModel, "folder of encoder.onnx and decoder.onnx", reuse_embeddings=True)
